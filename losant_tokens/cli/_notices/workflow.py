"""One run of `notify`: find the tokens of all accounts that expire soon, and send one message."""

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from losant_tokens import AsyncClient, Owner
from losant_tokens.cli._connections.chosen_accounts import (
    account_name,
    account_of,
    for_each_account,
    owners_of,
)
from losant_tokens.cli._errors import EXIT_SOME_FAILED, CommandError, explain
from losant_tokens.cli._notices.receivers import OutputSink, Receiver, known_tokens
from losant_tokens.cli._options.common import ConnectionOptions
from losant_tokens.cli._terminal.console import (
    print_error,
    print_status,
    print_warning,
    transient_status,
)
from losant_tokens.cli._terminal.format import format_count
from losant_tokens.errors import Forbidden, LosantError, NotFound, ScopeError
from losant_tokens.notices import (
    ExpiringToken,
    NoticeLedger,
    expiry_message,
    find_expiring,
    notify,
    with_last_seen,
)

if TYPE_CHECKING:
    from losant_tokens.jobs import Rule


@frozen
class _Found:
    """The tokens of an account that expire soon.

    Attributes:
        tokens: The tokens.
        is_complete: Whether the tokens of all owners were listed.
    """

    tokens: tuple[ExpiringToken, ...]
    is_complete: bool


@frozen(kw_only=True)
class NoticeRun:
    """One run of `notify`.

    Attributes:
        within: The thresholds.
        owners: The owners of `--owner`; none for those of the accounts.
        rule: The rule that selects tokens, or None.
        logs: The audit logs of `--seen-in`; none for those of the accounts.
        receiver: The receiver.
        ledger: The file of the ledger; None if there is none, and none is to be created.
        config: The configuration file of accounts; None for the default one.
        dry_run: Whether to print the message only.
    """

    within: tuple[timedelta, ...]
    owners: tuple[Owner, ...]
    rule: "Rule | None"
    logs: tuple[str, ...]
    receiver: Receiver
    ledger: Path | None
    config: Path | None
    dry_run: bool

    async def all_accounts(self, connections: Sequence[ConnectionOptions]) -> int:
        """Find the tokens of all accounts, send the message, and return the exit code."""
        with (
            transient_status("Listing the tokens..."),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always")
            results = await for_each_account(connections, self._find)
        for warning in caught:
            print_warning(str(warning.message))
        found: list[ExpiringToken] = []
        problems: list[CommandError] = []
        is_complete = True
        for one, result in zip(connections, results, strict=True):
            if isinstance(result, LosantError | CommandError):
                problem = explain(result) if isinstance(result, LosantError) else result
                prefix = f"{account_name(one)}: " if len(connections) > 1 else ""
                print_error(CommandError(f"{prefix}{problem}", problem.hint, problem.details))
                problems.append(problem)
            else:
                found += result.tokens
                is_complete &= result.is_complete
        if len(problems) == len(connections):
            return problems[0].exit_code
        is_complete &= not problems
        if is_complete or found:
            await self._send(found)
        return 0 if is_complete else EXIT_SOME_FAILED

    async def _find(self, client: AsyncClient, connection: ConnectionOptions) -> _Found:
        """Return the tokens of an account that expire soon."""
        account = account_of(connection)
        found = await self._find_expiring(client, connection)
        if client.server_time() is None:
            print_warning(
                "The server does not state its time, so the message relies on this machine's "
                "clock alone. Check that it is right."
            )
        logs = self.logs or (() if account is None else account.audit_logs)
        try:
            return evolve(found, tokens=await with_last_seen(client, found.tokens, logs))
        except LosantError as error:
            # The message matters more than this detail.
            print_warning(f"the message does not say which tokens are in use: {explain(error)}")
        return found

    async def _find_expiring(self, client: AsyncClient, connection: ConnectionOptions) -> _Found:
        """Return the tokens that expire soon, of all owners whose tokens can be listed."""
        chosen = await owners_of(client, connection, self.owners)
        is_complete = chosen.is_complete
        found: list[ExpiringToken] = []
        for owner in chosen.owners:
            try:
                found += await find_expiring(
                    client,
                    (owner,),
                    within=self.within,
                    select=self.rule,
                    account=connection.account or "",
                )
            except (Forbidden, NotFound, ScopeError) as error:
                if owner not in chosen.discovered:
                    raise
                is_complete = False
                print_warning(
                    f"{account_name(connection)}: the tokens of {owner} are missing: "
                    f"{explain(error)}"
                )
        return _Found(tuple(found), is_complete)

    async def _send(self, found: Sequence[ExpiringToken]) -> None:
        """Send the message, or print it, and print what was done."""
        ledger = None if self.ledger is None else NoticeLedger(self.ledger)
        if self.dry_run:
            # Two accounts may have access to the same token.
            found = tuple({one.key: one for one in found}.values())
            due = found if ledger is None else ledger.unreported(found)
            if due:
                output = OutputSink(as_json=self.receiver.as_json)
                await output.deliver(expiry_message(due))
            self._print_result(len(due), len(found) - len(due))
            return
        sink = self.receiver.without_secrets(known_tokens(self.config))
        # A line for a time would mix with a message on the same terminal.
        prints = isinstance(sink, OutputSink)
        sending = transient_status(f"Sending the message to {self.receiver.name}...")
        with nullcontext() if prints else sending:
            result = await notify(found, sink, ledger=ledger)
        self._print_result(len(result.tokens), result.reported_before)
        if result.left_out:
            print_status(
                f"The message does not name {format_count(result.left_out)}. The next run will."
            )

    def _print_result(self, reported: int, reported_before: int) -> None:
        """Print how many tokens were reported."""
        verb_before = "was" if reported_before == 1 else "were"
        before = f"{format_count(reported_before)} {verb_before} reported before"
        if reported:
            verb = "would be" if self.dry_run else "was" if reported == 1 else "were"
            end = f"; {before}" if reported_before else ""
            print_status(f"{format_count(reported)} {verb} reported to {self.receiver.name}{end}.")
        elif reported_before:
            print_status(f"Nothing new to report: {before}.")
        else:
            print_status("Nothing to report: no token expires soon.")
