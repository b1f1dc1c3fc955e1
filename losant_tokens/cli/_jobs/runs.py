"""The runs of jobs whose plans and journals are in the state folder."""

import re
from datetime import datetime
from pathlib import Path
from shlex import quote

from attrs import frozen

from losant_tokens import jobs
from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._id_prefixes import item_with_id
from losant_tokens.cli._jobs.state_view import outcome_counts
from losant_tokens.cli._state.files import existing_journal, existing_state_folder, plan_files

_COMMAND = re.compile(r"(plan|cleanup|quarantine|sweep|restore)-[0-9]{8}T")
_LAST = "last"


@frozen(kw_only=True)
class Run:
    """A plan and the job that applies it.

    Attributes:
        path: The file of the plan.
        command: The command that made the plan; None for a plan with a name of its own.
        plan: The plan; None if it cannot be read.
        state: The state of the job; None if it cannot be read.
        problem: Why the plan or the journal cannot be read.
    """

    path: Path
    command: str | None
    plan: jobs.Plan | None = None
    state: jobs.JobState | None = None
    problem: str | None = None

    @property
    def id(self) -> str:
        """The id of the plan, or "?"."""
        return "?" if self.plan is None else self.plan.id

    @property
    def planned_at(self) -> datetime | None:
        """When the plan was made."""
        return None if self.plan is None else self.plan.header.created_at

    @property
    def status(self) -> str:
        """The state of the job in one word."""
        if self.state is None:
            return "unreadable"
        if self.state.is_running:
            return "running"
        if not self.state.is_started:
            return "planned"
        return "complete" if self.state.is_complete else "interrupted"

    def next_command(self) -> str | None:
        """Return the command that starts, continues or retries the job; None if nothing is left."""
        if self.state is None or self.state.is_running or not self.state.total:
            return None
        options: tuple[str, ...] = ("--resume",) if self.state.is_started else ()
        if self.state.is_complete:
            if not self.state.counts[jobs.Outcome.FAILED]:
                return None
            options = (*options, "--retry-failed")
        if self.state.journal != jobs.journal_path(self._known_plan()):
            options = (*options, "--journal", str(self.state.journal))
        return " ".join(map(quote, ("losant-tokens", "apply", str(self.path), *options)))

    def outcomes(self) -> list[str]:
        """Return how many tokens have each outcome, such as `5 deleted` and `3 left`."""
        if self.state is None:
            return []
        plan, left = self._known_plan(), self.state.pending
        word = "left" if self.state.is_started else f"to {plan.header.action}"
        return [*outcome_counts(plan, self.state), *([f"{left:,} {word}"] if left else [])]

    def failures(self) -> list[jobs.Result]:
        """Return the results for failed tokens.

        Raises:
            JobError: The plan or the journal can no longer be read.
        """
        if self.state is None or not self.state.counts[jobs.Outcome.FAILED]:
            return []
        report = jobs.job_report(self._known_plan(), self.state.journal)
        return [one for one in report.results() if one.outcome is jobs.Outcome.FAILED]

    def _known_plan(self) -> jobs.Plan:
        assert self.plan is not None  # noqa: S101 -- a run with a state has a plan
        return self.plan


def read_run(path: Path) -> Run:
    """Return the run of a plan, with its state or why that is unknown."""
    named = _COMMAND.match(path.name)
    command = None if named is None else named[1]
    plan: jobs.Plan | None = None
    try:
        plan = jobs.Plan.read(path)
        state = jobs.job_state(plan, existing_journal(plan))
    except jobs.JobError as error:
        return Run(path=path, command=command, plan=plan, problem=str(error))
    return Run(path=path, command=command, plan=plan, state=state)


def all_runs() -> list[Run]:
    """Return the runs of the state folder, the newest first."""
    folder = existing_state_folder()
    return [] if folder is None else [read_run(path) for path in reversed(plan_files(folder))]


def find_run(name: str) -> Run:
    """Return a run by its id, the beginning of its id, its plan, or `last`.

    Raises:
        UsageError: There is no such run, or several ids begin like this.
    """
    if Path(name).is_file():
        return read_run(Path(name))
    runs = all_runs()
    if name.lower() == _LAST and runs:
        return runs[0]
    found = item_with_id(name, ((run, run.id, run.planned_at) for run in runs))
    if found is not None:
        return found
    raise UsageError(
        f"there is no run and no plan {name!r}", "to see the runs: losant-tokens runs list"
    )
