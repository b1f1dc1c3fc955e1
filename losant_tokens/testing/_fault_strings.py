"""Conditions of the fake as strings, for its commands: `503:2%`, `20ms-200ms` and `+30d`."""

import re
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

_FAULT = re.compile(r"(?P<kind>[0-9]+|[a-z]+):(?P<percent>[0-9]{1,3}(?:\.[0-9]{1,6})?)%", re.ASCII)
_MIN_STATUS, _MAX_STATUS = 400, 599
_WORDS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "timeout": {"kind": "hang"},
        "reset": {"kind": "drop"},
        "lost": {"kind": "drop", "after_acting": True},
        "truncate": {"kind": "truncate"},
        "html": {"kind": "html"},
        "garbage": {"kind": "garbage"},
    }
)
_LATENCY = re.compile(
    r"(?P<min>[0-9]{1,6}(?:\.[0-9]{1,3})?)(?P<unit>ms|s)"
    r"(?:-(?P<max>[0-9]{1,6}(?:\.[0-9]{1,3})?)(?P<max_unit>ms|s))?",
    re.ASCII,
)
_SECONDS = MappingProxyType({"ms": 0.001, "s": 1.0})
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<number>[0-9]{1,5})(?P<unit>m|h|d|w|mo|y)", re.ASCII)
_UNITS = MappingProxyType(
    {
        "m": timedelta(minutes=1),
        "h": timedelta(hours=1),
        "d": timedelta(days=1),
        "w": timedelta(weeks=1),
        "mo": timedelta(days=30),
        "y": timedelta(days=365),
    }
)
_MAX_OFFSET = timedelta(days=100 * 365)


def read_fault(text: str) -> dict[str, Any]:
    """Return the members of a fault: `503:2%`, `timeout:1%` or another word.

    Raises:
        ValueError: The string has another form.
    """
    match = _FAULT.fullmatch(text)
    if match is not None:
        kind, share = match["kind"], float(match["percent"]) / 100
        if 0 < share <= 1:
            if kind in _WORDS:
                return {**_WORDS[kind], "share": share}
            if kind.isdigit() and _MIN_STATUS <= int(kind) <= _MAX_STATUS:
                return {"kind": "status", "status": int(kind), "share": share}
    raise ValueError(
        f'"{text[:40]}" is not a fault: use KIND:SHARE, such as 503:2%. KIND is a status from '
        f"{_MIN_STATUS} to {_MAX_STATUS}, {', '.join(list(_WORDS)[:-1])} or {list(_WORDS)[-1]}, "
        f"and SHARE is more than 0% and at most 100%"
    )


def read_latency(text: str) -> tuple[float, float | None]:
    """Return a latency in seconds, and its maximum if it is a range: `50ms` or `20ms-200ms`.

    Raises:
        ValueError: The string has another form.
    """
    match = _LATENCY.fullmatch(text)
    if match is not None:
        seconds = float(match["min"]) * _SECONDS[match["unit"]]
        if match["max"] is None:
            return seconds, None
        max_seconds = float(match["max"]) * _SECONDS[match["max_unit"]]
        if seconds <= max_seconds:
            return seconds, max_seconds
    raise ValueError(
        f'"{text[:40]}" is not a latency: use a time such as 50ms or 1.5s, or a range such as '
        f"20ms-200ms"
    )


def read_offset(text: str) -> timedelta:
    """Return the difference between two clocks: `+30d` or `-2h`.

    Raises:
        ValueError: The string has another form, or the difference is more than 100 years.
    """
    match = _OFFSET.fullmatch(text)
    if match is not None:
        span = int(match["number"]) * _UNITS[match["unit"]]
        if span <= _MAX_OFFSET:
            return span if match["sign"] == "+" else -span
    raise ValueError(
        f'"{text[:40]}" is not an offset of the clock: use a sign, a number and a unit (m, h, d, '
        f"w, mo or y), such as +30d or -2h; the maximum is 100y"
    )
