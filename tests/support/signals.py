"""Signals to this process."""

import os
import signal
import time


def send(number: int = signal.SIGTERM) -> None:
    """Send a signal to this process, and wait until it is handled."""
    os.kill(os.getpid(), number)
    time.sleep(0.01)
