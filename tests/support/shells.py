"""Shells in a terminal of their own, to press TAB in them."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest

from tests.support.forked_commands import search_path

TIMEOUT = 30  # seconds; a TAB takes a fraction of a second, but the machine may be busy
_PATIENCE = 12  # seconds
COMMANDS = {
    "bash": ("--noprofile", "-i"),
    "zsh": ("-d", "-i"),
    "fish": ("--private", "--interactive"),
}


def require(shell: str) -> None:
    """Skip the test if a shell is missing, or fail it in CI, where all shells are installed."""
    if shutil.which(shell) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{shell} is not installed")


class Terminal:
    """A shell in a terminal, and the text on its screen."""

    def __init__(self, process: Any) -> None:
        self._process = process
        self._screen = pyte.Screen(200, 50)
        self._stream = pyte.ByteStream(self._screen)

    def type(self, text: str) -> None:
        """Type a string."""
        self._process.send(text)

    def screen(self) -> str:
        """Return the lines on the screen, without trailing spaces."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def line(self) -> str:
        """Return the line that the cursor is in, up to the cursor."""
        return str(self._screen.display[self._screen.cursor.y][: self._screen.cursor.x])

    def wait(self, condition: Callable[[], bool]) -> None:
        """Read output until a condition is true."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline, self.screen()
            self._read()

    def _read(self) -> None:
        """Read the output that has arrived."""
        try:
            data = self._process.read_nonblocking(65536, timeout=0.1)
        except pexpect.TIMEOUT:
            return
        self._stream.feed(data)
        # fish asks the terminal for its properties, and waits for the response.
        if b"\x1b[0c" in data or b"\x1b[c" in data:
            self._process.send("\x1b[?1;2c")

    def complete(self, typed: str, expected: str) -> None:
        """Type a string, press TAB, and wait until the line ends with what is expected.

        On a busy machine, the list of tokens may take too long. Then it is requested again after
        ten seconds.
        """
        for _ in range(3):
            self.type(f"{typed}\t")
            latest = time.monotonic() + _PATIENCE
            while not self.line().endswith(expected) and time.monotonic() < latest:
                self._read()
            if self.line().endswith(expected):
                return
            self.type("\x15")  # Ctrl-U clears the line.
        raise AssertionError(self.screen())

    def run(self, command: str) -> None:
        """Run a command, and wait until it has ended."""
        mark = f"done-{time.monotonic_ns()}"
        half = len(mark) // 2
        # The typed line has the mark in two parts, so only the output has it in one.
        self.type(f"{command}\recho {mark[:half]}''{mark[half:]}\r")
        self.wait(lambda: mark in self.screen())
        self.type("\x0c")
        self.wait(lambda: mark not in self.screen())


@contextmanager
def opened(shell: str, home: Path) -> Iterator[Terminal]:
    """Start a shell whose prompt is `> ` and whose files are in a folder."""
    environment = {
        **os.environ,
        "HOME": str(home),
        "ZDOTDIR": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "PATH": search_path(),
        "TERM": "xterm",
        "PS1": "> ",
        "PROMPT": "> ",
    }
    process = pexpect.spawn(
        shell,
        list(COMMANDS[shell]),
        env=environment,
        cwd=str(home / "work"),
        dimensions=(50, 200),
        timeout=TIMEOUT,
    )
    try:
        yield Terminal(process)
    finally:
        process.close(force=True)
