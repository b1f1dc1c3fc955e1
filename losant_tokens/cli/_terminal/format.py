"""Format values for people: dates, durations, counts, and strings with control characters."""

import re
from datetime import UTC, datetime, timedelta

_MINUTE = 60.0  # seconds
# Months and years are approximate: relative times are for orientation, beside an exact date.
_UNITS = (
    ("year", timedelta(days=365)),
    ("month", timedelta(days=30)),
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
)
_MONTHS_IN_YEAR = 12
_HOURS_IN_DAY = 24
# A command in backquotes, or after a colon at the end of a line, is one word.
_WORDS = re.compile(r"(\s*)((?<=: )losant-tokens .*|(?:`[^`]*`|\S)+)")


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


def format_iso(value: datetime) -> str:
    """Return a datetime for other programs, such as `2026-03-01T12:00:00Z`."""
    return f"{_in_utc(value):%Y-%m-%dT%H:%M:%SZ}"


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:  # In UTC, it is outside the years 1 to 9999.
        return value.replace(tzinfo=UTC)


def no_expiry(token: object) -> str:
    """Return "never" for a token without an expiration date, or "unknown" if it is unreadable."""
    is_unreadable = "expiration_date" in getattr(token, "unreadable", ())
    return "unknown" if is_unreadable else "never"


def relative_time(time: datetime, now: datetime) -> str:
    """Return a datetime relative to another: `2 years ago`, `in 3 days` or `just now`.

    A month has 30 days, and a year 365. A time of the past is rounded down: 47 hours ago are
    `1 day ago`. A time in the future is rounded up if it is nearly there: 7 days are still `in 7
    days` a minute after they began.

    Args:
        time: The datetime to describe, with a time zone.
        now: The datetime to compare with, with a time zone.
    """
    number, unit = _largest_unit(_rounded(time, now))
    amount = format_number(number, unit)
    if time <= now:
        return f"{amount} ago" if number else "just now"
    return f"in {amount if number else 'less than a minute'}"


def short_relative_time(time: datetime, now: datetime) -> str:
    """Return a datetime relative to another with a short unit: `2y ago`, `in 3d` or `0m ago`.

    The units are y, mo, d, h and m. The number is rounded as by `relative_time`.

    Args:
        time: The datetime to describe, with a time zone.
        now: The datetime to compare with, with a time zone.
    """
    amount = short_amount(_rounded(time, now))
    return f"{amount} ago" if time <= now else f"in {amount}"


def short_amount(span: timedelta) -> str:
    """Return a span in its largest unit, rounded down: `2y`, `3mo`, `4d`, `5h` or `6m`."""
    number, unit = _largest_unit(span)
    return f"{number:,}{'mo' if unit == 'month' else unit[0]}"


def _rounded(time: datetime, now: datetime) -> timedelta:
    """Return the span between two datetimes, with a little more if the first is in the future.

    That is an hour for days, and accordingly for the other units.
    """
    if time <= now:
        return now - time
    span = time - now
    size = next((size for _, size in _UNITS if span >= size), _UNITS[-1][1])
    return span + size / _HOURS_IN_DAY


def _largest_unit(span: timedelta) -> tuple[int, str]:
    """Return a span in its largest unit, rounded down, such as 3 and `day`; in minutes it may be 0.

    360 to 364 days are 12 months of 30 days, but not a year, so they are 11 months.
    """
    unit, size = next(((unit, size) for unit, size in _UNITS if span >= size), _UNITS[-1])
    number = span // size
    return (min(number, _MONTHS_IN_YEAR - 1) if unit == "month" else number), unit


def describe_expiry(token: object, now: datetime) -> str:
    """Return when a token expires, as a phrase.

    It is `expired 2 years ago`, `expires in 3 days`, `never`, or `unknown` for an unreadable date.

    Args:
        token: A token, or an entry of a plan.
        now: The current time, with a time zone.
    """
    expires: datetime | None = getattr(token, "expiration_date", None)
    if expires is None:
        return no_expiry(token)
    return f"{'expired' if expires <= now else 'expires'} {relative_time(expires, now)}"


def ellipsis(text: str, width: int) -> str:
    """Return a string that is at most `width` terminal cells wide, shortened with `…` if needed.

    A wide character, such as 漢, takes two cells.
    """
    from rich.cells import set_cell_size  # noqa: PLC0415 -- start-up does not need it

    if count_cells(text) <= width:
        return text
    return f"{set_cell_size(text, width - 1).rstrip()}…" if width > 0 else ""


def count_cells(text: str) -> int:
    """Return the number of terminal cells of a string: a wide character, such as 漢, takes two."""
    from rich.cells import cell_len  # noqa: PLC0415 -- start-up does not need it

    # A list has hundreds of thousands of cells, and nearly all of them are in ASCII.
    return len(text) if text.isascii() else cell_len(text)


def wrapped(text: str, width: int, indent: str | None = None) -> list[str]:
    """Return a string as lines of at most `width` terminal cells, broken between words.

    A word that is longer than a line is not divided. A command in backquotes, or after a colon, is
    one word, so that it can be copied.

    Args:
        text: The string, without line breaks.
        width: The width of a line.
        indent: The start of each line except the first. By default, that of the first line.
    """
    if count_cells(text) <= width:
        return [text]
    start = text[: len(text) - len(text.lstrip())]
    indent = start if indent is None else indent
    lines, line = [], start
    for blanks, word in _WORDS.findall(text):
        longer = f"{line}{blanks if line.strip() else ''}{word}"
        if count_cells(longer) <= width or not line.strip():
            line = longer
        else:
            lines.append(line)
            line = indent + word
    return [*lines, line]


def format_number(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 day` or `1,000 days`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_count(number: int) -> str:
    """Return a number of tokens, such as `1 token` or `1,000 tokens`."""
    return format_number(number, "token")


def format_size(size: int) -> str:
    """Return a number of bytes: `870 bytes`, `12.3 kB` or `4.0 MB`."""
    for unit, factor in (("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return format_number(size, "byte")


def format_seconds(seconds: float | None) -> str:
    """Return an estimated duration, such as `5 s`, `3 min` or `1 h 20 min`; `?` for None."""
    if seconds is None:
        return "?"
    if seconds < _MINUTE:
        return f"{max(seconds, 1.0):.0f} s"
    minutes = round(seconds / _MINUTE)
    return f"{minutes} min" if minutes < _MINUTE else f"{minutes // 60} h {minutes % 60:02} min"
