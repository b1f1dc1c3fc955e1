"""How many retries a client may send, so that an outage does not multiply its requests.

The problem: in an outage, every call sends all of its attempts, and a service that comes back is
met by four times the usual load. The approach is a token bucket for all calls of a client, as in
the standard retry mode of botocore: a retry takes a token, a success earns some. The first attempt
of a call is always sent. While the bucket is empty, a retry is sent only now and then, as a probe
with growing intervals, because the calls that wait may all be waiting for each other. A call whose
retry is not sent goes on with its backoff, so that it still succeeds if the service is back soon.
A circuit breaker, which would hold back first attempts as well, was rejected: it would keep calls
from a service that has recovered.

Pure but for its memory: its caller supplies the time.
"""

import attrs

CAPACITY = 8.0  # retries that can be saved up; a client starts with as many
_EARNED = 0.2  # by a first attempt that is answered
_EARNED_BY_RETRY = 2.0  # so the bucket fills quickly once the service is back
_FIRST_PROBE, _LAST_PROBE = 0.5, 8.0  # seconds between probes


@attrs.define
class RetryBudget:
    """Decides whether a retry may be sent.

    Attributes:
        is_full: Whether a success would change nothing.
    """

    is_full: bool = True
    _tokens: float = CAPACITY
    _probe_at: float | None = None
    _interval: float = _FIRST_PROBE

    def take(self, now: float) -> bool:
        """Take a token for a retry; return whether the retry may be sent."""
        self.is_full = False
        if self._tokens >= 1:
            self._tokens -= 1
            return True
        if self._probe_at is None:
            self._probe_at = now + self._interval
        if now < self._probe_at:
            return False
        self._interval = min(self._interval * 2, _LAST_PROBE)
        self._probe_at = now + self._interval
        return True

    def answered(self, *, is_retry: bool) -> None:
        """Earn tokens, because the service has answered."""
        earned = _EARNED_BY_RETRY if is_retry or self._tokens < 1 else _EARNED
        self._tokens = min(self._tokens + earned, CAPACITY)
        self._probe_at, self._interval = None, _FIRST_PROBE
        self.is_full = self._tokens >= CAPACITY
