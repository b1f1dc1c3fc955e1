"""From arguments to an exit code: parse, call, and one line for whatever goes wrong."""

import io
import os
import sys
from collections.abc import Sequence

from cyclopts import CycloptsError

from losant_tokens.cli import _job_commands  # noqa: F401 -- adds its commands to those below
from losant_tokens.cli._commands import app
from losant_tokens.cli._errors import CommandError, UsageError, complain, explained
from losant_tokens.errors import LosantError

_BROKEN_PIPE = 141  # what a shell reports of a program that SIGPIPE has ended


def run(arguments: Sequence[str]) -> int:
    """Does what the arguments say.

    Returns:
        The exit code.
    """
    # A terminal that cannot show a character shows its escape; nothing fails over a name.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered goes nowhere, or the interpreter would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        command, bound, _ = app.parse_args(arguments, print_error=False, exit_on_error=False)
        # `--help` and `--version` are commands that return nothing.
        return command(*bound.args, **bound.kwargs) or 0
    except CycloptsError as error:
        command_line = " ".join(("losant-tokens", *(error.command_chain or ()), "--help"))
        problem: CommandError = UsageError(str(error), f"see {command_line}")
    except CommandError as error:
        problem = error
    except LosantError as error:
        problem = explained(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        problem = CommandError(str(error))
    complain(problem)
    return problem.exit_code
