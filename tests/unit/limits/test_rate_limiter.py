"""The rate limiter and the retry budget of a client, with a clock that skips all waiting.

trio's mock clock jumps to the next deadline when all tasks wait. The transport uses the same clock.
"""

import asyncio
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import patch

import anyio
import attrs
import httpx
import pytest
import stamina
import trio
import trio.testing

from losant_tokens import (
    ApiTokenPost,
    AsyncClient,
    Owner,
    RetryPolicy,
    UserCredentials,
    errors,
)
from losant_tokens._limits.rate_limiter import RateLimiter
from losant_tokens._retries.retry_budget import CAPACITY, RetryBudget
from losant_tokens.errors import LosantError
from tests.support.helpers import jwt
from tests.support.servers import ID

Handler = Callable[[httpx.Request], Awaitable[httpx.Response]]


@attrs.define
class Limit:
    """Admits a number of requests in any second, and responds to the others with 429.

    Attributes:
        per_second: The number of requests.
        headers: The headers of a refusal.
        latency: The time until a response, in seconds.
        refused: When a request was refused.
        admitted: How many were not.
        is_on: Whether there is a limit at all.
    """

    per_second: int
    headers: dict[str, str] = attrs.field(factory=dict)
    latency: float = 0.01
    refused: list[float] = attrs.field(factory=list)
    admitted: int = 0
    is_on: bool = True
    _window: deque[float] = attrs.field(factory=deque)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep(self.latency)
        now = anyio.current_time()
        while self._window and self._window[0] <= now - 1.0:
            self._window.popleft()
        if self.is_on and len(self._window) >= self.per_second:
            self.refused.append(now)
            return httpx.Response(429, headers=self.headers)
        self._window.append(now)
        self.admitted += 1
        return httpx.Response(200, json={"id": ID, "success": True})


def client_of(handler: Any, **settings: Any) -> AsyncClient:
    return AsyncClient(
        "t", base_url="https://h", transport=httpx.MockTransport(handler), **settings
    )


def in_no_time(main: Callable[[], Awaitable[None]]) -> None:
    """Run a test under trio, with a clock that skips all waiting."""
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def outcome(call: Awaitable[object]) -> str:
    try:
        return type(await call).__name__
    except LosantError as error:
        return type(error).__name__


async def gather(*calls: Awaitable[object]) -> Counter[str]:
    """Return the outcomes of calls that start at the same time."""
    found: list[str] = []

    async def one(call: Awaitable[object]) -> None:
        found.append(await outcome(call))

    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(one, call)
    return Counter(found)


# --- The rate ---------------------------------------------------------------------------------


@pytest.mark.sweep(sample=4)
@pytest.mark.parametrize("per_second", [5, 20, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"retry-after": "0"},
        {"retry-after": "1"},
        {"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"},
    ],
    ids=str,
)
def test_a_gather_under_a_limit(per_second: int, headers: dict[str, str]) -> None:
    """Calls that start at the same time succeed at the server's rate, with few refusals."""
    count = 15 * per_second

    async def main() -> None:
        limit = Limit(per_second, headers)
        async with client_of(limit) as client:
            began = anyio.current_time()
            found = await gather(*(client.user_api_token.delete(ID) for _ in range(count)))
            seconds = anyio.current_time() - began
        assert found == {"Success": count}
        assert seconds < 25
        assert len(limit.refused) <= 20 + 0.05 * count

    in_no_time(main)


def test_without_a_refusal_there_is_no_limit() -> None:
    """Without a refusal, calls wait only for a free connection."""

    async def main() -> None:
        limit = Limit(10**6)
        async with client_of(limit) as client:
            began = anyio.current_time()
            await gather(*(client.user_api_token.delete(ID) for _ in range(1000)))
            assert anyio.current_time() - began == pytest.approx(1000 / 20 * 0.01)

    in_no_time(main)


def test_a_limit_is_removed() -> None:
    """A minute after the last refusal, there is no limit."""

    async def main() -> None:
        limit = Limit(20)
        async with client_of(limit) as client:
            await gather(*(client.user_api_token.delete(ID) for _ in range(100)))
            limit.is_on = False
            await anyio.sleep(61)
            began = anyio.current_time()
            await gather(*(client.user_api_token.delete(ID) for _ in range(1000)))
            assert anyio.current_time() - began == pytest.approx(1000 / 20 * 0.01)

    in_no_time(main)


def test_a_limit_is_removed_after_a_long_retry_after() -> None:
    """After a `Retry-After` of more than a minute, there is no limit."""

    async def main() -> None:
        times: list[float] = []

        async def handle(request: httpx.Request) -> httpx.Response:
            times.append(anyio.current_time())
            if len(times) == 1:
                return httpx.Response(429, headers={"retry-after": "100"})
            return httpx.Response(200, json={"id": ID})

        policy = RetryPolicy(deadline=math.inf)
        async with client_of(handle, retry=policy) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.user_api_token.get, ID)
            await anyio.sleep(1)
            for _ in range(50):
                tasks.start_soon(client.user_api_token.get, ID)
        assert times[0] + 100 <= min(times[1:])
        assert max(times) < times[0] + 102

    in_no_time(main)


@pytest.mark.slow
def test_a_server_that_removes_its_limit() -> None:
    """After the server removes its limit, the rate of a client grows."""

    async def main() -> None:
        limit = Limit(20)
        async with client_of(limit, retry=RetryPolicy(deadline=math.inf)) as client:
            await gather(*(client.user_api_token.delete(ID) for _ in range(100)))
            limit.is_on = False
            began = anyio.current_time()
            await gather(*(client.user_api_token.delete(ID) for _ in range(1500)))
            assert anyio.current_time() - began < 40

    in_no_time(main)


def test_one_refusal_holds_for_all_calls() -> None:
    """During a `Retry-After`, no call of the client is sent."""

    async def main() -> None:
        times: list[float] = []

        async def handle(request: httpx.Request) -> httpx.Response:
            times.append(anyio.current_time())
            if len(times) == 1:
                return httpx.Response(429, headers={"retry-after": "7"})
            return httpx.Response(200, json={"success": True})

        async with client_of(handle) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.user_api_token.delete, ID)
            await anyio.sleep(1)
            for _ in range(5):
                tasks.start_soon(client.user_api_token.delete, ID)
        assert len(times) == 7
        assert min(times[1:]) >= times[0] + 7

    in_no_time(main)


def test_a_refusal_costs_no_attempt() -> None:
    """A refusal with 429 does not count as an attempt."""

    async def main() -> None:
        statuses = [429] * 10 + [503, 429, 503, 429, 503, 200]

        async def handle(request: httpx.Request) -> httpx.Response:
            return httpx.Response(statuses.pop(0), json={"success": True})

        async with client_of(handle, retry=RetryPolicy(deadline=600)) as client:
            assert (await client.user_api_token.delete(ID)).success

    in_no_time(main)


def test_a_server_that_refuses_for_ever() -> None:
    """A call that is always refused ends at its deadline, after few requests."""

    async def main() -> None:
        limit = Limit(0, {"retry-after": "0"})
        async with client_of(limit) as client:
            began = anyio.current_time()
            found = await gather(*(client.user_api_token.get(ID) for _ in range(50)))
            assert found == {"TooManyRequests": 50}
            assert anyio.current_time() - began <= 60
        assert len(limit.refused) < 120

    in_no_time(main)


def test_a_wait_beyond_the_deadline() -> None:
    """A `Retry-After` beyond the deadline ends all calls at once."""

    async def main() -> None:
        limit = Limit(0, {"retry-after": "3600"})
        async with client_of(limit) as client:
            began = anyio.current_time()
            with pytest.raises(errors.TooManyRequests) as refused:
                await client.user_api_token.get(ID)
            with pytest.raises(errors.TooManyRequests, match="not sent, because") as held:
                await client.user_api_token.get(ID)
            found = await gather(*(client.user_api_token.get(ID) for _ in range(50)))
            assert found == {"TooManyRequests": 50}
            assert anyio.current_time() - began < 1
        assert refused.value.retry_after == 3600
        assert held.value.retry_after == pytest.approx(3600, abs=1)
        assert len(limit.refused) == 1

    in_no_time(main)


def test_the_queue_ends_at_the_deadline() -> None:
    """Calls that would wait beyond their deadline fail; the others succeed."""

    async def main() -> None:
        limit = Limit(10)
        async with client_of(limit, retry=RetryPolicy(deadline=10)) as client:
            began = anyio.current_time()
            found = await gather(*(client.user_api_token.get(ID) for _ in range(300)))
            assert anyio.current_time() - began <= 10
        assert found.keys() == {"ApiToken", "TooManyRequests"}
        assert found["ApiToken"] > 70

    in_no_time(main)


def test_calls_that_do_not_follow_the_rate_limit() -> None:
    """A call with `follow_rate_limit=False` does not wait while its client is rate limited."""
    own = RetryPolicy(attempts=1, follow_rate_limit=False)

    async def main() -> None:
        limit = Limit(0, {"retry-after": "30"})
        async with client_of(limit) as client:
            with anyio.move_on_after(1):
                await client.user_api_token.get(ID)
            limit.per_second = 10
            await client.tokens(Owner.user()).delete(ID, retry=own)
            assert anyio.current_time() < limit.refused[0] + 2

    in_no_time(main)


def test_a_retry_that_does_not_follow_the_rate_limit() -> None:
    """With `follow_rate_limit=False`, a refused call retries after its own backoff alone."""

    async def main() -> None:
        statuses = [429, 200]

        async def handle(request: httpx.Request) -> httpx.Response:
            return httpx.Response(statuses.pop(0), json={"id": ID})

        policy = RetryPolicy(base=0.001, follow_rate_limit=False)
        async with client_of(handle, retry=policy) as client:
            began = anyio.current_time()
            await client.user_api_token.get(ID)
            assert anyio.current_time() - began < 0.01

    in_no_time(main)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(httpx.ConnectError("no"), "ClientStateError"), (503, "ServerError")],
)
def test_closing_during_a_backoff(failure: Any, kind: str) -> None:
    """Closing the client ends a backoff, with the error of an attempt that may have arrived."""

    async def main() -> None:
        async def handle(request: httpx.Request) -> httpx.Response:
            if isinstance(failure, Exception):
                raise failure
            return httpx.Response(failure, headers={"retry-after": "30"})

        outcomes: list[str] = []

        async def get(client: AsyncClient) -> None:
            outcomes.append(await outcome(client.user_api_token.get(ID)))

        client = await client_of(
            handle, retry=RetryPolicy(base=1000, cap=1000, deadline=1e6)
        ).open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(get, client)
            await anyio.sleep(0.001)
            await client.aclose()
        assert outcomes == [kind]

    in_no_time(main)


def test_a_rate_limit_of_the_caller() -> None:
    """With `rate_limit=20`, calls succeed at that rate, and no second has more than 22 requests."""

    async def main() -> None:
        limit = Limit(22)
        async with client_of(limit, rate_limit=20) as client:
            for _ in range(2):
                began = anyio.current_time()
                found = await gather(*(client.user_api_token.delete(ID) for _ in range(100)))
                assert found == {"Success": 100}
                assert 4 < anyio.current_time() - began < 5.5
                await anyio.sleep(90)
        assert limit.refused == []

    in_no_time(main)


def test_a_server_with_a_lower_limit() -> None:
    """If the server refuses requests below `rate_limit`, the client slows down further."""

    async def main() -> None:
        limit = Limit(10)
        async with client_of(limit, rate_limit=50) as client:
            assert await gather(*(client.user_api_token.delete(ID) for _ in range(200))) == {
                "Success": 200
            }
        assert len(limit.refused) < 40

    in_no_time(main)


def test_a_rate_limit_that_is_too_low_for_the_deadline() -> None:
    """A call that `rate_limit` delays beyond its deadline fails, and the error names it."""

    async def main() -> None:
        policy = RetryPolicy(deadline=3)
        problems: list[errors.RequestTimeout] = []

        async def get(client: AsyncClient) -> None:
            try:
                await client.user_api_token.get(ID)
            except errors.RequestTimeout as error:
                problems.append(error)

        client = client_of(Limit(100), rate_limit=0.5, retry=policy)
        async with client, anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(get, client)
        (problem,) = problems
        assert "rate_limit=0.5 allows no earlier request" in str(problem)
        assert not problem.ambiguous

    in_no_time(main)


@pytest.mark.parametrize("rate_limit", [0, -1, True, "5", float("nan")])
def test_invalid_rate_limits(rate_limit: Any) -> None:
    """A `rate_limit` that is not a number above 0 is refused."""
    with pytest.raises(errors.ValidationError, match=r"AsyncClient\.rate_limit must be"):
        AsyncClient("t", rate_limit=rate_limit)


def test_a_connection_that_comes_free_too_late() -> None:
    """A call that gets its connection after a refusal waits for the rate limiter."""

    async def main() -> None:
        times: list[float] = []

        async def handle(request: httpx.Request) -> httpx.Response:
            times.append(anyio.current_time())
            await anyio.sleep(0.1)
            if len(times) == 1:
                return httpx.Response(429, headers={"retry-after": "5"})
            return httpx.Response(200, json={"success": True})

        async with client_of(handle, max_connections=1) as client:
            await gather(*(client.user_api_token.delete(ID) for _ in range(2)))
        assert times[1] - times[0] >= 5

    in_no_time(main)


@pytest.mark.parametrize("attempts", [1, 3])
async def test_stamina_in_a_test(attempts: int) -> None:
    """In stamina's test mode, a refusal delays nothing and counts as an attempt."""
    requests = 0

    async def handle(request: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        return httpx.Response(429, headers={"retry-after": "30"})

    with stamina.set_testing(True, attempts=attempts):
        async with client_of(handle) as client:
            for _ in range(2):
                with pytest.raises(errors.TooManyRequests):
                    await client.user_api_token.get(ID)
    assert requests == 2 * attempts


async def test_a_single_attempt() -> None:
    """With one attempt, the first refusal is raised, and other calls are delayed."""
    limit = Limit(0)
    async with client_of(limit, retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(errors.TooManyRequests):
            await client.user_api_token.get(ID)
        assert client._session.require_open().rate_limiter.is_limited
    assert len(limit.refused) == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.slow
def test_cancelled_in_the_queue(backend: str) -> None:
    """A call that is cancelled in the queue does not block the other calls."""

    async def main() -> None:
        limit = Limit(20, latency=0.001)
        found: list[str] = []

        async def impatient(client: AsyncClient, seconds: float) -> None:
            with anyio.move_on_after(seconds):
                found.append(await outcome(client.user_api_token.delete(ID)))

        async with client_of(limit) as client, anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(impatient, client, 0.02 * number)
            for _ in range(20):
                tasks.start_soon(impatient, client, math.inf)
            with anyio.fail_after(10):
                assert await outcome(client.user_api_token.delete(ID)) == "Success"
        assert found.count("Success") >= 20
        assert client._session.in_flight == 0

    if backend == "asyncio":
        asyncio.run(main())
    else:
        in_no_time(main)


def test_a_refusal_before_any_response() -> None:
    """The first refusal leaves a rate above zero."""
    now = 100.0
    rate_limiter = RateLimiter(lambda: now)
    assert rate_limiter.pause_left == 0
    rate_limiter.record_rate_limit(99.0, 3.0)
    assert rate_limiter.pause_left >= 3
    assert rate_limiter.is_limited
    assert rate_limiter.rate.per_second > 0


# --- The retry budget -------------------------------------------------------------------------


def test_a_full_budget() -> None:
    """A budget allows a burst of retries, and then probes at growing intervals."""
    budget = RetryBudget()
    assert sum(budget.take(0.0) for _ in range(100)) == CAPACITY
    probes = [half / 2 for half in range(121) if budget.take(half / 2)]
    assert probes == [0.5, 1.5, 3.5, 7.5, 15.5, 23.5, 31.5, 39.5, 47.5, 55.5]


def test_a_budget_recovers() -> None:
    """Responses to retries fill the budget quickly, responses to first attempts slowly."""
    budget = RetryBudget()
    assert budget.is_full
    while budget.take(0.0):
        assert not budget.is_full
    budget.record_response(is_retry=False)
    assert [budget.take(0.0) for _ in range(3)] == [True, True, False]
    for _ in range(4):
        budget.record_response(is_retry=True)
    assert budget.is_full
    budget.take(0.0)
    for _ in range(4):
        budget.record_response(is_retry=False)
        assert not budget.is_full
    budget.record_response(is_retry=False)
    assert budget.is_full


def test_a_probe_ends_an_outage() -> None:
    """After a response, the interval between probes starts again."""
    budget = RetryBudget()
    for _ in range(2):
        while budget.take(0.0):
            pass
        assert [budget.take(second) for second in (0.4, 0.5, 1.4, 1.5)] == [False, True] * 2
        budget.record_response(is_retry=True)


def test_a_token_that_is_given_back() -> None:
    """A retry that is not sent after its delay leaves its token to another one."""
    budget = RetryBudget()
    reserved = [budget.reserve() for _ in range(9)]
    assert (reserved.count(True), budget.is_full) == (CAPACITY, False)
    budget.give_back()
    assert [budget.take(0.0), budget.take(0.0)] == [True, False]


def test_a_shortage_is_reported_once() -> None:
    """A shortage is reported once, and again after the budget was full."""
    budget = RetryBudget()
    while budget.reserve():
        pass
    reports = []
    for _ in range(4):
        reports.append(budget.report_shortage())
        budget.record_response(is_retry=True)
    assert (reports, budget.report_shortage()) == ([True, False, False, False], True)


@attrs.define
class Outage:
    """Responds with 503, or not at all, for some time."""

    seconds: float
    failure: Any
    began: float = attrs.field(factory=anyio.current_time)
    requests: int = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        await anyio.sleep(0.01)
        if anyio.current_time() - self.began < self.seconds:
            if isinstance(self.failure, Exception):
                raise self.failure
            return httpx.Response(self.failure)
        return httpx.Response(200, json={"id": ID})


@pytest.mark.sweep(sample=3)
@pytest.mark.parametrize("failure", [503, 500, httpx.ConnectError("no"), httpx.ReadError("no")])
@pytest.mark.parametrize("apart", [0.0, 0.25], ids=["at once", "one after the other"])
def test_an_outage(failure: Any, apart: float, caplog: pytest.LogCaptureFixture) -> None:
    """In an outage, retries add a tenth to the requests; after it, all calls succeed.

    The log has one line for each retry that was sent, and one for all those that were not.
    """

    async def main() -> None:
        outage = Outage(60, failure)
        async with client_of(outage) as client:
            found: list[str] = []

            async def call() -> None:
                found.append(await outcome(client.user_api_token.get(ID)))

            async with anyio.create_task_group() as tasks:
                for _ in range(200):
                    tasks.start_soon(call)
                    await anyio.sleep(apart)
            assert len(found) == 200
            assert "ApiToken" not in found
            assert outage.requests <= 1.1 * 200
            kinds = Counter("attempt" in record.getMessage() for record in caplog.records)
            assert kinds == {True: outage.requests - 200, False: 1}
            await anyio.sleep_until(outage.began + 60)
            assert await gather(*(client.user_api_token.get(ID) for _ in range(50))) == {
                "ApiToken": 50
            }

    in_no_time(main)


def test_cancelled_retries_leave_the_budget(caplog: pytest.LogCaptureFixture) -> None:
    """Calls that are cancelled in the delay of a retry take nothing from later calls."""

    async def main() -> None:
        async with client_of(Outage(60, 503)) as client:
            for _ in range(3):
                with anyio.move_on_after(0.02):
                    await gather(*(client.user_api_token.get(ID) for _ in range(8)))

    with patch("random.random", return_value=1.0):
        in_no_time(main)
    assert len(caplog.records) == 24
    assert all("attempt 2 of 4" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.0])
def test_a_short_outage(seconds: float) -> None:
    """About half of the calls succeed, or more, after an outage shorter than their backoff."""

    async def main() -> None:
        outage = Outage(seconds, 503)
        async with client_of(outage) as client:
            found = await gather(*(client.user_api_token.get(ID) for _ in range(100)))
        assert found["ApiToken"] >= 40

    in_no_time(main)


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_scattered_failures(share: float) -> None:
    """If only some requests fail, the budget allows all retries."""

    async def main() -> None:
        requests = 0

        async def handle(request: httpx.Request) -> httpx.Response:
            nonlocal requests
            requests += 1
            failed = int(requests * share) != int((requests - 1) * share)
            return httpx.Response(503 if failed else 200, json={"id": ID})

        async with client_of(handle) as client:
            found = await gather(*(client.user_api_token.get(ID) for _ in range(500)))
        assert found["ApiToken"] >= 490

    in_no_time(main)


# --- The deadline -----------------------------------------------------------------------------


@pytest.mark.parametrize("failure", ["silence", 503, 429])
def test_a_deadline_bounds_all_that_a_call_waits_for(failure: Any) -> None:
    """A call ends at its deadline in every kind of wait."""

    async def main() -> None:
        async def handle(request: httpx.Request) -> httpx.Response:
            if failure == "silence":
                await anyio.sleep_forever()
            await anyio.sleep(0.1)
            return httpx.Response(failure)

        policy = RetryPolicy(deadline=0.6)
        async with client_of(handle, max_connections=2, retry=policy) as client:
            ends: list[float] = []

            async def call() -> None:
                began = anyio.current_time()
                with pytest.raises(LosantError):
                    await client.user_api_token.get(ID)
                ends.append(anyio.current_time() - began)

            async with anyio.create_task_group() as tasks:
                for _ in range(40):
                    tasks.start_soon(call)
            assert len(ends) == 40
            assert max(ends) <= 0.67

    in_no_time(main)


def test_not_sent_by_the_deadline() -> None:
    """A call that got no connection in time raises an error that is not ambiguous."""

    async def main() -> None:
        async def handle(request: httpx.Request) -> httpx.Response:
            await anyio.sleep_forever()
            raise AssertionError

        policy = RetryPolicy(deadline=0.5)
        async with (
            client_of(handle, max_connections=1) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(outcome, client.user_api_token.get(ID))
            await anyio.sleep(0.1)
            with pytest.raises(errors.RequestTimeout, match=r"not sent within .* 0\.5 s") as caught:
                await client.user_api_tokens.post(ApiTokenPost("ci"), retry=policy)
            assert not caught.value.ambiguous
            tasks.cancel_scope.cancel()

    in_no_time(main)


def test_an_earlier_attempt_may_have_arrived() -> None:
    """If any attempt may have arrived, the error is ambiguous."""

    async def main() -> None:
        failures = [httpx.ReadTimeout("slow"), httpx.ConnectError("no"), httpx.ConnectError("no")]

        async def handle(request: httpx.Request) -> httpx.Response:
            raise failures.pop(0)

        async with client_of(handle, retry=RetryPolicy(attempts=3)) as client:
            with pytest.raises(errors.ConnectFailed) as caught:
                await client.user_api_token.delete(ID)
        assert caught.value.ambiguous

    in_no_time(main)


async def test_a_deadline_that_has_passed_at_once() -> None:
    """A call whose deadline has passed is not sent."""
    limit = Limit(1)
    async with client_of(limit, retry=RetryPolicy(deadline=1e-12)) as client:
        with pytest.raises(errors.RequestTimeout, match="not sent within") as caught:
            await client.user_api_tokens.post(ApiTokenPost("ci"))
    assert (caught.value.ambiguous, limit.admitted) == (False, 0)


def test_the_time_is_not_asked_for_ever() -> None:
    """If no connection is free to ask for the server's time, the local clock decides."""
    token = jwt({"exp": 1_000_000_000})

    async def main() -> None:
        async def handle(request: httpx.Request) -> httpx.Response:
            await anyio.sleep_forever()
            raise AssertionError

        transport = httpx.MockTransport(handle)
        async with (
            AsyncClient(
                token, base_url="https://h", transport=transport, max_connections=1
            ) as client,
            anyio.create_task_group() as tasks,
        ):
            login = UserCredentials("a@b.c", "password")
            tasks.start_soon(outcome, client.auth.authenticate_user(login))
            await anyio.sleep(0.1)
            began = anyio.current_time()
            with pytest.raises(errors.TokenExpired):
                await client.user_api_token.get(ID)
            assert anyio.current_time() - began < 10
            tasks.cancel_scope.cancel()

    in_no_time(main)
