"""The response to a leaked secret with one account: check, identify, deactivate, quarantine."""

import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from shlex import join
from typing import TYPE_CHECKING, TypeVar

import httpx

from losant_tokens import leaks
from losant_tokens.accounts import discover_owners
from losant_tokens.cli._connections.clients import (
    account_or_none,
    api_url,
    has_own_token,
    new_client,
    secret_client,
)
from losant_tokens.cli._errors import explain
from losant_tokens.cli._event_loop import run_until_stopped
from losant_tokens.cli._leaks.view import Leak, describe_created, describe_leak
from losant_tokens.cli._library_messages import with_options
from losant_tokens.cli._options.common import ConnectionOptions
from losant_tokens.cli._options.jobs import DEFAULT_OWNERS
from losant_tokens.cli._signals.stop_signals import GRACE
from losant_tokens.cli._terminal.console import (
    can_ask,
    confirm,
    notice_if_interrupted,
    print_error,
    print_status,
    print_warning,
    transient_status,
    write_output,
)
from losant_tokens.cli._terminal.format import format_count
from losant_tokens.errors import LosantError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from losant_tokens import AsyncClient, Owner, Secret
    from losant_tokens.leaks import Check, Claims, OwnedToken

_ALL_LISTS = ("applications", "instances")
T = TypeVar("T")


class LeakResponse:
    """The response to leaked secrets with one account: its requests, questions and output.

    Args:
        owners: The owners to search: one of them may own the token; none for those of the account.
        logs: The audit logs to read; none for those of the account.
        last: The maximum number of changes to show.
        connection: The connection to the account.
    """

    def __init__(
        self,
        owners: "Iterable[Owner]",
        logs: "Iterable[str]",
        last: int,
        connection: ConnectionOptions,
    ) -> None:
        account = account_or_none(connection)
        self._owners = tuple(dict.fromkeys(owners))
        self._lists: tuple[str, ...] = ()
        if not self._owners:
            self._owners = DEFAULT_OWNERS if account is None else account.owners
            self._lists = (account.discover if account else ()) or _ALL_LISTS
        self._logs = tuple(logs) or (account.audit_logs if account else ())
        self._last = last
        self._connection = connection
        self.account = connection.account
        self.url = api_url(connection)
        self.uses_own_token = False

    def may_accept(self, claims: "Claims") -> bool:
        """Return whether the API may have issued a secret, so that it may accept it."""
        return claims.is_from(httpx.URL(self.url).host)

    def investigate(self, secret: "Secret") -> Leak:
        """Ask the API about a secret."""
        claims = leaks.read_claims(secret)

        async def work(client: "AsyncClient", operator: "AsyncClient | None") -> Leak:
            found = await leaks.investigate(claims, client, operator, self._owners)
            leak = Leak(found, account=self.account)
            if leak.found.check.state == "works" and not leak.found.match.candidates:
                await self._discover(leak, operator or client)
                leak.found = await leaks.investigate(claims, client, operator, self._owners)
            found = leak.found
            if self._logs and found.match.token is not None:
                ids = [found.match.token.token.id, *(one.token.id for one in found.created)]
                await self._add_actions(leak, operator or client, ids)
            return leak

        with transient_status("Asking the API about the secret..."):
            return self._run(secret, work)

    async def _add_actions(self, leak: Leak, client: "AsyncClient", ids: "Iterable[str]") -> None:
        """Add the last changes of tokens, or print why an audit log cannot be read."""
        from losant_tokens.jobs import LogSource  # noqa: PLC0415 -- slow, and logs are optional

        logs = map(LogSource.parse, self._logs)
        try:
            leak.actions = await leaks.latest_actions(client, logs, ids, self._last)
        except LosantError as error:
            print_warning(f"an audit log cannot be read: {explain(error)}")

    async def _discover(self, leak: Leak, client: "AsyncClient") -> None:
        """Add the owners that the API lists, unless the user has chosen some."""
        lists, self._lists = self._lists, ()
        found = await discover_owners(client, lists)
        self._owners = tuple(dict.fromkeys((*self._owners, *found)))
        leak.not_listed |= found.problems

    def find_created(self, leak: Leak, secret: "Secret") -> None:
        """Find the tokens that a token created, until it was deactivated, among all owners."""
        token, claims = leak.found.match.token, leak.found.claims
        if token is None or (leak.found.check.state == "works" and not _may_create(claims)):
            return

        async def work(_: "AsyncClient", operator: "AsyncClient | None") -> None:
            if operator is not None:
                await self._discover(leak, operator)
                created = await leaks.list_created(token.token.id, operator, self._owners)
                leak.add_created(created.tokens)
                leak.not_listed |= {str(owner): why for owner, why in created.not_listed.items()}

        known = {str(owner) for owner in leak.found.not_listed} | set(leak.not_listed)
        with transient_status("Looking for tokens that it created..."):
            self._run(secret, work)
        for name, reason in leak.not_listed.items():
            if name not in known:
                print_warning(f"{name} cannot be listed: {with_options(reason)}")

    def show_created(self, leak: Leak) -> None:
        """Write which tokens a token created."""
        if leak.found.match.token is not None:
            write_output(describe_created(leak, sys.stdout))

    def show(self, leak: Leak) -> None:
        """Write what is known about a secret."""
        write_output(describe_leak(leak, sys.stdout))

    def deactivate(self, leak: Leak, secret: "Secret", *, yes: bool) -> None:
        """Deactivate the token of a secret that works, if it is known and the user agrees."""
        token = leak.found.match.token
        if leak.found.check.state != "works":
            return
        if token is None:
            print_status(_advice_without_token(len(leak.found.match.candidates)))
            return
        name = f"{token.token.name!r}, id {token.token.id}"
        if self.uses_own_token:
            print_warning(
                "the secret is the token that this command uses: without another one, the command "
                "is locked out after the change"
            )
        if not yes and not (can_ask() and confirm(f"Deactivate {name} now?")):
            print_status(f"Nothing was changed. To deactivate {name}, pass --yes.")
            return

        async def work(client: "AsyncClient", operator: "AsyncClient | None") -> "Check":
            return await leaks.deactivate(token, leak.found.claims, client, operator)

        notice = f"The token may have been deactivated: losant-tokens show {token.token.id}"
        try:
            with notice_if_interrupted(notice):
                leak.after = self._run(secret, work, GRACE)
        except LosantError as error:
            print_error(explain(error))
            return
        self._report(leak, token)

    def _report(self, leak: Leak, token: "OwnedToken") -> None:
        if leak.state == "dead":
            print_status(f"Deactivated {token.token.name!r}. The secret no longer works.")
            return
        change = f"{token.token.id} --status active --owner {token.owner}"
        undo = f"{self._command('patch')} {change}"
        print_warning(
            f"{token.token.name!r} was deactivated, but the secret may still work: "
            f"{leak.after.reason if leak.after else ''}. Run this command again in a minute. If "
            f"it still works, it belongs to another token. To undo: {undo}"
        )

    def _command(self, name: str) -> str:
        """Return a command for the same account."""
        return join(("losant-tokens", name, *self._connection.account_arguments()))

    def quarantine_created(self, leak: Leak, *, yes: bool, with_created: bool) -> int:
        """Plan a quarantine of the tokens that a token created, and ask before it is applied.

        Returns:
            The exit code.
        """
        active = [one for one in leak.found.created if one.token.is_active is not False]
        listed = [one for one in active if "operator" in one.via]
        if number := len(active) - len(listed):
            print_status(
                f"The token of this command does not list {format_count(number)} that it created: "
                "use a token of their owner."
            )
        if not listed:
            return 0
        creators = {str(getattr(one.token, "creator_id", "")): None for one in listed}
        # A forged secret can name any token that is dead, so a person must look at the plan.
        # A token that still works could create others after the quarantine.
        is_confirmed = with_created and leak.found.check.state == "works"
        may_quarantine = is_confirmed if yes else (leak.state == "dead" and can_ask())
        if not may_quarantine:
            rules = " ".join(f"--created-by {creator}" for creator in creators)
            owners = " ".join(f"--owner {owner}" for owner in _owners_of(listed))
            verb = "is" if len(listed) == 1 else "are"
            print_status(
                f"It created {format_count(len(listed))} that {verb} active. To quarantine them: "
                f"{self._command('quarantine')} --active {rules} {owners} --protect-seen off"
            )
            return 0
        try:
            return self._quarantine(tuple(creators), _owners_of(listed), yes=yes)
        except LosantError as error:
            problem = explain(error)
            print_error(problem)
            return problem.exit_code

    def _quarantine(
        self, creators: tuple[str, ...], owners: "tuple[Owner, ...]", *, yes: bool
    ) -> int:
        """Quarantine the active tokens that some tokens created, as the command does."""
        from losant_tokens.cli._jobs.workflow import plan_and_apply  # noqa: PLC0415 -- as above
        from losant_tokens.cli._options.jobs import (  # noqa: PLC0415 -- jobs are slow to import
            DEFAULT_GRACE,
            DEFAULT_SAFETY,
            RuleOptions,
            RunOptions,
        )
        from losant_tokens.cli._plans.planning import selection_planner  # noqa: PLC0415 -- as above

        rules = RuleOptions(active=True, created_by=creators)
        # Somebody else may use these tokens: that they are in use protects none of them.
        planner = selection_planner(
            rules,
            owners,
            DEFAULT_SAFETY,
            "deactivate",
            grace=DEFAULT_GRACE,
            evidence=lambda _: {"protect_seen": timedelta(0)},
        )
        print_status("Planning a quarantine of the tokens that it created.")
        return plan_and_apply(
            "quarantine", planner, None, RunOptions(yes=yes), DEFAULT_SAFETY, self._connection
        )

    def _run(
        self,
        secret: "Secret",
        work: "Callable[[AsyncClient, AsyncClient | None], Awaitable[T]]",
        grace: float = 0.0,
    ) -> T:
        """Run a coroutine function with open clients: for the secret, and for the own token."""
        client = secret_client(secret, self._connection)
        operator = new_client(self._connection) if has_own_token(self._connection) else None
        self.uses_own_token = operator is not None and operator.uses_secret(secret)
        if self.uses_own_token:
            operator = None

        async def run() -> T:
            async with AsyncExitStack() as stack:
                opened = await stack.enter_async_context(client)
                own = None if operator is None else await stack.enter_async_context(operator)
                return await work(opened, own)

        return run_until_stopped(run, grace=grace)


def _may_create(claims: "Claims") -> bool:
    return claims.can_create_tokens is not False


def _owners_of(tokens: "Iterable[OwnedToken]") -> "tuple[Owner, ...]":
    return tuple(dict.fromkeys(one.owner for one in tokens))


def _advice_without_token(candidates: int) -> str:
    """Return what to do about a secret that works if its token is not known."""
    if candidates:
        return (
            "The secret works. Nothing was changed, because one of several tokens is the right "
            "one. Compare them in Losant, and deactivate it: losant-tokens patch ID --status "
            "inactive. Then run this command again."
        )
    return (
        "The secret works, and no list has its token. Add the owners that may have it, with "
        "--owner, or use a token of its user. No list has the token of a login: if it may be one, "
        "change the password of the user, and run this command again."
    )
