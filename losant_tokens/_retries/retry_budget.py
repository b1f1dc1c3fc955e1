"""A limit on the retries of a client, so that an outage does not multiply its requests.

The problem: in an outage, every call sends all of its attempts. A server that is about to recover
then receives four times the usual load.

The approach: a token bucket for all calls of a client. A retry takes a token, and a success adds
some. The first attempt of a call is always sent. While the bucket is empty, a retry is sent only
from time to time, as a probe, at intervals that grow. Without probes, the bucket would stay empty
if all calls wait for a retry. A call whose retry is not allowed continues its backoff, so that it
still succeeds if the server recovers soon.

A call reserves a token before the delay of a retry, because the log and the hooks report the retry
then. A retry without a reservation may be allowed later, but it is not reported until it is sent:
in an outage, nearly all of them never are.

Source: the standard retry mode of botocore has such a token bucket, and the chapter "Handling
Overload" of Google's book "Site Reliability Engineering" describes retry budgets.

Rejected: a circuit breaker, which holds back first attempts as well, because it would keep calls
away from a server that has recovered.

The caller passes the time, so that tests need no clock.
"""

import attrs

CAPACITY = 8.0
"""The maximum number of tokens. A client starts with this number."""

_EARNED = 0.2  # tokens for a first attempt with a response
_EARNED_BY_RETRY = 2.0  # tokens for a retry with a response, so that the bucket fills quickly
_FIRST_PROBE, _LAST_PROBE = 0.5, 8.0  # seconds between probes


@attrs.define
class RetryBudget:
    """Decides whether a retry may be sent.

    Attributes:
        is_full: Whether another success would change nothing.
    """

    is_full: bool = True
    _tokens: float = CAPACITY
    _has_reported: bool = False
    _probe_at: float | None = None
    _interval: float = _FIRST_PROBE

    def reserve(self) -> bool:
        """Take a token for a retry after a delay; return `False` if there is none."""
        if self._tokens < 1:
            return False
        self.is_full = False
        self._tokens -= 1
        return True

    def give_back(self) -> None:
        """Give back the token of a retry that will not be sent."""
        self._add(1)

    def report_shortage(self) -> bool:
        """Return whether a shortage must be reported: only once, until the budget is full again."""
        has_reported, self._has_reported = self._has_reported, True
        return not has_reported

    def take(self, now: float) -> bool:
        """Take a token for a retry; return whether the retry may be sent.

        Args:
            now: The current time.
        """
        if self.reserve():
            return True
        if self._probe_at is None:
            self._probe_at = now + self._interval
        if now < self._probe_at:
            return False
        self._interval = min(self._interval * 2, _LAST_PROBE)
        self._probe_at = now + self._interval
        return True

    def record_response(self, *, is_retry: bool) -> None:
        """Add tokens because the API has responded.

        Args:
            is_retry: Whether the response belongs to a retry.
        """
        earned = _EARNED_BY_RETRY if is_retry or self._tokens < 1 else _EARNED
        self._probe_at, self._interval = None, _FIRST_PROBE
        self._add(earned)

    def _add(self, tokens: float) -> None:
        self._tokens = min(self._tokens + tokens, CAPACITY)
        self.is_full = self._tokens >= CAPACITY
        if self.is_full:
            self._has_reported = False
