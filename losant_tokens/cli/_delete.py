"""`delete`: asks, deletes what can be deleted, and tells of each."""

import sys
from collections.abc import Sequence

from losant_tokens import Owner
from losant_tokens._limits import ID
from losant_tokens._owner import OwnerTokens
from losant_tokens.cli._errors import FAILED, SOME_FAILED, UsageError, complain, explained, say
from losant_tokens.cli._service import connected, each
from losant_tokens.cli._text import day, never
from losant_tokens.errors import LosantError


def delete_tokens(owner: Owner, ids: Sequence[str], *, yes: bool) -> int:
    """Deletes tokens, all that can be. The ids of those deleted go to stdout, in the same order."""
    wrong = [token_id for token_id in ids if not ID.fullmatch(token_id)]
    if wrong:
        raise UsageError(f"an id has 24 hexadecimal digits, but this has not: {wrong[0]!r}")
    once = list(dict.fromkeys(map(str.lower, ids)))
    if not yes and not _agreed(owner, once):
        say("Nothing was deleted.")
        return FAILED
    outcomes: dict[str, object] = {}

    async def work(tokens: OwnerTokens) -> None:
        await each(once, tokens.delete, outcomes.__setitem__)

    try:
        connected(owner, work)
    finally:  # also when interrupted: what is gone is gone
        ended = [(token_id, outcomes[token_id]) for token_id in once if token_id in outcomes]
        failed = [outcome for _, outcome in ended if isinstance(outcome, LosantError)]
        for error in failed:
            complain(explained(error))
        for token_id, outcome in ended:
            if not isinstance(outcome, LosantError):
                sys.stdout.write(f"{token_id}\n")
        say(f"Deleted {len(outcomes) - len(failed)} of {len(once)}.")
    return SOME_FAILED if failed else 0


def _agreed(owner: Owner, ids: Sequence[str]) -> bool:
    """Asks on a terminal, showing what it is about."""
    if not sys.stdin.isatty():
        raise UsageError("without a terminal to ask on, delete needs --yes")
    lines: dict[str, str] = {}

    def note(token_id: str, outcome: object) -> None:
        name = getattr(outcome, "name", "?")
        expires = day(getattr(outcome, "expiration_date", None), never(outcome))
        lines[token_id] = f"  {token_id}  {name}  (expires: {expires})"
        if isinstance(outcome, LosantError):
            lines[token_id] = f"  {token_id}  ({type(outcome).__name__})"

    async def work(tokens: OwnerTokens) -> None:
        await each(ids, tokens.get, note)

    connected(owner, work)
    for token_id in ids:
        say(lines[token_id])
    sys.stderr.write(f"Delete {'this token' if len(ids) == 1 else f'these {len(ids)}'}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
