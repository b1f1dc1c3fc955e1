"""The throttle: slots, probes, backoff and reads."""

from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from losant_tokens import errors
from losant_tokens._limits.adaptive_rate import AdaptiveRate
from losant_tokens._limits.rate_limiter import RateLimiter
from losant_tokens.errors import LosantError, TransportError
from losant_tokens.jobs._throttle.adaptive_concurrency import AdaptiveConcurrency
from losant_tokens.jobs._throttle.circuit_breaker import CircuitBreaker
from losant_tokens.jobs._throttle.throttle import (
    StoppedError,
    Throttle,
    describe,
    open_throttle,
)
from losant_tokens.jobs._throttle.token_attempts import Attempts
from tests.support.jobs import on_virtual_time, send_once


def throttle_of(rate: float = 1000.0, concurrency: int = 8) -> Throttle:
    """Return a throttle with a fixed rate."""
    return Throttle(
        AdaptiveRate(maximum=rate), AdaptiveConcurrency(concurrency), CircuitBreaker(300)
    )


async def persist(throttle: Throttle, request: Callable[[], Awaitable[None]]) -> None:
    """Send a request until it succeeds."""
    attempts = Attempts()
    while True:
        try:
            with await throttle.acquire() as slot:
                await send_once(slot, request, attempts)
                return
        except LosantError as error:
            failure = error
        await throttle.back_off(failure, attempts)


def test_describe_response_of_another_service() -> None:
    """The description of an error says whether the response cannot come from the API."""
    assert describe(errors.NotFound("404 by nginx")) == (
        "a response that is not from the API: 404 by nginx"
    )
    assert describe(errors.ServerError("500 Internal")) == "500 Internal"


async def test_cancelled_request_takes_no_place() -> None:
    """A request that is cancelled in the queue takes no place."""
    throttle = throttle_of(rate=20.0)
    went: list[str] = []

    async def send(name: str) -> None:
        async def go() -> None:
            went.append(name)

        with await throttle.acquire() as slot:
            await send_once(slot, go, Attempts())

    async with anyio.create_task_group() as group:
        group.start_soon(throttle.serve_queue)
        await send("first")
        with anyio.move_on_after(0.001):
            await send("impatient")
        await send("second")
        group.cancel_scope.cancel()

    assert went == ["first", "second"]


def test_latency_excludes_waits() -> None:
    """The latency does not include the waits between attempts."""

    async def job() -> tuple[float, int, int]:
        throttle = throttle_of()
        attempted: set[int] = set()

        async def send(number: int) -> None:
            await anyio.sleep(0.1)
            if number not in attempted:
                attempted.add(number)
                raise TransportError("broken off", operation="userApiToken.get")

        async with anyio.create_task_group() as group:
            group.start_soon(throttle.serve_queue)
            for number in range(20):
                await persist(throttle, partial(send, number))
            group.cancel_scope.cancel()
        return throttle.concurrency.latency, throttle.sent, throttle.retries

    latency, sent, retries = on_virtual_time(job)

    assert latency == pytest.approx(0.1)
    assert (sent, retries) == (40, 20)


def test_one_probe_at_a_time() -> None:
    """During an outage, one probe at a time is sent, at growing intervals."""

    async def job() -> list[float]:
        throttle = throttle_of()
        began = anyio.current_time()
        sent_at: list[float] = []

        async def send() -> None:
            sent_at.append(anyio.current_time() - began)
            await anyio.sleep(0.5)
            if sent_at[-1] < 20:
                raise TransportError("broken off", operation="userApiToken.get")

        throttle.circuit_breaker.open(began)
        async with anyio.create_task_group() as group:
            group.start_soon(throttle.serve_queue)
            async with anyio.create_task_group() as senders:
                for _ in range(6):
                    senders.start_soon(persist, throttle, send)
            group.cancel_scope.cancel()
        return sent_at

    sent_at = on_virtual_time(job)
    # Each waits twice as long as the one before, beginning when that one has failed.
    assert sent_at[:5] == pytest.approx([1.0, 3.5, 8.0, 16.5, 33.0])
    assert sent_at[5:] == pytest.approx([33.5] * 5, abs=0.1)


@pytest.mark.parametrize(
    ("rate", "waiting", "expected"), [(200.0, 1, 0), (200.0, 5, 3), (20.0, 1, 1)]
)
def test_before_waiting_is_called(rate: float, waiting: int, expected: int) -> None:
    """`before_waiting` is called before a wait for a place that is not short."""

    async def job() -> int:
        before: list[float] = []
        throttle = Throttle(
            AdaptiveRate(maximum=rate),
            AdaptiveConcurrency(8),
            CircuitBreaker(300),
            before_waiting=lambda: before.append(anyio.current_time()),
        )

        async with anyio.create_task_group() as group:
            group.start_soon(throttle.serve_queue)
            await persist(throttle, anyio.lowlevel.checkpoint)
            async with anyio.create_task_group() as senders:
                for _ in range(waiting):
                    senders.start_soon(persist, throttle, anyio.lowlevel.checkpoint)
            group.cancel_scope.cancel()
        return len(before)

    assert on_virtual_time(job) == expected


# --- Slots -----------------------------------------------------------------------------------


def test_requests_of_a_slot_are_spaced() -> None:
    """The second request of a slot is due one place later, but within half a second."""

    async def spacing(rate: float) -> float:
        throttle = throttle_of(rate=rate)
        with await throttle.acquire(2) as slot:
            await send_once(slot, anyio.lowlevel.checkpoint, Attempts())
            began = anyio.current_time()
            await slot.wait_for_next(began)
            return anyio.current_time() - began

    async def job() -> list[float]:
        return [await spacing(rate) for rate in (1000.0, 10.0, 0.1)]

    assert on_virtual_time(job) == pytest.approx([0.0, 0.1, 0.5])


def test_unused_places_are_returned() -> None:
    """A slot that sends one of its two requests delays the next slot by one place."""

    async def job() -> list[float]:
        throttle = throttle_of(rate=1.0)
        sent_at: list[float] = []
        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(throttle.serve_queue)
            for used in (1, 2, 1):
                with await throttle.acquire(2) as slot:
                    sent_at.append(anyio.current_time() - began)
                    for _ in range(used):
                        await send_once(slot, anyio.lowlevel.checkpoint, Attempts())
            group.cancel_scope.cancel()
        return sent_at

    assert on_virtual_time(job) == pytest.approx([0.0, 1.0, 3.0], abs=0.3)


@pytest.mark.parametrize("reason", ["paused", "out", "stopping"])
async def test_slot_is_closed_while_nothing_may_be_sent(reason: str) -> None:
    """A slot is not open during a pause, an outage or a stop."""
    throttle = throttle_of()
    with await throttle.acquire(2) as slot:
        was_open = slot.is_open(throttle.now())
        if reason == "paused":
            throttle.rate.pause(throttle.now(), 1.0)
        elif reason == "out":
            throttle.circuit_breaker.open(throttle.now())
        else:
            throttle.stop()

        assert (was_open, slot.is_open(throttle.now())) == (True, False)


async def test_nothing_is_sent_after_a_stop() -> None:
    """After a stop, neither a new slot nor an old one can send a request."""
    throttle = throttle_of()
    with await throttle.acquire(2) as slot:
        throttle.stop()
        with pytest.raises(StoppedError):
            await send_once(slot, anyio.lowlevel.checkpoint, Attempts())
    with pytest.raises(StoppedError), await throttle.acquire():
        pass

    assert throttle.sent == 0


async def test_read_fails_without_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`read` raises the error of the last attempt if there is no patience left."""
    monkeypatch.setattr("losant_tokens.jobs._throttle.throttle.random.random", lambda: 0.0)
    attempts = 0

    async def fail() -> None:
        nonlocal attempts
        attempts += 1
        raise errors.ServerError("", status_code=503)

    with pytest.raises(errors.ServerError):
        async with open_throttle(RateLimiter(), patience=0.0) as throttle:
            await throttle.read(fail)

    assert attempts == 5


async def test_request_refused_by_the_client_does_not_count_as_sent() -> None:
    """A request that the client does not send, because an argument is invalid, is not counted."""
    throttle = throttle_of()

    async def fail() -> None:
        raise errors.ValidationError("the id is invalid")

    with await throttle.acquire() as slot, pytest.raises(errors.ValidationError):
        await send_once(slot, fail, Attempts())

    assert throttle.sent == 0
