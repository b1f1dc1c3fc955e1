"""Long output on a terminal goes to a pager, such as `less`. It never makes a command fail."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice

from losant_tokens.cli._signals.early_handlers import handled
from losant_tokens.cli._terminal.console import (
    environment_without_token,
    terminal_size,
    write_output,
)

_VARIABLES = ("LOSANT_TOKENS_PAGER", "PAGER")
_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")
_BATCH_SIZE = 500  # parts that are written at once
_NO_PAGER: tuple[list[str], ...] = ([], ["cat"])
# Settings of pagers for users who have none. F: quit if the text fits on one screen. R: show
# colors. X: leave the text on the screen at the end. git sets the same.
_SETTINGS = {"LESS": "FRX", "LV": "-c"}


def write_paged(text: str) -> None:
    """Write a string to stdout, through a pager if stdout is a terminal and the string is long.

    The pager is `LOSANT_TOKENS_PAGER`, else `PAGER`, else `less`. An empty value and `cat` disable
    it. A string that fits on the screen is written directly. So is a string whose pager cannot be
    started. A pager may end before it has read everything.

    Raises:
        CommandError: Standard output is closed or full.
        BrokenPipeError: The reader has closed the pipe.
    """
    command = pager_command()
    if command in _NO_PAGER or not sys.stdout.isatty() or _fits_on_screen(text):
        write_output(text)
        return
    signals = _Signals()
    with handled(signals.on_signal):
        try:
            process = subprocess.Popen(  # noqa: S603 -- the command of the user
                command,
                stdin=subprocess.PIPE,
                env={**_SETTINGS, **environment_without_token()},
                encoding=sys.stdout.encoding,
                errors="backslashreplace",
            )
        except (OSError, ValueError):
            signals.raise_now()
            write_output(text)
        else:
            _feed(process, text, signals)


def write_parts(parts: Iterable[str]) -> None:
    """Write the parts of a long text to stdout: to a pager on a terminal, else one after another.

    Raises:
        CommandError: Standard output is closed or full.
        BrokenPipeError: The reader has closed the pipe.
    """
    if sys.stdout.isatty():
        write_paged("".join(parts))
        return
    remaining = iter(parts)
    while batch := "".join(islice(remaining, _BATCH_SIZE)):
        write_output(batch)


def pager_command() -> list[str]:
    """Return the command of the pager as a list; an empty list disables it."""
    values = (os.environ[name] for name in _VARIABLES if name in os.environ)
    try:
        return shlex.split(next(values, "less"))
    except ValueError:  # A quotation mark is missing.
        return []


class _Signals:
    """Ends the command on a signal, but not while its pager starts.

    An error in the middle of `subprocess.Popen` would leave behind a pager that nobody can end.
    """

    def __init__(self) -> None:
        self._is_starting = True
        self._is_pending = False

    def on_signal(self, number: int) -> None:
        """Raise `KeyboardInterrupt`, or remember the signal until `raise_now`."""
        # Ctrl-C belongs to the pager: less stops a search, and does not end.
        if number == signal.SIGINT:
            return
        self._is_pending = True
        if not self._is_starting:
            raise KeyboardInterrupt

    def raise_now(self) -> None:
        """Raise `KeyboardInterrupt` for an earlier signal, and for all later ones at once."""
        self._is_starting = False
        if self._is_pending:
            raise KeyboardInterrupt


def _feed(process: "subprocess.Popen[str]", text: str, signals: _Signals) -> None:
    """Write a string to a pager, and wait until the pager ends."""
    assert process.stdin  # noqa: S101 -- for mypy
    try:
        signals.raise_now()
        # The user may leave the pager at any time, so its pipe may break.
        with suppress(OSError):
            process.communicate(text)
        process.wait()
    except KeyboardInterrupt:
        process.terminate()
        with suppress(OSError):  # closing writes the rest of the buffer
            process.stdin.close()
        raise


def _fits_on_screen(text: str) -> bool:
    """Return whether a string leaves one line of the terminal free."""
    from rich.cells import cell_len  # noqa: PLC0415 -- start-up does not need it

    columns, lines = terminal_size(sys.stdout)
    found = _ESCAPE_SEQUENCE.sub("", text).splitlines()
    if len(found) >= lines:
        return False
    return sum(max(-(-cell_len(line) // columns), 1) for line in found) < lines
