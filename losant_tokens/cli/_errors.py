"""What went wrong, in a line for people: a message, a hint what to do, and an exit code."""

import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

from losant_tokens import errors
from losant_tokens.cli._text import escaped

FAILED = 1
USAGE = 2
SOME_FAILED = 3
REFUSED = 4
INTERRUPTED = 130  # 128 and the number of the signal, as shells have it


class CommandError(Exception):
    """Ends the command with a message.

    Attributes:
        hint: What to do about it, or `""`.
        exit_code: What the process shall exit with.
    """

    exit_code = FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(CommandError):
    """The command was called in a way that it does not understand."""

    exit_code = USAGE


class RefusedError(CommandError):
    """A guard or a plan forbids what was asked for."""

    exit_code = REFUSED


# The first class that fits counts, so the narrower ones come first.
_HINTS: Mapping[type[errors.LosantError], str] = MappingProxyType(
    {
        errors.Unauthorized: "check LOSANT_API_TOKEN, and that LOSANT_API_URL is where it is from",
        errors.TokenExpired: "set LOSANT_API_TOKEN to a token that is valid",
        errors.ScopeError: "set LOSANT_API_TOKEN to a token with one of these scopes",
        errors.Forbidden: "set LOSANT_API_TOKEN to a token that may do this",
        errors.NotFound: "check the id, and whose token it is: --owner",
        errors.TooManyRequests: "wait a little, then try again",
        errors.ServerError: "this is not your fault; try again later",
        errors.ConfigurationError: "change that setting, then run the command again",
        errors.ConnectFailed: "check the network and LOSANT_API_URL",
        errors.ResponseError: "check that LOSANT_API_URL is the API of Losant",
    }
)


def explained(error: errors.LosantError) -> CommandError:
    """An error of the client as one of the command, with a hint."""
    if isinstance(error, errors.TransportError) and error.ambiguous:
        return CommandError(str(error), "it may have been done all the same: look before you retry")
    if isinstance(error, errors.GuardRefused | errors.PlanRefused):
        return RefusedError(str(error))
    hints = (hint for kind, hint in _HINTS.items() if isinstance(error, kind))
    return CommandError(str(error), next(hints, ""))


def complain(problem: CommandError) -> None:
    """Says on stderr what went wrong."""
    say(f"losant-tokens: error: {' '.join(str(problem).split())}")
    if problem.hint:
        say(f"hint: {problem.hint}")


def warn(line: str) -> None:
    """Says on stderr what should not be overlooked."""
    bold = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    on, off = ("\x1b[1;33m", "\x1b[0m") if bold else ("", "")
    sys.stderr.write(f"{on}losant-tokens: WARNING: {escaped(' '.join(line.split()))}{off}\n")
    sys.stderr.flush()


def say(line: str) -> None:
    """Tells people something: on stderr, since stdout is for data."""
    sys.stderr.write(f"{escaped(line)}\n")
    sys.stderr.flush()


def say_stopped(line: str) -> None:
    """Says something after Ctrl-C: below the `^C` that a terminal shows where the cursor was."""
    sys.stderr.write("\n" * sys.stderr.isatty())
    say(line)
