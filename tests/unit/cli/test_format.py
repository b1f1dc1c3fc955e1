"""Values for people."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from losant_tokens import ApiToken
from losant_tokens.cli._format import (
    escaped,
    format_count,
    format_date,
    format_datetime,
    format_seconds,
    no_expiry,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ci-1", "ci-1"),
        ("Zoë 漢字", "Zoë 漢字"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\tc\x7f", r"a\nb\tc\x7f"),
        ("\x9b2J", r"\x9b2J"),
        ("abc\u202edcba", r"abc\u202edcba"),
        ("\ud800", r"\ud800"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_control_characters_are_escaped(text: str, expected: str) -> None:
    """Characters that a terminal obeys or hides are escaped; all others are kept."""
    assert escaped(text) == expected


def test_unreadable_expiration_date_is_unknown() -> None:
    """The expiration of a token is unknown if its date is unreadable, and not never."""
    unreadable = ApiToken(id="1", unreadable=frozenset({"expiration_date"}))

    assert no_expiry(unreadable) == "unknown"
    assert [no_expiry(ApiToken(id="1")), no_expiry(None)] == ["never", "never"]


def test_dates_are_in_utc() -> None:
    """A datetime is shown in UTC, independent of its own time zone."""
    late = datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5)))

    assert format_date(late, "never") == "2026-03-02"
    assert format_datetime(late, "never") == "2026-03-02 04:30 UTC"


def test_missing_dates_have_a_default() -> None:
    """The default is shown for a missing datetime."""
    assert (format_date(None, "never"), format_datetime(None, "")) == ("never", "")


@pytest.mark.parametrize("offset", [-14, 14])
@pytest.mark.parametrize("year", [1, 9999])
def test_dates_outside_the_years_of_python(year: int, offset: int) -> None:
    """A datetime that is outside the years 1 to 9999 in UTC is shown unconverted."""
    month, day = (1, 1) if year == 1 else (12, 31)
    zone = timezone(timedelta(hours=offset))
    value = datetime(year, month, day, 0 if year == 1 else 23, tzinfo=zone)

    assert str(year) in format_date(value, "")
    assert format_datetime(value, "").endswith(" UTC")


def test_dates_in_utc_are_unchanged() -> None:
    """A datetime in UTC is shown as it is."""
    assert format_date(datetime(2026, 3, 1, tzinfo=UTC), "") == "2026-03-01"


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 tokens"), (1, "1 token"), (1000, "1,000 tokens")]
)
def test_counts(number: int, expected: str) -> None:
    """A count has the right plural and a thousands separator."""
    assert format_count(number) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "?"),
        (0.1, "1 s"),
        (59.4, "59 s"),
        (60.0, "1 min"),
        (600.0, "10 min"),
        (3600.0, "1 h 00 min"),
        (4800.0, "1 h 20 min"),
    ],
)
def test_seconds(seconds: float | None, expected: str) -> None:
    """An estimate is rounded to a unit that fits its size."""
    assert format_seconds(seconds) == expected
