"""Limits the number of requests in flight. Calls wait in order, and not past their deadlines.

The problem: each waiting call needs a deadline of its own, and a cancel scope with a timer for each
is a tenth of what a whole call costs. The approach on asyncio: a call waits for a plain future, and
one timer for all of them is set to the earliest deadline. trio has no timers without a task, so
there each wait has its scope.
"""

import asyncio
import math
from collections import deque
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

import anyio


class Limiter(Protocol):
    """Limits the number of requests in flight."""

    @property
    def free(self) -> int:
        """How many more requests may be in flight."""

    def acquire_nowait(self) -> bool:
        """Take a turn if one is free; return whether it was."""

    async def acquire(self, deadline: float) -> bool:
        """Wait for a turn; return `False` if none came before the deadline, or before `close`."""

    def release(self) -> None:
        """Give a turn back, to the call that has waited longest."""

    def close(self) -> None:
        """End all waiting."""


class AsyncioLimiter:
    """`Limiter` under asyncio."""

    def __init__(self, size: int) -> None:
        self.free = size
        self._loop = asyncio.get_running_loop()
        self._line: deque[asyncio.Future[bool]] = deque()
        self._ends: list[tuple[float, int, asyncio.Future[bool]]] = []  # a heap
        self._numbers = count()  # no two entries of the heap are equal
        self._timer: asyncio.TimerHandle | None = None

    def acquire_nowait(self) -> bool:
        """Take a turn if one is free; return whether it was."""
        if not self.free:
            return False
        self.free -= 1
        return True

    async def acquire(self, deadline: float) -> bool:
        """Wait for a turn; return `False` if none came before the deadline, or before `close`."""
        if self.acquire_nowait():
            return True
        place = self._loop.create_future()
        self._line.append(place)
        if deadline < math.inf:
            self._watch(place, deadline)
        try:
            has_turn: bool = await place
        except asyncio.CancelledError:
            if not place.cancelled() and place.result():  # both at once
                self.release()
            raise
        return has_turn

    def release(self) -> None:
        """Give a turn back, to the call that has waited longest."""
        while self._line:
            place = self._line.popleft()
            if not place.done():
                place.set_result(True)
                return
        self.free += 1

    def close(self) -> None:
        """End all waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._ends.clear()
        while self._line:
            _refuse(self._line.popleft())

    def _watch(self, place: "asyncio.Future[bool]", deadline: float) -> None:
        while self._ends and self._ends[0][2].done():
            heappop(self._ends)
        heappush(self._ends, (deadline, next(self._numbers), place))
        if self._timer is None or deadline < self._timer.when():
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._ends[0][0], self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._ends and (self._ends[0][0] <= now or self._ends[0][2].done()):
            _refuse(heappop(self._ends)[2])
        if self._ends:
            self._set_timer()


def _refuse(place: "asyncio.Future[bool]") -> None:
    if not place.done():
        place.set_result(False)


class TrioLimiter:
    """`Limiter` under trio."""

    def __init__(self, size: int) -> None:
        self._semaphore = anyio.Semaphore(size, fast_acquire=True)
        self._waiting: set[anyio.CancelScope] = set()

    @property
    def free(self) -> int:
        """How many more requests may be in flight."""
        return self._semaphore.value

    def acquire_nowait(self) -> bool:
        """Take a turn if one is free; return whether it was."""
        try:
            self._semaphore.acquire_nowait()
        except anyio.WouldBlock:
            return False
        return True

    async def acquire(self, deadline: float) -> bool:
        """Wait for a turn; return `False` if none came before the deadline, or before `close`."""
        with anyio.CancelScope(deadline=deadline) as scope:
            self._waiting.add(scope)
            try:
                await self._semaphore.acquire()
            finally:
                self._waiting.discard(scope)
        return not scope.cancelled_caught

    def release(self) -> None:
        """Give a turn back, to the call that has waited longest."""
        self._semaphore.release()

    def close(self) -> None:
        """End all waiting."""
        for scope in tuple(self._waiting):
            scope.cancel()
