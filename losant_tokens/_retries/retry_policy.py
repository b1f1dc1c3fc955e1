"""Decide whether a failed request is sent again, and when: one table for calls and for jobs.

A call is one method of the client. A job sends its requests one attempt at a time and decides
itself when to send the next one; it sends only GET, PATCH and DELETE.

| failure                                       | GET, PATCH, DELETE | POST             | job   |
| --------------------------------------------- | ------------------ | ---------------- | ----- |
| could not connect, no free connection         | retry              | retry            | retry |
| 429                                           | retry              | retry            | retry |
| 503                                           | retry              | with Retry-After | retry |
| 408, any other 5xx                            | retry              | never            | retry |
| timeout or broken connection after sending    | retry              | never            | retry |
| a 404 that is not from the API, when in doubt | retry              | never            | retry |
| any other 4xx that is not from the API        | never              | never            | retry |
| an unreadable response, a redirect            | never              | never            | retry |
| any other 4xx from the API                    | never              | never            | never |
| a wrong setting, such as a proxy or a CA file | never              | never            | never |

A POST that may have been carried out is never sent again. It could create a second token whose
secret nobody keeps, which is a leak.

A request is in doubt if an earlier attempt may have been carried out. Then only a 404 from the API
proves that a token is gone. A 404 from a proxy proves nothing, so the request is sent again.

A job retries more than a call, because it reads a token before it changes it again. A wrong
setting ends the job.
"""

import math
from collections.abc import Callable
from enum import Enum, auto

from attrs import field, frozen

from losant_tokens._utils import validators
from losant_tokens.errors import (
    ConfigurationError,
    LosantError,
    NotFound,
    ResponseError,
    ServerError,
    StatusError,
    TooManyRequests,
    TransportError,
)

_UNAVAILABLE = 503
_MAX_WAIT = 1e8  # seconds, or three years
_MAX_DOUBLINGS = 1000  # one float overflows beyond 1023


@frozen(kw_only=True)
class RetryPolicy:
    """How often a request is sent, and how long a call may take. The defaults suit most programs.

    Raises:
        ValidationError: A value has the wrong type, or a number is not positive.
    """

    attempts: int = field(default=4, validator=validators.integer(minimum=1))
    """The maximum number of attempts, the first included; 1 disables retries. A 429 costs no
    attempt: the call waits, together with all calls of its client. Default: 4.
    """
    base: float = field(default=0.5, validator=validators.positive_number)
    """The upper bound of the first delay, in seconds. A delay is drawn between 0 and its bound
    ("full jitter"), and the bound doubles with each further attempt. Default: 0.5.
    """
    cap: float = field(default=20.0, validator=validators.positive_number)
    """The maximum bound of a delay, in seconds. Default: 20."""
    deadline: float = field(default=60.0, validator=validators.positive_number)
    """The maximum duration of the call, in seconds from when it is awaited. It covers every wait of
    the call: for a free connection, the rate limit, delays and responses. Default: 60.
    """
    follow_rate_limit: bool = field(default=True, validator=validators.instance_of(bool))
    """Whether the call waits while its client is rate limited, and slows the client down after a
    429. Set it to False only if you limit the rate yourself. Default: True.
    """


class FailureKind(Enum):
    """The kinds of failed attempts.

    RATE_LIMITED: 429: the server refused the request, and did not carry it out.
    UNAVAILABLE: There was no response, or the server failed.
    NOT_FROM_API: The response is not from the API but, for example, from a proxy or a login page.
    FINAL: The API refused the request, and will refuse it again.
    FATAL: Every other request would fail in the same way.
    """

    RATE_LIMITED = auto()
    UNAVAILABLE = auto()
    NOT_FROM_API = auto()
    FINAL = auto()
    FATAL = auto()


def classify(error: LosantError) -> FailureKind:
    """Return the kind of a failure. Only a response that is certain to be the API's is final."""
    match error:
        case ConfigurationError():
            return FailureKind.FATAL
        case TooManyRequests():
            return FailureKind.RATE_LIMITED
        case TransportError() | ServerError() | StatusError(status_code=408):
            return FailureKind.UNAVAILABLE
        case StatusError(is_from_api=True):
            return FailureKind.FINAL
        case StatusError() | ResponseError():
            return FailureKind.NOT_FROM_API
        case _:
            return FailureKind.FATAL


def may_have_arrived(error: LosantError) -> bool:
    """Return whether the request may have been carried out although the attempt failed."""
    if isinstance(error, TransportError | ResponseError):
        return error.ambiguous
    return classify(error) in {FailureKind.UNAVAILABLE, FailureKind.NOT_FROM_API}


def may_retry(method: str, error: LosantError, *, in_doubt: bool = False) -> bool:
    """Return whether a call may send its request again after a failed attempt.

    Args:
        method: The HTTP method.
        error: The error of the last attempt.
        in_doubt: Whether an attempt before the last one may have been carried out.
    """
    creates = method == "POST"
    match classify(error):
        case FailureKind.RATE_LIMITED:
            return True
        case FailureKind.UNAVAILABLE:
            return not (creates and may_have_arrived(error)) or _announces_return(error)
        case FailureKind.NOT_FROM_API:
            return in_doubt and not creates and isinstance(error, NotFound)
        case _:
            return False


def _announces_return(error: LosantError) -> bool:
    """Return whether this is a 503 with the time when the server will be back."""
    if not isinstance(error, StatusError):
        return False
    return error.status_code == _UNAVAILABLE and error.retry_after is not None


def may_retry_in_job(error: LosantError) -> bool:
    """Return whether a job may send a request again after a failed attempt.

    Args:
        error: The error of the last attempt.
    """
    return classify(error) not in {FailureKind.FINAL, FailureKind.FATAL}


def delay_before_retry(
    policy: RetryPolicy,
    method: str,
    error: LosantError,
    *,
    attempt: int,
    elapsed: float,
    random: Callable[[], float],
    in_doubt: bool = False,
) -> float | None:
    """Return how long a call waits before its next attempt, in seconds; `None` to give up.

    A 429 costs time, not attempts: it is retried until the deadline, unless the policy allows one
    attempt only. The server's `Retry-After` is a lower bound and never replaces the backoff.

    Args:
        policy: How often to send the request, and how long the call may take.
        method: The HTTP method.
        error: The error of the last attempt.
        attempt: The number of the last attempt, from 1; after a 429, the number of 429s in a row.
        elapsed: The seconds since the call was awaited.
        random: Returns a random number from 0 to 1.
        in_doubt: Whether an attempt before the last one may have been carried out.
    """
    is_rate_limited = classify(error) is FailureKind.RATE_LIMITED
    has_attempts_left = policy.attempts > (1 if is_rate_limited else attempt)
    if not has_attempts_left or not may_retry(method, error, in_doubt=in_doubt):
        return None
    doublings = min(max(attempt - 1, 0), _MAX_DOUBLINGS)
    delay = random() * min(policy.cap, policy.base * 2.0**doublings)
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        delay = max(delay, retry_after)
    return delay if elapsed + delay < policy.deadline and delay < _MAX_WAIT else None


def finite_or_inf(seconds: float) -> float:
    """Return a duration, or infinity if it is longer than an event loop can wait."""
    return seconds if seconds < _MAX_WAIT else math.inf
