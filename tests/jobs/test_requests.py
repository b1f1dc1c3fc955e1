"""When a request is sent, when it is sent again, and what is learned from it."""

import anyio
import anyio.lowlevel
import pytest

from losant_tokens.errors import TransportError
from losant_tokens.jobs._concurrency import Concurrency
from losant_tokens.jobs._health import Health
from losant_tokens.jobs._rate import Rate
from losant_tokens.jobs._requests import Request, Requests, Tries
from tests.jobs.world import on_virtual_time


async def test_whoever_leaves_the_line_takes_no_place() -> None:
    """A request that is cancelled while it waits for its place leaves it to the next one."""
    requests = Requests(Rate(fixed=20.0), Concurrency(5), Health(300))
    went: list[str] = []

    async def go(name: str) -> None:
        went.append(name)

    async def send(name: str) -> None:
        await requests.send(Request(go), Tries(name))

    async with anyio.create_task_group() as group:
        group.start_soon(requests.keep_the_line)
        await send("first")
        with anyio.move_on_after(0.001):
            await send("impatient")
        await send("second")
        group.cancel_scope.cancel()

    assert ["first", "second"] == went


def test_latency_is_that_of_the_last_try() -> None:
    """What was waited for between tries does not count as time that an answer took."""

    async def job() -> float:
        requests = Requests(Rate(fixed=1000.0), Concurrency(8), Health(300))
        tried: set[str] = set()

        async def send(name: str) -> None:
            await anyio.sleep(0.1)
            if name not in tried:
                tried.add(name)
                raise TransportError("broken off", action="userApiToken.get")

        async with anyio.create_task_group() as group:
            group.start_soon(requests.keep_the_line)
            for number in range(8):
                await requests.send(Request(send), Tries(str(number)))
            group.cancel_scope.cancel()
        assert (requests.sent, requests.retries) == (16, 8)
        return requests.concurrency.latency

    assert on_virtual_time(job) == pytest.approx(0.1)


def test_one_probe_at_a_time() -> None:
    """While the service is out, one request at a time finds out whether it is back."""

    async def job() -> list[float]:
        requests = Requests(Rate(fixed=1000.0), Concurrency(8), Health(300))
        began = anyio.current_time()
        sent_at: list[float] = []

        async def send(_: str) -> None:
            sent_at.append(anyio.current_time() - began)
            await anyio.sleep(0.5)
            if sent_at[-1] < 20:
                raise TransportError("broken off", action="userApiToken.get")

        requests.health.out(began)
        async with anyio.create_task_group() as group:
            group.start_soon(requests.keep_the_line)
            async with anyio.create_task_group() as senders:
                for number in range(6):
                    senders.start_soon(requests.send, Request(send), Tries(str(number)))
            group.cancel_scope.cancel()
        return sent_at

    sent_at = on_virtual_time(job)
    # Each waits twice as long as the one before, from when that one has failed.
    assert sent_at[:5] == pytest.approx([1.0, 3.5, 8.0, 16.5, 33.0])
    assert sent_at[5:] == pytest.approx([33.5] * 5, abs=0.1)


@pytest.mark.parametrize(
    ("rate", "waiting", "expected"), [(200.0, 1, 0), (200.0, 5, 3), (20.0, 1, 1)]
)
def test_what_is_done_before_a_wait(rate: float, waiting: int, expected: int) -> None:
    """Before a place is waited for that is some way off, in time or in the line."""

    async def job() -> int:
        before: list[float] = []
        requests = Requests(
            Rate(fixed=rate),
            Concurrency(8),
            Health(300),
            before_waiting=lambda: before.append(anyio.current_time()),
        )

        async def send(_: str) -> None:
            await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            group.start_soon(requests.keep_the_line)
            await requests.send(Request(send), Tries("first"))
            async with anyio.create_task_group() as senders:
                for number in range(waiting):
                    senders.start_soon(requests.send, Request(send), Tries(str(number)))
            group.cancel_scope.cancel()
        return len(before)

    assert on_virtual_time(job) == expected
