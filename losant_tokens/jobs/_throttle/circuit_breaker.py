"""A circuit breaker with a retry budget: when to retry, when to wait, and when to give up.

The problem: if the API is down, each worker of a job would retry its own token. That sends many
requests to a server that is trying to recover, and uses up the attempts of tokens that nothing is
wrong with. If only some requests fail, retries still multiply the load.

The approach is a circuit breaker (Nygard, "Release It!", 2007): after several failures in a row it
opens, and the job sends one probe at a time, at growing intervals. Any response of the API closes
it. While it is closed, retries are paid from a budget, as in the standard retry mode of botocore
and in "Handling Overload" of Google's SRE book: requests earn a share of a retry, and failed ones
earn less. An empty budget opens the circuit. Two things are special here:

- A response that cannot come from the API, such as a login page of a captive portal, counts as a
  failure, and fewer of them open the circuit. If the API has never responded, the base URL is
  probably wrong, so the job gives up after 15 seconds.
- A 429 proves that the API works, so it closes the circuit. A job that gets no
  other response gives up after the same time as in an outage.

Rejected: a threshold on the error rate, because it needs a window of time, which is too short for a
slow job or too long for a fast one; a fixed number of retries for each token, because tokens would
fail because of an outage.

The classes do no I/O and read no clock: the caller passes the time.
"""

import attrs

_FAILURES_TO_OPEN = 10  # in a row, without a response of the API between them
_FOREIGN_TO_OPEN = 6  # in a row, not from the API; more than the attempts for one token
_FOREIGN_PATIENCE = 15.0  # seconds, if the API has never responded
_FIRST_PROBE = 1.0  # seconds
_LAST_PROBE = 30.0  # seconds
_EARNED_BY_RESPONSE = 0.35  # retries
_EARNED_BY_FAILURE = 0.1  # retries, so there are few retries in an outage
_FIRST_BUDGET = 10.0  # retries
_MAX_BUDGET = 50.0  # retries


@attrs.define
class CircuitBreaker:
    """Decides whether requests may be sent, and how many retries are allowed.

    Args:
        patience: How long to wait for the end of an outage, in seconds.

    Attributes:
        open_since: The time when the circuit opened: the start of an outage. `None` if it is
            closed.
        rate_limited_since: The time of the first 429 since the last other response, or `None`.
    """

    patience: float
    open_since: float | None = None
    rate_limited_since: float | None = None
    _has_responded: bool = False
    _failures: int = 0  # in a row
    _foreign_responses: int = 0  # in a row
    _probe_interval: float = _FIRST_PROBE
    _budget: float = _FIRST_BUDGET

    @property
    def is_open(self) -> bool:
        """Whether there is an outage, so only probes may be sent."""
        return self.open_since is not None

    def take_retry(self) -> bool:
        """Take one retry from the budget. Return whether there was one."""
        if self._budget < 1:
            return False
        self._budget -= 1
        return True

    def record_response(self) -> None:
        """Record a response of the API other than a 429 or a server error."""
        self._close()
        self.rate_limited_since = None
        if self._budget < _MAX_BUDGET:
            self._earn(_EARNED_BY_RESPONSE)

    def record_rate_limit(self, now: float) -> None:
        """Record a 429."""
        self._close()
        if self.rate_limited_since is None:
            self.rate_limited_since = now

    def record_failure(self, now: float, *, is_foreign: bool = False) -> None:
        """Record a request with no response, a server error, or a response of another service.

        Args:
            now: The time.
            is_foreign: Whether there was a response that cannot come from the API.
        """
        self._earn(_EARNED_BY_FAILURE)
        self._failures += 1
        self._foreign_responses += is_foreign
        if self._failures >= _FAILURES_TO_OPEN or self._foreign_responses >= _FOREIGN_TO_OPEN:
            self.open(now)

    def open(self, now: float) -> None:
        """Open the circuit, unless it is open."""
        if self.open_since is None:
            self.open_since = now

    def next_probe(self, now: float) -> float:
        """Return the seconds until the next probe may be sent, and double the interval."""
        seconds = self._probe_interval
        self._probe_interval = min(_LAST_PROBE, seconds * 2)
        since = now if self.open_since is None else self.open_since
        return max(0.0, min(seconds, since + self._max_wait() - now))

    def is_out_of_patience(self, now: float) -> bool:
        """Return whether an outage or a rate limit has lasted as long as `patience` allows."""
        since = self.rate_limited_since if self.open_since is None else self.open_since
        return since is not None and now - since >= self._max_wait()

    def patience_left(self, now: float) -> float | None:
        """Return the seconds until an outage or a rate limit has lasted too long, or `None`."""
        since = self.rate_limited_since if self.open_since is None else self.open_since
        return None if since is None else max(0.0, since + self._max_wait() - now)

    def _max_wait(self) -> float:
        if self._has_responded or not self._foreign_responses:
            return self.patience
        return min(self.patience, _FOREIGN_PATIENCE)

    def _earn(self, retries: float) -> None:
        self._budget = min(self._budget + retries, _MAX_BUDGET)

    def _close(self) -> None:
        self._has_responded = True
        self.open_since = None
        self._failures = self._foreign_responses = 0
        self._probe_interval = _FIRST_PROBE
