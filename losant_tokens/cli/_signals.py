"""Turns SIGINT, SIGTERM and SIGHUP into an orderly stop.

`signal.signal` is used, and not the event loop's `add_signal_handler`, which Windows lacks. A
handler runs between two bytecodes of the main thread, so it only counts the signal and wakes the
event loop. The reaction runs as a callback of the loop: it sets an event or cancels a scope, and
never cancels tasks of others.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from attrs import define

# Windows has no SIGHUP.
STOP_SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if name in signal.Signals.__members__
)
GRACE = 8.0  # Seconds for requests in flight. A container is killed 10 s after its SIGTERM.

_PATIENCE = 2  # Signals that are postponed before the next one ends the command.


@contextmanager
def handled(handler: Callable[[int], None]) -> Iterator[None]:
    """Call a function for each stop signal while the block runs, if this is the main thread.

    A signal that the parent process had ignored (nohup, a job in the background) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def call(number: int, _: FrameType | None) -> None:
        handler(number)

    previous = {}
    try:
        for number in STOP_SIGNALS:
            if signal.getsignal(number) not in {signal.SIG_IGN, None}:
                previous[number] = signal.signal(number, call)
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


def interrupt(_: int) -> None:
    """Handle a stop signal as Python handles Ctrl-C."""
    raise KeyboardInterrupt


@define(eq=False)
class StopSignals:
    """The stop signals that a command has received.

    Attributes:
        count: How many.
    """

    count: int = 0

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Only count signals while the block runs, so that results are reported.

        Raises:
            KeyboardInterrupt: At the third signal.
        """
        with handled(self._postpone):
            yield

    @contextmanager
    def listening(self, react: Callable[[], None]) -> Iterator[None]:
        """Call a function in the running event loop after each signal, and those before it."""
        loop = asyncio.get_running_loop()

        def received(_: int) -> None:
            self.count += 1
            loop.call_soon_threadsafe(react)

        with handled(received):
            if self.count:
                loop.call_soon(react)
            yield

    def _postpone(self, _: int) -> None:
        self.count += 1
        if self.count > _PATIENCE:
            raise KeyboardInterrupt


def leave(_: int) -> None:
    """End the process at once. Only for the time in which nothing can have been done."""
    os.write(2, b"losant-tokens: interrupted\n")
    os._exit(130)


def ignore() -> None:
    """Ignore stop signals from now on."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
