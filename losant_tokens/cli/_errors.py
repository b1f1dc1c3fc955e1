"""Errors as one line for people: a message, a hint what to do next, and an exit code."""

import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType

from losant_tokens import errors
from losant_tokens.cli._console import mute
from losant_tokens.cli._parse import escaped

FAILED = 1
USAGE = 2
SOME_FAILED = 3
REFUSED = 4
INTERNAL = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130  # 128 and the number of the signal, as shells have it


_PACKAGE = Path(__file__).parents[1]
_FRAMES = 3
_is_quiet: ContextVar[bool] = ContextVar("is_quiet", default=False)


class CommandError(Exception):
    """End the command with a message.

    Attributes:
        hint: What to do next, or `""`.
        exit_code: The exit code of the process.
    """

    exit_code = FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(CommandError):
    """The arguments make no sense."""

    exit_code = USAGE


class RefusedError(CommandError):
    """A safety check blocks the command."""

    exit_code = REFUSED


# The first class that fits counts, so the narrower ones come first.
_HINTS: Mapping[type[errors.LosantError], str] = MappingProxyType(
    {
        errors.Unauthorized: "check LOSANT_API_TOKEN, and that LOSANT_API_URL is where it is from",
        errors.TokenExpired: "set LOSANT_API_TOKEN to a token that is valid",
        errors.IssuerMismatch: "set LOSANT_API_URL to the API that issued the token",
        errors.ScopeError: "set LOSANT_API_TOKEN to a token with one of these scopes",
        errors.Forbidden: "set LOSANT_API_TOKEN to a token that may do this",
        errors.NotFound: "check the id, and whose token it is: --owner",
        errors.TooManyRequests: "wait a little, then try again",
        errors.ServerError: "this is not your fault; try again later",
        errors.ConfigurationError: "change that setting, then run the command again",
        errors.ConnectFailed: "check the network and LOSANT_API_URL",
        errors.ResponseTooLarge: "ask for fewer tokens at a time",
        errors.ResponseError: "check that LOSANT_API_URL is the API of Losant",
    }
)


# Messages of the library name its arguments. Here they name options.
_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "resume": "--resume",
        "max_age": "--max-age",
        "allow_majority": "--allow-majority",
        "max_changes": "--max-changes",
        "scope_check": "--scope-check",
        "clock_check": "--clock-check",
        "account_check": "--account-check",
        "insecure_http": "--insecure-http",
        "page_size": "--page-size",
        "per_page": "--page-size",
        "protect": "--protect",
        "journal": "--journal",
        "retry_failed": "--retry-failed",
        "patience": "--patience",
        "rate": "--rate",
    }
)
_ARGUMENT = re.compile(
    rf"(?P<quote>[`'\"]?)\b(?:\w+\.)?(?P<name>{'|'.join(_OPTIONS)})"
    r"(?:=(?:True|(?P<value>[\"'][a-z]+[\"'])))(?P=quote)"
)
_ARGUMENT_ALONE = re.compile(
    rf"(?<![-.\w'\"])(?:[A-Za-z]+\.)?(?P<name>{'|'.join(n for n in _OPTIONS if '_' in n)})\b"
)


def explained(error: errors.LosantError) -> CommandError:
    """Return an error of the client as one of the command, with a hint."""
    text = with_options(str(error))
    if isinstance(error, errors.TransportError) and error.ambiguous:
        return CommandError(text, "it may have been done: look before you retry")
    from losant_tokens import jobs  # noqa: PLC0415 -- most errors are not those of jobs

    if isinstance(error, jobs.GuardRefused | jobs.PlanRefused):
        return RefusedError(text)
    hints = (hint for kind, hint in _HINTS.items() if isinstance(error, kind))
    return CommandError(text, next(hints, ""))


def with_options(text: str) -> str:
    """Return a message of the library with options in place of arguments."""

    def option(found: re.Match[str]) -> str:
        value = f" {found['value'][1:-1]}" if found["value"] else ""
        return _OPTIONS[found["name"]] + value

    text = text.replace("pass it as an UnlistedScope", "pass it with --unlisted-scope")
    text = text.replace("unmatched='warn'", "--allow-unmatched")
    return _ARGUMENT_ALONE.sub(lambda found: _OPTIONS[found["name"]], _ARGUMENT.sub(option, text))


def unexpected(error: Exception) -> CommandError:
    """Return a bug as one line: the kind of error and its place, but no values."""
    if isinstance(error, ExceptionGroup):
        return _of_group(error)
    places = [
        f"{Path(frame.filename).relative_to(_PACKAGE.parent)}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if _PACKAGE in Path(frame.filename).parents
    ]
    problem = CommandError(
        f"unexpected {type(error).__name__} at {' > '.join(places[-_FRAMES:])}",
        "this is a bug: please report this line to the maintainers of losant-tokens, with the "
        "version (losant-tokens --version) and the command",
    )
    problem.exit_code = INTERNAL
    return problem


def _of_group(group: "ExceptionGroup[Exception]") -> CommandError:
    """Return the first error of a group, however deep."""
    first = group.exceptions[0]
    if isinstance(first, errors.LosantError):
        return explained(first)
    if isinstance(first, CommandError):
        return first
    return unexpected(first)


def complain(problem: CommandError) -> None:
    """Report an error on stderr."""
    _put(f"losant-tokens: error: {escaped(' '.join(str(problem).split()))}")
    if problem.hint:
        _put(f"hint: {escaped(problem.hint)}")


def warn(line: str) -> None:
    """Print a warning to stderr, also if the command is quiet."""
    bold = _is_terminal() and not os.environ.get("NO_COLOR")
    on, off = ("\x1b[1;33m", "\x1b[0m") if bold else ("", "")
    _put(f"{on}losant-tokens: WARNING: {escaped(' '.join(line.split()))}{off}")


def say(line: str) -> None:
    """Print a line for people to stderr, because stdout is for data, unless it is quiet."""
    if not _is_quiet.get():
        _put(escaped(line))


def say_stopped(line: str) -> None:
    """Print a line after Ctrl-C: below the `^C` that a terminal shows at the cursor."""
    _put(("\n" if _is_terminal() else "") + escaped(line))


@contextmanager
def quiet(is_quiet: bool) -> Iterator[None]:
    """Print nothing but errors and warnings while the block runs, if the user wants that."""
    token = _is_quiet.set(is_quiet)
    try:
        yield
    finally:
        _is_quiet.reset(token)


def is_quiet() -> bool:
    """Return whether nothing but errors and warnings is printed."""
    return _is_quiet.get()


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _put(line: str) -> None:
    """Write a line to stderr. A stream that is closed or full never ends a command."""
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        mute(sys.stderr)
