"""The report of a job, as a value and as a file."""

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._states import States
from losant_tokens.jobs._types import Outcome, PaceSample, Result


def _now() -> datetime:
    return datetime.now(UTC)


@attrs.frozen(kw_only=True)
class Report:
    """The report of a job, or of as much of it as was done.

    Attributes:
        plan: The plan.
        journal: The file that has each intent and outcome, so that the job can be resumed.
        requests: How many requests were sent, in this run.
        retries: How many attempts followed another one that had failed.
        refused: How many requests were answered with 429.
        seconds: How long this run took.
        pace: The requests per second, over time.
        gave_up: Why it ended before all was done, if it gave up by itself.
        ended_at: When it ended, by this machine's clock.
        finished_before: The number of tokens that earlier runs finished.
        settings: Other facts about the run that the files show, such as the limit of its rate.
    """

    plan: Plan
    journal: Path
    states: States = attrs.field(repr=False)
    requests: int
    retries: int
    refused: int
    seconds: float
    pace: tuple[PaceSample, ...] = attrs.field(repr=False)
    gave_up: str | None = None
    ended_at: datetime = attrs.field(factory=_now)
    finished_before: int = 0
    settings: Mapping[str, object] = attrs.field(factory=dict, repr=False, hash=False)

    def __attrs_post_init__(self) -> None:
        if self.plan.folder is not None and self.is_complete:
            self.plan.folder.release()

    @property
    def counts(self) -> dict[Outcome, int]:
        """Return how many tokens have each outcome."""
        return self.states.counts()

    @property
    def changed_at(self) -> Mapping[int, datetime]:
        """When the API says that the job has changed a token, by the token's number in the plan.

        It comes from the response to the change itself. If that response was lost, the token is not
        in here: its time of change is unknown, because somebody else may have changed it since.
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
        """Whether each token has an outcome that is known."""
        return self.pending == 0 and self.counts[Outcome.UNKNOWN] == 0

    @property
    def started_at(self) -> datetime:
        """When the job was first begun, by this machine's clock."""
        try:
            with self.journal.open("rb") as file:
                return datetime.fromisoformat(json.loads(file.readline())["begun"])
        except (OSError, ValueError, KeyError, TypeError):
            return self.ended_at - timedelta(seconds=self.seconds)

    def results(self) -> Iterator[Result]:
        """Return the result of each token, one by one."""
        for number, entry in enumerate(self.plan.entries()):
            yield Result(
                entry=entry,
                outcome=self.states.outcome(number),
                error=self.states.errors.get(number),
            )

    def summary(self) -> dict[str, Any]:
        """Return the report without its tokens, with the names and values of its JSON file."""
        from losant_tokens.jobs._report.values import summary  # noqa: PLC0415 -- it imports this

        return summary(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the report to a file, all of it or nothing, for its owner's eyes alone.

        Args:
            path: The file. Its ending says what it is to be:
                `.json` for programs, and for `sweep` and `restore`; `.csv` for a spreadsheet;
                `.html` to look at: one file that needs nothing else. A file that exists is
                replaced only if it is empty, or a report in the same format.

        Raises:
            ValidationError: Another ending.
            GuardRefused: The file is a plan, a journal, the report of a quarantine of another
                plan, or no report at all.
            JobError: It cannot be written, or the plan cannot be read any more.
        """
        from losant_tokens.jobs._report.save import save  # noqa: PLC0415 -- it knows this one

        return save(self, Path(path))
