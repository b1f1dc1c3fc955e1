"""Warnings that name the line of the program that called this package.

The problem: `warnings.warn` takes a fixed `stacklevel`, but the number of frames between the caller
and the warning differs. A list goes through more functions than a single call, and a task has no
caller at all. The approach: walk up the stack to the first frame outside this package and the event
loop.
"""

import sys
import warnings
from types import FrameType

_MACHINERY = frozenset(
    {"losant_tokens", "anyio", "asyncio", "concurrent", "contextlib", "outcome", "stamina", "trio"}
)
"""Top-level packages whose frames are skipped."""


def warn_caller(message: str, category: type[Warning]) -> None:
    """Issue a warning for the innermost line outside this package and the event loop."""
    innermost = sys._getframe(1)  # noqa: SLF001 -- warnings.warn does the same in C
    frame = _caller_of(innermost)
    module = frame.f_globals.get("__name__", "<unknown>")
    warnings.warn_explicit(
        message,
        category,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=module,
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def caller_line() -> str:
    """Return the innermost line outside this package and the event loop: `bot.py:12`."""
    frame = _caller_of(sys._getframe(1))  # noqa: SLF001 -- as above
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _caller_of(innermost: FrameType) -> FrameType:
    """Return the innermost frame outside this package, or the frame itself if there is none."""
    frame = innermost
    while frame.f_globals.get("__name__", "").partition(".")[0] in _MACHINERY:
        if frame.f_back is None:
            return innermost
        frame = frame.f_back
    return frame
