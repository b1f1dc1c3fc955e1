"""The rate that a job shares with the calls of its client."""

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
import pytest
import trio
import trio.testing

from losant_tokens import AsyncClient, errors
from losant_tokens._client import rate_limiter_of
from losant_tokens._limits.adaptive_rate import AdaptiveRate
from losant_tokens._limits.rate_limiter import RateLimiter
from losant_tokens.jobs._throttle.adaptive_concurrency import AdaptiveConcurrency
from losant_tokens.jobs._throttle.circuit_breaker import CircuitBreaker
from losant_tokens.jobs._throttle.throttle import ONE_ATTEMPT, Throttle
from losant_tokens.jobs._throttle.token_attempts import Attempts
from tests.support.helpers import jwt
from tests.support.jobs import send_once
from tests.support.servers import ID
from tests.unit.limits.test_rate_limiter import Limit, client_of


def in_no_time(main: Callable[[], Awaitable[None]]) -> None:
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@asynccontextmanager
async def job_of(client: AsyncClient, cap: float | None = None) -> Any:
    """Open a throttle as a job does."""
    limiter = rate_limiter_of(client)
    with limiter.share(AdaptiveRate()) as rate:
        throttle = Throttle(
            rate,
            AdaptiveConcurrency(20),
            CircuitBreaker(300),
            cap=None if cap is None else AdaptiveRate(cap),
            turn=limiter.turn,
        )
        async with anyio.create_task_group() as group:
            group.start_soon(throttle.serve_queue)
            yield throttle
            throttle.stop()


async def delete_in_job(client: AsyncClient, throttle: Throttle, count: int) -> None:
    """Send a number of requests with 20 workers, each until it succeeds."""
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            attempts = Attempts()
            while True:
                try:
                    with await throttle.acquire() as slot:
                        await send_once(
                            slot,
                            lambda: client.user_api_token.delete(ID, retry=ONE_ATTEMPT),
                            attempts,
                        )
                        break
                except errors.LosantError as error:
                    await throttle.back_off(error, attempts)

    async with anyio.create_task_group() as workers:
        for _ in range(20):
            workers.start_soon(work)


@attrs.define
class Times:
    """When the calls of an application ended."""

    ended: list[float] = attrs.field(factory=list)


async def calls_of_an_application(client: AsyncClient, count: int, times: Times) -> None:
    """Make calls at the same time."""

    async def get() -> None:
        await client.user_api_token.get(ID)
        times.ended.append(anyio.current_time())

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(get)


def test_a_job_and_calls_stay_within_one_limit() -> None:
    """A job and 200 calls at once, against 20 requests a second, all succeed with few refusals.

    Together they use the limit. Calls take turns with the job in the order of their arrival.
    """

    async def main() -> None:
        limit, times = Limit(20), Times()
        async with client_of(limit) as client, job_of(client) as throttle:
            began = anyio.current_time()
            async with anyio.create_task_group() as group:
                group.start_soon(delete_in_job, client, throttle, 200)
                await anyio.sleep(2)
                group.start_soon(calls_of_an_application, client, 200, times)
                await anyio.sleep(5)
                job_share = throttle.responses.total
                call_share = len(times.ended)
            seconds = anyio.current_time() - began
        assert limit.admitted == 400
        assert len(limit.refused) < 60
        assert seconds < 30
        assert call_share > 20
        assert job_share > 20

    in_no_time(main)


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("tasks", [3, 1, 10])
def test_calls_without_a_pause_leave_the_job_a_share(tasks: int) -> None:
    """An application that makes calls all the time does not keep a job from its share.

    The job takes turns with the tasks of the application, so each of them gets about as much as
    the job.
    """

    async def main() -> None:
        limit, times = Limit(20), Times()
        async with client_of(limit) as client, job_of(client) as throttle:

            async def work() -> None:
                while True:
                    await calls_of_an_application(client, 1, times)
                    await anyio.sleep(0.01)

            async with anyio.create_task_group() as group:
                for _ in range(tasks):
                    group.start_soon(work)
                group.start_soon(delete_in_job, client, throttle, 10_000)
                await anyio.sleep(60)
                group.cancel_scope.cancel()
        job, application = throttle.responses.total, len(times.ended)
        assert job + application > 15 * 60
        assert job > 0.6 * application / tasks
        assert application > 0.2 * job

    in_no_time(main)


def test_a_refused_job_delays_the_calls() -> None:
    """After a job was refused with a Retry-After, the calls of the application wait as well."""

    async def main() -> None:
        limit, times = Limit(0, {"retry-after": "5"}), Times()
        async with (
            client_of(limit) as client,
            job_of(client) as throttle,
            anyio.create_task_group() as group,
        ):
            group.start_soon(delete_in_job, client, throttle, 1)
            await anyio.sleep(0.5)
            limit.per_second = 100
            await calls_of_an_application(client, 1, times)
        assert times.ended[0] - limit.refused[0] >= 5
        assert len(limit.refused) == 1

    in_no_time(main)


def test_a_refused_call_delays_the_job() -> None:
    """After a call was refused with a Retry-After, the job of the client waits as well."""

    async def main() -> None:
        limit, times = Limit(0, {"retry-after": "5"}), Times()
        async with (
            client_of(limit) as client,
            job_of(client) as throttle,
            anyio.create_task_group() as group,
        ):
            group.start_soon(calls_of_an_application, client, 1, times)
            await anyio.sleep(0.5)
            limit.per_second = 100
            await delete_in_job(client, throttle, 1)
            assert anyio.current_time() - limit.refused[0] >= 5
        assert len(limit.refused) == 1

    in_no_time(main)


def test_calls_do_not_wait_for_a_job_that_begins() -> None:
    """Before any refusal, the calls of an application are not slowed down by a job."""

    async def main() -> None:
        times = Times()
        async with client_of(Limit(1000)) as client, job_of(client) as throttle:
            began = anyio.current_time()
            async with anyio.create_task_group() as group:
                group.start_soon(delete_in_job, client, throttle, 50)
                await calls_of_an_application(client, 200, times)
                assert anyio.current_time() - began < 0.5

    in_no_time(main)


def test_the_cap_of_a_job_is_its_own() -> None:
    """`rate` of a job limits the job, and not the calls of the application, refused or not."""

    async def main() -> None:
        limit, times = Limit(50), Times()
        async with client_of(limit) as client, job_of(client, cap=2) as throttle:
            began = anyio.current_time()
            async with anyio.create_task_group() as group:
                group.start_soon(delete_in_job, client, throttle, 20)
                await calls_of_an_application(client, 300, times)
                assert anyio.current_time() - began < 12
                assert limit.refused
                assert throttle.responses.total <= 2 * 12 + 1
                assert throttle.per_second <= 2
            assert 9 < anyio.current_time() - began < 20

    in_no_time(main)


def test_the_limit_of_a_client_holds_for_jobs() -> None:
    """`rate_limit` of a client holds for a job and the calls together."""

    async def main() -> None:
        limit, times = Limit(12), Times()
        async with client_of(limit, rate_limit=10) as client, job_of(client) as throttle:
            began = anyio.current_time()
            async with anyio.create_task_group() as group:
                group.start_soon(delete_in_job, client, throttle, 50)
                group.start_soon(calls_of_an_application, client, 50, times)
            assert 9 < anyio.current_time() - began < 12
        assert limit.refused == []

    in_no_time(main)


def test_a_second_job_uses_the_rate_that_was_found() -> None:
    """A job continues at the rate of another job, or of one that was refused a minute ago."""

    async def main() -> None:
        limiter = RateLimiter()
        first, second = AdaptiveRate(), AdaptiveRate()
        with limiter.share(first) as rate:
            assert rate is first
            with limiter.share(second) as inner:
                assert inner is first
            assert limiter.has_jobs
        assert not limiter.has_jobs
        with limiter.share(second) as rate:
            assert rate is second
            limiter.record_rate_limit(anyio.current_time(), None)
        with limiter.share(AdaptiveRate()) as rate:
            assert rate is second
        await anyio.sleep(61)
        with limiter.share(first) as rate:
            assert rate is first

    in_no_time(main)


@pytest.mark.parametrize("claims", [{"userId": "b" * 24}, {}])
def test_a_token_of_another_account_during_a_job(claims: dict[str, str]) -> None:
    """While a job runs, a token that may be of another account is refused, even if allowed."""

    async def main() -> None:
        async with client_of(Limit(10)) as client:
            client.use_token(jwt({"userId": "a" * 24}))
            async with job_of(client):
                with pytest.raises(errors.ValidationError, match="because a job is running"):
                    client.use_token(jwt({**claims, "x": 1}), allow_other_account=True)
                client.use_token(jwt({"userId": "a" * 24, "x": 1}))
            client.use_token(jwt({**claims, "x": 1}), allow_other_account=True)

    in_no_time(main)


def test_unused_places_of_a_capped_job() -> None:
    """Places that a job does not use are returned to its cap as well."""

    async def main() -> None:
        async with client_of(Limit(100)) as client, job_of(client, cap=1) as throttle:
            began = anyio.current_time()
            for _ in range(2):
                with await throttle.acquire(5):
                    pass
            assert anyio.current_time() - began < 1

    in_no_time(main)


def test_a_worker_that_is_cancelled_before_its_turn() -> None:
    """If a worker is cancelled while calls have their turn, the others get their places."""

    async def main() -> None:
        async with client_of(Limit(100)) as client, job_of(client) as throttle:
            async with throttle.turn:
                with anyio.move_on_after(1) as scope:
                    with await throttle.acquire():
                        raise AssertionError
            assert scope.cancelled_caught
            with anyio.fail_after(5):
                with await throttle.acquire() as slot:
                    assert slot.is_open(throttle.now())

    in_no_time(main)


def test_a_client_that_is_not_open() -> None:
    """A client that is not open shares no rate."""
    client = client_of(Limit(1))
    assert rate_limiter_of(client) is not rate_limiter_of(client)
