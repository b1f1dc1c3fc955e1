"""When to retry, when to wait, and when to give up: a circuit breaker and a retry budget.

Pure except for its memory.
"""

import attrs

_IN_A_ROW = 10  # failures without a response of the API between them: the service is out
_FOREIGN_IN_A_ROW = 6  # responses that are not from the API; more than the attempts for one token
_UNKNOWN_PATIENCE = 15.0  # seconds, if no response of the API was ever seen
_FIRST_PROBE = 1.0  # seconds
_LAST_PROBE = 30.0
_ANSWERED_SHARE = 0.35  # of a retry is earned by each request that is answered,
_TROUBLED_SHARE = 0.1  # and this much by each that is not: in an outage, there are few retries
_RESERVE = 10.0  # retries that a job has from the beginning
_MOST = 50.0  # retries that can be saved up


@attrs.define
class Health:
    """Whether the service answers, and how many retries are allowed.

    Args:
        patience: For how many seconds an outage is waited out.

    Attributes:
        down_since: When the outage began, or `None`.
        starved_since: Since when every request was refused with 429, or `None`.
        is_at_its_best: Whether a response would change nothing: every request is answered, and the
            retry budget is full.
    """

    patience: float
    down_since: float | None = None
    starved_since: float | None = None
    is_at_its_best: bool = False
    _has_answered: bool = False
    _in_a_row: int = 0
    _foreign_in_a_row: int = 0
    _probe: float = _FIRST_PROBE
    _budget: float = _RESERVE

    def may_try_again(self) -> bool:
        """Take a retry out of the budget, if there is one."""
        if self._budget < 1:
            return False
        self._budget -= 1
        self.is_at_its_best = False
        return True

    def answered(self) -> None:
        """Note that the API has answered."""
        self._is_there()
        self.starved_since = None
        self._earn(_ANSWERED_SHARE)
        self.is_at_its_best = self._budget >= _MOST

    def refused(self, now: float) -> None:
        """Note a 429: the service is there, but takes no more for now."""
        self._is_there()
        self.is_at_its_best = False
        if self.starved_since is None:
            self.starved_since = now

    def troubled(self, now: float, *, is_foreign: bool = False) -> None:
        """Note a request that was not answered by the API, or with an error of the server.

        Args:
            now: The time.
            is_foreign: Whether there was a response that cannot come from the API, such as the
                page of a captive portal.
        """
        self.is_at_its_best = False
        self._earn(_TROUBLED_SHARE)
        self._in_a_row += 1
        self._foreign_in_a_row += is_foreign
        if self._in_a_row >= _IN_A_ROW or self._foreign_in_a_row >= _FOREIGN_IN_A_ROW:
            self.out(now)

    def out(self, now: float) -> None:
        """Regard the service as out until it answers."""
        self.is_at_its_best = False
        if self.down_since is None:
            self.down_since = now

    def next_probe(self, now: float) -> float:
        """Return the seconds until one request may find out whether the service is back."""
        seconds, self._probe = self._probe, min(_LAST_PROBE, self._probe * 2)
        since = now if self.down_since is None else self.down_since
        return max(0.0, min(seconds, since + self._patience() - now))

    def is_hopeless(self, now: float) -> bool:
        """Return whether the job has waited for the service as long as `patience` allows."""
        since = self.starved_since if self.down_since is None else self.down_since
        return since is not None and now - since >= self._patience()

    def _patience(self) -> float:
        """Return how long to wait.

        If another service has answered from the beginning, that is rather a wrong address or a
        login page than an outage, and should be known soon.
        """
        if self._has_answered or not self._foreign_in_a_row:
            return self.patience
        return min(self.patience, _UNKNOWN_PATIENCE)

    def _earn(self, share: float) -> None:
        self._budget = min(self._budget + share, _MOST)

    def _is_there(self) -> None:
        self._has_answered = True
        self.down_since = None
        self._in_a_row = self._foreign_in_a_row = 0
        self._probe = _FIRST_PROBE
