"""Signals to the process of the tests and to its children."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


@contextmanager
def delivered_stop_signals() -> Iterator[None]:
    """Handle the stop signals by default during the block, also where they are ignored.

    A program that a shell starts in the background, or with `nohup`, ignores some of them. Its
    child processes inherit that, and a test that interrupts one would wait forever.
    """
    ignored = [number for number in STOP_SIGNALS if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        is_interrupt = number == signal.SIGINT
        signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def send(number: int = signal.SIGTERM) -> None:
    """Send a signal to this process, and wait until it is handled."""
    os.kill(os.getpid(), number)
    time.sleep(0.01)
