"""Lengths of time as strings, such as `90d`: on the command line and in policy files."""

import re
from datetime import timedelta
from types import MappingProxyType

# Months and years have the same length everywhere, so a rule does not depend on the day it runs.
_UNITS = MappingProxyType(
    {
        "h": timedelta(hours=1),
        "d": timedelta(days=1),
        "w": timedelta(weeks=1),
        "mo": timedelta(days=30),
        "y": timedelta(days=365),
    }
)
DURATION_PATTERN = "[0-9]+(h|d|w|mo|y)"
"""A regular expression for durations, which is valid in JSON Schema, too."""
_FORMS = "12h, 30d, 4w, 18mo or 2y"
_DURATION = re.compile(r"([0-9]+)(h|d|w|mo|y)", re.ASCII)
_MINUTES_OR_MONTHS = re.compile(r"[0-9]+m", re.ASCII)
_MAX_DIGITS = 9
_MAX_SHOWN = 40
# Longer durations lead to years that Python does not support.
_MAX_DURATION = timedelta(days=365_000)


def parse_duration(text: str) -> timedelta:
    """Return a duration: `12h`, `30d`, `4w`, `18mo` (months of 30 days) or `2y` (365 days).

    Raises:
        ValueError: The string has another form, or means more than 1000 years.
    """
    found = _DURATION.fullmatch(text)
    if not found:
        months = f"; for months, write {text}o" if _MINUTES_OR_MONTHS.fullmatch(text) else ""
        raise ValueError(
            f'"{shortened(text)}" is not a duration: use hours, days, weeks, months or '
            f"years, such as {_FORMS}{months}"
        )
    digits = found[1].lstrip("0") or "0"
    if len(digits) < _MAX_DIGITS:
        duration = int(digits) * _UNITS[found[2]]
        if duration <= _MAX_DURATION:
            return duration
    raise ValueError(f'"{shortened(text)}" is too long: the maximum is {_MAX_DURATION.days}d')


def shortened(text: str) -> str:
    """Return a string that fits into a message."""
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
