"""One call of a token source: an async function of the application that returns a token.

It runs in a task of its own, outside of any task group. A caller that is cancelled must not break
it off: others wait for it, and the function may be exchanging a refresh token that is valid once.
Closing the client cancels it, and so does a timeout.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import PurePath
from traceback import walk_tb

import anyio

from losant_tokens._utils.event_loop import is_asyncio
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import LosantError

TokenSource = Callable[[], Awaitable[str | Secret]]
"""An async function that returns the current API token."""

_MAX_SECONDS = 60.0  # for one call of a token source

_running: ContextVar["SourceCall | None"] = ContextVar("losant_tokens_source", default=None)
"""The call of a token source in which the code runs."""


class SourceCall:
    """One call of a token source, in a task of its own.

    Args:
        source: The source.
        wait: The seconds until the source is called.
        on_end: Called with this call and its outcome: a token, or a problem without any secret.

    Attributes:
        began_at: When the source was called, by the event loop's clock.
        done: Set when the call has ended.
    """

    def __init__(
        self,
        source: TokenSource,
        wait: float,
        on_end: "Callable[[SourceCall, Secret | str], None]",
    ) -> None:
        self.began_at = anyio.current_time()
        self.done = anyio.Event()
        self._source = source
        self._wait = wait
        self._on_end = on_end
        self._scope = anyio.CancelScope()
        if is_asyncio():
            # The event loop itself keeps only a weak reference.
            self._task = asyncio.get_running_loop().create_task(self._run())
        else:
            import trio  # noqa: PLC0415 -- it is running, so it was imported

            trio.lowlevel.spawn_system_task(self._run)

    @property
    def is_done(self) -> bool:
        """Whether the call has ended."""
        return self.done.is_set()

    @property
    def is_current(self) -> bool:
        """Whether the code runs in this call, so that it must not wait for it."""
        return _running.get() is self

    @property
    def name(self) -> str:
        """The source, for a message."""
        name = getattr(self._source, "__qualname__", type(self._source).__qualname__)
        return f"The token source {name}()"

    async def cancel(self) -> None:
        """Cancel the call, and wait until it has ended."""
        self._scope.cancel()
        await self.done.wait()

    async def _run(self) -> None:
        outcome: Secret | str = f"{self.name} was cancelled."
        _running.set(self)
        limit = anyio.CancelScope()
        try:
            with self._scope:
                if self._wait:
                    await anyio.sleep(self._wait)
                    self.began_at = anyio.current_time()
                limit.deadline = anyio.current_time() + _MAX_SECONDS
                with limit:
                    outcome = await self._ask()
            if limit.cancelled_caught:
                outcome = f"{self.name} did not return a token within {_MAX_SECONDS:g} seconds."
        finally:
            self._on_end(self, outcome)
            self.done.set()

    async def _ask(self) -> Secret | str:
        """Call the source; return the token, or a problem without any secret.

        No variable holds the token, and no exception of the source is passed on, because the
        locals of its frames may hold the token.
        """
        try:
            awaitable = self._source()
            if not hasattr(awaitable, "__await__"):
                return f"{self.name} must be an async function, but it returned no awaitable."
            return Secret.of(await awaitable)
        except LosantError as error:
            return f"{self.name} raised {type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 -- its message may hold the token
            return f"{self.name} raised {type(error).__name__}{_place(error)}."


def _place(error: Exception) -> str:
    """Return the file and the line where an exception was raised, for a message."""
    *_, (frame, line) = walk_tb(error.__traceback__)
    return f" in {PurePath(frame.f_code.co_filename).name}, line {line}"
