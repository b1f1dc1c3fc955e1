"""Decides whether a failed request may be sent again, and after how long.

| failure                                             | GET, PATCH, DELETE | POST             |
| --------------------------------------------------- | ------------------ | ---------------- |
| could not connect, no free connection               | retry              | retry            |
| 429                                                 | retry              | retry            |
| 503                                                 | retry              | with Retry-After |
| 408, 500, 502, 504, timeout or broken after sending | retry              | never            |
| a 404 of a stranger, when in doubt (see below)      | retry              | never            |
| a wrong setting, such as a proxy or a certificate   | never              | never            |
| any other 4xx, an unreadable response               | never              | never            |

A POST that may have been carried out is never sent again: the secret of a second token would be
lost, and that is a leak.

When an attempt may have been carried out, only the API's own 404 says that a token is gone. That of
a proxy in front of it leaves the doubt, so the request is sent again.
"""

import math
from collections.abc import Callable

from attrs import field, frozen

from losant_tokens import _validators as validators
from losant_tokens.errors import (
    ConfigurationError,
    LosantError,
    ResponseError,
    StatusError,
    TransportError,
)

_TOO_MANY = 429
_UNAVAILABLE = 503
_ENDLESS = 1e8  # seconds, or three years
_DOUBLINGS = 1000  # beyond which a float overflows
_PERHAPS_DONE = frozenset({408, 500, 502, 504})


@frozen(kw_only=True)
class RetryPolicy:
    """How often a request is sent, and how long a call may take. The defaults suit most.

    Args:
        attempts: The maximum number of attempts, the first included; 1 disables retries. A 429
            costs no attempt: the call waits, together with all calls of its client.
        base: The upper bound of the first delay, in seconds. A delay is drawn between 0 and its
            bound ("full jitter"), and the bound doubles for each further one.
        cap: The highest bound of a delay, in seconds.
        deadline: The maximum duration of the call, in seconds from when it is awaited. It covers
            all that the call waits for: a free connection, the rate limit, delays and responses.

    Raises:
        ValidationError: A value is not a positive number.
    """

    attempts: int = field(default=4, validator=validators.integer(minimum=1))
    base: float = field(default=0.5, validator=validators.positive_number)
    cap: float = field(default=20.0, validator=validators.positive_number)
    deadline: float = field(default=60.0, validator=validators.positive_number)


ONCE = RetryPolicy(attempts=1)
"""The policy of jobs, which retry by rules of their own, at a rate of their own."""


def may_try_again(method: str, error: LosantError, *, in_doubt: bool = False) -> bool:
    """Return whether the table allows a retry after an error.

    Args:
        method: The HTTP method.
        error: The error of the last attempt.
        in_doubt: Whether an attempt before that one may have been carried out.
    """
    creates = method == "POST"
    match error:
        case ConfigurationError():
            return False
        case TransportError():
            return not (creates and error.ambiguous)
        case StatusError():
            return _allows_status(error, creates=creates, in_doubt=in_doubt)
        case _:
            return False


def _allows_status(error: StatusError, *, creates: bool, in_doubt: bool) -> bool:
    match error.status_code:
        case 429:
            return True
        case 503:
            return not creates or error.retry_after is not None
        case 404:
            return in_doubt and not (creates or error.is_from_api)
        case code:
            return code in _PERHAPS_DONE and not creates


def may_have_arrived(error: LosantError) -> bool:
    """Return whether the request may have been carried out although the attempt failed."""
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
    in_doubt: bool = False,
) -> float | None:
    """Return how long to wait before the next attempt, in seconds; `None` to give up.

    A 429 costs time, not attempts: it is retried until the deadline, unless the policy allows one
    attempt only. The server's `Retry-After` is a lower bound and never replaces the backoff.

    Args:
        policy: How often to send the request, and how long the call may take.
        method: The HTTP method.
        error: The error of the last attempt.
        attempt: The number of that attempt, from 1; after a 429, that of the refusals in a row.
        elapsed: The seconds since the call was awaited.
        random: Draws a number from 0 to 1.
        in_doubt: Whether an attempt before that one may have been carried out.
    """
    attempts_left = policy.attempts > 1 if is_refusal(error) else policy.attempts > attempt
    if not attempts_left or not may_try_again(method, error, in_doubt=in_doubt):
        return None
    doublings = min(max(attempt - 1, 0), _DOUBLINGS)
    delay = random() * min(policy.cap, policy.base * 2.0**doublings)
    asked_for = getattr(error, "retry_after", None)
    if asked_for is not None:
        delay = max(delay, asked_for)
    return delay if elapsed + delay < policy.deadline and delay < _ENDLESS else None


def is_refusal(error: LosantError) -> bool:
    """Return whether the server refused a request because there were too many."""
    return isinstance(error, StatusError) and error.status_code == _TOO_MANY


def finite_or_inf(seconds: float) -> float:
    """Return the number itself, or infinity for a time that no event loop can wait for."""
    return seconds if seconds < _ENDLESS else math.inf
