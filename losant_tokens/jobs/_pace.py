"""How fast a job may go: a rate and a concurrency, found by trying.

Nothing is published about how much Losant takes from a client, so a job finds out. It begins
slowly and doubles its rate until it is refused, or until more would not be faster. A refusal (429)
tells where the limit is: as many a second as were answered just before. The rate then stays a
little below it and tries, now and then, for a little more. Concurrency grows by one at a time, and
shrinks by half on trouble (timeouts, errors of the server) and a little when answers get slow.

Pure but for its memory: whoever uses it tells it the time.
"""

from collections import deque

import attrs

_FIRST_RATE = 50.0  # requests per second
_DOUBLING = 0.25  # seconds, at the beginning
_FIRST_CONCURRENCY = 8
_LEAST_RATE = 0.5
_BELOW = 0.95  # of what was answered, after a refusal
_MORE = 1.01  # when trying for more
_CALM = 1.0  # seconds without refusal, before trying for more
_PAUSE = 1.0  # seconds after the first refusal: the usual window of a limit
_LESS = 0.9  # of the rate, after a refusal that comes early
_TRUSTED = 2.0  # seconds after a change, before what is answered measures the limit
_MEASURED = 1.0  # seconds over which answers are counted
_STEP = 0.1  # of them
_SLOW = 3.0  # times the best latency seen: the server is labouring
_SLOW_SECONDS = 0.05
_SMOOTHING = 0.1


@attrs.define
class Meter:
    """Counts events, and knows how many there were in the last second."""

    _steps: deque[tuple[int, int]] = attrs.field(factory=deque)
    _began: float | None = None

    def count(self, now: float) -> None:
        """Counts one event."""
        step = int(now / _STEP)
        if self._began is None:
            self._began = now
        if self._steps and self._steps[-1][0] == step:
            self._steps[-1] = (step, self._steps[-1][1] + 1)
        else:
            self._steps.append((step, 1))
        self._forget(step)

    def per_second(self, now: float) -> float:
        """Events per second, over the last second."""
        self._forget(int(now / _STEP))
        return sum(count for _, count in self._steps) / _MEASURED

    def _forget(self, step: int) -> None:
        oldest = step - round(_MEASURED / _STEP)
        while self._steps and self._steps[0][0] <= oldest:
            self._steps.popleft()


@attrs.define
class Pace:
    """What a job may send, and when.

    Args:
        max_concurrency: How many requests may be in flight at the most.
        fixed_rate: Requests per second, where they were fixed; else they are found.

    Attributes:
        concurrency: How many requests may be in flight now.
        rate: How many may be sent per second now.
    """

    max_concurrency: int
    fixed_rate: float | None = None
    concurrency: float = attrs.field(init=False)
    rate: float = attrs.field(init=False)
    answers: Meter = attrs.field(factory=Meter, init=False)
    _found_limit: bool = attrs.field(default=False, init=False)
    _next_at: float = attrs.field(default=0.0, init=False)
    _paused_until: float = attrs.field(default=0.0, init=False)
    _rate_changed: float | None = attrs.field(default=None, init=False)
    _cut_at: float = attrs.field(default=-1.0, init=False)
    _peak: float = attrs.field(default=0.0, init=False)
    _resumed_at: float = attrs.field(default=0.0, init=False)
    _best: float | None = attrs.field(default=None, init=False)
    _latency: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.concurrency = float(min(_FIRST_CONCURRENCY, self.max_concurrency))
        self.rate = min(_FIRST_RATE, self.fixed_rate or _FIRST_RATE)

    def book(self, now: float) -> float:
        """Books the next place for a request; gives the seconds until then."""
        if self._rate_changed is None:
            self._rate_changed = now
        self._speed_up(now)
        # Places that nobody took are lost, but for the last few: else there would be a burst.
        place = max(self._next_at, self._paused_until, now - _STEP / 2)
        self._next_at = place + 1.0 / self.rate
        return max(0.0, place - now)

    def is_pausing(self, now: float) -> bool:
        """Whether nothing may be sent now, whatever was booked."""
        return now < self._paused_until

    def answered(self, now: float, latency: float) -> None:
        """A request was answered, after so many seconds, with anything but trouble."""
        self.answers.count(now)
        if not self._found_limit:
            self._peak = max(self._peak, self.answers.per_second(now))
        self._best = latency if self._best is None else min(self._best, latency)
        self._latency += _SMOOTHING * (latency - self._latency)
        if self._latency > self._best * _SLOW and self._latency > self._best + _SLOW_SECONDS:
            self._shrink(0.9)
        else:
            self.concurrency = min(
                self.max_concurrency, self.concurrency + 1.0 / max(1.0, self.concurrency)
            )

    def refused(self, now: float, sent_at: float, retry_after: float | None) -> None:
        """A request was answered with 429. One refusal slows all."""
        if retry_after is not None:
            self._paused_until = max(self._paused_until, now + retry_after)
        if sent_at <= self._cut_at:
            return  # it was on its way before the last cut, and says nothing new
        self._cut_at = now
        if not self._found_limit:
            self._found_limit = True
            self.rate = min(self.rate, self._peak) * _BELOW
            if retry_after is None:
                self._paused_until = max(self._paused_until, now + _PAUSE)
        elif now - self._resumed_at < _TRUSTED:  # too early to measure anything
            self.rate *= _LESS
        else:
            self.rate = min(self.rate, self.answers.per_second(now)) * _BELOW
        self.rate = max(_LEAST_RATE, self.rate)
        self._rate_changed = self._resumed_at = max(now, self._paused_until)

    def troubled(self, now: float, sent_at: float) -> None:
        """A request timed out, or met an error of the server or the network."""
        if sent_at > self._cut_at:
            self._cut_at = now
            self._shrink(0.5)

    def pause(self, now: float, seconds: float) -> None:
        """Nothing is to be sent for so long."""
        self._paused_until = max(self._paused_until, now + seconds)

    def _shrink(self, factor: float) -> None:
        self.concurrency = max(1.0, self.concurrency * factor)
        self._latency = self._best or 0.0  # what is on its way is as slow as what came

    def _speed_up(self, now: float) -> None:
        """Doubles the rate at the beginning, and tries for a little more later on."""
        most = self.fixed_rate or float("inf")
        waited = now - (self._rate_changed or now)
        if self._found_limit:
            if waited >= max(_CALM, 10.0 / self.rate):
                self.rate = min(most, self.rate * _MORE)
                self._rate_changed = now
        elif waited >= _DOUBLING:
            self.rate = min(most, self.rate * 2.0)
            self._rate_changed = now
