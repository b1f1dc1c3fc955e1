"""The command `losant-tokens`. The extra `[cli]` installs its dependencies."""

import atexit
import resource
import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command with the arguments of the process, and exit."""
    from losant_tokens.cli._signals.early_handlers import ignore_stop_signals  # noqa: PLC0415

    try:
        code = _run()
    except KeyboardInterrupt:
        from losant_tokens.cli._terminal.console import print_after_signal  # noqa: PLC0415 -- rarely needed

        print_after_signal("losant-tokens: interrupted")
        code = 130  # 128 plus the number of SIGINT, as in shells
    # The work is done and printed, so a signal during the exit of the interpreter is ignored.
    atexit.register(ignore_stop_signals)
    sys.exit(code)


def _run() -> int:
    from losant_tokens.cli._signals.early_handlers import exit_at_once, handled  # noqa: PLC0415

    # Ctrl-C during an import can surface anywhere, and nothing has been done yet.
    with handled(exit_at_once):
        from losant_tokens.cli._terminal.streams import open_missing_streams  # noqa: PLC0415

        open_missing_streams()
        missing = [name for name in ("cyclopts", "rich") if find_spec(name) is None]
        if missing:
            sys.stderr.write(
                f"losant-tokens: error: the command needs {' and '.join(missing)}\n"
                "hint: pip install 'losant-tokens[cli]'\n"
            )
            return 1
        from losant_tokens.cli._main import run  # noqa: PLC0415 -- needs the extra

    _avoid_core_dumps()
    return run(sys.argv[1:])


def _avoid_core_dumps() -> None:
    """Write no memory of this process to a file if it crashes, because it holds API tokens."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
