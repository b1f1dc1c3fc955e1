"""Read values from the command line: ages, expiration dates and token ids."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from losant_tokens.cli._errors import UsageError

_UNITS = MappingProxyType({"h": "hours", "d": "days", "w": "weeks"})
_AGE = re.compile(r"([0-9]+)([hdw])", re.ASCII)
_TOKEN_ID = re.compile(r"[0-9A-Fa-f]{24}", re.ASCII)
_MAX_DIGITS = 9
_MAX_SHOWN = 40
_MAX_AGE = timedelta(days=365_000)  # Larger ages lead to years that Python does not support.


def read_expiry(text: str, now: datetime) -> datetime | None:
    """Return an expiration date.

    Args:
        text: `90d` (hours, days or weeks from now), `2030-01-01` (UTC), or `never`.
        now: The current time.

    Raises:
        ValueError: The string has another form, or the date is in the past.
    """
    if text == "never":
        return None
    try:
        expiry = _read_datetime(text, now)
    except (ValueError, OverflowError):
        raise ValueError(
            f'"{text}" is not an expiration date: use a time from now such as 12h, 90d or 4w, '
            f"a date such as 2030-01-01, or never"
        ) from None
    if expiry <= now:
        raise ValueError(f'"{text}" is in the past: the token would never work')
    return expiry


def _read_datetime(text: str, now: datetime) -> datetime:
    if _AGE.fullmatch(text):
        return now + read_age(text)
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def read_age(text: str) -> timedelta:
    """Return an age or a duration: `12h`, `30d` or `4w`.

    Raises:
        ValueError: The string has another form, or means more than 1000 years.
    """
    found = _AGE.fullmatch(text)
    if not found:
        raise ValueError(f'"{_short(text)}" is not an age: use hours, days or weeks: 12h, 30d, 4w')
    digits, unit = found[1].lstrip("0") or "0", _UNITS[found[2]]
    if len(digits) < _MAX_DIGITS and (age := timedelta(**{unit: int(digits)})) <= _MAX_AGE:
        return age
    raise ValueError(f'"{_short(text)}" is too long: the maximum is {_MAX_AGE.days}d')


def _short(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def format_age(age: timedelta) -> str:
    """Return an age in whole hours, in the form that `read_age` accepts."""
    return f"{age // timedelta(hours=1)}h"


def read_token_ids(values: Iterable[str]) -> list[str]:
    """Return token ids in lower case, each one once.

    Raises:
        UsageError: A value is not a token id.
    """
    values = list(values)
    for value in values:
        if not _TOKEN_ID.fullmatch(value):
            raise UsageError(f"{value!r} is not a token id: an id has 24 hexadecimal digits")
    return list(dict.fromkeys(map(str.lower, values)))
