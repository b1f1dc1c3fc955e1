"""The rate of requests, found by experiment.

The problem: Losant publishes no rate limit and sends no header about one, so only the client can
find out how fast it may go. A rate that is too low wastes hours, and one that is too high is
refused.

The approach: the rate doubles until a request is refused (429), or until it is more than can be
used. The first refusal shows roughly where the limit is. From there the rate grows slowly until
there are too many refusals (one in a hundred: single ones happen below a limit, too, if requests
overtake each other). That is where the limit is. From a little below it, the rate returns along a
cubic curve, as TCP does (CUBIC, RFC 9438): it is flat at the limit, so that most of the time is
spent close to it, and steep beyond, so that the end of a limit is noticed soon.

After a refusal nothing is sent for a short time, which doubles as long as refusals go on: a limit
by the second may be used up until the second is over, at any rate of ours. `Retry-After` can only
lengthen this wait.

Rejected: additive increase (AIMD), which is either slow to return or refused often; a fixed rate,
because nobody knows it.

Pure except for its memory: the caller passes the time.
"""

import math
from collections import deque

import attrs

FIRST_RATE = 8.0  # requests per second

# --- Until the first refusal ---
_DOUBLING, _FAST_DOUBLING = 0.35, 0.15  # seconds; the latter if responses come at once,
_LATENCIES = 2.0  # and at least this many latencies
_FIRST_PAUSE = 0.5  # seconds, after the first refusal: by then the rate was far beyond the limit
_LEAST_KNOWN = 8  # responses, before which a refusal says nothing about the limit

# --- After a refusal ---
_LEAST_RATE = 0.5
_BELOW = 0.92  # of the limit
_AT_ONCE = 0.5  # of the rate is left by a refusal, if the limit is not known better
_AT_FIRST = 0.25  # of the rate is left by the first refusal
_TOLERATED = 0.01  # refusals for each response are no reason to slow down
_BLUR = 1.5  # requests per second, by which the measured rate may be too low
_CUTS_APART = 1.0  # seconds, the usual window of a limit: within it, it is the same refusal
_MISSED = 1.0  # places that are left out after a refusal,
_LEAST_MISSED, _LONGEST_MISSED = 0.01, 5.0  # in seconds; the longest if refusals go on

# --- Back to the limit ---
_CURVE = 5.0  # seconds until the rate is back at the limit, but at least
_CURVE_REQUESTS = 120.0  # requests, and
_CURVE_PAUSES = 25.0  # times the seconds that a refusal costs (Retry-After)
_LONGEST_CURVE = 300.0
_BEYOND = 2.0  # curves long: there is no limit any more, and the rate doubles
_DOUBLING_SLOWLY = 3.0  # seconds; there, and after the first refusal
_DOUBLINGS = 20

# --- Places ---
_CATCH_UP = 0.05  # seconds: earlier places that nobody took are lost
_CLOSEST = 0.5  # of the usual distance between places that are caught up on
_TICK = 0.001  # seconds: the event loop cannot distinguish places that are closer,
_BEAT = 0.005  # seconds: so it wakes up this often, for several places at once
_STEP = 0.1  # seconds
_STEPS = 10  # that are measured: a second


@attrs.define
class Meter:
    """Counts events: those of the last second, and all of them."""

    _steps: deque[tuple[int, int]] = attrs.field(factory=deque)  # those of the last second
    _lately: int = 0  # in these
    _before: int = 0  # in all steps that are over
    _step: int = -1
    _over_at: float = 0.0
    _count: int = 0  # in the step that goes on

    def count(self, now: float) -> None:
        """Count one event."""
        if now >= self._over_at:
            self._begin(int(now / _STEP))
        self._count += 1

    def per_second(self, now: float) -> float:
        """Return the events per second, over the last second."""
        step = int(now / _STEP)
        if step != self._step:
            self._begin(step)
        # The step that has begun is not over: the measure is as long as it has come.
        return (self._lately + self._count) / (now - (step - _STEPS) * _STEP)

    @property
    def in_all(self) -> int:
        """The number of all events."""
        return self._before + self._count

    def _begin(self, step: int) -> None:
        if self._count:
            self._steps.append((self._step, self._count))
            self._lately += self._count
            self._before += self._count
        self._step, self._over_at, self._count = step, (step + 1) * _STEP, 0
        while self._steps and self._steps[0][0] < step - _STEPS:
            self._lately -= self._steps.popleft()[1]


@attrs.define
class Curve:
    """The way of the rate back to a limit that was met, and beyond it.

    Attributes:
        limit: The limit, in requests per second.
        seconds: After how many seconds it is met again.
    """

    limit: float
    seconds: float

    @classmethod
    def after_refusal(cls, limit: float, waiting: float) -> "Curve":
        """Return the curve for a limit if each refusal costs `waiting` seconds."""
        seconds = max(_CURVE, _CURVE_REQUESTS / limit, _CURVE_PAUSES * waiting)
        return cls(limit, min(seconds, _LONGEST_CURVE))

    def at(self, elapsed: float) -> float:
        """Return the rate after `elapsed` seconds."""
        end = _BEYOND * self.seconds
        if elapsed > end:
            doublings = min((elapsed - end) / _DOUBLING_SLOWLY, _DOUBLINGS)
            return self.at(end) * math.pow(2.0, doublings)
        away = (elapsed / self.seconds - 1.0) ** 3  # from -1 by way of 0
        return self.limit * (1.0 + (1.0 - _BELOW) * away)


@attrs.define
class Rate:
    """How many requests may be sent per second, and so when the next one may be sent.

    Args:
        fixed: The maximum of requests per second; `None` to find it.
        first: The requests per second at the beginning, if the maximum is found.

    Attributes:
        now: How many may be sent per second now.
        answers: Counts the responses that are no refusals.
        refusals: Counts the refusals.
        latency: The latency of late, in seconds, as the caller has measured it.
    """

    fixed: float | None = None
    first: float = FIRST_RATE
    now: float = attrs.Factory(lambda self: self.fixed or self.first, takes_self=True)
    answers: Meter = attrs.field(factory=Meter, init=False)
    refusals: Meter = attrs.field(factory=Meter, init=False)
    latency: float = attrs.field(default=math.inf, init=False)
    _due: float = attrs.field(default=math.inf, init=False)  # the next place; the first: at once
    _free_at: float = attrs.field(default=0.0, init=False)  # the next place is not free before that
    _was_refused: bool = attrs.field(default=False, init=False)
    _is_waited_for: bool = attrs.field(default=False, init=False)
    _paused_until: float = attrs.field(default=0.0, init=False)
    _curve: Curve | None = attrs.field(default=None, init=False)  # none: no limit was met yet
    _on_curve: float = attrs.field(default=0.0, init=False)
    _grown_at: float | None = attrs.field(default=None, init=False)
    _cut_at: float = attrs.field(default=-_CUTS_APART, init=False)
    _refused_at: float = attrs.field(default=-1.0, init=False)
    _refusals: int = attrs.field(default=0, init=False)  # without an answer between them
    _missed: float = attrs.field(default=0.0, init=False)  # seconds, after the last of them

    def take(self, now: float, places: int = 1) -> bool:
        """Take the places of the next requests, if they are free; return whether they were.

        Args:
            now: The time.
            places: How many requests follow each other at once: to read a token and to change it
                belong together, so that nothing is waited for between them.
        """
        if now < self._free_at:
            self._is_waited_for |= now >= self._paused_until
            return False
        # Places that nobody took are lost, except for the last few: else there would be a burst.
        due = min(max(self._due, now - _CATCH_UP), now)
        apart = places / self.now
        self._due = due + max(apart, self._missed)
        self._free_at = max(self._due, now + _CLOSEST * apart - _TICK)
        if self._is_waited_for or self._was_refused:
            self._grow(now)
            self._is_waited_for = False
        return True

    def give_back(self, places: int) -> None:
        """Return places that were taken and not used."""
        apart = places / self.now
        self._due -= apart
        self._free_at = max(self._free_at - apart, self._paused_until)

    def wait(self, now: float) -> float:
        """Return the seconds after which to ask again for a place that was not free."""
        beat = _BEAT if _CLOSEST / self.now < _TICK else 0.0
        return max(self._free_at - now, beat)

    def pause(self, now: float, seconds: float) -> None:
        """Let nothing be sent for this many seconds."""
        self._pause_until(now + seconds)

    def pause_left(self, now: float) -> float:
        """Return for how many seconds nothing may be sent."""
        return max(0.0, self._paused_until - now)

    # --- What came of requests ---------------------------------------------------------------

    def answered(self, now: float, sent_at: float) -> None:
        """Note a request that was answered, other than with a refusal."""
        self.answers.count(now)
        if self._refusals and sent_at > self._refused_at:
            self._refusals, self._missed = 0, 0.0

    def refused(self, now: float, sent_at: float, retry_after: float | None) -> None:
        """Note a request that was answered with 429. One refusal slows all requests.

        Args:
            now: The time.
            sent_at: When the request was sent.
            retry_after: For how many seconds the server asks to wait. It is a lower bound, and
                never replaces the backoff: a server may say 0 for minutes.
        """
        self.refusals.count(now)
        if retry_after is not None:
            self._pause_until(now + retry_after)
        if sent_at <= self._refused_at:
            return  # it was in flight already, and says nothing new
        self._refused_at = now
        first = max(_MISSED / self.now, _LEAST_MISSED)
        missed = min(first * 2.0 ** min(self._refusals, _DOUBLINGS), _LONGEST_MISSED)
        is_waiting_longer = retry_after is not None and retry_after >= missed
        if not is_waiting_longer:
            self._missed = missed
            self._pause_until(now + missed)
        self._refusals += 1
        # Refusals in a row show that the limit is used up, not that the rate is too high.
        if self._refusals == 1 and now - self._cut_at >= _CUTS_APART:
            self._slow_down(now, retry_after if is_waiting_longer else None)

    # --- The rate itself ---------------------------------------------------------------------

    def _pause_until(self, time: float) -> None:
        self._paused_until = max(self._paused_until, time)
        self._free_at = max(self._free_at, self._paused_until)

    def _slow_down(self, now: float, retry_after: float | None) -> None:
        is_first, self._was_refused = not self._was_refused, True
        if retry_after is not None:
            self._cut(now, self._limit(now, _AT_ONCE), retry_after)
        elif is_first:
            self._cut_at, self._grown_at = now, None
            self._pause_until(now + _FIRST_PAUSE)
            if self.answers.in_all >= _LEAST_KNOWN:
                self.now = self._limit(now, _AT_FIRST) * _BELOW
        elif self.refusals.per_second(now) > _TOLERATED * self.answers.per_second(now):
            self._cut(now, self._limit(now, _AT_ONCE), 0.0)

    def _limit(self, now: float, left: float) -> float:
        """Return where the limit may be after a refusal, but not less than a share of the rate.

        The responses of the last second may be too few: the job may have begun just now.
        """
        answered = max(self.answers.per_second(now) + _BLUR, self.now * left)
        return max(_LEAST_RATE, min(self.now, answered))

    def _cut(self, now: float, limit: float, waiting: float) -> None:
        self._cut_at, self._grown_at = now, None
        self._curve, self._on_curve = Curve.after_refusal(limit, waiting), 0.0
        self.now = max(_LEAST_RATE, self._curve.at(0.0))

    def _grow(self, now: float) -> None:
        """Raise the rate with time, as long as places are waited for."""
        if self._grown_at is None:
            self._grown_at = now
        elapsed = now - self._grown_at
        if not self._was_refused:
            if elapsed < min(_DOUBLING, _FAST_DOUBLING + _LATENCIES * self.latency):
                return
            self._go_at(self.now * 2.0)
        elif self._is_waited_for and not self._refusals:
            if self._curve is None:
                self._go_at(self.now * 2.0 ** (elapsed / _DOUBLING_SLOWLY))
            else:
                self._on_curve += elapsed
                self._go_at(self._curve.at(self._on_curve))
        self._grown_at = now

    def _go_at(self, rate: float) -> None:
        self.now = min(max(rate, _LEAST_RATE), self.fixed or rate)
