"""`leaked`: whether a leaked secret works, which token it is, and what it created."""

import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from shlex import join
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from losant_tokens.cli._console import (
    can_ask,
    confirm,
    notice_if_interrupted,
    print_error,
    print_status,
    print_warning,
    questions_at_terminal,
    read_secret_text,
    transient_status,
    write_output,
)
from losant_tokens.cli._errors import (
    EXIT_CHANGES,
    EXIT_ERROR,
    CommandError,
    UsageError,
    explain,
)
from losant_tokens.cli._format import format_count
from losant_tokens.cli._job_options import DEFAULT_OWNERS, Owners
from losant_tokens.cli._options import (
    DEFAULT_ACCOUNTS,
    AccountsOptions,
    AtLeastOne,
    ConnectionOptions,
    flag,
    repeatable,
)
from losant_tokens.cli._stop_signals import GRACE
from losant_tokens.errors import LosantError

if TYPE_CHECKING:
    from losant_tokens import AsyncClient, Owner, Secret
    from losant_tokens.cli._leak_view import Leak
    from losant_tokens.jobs import LogSource
    from losant_tokens.leaks import Check, Claims, OwnedToken

_DEFAULT_LAST = 10
_ALL_LISTS = ("applications", "instances")
_BEST = (2, True)
T = TypeVar("T")


def respond_to_leak(
    *,
    owner: Annotated[Owners, Parameter(show_default=lambda _: "all that can be listed")] = (),
    yes: Annotated[bool, flag("Deactivate the token without confirmation.")] = False,
    with_created: Annotated[
        bool, flag("Deactivate the tokens that it created as well; needs --yes.")
    ] = False,
    seen_in: Annotated[
        tuple[str, ...],
        repeatable("LOG", "Show its last changes in the audit log LOG; repeat for more."),
    ] = (),
    last: Annotated[
        int,
        Parameter(metavar="N", validator=AtLeastOne, help="Show up to N changes."),
    ] = _DEFAULT_LAST,
    json: Annotated[bool, flag("Write JSON, without the secret.")] = False,
    connection: AccountsOptions = DEFAULT_ACCOUNTS,
) -> int:
    """Respond to a leaked secret: check, identify and deactivate it."""
    from losant_tokens.cli._json import as_json
    from losant_tokens.cli._leak_view import as_json_values
    from losant_tokens.leaks import find_secrets

    if with_created and (json or not yes):
        raise UsageError(
            "--with-created needs --yes, and cannot be combined with --json",
            "on a terminal, leave it out: the command asks",
        )
    logs = _read_logs(seen_in)
    _avoid_core_dumps()
    secrets = find_secrets(read_secret_text("Secret (not shown): "))
    if not secrets:
        raise CommandError(
            "standard input contains no secret",
            "pass the token, or the line with it: losant-tokens leaked < FILE",
        )
    responses = [_Response(owner, logs, last, one) for one in _connections(connection)]
    leaks: list[Leak] = []
    codes: set[int] = set()
    with questions_at_terminal():
        for number, secret in enumerate(secrets, 1):
            response, leak = _investigate(responses, secret)
            if len(secrets) > 1:
                leak.title = f"{number} of {len(secrets)}"
            if not json:
                response.show(leak)
            response.deactivate(leak, secret, yes=yes)
            response.find_created(leak, secret)
            if not json:
                response.show_created(leak)
                codes.add(response.quarantine_created(leak, yes=yes, with_created=with_created))
            leaks.append(leak)
    if json:
        write_output(as_json([as_json_values(leak) for leak in leaks]))
    states = {leak.state for leak in leaks}
    codes.add(EXIT_CHANGES if "works" in states else EXIT_ERROR if "unknown" in states else 0)
    return max(codes)


def _connections(options: AccountsOptions) -> tuple[ConnectionOptions, ...]:
    """Return the connections to the selected accounts. The command works without a token, too."""
    from losant_tokens.cli._accounts import selected_connections

    if options.account or options.all_accounts:
        return selected_connections(options)
    return (options.connection(None),)


def _investigate(responses: "Sequence[_Response]", secret: "Secret") -> "tuple[_Response, Leak]":
    """Ask the API of each account about a secret, until one of them has its token.

    Raises:
        CommandError: No account can be used.
        LosantError: The only account cannot be used.
    """
    found: list[tuple[_Response, Leak]] = []
    for response in responses:
        try:
            leak = response.investigate(secret)
        except (LosantError, CommandError) as error:
            if len(responses) == 1:
                raise
            print_warning(f"the account {response.account} cannot be used: {error}")
            continue
        found.append((response, leak))
        if _rank(leak) == _BEST:
            break
    if not found:
        raise CommandError("no account can be used")
    return max(found, key=lambda pair: _rank(pair[1]))


def _rank(leak: "Leak") -> tuple[int, bool]:
    """Return how much is known: first whether the secret works, then which token it is."""
    state = ("unknown", "dead", "works").index(leak.found.check.state)
    return state, leak.found.match.token is not None


def _read_logs(texts: Iterable[str]) -> "tuple[LogSource, ...]":
    from losant_tokens.errors import ValidationError
    from losant_tokens.jobs import LogSource

    try:
        return tuple(map(LogSource.parse, texts))
    except ValidationError as error:
        raise UsageError(f"Invalid value for --seen-in: {error}") from None


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


def _avoid_core_dumps() -> None:
    """Write no memory of this process, which holds the secret, to a file if it crashes."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


class _Response:
    """The response to leaked secrets, one by one."""

    def __init__(
        self,
        owners: "Iterable[Owner]",
        logs: "tuple[LogSource, ...]",
        last: int,
        connection: ConnectionOptions,
    ) -> None:
        from losant_tokens.cli._connect import account_or_none

        account = account_or_none(connection)
        self._owners = tuple(dict.fromkeys(owners))
        self._lists: tuple[str, ...] = ()
        if not self._owners:
            self._owners = DEFAULT_OWNERS if account is None else account.owners
            self._lists = (account and account.discover) or _ALL_LISTS
        self._logs = logs or _read_logs(account.audit_logs if account else ())
        self._last = last
        self._connection = connection
        self.account = connection.account
        self.uses_own_token = False

    def investigate(self, secret: "Secret") -> "Leak":
        """Ask the API about a secret."""
        from losant_tokens import leaks
        from losant_tokens.cli._leak_view import Leak

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
                try:
                    leak.actions = await leaks.latest_actions(
                        operator or client, self._logs, ids, self._last
                    )
                except LosantError as error:
                    print_warning(f"an audit log cannot be read: {explain(error)}")
            return leak

        with transient_status("Asking the API about the secret..."):
            return self._run(secret, work)

    async def _discover(self, leak: "Leak", client: "AsyncClient") -> None:
        """Add the owners that the API lists, unless the user has chosen some."""
        from losant_tokens.accounts import discover_owners

        lists, self._lists = self._lists, ()
        found = await discover_owners(client, lists)
        self._owners = tuple(dict.fromkeys((*self._owners, *found)))
        leak.not_listed |= found.problems

    def find_created(self, leak: "Leak", secret: "Secret") -> None:
        """Find the tokens that a token created, until it was deactivated, among all owners."""
        from losant_tokens import leaks

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
                print_warning(f"{name} cannot be listed: {reason}")

    def show_created(self, leak: "Leak") -> None:
        """Write which tokens a token created."""
        from losant_tokens.cli._leak_view import describe_created

        if leak.found.match.token is not None:
            write_output(describe_created(leak, sys.stdout))

    def show(self, leak: "Leak") -> None:
        """Write what is known about a secret."""
        from losant_tokens.cli._leak_view import describe_leak

        write_output(describe_leak(leak, sys.stdout))

    def deactivate(self, leak: "Leak", secret: "Secret", *, yes: bool) -> None:
        """Deactivate the token of a secret that works, if it is known and the user agrees."""
        from losant_tokens import leaks

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

    def _report(self, leak: "Leak", token: "OwnedToken") -> None:
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

    def quarantine_created(self, leak: "Leak", *, yes: bool, with_created: bool) -> int:
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
        if not (is_confirmed if yes else leak.state == "dead" and can_ask()):
            rules = " ".join(f"--created-by {creator}" for creator in creators)
            owners = " ".join(f"--owner {owner}" for owner in _owners_of(listed))
            print_status(
                f"It created {format_count(len(listed))} that are active. To quarantine them: "
                f"{self._command('quarantine')} --active {rules} {owners}"
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
        from losant_tokens.cli._job_options import (
            DEFAULT_GRACE,
            DEFAULT_SAFETY,
            RuleOptions,
            RunOptions,
        )
        from losant_tokens.cli._job_workflow import plan_and_apply
        from losant_tokens.cli._planning import selection_planner

        rules = RuleOptions(active=True, created_by=creators)
        planner = selection_planner(
            rules, owners, DEFAULT_SAFETY, "deactivate", None, DEFAULT_GRACE
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
    ) -> "T":
        """Run a coroutine function with open clients: for the secret, and for the own token."""
        from losant_tokens.cli._connect import has_own_token, new_client, secret_client
        from losant_tokens.cli._event_loop import report_retries, run_until_stopped

        report_retries()
        client = secret_client(secret, self._connection)
        operator = new_client(self._connection) if has_own_token(self._connection) else None
        self.uses_own_token = operator is not None and operator.uses_secret(secret)
        if self.uses_own_token:
            operator = None

        async def run() -> "T":
            async with AsyncExitStack() as stack:
                opened = await stack.enter_async_context(client)
                own = operator and await stack.enter_async_context(operator)
                return await work(opened, own)

        return run_until_stopped(run, grace=grace)
