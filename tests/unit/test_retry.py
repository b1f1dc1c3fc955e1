"""May this be tried again, and after how long?"""

import math
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import RetryPolicy, errors
from losant_tokens._retry import (
    ONCE,
    delay_before_retry,
    finite_or_inf,
    may_have_arrived,
    may_try_again,
)
from losant_tokens.errors import LosantError, status_error_class

INF = math.inf


def status(code: int, retry_after: float | None = None) -> LosantError:
    return status_error_class(code)("no", status_code=code, retry_after=retry_after)


AGAIN, NEVER = True, False

# what happened, may it be tried again: GET, PATCH and DELETE; POST; may it have been carried out
TABLE = [
    (errors.ConnectFailed("no"), AGAIN, AGAIN, False),
    (errors.ConfigurationError("no"), NEVER, NEVER, False),
    (errors.TransportError("no", ambiguous=False), AGAIN, AGAIN, False),
    (errors.TransportError("no"), AGAIN, NEVER, True),
    (errors.RequestTimeout("no"), AGAIN, NEVER, True),
    (errors.RequestTimeout("no", ambiguous=False), AGAIN, AGAIN, False),
    (errors.ConnectFailed("no", ambiguous=True), AGAIN, NEVER, True),
    (status(429), AGAIN, AGAIN, False),
    (status(429, retry_after=0.0), AGAIN, AGAIN, False),
    (status(503), AGAIN, NEVER, True),
    (status(503, retry_after=0.0), AGAIN, AGAIN, True),
    (status(503, retry_after=7.0), AGAIN, AGAIN, True),
    (status(408), AGAIN, NEVER, True),
    (status(500), AGAIN, NEVER, True),
    (status(502), AGAIN, NEVER, True),
    (status(504), AGAIN, NEVER, True),
    (status(408, retry_after=1.0), AGAIN, NEVER, True),
    (status(500, retry_after=1.0), AGAIN, NEVER, True),
    (status(504, retry_after=1.0), AGAIN, NEVER, True),
    (status(400), NEVER, NEVER, False),
    (status(401), NEVER, NEVER, False),
    (status(403), NEVER, NEVER, False),
    (status(404), NEVER, NEVER, False),
    (status(409), NEVER, NEVER, False),
    (status(413), NEVER, NEVER, False),
    (status(413, retry_after=1.0), NEVER, NEVER, False),
    (status(422), NEVER, NEVER, False),
    (status(501), NEVER, NEVER, False),
    (status(505), NEVER, NEVER, False),
    (errors.ResponseError("no", status_code=200), NEVER, NEVER, True),
    (errors.ResponseError("no", status_code=302, ambiguous=False), NEVER, NEVER, False),
    (errors.ValidationError("no"), NEVER, NEVER, False),
    (errors.ScopeError("no"), NEVER, NEVER, False),
    (errors.TokenExpired("no"), NEVER, NEVER, False),
    (errors.ClientStateError("no"), NEVER, NEVER, False),
]


def label(value: object) -> str | None:
    if not isinstance(value, LosantError):
        return None
    said = (f"{name}={it}" for name, it in vars(value).items() if it not in ("", {}, None))
    return f"{type(value).__name__} {' '.join(said)}".strip()


@pytest.mark.parametrize(("error", "others", "post", "arrived"), TABLE, ids=label)
def test_table(error: LosantError, others: bool, post: bool, arrived: bool) -> None:
    """What may be tried again is, and a POST that may have been carried out is not."""
    actual = {method: may_try_again(method, error) for method in ("GET", "PATCH", "DELETE", "POST")}
    assert actual == {"GET": others, "PATCH": others, "DELETE": others, "POST": post}
    assert arrived is may_have_arrived(error)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE", "POST"])
@pytest.mark.parametrize("is_from_api", [True, False])
def test_not_found_in_doubt(method: str, is_from_api: bool) -> None:
    """A 404 is retried if it is not the API's and an earlier attempt may have arrived."""
    error = errors.NotFound("no", status_code=404, is_from_api=is_from_api)
    assert may_try_again(method, error, in_doubt=True) is (
        not is_from_api and method in {"GET", "PATCH", "DELETE"}
    )


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


@pytest.mark.parametrize(("error", "others", "post", "arrived"), TABLE, ids=label)
def test_delay_follows_the_table(
    error: LosantError, others: bool, post: bool, arrived: bool
) -> None:
    """There is a delay before the next try if and only if the table allows one."""
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
    """A delay is drawn from 0 to a bound that doubles with each try, up to the cap."""
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
    """No delay is below 0, above the cap, or above the base doubled for each try."""
    policy = RetryPolicy(attempts=101, base=base, cap=cap, deadline=INF)
    drawn = delay(status(500), policy, attempt=attempt, random=lambda: random)
    assert drawn is not None
    assert 0 <= drawn <= min(cap, base * 2 ** (attempt - 1))


@pytest.mark.parametrize(
    ("attempts", "attempt", "expected"),
    [(1, 1, None), (2, 1, 0.5), (2, 2, None), (4, 3, 2.0), (4, 4, None), (4, 5, None)],
)
def test_attempts(attempts: int, attempt: int, expected: float | None) -> None:
    """There are as many tries as the policy says, the first included."""
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
    """The server's wish is the least delay, above the cap, too; beyond the deadline it is none."""
    actual = delay(status(code, retry_after), method=method, elapsed=elapsed)
    assert expected == actual


@pytest.mark.parametrize(("attempts", "expected"), [(1, None), (2, 0.5), (4, 0.5)])
def test_a_refusal_costs_no_attempt(attempts: int, expected: float | None) -> None:
    """A 429 is retried however often it comes, unless there is but one attempt."""
    policy = RetryPolicy(attempts=attempts, cap=0.5)
    assert [delay(status(429), policy, attempt=number) for number in (1, 4, 9)] == [expected] * 3


@pytest.mark.parametrize("code", [408, 500])
def test_another_failure_costs_an_attempt(code: int) -> None:
    """A failure other than a 429 is not retried after the last attempt."""
    assert delay(status(code), RetryPolicy(attempts=2), attempt=2) is None


@pytest.mark.parametrize("seconds", [1e8, 1e300])
def test_a_wait_without_end(seconds: float) -> None:
    """A wait that no event loop can keep is none, deadline or not."""
    assert delay(status(429, seconds), RetryPolicy(deadline=INF)) is None


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.0, 0.0), (60.0, 60.0), (99_999_999.0, 99_999_999.0), (1e8, INF), (1e300, INF), (INF, INF)],
)
def test_times_that_no_event_loop_can_wait_for(seconds: float, expected: float) -> None:
    """A time of three years or more is infinite, and a shorter one stays as it is."""
    assert expected == finite_or_inf(seconds)


def test_once() -> None:
    """The policy of jobs allows one attempt, even after a 429."""
    assert delay(status(429), ONCE) is None


def test_no_deadline() -> None:
    """With no deadline, a long wish is honoured, and an endless one is not."""
    policy = RetryPolicy(deadline=INF)
    assert delay(status(429, 86400.0), policy) == 86400.0
    assert delay(status(429, INF), policy) is None


def test_defaults() -> None:
    """The defaults: 4 tries, from half a second doubling up to 20, within a minute."""
    expected = {"attempts": 4, "base": 0.5, "cap": 20.0, "deadline": 60.0}
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
    ],
)
def test_refused(settings: dict[str, Any], expected: str) -> None:
    """A policy of no sense is refused."""
    with pytest.raises(errors.ValidationError) as caught:
        RetryPolicy(**settings)
    assert str(caught.value).startswith(expected)


def test_by_keyword_alone() -> None:
    """Nobody has to know the order of four numbers."""
    with pytest.raises(TypeError):
        RetryPolicy(4, 0.5)  # type: ignore[call-arg]


def test_value() -> None:
    """A policy is an immutable value, which many clients can share."""
    assert RetryPolicy(attempts=2) == RetryPolicy(attempts=2)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        RetryPolicy().attempts = 2  # type: ignore[misc]
