"""Cancels a coroutine at a chosen point where it waits, in each way that there is.

A coroutine *waits* where it hands control to the event loop. A sweep over all those points finds
what a random cancellation finds once in a month.
"""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, Literal

import anyio

Way = Literal["task", "task, with the result", "scope"]


class Sweep:
    """Runs coroutines that are cancelled at one point each, and counts their points.

    Ways:
        task: The task is cancelled as it begins to wait.
        task, with the result: It is cancelled in the instant in which what it waits for is there.
        scope: A cancel scope of anyio around it is cancelled as it begins to wait.
    """

    def __init__(self, way: Way, at: int) -> None:
        self.way = way
        self.at = at
        self.points = 0
        self.scope = anyio.CancelScope()

    @property
    def has_cancelled(self) -> bool:
        """Whether the coroutine got as far as the point."""
        return self.points >= self.at

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Runs the coroutine until it ends, or is cancelled."""
        with self.scope:
            try:
                await self._step(coroutine)
            except asyncio.CancelledError:
                if self.way == "scope":
                    raise
                task = asyncio.current_task()
                assert task is not None
                task.uncancel()

    @types.coroutine
    def _step(self, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        send, argument = coroutine.send, None
        throw: BaseException | None = None
        while True:
            try:
                waits_for = send(argument) if throw is None else coroutine.throw(throw)
            except StopIteration as stop:
                return stop.value
            throw = None
            self.points += 1
            if self.points == self.at:
                self._cancel(waits_for)
            try:
                argument = yield waits_for
            except BaseException as error:  # noqa: BLE001 -- handed on to the coroutine
                throw = error

    def _cancel(self, waits_for: Any) -> None:
        if self.way == "scope":
            self.scope.cancel()
            return
        task = asyncio.current_task()
        assert task is not None
        if self.way == "task" or waits_for is None:
            task.cancel()
        else:  # our callback is the first: the task wakes up to both the result and the end
            waits_for.add_done_callback(lambda _: task.cancel())
