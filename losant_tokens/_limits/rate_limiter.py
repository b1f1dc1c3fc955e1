"""Limit the rate of all calls of a client together, from the first 429 on.

The problem: a server that refuses a request with 429 refuses the client, not the call. If each call
backs off alone, the other calls are refused as well, and most of them run out of attempts.

The approach: a client sends without a limit until a request is refused, unless the caller has set a
limit. From then on, its calls wait in a queue and are sent at a rate that adapts to the server
(`adaptive_rate`). A minute without a refusal removes the limit again. A limit of the caller is an
upper bound of that rate, and stays. No background task serves the queue. The call at its head waits
until it may send, and then lets the next one advance. So a call may be cancelled anywhere in the
queue, and an idle client does nothing.

Jobs use the same rate: see `RateLimiter.share`. A refusal of a job slows down the calls of its
client, and the other way round. Before the first refusal nothing is known about the limit, so calls
do not wait for a job that is still raising its rate.

Source: measured with a simulated server that counts requests per second, with many calls at once
(`tests/unit/limits/test_rate_limiter.py`).

Rejected: a limit from the first request on, because it delays the calls of an application that
never reaches the server's limit; a background task, because it needs an owner that ends it; a rate
of its own for each job, because two rates that adapt to one limit exceed it together.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import attrs

from losant_tokens._limits.adaptive_rate import AdaptiveRate

_MAX_AGE_OF_REFUSAL = 60.0  # seconds; after that time without a refusal, the limit is removed
_MAX_SLEEP = 0.25  # seconds between two checks of the rate, which may change in between


@attrs.define(eq=False)
class RateLimiter:
    """Delays requests so that the server does not refuse them.

    Args:
        now: The clock of the event loop.
        maximum: The limit that the caller has set, in requests per second. Default: none.

    Attributes:
        rate: The rate that calls and jobs share.
        turn: A fair lock, held by the call or the job that may take the next place.
    """

    now: Callable[[], float] = anyio.current_time
    maximum: float | None = None
    rate: AdaptiveRate = attrs.field(
        init=False, default=attrs.Factory(lambda self: AdaptiveRate(self.maximum), takes_self=True)
    )
    turn: anyio.Lock = attrs.field(factory=lambda: anyio.Lock(fast_acquire=True), init=False)
    _jobs: int = attrs.field(default=0, init=False)

    @property
    def is_limited(self) -> bool:
        """Whether calls may have to wait: the caller has set a limit, or the server refused one."""
        return self.rate.was_refused or self.maximum is not None

    async def acquire(self, deadline: float) -> bool:
        """Wait until a request may be sent; return `False` if that is after the deadline.

        Args:
            deadline: A time of the event loop's clock.
        """
        async with self.turn:
            while self._must_wait():
                now, rate = self.now(), self.rate
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
        return not self.is_limited or (has_acquired and not self.pause_left)

    @property
    def pause_left(self) -> float:
        """The number of seconds in which nothing may be sent."""
        return self.rate.pause_left(self.now())

    def record_response(self, sent_at: float) -> None:
        """Record a response that is not a refusal.

        Args:
            sent_at: When the request was sent, by the event loop's clock.
        """
        rate = self.rate
        if rate.was_refused:
            rate.record_response(self.now(), sent_at)
        else:
            rate.responses.count(self.now())

    def record_rate_limit(self, sent_at: float, retry_after: float | None) -> None:
        """Record a response with status 429.

        Args:
            sent_at: When the request was sent, by the event loop's clock.
            retry_after: The seconds in the `Retry-After` header, if there is one.
        """
        self.rate.record_rate_limit(self.now(), sent_at, retry_after)

    @contextmanager
    def share(self, proposed: AdaptiveRate) -> Iterator[AdaptiveRate]:
        """Share the rate with a job, which takes places and records responses itself.

        Args:
            proposed: The rate of the job. It becomes the rate of all calls, unless the server has
                just refused a request, or another job has begun: then the rate that was found is
                used.
        """
        if not self._jobs and not self._is_rate_known():
            self._replace(proposed)
        self._jobs += 1
        try:
            yield self.rate
        finally:
            self._jobs -= 1

    @property
    def has_jobs(self) -> bool:
        """Whether a job shares the rate."""
        return self._jobs > 0

    def _must_wait(self) -> bool:
        """Return whether calls have to wait for places; remove a limit that is out of date."""
        if self._is_rate_known():
            return True
        if self.rate.was_refused and not self._jobs:
            self._replace(AdaptiveRate())
        return self.maximum is not None

    def _is_rate_known(self) -> bool:
        """Return whether the server has refused a request in the last minute."""
        now, rate = self.now(), self.rate
        if not rate.was_refused:
            return False
        return now - rate.refused_at <= _MAX_AGE_OF_REFUSAL or rate.pause_left(now) > 0

    def _replace(self, rate: AdaptiveRate) -> None:
        """Use another rate from now on, which starts with the responses that were counted."""
        rate.set_maximum(self.maximum)
        rate.responses = self.rate.responses
        self.rate = rate
