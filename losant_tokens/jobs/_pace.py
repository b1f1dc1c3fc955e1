"""What a job may send, and when: `_rate` and `_concurrency`, which are told the same."""

import attrs

from losant_tokens.jobs._concurrency import Concurrency
from losant_tokens.jobs._rate import FIRST_RATE, Meter, Rate


@attrs.define(init=False)
class Pace:
    """What a job may send, and when. Whoever uses it tells it the time."""

    _rate: Rate
    _concurrency: Concurrency

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
        self._rate = Rate(fixed_rate, first_rate)
        self._concurrency = Concurrency(max_concurrency)

    @property
    def concurrency(self) -> int:
        """How many requests may be in flight now."""
        return self._concurrency.now

    @property
    def rate(self) -> float:
        """How many may be sent per second now."""
        return self._rate.now

    @property
    def answers(self) -> Meter:
        """Measures how many are answered, refusals left out."""
        return self._rate.answers

    def wait(self, now: float) -> float:
        """The seconds until the next request may be sent, as it looks now: ask again then."""
        return self._rate.wait(now)

    def take(self, now: float) -> None:
        """Takes the place of the next request, which is sent now."""
        self._rate.take(now)

    def pause(self, now: float, seconds: float) -> None:
        """Nothing is to be sent for so long."""
        self._rate.pause(now, seconds)

    def pause_left(self, now: float) -> float:
        """For how many seconds nothing may be sent."""
        return self._rate.pause_left(now)

    def answered(self, now: float, latency: float, kind: str = "") -> None:
        """A request of some kind was answered, after so many seconds, with no trouble."""
        self._rate.answered(now, latency)
        self._concurrency.answered(latency, kind)
        self._rate.latency = self._concurrency.latency

    def refused(self, now: float, sent_at: float, retry_after: float | None) -> None:
        """A request was answered with 429. One refusal slows all."""
        self._rate.refused(now, sent_at, retry_after)

    def troubled(self, now: float, sent_at: float) -> None:
        """A request timed out, or met an error of the server or the network."""
        self._concurrency.troubled(now, sent_at)
