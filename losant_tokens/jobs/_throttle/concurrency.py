"""How many requests of a job may be in flight at once: a number, found by experiment.

The problem: a job shall use a fast server fully, and neither flood a server that queues requests
nor starve itself because responses are slow or irregular. The only signal is latency.

The approach is that of TCP Vegas (Brakmo and Peterson, 1995) and of the gradient limits of Netflix
(https://github.com/Netflix/concurrency-limits): compare the latency of late with the best one
known, the baseline. As long as they are alike, no queue has formed, and concurrency grows: it
doubles in each round, and by its square root once it had to shrink. When latency rises to several
times the baseline, it shrinks. Three things are special here:

- Latency is the *lower quartile* of a round, not its mean. With one response in ten 25 times as
  slow as the others, the mean of a round jumps between once and ten times the usual, and a limit by
  means falls to 1. A queue delays all responses, so it moves the quartile as well.
- One slow round changes nothing, two in a row do.
- If concurrency was halved and latency has not fallen with it, the requests of this job are not
  the cause. The baseline is learned again, and concurrency grows. (A baseline that is only ever
  lowered is the known weakness of Vegas when a route changes; BBR probes again for the same
  reason.)

Rejected: to watch the throughput (hill climbing), because the rate is limited elsewhere most of
the time, so that throughput says nothing about concurrency.

Pure except for its memory.
"""

import math
from collections import defaultdict

import attrs

_FIRST_CONCURRENCY = 8
_SLOW, _SLOW_SECONDS = 3.0, 0.05  # times the baseline, and at least this much more: a queue
_CALM, _CALM_SECONDS = 1.5, 0.02  # up to here, concurrency grows
_MIN_ROUND = 20  # responses, so that reads and changes are both among them
_SLOW_ROUNDS = 2  # in a row, before concurrency shrinks
_SHRINK = 0.8
_SAME_LATENCY = 0.8  # of the latency before it shrank: halving the concurrency made no difference
_TROUBLE_WEIGHT = 0.03  # of each request in the share of failed requests:
_TOLERATED_TROUBLE = 0.15  # about six in a row, or one in seven for long
_FORGETTING = 1.001  # per round: the baseline may be that of a quieter hour
_LEARNING = 0.5  # of the way down to a lower quartile in each round: one lucky round proves little


@attrs.define
class Latencies:
    """The latencies of the responses of one kind in a round, and their baseline.

    Kinds are kept apart because to read a token may take a tenth of the time of deleting it.

    Attributes:
        latest: Those of this round, in seconds.
        baseline: The lower quartile of a round at the best of times, in seconds.
        typical: The lower quartile of the last round, in seconds.
    """

    latest: list[float] = attrs.field(factory=list)
    baseline: float = math.inf
    typical: float = math.inf

    def end_round(self) -> tuple[float, float]:
        """Return the total latency of the round, at its quartile and at the baseline."""
        count = len(self.latest)
        if not count:
            return 0.0, 0.0
        self.latest.sort()
        self.typical = self.latest[count // 4]
        self.latest.clear()
        if math.isinf(self.baseline):
            self.baseline = self.typical
        elif self.typical < self.baseline:
            self.baseline += _LEARNING * (self.typical - self.baseline)
        else:
            self.baseline = min(self.typical, self.baseline * _FORGETTING)
        return self.typical * count, self.baseline * count

    def learn_again(self) -> None:
        """Take the latency of the last round as the baseline."""
        self.baseline = self.typical


@attrs.define
class Concurrency:
    """How many requests may be in flight at once.

    Args:
        most: The maximum.

    Attributes:
        now: How many may be in flight now.
        latency: The typical latency of the last round, in seconds.
    """

    most: int
    now: int = attrs.Factory(lambda self: min(_FIRST_CONCURRENCY, self.most), takes_self=True)
    latency: float = attrs.field(default=math.inf, init=False)
    _troubled_at: float = attrs.field(default=-1.0, init=False)
    _trouble: float = attrs.field(default=0.0, init=False)  # the share of failed requests of late
    _has_shrunk: bool = attrs.field(default=False, init=False)
    _kinds: defaultdict[str, Latencies] = attrs.field(
        factory=lambda: defaultdict(Latencies), init=False
    )
    _responses: int = attrs.field(default=0, init=False)  # in this round
    _slow_rounds: int = attrs.field(default=0, init=False)  # in a row
    _before: tuple[int, float] | None = attrs.field(default=None, init=False)
    """The concurrency and the latency when the latest series of slow rounds began."""

    def answered(self, latency: float, kind: str) -> bool:
        """Note the latency of a response; return whether a round has ended with it.

        Args:
            latency: In seconds.
            kind: What the request did.
        """
        if self._trouble:
            self._trouble *= 1.0 - _TROUBLE_WEIGHT
        self._kinds[kind].latest.append(latency)
        self._responses = responses = self._responses + 1
        if responses < self.now or responses < _MIN_ROUND:
            return False
        self._end_round()
        return True

    def troubled(self, now: float, sent_at: float) -> None:
        """Note a request that timed out or met an error of the server or the network.

        A few failures are no reason to slow down.
        """
        self._trouble += (1.0 - self._trouble) * _TROUBLE_WEIGHT
        if sent_at <= self._troubled_at:
            return  # it was in flight already when concurrency shrank
        if self._trouble > _TOLERATED_TROUBLE:
            self._troubled_at = now
            self._shrink_to(self.now // 2)

    def _end_round(self) -> None:
        totals = [latencies.end_round() for latencies in self._kinds.values()]
        self.latency = latency = sum(total for total, _ in totals) / self._responses
        baseline = sum(at_baseline for _, at_baseline in totals) / self._responses
        self._responses = 0
        if latency > max(baseline * _SLOW, baseline + _SLOW_SECONDS):
            self._slow_round(latency)
            return
        self._slow_rounds, self._before = 0, None
        if latency <= max(baseline * _CALM, baseline + _CALM_SECONDS):
            self._grow()

    def _grow(self) -> None:
        more = math.isqrt(self.now) if self._has_shrunk else self.now
        self.now = min(self.now + more, self.most)

    def _slow_round(self, latency: float) -> None:
        self._slow_rounds += 1
        if self._slow_rounds < _SLOW_ROUNDS:
            return
        if self._before is None:
            self._before = (self.now, latency)
        concurrency, latency_before = self._before
        if self.now > max(1, concurrency // 2):
            self._shrink_to(int(self.now * _SHRINK))
        elif latency >= latency_before * _SAME_LATENCY:
            for latencies in self._kinds.values():
                latencies.learn_again()
            self._slow_rounds, self._before = 0, None
        else:
            self._before = (self.now, latency)

    def _shrink_to(self, wanted: int) -> None:
        self.now = max(1, wanted)
        self._has_shrunk = True
