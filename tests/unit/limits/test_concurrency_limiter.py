"""The limit on requests in flight: order, deadlines and cancellation."""

import asyncio
import math
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing

from losant_tokens._limits.concurrency_limiter import AsyncioLimiter, Limiter, TrioLimiter
from tests.support.cancellation import Sweep, Way

Test = Callable[[type[AsyncioLimiter] | type[TrioLimiter]], Awaitable[None]]


def under(backend: str, test: Test) -> None:
    """Run a test under an event loop."""
    if backend == "asyncio":

        async def main() -> None:
            await test(AsyncioLimiter)

        asyncio.run(main())
    else:
        trio.run(test, TrioLimiter, clock=trio.testing.MockClock(autojump_threshold=0))


backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


async def take(
    limiter: Limiter, found: list[object], name: object, seconds: float = math.inf
) -> None:
    if await limiter.acquire(anyio.current_time() + seconds):
        found.append(name)
    else:
        found.append(None)


@backends
def test_at_once(backend: str) -> None:
    """There are as many places as the size says, and each can be released."""

    async def main(kind: type[AsyncioLimiter] | type[TrioLimiter]) -> None:
        limiter = kind(2)
        assert [limiter.acquire_nowait() for _ in range(3)] == [True, True, False]
        assert limiter.free == 0
        limiter.release()
        assert limiter.free == 1
        assert await limiter.acquire(math.inf)
        limiter.release()
        limiter.release()
        assert limiter.free == 2

    under(backend, main)


@backends
def test_in_order(backend: str) -> None:
    """A released place goes to the call that has waited longest."""

    async def main(kind: type[AsyncioLimiter] | type[TrioLimiter]) -> None:
        limiter, found = kind(1), list[object]()
        limiter.acquire_nowait()
        async with anyio.create_task_group() as tasks:
            for name in range(5):
                tasks.start_soon(take, limiter, found, name)
                await anyio.lowlevel.checkpoint()
            for _ in range(5):
                limiter.release()
                assert not limiter.acquire_nowait()
                await anyio.sleep(0.001)
        assert found == [0, 1, 2, 3, 4]
        assert limiter.free == 0

    under(backend, main)


@backends
def test_deadlines(backend: str) -> None:
    """Each call waits until its own deadline."""

    async def main(kind: type[AsyncioLimiter] | type[TrioLimiter]) -> None:
        limiter, found = kind(1), list[object]()
        limiter.acquire_nowait()
        began = anyio.current_time()
        ends: dict[float, float] = {}

        async def wait(seconds: float) -> None:
            await take(limiter, found, seconds, seconds)
            ends[seconds] = anyio.current_time() - began

        async with anyio.create_task_group() as tasks:
            for seconds in (0.3, 0.1, 0.2, 0.1, 5.0):
                tasks.start_soon(wait, seconds)
            await anyio.sleep(0.4)
            limiter.release()
        assert found == [None] * 4 + [5.0]
        for seconds in (0.1, 0.2, 0.3):
            assert seconds <= ends[seconds] + 0.001 <= seconds + 0.09
        assert 0.4 <= ends[5.0] + 0.001 < 0.5

    under(backend, main)


@backends
def test_calls_that_have_ended(backend: str) -> None:
    """A place does not go to a call that was cancelled or whose deadline has passed."""

    async def main(kind: type[AsyncioLimiter] | type[TrioLimiter]) -> None:
        limiter, found = kind(1), list[object]()
        limiter.acquire_nowait()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take, limiter, found, 0, 0.01)
            with anyio.move_on_after(0.02):
                await limiter.acquire(math.inf)
            await anyio.sleep(0.05)
            tasks.start_soon(take, limiter, found, 1, 10)
            await anyio.sleep(0.01)
            limiter.release()
        assert found == [None, 1]
        limiter.release()
        assert limiter.free == 1

    under(backend, main)


@backends
def test_close(backend: str) -> None:
    """`close` ends the wait of all calls, with or without a deadline."""

    async def main(kind: type[AsyncioLimiter] | type[TrioLimiter]) -> None:
        limiter, found = kind(1), list[object]()
        limiter.acquire_nowait()
        limiter.close()  # without a waiting call
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take, limiter, found, 0)
            tasks.start_soon(take, limiter, found, 1, 60)
            await anyio.sleep(0.01)
            limiter.close()
        assert found == [None, None]
        assert anyio.current_time() - began < 1
        limiter.release()
        assert limiter.free == 1

    under(backend, main)


@pytest.mark.parametrize("way", ["task", "task, with the result", "scope"])
async def test_cancelled_at_every_point(way: Way) -> None:
    """A cancellation at any point neither loses a place nor adds one."""
    for at in range(1, 10):
        limiter = AsyncioLimiter(1)
        limiter.acquire_nowait()

        async def use(limiter: AsyncioLimiter = limiter) -> None:
            assert await limiter.acquire(math.inf)
            limiter.release()

        run = Sweep(way, at)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.run, use())
            await asyncio.sleep(0)
            limiter.release()
        assert limiter.free == 1
        if not run.has_cancelled:
            return
    raise AssertionError("waiting never came to its end")


async def test_many_deadlines() -> None:
    """The deadlines of calls that have ended are removed."""
    limiter = AsyncioLimiter(1)
    for _ in range(100):
        limiter.acquire_nowait()
        waiting = asyncio.ensure_future(limiter.acquire(asyncio.get_running_loop().time() + 60))
        await asyncio.sleep(0)
        limiter.release()
        assert await waiting
        limiter.release()
    assert len(limiter._waits) == 1
    limiter.close()


async def test_close_after_a_cancelled_wait() -> None:
    """A call that was cancelled while it waited for a place does not hinder closing."""
    limiter, found = AsyncioLimiter(1), list[object]()
    limiter.acquire_nowait()
    cancelled = asyncio.ensure_future(take(limiter, found, "cancelled"))
    waiting = asyncio.ensure_future(take(limiter, found, "waiting"))
    await anyio.lowlevel.checkpoint()
    cancelled.cancel()
    limiter.close()

    await asyncio.wait({cancelled, waiting})
    assert (cancelled.cancelled(), found) == (True, [None])
