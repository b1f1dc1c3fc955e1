"""Limit the rate of all calls of a client together, from the first 429 on.

The problem: a server that refuses a request with 429 refuses the client, not the call. If each call
backs off alone, the other calls are refused as well, and most of them run out of attempts.

The approach: a client sends without a limit until a request is refused. From then on, its calls
wait in a queue and are sent at a rate that adapts to the server (`_adaptive_rate`, the same as in
jobs). A minute without a refusal removes the limit. No background task serves the queue. The call
at its head waits until it may send, and then lets the next one advance. So a call may be cancelled
anywhere in the queue, and an idle client does nothing.

Source: measured with a simulated server that counts requests per second, with many calls at once
(`tests/unit/test_rate_limiter.py`).

Rejected: a limit from the first request on, because it delays the calls of an application that
never reaches the server's limit; a background task, because it needs an owner that ends it.
"""

from collections.abc import Callable

import anyio
import attrs

from losant_tokens._adaptive_rate import INITIAL_RATE, AdaptiveRate, Meter

_MAX_AGE_OF_REFUSAL = 60.0  # seconds; after that time without a refusal, the limit is removed
_MAX_SLEEP = 0.25  # seconds between two checks of the rate, which may change in between


@attrs.define(eq=False)
class RateLimiter:
    """Delays requests so that the server does not refuse them.

    Attributes:
        now: The clock of the event loop.
        rate: The rate at which requests may be sent, or `None` if there is no limit.
    """

    now: Callable[[], float] = anyio.current_time
    rate: AdaptiveRate | None = attrs.field(default=None, init=False)
    _responses: Meter = attrs.field(factory=Meter, init=False)
    _refused_at: float = attrs.field(default=0.0, init=False)
    _queue: anyio.Lock = attrs.field(factory=lambda: anyio.Lock(fast_acquire=True), init=False)

    async def acquire(self, deadline: float) -> bool:
        """Wait until a request may be sent; return `False` if that is after the deadline.

        Args:
            deadline: A time of the event loop's clock.
        """
        async with self._queue:
            while (rate := self._current()) is not None:
                now = self.now()
                if rate.try_acquire(now):
                    break
                if now + rate.pause_left(now) >= deadline:
                    return False
                await anyio.sleep(min(rate.wait_time(now), _MAX_SLEEP))
        return True

    def may_send(self, *, has_acquired: bool) -> bool:
        """Return whether a request may still be sent after its call has waited for a connection.

        Args:
            has_acquired: Whether the call has waited in `acquire`.
        """
        return self.rate is None or (has_acquired and not self.pause_left)

    @property
    def pause_left(self) -> float:
        """The number of seconds in which nothing may be sent."""
        return 0.0 if self.rate is None else self.rate.pause_left(self.now())

    def record_response(self, sent_at: float) -> None:
        """Record a response that is not a refusal.

        Args:
            sent_at: When the request was sent, by the event loop's clock.
        """
        now = self.now()
        if self.rate is None:
            self._responses.count(now)
        else:
            self.rate.record_response(now, sent_at)

    def record_rate_limit(self, sent_at: float, retry_after: float | None) -> None:
        """Record a response with status 429.

        Args:
            sent_at: When the request was sent, by the event loop's clock.
            retry_after: The seconds in the `Retry-After` header, if there is one.
        """
        now = self._refused_at = self.now()
        if self.rate is None:
            # Start with the rate at which the server has just responded.
            self.rate = AdaptiveRate(initial=max(INITIAL_RATE, self._responses.per_second(now)))
            self.rate.responses = self._responses
        self.rate.record_rate_limit(now, sent_at, retry_after)

    def _current(self) -> AdaptiveRate | None:
        """Return the rate, or `None` if there is no limit; remove a limit that is out of date."""
        if self.rate is not None:
            now = self.now()
            is_recent = now - self._refused_at <= _MAX_AGE_OF_REFUSAL
            if not is_recent and not self.rate.pause_left(now):
                self.rate, self._responses = None, Meter()
        return self.rate
