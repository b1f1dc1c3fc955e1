"""A request rate that adapts to the rate limit of the server.

The problem: Losant publishes no rate limit, and its responses have no header about one. A rate that
is too low wastes hours, and requests above the limit are refused with 429.

The approach:

1. The rate doubles until a request is refused, or until the caller sends fewer requests than it
   allows. The first refusal shows roughly where the limit is.
2. From there, the rate grows slowly until more than one request in a hundred is refused. The rate
   of responses at that time is taken as the limit. Single refusals are tolerated, because requests
   may overtake each other and so exceed the limit for a short time.
3. From slightly below the limit, the rate follows a cubic curve. The curve is flat near the limit,
   where the rate spends most of the time, and steep beyond it, so that a higher limit is found
   soon.
4. After a refusal, nothing is sent for a short pause. The pause doubles with each further refusal,
   because a limit per second may be exhausted until that second has passed. `Retry-After` can only
   lengthen the pause.

Source: the curve is that of CUBIC for TCP (RFC 9438, 4.2). The constants were found by simulation
of fixed windows, sliding windows and token buckets (`test_rate_and_concurrency`).

Rejected: additive increase and multiplicative decrease (AIMD), because it either returns slowly or
is refused often; a fixed rate, because nobody knows the limit.

The caller passes the time, so that tests need no clock.
"""

import math
from collections import deque

import attrs

INITIAL_RATE = 8.0  # requests per second

# --- Before the first refusal ---
# The rate doubles after this many seconds, or sooner if responses arrive sooner: after a minimum
# plus a number of latencies.
_DOUBLING_TIME = 0.35  # seconds
_MIN_DOUBLING_TIME = 0.15  # seconds
_DOUBLING_LATENCIES = 2.0
_FIRST_PAUSE = 0.5  # seconds after the first refusal, when the rate is far above the limit
_MIN_RESPONSES = 8  # with fewer responses, the first refusal shows nothing about the limit

# --- After a refusal ---
_MIN_RATE = 0.5  # requests per second
_START_OF_CURVE = 0.92  # the share of the limit at which the curve starts
_MIN_SHARE = 0.5  # the share of the rate that always remains after a refusal
_MIN_SHARE_AT_FIRST = 0.25  # the share that always remains after the first refusal
_TOLERATED_REFUSALS = 0.01  # for each response, without a lower rate
_MEASURING_ERROR = 1.5  # requests per second by which the measured rate may be too low
_MIN_TIME_BETWEEN_CUTS = 1.0  # seconds; in the window of a limit, all refusals have one cause
_SKIPPED_REQUESTS = 1.0  # the length of the pause after a refusal, as a number of requests
_MIN_PAUSE, _MAX_PAUSE = 0.01, 5.0  # seconds

# --- Back to the limit ---
# The rate reaches the limit again after the largest of these times.
_CURVE_TIME = 5.0  # seconds
_CURVE_REQUESTS = 120.0  # the time of this many requests at the limit
_CURVE_PAUSES = 25.0  # this many times the pause after a refusal (Retry-After)
_MAX_CURVE_TIME = 300.0  # seconds
_END_OF_CURVE = 2.0  # curve times; after that, the limit seems to be gone, and the rate doubles
_SLOW_DOUBLING_TIME = 3.0  # seconds; beyond the curve, and after the first refusal
_MAX_DOUBLINGS = 20

# --- When the next request may be sent ---
_CATCH_UP = 0.05  # seconds; earlier places that nobody took are lost
_MIN_SPACING = 0.5  # the share of the usual time between two places while places are caught up on
_TIMER_RESOLUTION = 0.001  # seconds; the event loop cannot distinguish closer places
_WAKE_UP_INTERVAL = 0.005  # seconds; with closer places, several are taken at each wake-up

# --- Measuring ---
_STEP = 0.1  # seconds
_STEPS = 10  # one second


@attrs.define
class Meter:
    """Counts events and measures how many occur per second, in steps of a tenth of a second."""

    # The finished steps of the last second, each with its number and its count of events.
    _steps: deque[tuple[int, int]] = attrs.field(factory=deque)
    _recent: int = 0  # events in these steps
    _finished: int = 0  # events in all finished steps
    _step: int = -1
    _count: int = 0  # events in the current step

    def count(self, now: float) -> None:
        """Count an event."""
        step = int(now / _STEP)
        if step != self._step:
            self._begin_step(step)
        self._count += 1

    def per_second(self, now: float) -> float:
        """Return the number of events per second, over the last second."""
        step = int(now / _STEP)
        if step != self._step:
            self._begin_step(step)
        # The current step is not finished, so the measured time ends now.
        return (self._recent + self._count) / (now - (step - _STEPS) * _STEP)

    @property
    def total(self) -> int:
        """The number of all events."""
        return self._finished + self._count

    def _begin_step(self, step: int) -> None:
        """Finish the current step, because another one has begun."""
        if self._count:
            self._steps.append((self._step, self._count))
            self._recent += self._count
            self._finished += self._count
        self._step, self._count = step, 0
        while self._steps and self._steps[0][0] < step - _STEPS:
            self._recent -= self._steps.popleft()[1]


@attrs.define
class Curve:
    """The cubic curve on which the rate returns to a limit, and grows beyond it.

    Attributes:
        limit: The limit, in requests per second.
        seconds: The time in which the rate reaches the limit again, in seconds.
    """

    limit: float
    seconds: float

    @classmethod
    def after_refusal(cls, limit: float, pause: float) -> "Curve":
        """Return the curve after a refusal.

        Args:
            limit: The limit, in requests per second.
            pause: The pause that the server asks for after a refusal, in seconds.
        """
        seconds = max(_CURVE_TIME, _CURVE_REQUESTS / limit, _CURVE_PAUSES * pause)
        return cls(limit, min(seconds, _MAX_CURVE_TIME))

    def at(self, elapsed: float) -> float:
        """Return the rate after a number of seconds on the curve, in requests per second."""
        end = _END_OF_CURVE * self.seconds
        if elapsed > end:
            doublings = min((elapsed - end) / _SLOW_DOUBLING_TIME, _MAX_DOUBLINGS)
            return self.at(end) * math.pow(2.0, doublings)
        # The distance is -1 at the start, 0 at the limit, and 1 at the end.
        distance = (elapsed / self.seconds - 1.0) ** 3
        return self.limit * (1.0 + (1.0 - _START_OF_CURVE) * distance)


@attrs.define
class AdaptiveRate:
    """The number of requests that may be sent per second, and when the next one may be sent.

    A place is the permission to send one request. Places follow each other at the current rate.

    Args:
        maximum: The maximum rate, in requests per second. Default: none, except the server's limit.
        initial: The first rate if there is no maximum, in requests per second.

    Attributes:
        per_second: The current rate, in requests per second.
        responses: Counts the responses that are not refusals.
        refusals: Counts the refusals (429).
        latency: The recent latency of responses in seconds, if the caller measures it.
        was_refused: Whether a request was refused.
        refused_at: The time of the latest refusal that lengthened the pause.
    """

    maximum: float | None = None
    initial: float = INITIAL_RATE
    per_second: float = attrs.Factory(lambda self: self.maximum or self.initial, takes_self=True)
    responses: Meter = attrs.field(factory=Meter, init=False)
    refusals: Meter = attrs.field(factory=Meter, init=False)
    latency: float = attrs.field(default=math.inf, init=False)
    was_refused: bool = attrs.field(default=False, init=False)
    refused_at: float = attrs.field(default=-1.0, init=False)
    # The time of the next place by the rate alone. The first place is free immediately.
    _next_place: float = attrs.field(default=math.inf, init=False)
    # The time before which no place can be taken.
    _free_at: float = attrs.field(default=0.0, init=False)
    _paused_until: float = attrs.field(default=0.0, init=False)
    _is_in_demand: bool = attrs.field(default=False, init=False)
    # The curve is `None` until the limit is known.
    _curve: Curve | None = attrs.field(default=None, init=False)
    _seconds_on_curve: float = attrs.field(default=0.0, init=False)
    _grown_at: float | None = attrs.field(default=None, init=False)
    _cut_at: float = attrs.field(default=-_MIN_TIME_BETWEEN_CUTS, init=False)
    _consecutive_refusals: int = attrs.field(default=0, init=False)
    # The pause after the latest of these refusals, in seconds.
    _pause: float = attrs.field(default=0.0, init=False)

    def try_acquire(self, now: float, places: int = 1) -> bool:
        """Take the next places if they are free; return whether they were.

        Args:
            now: The current time.
            places: The number of requests that follow each other directly. Reading and changing a
                token belong together, so there is no wait in between.
        """
        if now < self._free_at:
            self._is_in_demand |= now >= self._paused_until
            return False
        # Places that nobody has taken are lost, except for the latest ones. Otherwise a burst of
        # requests would follow.
        place = min(max(self._next_place, now - _CATCH_UP), now)
        spacing = places / self.per_second
        self._next_place = place + max(spacing, self._pause)
        self._free_at = max(self._next_place, now + _MIN_SPACING * spacing - _TIMER_RESOLUTION)
        if self._is_in_demand or self.was_refused:
            self._grow(now)
            self._is_in_demand = False
        return True

    def set_maximum(self, maximum: float | None) -> None:
        """Set the maximum rate, in requests per second; `None` for none."""
        if maximum is not None and maximum != self.maximum:
            self.per_second = maximum
        self.maximum = maximum

    def release(self, places: int) -> None:
        """Return places that were taken, but not used."""
        spacing = places / self.per_second
        self._next_place -= spacing
        self._free_at = max(self._free_at - spacing, self._paused_until)

    def wait_time(self, now: float) -> float:
        """Return the seconds after which to call `try_acquire` again if no place was free."""
        is_fast = _MIN_SPACING / self.per_second < _TIMER_RESOLUTION
        return max(self._free_at - now, _WAKE_UP_INTERVAL if is_fast else 0.0)

    def seconds_until_free(self, now: float) -> float:
        """Return the number of seconds until a place may be free."""
        return max(0.0, self._free_at - now)

    def pause(self, now: float, seconds: float) -> None:
        """Do not allow any request for a number of seconds."""
        self._pause_until(now + seconds)

    def is_paused(self, now: float) -> bool:
        """Return whether no request is allowed now."""
        return now < self._paused_until

    def pause_left(self, now: float) -> float:
        """Return the number of seconds in which no request is allowed."""
        return max(0.0, self._paused_until - now)

    # --- Results of requests -----------------------------------------------------------------

    def record_response(self, now: float, sent_at: float) -> None:
        """Record a response that is not a refusal.

        Args:
            now: The current time.
            sent_at: The time at which the request was sent.
        """
        self.responses.count(now)
        if self._consecutive_refusals and sent_at > self.refused_at:
            self._consecutive_refusals, self._pause = 0, 0.0

    def record_rate_limit(self, now: float, sent_at: float, retry_after: float | None) -> None:
        """Record a response with status 429, which slows down all requests.

        Args:
            now: The current time.
            sent_at: The time at which the request was sent.
            retry_after: The seconds in the `Retry-After` header, if there is one. It is a lower
                bound for the pause and never replaces it, because a server may send 0 for minutes.
        """
        self.refusals.count(now)
        if retry_after is not None:
            self._pause_until(now + retry_after)
        if sent_at <= self.refused_at:
            # The request was in flight at the latest refusal, so this refusal has the same cause.
            return
        self.refused_at = now
        if not self.was_refused and self.maximum is None:
            # Requests may have been sent that took no place, so start with the measured rate.
            self.per_second = max(self.per_second, self.responses.per_second(now))
        first_pause = max(_SKIPPED_REQUESTS / self.per_second, _MIN_PAUSE)
        doublings = min(self._consecutive_refusals, _MAX_DOUBLINGS)
        pause = min(first_pause * 2.0**doublings, _MAX_PAUSE)
        is_server_slower = retry_after is not None and retry_after >= pause
        if not is_server_slower:
            self._pause = pause
            self._pause_until(now + pause)
        self._consecutive_refusals += 1
        # Further refusals show that the limit is exhausted, not that the rate is too high.
        is_new = now - self._cut_at >= _MIN_TIME_BETWEEN_CUTS
        if self._consecutive_refusals == 1 and is_new:
            self._slow_down(now, retry_after if is_server_slower else None)

    # --- The rate ----------------------------------------------------------------------------

    def _pause_until(self, time: float) -> None:
        self._paused_until = max(self._paused_until, time)
        self._free_at = max(self._free_at, self._paused_until)

    def _slow_down(self, now: float, retry_after: float | None) -> None:
        """Lower the rate because of a refusal.

        Args:
            now: The current time.
            retry_after: The pause that the server asks for, if it is longer than our own.
        """
        is_first, self.was_refused = not self.was_refused, True
        if retry_after is not None:
            self._cut(now, self._limit(now, _MIN_SHARE), retry_after)
        elif is_first:
            self._cut_at, self._grown_at = now, None
            self._pause_until(now + _FIRST_PAUSE)
            if self.responses.total >= _MIN_RESPONSES:
                self.per_second = self._limit(now, _MIN_SHARE_AT_FIRST) * _START_OF_CURVE
        else:
            tolerated = _TOLERATED_REFUSALS * self.responses.per_second(now)
            if self.refusals.per_second(now) > tolerated:
                self._cut(now, self._limit(now, _MIN_SHARE), 0.0)

    def _limit(self, now: float, min_share: float) -> float:
        """Return an estimate of the server's limit after a refusal, in requests per second.

        Args:
            now: The current time.
            min_share: The minimum of the estimate, as a share of the current rate. The responses
                of the last second may be too few, because requests may have started only now.
        """
        measured = self.responses.per_second(now) + _MEASURING_ERROR
        return max(_MIN_RATE, min(self.per_second, max(measured, self.per_second * min_share)))

    def _cut(self, now: float, limit: float, pause: float) -> None:
        """Lower the rate to the start of a new curve."""
        self._cut_at, self._grown_at = now, None
        self._curve, self._seconds_on_curve = Curve.after_refusal(limit, pause), 0.0
        self.per_second = max(_MIN_RATE, self._curve.at(0.0))

    def _grow(self, now: float) -> None:
        """Raise the rate with time, as long as callers wait for places."""
        if self._grown_at is None:
            self._grown_at = now
        elapsed = now - self._grown_at
        if not self.was_refused:
            doubling_time = min(
                _DOUBLING_TIME, _MIN_DOUBLING_TIME + _DOUBLING_LATENCIES * self.latency
            )
            if elapsed < doubling_time:
                return
            self._set_rate(self.per_second * 2.0)
        elif self._is_in_demand and not self._consecutive_refusals:
            if self._curve is None:
                self._set_rate(self.per_second * 2.0 ** (elapsed / _SLOW_DOUBLING_TIME))
            else:
                self._seconds_on_curve += elapsed
                self._set_rate(self._curve.at(self._seconds_on_curve))
        self._grown_at = now

    def _set_rate(self, rate: float) -> None:
        self.per_second = min(max(rate, _MIN_RATE), self.maximum or rate)
