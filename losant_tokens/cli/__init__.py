"""The command `losant-tokens`; the extra `[cli]` installs its dependencies."""

import atexit
import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command with the arguments of the process, and exit."""
    from losant_tokens.cli._interrupts import ignore  # noqa: PLC0415

    try:
        code = _run()
    except KeyboardInterrupt:
        from losant_tokens.cli._errors import say_stopped  # noqa: PLC0415 -- hardly ever needed

        say_stopped("losant-tokens: interrupted")
        code = 130  # 128 and the number of the signal, as shells have it
    # All is done and printed: a signal while the interpreter ends has nothing to stop.
    atexit.register(ignore)
    sys.exit(code)


def _run() -> int:
    from losant_tokens.cli._interrupts import handled, leave  # noqa: PLC0415

    # Ctrl-C in the middle of an import can surface anywhere, and nothing was done yet.
    with handled(leave):
        from losant_tokens.cli._console import open_missing_streams  # noqa: PLC0415

        open_missing_streams()
        missing = [name for name in ("cyclopts", "rich") if find_spec(name) is None]
        if missing:
            sys.stderr.write(
                f"losant-tokens: error: the command needs {' and '.join(missing)}\n"
                "hint: pip install 'losant-tokens[cli]'\n"
            )
            return 1
        from losant_tokens.cli._main import run  # noqa: PLC0415 -- not there without the extra

    return run(sys.argv[1:])
