"""What came of a job, as a value."""

from collections.abc import Iterator
from pathlib import Path

import attrs

from losant_tokens.jobs._journal import States
from losant_tokens.jobs._plan import Plan
from losant_tokens.jobs._values import Outcome, PaceSample, Result


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

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many tokens came out how."""
        return self.states.counts()

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

    def results(self) -> Iterator[Result]:
        """What came of each token, one by one."""
        for number, entry in enumerate(self.plan.entries()):
            yield Result(
                entry=entry,
                outcome=self.states.outcome(number),
                error=self.states.errors.get(number),
            )
