"""The log of a command: `--verbose` prints each request, and `--log-file` keeps it in a file.

The library logs each request without its query and its body. Messages of the command are recorded
where they are printed. What goes to stdout is never recorded, because it may be the secret of a new
token.
"""

import logging
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define

from losant_tokens.cli._connections.account_tokens import tokens_in_memory
from losant_tokens.cli._errors import BlockedError, CommandError, UsageError
from losant_tokens.cli._logs.capture import logged_lines
from losant_tokens.cli._terminal.console import (
    is_verbose,
    print_detail,
    print_status,
    print_warning,
    record,
    recorded,
    verbose_output,
)
from losant_tokens.cli._terminal.format import escaped

if TYPE_CHECKING:
    from losant_tokens.cli._options.common import AccountsOptions, ConnectionOptions

_LINE = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z [0-9]+ [a-z]+ ")
_LONGEST_START = 60  # bytes
_MIN_SECRET = 8  # characters; a shorter token would be found in any text
_FLAGS = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")


@contextmanager
def command_log(arguments: Mapping[str, Any], command: str) -> Iterator[None]:
    """Log the requests and messages of a command during the block, as its options say.

    Args:
        arguments: The arguments of the function of the command. They include `connection`.
        command: The name of the command.

    Raises:
        CommandError: The log file cannot be used, or the options contradict each other.
    """
    connection: ConnectionOptions | AccountsOptions = arguments["connection"]
    is_quiet = arguments.get("quiet") or getattr(arguments.get("options"), "quiet", False)
    if connection.verbose and is_quiet:
        raise UsageError("--verbose cannot be combined with --quiet")
    with ExitStack() as stack:
        stack.enter_context(verbose_output(connection.verbose))
        if connection.log_file is not None:
            file = stack.enter_context(_log_file(connection.log_file))
            stack.enter_context(recorded(file.write))
            record("info", f"started: {command}")
        if connection.verbose or connection.log_file is not None:
            stack.enter_context(logged_lines(_print_request, logging.DEBUG, below=logging.WARNING))
        yield


def _print_request(line: str) -> None:
    line = without_token(line)
    print_detail(line)
    record("request", line)


@contextmanager
def printed_waits() -> Iterator[None]:
    """Print each wait for the end of an outage during the block."""
    if is_verbose():  # It is printed with the requests.
        yield
        return
    # The log file has the same line already.
    show = partial(print_status, is_recorded=False)
    with logged_lines(show, logging.INFO, below=logging.WARNING):
        yield


def without_token(text: str) -> str:
    """Return a string without the API tokens in use, in case a message repeats an argument."""
    variable = os.environ.get("LOSANT_API_TOKEN", "")
    names = {token.reveal(): f"[token of {one.name}]" for one, token in tokens_in_memory().items()}
    for token, name in {variable: "[LOSANT_API_TOKEN]", **names}.items():
        if len(token) >= _MIN_SECRET:
            text = text.replace(token, name)
    return text


# --- The log file ----------------------------------------------------------------------------


@define
class _LogFile:
    """A log file, open for appending. Each line is written in one piece.

    Attributes:
        path: The file.
        descriptor: Its descriptor.
    """

    path: Path
    descriptor: int
    _is_broken: bool = False

    def write(self, kind: str, line: str) -> None:
        """Append a line. If that fails, warn once, and continue without a log."""
        if self._is_broken:
            return
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = escaped(without_token(line))
        try:
            os.write(self.descriptor, f"{time} {os.getpid()} {kind} {text}\n".encode())
        except OSError as error:
            self._is_broken = True
            print_warning(f"{self.path} cannot be written, so the log ends: {error.strerror}")


@contextmanager
def _log_file(path: Path) -> Iterator[_LogFile]:
    """Open a log file that only the user can read.

    Raises:
        CommandError: The file cannot be opened, or it is not a log.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    for name in _FLAGS:
        flags |= getattr(os, name, 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
    try:
        _check_log(path, descriptor)
        yield _LogFile(path, descriptor)
    finally:
        os.close(descriptor)


def _check_log(path: Path, descriptor: int) -> None:
    """Check that an open file is a log or empty, and make it private.

    Raises:
        CommandError: It is another file, which lines of a log would damage.
    """
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise CommandError(f"{path} cannot be written: it is not a regular file")
    if found.st_size and not _LINE.match(os.read(descriptor, _LONGEST_START)):
        raise BlockedError(
            f"{path} is not a log of losant-tokens, so it was not changed",
            "choose another --log-file",
        )
    try:
        if chmod := getattr(os, "fchmod", None):
            chmod(descriptor, 0o600)
    except OSError as error:
        raise CommandError(f"{path} cannot be made private: {error.strerror}") from None
