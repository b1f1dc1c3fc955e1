"""`notify`: send a message about tokens that expire soon."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, Token

from losant_tokens import parse_duration
from losant_tokens.cli._notices.receivers import NO_RECEIVER, Receiver, ReceiverOptions
from losant_tokens.cli._options.common import (
    DEFAULT_ACCOUNTS,
    AccountsOptions,
    Quiet,
    audit_logs,
    flag,
    repeatable,
)
from losant_tokens.cli._options.jobs import SELECTION_GROUP, Owners
from losant_tokens.cli._terminal.console import quiet_output

if TYPE_CHECKING:
    from losant_tokens.jobs import Rule

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
    """Send one message about tokens that expire soon."""
    from losant_tokens.cli._connections.chosen_accounts import selected_connections
    from losant_tokens.cli._event_loop import run_until_stopped
    from losant_tokens.cli._notices.workflow import NoticeRun

    rule = _rule(named, except_named)
    chosen = receiver.receiver()
    connections = selected_connections(connection)
    path = _ledger_path(ledger, chosen, may_create=not dry_run)
    run = NoticeRun(
        within=expires_within,
        owners=owner,
        rule=rule,
        logs=seen_in,
        receiver=chosen,
        ledger=path,
        config=connection.config,
        dry_run=dry_run,
    )

    async def work() -> int:
        return await run.all_accounts(connections)

    with quiet_output(quiet):
        return run_until_stopped(work)


def _rule(named: tuple[str, ...], except_named: tuple[str, ...]) -> "Rule | None":
    """Return the rule that selects tokens, or None for all tokens.

    Raises:
        UsageError: A glob is invalid.
    """
    from losant_tokens.cli._options.jobs import RuleOptions

    return RuleOptions(named=named, except_named=except_named).filter()


def _ledger_path(chosen: Path | None, receiver: Receiver, *, may_create: bool) -> Path | None:
    """Return the file of the ledger: one for each receiver in the state folder.

    Raises:
        CommandError: The state folder cannot be created.
    """
    from losant_tokens.cli._state.files import existing_state_folder, state_folder

    if chosen is not None:
        return chosen
    hint = "choose a file: --ledger FILE"
    folder = state_folder(hint) if may_create else existing_state_folder()
    return None if folder is None else folder / _LEDGERS / f"{receiver.id}.json"
