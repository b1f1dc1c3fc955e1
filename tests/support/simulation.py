"""A job and a server with a limit, on a virtual clock: hours pass in milliseconds."""

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from typing import Protocol

import attrs

from losant_tokens._limits.adaptive_rate import AdaptiveRate
from losant_tokens.jobs._throttle.adaptive_concurrency import AdaptiveConcurrency
from losant_tokens.jobs._throttle.throttle import _MAX_SPACING

_BEGIN = 100.37  # not on the border of a window


class Limit(Protocol):
    """The rate limit of a server."""

    def admits(self, now: float) -> bool:
        """Return whether a request that arrives now is admitted."""


@attrs.define
class Unlimited:
    """No limit."""

    def admits(self, now: float) -> bool:
        return True


@attrs.define
class SlidingLog:
    """A maximum number of requests in any window of a given length."""

    maximum: int
    window: float = 1.0
    _seen: deque[float] = attrs.field(factory=deque)

    def admits(self, now: float) -> bool:
        while self._seen and self._seen[0] <= now - self.window:
            self._seen.popleft()
        if len(self._seen) >= self.maximum:
            return False
        self._seen.append(now)
        return True


@attrs.define
class FixedWindow:
    """A maximum number of requests in each second by the clock."""

    maximum: int
    _second: int = -1
    _count: int = 0

    def admits(self, now: float) -> bool:
        if math.floor(now) != self._second:
            self._second, self._count = math.floor(now), 0
        self._count += 1
        return self._count <= self.maximum


@attrs.define
class TokenBucket:
    """A number of requests per second, and a burst; by default as many as in one second."""

    per_second: int
    burst: float = attrs.Factory(lambda self: self.per_second, takes_self=True)
    level: float = attrs.Factory(lambda self: self.burst, takes_self=True)
    _at: float = _BEGIN

    def admits(self, now: float) -> bool:
        self.level = min(self.burst, self.level + (now - self._at) * self.per_second)
        self._at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


@attrs.define
class Switch:
    """One limit until a time (in seconds since the start), and then another one."""

    until: float
    first: Limit
    then: Limit

    def admits(self, now: float) -> bool:
        return (self.first if now < _BEGIN + self.until else self.then).admits(now)


@attrs.define
class Response:
    """A response: its time in seconds since the start, and whether it was not a 429."""

    at: float
    is_good: bool
    concurrency: int


def goodput(responses: list[Response], since: float, until: float) -> float:
    """Return the number of good responses per second."""
    return sum(a.is_good for a in responses if since <= a.at < until) / (until - since)


def refusals(responses: list[Response], since: float = 0.0) -> float:
    """Return the share of 429 responses."""
    there = [a.is_good for a in responses if a.at >= since]
    return 1 - sum(there) / len(there)


@attrs.define
class Simulation:
    """A job with an endless plan.

    Attributes:
        limit: The rate limit of the server.
        latency: Returns the latency in seconds, from the time and the number in flight.
        rate: The rate under test.
        concurrency: The concurrency under test.
        retry_after: The `Retry-After` of 429 responses, in seconds.
        timeout: The time after which a request is lost, in seconds.
        change_takes: The latency of a change, as a multiple of that of a read.
    """

    limit: Limit
    latency: Callable[[float, int], float]
    rate: AdaptiveRate
    concurrency: AdaptiveConcurrency
    retry_after: float | None = None
    timeout: float = math.inf
    change_takes: float = 1.0
    responses: list[Response] = attrs.field(factory=list)
    _events: list[tuple[float, int, Callable[[float], None]]] = attrs.field(factory=list)
    _serial: "itertools.count[int]" = attrs.field(factory=itertools.count)
    _random: random.Random = attrs.field(factory=lambda: random.Random(1))
    _workers: int = 0
    _queue: int = 0
    _in_flight: int = 0

    def run(self, seconds: float) -> list[Response]:
        self._start_workers(_BEGIN)
        while self._events[0][0] < _BEGIN + seconds:
            now, _, happen = heapq.heappop(self._events)
            happen(now)
        return self.responses

    def _later(self, at: float, happen: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at, next(self._serial), happen))

    def _start_workers(self, now: float) -> None:
        while self._workers < self.concurrency.limit:
            self._workers += 1
            self._later(now, self._enqueue)

    def _enqueue(self, now: float) -> None:
        if self._workers > self.concurrency.limit:
            self._workers -= 1
            return
        self._queue += 1
        if self._queue == 1:
            self._turn(now)

    def _turn(self, now: float) -> None:
        """Give the first worker in the queue a slot, with places for a read and a change."""
        if not self.rate.try_acquire(now, 2):
            self._later(now + self.rate.wait_time(now), self._turn)
            return
        self._send(now, "read", now + min(1.0 / self.rate.per_second, _MAX_SPACING))
        self._queue -= 1
        if self._queue:
            self._later(now, self._turn)

    def _send(self, now: float, kind: str, next_at: float = 0.0) -> None:
        latency = self.latency(now - _BEGIN, self._in_flight) * self._random.uniform(0.7, 1.5)
        latency *= self.change_takes if kind == "change" else 1.0
        self._in_flight += 1
        if latency >= self.timeout:
            self._later(now + self.timeout, lambda then: self._lost(then, now))
            return
        self._later(now + latency / 2, lambda then: self._arrive(then, now, latency, kind, next_at))

    def _arrive(
        self, now: float, sent_at: float, latency: float, kind: str, next_at: float
    ) -> None:
        is_good = self.limit.admits(now)
        self._later(
            now + latency / 2, lambda then: self._receive(then, sent_at, kind, is_good, next_at)
        )

    def _receive(
        self, now: float, sent_at: float, kind: str, is_good: bool, next_at: float
    ) -> None:
        self._in_flight -= 1
        self.responses.append(Response(now - _BEGIN, is_good, self.concurrency.limit))
        if is_good:
            self.rate.record_response(now, sent_at)
            if self.concurrency.record_response(now - sent_at, kind):
                self.rate.latency = self.concurrency.latency
        else:
            self.rate.record_rate_limit(now, sent_at, self.retry_after)
        if is_good and kind == "read":
            self._later(max(now, next_at), self._change)
        else:
            if kind == "read":
                self.rate.release(1)
            self._enqueue(now)
        self._start_workers(now)

    def _change(self, now: float) -> None:
        """Change the token that was read, or read it again if the change must wait."""
        if self.rate.pause_left(now) > 0:
            self.rate.release(1)
            self._enqueue(now)
        else:
            self._send(now, "change")

    def _lost(self, now: float, sent_at: float) -> None:
        self._in_flight -= 1
        self.concurrency.record_failure(now, sent_at)
        self._enqueue(now)
        self._start_workers(now)


def simulate(
    limit: Limit,
    seconds: float,
    *,
    latency: float | Callable[[float, int], float] = 0.01,
    max_concurrency: int = 20,
    rate: float | None = None,
    retry_after: float | None = None,
    timeout: float = math.inf,
    change_takes: float = 1.0,
) -> list[Response]:
    """Return the responses that a job gets."""
    takes = latency if callable(latency) else lambda *_: latency
    simulation = Simulation(
        limit,
        takes,
        AdaptiveRate(rate),
        AdaptiveConcurrency(max_concurrency),
        retry_after,
        timeout,
        change_takes,
    )
    return simulation.run(seconds)
