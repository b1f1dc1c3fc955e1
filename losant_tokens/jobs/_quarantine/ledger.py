"""`Ledger`: a folder with the reports of quarantines, sweeps and restores.

The problem: to sweep or restore a quarantine months later, somebody must still have its report, and
must know which of its tokens were swept or restored meanwhile. A job can be killed at any time, so
its report may never have been written.

The approach: the ledger keeps the report of each such job under the id of its plan. The report is
recorded twice: before the job changes anything, and at its end. An unfinished report names the plan
and the journal, so after a crash the state of the job is read from these. Later reports name the
quarantines that their tokens are in, so what became of each token follows from the reports alone.
There is no index that could differ from them.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from losant_tokens import Owner
from losant_tokens._utils.private_files import is_own, reason
from losant_tokens._utils.warn_caller import warn_caller
from losant_tokens.jobs._errors import JobError, PlanRefused
from losant_tokens.jobs._execution.report_from_journal import job_report
from losant_tokens.jobs._plan.format import short_id
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._quarantine.obstacles import Key, key_of
from losant_tokens.jobs._quarantine.quarantine import (
    FAILED,
    RESTORED,
    SWEPT,
    Quarantine,
    read_report,
    refusing_unreadable,
)
from losant_tokens.jobs._report.report import Report
from losant_tokens.jobs._types import Action, Outcome, PlanWarning

_NAMES: Mapping[Action, str] = {
    "deactivate": "quarantine",
    "delete": "sweep",
    "activate": "restore",
}
_RESULTS: Mapping[tuple[str, str | None], str] = {
    ("delete", Outcome.DONE.value): SWEPT,
    ("activate", Outcome.DONE.value): RESTORED,
    ("delete", Outcome.FAILED.value): FAILED,
    ("activate", Outcome.FAILED.value): FAILED,
}


@attrs.frozen
class _Step:
    """The report of a sweep or a restore."""

    path: Path
    """The file of the report."""
    begun: str
    """When the job was first started."""
    quarantines: frozenset[str]
    """The ids of the quarantines."""
    results: Mapping[Key, str]
    """The result for each token that the job deleted, activated or failed to change."""


@attrs.frozen
class Ledger:
    """A folder that keeps the reports of quarantines, and of their sweeps and restores."""

    folder: Path = attrs.field(converter=Path)
    """The folder. It is created when the first report is recorded."""

    def record(self, report: Report) -> Path | None:
        """Record the report of a job, and return its file; `None` if it is about no quarantine.

        Record it before the job starts and at its end. Only you can read the file.

        Args:
            report: The report, complete or not: see `job_report`.

        Raises:
            JobError: The file cannot be written.
        """
        header = report.plan.header
        if not header.total.selected or (header.action != "deactivate" and not header.quarantines):
            return None
        # The plan and the journal must be found from any folder.
        plan = attrs.evolve(report.plan.detached(), path=report.plan.path.absolute())
        report = attrs.evolve(report, plan=plan, journal=report.journal.absolute())
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise JobError(f"{self.folder} cannot be created: {reason(error)}") from None
        return report.save(self.folder / f"{_NAMES[header.action]}-{plan.id}.json")

    def quarantines(self) -> tuple[Quarantine, ...]:
        """Return the quarantines that deactivated tokens, or may have, the newest first.

        A `PlanWarning` names each file that cannot be read.
        """
        steps = self._steps()
        found = [one for one in self._recorded() if one.total or one.unfinished]
        known = [attrs.evolve(one, results=_results(one, steps)) for one in found]
        return tuple(sorted(known, key=_created_at, reverse=True))

    def _steps(self) -> list[_Step]:
        """Return all sweeps and restores whose files can be read, the oldest first."""
        steps = [step for path in self._files("delete", "activate") if (step := _read_step(path))]
        return sorted(steps, key=lambda step: step.begun)

    def _recorded(self) -> list[Quarantine]:
        """Return all quarantines whose files can be read, also those that changed nothing."""
        return [one for path in self._files("deactivate") if (one := _read_quarantine(path))]

    def prune(self, ended_before: datetime) -> list[Path]:
        """Remove the reports of settled quarantines, and return the removed files.

        A quarantine is settled if later jobs deleted or activated all of its tokens. Others are
        kept at any age.

        Args:
            ended_before: Keep a report if it, or a later one about its tokens, was written since.
        """
        files = self._files("deactivate", "delete", "activate")
        # Reading the reports takes much longer than looking at their dates.
        if all(_modified(path) >= ended_before for path in files):
            return []
        steps = self._steps()
        quarantines = [attrs.evolve(one, results=_results(one, steps)) for one in self._recorded()]
        kept = {one.id for one in quarantines if not _is_old(one, steps, ended_before)}
        removed = [one.path for one in quarantines if one.id not in kept and one.path is not None]
        removed += [
            step.path
            for step in steps
            if not step.quarantines & kept and _modified(step.path) < ended_before
        ]
        return [path for path in removed if _is_removed(path)]

    def _files(self, *actions: Action) -> list[Path]:
        patterns = [f"{_NAMES[action]}-*.json" for action in actions]
        return sorted(path for pattern in patterns for path in self.folder.glob(pattern))


def _created_at(quarantine: Quarantine) -> datetime:
    return quarantine.created_at or datetime.min.replace(tzinfo=UTC)


def _read_quarantine(path: Path) -> Quarantine | None:
    """Return the quarantine of a recorded report, from the journal if the job had not ended."""
    try:
        _check_owner(path)
        found = Quarantine.read(path)
        if not found.unfinished or found.plan is None or found.journal is None:
            return found
        current = _current_report(found.plan, found.journal, found.id)
        if current is None:
            return found
        found = attrs.evolve(Quarantine.of(current), path=path, source=str(path))
        if not (found.total or current.counts[Outcome.UNKNOWN]):
            # The job has changed nothing, so nothing has to be finished.
            found = attrs.evolve(found, unfinished=0)
    except JobError as error:
        warn_caller(f"{error}", PlanWarning)
        return None
    return found


def _current_report(plan: Path, journal: Path, plan_id: str) -> Report | None:
    """Return the report of a job from its plan and journal; `None` if these are gone or others."""
    try:
        read = Plan.read(plan)
        return job_report(read, journal) if read.id == plan_id else None
    except JobError:
        return None


def _read_step(path: Path) -> _Step | None:
    """Return the step of a recorded report, from the journal if the job had not ended."""
    try:
        _check_owner(path)
        with refusing_unreadable(path):
            data = read_report(path)
            plan, run = data["plan"], data["run"]
            current = None
            if not run["complete"]:
                plan_id = short_id(str(plan["digest"]))
                current = _current_report(Path(plan["path"]), Path(run["journal"]), plan_id)
            outcomes = _saved_outcomes(data) if current is None else _outcomes(current)
            results = {key: _RESULTS.get((plan["action"], outcome)) for key, outcome in outcomes}
            return _Step(
                path,
                str(run["begun"]),
                frozenset(map(str, plan["quarantines"])),
                {key: result for key, result in results.items() if result is not None},
            )
    except JobError as error:
        warn_caller(f"{error}", PlanWarning)
        return None


def _check_owner(path: Path) -> None:
    """Refuse the file of another user, who must not choose the tokens of a sweep.

    Raises:
        PlanRefused: The file belongs to another user, or does not exist.
    """
    with refusing_unreadable(path):
        found = path.stat()
    if not is_own(found):
        raise PlanRefused(f"{path} is not used, because it belongs to another user.")


def _saved_outcomes(data: dict[str, Any]) -> Iterator[tuple[Key, str | None]]:
    for token in data["tokens"]:
        yield key_of(Owner.parse(token["owner"]), token["id"]), token["outcome"]


def _outcomes(report: Report) -> Iterator[tuple[Key, str | None]]:
    for result in report.results():
        outcome = None if result.outcome is None else result.outcome.value
        yield key_of(result.entry.owner, result.entry.id), outcome


def _results(quarantine: Quarantine, steps: Iterable[_Step]) -> dict[Key, str]:
    """Return the last result for each token of a quarantine. The oldest step comes first."""
    results: dict[Key, str] = {}
    for step in steps:
        if quarantine.id not in step.quarantines:
            continue
        for key, result in step.results.items():
            # A token that was swept or restored has left the quarantine.
            if key in quarantine.changes and results.get(key) not in {SWEPT, RESTORED}:
                results[key] = result
    return results


def _is_old(quarantine: Quarantine, steps: Iterable[_Step], ended_before: datetime) -> bool:
    """Return whether a quarantine is settled, and its last report was written before a time."""
    paths = [quarantine.path, *(one.path for one in steps if quarantine.id in one.quarantines)]
    are_old = (path is None or _modified(path) < ended_before for path in paths)
    return quarantine.is_settled and all(are_old)


def _modified(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return datetime.max.replace(tzinfo=UTC)


def _is_removed(path: Path) -> bool:
    with contextlib.suppress(OSError):
        path.unlink()
        return True
    return False
