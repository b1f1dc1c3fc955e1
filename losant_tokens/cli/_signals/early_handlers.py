"""Handlers of stop signals, which are installed before anything else is imported.

Ctrl-C during an import surfaces in any line of any library, and leaves modules half imported. So
this module imports only a few small modules.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# Windows does not support SIGHUP.
STOP_SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if name in signal.Signals.__members__
)


@contextmanager
def handled(handler: Callable[[int], None]) -> Iterator[None]:
    """Call a function for each stop signal during the block, if this is the main thread.

    A signal that the parent process ignores (nohup, a background job) stays ignored.
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
        for number, handler_before in previous.items():
            signal.signal(number, handler_before)


def interrupt(_: int) -> None:
    """Handle a stop signal as Python handles Ctrl-C."""
    raise KeyboardInterrupt


def exit_at_once(_: int) -> None:
    """End the process without any cleanup. Only safe before a command has started its work."""
    with suppress(OSError):  # stderr may be closed.
        os.write(2, b"losant-tokens: interrupted\n")
    os._exit(130)


def ignore_stop_signals() -> None:
    """Ignore stop signals from now on."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
