"""When to try again, when to wait, and when to give up: what keeps an outage from a storm.

Pure but for its memory.
"""

import attrs

_IN_A_ROW = 10  # troubles without an answer between them: the service is out
_FIRST_PROBE = 1.0  # seconds
_LAST_PROBE = 30.0
_ANSWERED_SHARE = 0.35  # of a further try is earned by each request that is answered,
_TROUBLED_SHARE = 0.1  # and so much by each that is not: in an outage, there are few
_RESERVE = 10.0  # further tries that a job has from the beginning
_MOST = 50.0  # further tries that can be saved up


@attrs.define
class Health:
    """Whether the service answers, and how many further tries there may be.

    Args:
        patience: For how many seconds an outage is waited out.

    Attributes:
        down_since: When the outage began, or `None`.
        starved_since: Since when all was refused for being too much, or `None`.
        is_at_its_best: Whether an answer would change nothing: all are answered, and as many
            further tries are saved up as may be.
    """

    patience: float
    down_since: float | None = None
    starved_since: float | None = None
    is_at_its_best: bool = False
    _in_a_row: int = 0
    _probe: float = _FIRST_PROBE
    _budget: float = _RESERVE

    def may_try_again(self) -> bool:
        """Takes a further try out of what was saved up, if there is one."""
        if self._budget < 1:
            return False
        self._budget -= 1
        self.is_at_its_best = False
        return True

    def answered(self) -> None:
        """The service has answered: it is there."""
        self._is_there()
        self.starved_since = None
        self._earn(_ANSWERED_SHARE)
        self.is_at_its_best = self._budget >= _MOST

    def refused(self, now: float) -> None:
        """The service has answered that it was too much: it is there, if to no use."""
        self._is_there()
        self.is_at_its_best = False
        if self.starved_since is None:
            self.starved_since = now

    def troubled(self, now: float) -> None:
        """The service has not answered, or with an error of its own."""
        self.is_at_its_best = False
        self._earn(_TROUBLED_SHARE)
        self._in_a_row += 1
        if self._in_a_row >= _IN_A_ROW:
            self.out(now)

    def out(self, now: float) -> None:
        """The service counts as being out, until it answers."""
        self.is_at_its_best = False
        if self.down_since is None:
            self.down_since = now

    def next_probe(self, now: float) -> float:
        """The seconds until one request may be sent, to see whether the service is back."""
        seconds, self._probe = self._probe, min(_LAST_PROBE, self._probe * 2)
        since = now if self.down_since is None else self.down_since
        return max(0.0, min(seconds, since + self.patience - now))

    def is_hopeless(self, now: float) -> bool:
        """Whether one does not want to wait for the service any longer."""
        since = self.starved_since if self.down_since is None else self.down_since
        return since is not None and now - since >= self.patience

    def _earn(self, share: float) -> None:
        self._budget = min(self._budget + share, _MOST)

    def _is_there(self) -> None:
        self.down_since = None
        self._in_a_row = 0
        self._probe = _FIRST_PROBE
