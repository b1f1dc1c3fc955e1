"""The files that the command keeps in its state folder: plans, journals, and the ledger.

The files of complete jobs are pruned. Files of incomplete jobs, of quarantines with waiting tokens,
and files that cannot be read are kept.
"""

import os
import re
import shutil
import stat
import tempfile
import warnings
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from losant_tokens import jobs
from losant_tokens.cli._errors import CommandError
from losant_tokens.cli._options.jobs import DEFAULT_PRUNE_AGE
from losant_tokens.cli._terminal.console import is_quiet, print_status, write_result
from losant_tokens.errors import LosantError

_PLAN = re.compile(r"(?:plan|cleanup|quarantine|sweep|restore)-[0-9]{8}T[0-9]{6}\.[0-9]{6}Z\.jsonl")
_HALF_WRITTEN = re.compile(r"\..+\.[0-9a-f]{8}\.part")
_STALE = timedelta(days=1)  # The age of abandoned half-written files; writing takes seconds.
REFUSED_PLAN = "refused-plan.jsonl"  # The last one, for a review. It can never be applied.
LEDGER = "quarantines"
"""The name of the folder in the state folder that records quarantines."""
ROTATIONS = "rotations"
"""The name of the folder in the state folder that has the journals of rotations."""
ROTATION_JOURNAL = "Z.journal"
"""The end of the name of the journal of a rotation. That of a deactivation has another end."""

WARNINGS = "policy-warnings.json"
"""The name of the file in the state folder that records the warnings of policies."""


def new_plan_path(command: str) -> Path:
    """Return the path of a new plan in the state folder, and prune the folder.

    Args:
        command: The command that makes the plan.

    Raises:
        CommandError: The folder cannot be created.
    """
    folder = state_folder("choose a file for the plan: --out FILE")
    prune(folder, DEFAULT_PRUNE_AGE)
    return folder / f"{command}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.jsonl"


def keep_refused_plan(plan: jobs.Plan) -> Path | None:
    """Copy a refused plan to the state folder, for a review, and replace the one before.

    Returns:
        The path of the copy; None if it cannot be written.
    """
    with suppress(OSError, CommandError):
        path = state_folder("") / REFUSED_PLAN
        part = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as copy, plan.path.open("rb") as original:
            shutil.copyfileobj(original, copy)
        return part.replace(path)
    return None


def journal_path(plan: jobs.Plan, chosen: Path | None) -> Path:
    """Return the file of a plan's journal.

    It is the chosen one, or a file beside the plan, or a file in the state folder if the folder of
    the plan is read-only.

    Raises:
        CommandError: The state folder is needed and cannot be created.
    """
    if chosen is not None:
        return chosen
    beside = jobs.journal_path(plan)
    if beside.exists() or os.access(beside.parent, os.W_OK):
        return beside
    folder = state_folder("choose a file for the journal: --journal FILE")
    journal = folder / _journal_name(plan)
    print_status(f"{beside.parent} is read-only, so the journal is {journal}.")
    return journal


def existing_journal(plan: jobs.Plan) -> Path | None:
    """Return the file of a plan's journal at one of its default paths, or None."""
    folder = existing_state_folder()
    paths = [jobs.journal_path(plan), *([] if folder is None else [folder / _journal_name(plan)])]
    return next((path for path in paths if path.exists()), None)


def _journal_name(plan: jobs.Plan) -> str:
    """Return the name of a journal in the state folder, which many plans share."""
    digest = re.sub(r"[^0-9a-zA-Z]", "", plan.digest)[:40]
    return f"{digest}.journal"


def state_folder(hint: str) -> Path:
    """Return the state folder, and create it if it is missing.

    Args:
        hint: What to do if it cannot be created.

    Raises:
        CommandError: It cannot be created.
    """
    state = os.environ.get("XDG_STATE_HOME")
    if state:
        return _create(Path(state) / "losant-tokens", hint)
    try:
        return _create(Path.home() / ".local" / "state" / "losant-tokens", hint)
    except (RuntimeError, CommandError):  # There is no home folder, or it is read-only.
        return _private_temporary_folder(hint)


def _private_temporary_folder(hint: str) -> Path:
    """Return a private folder among the temporary files, which a restart may remove."""
    folder = _create(_temporary_folder(), hint)
    if not _is_private(folder):
        raise CommandError(f"{folder} belongs to another user, or other users can access it", hint)
    return folder


def _is_private(folder: Path) -> bool:
    """Return whether only this user can access a folder, which is not a symbolic link."""
    info = folder.lstat()
    getuid = getattr(os, "getuid", None)
    is_open = getuid is not None and (info.st_uid != getuid() or info.st_mode & 0o077)
    return stat.S_ISDIR(info.st_mode) and not is_open


def is_temporary(folder: Path) -> bool:
    """Return whether a state folder is among the temporary files."""
    return folder == _temporary_folder()


def _temporary_folder() -> Path:
    getuid = getattr(os, "getuid", None)
    name = f"losant-tokens-{getuid()}" if getuid is not None else "losant-tokens"
    return Path(tempfile.gettempdir()) / name


def _create(folder: Path, hint: str) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{folder} cannot be created: {error.strerror}", hint) from None
    if not os.access(folder, os.W_OK):
        raise CommandError(f"{folder} cannot be written", hint)
    return folder


# --- Pruning ---------------------------------------------------------------------------------


def existing_state_folder() -> Path | None:
    """Return the state folder, or None if it does not exist.

    A temporary folder that other users can access is not used: they could write plans and
    quarantines into it.
    """
    if state := os.environ.get("XDG_STATE_HOME"):
        places = [Path(state) / "losant-tokens"]
    else:
        places = []
        with suppress(OSError):  # It does not exist.
            if _is_private(temporary := _temporary_folder()):
                places = [temporary]
        with suppress(RuntimeError):  # There is no home folder.
            places.insert(0, Path.home() / ".local" / "state" / "losant-tokens")
    return next((place for place in places if place.is_dir()), None)


def plan_files(folder: Path) -> list[Path]:
    """Return the plans without a name of their own in the state folder, the oldest first."""
    with suppress(OSError):
        found = [path for path in folder.iterdir() if _PLAN.fullmatch(path.name)]
        return sorted(found, key=lambda path: path.name.partition("-")[2])
    return []


def prune_state_folder(older_than: timedelta) -> int:
    """Prune the state folder, print the files that were removed, and return the exit code."""
    folder = existing_state_folder()
    removed = [] if folder is None else prune(folder, older_than)
    if not is_quiet():
        write_result("".join(f"{path}\n" for path in removed))
    print_status(f"Removed {len(removed)} file{'' if len(removed) == 1 else 's'}.")
    return 0


def prune(folder: Path, older_than: timedelta) -> list[Path]:
    """Remove the files of complete jobs and half-written files; return the removed files.

    A plan that was never applied is removed. A quarantine is kept with all of its files until later
    jobs have deleted or activated all of its tokens, and so is the rotation that it belongs to.

    Args:
        folder: The state folder.
        older_than: The minimum time since the end of a job.
    """
    now = datetime.now(UTC)
    ended_before = now - older_than
    ledger = jobs.Ledger(folder / LEDGER)
    with warnings.catch_warnings():
        # A file that cannot be read is kept. `quarantine list` reports it.
        warnings.simplefilter("ignore", jobs.PlanWarning)
        removed = _prune_half_written(folder, now) + _prune_half_written(ledger.folder, now)
        settled = ledger.prune(ended_before)
        names = {report.stem for report in settled}
        for path in plan_files(folder):
            with suppress(OSError, LosantError):
                removed += _prune_job(path, ended_before, folder, names)
        for path in sorted((folder / ROTATIONS).glob(f"*{ROTATION_JOURNAL}")):
            with suppress(OSError, LosantError):
                removed += _prune_rotation(path, ended_before, folder, names)
    return removed + settled


def _prune_half_written(folder: Path, now: datetime) -> list[Path]:
    removed: list[Path] = []
    stale_before = (now - _STALE).timestamp()
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if not _HALF_WRITTEN.fullmatch(path.name) or path.is_symlink():
                continue
            with suppress(OSError):
                if path.is_file() and path.stat().st_mtime < stale_before:
                    path.unlink()
                    removed.append(path)
    return removed


def _prune_rotation(
    path: Path, ended_before: datetime, folder: Path, settled: Collection[str]
) -> list[Path]:
    """Remove the files of a rotation if it is complete and ended before a time.

    Args:
        path: The journal of the rotation.
        ended_before: The time.
        folder: The state folder.
        settled: As for `_prune_job`.
    """
    if path.stat().st_mtime >= ended_before.timestamp():
        return []
    rotation = jobs.read_rotation(path)
    if rotation.is_running or not rotation.is_complete:
        return []
    plans = [*path.parent.glob(f"{path.name}.*.jsonl")]
    removed = [file for plan in plans for file in _prune_job(plan, ended_before, folder, settled)]
    # The journal is removed last, because the plans are found by its name.
    if not any(plan.exists() for plan in plans):
        path.unlink()
        removed.append(path)
    return removed


def _prune_job(
    path: Path, ended_before: datetime, folder: Path, settled: Collection[str]
) -> list[Path]:
    """Remove a plan and its journal if the job is complete and ended before a time.

    Args:
        path: The plan.
        ended_before: The time.
        folder: The state folder.
        settled: The names of the reports that the ledger has just removed, without suffix.
    """
    journal = path.with_name(f"{path.name}.journal")
    files = [path, *([journal] if journal.exists() else [])]
    if any(file.stat().st_mtime >= ended_before.timestamp() for file in files):
        return []
    plan = jobs.Plan.read(path)
    state = jobs.job_state(plan, journal)
    if state.is_running or (state.is_started and not state.is_complete):
        return []
    name = f"quarantine-{plan.id}"
    if (folder / LEDGER / f"{name}.json").exists():
        return []
    has_deactivated = plan.header.action == "deactivate" and state.counts[jobs.Outcome.DONE] > 0
    if has_deactivated and name not in settled:
        return []
    # The plan is removed last, because the journal is found by the name of the plan.
    for file in reversed(files):
        file.unlink()
    return files
