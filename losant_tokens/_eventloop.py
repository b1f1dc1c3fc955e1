"""The running event loop, its clock and its kind of cancel scope, found once for all.

anyio looks them up at each call, for which it first has to find out whose loop is running. That
is cheap, and a call asks several times.
"""

import asyncio
from collections.abc import Callable

import anyio
from anyio.lowlevel import current_token


def is_asyncio() -> bool:
    """Whether it is asyncio that runs, and not trio."""
    return anyio.get_cancelled_exc_class() is asyncio.CancelledError


def clock() -> Callable[[], float]:
    """The clock of the running event loop: what `anyio.current_time` reads, without the search."""
    return asyncio.get_running_loop().time if is_asyncio() else anyio.current_time


def scope_class() -> type[anyio.CancelScope]:
    """What `anyio.CancelScope` makes under the running event loop, without the search."""
    return type(anyio.CancelScope())


def loop_finder() -> Callable[[], object]:
    """Finds the event loop that runs whenever it is called, where it is of the kind of this one.

    Where it is of another kind, what is found, or the `RuntimeError` that comes instead, is not
    this one either.
    """
    return asyncio.get_running_loop if is_asyncio() else current_token
