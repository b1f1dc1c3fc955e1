"""Files that the command keeps for itself: plans without a name of their own, and journals.

They lie in one folder. Those of complete jobs are pruned; those of half-done jobs, quarantines
and anything that cannot be read stay.
"""

import json
import os
import re
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from losant_tokens import jobs
from losant_tokens.cli._errors import CommandError, say
from losant_tokens.cli._job_parameters import HALF_A_YEAR
from losant_tokens.cli._tables import write_result
from losant_tokens.errors import LosantError

_PLAN = re.compile(r"(?:plan|cleanup|sweep|restore)-[0-9]{8}T[0-9]{6}\.[0-9]{6}Z\.jsonl")
_PART = re.compile(r"\..+\.[0-9a-f]{8}\.part")
_STALE = timedelta(days=1)  # for half-written files; to write one takes seconds
_ENDED = frozenset({"done", "gone", "changed", "protected", "failed"})


def own_file(name: str) -> Path:
    """Return the path of a new file in the command's own folder, and prune that folder.

    Raises:
        CommandError: The folder cannot be made.
    """
    folder = state_folder("name a file for the plan: --out")
    prune(folder, HALF_A_YEAR)
    return folder / f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.jsonl"


def journal_for(plan: jobs.Plan, chosen: Path | None) -> Path:
    """Return the journal of a plan: as chosen, beside the plan, or in the command's own folder.

    Raises:
        CommandError: The journal can be nowhere.
    """
    if chosen is not None:
        return chosen
    beside = jobs.journal_of(plan)
    if beside.exists() or os.access(beside.parent, os.W_OK):
        return beside
    digest = re.sub(r"[^0-9a-zA-Z]", "", plan.digest)[:40]
    journal = state_folder("name a file for the journal: --journal") / f"{digest}.journal"
    say(f"{beside.parent} is read-only, so the journal is {journal}.")
    return journal


def state_folder(hint: str) -> Path:
    """Return the command's own folder, and make it if it is missing.

    Args:
        hint: What to do if it cannot be made.

    Raises:
        CommandError: It cannot be made.
    """
    state = os.environ.get("XDG_STATE_HOME")
    if state:
        return _made(Path(state) / "losant-tokens", hint)
    try:
        return _made(Path.home() / ".local" / "state" / "losant-tokens", hint)
    except (RuntimeError, CommandError):  # No home, or one that is read-only.
        return _temporary(hint)


def _temporary(hint: str) -> Path:
    """Return a private folder among the temporary files, which a restart may remove."""
    folder = _made(_temporary_folder(), hint)
    info = folder.lstat()
    getuid = getattr(os, "getuid", None)
    if getuid is not None and (info.st_uid != getuid() or info.st_mode & 0o077):
        raise CommandError(f"{folder} belongs to somebody else, or is open to others", hint)
    return folder


def _temporary_folder() -> Path:
    getuid = getattr(os, "getuid", None)
    name = f"losant-tokens-{getuid()}" if getuid is not None else "losant-tokens"
    return Path(tempfile.gettempdir()) / name


def _made(folder: Path, hint: str) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{folder} cannot be made: {error.strerror}", hint) from None
    if not os.access(folder, os.W_OK):
        raise CommandError(f"{folder} cannot be written", hint)
    return folder


# --- Pruning ---------------------------------------------------------------------------------


def existing_state_folder() -> Path | None:
    """Return the command's own folder if it exists."""
    if state := os.environ.get("XDG_STATE_HOME"):
        places = [Path(state) / "losant-tokens"]
    else:
        places = [_temporary_folder()]
        with suppress(RuntimeError):  # No home.
            places.insert(0, Path.home() / ".local" / "state" / "losant-tokens")
    return next((place for place in places if place.is_dir()), None)


def prune_own_folder(older_than: timedelta) -> int:
    """Prune the command's own folder, and print the files that were removed."""
    folder = existing_state_folder()
    removed = [] if folder is None else prune(folder, older_than)
    write_result("".join(f"{path}\n" for path in removed))
    say(f"Removed {len(removed)} file{'' if len(removed) == 1 else 's'}.")
    return 0


def prune(folder: Path, older_than: timedelta) -> list[Path]:
    """Remove the files of complete jobs, and half-written files; return what was removed.

    A plan that was never applied goes, too. Quarantines stay: what they deactivated may still be
    restored or swept.

    Args:
        folder: The command's own folder.
        older_than: How long ago a job must have ended.
    """
    removed: list[Path] = []
    now = datetime.now(UTC).timestamp()
    try:
        files = sorted(folder.iterdir())
    except OSError:
        return removed
    for path in files:
        with suppress(OSError):
            if path.is_symlink() or not path.is_file():
                continue
            if _PART.fullmatch(path.name) and path.stat().st_mtime < now - _STALE.total_seconds():
                path.unlink()
                removed.append(path)
            elif _PLAN.fullmatch(path.name):
                removed += _prune_run(path, now - older_than.total_seconds())
    return removed


def _prune_run(path: Path, before: float) -> list[Path]:
    """Remove a plan and its journal, if the job is complete and ended long enough ago."""
    journal = path.with_name(f"{path.name}.journal")
    files = [path, *([journal] if journal.exists() else [])]
    if any(file.stat().st_mtime >= before for file in files):
        return []
    try:
        plan = jobs.Plan.read(path)
    except LosantError:
        return []
    if plan.header.action == "deactivate" or not _is_over(plan, files[1:]):
        return []
    for file in reversed(files):  # The plan last: without it, nobody knows the journal.
        file.unlink()
    return files


def _is_over(plan: jobs.Plan, journals: list[Path]) -> bool:
    """Return whether a job was never begun, or has an outcome for each token."""
    try:
        return all(_has_all_outcomes(journal, len(plan)) for journal in journals)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return False


def _has_all_outcomes(journal: Path, size: int) -> bool:
    ended = [False] * size
    with journal.open("rb") as file:
        if json.loads(file.readline())["format"] != "losant-tokens journal":
            return False
        for line in file:
            data = json.loads(line)
            if "n" not in data:
                continue
            numbers = data["n"] if isinstance(data["n"], list) else [data["n"]]
            for number in numbers:
                ended[number] = data["is"] in _ENDED
    return all(ended)
