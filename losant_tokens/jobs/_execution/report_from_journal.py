"""The report of a job, read from its plan and its journal without changing anything."""

import os
from datetime import UTC, datetime
from pathlib import Path

from losant_tokens._utils.private_files import reason
from losant_tokens.jobs._errors import JournalError
from losant_tokens.jobs._execution.journal import Journal, journal_path
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._report.report import Report
from losant_tokens.jobs._token_progress import States
from losant_tokens.jobs._types import count_finished


def job_report(plan: Plan, journal: str | os.PathLike[str] | None = None) -> Report:
    """Return the report of a job from its plan and its journal. Nothing is sent or changed.

    It serves after a crash, if the job could not write its report. The numbers of requests and
    seconds are unknown, so they are 0.

    Args:
        plan: The plan of the job.
        journal: The file of the journal. Default: `journal_path(plan)`. If it does not exist, the
            job was not started.

    Raises:
        JournalError: The journal cannot be read, was altered, or belongs to another plan.
    """
    path = journal_path(plan) if journal is None else Path(journal)
    try:
        ended_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        opened, _ = Journal.read(plan, path)
        states = opened.states
    except FileNotFoundError:
        ended_at, states = datetime.now(UTC), States.of(len(plan))
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {reason(error)}") from None
    return report_of_earlier_runs(plan, path, states, ended_at)


def report_of_earlier_runs(
    plan: Plan, journal: Path, states: States, ended_at: datetime | None = None
) -> Report:
    """Return the report of a job without a run of its own, so without requests.

    Args:
        plan: The plan of the job.
        journal: The file of the journal.
        states: The states of the tokens in the journal.
        ended_at: When the last run ended. Default: now.
    """
    return Report(
        plan=plan,
        journal=journal,
        states=states,
        requests=0,
        retries=0,
        refused=0,
        seconds=0.0,
        pace=(),
        ended_at=ended_at or datetime.now(UTC),
        finished_before=count_finished(states.counts()),
    )
