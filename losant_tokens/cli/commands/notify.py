"""`notify`: send a message about tokens that expire soon."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from attrs import evolve, frozen
from cyclopts import Parameter, Token

from losant_tokens import Owner, parse_duration
from losant_tokens.cli._console import (
    print_error,
    print_status,
    print_warning,
    quiet_output,
    transient_status,
)
from losant_tokens.cli._errors import EXIT_SOME_FAILED, CommandError
from losant_tokens.cli._format import format_count
from losant_tokens.cli._job_options import SELECTION_GROUP, Owners
from losant_tokens.cli._options import (
    DEFAULT_ACCOUNTS,
    AccountsOptions,
    Quiet,
    audit_logs,
    flag,
    repeatable,
)
from losant_tokens.cli._receivers import NO_RECEIVER, Receiver, ReceiverOptions, known_tokens

if TYPE_CHECKING:
    from losant_tokens import AsyncClient
    from losant_tokens.cli._options import ConnectionOptions
    from losant_tokens.jobs import Rule
    from losant_tokens.notices import ExpiringToken

_DEFAULT_WITHIN = (timedelta(days=30),)
_SELECTION = Parameter(group=SELECTION_GROUP)
_LEDGERS = "notices"  # the folder in the state folder


def _read_thresholds(_: Any, tokens: Sequence[Token]) -> tuple[timedelta, ...]:
    thresholds = tuple(parse_duration(token.value) for token in tokens)
    if not all(thresholds):
        raise ValueError("it must be longer than 0")
    return thresholds


def notify(  # noqa: PLR0913 -- one parameter per option
    *,
    expires_within: Annotated[
        tuple[timedelta, ...],
        Parameter(
            metavar="DURATION",
            converter=_read_thresholds,
            accepts_keys=False,
            negative="",
            group=SELECTION_GROUP,
            show_default=lambda spans: f"{spans[0].days}d",
            help="Select tokens that expire within DURATION; repeatable.",
        ),
    ] = _DEFAULT_WITHIN,
    owner: Annotated[Owners, Parameter(show_default=lambda _: "the account's")] = (),
    named: Annotated[
        tuple[str, ...],
        repeatable("GLOB", "Select tokens whose name matches GLOB; repeat for alternatives."),
        _SELECTION,
    ] = (),
    except_named: Annotated[
        tuple[str, ...],
        repeatable("GLOB", "Always exclude tokens whose name matches GLOB; repeat for more."),
        _SELECTION,
    ] = (),
    seen_in: Annotated[
        tuple[str, ...],
        audit_logs("Show when LOG last saw a token; repeatable.", "the account's"),
        _SELECTION,
    ] = (),
    receiver: ReceiverOptions = NO_RECEIVER,
    ledger: Annotated[
        Path | None,
        Parameter(
            metavar="FILE",
            show_default=lambda _: "in the state folder",
            help="Use FILE as the record of what was reported.",
        ),
    ] = None,
    dry_run: Annotated[bool, flag("Print the message; send and record nothing.")] = False,
    quiet: Quiet = False,
    connection: AccountsOptions = DEFAULT_ACCOUNTS,
) -> int:
    """Send a message about tokens that expire soon, once."""
    from losant_tokens.cli._accounts import selected_connections
    from losant_tokens.cli._event_loop import report_retries, run_until_stopped

    rule = _rule(named, except_named)
    chosen = receiver.receiver()
    connections = selected_connections(connection)
    path = _ledger_path(ledger, chosen, may_create=not dry_run)
    run = _Run(
        within=expires_within,
        owners=owner,
        rule=rule,
        logs=seen_in,
        receiver=chosen,
        ledger=path,
        config=connection.config,
        dry_run=dry_run,
    )
    report_retries()

    async def work() -> int:
        return await run.all_accounts(connections)

    with quiet_output(quiet):
        return run_until_stopped(work)


@frozen
class _Found:
    """The tokens of an account that expire soon.

    Attributes:
        tokens: The tokens.
        is_complete: Whether the tokens of all owners were listed.
    """

    tokens: "tuple[ExpiringToken, ...]"
    is_complete: bool


@frozen(kw_only=True)
class _Run:
    """One run of the command.

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

    async def all_accounts(self, connections: "Sequence[ConnectionOptions]") -> int:
        """Find the tokens of all accounts, send the message, and return the exit code."""
        import warnings

        from losant_tokens.cli._accounts import account_name, for_each_account
        from losant_tokens.cli._errors import explain
        from losant_tokens.errors import LosantError

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

    async def _find(self, client: "AsyncClient", connection: "ConnectionOptions") -> _Found:
        """Return the tokens of an account that expire soon."""
        from losant_tokens.cli._accounts import account_of
        from losant_tokens.cli._errors import explain
        from losant_tokens.errors import LosantError
        from losant_tokens.notices import with_last_seen

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

    async def _find_expiring(
        self, client: "AsyncClient", connection: "ConnectionOptions"
    ) -> _Found:
        """Return the tokens that expire soon, of all owners whose tokens can be listed."""
        from losant_tokens.cli._accounts import owners_of
        from losant_tokens.errors import Forbidden, NotFound, ScopeError
        from losant_tokens.notices import find_expiring

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
                print_warning(f"the tokens of {owner} are missing: {error}")
        return _Found(tuple(found), is_complete)

    async def _send(self, found: "Sequence[ExpiringToken]") -> None:
        """Send the message, or print it, and print what was done."""
        from losant_tokens.cli._receivers import OutputSink
        from losant_tokens.notices import NoticeLedger, expiry_message, notify

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
        before = f"{format_count(reported_before)} {_were(reported_before)} reported before"
        if reported:
            verb = "would be" if self.dry_run else _were(reported)
            end = f"; {before}" if reported_before else ""
            print_status(f"{format_count(reported)} {verb} reported to {self.receiver.name}{end}.")
        elif reported_before:
            print_status(f"Nothing new to report: {before}.")
        else:
            print_status("Nothing to report: no token expires soon.")


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _rule(named: tuple[str, ...], except_named: tuple[str, ...]) -> "Rule | None":
    """Return the rule that selects tokens, or None for all tokens.

    Raises:
        UsageError: A glob is invalid.
    """
    from losant_tokens.cli._job_options import RuleOptions

    return RuleOptions(named=named, except_named=except_named).filter()


def _ledger_path(chosen: Path | None, receiver: Receiver, *, may_create: bool) -> Path | None:
    """Return the file of the ledger: one for each receiver in the state folder.

    Raises:
        CommandError: The state folder cannot be created.
    """
    from losant_tokens.cli._state_files import existing_state_folder, state_folder

    if chosen is not None:
        return chosen
    hint = "choose a file: --ledger FILE"
    folder = state_folder(hint) if may_create else existing_state_folder()
    return None if folder is None else folder / _LEDGERS / f"{receiver.id}.json"
