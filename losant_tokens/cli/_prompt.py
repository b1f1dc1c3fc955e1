"""Questions on a terminal."""

import sys

from losant_tokens.cli._console import mute
from losant_tokens.cli._errors import UsageError

_YES = frozenset({"y", "yes"})


def need_terminal_or_yes(name: str, *, yes: bool) -> None:
    """Check that a command can ask, or need not.

    Raises:
        UsageError: It must ask, and there is no terminal.
    """
    if not yes and not sys.stdin.isatty():
        raise UsageError(f"without a terminal to ask on, {name} needs --yes")


def agreed(question: str) -> bool:
    """Ask a question; only yes means yes, and a question that cannot be shown means no."""
    try:
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
    except (OSError, ValueError):
        mute(sys.stderr)
        return False
    return sys.stdin.readline().strip().lower() in _YES
