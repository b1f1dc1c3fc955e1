"""Output to the terminal, messages for people, and questions.

Data goes to stdout. Messages for people go to stderr.
"""

import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from losant_tokens.cli._errors import CommandError, UsageError
from losant_tokens.cli._terminal.colors import colored, has_color
from losant_tokens.cli._terminal.format import escaped, wrapped
from losant_tokens.cli._terminal.streams import is_null, mute

if TYPE_CHECKING:
    from losant_tokens import Secret

_TERMINAL_SIZE = (80, 24)  # the columns and lines of a terminal that does not report its size
_YES, _NO = frozenset({"y", "yes"}), frozenset({"", "n", "no"})
_MAX_QUOTED = 20  # characters of a response
_SECRET_VARIABLE = "LOSANT_API_TOKEN"  # noqa: S105 -- the name of a variable
_TERMINAL = Path("/dev/tty")
_LONGEST_LINE = 4095  # characters; Linux passes no more of a line from a terminal
_LONGEST_TEXT = 1024 * 1024  # characters
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{10,}(\.[A-Za-z0-9_-]*){1,2}")
_ERASE = "\r\x1b[K"
_is_quiet: ContextVar[bool] = ContextVar("is_quiet", default=False)
_is_verbose: ContextVar[bool] = ContextVar("is_verbose", default=False)
_recorder: ContextVar[Callable[[str, str], None] | None] = ContextVar("recorder", default=None)
_transient: ContextVar[str] = ContextVar("transient", default="")


# --- Output ----------------------------------------------------------------------------------


def write_output(text: str, file: TextIO | None = None) -> None:
    """Write a long string line by line, to stdout by default.

    If it is written in one call and PYTHONUNBUFFERED is set, Python loses the part that a pipe
    does not accept at once, and does not notice that the reader has closed the pipe. What stderr
    does not accept is dropped.

    Raises:
        CommandError: Standard output is closed or full.
        BrokenPipeError: The reader of standard output has closed it.
    """
    target = file or sys.stdout
    try:
        target.writelines(text.splitlines(keepends=True))
        target.flush()
    except (OSError, ValueError) as error:
        if target is sys.stderr:
            mute(target)
            return
        if isinstance(error, BrokenPipeError):
            raise
        mute(target)
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"standard output cannot be written: {reason}") from None


def write_summary(line: str) -> None:
    """Write a sentence about a change as `write_result` does, broken between words on a terminal.

    Args:
        line: The sentence, without a line break.
    """
    write_result("".join(f"{one}\n" for one in fit_lines([line])))


def fit_lines(lines: Iterable[str], indent: str = "") -> list[str]:
    """Return lines for stdout. On a terminal, they are broken between words.

    Args:
        lines: The lines.
        indent: The beginning of the further parts of a line.
    """
    if not sys.stdout.isatty():
        return list(lines)
    width = terminal_width(sys.stdout)
    return [part for line in lines for part in wrapped(line, width, indent)]


def write_result(text: str) -> None:
    """Write the result of a change to stdout, or to stderr if that fails.

    The change was made, so a closed, full or broken stream is no reason to fail.
    """
    try:
        write_output(text)
    except BrokenPipeError:
        mute(sys.stdout)
    except CommandError as error:
        print_error(error)
    else:
        return
    for line in text.splitlines():
        print_status(line)


# --- Messages --------------------------------------------------------------------------------


def print_error(problem: CommandError) -> None:
    """Print an error and its hint to stderr.

    A token in it is hidden: it was probably an argument, and terminals and logs keep what is
    printed.
    """
    message = _JWT.sub("****", str(problem))
    record("error", message)
    _print(f"losant-tokens: error: {escaped(' '.join(message.split()))}")
    for line in problem.details:
        _print(escaped(_JWT.sub("****", line)))
    if problem.hint:
        _print(f"hint: {escaped(problem.hint)}")


def print_warning(line: str) -> None:
    """Print a warning to stderr, even if the command is quiet."""
    record("warning", line)
    _print(f"losant-tokens: WARNING: {escaped(' '.join(line.split()))}", "bold yellow")


def print_status(line: str, *, is_recorded: bool = True) -> None:
    """Print a line to stderr, unless the command is quiet.

    Args:
        line: The line.
        is_recorded: Whether to add it to the log file, if there is one.
    """
    if is_recorded:
        record("info", line)
    if not _is_quiet.get():
        _print(escaped(line))


@contextmanager
def transient_status(line: str) -> Iterator[None]:
    """Show a short line during the block if stderr is a terminal, and erase it at the end."""
    if _is_quiet.get() or not _is_terminal() or os.environ.get("TERM") == "dumb":
        yield
        return
    before = _transient.set(line)
    _write(line)
    try:
        yield
    finally:
        _transient.reset(before)
        _write(_ERASE)


def update_status(line: str) -> None:
    """Replace the line of `transient_status`, if one is shown."""
    if _transient.get():
        _transient.set(line)
        _write(f"{_ERASE}{line}")


def print_advice(line: str) -> None:
    """Print what to do after a failure to stderr, even if the command is quiet."""
    record("info", line)
    _print(escaped(line))


def print_after_signal(line: str) -> None:
    """Print a line after Ctrl-C, below the `^C` that a terminal shows at the cursor."""
    if _is_terminal():
        _print("")
    print_advice(line)


@contextmanager
def notice_if_interrupted(line: str) -> Iterator[None]:
    """Print a line if a stop signal ends the block."""
    try:
        yield
    except KeyboardInterrupt:
        print_after_signal(line)
        raise


@contextmanager
def quiet_output(is_quiet: bool) -> Iterator[None]:
    """Print only errors and warnings during the block if `is_quiet` is set."""
    token = _is_quiet.set(is_quiet)
    try:
        yield
    finally:
        _is_quiet.reset(token)


def is_quiet() -> bool:
    """Return whether only errors and warnings are printed."""
    return _is_quiet.get()


def print_detail(line: str) -> None:
    """Print a line to stderr if the command is verbose."""
    if _is_verbose.get():
        _print(escaped(line))


def record(kind: str, line: str) -> None:
    """Add a line to the log file, if there is one.

    Args:
        kind: The kind of the line, such as `error`.
        line: The line.
    """
    if (recorder := _recorder.get()) is not None:
        recorder(kind, line)


@contextmanager
def recorded(recorder: Callable[[str, str], None]) -> Iterator[None]:
    """Call a function with each message during the block: its kind and its text."""
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        _recorder.reset(token)


@contextmanager
def verbose_output(is_verbose: bool) -> Iterator[None]:
    """Print more details during the block if `is_verbose` is set."""
    token = _is_verbose.set(is_verbose)
    try:
        yield
    finally:
        _is_verbose.reset(token)


def is_verbose() -> bool:
    """Return whether details are printed."""
    return _is_verbose.get()


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def environment_without_token() -> dict[str, str]:
    """Return the environment for another program, which does not need the API token."""
    return {name: value for name, value in os.environ.items() if name != _SECRET_VARIABLE}


def terminal_size(stream: Any) -> tuple[int, int]:
    """Return the columns and lines of the terminal that a stream writes to.

    `COLUMNS` and `LINES` win, as in `shutil.get_terminal_size`, which only knows stdout.
    """
    try:
        own = tuple(os.get_terminal_size(stream.fileno()))
    except (OSError, ValueError, AttributeError):
        own = (0, 0)
    given = (os.environ.get(name, "") for name in ("COLUMNS", "LINES"))
    columns, lines = (
        int(text) if text.isdecimal() and int(text) else size or default
        for text, size, default in zip(given, own, _TERMINAL_SIZE, strict=True)
    )
    return columns, lines


def terminal_width(stream: Any) -> int:
    """Return the number of columns of the terminal that a stream writes to."""
    return terminal_size(stream)[0]


def _print(line: str, style: str = "") -> None:
    """Write a line to stderr, above the line that is shown for a time.

    On a terminal, it is broken between words.
    """
    if _is_terminal():
        line = "\n".join(wrapped(line, terminal_width(sys.stderr)))
    line = colored(line, style, enabled=has_color(sys.stderr))
    transient = _transient.get()
    _write(f"{_ERASE}{line}\n{transient}" if transient else f"{line}\n")


def _write(text: str) -> None:
    """Write to stderr. A stream that is closed or full never ends a command."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        mute(sys.stderr)


# --- Questions -------------------------------------------------------------------------------


def require_terminal_or_yes(command: str, *, yes: bool) -> None:
    """Check that a command can ask for confirmation, or does not need to.

    Raises:
        UsageError: `--yes` is missing, and stdin is not a terminal.
    """
    if not yes and not sys.stdin.isatty():
        raise UsageError(f"{command} needs --yes: stdin is not a terminal")


def can_ask() -> bool:
    """Return whether a question can be shown and answered: stdin and stderr are terminals."""
    return sys.stdin.isatty() and _is_terminal()


def ask(question: str) -> str | None:
    """Ask a question and return the response; None at the end of the input.

    A question that nobody sees has no response.
    """
    if is_null(sys.stderr):
        return None
    try:
        if _is_terminal():
            question = "\n".join(wrapped(question, terminal_width(sys.stderr) - 1))
        sys.stderr.write(f"{question} ")
        sys.stderr.flush()
    except (OSError, ValueError):
        mute(sys.stderr)
        return None
    try:
        line = sys.stdin.readline()
    except (OSError, ValueError):  # The terminal is gone, or the response cannot be decoded.
        line = ""
    if not line.endswith("\n"):
        _print("")  # The cursor is still behind the question.
    return line.strip() if line else None


def read_secret_text(prompt: str) -> "Secret":
    """Return the text on stdin, which holds a secret. A terminal does not show what is typed.

    Args:
        prompt: The question on a terminal.

    Raises:
        CommandError: The text cannot be read completely.
    """
    from losant_tokens import Secret  # noqa: PLC0415 -- few commands read a secret

    text, problem = _read_hidden(prompt) if sys.stdin.isatty() else _read_piped()
    # The text is no longer a local variable when an error is raised.
    secret = Secret(text)
    del text
    if problem is not None:
        raise CommandError(problem, "pass the part with the secret through a pipe")
    return secret


def _read_hidden(prompt: str) -> tuple[str, str | None]:
    """Return a line from the terminal, and what is wrong with it."""
    import getpass  # noqa: PLC0415 -- few commands read a secret
    import warnings  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            text = getpass.getpass(prompt)
    except getpass.GetPassWarning:
        return "", "the terminal would show the secret"
    except EOFError:
        return "", None
    if len(text) >= _LONGEST_LINE:
        return "", f"the terminal cuts off a line at {_LONGEST_LINE:,} characters"
    return text, None


def _read_piped() -> tuple[str, str | None]:
    """Return the text on stdin, and what is wrong with it."""
    try:
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # A log may hold anything.
        text = sys.stdin.read(_LONGEST_TEXT + 1)
    except (OSError, ValueError):
        return "", "standard input cannot be read"
    if len(text) > _LONGEST_TEXT:
        return "", f"standard input has more than {_LONGEST_TEXT:,} characters"
    return text, None


@contextmanager
def questions_at_terminal() -> Iterator[None]:
    """Read responses from the terminal during the block, although stdin was a pipe."""
    if sys.stdin.isatty() or not _is_terminal():
        yield
        return
    try:
        terminal = _TERMINAL.open(encoding="utf-8", errors="replace")
    except OSError:  # The process has no terminal.
        yield
        return
    before = sys.stdin
    with terminal:
        sys.stdin = terminal
        try:
            yield
        finally:
            sys.stdin = before


def confirm(question: str) -> bool:
    """Ask a question and return whether the response is yes.

    Any other response means no, and so does the end of the input, or a question that nobody sees.
    """
    response = (ask(f"{question} [y/N]") or "").lower()
    if response not in _YES | _NO:
        _print(f'"{escaped(response[:_MAX_QUOTED])}" is not "y" or "yes", so it means no.')
    record("info", f"{question} {response}")
    return response in _YES
