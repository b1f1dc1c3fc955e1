"""From arguments to an exit code: parse, call, and report an error in one line."""

import io
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from cyclopts import CycloptsError

from losant_tokens.cli import _commands, _job_commands
from losant_tokens.cli._commands import app
from losant_tokens.cli._console import mute
from losant_tokens.cli._errors import (
    FAILED,
    CommandError,
    UsageError,
    complain,
    explained,
    unexpected,
)
from losant_tokens.cli._interrupts import handled, leave
from losant_tokens.cli._signals import interrupt
from losant_tokens.errors import LosantError

_BROKEN_PIPE = 141  # what a shell reports of a program that SIGPIPE has ended


def run(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: The arguments, without the name of the program.

    Returns:
        The exit code.

    Raises:
        KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP ended the command.
    """
    # A terminal that cannot show a character shows its escape; nothing fails over a name.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    with handled(interrupt):
        try:
            code = _run(arguments)
            sys.stdout.flush()
        except BrokenPipeError:
            mute(sys.stdout)
            return _BROKEN_PIPE
        except OSError as error:
            mute(sys.stdout)
            complain(CommandError(f"standard output cannot be written: {error.strerror}"))
            return FAILED
        return code


def _run(arguments: Sequence[str]) -> int:
    try:
        # Ctrl-C in the middle of an import can surface anywhere, and nothing was done yet.
        with handled(leave):
            command, bound, _ = app.parse_args(arguments, print_error=False, exit_on_error=False)
            _load(command)
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
    except Exception as error:  # noqa: BLE001 -- a bug is one line, too
        problem = unexpected(error)
    complain(problem)
    return problem.exit_code


def _load(command: Callable[..., Any]) -> None:
    """Import the slow modules that a command is going to import."""
    if command.__module__ == _job_commands.__name__:
        import_module("losant_tokens.cli.commands.jobs")
    elif command.__module__ == _commands.__name__:
        import_module("losant_tokens.cli._connect")
