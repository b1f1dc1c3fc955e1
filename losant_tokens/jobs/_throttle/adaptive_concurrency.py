"""Adapt the number of requests of a job that may be in flight.

The problem: a job should use a fast server fully. It must not flood a server that queues requests,
and must not slow down because responses are slow or irregular. The only signal is the latency.

The approach is that of TCP Vegas (Brakmo and Peterson, 1995) and of Netflix's gradient limits
(https://github.com/Netflix/concurrency-limits): compare the current latency with the best known
one, the baseline. While they are similar, there is no queue, and the limit grows: it doubles in
each round, or grows by its square root if it has shrunk before. When the latency is several times
the baseline, the limit shrinks. Three things are special here:

- The latency of a round is its *lower quartile*, not its mean. If one response in ten is 25 times
  as slow as the others, the mean of a round varies between one and ten times the usual, and a limit
  based on means falls to 1. A queue delays all responses, so it moves the quartile as well.
- One slow round changes nothing. Two in a row do.
- If the limit was halved and the latency has not fallen, the requests of this job are not the
  cause. The baseline is learned again, and the limit grows. (A baseline that can only fall is the
  known weakness of Vegas when a route changes. BBR probes again for the same reason.)

Rejected: hill climbing on the throughput, because the rate limit of the server usually determines
the throughput, so it says nothing about concurrency.

The classes do no I/O and read no clock: the caller passes the time.
"""

import math
from collections import defaultdict

import attrs

_FIRST_LIMIT = 8
_SLOW, _SLOW_SECONDS = 3.0, 0.05  # times the baseline, and at least this much more: a queue
_CALM, _CALM_SECONDS = 1.5, 0.02  # times the baseline, or this much more: the limit may grow
_MIN_ROUND = 20  # responses, so that a round has both reads and changes
_SLOW_ROUNDS = 2  # in a row, before the limit shrinks
_SHRINK = 0.8
_SAME_LATENCY = 0.8  # of the latency before the limit was halved: it made no difference
_FAILURE_WEIGHT = 0.03  # of each request in the share of failed requests
_TOLERATED_FAILURES = 0.15  # about six in a row, or one in seven
_BASELINE_GROWTH = 1.001  # per round, because the baseline may be that of a quieter hour
_BASELINE_DROP = 0.5  # of the way to a lower quartile, because one lucky round proves little


@attrs.define
class Latencies:
    """The latencies of one kind of request in a round, and their baseline.

    Kinds are kept apart because reading a token may take a tenth of the time of deleting it.

    Attributes:
        latest: The latencies of this round, in seconds.
        baseline: The lowest known lower quartile of a round, in seconds.
        typical: The lower quartile of the last round, in seconds.
    """

    latest: list[float] = attrs.field(factory=list)
    baseline: float = math.inf
    typical: float = math.inf

    def end_round(self) -> tuple[float, float]:
        """End the round. Return its total latency at the quartile, and at the baseline."""
        count = len(self.latest)
        if not count:
            return 0.0, 0.0
        self.latest.sort()
        self.typical = self.latest[count // 4]
        self.latest.clear()
        if math.isinf(self.baseline):
            self.baseline = self.typical
        elif self.typical < self.baseline:
            self.baseline += _BASELINE_DROP * (self.typical - self.baseline)
        else:
            self.baseline = min(self.typical, self.baseline * _BASELINE_GROWTH)
        return self.typical * count, self.baseline * count

    def reset_baseline(self) -> None:
        """Use the latency of the last round as the baseline."""
        self.baseline = self.typical


@attrs.define
class AdaptiveConcurrency:
    """A limit on the requests in flight, which adapts to the latency.

    Args:
        max_limit: The highest value of the limit.

    Attributes:
        limit: How many requests may be in flight.
        latency: The typical latency of the last round, in seconds.
    """

    max_limit: int
    limit: int = attrs.Factory(lambda self: min(_FIRST_LIMIT, self.max_limit), takes_self=True)
    latency: float = attrs.field(default=math.inf, init=False)
    _shrunk_at: float = attrs.field(default=-1.0, init=False)  # because of failures
    _failure_share: float = attrs.field(default=0.0, init=False)  # of the latest requests
    _has_shrunk: bool = attrs.field(default=False, init=False)
    _kinds: defaultdict[str, Latencies] = attrs.field(
        factory=lambda: defaultdict(Latencies), init=False
    )
    _responses: int = attrs.field(default=0, init=False)  # in this round
    _slow_rounds: int = attrs.field(default=0, init=False)  # in a row
    _before: tuple[int, float] | None = attrs.field(default=None, init=False)
    """The limit and the latency at the start of the current series of slow rounds."""

    def record_response(self, latency: float, kind: str) -> bool:
        """Record the latency of a response. Return whether it was the last one of a round.

        Args:
            latency: The latency in seconds.
            kind: The kind of the request.
        """
        self._failure_share *= 1.0 - _FAILURE_WEIGHT
        self._kinds[kind].latest.append(latency)
        self._responses += 1
        if self._responses < self.limit or self._responses < _MIN_ROUND:
            return False
        self._end_round()
        return True

    def record_failure(self, now: float, sent_at: float) -> None:
        """Record a request that timed out, or met an error of the server or the network.

        Halve the limit if such requests are frequent.

        Args:
            now: The time.
            sent_at: The time when the request was sent.
        """
        self._failure_share += (1.0 - self._failure_share) * _FAILURE_WEIGHT
        was_sent_before_shrinking = sent_at <= self._shrunk_at
        if self._failure_share > _TOLERATED_FAILURES and not was_sent_before_shrinking:
            self._shrunk_at = now
            self._shrink_to(self.limit // 2)

    def _end_round(self) -> None:
        totals = [latencies.end_round() for latencies in self._kinds.values()]
        self.latency = latency = sum(total for total, _ in totals) / self._responses
        baseline = sum(at_baseline for _, at_baseline in totals) / self._responses
        self._responses = 0
        if latency > max(baseline * _SLOW, baseline + _SLOW_SECONDS):
            self._end_slow_round(latency)
            return
        self._slow_rounds, self._before = 0, None
        if latency <= max(baseline * _CALM, baseline + _CALM_SECONDS):
            self._grow()

    def _grow(self) -> None:
        step = math.isqrt(self.limit) if self._has_shrunk else self.limit
        self.limit = min(self.limit + step, self.max_limit)

    def _end_slow_round(self, latency: float) -> None:
        self._slow_rounds += 1
        if self._slow_rounds < _SLOW_ROUNDS:
            return
        if self._before is None:
            self._before = (self.limit, latency)
        limit_before, latency_before = self._before
        if self.limit > max(1, limit_before // 2):
            self._shrink_to(int(self.limit * _SHRINK))
        elif latency >= latency_before * _SAME_LATENCY:
            for latencies in self._kinds.values():
                latencies.reset_baseline()
            self._slow_rounds, self._before = 0, None
        else:
            self._before = (self.limit, latency)

    def _shrink_to(self, limit: int) -> None:
        self.limit = max(1, limit)
        self._has_shrunk = True
