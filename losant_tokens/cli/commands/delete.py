"""`delete`: delete tokens by their ids."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from attrs import define, field
from cyclopts import Parameter

from losant_tokens import Owner
from losant_tokens.cli._errors import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    explain,
)
from losant_tokens.cli._options.common import (
    CURRENT_USER,
    DEFAULT_CONNECTION,
    AllowOwnToken,
    ConnectionOptions,
    OwnerOption,
    Quiet,
    Yes,
)
from losant_tokens.cli._options.parse import read_token_ids
from losant_tokens.cli._signals.stop_signals import GRACE, StopSignals
from losant_tokens.cli._terminal.console import (
    confirm,
    is_quiet,
    notice_if_interrupted,
    print_after_signal,
    print_error,
    print_status,
    quiet_output,
    require_terminal_or_yes,
    write_result,
)
from losant_tokens.cli._terminal.format import format_count, format_date, no_expiry
from losant_tokens.errors import LosantError, NotFound, ResponseError, TransportError

if TYPE_CHECKING:
    from losant_tokens import AsyncClient, OwnerTokens


def delete_tokens(
    token_ids: Annotated[
        tuple[str, ...], Parameter(name="ID...", help="Delete the tokens with these ids.")
    ],
    /,
    *,
    yes: Yes = False,
    allow_own_token: AllowOwnToken = False,
    owner: OwnerOption = CURRENT_USER,
    quiet: Quiet = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Delete tokens by id."""
    from losant_tokens.cli._connections.clients import new_client, refuse_own_token

    ids = read_token_ids(token_ids)
    require_terminal_or_yes("delete", yes=yes)
    with quiet_output(quiet):
        client = new_client(connection)
        refuse_own_token(client, ids, "delete", allowed=allow_own_token)
        if not yes:
            with notice_if_interrupted("Nothing was deleted."):
                is_confirmed = _confirm(owner, ids, connection)
            if not is_confirmed:
                print_status("Nothing was deleted.")
                return EXIT_ERROR
        deletion = _Deletion(ids)
        with deletion.signals.postponed():
            deletion.run(owner, client, connection)
            return deletion.report()


def _confirm(owner: Owner, ids: Sequence[str], connection: ConnectionOptions) -> bool:
    """Show the tokens and ask for confirmation. Without any token, do not ask."""
    from losant_tokens.cli._event_loop import call_for_each, run_with_tokens

    lines: dict[str, str] = {}
    missing: set[str] = set()

    def describe(token_id: str, outcome: object) -> None:
        name = getattr(outcome, "name", "?")
        expires = format_date(getattr(outcome, "expiration_date", None), no_expiry(outcome))
        lines[token_id] = f"  {token_id}  {name}  (expires: {expires})"
        if isinstance(outcome, LosantError):
            if is_missing := isinstance(outcome, NotFound):
                missing.add(token_id)
            problem = "not found" if is_missing else type(outcome).__name__
            lines[token_id] = f"  {token_id}  ({problem})"

    async def work(tokens: "OwnerTokens") -> None:
        await call_for_each(ids, tokens.get, describe)

    run_with_tokens(owner, work, connection)
    for token_id in ids:
        print_status(lines[token_id])
    number = len(ids) - len(missing)
    if number == 0:
        return False
    return confirm(
        "Delete this token permanently?"
        if number == 1
        else f"Delete these {format_count(number)} permanently?"
    )


@define
class _Deletion:
    """The deletion of several tokens, and the outcome of each."""

    ids: Sequence[str]
    signals: StopSignals = field(factory=StopSignals)
    _in_flight: set[str] = field(factory=set)
    _in_doubt: set[str] = field(factory=set)
    _deleted: int = 0
    _failed: int = 0

    def run(self, owner: Owner, client: "AsyncClient", connection: ConnectionOptions) -> None:
        """Delete the tokens until all are done or a signal stops the work."""
        from losant_tokens.cli._event_loop import call_for_each, run_with_tokens

        async def work(tokens: "OwnerTokens") -> None:
            await call_for_each(
                self._pending(), tokens.delete, self._record, started=self._in_flight.add
            )

        # After a signal, the report needs only the counters and the tokens in flight.
        with suppress(KeyboardInterrupt):
            run_with_tokens(
                owner, work, connection, client=client, signals=self.signals, grace=GRACE
            )

    def _pending(self) -> Iterator[str]:
        """Yield ids until a signal arrives."""
        for token_id in self.ids:
            if self.signals.count:
                return
            yield token_id

    def _record(self, token_id: str, outcome: object) -> None:
        """Record and print the outcome of one token."""
        self._in_flight.discard(token_id)
        if not isinstance(outcome, LosantError):
            self._deleted += 1
            if not is_quiet():
                write_result(f"{token_id}\n")
            return
        self._failed += 1
        if _is_ambiguous(outcome):
            self._in_doubt.add(token_id)
        print_error(explain(outcome))

    def report(self) -> int:
        """Print the totals and return the exit code."""
        in_doubt = [one for one in self.ids if one in self._in_flight or one in self._in_doubt]
        for token_id in in_doubt:
            print_after_signal(f"{token_id} may have been deleted: no response confirms it.")
        not_started = len(self.ids) - self._deleted - self._failed - len(self._in_flight)
        parts = [
            f"Deleted {self._deleted} of {len(self.ids)}",
            *([f"{len(in_doubt)} may have been deleted"] if in_doubt else []),
            *([f"{not_started} not started"] if not_started else []),
        ]
        line = f"{', '.join(parts)}."
        if self.signals.count and (not_started or in_doubt):
            print_after_signal(line)
            return EXIT_INTERRUPTED
        print_status(line)
        return EXIT_SOME_FAILED if self._failed else 0


def _is_ambiguous(error: LosantError) -> bool:
    """Return whether the token may have been deleted in spite of the error."""
    return isinstance(error, ResponseError) or (
        isinstance(error, TransportError) and error.ambiguous
    )
