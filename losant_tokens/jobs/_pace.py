"""What a job may send, and when: how many requests a second, and how many at once."""

import attrs

from losant_tokens.jobs._concurrency import Concurrency
from losant_tokens.jobs._rate import FIRST_RATE, Rate


@attrs.define(init=False)
class Pace:
    """What a job may send, and when. Whoever uses it tells it the time.

    Attributes:
        rate: How many requests may be sent per second, and so when the next one may be.
        concurrency: How many of them may be in flight at once.
    """

    rate: Rate
    concurrency: Concurrency

    def __init__(
        self,
        max_concurrency: int,
        fixed_rate: float | None = None,
        *,
        first_rate: float = FIRST_RATE,
    ) -> None:
        """Begins modestly.

        Args:
            max_concurrency: How many requests may be in flight at the most.
            fixed_rate: Requests per second, where they were fixed; else they are found.
            first_rate: Requests per second, at the beginning, where they are found.
        """
        self.rate = Rate(fixed_rate, first_rate)
        self.concurrency = Concurrency(max_concurrency)

    def answered(self, now: float, latency: float, kind: str = "") -> None:
        """A request of some kind was answered, after so many seconds, with no trouble."""
        self.rate.answered(now, latency)
        if self.concurrency.answered(latency, kind):
            self.rate.latency = self.concurrency.latency
