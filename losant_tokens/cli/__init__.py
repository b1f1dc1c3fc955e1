"""The command `losant-tokens`; the extra `[cli]` installs what it needs."""

import sys
from importlib.util import find_spec


def main() -> None:
    """Runs the command with the arguments of the process, and exits."""
    try:
        code = _run()
    except KeyboardInterrupt:
        from losant_tokens.cli._errors import say_stopped  # noqa: PLC0415 -- hardly ever needed

        say_stopped("losant-tokens: interrupted")
        code = 130  # 128 and the number of the signal, as shells have it
    sys.exit(code)


def _run() -> int:
    missing = [name for name in ("cyclopts", "rich") if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"losant-tokens: error: the command needs {' and '.join(missing)}\n"
            "hint: pip install 'losant-tokens[cli]'\n"
        )
        return 1
    from losant_tokens.cli._app import run  # noqa: PLC0415 -- not there without the extra

    return run(sys.argv[1:])
