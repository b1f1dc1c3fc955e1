"""Colors: the decision whether a stream gets them, and strings with escape sequences.

No standard defines the order of the variables. no-color.org asks programs to let NO_COLOR win, as
rich and the tracebacks of Python 3.13 do. CLICOLOR and CLICOLOR_FORCE are from bixense.com.
"""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

# Parameters of the escape sequence "Select Graphic Rendition" (ECMA-48, 8.3.117).
_CODES: Mapping[str, str] = MappingProxyType(
    {
        "bold": "1",
        "dim": "2",
        "underline": "4",
        "red": "31",
        "green": "32",
        "yellow": "33",
        "blue": "34",
        "magenta": "35",
        "cyan": "36",
    }
)


def has_color(stream: Any) -> bool:
    """Return whether a stream gets colors: the first of these conditions that applies decides.

    1. `NO_COLOR` is set: no.
    2. `FORCE_COLOR` or `CLICOLOR_FORCE` is set, and is not `0`: yes, even without a terminal.
    3. `CLICOLOR` is `0`, or `TERM` is `dumb`: no.
    4. Otherwise, a terminal gets colors.

    A variable with an empty value is not set.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    if os.environ.get("CLICOLOR") == "0" or os.environ.get("TERM") == "dumb":
        return False
    return stream is not None and bool(stream.isatty())


def colored(text: str, style: str, *, enabled: bool = True) -> str:
    """Return a string with the escape sequences of a style.

    Args:
        text: The string, with its control characters escaped.
        style: Names of colors and attributes, such as `red` or `bold yellow`; `""` for none.
        enabled: Whether to add the escape sequences.
    """
    if not enabled or not style or not text:
        return text
    return f"\x1b[{';'.join(_CODES[name] for name in style.split())}m{text}\x1b[0m"
