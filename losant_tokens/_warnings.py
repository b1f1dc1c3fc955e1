"""Warnings that name the line of the program that called this package.

A fixed `stacklevel` would name one of our own lines for some of the methods: a list awaits through
more functions than a single call does, and a task of its own has no caller at all.
"""

import sys
import warnings
from types import FrameType

_MACHINERY = frozenset(
    {"losant_tokens", "anyio", "asyncio", "concurrent", "contextlib", "outcome", "stamina", "trio"}
)
"""Top-level packages whose lines are not the caller's."""


def warn_caller(message: str, category: type[Warning]) -> None:
    """Issue a warning for the innermost line outside this package and the event loop."""
    innermost = sys._getframe(1)  # noqa: SLF001 -- warnings.warn does the same in C
    frame = _calling(innermost)
    module = frame.f_globals.get("__name__", "<unknown>")
    warnings.warn_explicit(
        message,
        category,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=module,
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _calling(innermost: FrameType) -> FrameType:
    frame = innermost
    while frame.f_globals.get("__name__", "").partition(".")[0] in _MACHINERY:
        if frame.f_back is None:
            return innermost
        frame = frame.f_back
    return frame
