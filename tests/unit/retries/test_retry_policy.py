"""The retry table of calls and jobs, and the delays between attempts."""

import math
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import RetryPolicy, errors
from losant_tokens._retries.retry_policy import (
    FailureKind,
    classify,
    delay_before_retry,
    finite_or_inf,
    may_have_arrived,
    may_retry,
    may_retry_in_job,
)
from losant_tokens.errors import LosantError, status_error_class

INF = math.inf
LIMITED, UNAVAILABLE = FailureKind.RATE_LIMITED, FailureKind.UNAVAILABLE
FOREIGN, FINAL, FATAL = FailureKind.NOT_FROM_API, FailureKind.FINAL, FailureKind.FATAL


def status(code: int, retry_after: float | None = None, *, api: bool = True) -> LosantError:
    return status_error_class(code)(
        "no", status_code=code, retry_after=retry_after, is_from_api=api
    )


RETRY, NEVER = True, False

# The failure, its kind, whether GET, PATCH and DELETE are retried, whether POST is retried, and
# whether the request may have been carried out.
TABLE = [
    (errors.ConnectFailed("no"), UNAVAILABLE, RETRY, RETRY, False),
    (errors.ConfigurationError("no"), FATAL, NEVER, NEVER, False),
    (errors.TransportError("no", ambiguous=False), UNAVAILABLE, RETRY, RETRY, False),
    (errors.TransportError("no"), UNAVAILABLE, RETRY, NEVER, True),
    (errors.RequestTimeout("no"), UNAVAILABLE, RETRY, NEVER, True),
    (errors.RequestTimeout("no", ambiguous=False), UNAVAILABLE, RETRY, RETRY, False),
    (errors.ConnectFailed("no", ambiguous=True), UNAVAILABLE, RETRY, NEVER, True),
    (status(429), LIMITED, RETRY, RETRY, False),
    (status(429, retry_after=0.0), LIMITED, RETRY, RETRY, False),
    (status(429, api=False), LIMITED, RETRY, RETRY, False),
    (status(503), UNAVAILABLE, RETRY, NEVER, True),
    (status(503, retry_after=0.0), UNAVAILABLE, RETRY, RETRY, True),
    (status(503, retry_after=7.0, api=False), UNAVAILABLE, RETRY, RETRY, True),
    (status(408), UNAVAILABLE, RETRY, NEVER, True),
    (status(408, retry_after=1.0), UNAVAILABLE, RETRY, NEVER, True),
    (status(500), UNAVAILABLE, RETRY, NEVER, True),
    (status(500, retry_after=1.0), UNAVAILABLE, RETRY, NEVER, True),
    (status(501), UNAVAILABLE, RETRY, NEVER, True),
    (status(502, api=False), UNAVAILABLE, RETRY, NEVER, True),
    (status(504, retry_after=1.0), UNAVAILABLE, RETRY, NEVER, True),
    (status(505), UNAVAILABLE, RETRY, NEVER, True),
    (status(520, api=False), UNAVAILABLE, RETRY, NEVER, True),
    (status(599), UNAVAILABLE, RETRY, NEVER, True),
    (status(400), FINAL, NEVER, NEVER, False),
    (status(401), FINAL, NEVER, NEVER, False),
    (status(403), FINAL, NEVER, NEVER, False),
    (status(404), FINAL, NEVER, NEVER, False),
    (status(409), FINAL, NEVER, NEVER, False),
    (status(413), FINAL, NEVER, NEVER, False),
    (status(413, retry_after=1.0), FINAL, NEVER, NEVER, False),
    (status(422), FINAL, NEVER, NEVER, False),
    (status(403, api=False), FOREIGN, NEVER, NEVER, True),
    (status(404, api=False), FOREIGN, NEVER, NEVER, True),
    (errors.ResponseError("no", status_code=200), FOREIGN, NEVER, NEVER, True),
    (errors.ResponseError("no", status_code=302, ambiguous=False), FOREIGN, NEVER, NEVER, False),
    (errors.ValidationError("no"), FATAL, NEVER, NEVER, False),
    (errors.ScopeError("no"), FATAL, NEVER, NEVER, False),
    (errors.TokenExpired("no"), FATAL, NEVER, NEVER, False),
    (errors.ClientStateError("no"), FATAL, NEVER, NEVER, False),
]
COLUMNS = ("error", "kind", "others", "post", "arrived")


def label(value: object) -> str | None:
    if not isinstance(value, LosantError):
        return None
    members = (f"{name}={it}" for name, it in vars(value).items() if it not in ("", {}, None))
    return f"{type(value).__name__} {' '.join(members)}".strip()


rows = pytest.mark.parametrize(COLUMNS, TABLE, ids=label)


@rows
def test_calls(
    error: LosantError, kind: FailureKind, others: bool, post: bool, arrived: bool
) -> None:
    """A call retries a request by the table, but never a POST that may have been carried out."""
    actual = {method: may_retry(method, error) for method in ("GET", "PATCH", "DELETE", "POST")}
    assert actual == {"GET": others, "PATCH": others, "DELETE": others, "POST": post}


@rows
def test_jobs(
    error: LosantError, kind: FailureKind, others: bool, post: bool, arrived: bool
) -> None:
    """A job retries each failure that is neither final for a token nor fatal for the job."""
    assert may_retry_in_job(error) is (kind in {LIMITED, UNAVAILABLE, FOREIGN})


@rows
def test_kind(
    error: LosantError, kind: FailureKind, others: bool, post: bool, arrived: bool
) -> None:
    """Each failure has one kind, for calls and for jobs."""
    assert classify(error) is kind


@rows
def test_may_have_arrived(
    error: LosantError, kind: FailureKind, others: bool, post: bool, arrived: bool
) -> None:
    """A request may have been carried out unless the failure proves the contrary."""
    assert may_have_arrived(error) is arrived


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE", "POST"])
@pytest.mark.parametrize("is_from_api", [True, False])
def test_not_found_in_doubt(method: str, is_from_api: bool) -> None:
    """A 404 is retried if it is not the API's and an earlier attempt may have arrived."""
    error = errors.NotFound("no", status_code=404, is_from_api=is_from_api)
    assert may_retry(method, error, in_doubt=True) is (
        not is_from_api and method in {"GET", "PATCH", "DELETE"}
    )


@pytest.mark.parametrize("code", [400, 401, 403, 413])
def test_other_foreign_status_in_doubt(code: int) -> None:
    """Another 4xx that is not the API's is never retried by a call."""
    assert not may_retry("DELETE", status(code, api=False), in_doubt=True)


def delay(
    error: LosantError,
    policy: RetryPolicy | None = None,
    *,
    method: str = "GET",
    attempt: int = 1,
    elapsed: float = 0.0,
    random: Callable[[], float] = lambda: 1.0,
) -> float | None:
    return delay_before_retry(
        policy or RetryPolicy(),
        method,
        error,
        attempt=attempt,
        elapsed=elapsed,
        random=random,
    )


@rows
def test_delay_follows_the_table(
    error: LosantError, kind: FailureKind, others: bool, post: bool, arrived: bool
) -> None:
    """There is a delay before the next attempt if and only if the table allows one."""
    assert others is (delay(error) is not None)
    assert post is (delay(error, method="POST") is not None)


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        (1, 0.5),
        (2, 1.0),
        (3, 2.0),
        (4, 4.0),
        (5, 8.0),
        (6, 16.0),
        (7, 20.0),
        (8, 20.0),
        (90, 20.0),
        (1024, 20.0),
        (1026, 20.0),
        (5000, 20.0),
    ],
)
def test_bounds(attempt: int, expected: float) -> None:
    """A delay is drawn from 0 to a bound that doubles with each attempt, up to the cap."""
    policy = RetryPolicy(attempts=10_000)
    drawn = [
        delay(status(503), policy, attempt=attempt, random=lambda share=share: share)  # type: ignore[misc]
        for share in (0.0, 0.25, 1.0)
    ]
    assert [0.0, expected / 4, expected] == drawn


@given(
    random=st.floats(0, 1),
    attempt=st.integers(1, 100),
    base=st.floats(0.001, 1000),
    cap=st.floats(0.001, 1000),
)
def test_any_bounds(random: float, attempt: int, base: float, cap: float) -> None:
    """No delay is below 0, above the cap, or above the base doubled for each attempt."""
    policy = RetryPolicy(attempts=101, base=base, cap=cap, deadline=INF)
    drawn = delay(status(500), policy, attempt=attempt, random=lambda: random)
    assert drawn is not None
    assert 0 <= drawn <= min(cap, base * 2 ** (attempt - 1))


@pytest.mark.parametrize(
    ("attempts", "attempt", "expected"),
    [(1, 1, None), (2, 1, 0.5), (2, 2, None), (4, 3, 2.0), (4, 4, None), (4, 5, None)],
)
def test_attempts(attempts: int, attempt: int, expected: float | None) -> None:
    """There are at most as many attempts as the policy says, the first included."""
    assert expected == delay(status(500), RetryPolicy(attempts=attempts), attempt=attempt)


@pytest.mark.parametrize(
    ("elapsed", "expected"),
    [(0.0, 0.5), (59.0, 0.5), (59.49, 0.5), (59.5, None), (60.0, None), (1e9, None)],
)
def test_deadline(elapsed: float, expected: float | None) -> None:
    """A delay that would not end before the deadline is not begun."""
    assert expected == delay(status(500), elapsed=elapsed)


@pytest.mark.parametrize(
    ("retry_after", "elapsed", "expected"),
    [
        (0.0, 0.0, 0.5),
        (0.2, 0.0, 0.5),
        (3.0, 0.0, 3.0),
        (30.0, 0.0, 30.0),
        (59.9, 0.0, 59.9),
        (60.0, 0.0, None),
        (30.0, 29.0, 30.0),
        (30.0, 30.0, None),
        (86400.0, 0.0, None),
        (INF, 0.0, None),
    ],
)
@pytest.mark.parametrize(("code", "method"), [(429, "GET"), (429, "POST"), (503, "POST")])
def test_retry_after(
    code: int, method: str, retry_after: float, elapsed: float, expected: float | None
) -> None:
    """Retry-After is a lower bound above the cap, and ends the call beyond the deadline."""
    actual = delay(status(code, retry_after), method=method, elapsed=elapsed)
    assert expected == actual


@pytest.mark.parametrize(("attempts", "expected"), [(1, None), (2, 0.5), (4, 0.5)])
def test_a_429_costs_no_attempt(attempts: int, expected: float | None) -> None:
    """A 429 is retried until the deadline, unless the policy allows one attempt only."""
    policy = RetryPolicy(attempts=attempts, cap=0.5)
    assert [delay(status(429), policy, attempt=number) for number in (1, 4, 9)] == [expected] * 3


@pytest.mark.parametrize("code", [408, 500])
def test_another_failure_costs_an_attempt(code: int) -> None:
    """A failure other than a 429 is not retried after the last attempt."""
    assert delay(status(code), RetryPolicy(attempts=2), attempt=2) is None


@pytest.mark.parametrize("seconds", [1e8, 1e300])
def test_too_long_to_wait(seconds: float) -> None:
    """A Retry-After of three years or more ends the call, even without a deadline."""
    assert delay(status(429, seconds), RetryPolicy(deadline=INF)) is None


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.0, 0.0), (60.0, 60.0), (99_999_999.0, 99_999_999.0), (1e8, INF), (1e300, INF), (INF, INF)],
)
def test_times_that_no_event_loop_can_wait_for(seconds: float, expected: float) -> None:
    """A time of three years or more is infinite, and a shorter one stays as it is."""
    assert expected == finite_or_inf(seconds)


def test_one_attempt() -> None:
    """A policy with one attempt allows no retry, not even after a 429."""
    assert delay(status(429), RetryPolicy(attempts=1)) is None


def test_no_deadline() -> None:
    """Without a deadline, a long Retry-After is followed, but not an infinite one."""
    policy = RetryPolicy(deadline=INF)
    assert delay(status(429, 86400.0), policy) == 86400.0
    assert delay(status(429, INF), policy) is None


def test_defaults() -> None:
    """By default there are 4 attempts within a minute, and calls follow the rate limit."""
    expected = {
        "attempts": 4,
        "base": 0.5,
        "cap": 20.0,
        "deadline": 60.0,
        "follow_rate_limit": True,
    }
    assert expected == attrs.asdict(RetryPolicy())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"attempts": 0}, "RetryPolicy.attempts must be an integer, at least 1, but it is 0"),
        ({"attempts": 1.5}, "RetryPolicy.attempts must be an integer, at least 1"),
        ({"attempts": None}, "RetryPolicy.attempts must be an integer, at least 1"),
        ({"base": 0}, "RetryPolicy.base must be a number above 0, but it is 0"),
        ({"cap": -1.0}, "RetryPolicy.cap must be a number above 0, but it is -1.0"),
        ({"cap": math.nan}, "RetryPolicy.cap must be a number above 0, but it is nan"),
        ({"deadline": "60"}, "RetryPolicy.deadline must be a number above 0, but it is '60'"),
        ({"deadline": 10**400}, "RetryPolicy.deadline must be a number above 0, but it is out of"),
        (
            {"follow_rate_limit": 1},
            "RetryPolicy.follow_rate_limit must be of type bool, but it is int",
        ),
    ],
)
def test_refused(settings: dict[str, Any], expected: str) -> None:
    """A value that is out of range or of the wrong type is refused by name."""
    with pytest.raises(errors.ValidationError) as caught:
        RetryPolicy(**settings)
    assert str(caught.value).startswith(expected)


def test_by_keyword_alone() -> None:
    """The arguments are keywords only, because nobody remembers the order of four numbers."""
    with pytest.raises(TypeError):
        RetryPolicy(4, 0.5)  # type: ignore[call-arg]


def test_value() -> None:
    """A policy is an immutable value that many clients can share."""
    assert RetryPolicy(attempts=2) == RetryPolicy(attempts=2)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        RetryPolicy().attempts = 2  # type: ignore[misc]
