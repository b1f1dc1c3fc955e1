"""The report of a job."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._report.report_data import ReportData
from losant_tokens.jobs._report.save import save
from losant_tokens.jobs._token_progress import States
from losant_tokens.jobs._types import Outcome, PaceSample, Result

# An error may name the token. Errors that differ only in that are counted together.
_ID = re.compile(r"\b[0-9a-f]{24}\b")


def _now() -> datetime:
    return datetime.now(UTC)


@attrs.frozen(kw_only=True)
class Report:
    """The report of a job, complete or not."""

    plan: Plan
    """The plan."""
    journal: Path
    """The file of the journal, which a resumed job reads."""
    states: States = attrs.field(repr=False)
    """The states of the tokens, from which the counts and the results are computed."""
    requests: int
    """The number of requests sent in this run."""
    retries: int
    """The number of attempts that followed a failed one."""
    refused: int
    """The number of requests refused with 429."""
    seconds: float
    """The duration of this run, in seconds."""
    pace: tuple[PaceSample, ...] = attrs.field(repr=False)
    """The samples of the rate, over time."""
    gave_up: str | None = None
    """Why the job gave up, or `None`."""
    ended_at: datetime = attrs.field(factory=_now)
    """When this run ended, by this machine's clock."""
    finished_before: int = 0
    """The number of tokens that earlier runs finished."""
    settings: Mapping[str, object] = attrs.field(factory=dict, repr=False, hash=False)
    """Other facts about the run for the saved report, such as the rate limit."""

    def __attrs_post_init__(self) -> None:
        if self.plan.folder is not None and self.is_complete:
            self.plan.folder.release()

    @property
    def counts(self) -> dict[Outcome, int]:
        """The number of tokens with each outcome."""
        return self.states.counts()

    @property
    def changed_at(self) -> Mapping[int, datetime]:
        """The time of each change by the API, by the number of the token in the plan.

        It comes from the response to the change. If that response was lost, the token is missing
        here, because somebody else may have changed it since.
        """
        return self.states.changed_at

    @property
    def total(self) -> int:
        """The number of tokens of the plan."""
        return len(self.plan)

    @property
    def pending(self) -> int:
        """The number of tokens without an outcome."""
        return self.total - sum(self.counts.values())

    @property
    def is_complete(self) -> bool:
        """Whether every token has a known outcome."""
        return self.pending == 0 and self.counts[Outcome.UNKNOWN] == 0

    @property
    def started_at(self) -> datetime:
        """When the job was first started, by this machine's clock."""
        try:
            with self.journal.open("rb") as file:
                return datetime.fromisoformat(json.loads(file.readline())["begun"])
        except (OSError, ValueError, KeyError, TypeError):
            return self.ended_at - timedelta(seconds=self.seconds)

    def results(self) -> Iterator[Result]:
        """Return the result for each token, one by one.

        Raises:
            PlanRefused: The plan can no longer be read.
        """
        for number, entry in enumerate(self.plan.entries()):
            yield Result(
                entry=entry,
                outcome=self.states.outcome(number),
                error=self.states.errors.get(number),
            )

    def summary(self) -> dict[str, Any]:
        """Return everything except the tokens as JSON values, as in a saved report."""
        return self._data().summary()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Save the report to a file that only you can read, completely or not at all.

        Args:
            path: The file. Its suffix selects the format: `.json` for programs, `sweep` and
                `restore`; `.csv` for a spreadsheet; `.html` for a browser, in one file. An existing
                file is replaced only if it is empty, or a report in the same format.

        Returns:
            The path.

        Raises:
            ValidationError: There is no format for the suffix.
            GuardRefused: The file is a plan, a journal, the report of a quarantine of another plan,
                or not a report.
            JobError: The file cannot be written, or the plan can no longer be read.
        """
        return save(self._data(), Path(path))

    def _data(self) -> ReportData:
        return ReportData(
            plan_path=self.plan.path,
            plan_digest=self.plan.digest,
            header=self.plan.header,
            journal=self.journal,
            settings=self.settings,
            started_at=self.started_at,
            ended_at=self.ended_at,
            seconds=self.seconds,
            requests=self.requests,
            retries=self.retries,
            refused=self.refused,
            finished_before=self.finished_before,
            gave_up=self.gave_up,
            is_complete=self.is_complete,
            total=self.total,
            counts=self.counts,
            pending=self.pending,
            pace=self.pace,
            failures=self._failures(),
            results=self._results_with_times,
        )

    def _failures(self) -> list[tuple[str, int]]:
        errors = Counter(
            _ID.sub("\u2026", error)
            for number, error in self.states.errors.items()
            if self.states.outcome(number) is Outcome.FAILED
        )
        return errors.most_common()

    def _results_with_times(self) -> Iterator[tuple[Result, datetime | None]]:
        for number, result in enumerate(self.results()):
            yield result, self.changed_at.get(number)
