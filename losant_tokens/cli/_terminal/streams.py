"""Standard streams that may be closed, full or broken."""

import os
import select
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

_STREAMS = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def open_missing_streams() -> None:
    """Open the null device in place of each standard stream that the parent process closed.

    A file that is opened gets the lowest free descriptor. Without this, a socket would become
    standard output, and uvloop aborts the process when it closes a descriptor below 3.
    """
    for number, name, mode in _STREAMS:
        try:
            os.fstat(number)
        except OSError:
            # Standard output is opened for reading: a write fails, as on a closed stream.
            flags = os.O_RDWR if name == "stderr" else os.O_RDONLY
            os.open(os.devnull, flags)  # The lower descriptors are in use, so it gets this number.
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def mute(stream: Any) -> None:
    """Redirect a broken stream to the null device.

    Otherwise the interpreter would fail when it flushes the stream at exit.
    """
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, stream.fileno())
        finally:
            os.close(null)


def output_problem() -> str | None:
    """Return why standard output cannot be written, or None if no problem is known."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):  # A program replaced the stream.
        return None
    try:
        # Writes nothing, but a closed stream and a full device refuse it.
        os.write(descriptor, b"")
        kind = os.fstat(descriptor).st_mode
    except OSError as error:
        return error.strerror or type(error).__name__
    if (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)) and _is_abandoned(descriptor):
        return "its reader has closed it"
    return None


def _is_abandoned(descriptor: int) -> bool:
    """Return whether the reader of a pipe or socket has closed it."""
    if not hasattr(select, "poll"):  # pragma: no cover -- Windows
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


class FaultTolerantStream:
    """A stream for displays: a write that fails mutes the stream and raises nothing."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a string if the stream accepts it."""
        try:
            self._stream.write(text)
        except (OSError, ValueError):
            mute(self._stream)
        return len(text)

    def flush(self) -> None:
        """Flush the stream if that works."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            mute(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def is_null(stream: TextIO) -> bool:
    """Return whether a stream is the null device, perhaps because it was muted."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), Path(os.devnull).stat())
    except (OSError, ValueError, AttributeError):
        return False
