"""Texts that others wrote, made fit for a terminal; and texts that people write, made values."""

import re
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

_UNITS = MappingProxyType({"h": "hours", "d": "days", "w": "weeks"})
_SPAN = re.compile(r"([0-9]+)([hdw])", re.ASCII)
_DIGITS = 9
_SHOWN = 40
_LONGEST = timedelta(days=365_000)  # Later, dates leave the years that Python knows.


def escaped(text: str) -> str:
    r"""The same text, but what a terminal could obey or hide is shown as an escape: `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def day(moment: datetime | None, otherwise: str) -> str:
    """Return a date as people read it, in UTC."""
    return otherwise if moment is None else f"{_utc(moment):%Y-%m-%d}"


def minute(moment: datetime | None, otherwise: str) -> str:
    """Return a date and time as people read it, in UTC."""
    return otherwise if moment is None else f"{_utc(moment):%Y-%m-%d %H:%M} UTC"


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # In UTC, it is outside the years 1 to 9999.
        return moment.replace(tzinfo=UTC)


def never(token: object) -> str:
    """Return the words for a token without an expiration date: it may have one, unreadable."""
    is_unknown = "expiration_date" in getattr(token, "unreadable", ())
    return "unknown" if is_unknown else "never"


def read_expiry(text: str, now: datetime) -> datetime | None:
    """When a token shall expire: `90d` (h, d or w from now), `2030-01-01` (UTC), or `never`.

    Raises:
        ValueError: It is none of these, or lies in the past.
    """
    if text == "never":
        return None
    try:
        moment = _read_moment(text, now)
    except (ValueError, OverflowError):
        raise ValueError(
            f'"{text}" is no expiry: give a time from now such as 12h, 90d or 4w, '
            f"a date such as 2030-01-01, or never"
        ) from None
    if moment <= now:
        raise ValueError(f'"{text}" lies in the past: such a token would never work')
    return moment


def read_span(text: str) -> timedelta:
    """Return a length of time: `12h`, `30d` or `4w`.

    Raises:
        ValueError: It is none, or longer than 1000 years.
    """
    found = _SPAN.fullmatch(text)
    if not found:
        raise ValueError(f'"{_short(text)}" is no length of time: give one such as 12h, 30d or 4w')
    number, unit = found[1].lstrip("0") or "0", _UNITS[found[2]]
    if len(number) < _DIGITS and (span := timedelta(**{unit: int(number)})) <= _LONGEST:
        return span
    raise ValueError(f'"{_short(text)}" is too long: the longest time is {_LONGEST.days}d')


def as_span(span: timedelta) -> str:
    """Return a length of time as `read_span` reads it."""
    return f"{span // timedelta(hours=1)}h"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _read_moment(text: str, now: datetime) -> datetime:
    if _SPAN.fullmatch(text):
        return now + read_span(text)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
