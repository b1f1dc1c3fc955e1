"""Format values for people: dates, durations, counts, and strings with control characters."""

from datetime import UTC, datetime

_MINUTE = 60.0  # seconds


def escaped(text: str) -> str:
    r"""Return a string with escapes such as `\x1b` for invisible and control characters."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def format_date(value: datetime | None, default: str) -> str:
    """Return the date of a datetime in UTC, or the default for None."""
    return default if value is None else f"{_in_utc(value):%Y-%m-%d}"


def format_datetime(value: datetime | None, default: str) -> str:
    """Return a datetime in UTC to the minute, or the default for None."""
    return default if value is None else f"{_in_utc(value):%Y-%m-%d %H:%M} UTC"


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:  # In UTC, it is outside the years 1 to 9999.
        return value.replace(tzinfo=UTC)


def no_expiry(token: object) -> str:
    """Return "never" for a token without an expiration date, or "unknown" if it is unreadable."""
    is_unreadable = "expiration_date" in getattr(token, "unreadable", ())
    return "unknown" if is_unreadable else "never"


def format_count(number: int) -> str:
    """Return a number of tokens, such as `1 token` or `1,000 tokens`."""
    return f"{number:,} token{'' if number == 1 else 's'}"


def format_seconds(seconds: float | None) -> str:
    """Return an estimated duration, such as `5 s`, `3 min` or `1 h 20 min`; `?` for None."""
    if seconds is None:
        return "?"
    if seconds < _MINUTE:
        return f"{max(seconds, 1.0):.0f} s"
    minutes = round(seconds / _MINUTE)
    return f"{minutes} min" if minutes < _MINUTE else f"{minutes // 60} h {minutes % 60:02} min"
