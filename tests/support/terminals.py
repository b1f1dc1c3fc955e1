"""Run a script in a terminal, as a person would, and read what it shows."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.forked_commands import Fork, plain_command, start_fork

TIMEOUT = 60.0  # seconds
COLUMNS = 100
_POLL_INTERVAL = 0.1  # seconds
_QUESTION = re.compile(rb"\[y/N\] $")
_ERASED = re.compile(r"[^\n]*(?:\r|\x1b\[2?K)(?!\n)")
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


def take_terminal() -> None:
    """Make standard input the terminal of this process, so that it can be typed in."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def set_terminal_size(terminal: int, rows: int, columns: int) -> None:
    """Set the size of a terminal."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def plain_text(output: str) -> str:
    """Return what a terminal shows in the end: without colors and without erased lines."""
    text = _ERASED.sub("", output.replace("\r\n", "\n"))
    return _ESCAPE.sub("", text)


def run_in_terminal(
    script: str, folder: Path, environment: Mapping[str, str], flags: str = "-uo"
) -> tuple[int, str]:
    """Run a script with bash in a terminal, and return its exit code and its plain output.

    If it asks for confirmation, the response is yes. If it starts a sandbox, Ctrl-C stops it. A
    script that is only a command runs without bash, in a fork, which takes a tenth of the time.

    Args:
        script: The script.
        folder: Its current folder.
        environment: Its environment variables.
        flags: The options of bash, of which the last takes `pipefail`.
    """
    ours, theirs = pty.openpty()
    set_terminal_size(theirs, 50, COLUMNS)
    words = plain_command(script)
    try:
        process = (
            start_fork(words, folder, environment, theirs)
            if words
            else _start_shell(
                ["bash", flags, "pipefail", "-c", script], folder, environment, theirs
            )
        )
    finally:
        os.close(theirs)
    try:
        output = _converse(ours, process, is_sandbox="losant-tokens sandbox" in script)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)
    assert process.returncode is not None
    return process.returncode, output


def _start_shell(
    command: list[str], folder: Path, environment: Mapping[str, str], terminal: int
) -> "subprocess.Popen[bytes]":
    """Start a shell in a terminal."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=take_terminal,  # noqa: PLW1509 -- it only makes a system call
    )


def _converse(ours: int, process: "subprocess.Popen[bytes] | Fork", *, is_sandbox: bool) -> str:
    """Read all output, respond to questions, and press Ctrl-C when a sandbox is ready."""
    output = b""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        readable, _, _ = select.select([ours], [], [], _POLL_INTERVAL)
        if not readable:
            if process.poll() is not None:
                break
            continue
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # All processes have closed the terminal.
            break
        if not chunk:
            break
        output += chunk
        if _QUESTION.search(output):
            os.write(ours, b"y\n")
        if is_sandbox and b"\r\nCtrl-C stops it" in output:
            os.write(ours, b"\x03")
            is_sandbox = False
    text = plain_text(output.decode(errors="replace"))
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(1.0, deadline - time.monotonic()))
    assert process.returncode is not None, (
        f"still runs after {TIMEOUT:g} seconds. Does it wait for input that is not a confirmation? "
        f"Output:\n{text}"
    )
    return text
