"""Cancel a coroutine at a chosen await, in each possible way.

A sweep over all awaits finds errors that a random cancellation almost never finds.
"""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, Literal

import anyio

Way = Literal["task", "task, with the result", "scope"]


class Sweep:
    """Run coroutines, each of which is cancelled at one await, and count their awaits.

    Ways:
        task: The task is cancelled when it starts to wait.
        task, with the result: The task is cancelled when the awaited result arrives.
        scope: The anyio cancel scope around it is cancelled when it starts to wait.
    """

    def __init__(self, way: Way, at: int) -> None:
        self.way = way
        self.at = at
        self.points = 0
        self.scope = anyio.CancelScope()

    @property
    def has_cancelled(self) -> bool:
        """Whether the coroutine reached the chosen await."""
        return self.points >= self.at

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run the coroutine until it ends or is cancelled."""
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
        else:  # this callback runs first, so the task gets the result and the cancellation
            waits_for.add_done_callback(lambda _: task.cancel())
