"""Standard streams that are closed, full or broken, in this process."""

import io
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from losant_tokens.cli._terminal import streams
from tests.support.standard_streams import Broken, pipe_without_a_reader

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


def _socket() -> int:
    one, other = socket.socketpair()
    other.close()
    return one.detach()


def test_missing_stream_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing stream is opened; open streams are kept."""
    before = sys.stderr
    monkeypatch.setattr(sys, "stdin", None)

    streams.open_missing_streams()

    assert (sys.stdin.fileno(), sys.stderr) == (0, before)


def test_closed_stdout_is_opened_for_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is opened for reading, so that a write fails as on a closed stream."""
    opened = []

    def fstat(number: int) -> None:
        if number != 0:
            raise OSError(9, "Bad file descriptor")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", fstat)
        patched.setattr(os, "open", lambda *arguments: opened.append(arguments))
        streams.open_missing_streams()

    assert opened == [(os.devnull, os.O_RDONLY), (os.devnull, os.O_RDWR)]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: os.open(os.devnull, os.O_WRONLY), None),
        (lambda: os.open(os.devnull, os.O_RDONLY), "Bad file descriptor"),
        (pipe_without_a_reader, "its reader has closed it"),
        (_socket, "Broken pipe"),
        pytest.param(
            lambda: os.open("/dev/full", os.O_WRONLY), "No space left on device", marks=FULL
        ),
    ],
)
def test_output_problem(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], int], problem: str | None
) -> None:
    """A problem with stdout is detected without writing to it."""
    with os.fdopen(make(), "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert problem == streams.output_problem()


def test_replaced_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced stdout is accepted without a check."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    assert streams.output_problem() is None


def test_pipe_with_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe with a reader is accepted."""
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert streams.output_problem() is None
    os.close(read_end)


def test_fault_tolerant_stream() -> None:
    """A display writes to a broken stream without an error, and has its other attributes."""
    broken = streams.FaultTolerantStream(Broken())
    good = streams.FaultTolerantStream(io.StringIO())

    assert broken.write("abc") == 3
    broken.flush()
    good.write("abc")
    good.flush()
    assert (good.getvalue(), good.isatty()) == ("abc", False)
