"""The running event loop, its clock and its timeouts, found once for all.

anyio looks them up at each call, for which it first has to find out whose loop is running. That
is cheap, and a call asks several times.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
from anyio.lowlevel import current_token


def is_asyncio() -> bool:
    """Whether it is asyncio that runs, and not trio."""
    return anyio.get_cancelled_exc_class() is asyncio.CancelledError


def clock() -> Callable[[], float]:
    """The clock of the running event loop: what `anyio.current_time` reads, without the search."""
    return asyncio.get_running_loop().time if is_asyncio() else anyio.current_time


def time_limit() -> Callable[[float], AbstractAsyncContextManager[object]]:
    """What limits the time that is spent in it to so many seconds, or ends in a `TimeoutError`."""
    return asyncio.timeout if is_asyncio() else _fail_after


@asynccontextmanager
async def _fail_after(seconds: float) -> AsyncIterator[None]:
    with anyio.fail_after(seconds):
        yield


def loop_finder() -> Callable[[], object]:
    """Finds the event loop that runs whenever it is called, where it is of the kind of this one.

    Where it is of another kind, what is found, or the `RuntimeError` that comes instead, is not
    this one either.
    """
    return asyncio.get_running_loop if is_asyncio() else current_token
