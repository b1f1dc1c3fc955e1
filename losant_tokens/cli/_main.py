"""From arguments to an exit code: parse, run the command, and report an error in one line."""

import io
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module

from cyclopts import CycloptsError

from losant_tokens.cli._app import app, slow_import
from losant_tokens.cli._connections.account_tokens import token_memory
from losant_tokens.cli._errors import (
    EXIT_ERROR,
    CommandError,
    explain,
    failed_operation,
    unexpected,
)
from losant_tokens.cli._signals.early_handlers import exit_at_once, handled, interrupt
from losant_tokens.cli._terminal.console import print_error, record
from losant_tokens.cli._terminal.streams import mute
from losant_tokens.cli._usage_errors import usage_error
from losant_tokens.errors import LosantError

_EXIT_BROKEN_PIPE = 141  # the exit code in a shell of a program that SIGPIPE has ended


def run(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: The arguments, without the name of the program.

    Returns:
        The exit code.

    Raises:
        KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP ended the command.
    """
    # A character that the terminal cannot show is escaped, so that no name makes output fail.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    with handled(interrupt):
        try:
            completes = bool(arguments) and arguments[0] == "__complete"
            code = _complete(arguments[1:]) if completes else _run(arguments)
            sys.stdout.flush()
        except BrokenPipeError:
            mute(sys.stdout)
            return _EXIT_BROKEN_PIPE
        except OSError as error:
            mute(sys.stdout)
            print_error(CommandError(f"standard output cannot be written: {error.strerror}"))
            return EXIT_ERROR
        return code


def _complete(arguments: Sequence[str]) -> int:
    from losant_tokens.cli._completion.completer import print_completion  # noqa: PLC0415 -- only for a TAB

    return print_completion(arguments)


def _run(arguments: Sequence[str]) -> int:
    """Run the command with a log of its messages, and return its exit code."""
    with ExitStack() as logs:
        try:
            code = _parse_and_run(arguments, logs)
        except KeyboardInterrupt:
            record("info", "ended by a signal")
            raise
        record("info", f"ended with exit code {code}")
        return code


def _parse_and_run(arguments: Sequence[str], logs: ExitStack) -> int:
    """Parse the arguments, run the command, and return its exit code.

    Args:
        arguments: The arguments, without the name of the program.
        logs: Closes the log, which is opened when the arguments are parsed.
    """
    try:
        # Ctrl-C during an import can surface anywhere, and nothing has been done yet.
        with handled(exit_at_once):
            command, bound, _ = app.parse_args(arguments, print_error=False, exit_on_error=False)
            if module := slow_import(command):
                import_module(module)
        if "connection" in bound.arguments:  # One of its options was given.
            from losant_tokens.cli._logs.command_log import command_log  # noqa: PLC0415 -- rarely needed

            logs.enter_context(command_log(bound.arguments, arguments[0]))
        logs.enter_context(token_memory())
        # `--help` and `--version` are commands that return nothing.
        return command(*bound.args, **bound.kwargs) or 0
    except CycloptsError as error:
        problem: CommandError = usage_error(error)
    except CommandError as error:
        problem = error
    except LosantError as error:
        problem = explain(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        problem = failed_operation(error)
    except Exception as error:  # noqa: BLE001 -- a bug is reported in one line, too
        problem = unexpected(error)
    print_error(problem)
    return problem.exit_code
