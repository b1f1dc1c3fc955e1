"""May this be tried again, and after how long?

| what happened                                       | GET, PATCH, DELETE | POST             |
| --------------------------------------------------- | ------------------ | ---------------- |
| could not connect, no free connection               | again              | again            |
| 429                                                 | again              | again            |
| 503                                                 | again              | with Retry-After |
| 408, 500, 502, 504, timeout or broken after sending | again              | never            |
| any other 4xx, an unreadable answer                 | never              | never            |
| a wrong proxy, CA file or certificate               | never              | never            |

To try a POST again that may have been carried out would be to risk a second token, whose secret
nobody has seen: a leak.
"""

from collections.abc import Callable

from attrs import field, frozen

from losant_tokens import _limits as limits
from losant_tokens.errors import (
    ConfigurationError,
    LosantError,
    ResponseError,
    StatusError,
    TransportError,
)

_UNAVAILABLE = 503
_DOUBLINGS = 1000  # beyond which a float overflows
_PERHAPS_DONE = frozenset({408, 500, 502, 504})


@frozen(kw_only=True)
class RetryPolicy:
    """How often, and for how long, a call is tried. The defaults suit most.

    Args:
        attempts: How many tries a call has, the first included; 1 to try once.
        base: What the first delay is drawn from, in seconds: somewhere between 0 and this ("full
            jitter"). It doubles for each further one.
        cap: What a delay is drawn from at the most, in seconds.
        deadline: How long a call may take with all its tries and delays, in seconds, from its
            first turn at the pool. A delay that would not end before is not begun.

    Raises:
        ValidationError: A value is not a positive number.
    """

    attempts: int = field(default=4, validator=limits.whole(least=1))
    base: float = field(default=0.5, validator=limits.positive)
    cap: float = field(default=20.0, validator=limits.positive)
    deadline: float = field(default=60.0, validator=limits.positive)


ONCE = RetryPolicy(attempts=1)
"""For whoever tries again by rules of their own."""


def may_try_again(method: str, error: LosantError) -> bool:
    """Whether the table allows another try after an error."""
    creates = method == "POST"
    match error:
        case ConfigurationError():
            return False
        case TransportError():
            return not (creates and error.ambiguous)
        case StatusError(status_code=429):
            return True
        case StatusError(status_code=503):
            return not creates or error.retry_after is not None
        case StatusError(status_code=code):
            return code in _PERHAPS_DONE and not creates
        case _:
            return False


def may_have_arrived(error: LosantError) -> bool:
    """Whether the request may have been carried out although the try failed."""
    match error:
        case TransportError() | ResponseError():
            return error.ambiguous
        case StatusError(status_code=code):
            return code in _PERHAPS_DONE or code == _UNAVAILABLE
        case _:
            return False


def delay_before_retry(
    policy: RetryPolicy,
    method: str,
    error: LosantError,
    *,
    attempt: int,
    elapsed: float,
    random: Callable[[], float],
) -> float | None:
    """How long to wait before the next try, in seconds; `None`: do not try again.

    Args:
        policy: How often, and for how long.
        method: The HTTP method.
        error: How the last try failed.
        attempt: The number of that try, from 1.
        elapsed: The seconds since the first try began.
        random: Draws a number from 0 to 1.
    """
    if attempt >= policy.attempts or not may_try_again(method, error):
        return None
    delay = random() * min(policy.cap, policy.base * 2.0 ** min(attempt - 1, _DOUBLINGS))
    asked_for = getattr(error, "retry_after", None)
    if asked_for is not None:
        delay = max(delay, asked_for)
    return delay if elapsed + delay < policy.deadline else None
