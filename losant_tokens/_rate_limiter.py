"""One request rate for all calls of a client, from the first 429 on.

The problem: a server that refuses a request refuses the client, not the call. If each call backs
off alone, the others go on to be refused, and most of them run out of attempts. The approach: a
client sends without a limit until a request is refused. From then on its calls wait in a line for
their places, at a rate that adapts to what the server admits (`_rate`, the same as in jobs). A
minute without a refusal ends that. There is no task in the background that serves the line: the
call at its head waits for its own place and then makes way for the next one, so that a call may be
cancelled anywhere in the line.
"""

from collections.abc import Callable

import anyio
import attrs

from losant_tokens._adaptive_rate import FIRST_RATE, Meter, Rate

_FORGOTTEN = 60.0  # seconds without a refusal, after which there is no limit any more
_NAP = 0.25  # seconds, after which the head of the line looks at the rate again


@attrs.define(eq=False)
class RateLimiter:
    """Decides when a call may send its request.

    Attributes:
        now: The clock of the event loop.
        rate: The rate at which requests may be sent; `None` while there is no limit.
    """

    now: Callable[[], float] = anyio.current_time
    rate: Rate | None = attrs.field(default=None, init=False)
    _answers: Meter = attrs.field(factory=Meter, init=False)
    _refused_at: float = attrs.field(default=0.0, init=False)
    _line: anyio.Lock = attrs.field(factory=lambda: anyio.Lock(fast_acquire=True), init=False)

    async def acquire(self, deadline: float) -> bool:
        """Wait for a place to send a request; return `False` if none comes before the deadline."""
        async with self._line:
            while (rate := self._current()) is not None:
                now = self.now()
                if rate.take(now):
                    break
                if now + rate.pause_left(now) >= deadline:
                    return False
                await anyio.sleep(min(rate.wait(now), _NAP))
        return True

    def may_send(self, *, has_place: bool) -> bool:
        """Return whether a request may still be sent, after its call has waited for a connection.

        Args:
            has_place: Whether the call has taken a place.
        """
        return self.rate is None or (has_place and not self.pause_left)

    @property
    def pause_left(self) -> float:
        """For how many seconds nothing may be sent."""
        return 0.0 if self.rate is None else self.rate.pause_left(self.now())

    def answered(self, sent_at: float) -> None:
        """Note that a request was not refused."""
        now = self.now()
        if self.rate is None:
            self._answers.count(now)
        else:
            self.rate.answered(now, sent_at)

    def refused(self, sent_at: float, retry_after: float | None) -> None:
        """Note that a request was refused with 429."""
        now = self._refused_at = self.now()
        if self.rate is None:
            # The rate begins with what the server has just admitted.
            self.rate = Rate(first=max(FIRST_RATE, self._answers.per_second(now)))
            self.rate.answers = self._answers
        self.rate.refused(now, sent_at, retry_after)

    def _current(self) -> Rate | None:
        if self.rate is not None:
            now = self.now()
            if now - self._refused_at > _FORGOTTEN and not self.rate.pause_left(now):
                self.rate, self._answers = None, Meter()
        return self.rate
