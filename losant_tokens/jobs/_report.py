"""What came of a job, as a value, and as a file."""

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs

from losant_tokens.jobs._journal import States
from losant_tokens.jobs._plan import Plan
from losant_tokens.jobs._values import Outcome, PaceSample, Result


def _now() -> datetime:
    return datetime.now(UTC)


@attrs.frozen(kw_only=True)
class Report:
    """What came of a job, or of as much of it as was done.

    Attributes:
        plan: What was to be done.
        journal: The file that says so token by token, and lets the job be carried on.
        requests: How many requests were sent, in this run.
        retries: How many of them were further tries.
        refused: How many of them were answered with 429.
        seconds: How long it took.
        pace: How fast it was, over time.
        gave_up: Why it ended before all was done, if it did so of its own accord.
        ended: When that was, by this machine's clock.
        before: How many tokens had come to an end in earlier runs, where it was carried on.
        settings: What else is to be told of the run, in the files: the limit of its rate, say.
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
    ended: datetime = attrs.field(factory=_now)
    before: int = 0
    settings: Mapping[str, object] = attrs.field(factory=dict, repr=False, hash=False)

    def __attrs_post_init__(self) -> None:
        if self.plan.folder is not None and self.is_complete:
            self.plan.folder.complete()

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many tokens came out how."""
        return self.states.counts()

    @property
    def changed(self) -> Mapping[int, datetime]:
        """When the API says that the job has changed a token, by the token's number in the plan.

        It comes from the response to the change itself. If that response was lost, the token is not
        in here: its time of change is unknown, because somebody else may have changed it since.
        """
        return self.states.changed

    @property
    def total(self) -> int:
        """How many tokens the plan has."""
        return len(self.plan)

    @property
    def left(self) -> int:
        """How many tokens were not come to."""
        return self.total - sum(self.counts.values())

    @property
    def is_complete(self) -> bool:
        """Whether each token has come to an end that is known."""
        return self.left == 0 and self.counts[Outcome.UNKNOWN] == 0

    @property
    def begun(self) -> datetime:
        """When the job was begun, by this machine's clock; one that was resumed, the first time."""
        try:
            with self.journal.open("rb") as file:
                return datetime.fromisoformat(json.loads(file.readline())["begun"])
        except (OSError, ValueError, KeyError, TypeError):
            return self.ended - timedelta(seconds=self.seconds)

    def results(self) -> Iterator[Result]:
        """What came of each token, one by one."""
        for number, entry in enumerate(self.plan.entries()):
            yield Result(
                entry=entry,
                outcome=self.states.outcome(number),
                error=self.states.errors.get(number),
            )

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
        from losant_tokens.jobs._report_files import save  # noqa: PLC0415 -- it knows this one

        return save(self, Path(path))
