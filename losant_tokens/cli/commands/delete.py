"""`delete`: asks, deletes what can be deleted, and reports each token as soon as it is gone."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from attrs import define, field

from losant_tokens import AsyncClient, Owner
from losant_tokens._resources.owner_tokens import OwnerTokens
from losant_tokens._validators import ID_PATTERN
from losant_tokens.cli._connect import connected, each, new_client, refuse_own_token
from losant_tokens.cli._connection import Connection
from losant_tokens.cli._errors import (
    FAILED,
    INTERRUPTED,
    SOME_FAILED,
    UsageError,
    complain,
    explained,
    quiet,
    say,
    say_stopped,
)
from losant_tokens.cli._parse import day, never
from losant_tokens.cli._prompt import agreed, need_terminal_or_yes
from losant_tokens.cli._signals import GRACE, StopSignals
from losant_tokens.cli._tables import write_result
from losant_tokens.errors import LosantError, ResponseError, TransportError


def delete_tokens(
    owner: Owner,
    ids: Sequence[str],
    connection: Connection,
    *,
    yes: bool,
    allow_own_token: bool,
    is_quiet: bool,
) -> int:
    """Delete tokens, all that can be; print each id as soon as the token is gone."""
    for token_id in ids:
        if not ID_PATTERN.fullmatch(token_id):
            raise UsageError(f"an id has 24 hexadecimal digits, but this has not: {token_id!r}")
    need_terminal_or_yes("delete", yes=yes)
    once = list(dict.fromkeys(map(str.lower, ids)))
    with quiet(is_quiet):
        client = new_client(connection)
        refuse_own_token(client, once, "delete", allowed=allow_own_token)
        if not yes and not _agreed(owner, once, connection):
            say("Nothing was deleted.")
            return FAILED
        deletion = _Deletion(once)
        with deletion.signals.postponed():
            deletion.run(owner, client, connection)
            return deletion.exit_code()


@define
class _Deletion:
    """Tokens that are deleted, and what is known about each."""

    ids: Sequence[str]
    signals: StopSignals = field(factory=StopSignals)
    _in_flight: set[str] = field(factory=set)
    _in_doubt: set[str] = field(factory=set)
    _deleted: int = 0
    _failed: int = 0

    def run(self, owner: Owner, client: AsyncClient, connection: Connection) -> None:
        """Delete until all is done, or a signal and the grace period end it."""

        async def work(tokens: OwnerTokens) -> None:
            await each(self._due(), tokens.delete, self._done, begun=self._in_flight.add)

        with suppress(
            KeyboardInterrupt
        ):  # The signals are counted, and the tokens in flight known.
            connected(owner, work, connection, client=client, signals=self.signals, grace=GRACE)

    def _due(self) -> Iterator[str]:
        """Yield ids until a signal says to stop."""
        for token_id in self.ids:
            if self.signals.count:
                return
            yield token_id

    def _done(self, token_id: str, outcome: object) -> None:
        self._in_flight.discard(token_id)
        if not isinstance(outcome, LosantError):
            self._deleted += 1
            write_result(f"{token_id}\n")
            return
        self._failed += 1
        if _is_ambiguous(outcome):
            self._in_doubt.add(token_id)
        complain(explained(outcome))

    def exit_code(self) -> int:
        """Print the totals and return the exit code."""
        unknown = [one for one in self.ids if one in self._in_flight or one in self._in_doubt]
        for token_id in unknown:
            say_stopped(f"{token_id} may have been deleted: no answer says so.")
        left = len(self.ids) - self._deleted - self._failed - len(self._in_flight)
        parts = [
            f"Deleted {self._deleted} of {len(self.ids)}",
            *([f"{len(unknown)} may have been deleted"] if unknown else []),
            *([f"{left} not started"] if left else []),
        ]
        line = f"{', '.join(parts)}."
        if self.signals.count and (left or unknown):
            say_stopped(line)
            return INTERRUPTED
        say(line)
        return SOME_FAILED if self._failed else 0


def _is_ambiguous(error: LosantError) -> bool:
    """Return whether the request may have been carried out."""
    return isinstance(error, ResponseError) or (
        isinstance(error, TransportError) and error.ambiguous
    )


def _agreed(owner: Owner, ids: Sequence[str], connection: Connection) -> bool:
    """Show the tokens and ask."""
    lines: dict[str, str] = {}

    def note(token_id: str, outcome: object) -> None:
        name = getattr(outcome, "name", "?")
        expires = day(getattr(outcome, "expiration_date", None), never(outcome))
        lines[token_id] = f"  {token_id}  {name}  (expires: {expires})"
        if isinstance(outcome, LosantError):
            lines[token_id] = f"  {token_id}  ({type(outcome).__name__})"

    async def work(tokens: OwnerTokens) -> None:
        await each(ids, tokens.get, note)

    connected(owner, work, connection)
    for token_id in ids:
        say(lines[token_id])
    return agreed(f"Delete {'this token' if len(ids) == 1 else f'these {len(ids)}'}?")
