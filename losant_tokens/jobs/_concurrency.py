"""How many requests of a job may be in flight at once: a number, found by trying.

It doubles each round (as many answers as are let through at once), and shrinks by half on much
trouble (timeouts, errors of the server) and a little when answers have become slow. Once it had to
shrink, it grows by one a round. Pure but for its memory.
"""

import math
from collections import defaultdict

import attrs

_FIRST_CONCURRENCY = 8
_SLOW, _SLOW_SECONDS = 3.0, 0.05  # times the best latency, and so much more: the server labours
_CALM, _CALM_SECONDS = 1.5, 0.02  # up to here, more may be let through
_LEAST_ROUND = 8  # answers, so that reading and deleting both are among them
_TROUBLE_WEIGHT = 0.03  # of each request in the share of those that met trouble:
_TOLERATED_TROUBLE = 0.15  # some six in a row, or one in seven for long
_FORGETTING = 1.01  # a round: the best latency may be that of a quieter hour


@attrs.define
class Latencies:
    """The latencies of the answers of one kind in a round, and the best mean of a round there was.

    Kinds are kept apart, since to read a token may take a tenth of the time of deleting it.

    Attributes:
        latest: Those of this round, in seconds.
        best: The best mean of a round.
    """

    latest: list[float] = attrs.field(factory=list)
    best: float = math.inf

    def end_round(self) -> float:
        """What the total would be at the best mean; the next round begins."""
        count = len(self.latest)
        if not count:
            return 0.0
        self.best = min(sum(self.latest) / count, self.best * _FORGETTING)
        self.latest.clear()
        return self.best * count


@attrs.define
class Concurrency:
    """How many requests may be in flight at once.

    Args:
        most: How many there may be at the most.

    Attributes:
        now: How many may be in flight now.
        latency: The mean latency of the last round, in seconds.
    """

    most: int
    now: int = attrs.Factory(lambda self: min(_FIRST_CONCURRENCY, self.most), takes_self=True)
    latency: float = attrs.field(default=math.inf, init=False)
    _troubled_at: float = attrs.field(default=-1.0, init=False)
    _trouble: float = attrs.field(default=0.0, init=False)  # its share of late
    _has_shrunk: bool = attrs.field(default=False, init=False)
    _kinds: defaultdict[str, Latencies] = attrs.field(
        factory=lambda: defaultdict(Latencies), init=False
    )
    _answers: int = attrs.field(default=0, init=False)  # in this round

    def answered(self, latency: float, kind: str) -> bool:
        """A request of some kind was answered, after so many seconds, with no trouble.

        Says whether a round has ended with it, so that its numbers may be others.
        """
        if self._trouble:
            self._trouble *= 1.0 - _TROUBLE_WEIGHT
        self._kinds[kind].latest.append(latency)
        self._answers = answers = self._answers + 1
        if answers < self.now or answers < _LEAST_ROUND:
            return False
        self._end_round()
        return True

    def troubled(self, now: float, sent_at: float) -> None:
        """A request timed out, or met an error of the server or the network.

        Some trouble is nobody's fault, and no reason to go slower.
        """
        self._trouble += (1.0 - self._trouble) * _TROUBLE_WEIGHT
        if sent_at <= self._troubled_at:
            return  # it was on its way already, and says nothing new
        if self._trouble > _TOLERATED_TROUBLE:
            self._troubled_at = now
            self._shrink(self.now // 2)

    def _end_round(self) -> None:
        total = sum(sum(latencies.latest) for latencies in self._kinds.values())
        at_best = sum(latencies.end_round() for latencies in self._kinds.values())
        self.latency = latency = total / self._answers
        best = at_best / self._answers
        self._answers = 0
        if latency > max(best * _SLOW, best + _SLOW_SECONDS):
            self._shrink(self.now * 9 // 10)
        elif latency <= max(best * _CALM, best + _CALM_SECONDS):
            more = 1 if self._has_shrunk else self.now
            self.now = min(self.now + more, self.most)

    def _shrink(self, wanted: int) -> None:
        self.now = max(1, wanted)
        self._has_shrunk = True
