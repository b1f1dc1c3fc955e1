"""The state of a job, read from its plan and its journal without changing anything."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import attrs

from losant_tokens.jobs._errors import JournalError
from losant_tokens.jobs._execution.journal import Journal, journal_path
from losant_tokens.jobs._execution.plan_lock import LockHolder, PlanLock
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._token_progress import States
from losant_tokens.jobs._types import Outcome


@attrs.frozen(kw_only=True)
class JobState:
    """The state of a job, as its journal records it.

    The counts are about the tokens that the plan selects. They leave out the tokens that the rule
    selects but a guard protects.
    """

    journal: Path
    """The file of the journal."""
    total: int
    """The number of tokens that the plan selects."""
    counts: Mapping[Outcome, int] = attrs.field(hash=False)
    """The number of them with each outcome. `UNKNOWN`: the token is in doubt."""
    is_started: bool = False
    """Whether the job was started before."""
    started_at: datetime | None = None
    """When it was first started, by the clock of its machine; `None` if it was not started, or if
    the time is unknown.
    """
    updated_at: datetime | None = None
    """When the journal was last written; `None` if the job was not started."""
    is_running: bool = False
    """Whether a process applies the plan now."""
    process_id: int | None = None
    """The id of that process; `None` if it is unknown."""
    host: str | None = None
    """The machine of that process; `None` if it is unknown."""

    @property
    def pending(self) -> int:
        """The number of tokens that the job has not reached, or could not process."""
        return self.total - sum(self.counts.values())

    @property
    def in_doubt(self) -> int:
        """The number of tokens that may have been changed. A resumed job reads them again."""
        return self.counts[Outcome.UNKNOWN]

    @property
    def is_complete(self) -> bool:
        """Whether the job was started, and every token has a known outcome."""
        return self.is_started and self.pending == 0 and self.in_doubt == 0


def job_state(plan: Plan, journal: str | os.PathLike[str] | None = None) -> JobState:
    """Return the state of a job, from its plan and its journal. Nothing is changed.

    It reads files, so it can take a part of a second for a large plan. The counts of a job that is
    running are a few lines behind.

    Args:
        plan: The plan of the job.
        journal: The file of the journal. Default: `journal_path(plan)`.

    Raises:
        JournalError: The journal cannot be read, was altered, or belongs to another plan.
        PlanRefused: The plan can no longer be read, or was replaced.
    """
    path = journal_path(plan) if journal is None else Path(journal)
    holder = PlanLock.holder(plan.digest, plan.header.base_url)
    total = plan.header.total.selected
    try:
        modified = path.stat().st_mtime
    except FileNotFoundError:
        return _state(path, total, dict.fromkeys(Outcome, 0), holder)
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from None
    opened, is_open = Journal.read(plan, path)
    if holder is None and is_open:
        holder = LockHolder()
    state = _state(path, total, _selected_counts(plan, opened.states), holder)
    if opened.is_empty:
        return state
    return attrs.evolve(
        state,
        is_started=True,
        started_at=opened.started_at,
        updated_at=datetime.fromtimestamp(modified, UTC),
    )


def _state(
    path: Path, total: int, counts: dict[Outcome, int], holder: LockHolder | None
) -> JobState:
    return JobState(
        journal=path,
        total=total,
        counts=counts,
        is_running=holder is not None,
        process_id=None if holder is None else holder.process_id,
        host=None if holder is None else holder.host,
    )


def _selected_counts(plan: Plan, states: States) -> dict[Outcome, int]:
    """Return the number of selected tokens with each outcome, without those that are protected."""
    counts = states.counts()
    if not counts[Outcome.PROTECTED] or not plan.header.total.protected:
        return counts
    counts[Outcome.PROTECTED] -= sum(
        entry.protected is not None and states.outcome(number) is Outcome.PROTECTED
        for number, entry in enumerate(plan.entries())
    )
    return counts
