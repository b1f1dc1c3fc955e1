"""Errors as one line for people: a message, a hint about what to do next, and an exit code."""

import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from losant_tokens import errors
from losant_tokens.cli._library_messages import with_options

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3
EXIT_BLOCKED = 4
EXIT_CHANGES = 5  # changes are planned, a finding is severe, or a leaked secret works
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130  # 128 plus the number of SIGINT, as in shells

_PACKAGE = Path(__file__).parents[1]
_SHOWN_FRAMES = 3


class CommandError(Exception):
    """End the command with a message.

    Attributes:
        hint: What to do next, or `""`.
        details: Lines below the message, such as the mistakes in a file.
        exit_code: The exit code of the process.
    """

    exit_code = EXIT_ERROR

    def __init__(self, message: str, hint: str = "", details: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.hint = hint
        self.details = tuple(details)


class UsageError(CommandError):
    """The arguments are missing, invalid or contradictory."""

    exit_code = EXIT_USAGE


class BlockedError(CommandError):
    """A safety check blocks the command."""

    exit_code = EXIT_BLOCKED


# The first class that matches counts, so the narrower classes come first.
_HINTS: Mapping[type[errors.LosantError], str] = MappingProxyType(
    {
        errors.Unauthorized: "check LOSANT_API_TOKEN or --account, and that this API issued it",
        errors.TokenExpired: "set LOSANT_API_TOKEN to a valid token, or replace that of --account",
        errors.IssuerMismatch: "use the API that issued the token: LOSANT_API_URL or --account",
        errors.ScopeError: "use a token with one of these scopes: LOSANT_API_TOKEN or --account",
        errors.Forbidden: "use a token with permission to do this: LOSANT_API_TOKEN or --account",
        errors.NotFound: "check the id and the owner of the token: --owner",
        errors.TooManyRequests: "wait a minute, then try again",
        errors.ServerError: "the server failed; try again later",
        errors.ConfigurationError: "change that setting, then run the command again",
        errors.ConnectFailed: "check the network, and LOSANT_API_URL or the url of --account",
        errors.ResponseTooLarge: "request fewer tokens at a time",
        errors.ResponseError: "check that LOSANT_API_URL or --account is the API of Losant",
    }
)


_CONFIG_HINT = "for an example of this file, see losant-tokens account list --help"
_RUNS_HINT = "to see the runs: losant-tokens fleet runs"
_EVIDENCE_HINT = "check the id of the log, and that the API token may read it"


def explain(error: errors.LosantError) -> CommandError:
    """Return an error of the library as an error of the command, with a hint."""
    message = with_options(str(error))
    if isinstance(error, errors.TransportError) and error.ambiguous:
        return CommandError(message, "the request may have succeeded: check before you retry")
    if _is_safety_check(error):
        is_evidence = isinstance(error, sys.modules["losant_tokens.jobs"].EvidenceError)
        return BlockedError(message, _EVIDENCE_HINT if is_evidence else "")
    if mistakes := getattr(error, "mistakes", ()):  # of a ConfigError
        return CommandError(message.partition(": ")[0], details=map(with_options, mistakes))
    if _is_missing_config(error):
        return CommandError(message, _CONFIG_HINT)
    is_unknown_run = _is_unknown_run(error)
    if is_unknown_run or isinstance(error, errors.ValidationError):
        return UsageError(message, _RUNS_HINT if is_unknown_run else "")
    hints = (hint for kind, hint in _HINTS.items() if isinstance(error, kind))
    return CommandError(message, next(hints, ""))


def _is_missing_config(error: errors.LosantError) -> bool:
    # Most commands use no account, so the module is imported only if they do.
    accounts = sys.modules.get("losant_tokens.accounts")
    if accounts is None or not isinstance(error, accounts.ConfigError):
        return False
    path: Path | None = error.path
    return path is not None and not path.exists()


def _is_safety_check(error: errors.LosantError) -> bool:
    # Only jobs and fleets raise these errors, so their slow import is never needed here.
    jobs, fleet = (sys.modules.get(f"losant_tokens.{name}") for name in ("jobs", "fleet"))
    if fleet is not None and isinstance(error, fleet.DecisionRefused | fleet.WorkerRefused):
        return True
    return jobs is not None and isinstance(
        error,
        jobs.EvidenceError | jobs.GuardRefused | jobs.PlanRefused | jobs.RotationRefused,
    )


def _is_unknown_run(error: errors.LosantError) -> bool:
    fleet = sys.modules.get("losant_tokens.fleet")
    return fleet is not None and isinstance(error, fleet.RunNotFound)


def failed_operation(error: OSError) -> CommandError:
    """Return an error of the operating system, with the file that it is about."""
    reason = error.strerror or str(error) or type(error).__name__
    return CommandError(reason if error.filename is None else f"{error.filename}: {reason}")


def unexpected(error: Exception) -> CommandError:
    """Return a bug as one line: the type of the error and its place, without any values."""
    if isinstance(error, ExceptionGroup):
        return _first_of(error)
    places = [
        f"{Path(frame.filename).relative_to(_PACKAGE.parent)}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if _PACKAGE in Path(frame.filename).parents
    ]
    problem = CommandError(
        f"unexpected {type(error).__name__} at {' > '.join(places[-_SHOWN_FRAMES:])}",
        "this is a bug: please report this line to the maintainers of losant-tokens, with the "
        "version (losant-tokens --version) and the command",
    )
    problem.exit_code = EXIT_BUG
    return problem


def _first_of(group: "ExceptionGroup[Exception]") -> CommandError:
    """Return the first error of a group, at any depth."""
    first = group.exceptions[0]
    if isinstance(first, errors.LosantError):
        return explain(first)
    if isinstance(first, CommandError):
        return first
    return unexpected(first)
