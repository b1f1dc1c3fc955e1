"""Texts of others made harmless, and texts of people made values."""

import os
from datetime import UTC, datetime, timedelta, timezone

import pytest

from losant_tokens import ApiToken
from losant_tokens.cli._parse import (
    as_span,
    day,
    escaped,
    minute,
    never,
    read_expiry,
    read_span,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
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
def test_escaped(text: str, shown: str) -> None:
    """What a terminal obeys or hides is shown as an escape, and all else as it is."""
    assert shown == escaped(text)


def test_unknown_expiration() -> None:
    """A date that cannot be read does not mean that a token never expires."""
    unknown = ApiToken(id="1", unreadable=frozenset({"expiration_date"}))
    assert ["never", "unknown", "never"] == [never(ApiToken(id="1")), never(unknown), never(None)]


def test_dates_are_in_utc() -> None:
    """Dates are shown in UTC, whatever their own zone."""
    late = datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5)))

    assert ("2026-03-02", "2026-03-02 04:30 UTC") == (day(late, "never"), minute(late, "never"))
    assert ("never", "") == (day(None, "never"), minute(None, ""))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("never", None),
        ("12h", NOW + timedelta(hours=12)),
        ("90d", NOW + timedelta(days=90)),
        ("4w", NOW + timedelta(weeks=4)),
        ("2030-01-01", datetime(2030, 1, 1, tzinfo=UTC)),
        (
            "2030-01-01T00:00:00+02:00",
            datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=2))),
        ),
    ],
)
def test_expiry(text: str, moment: datetime | None) -> None:
    """An expiry is a time from now, a date in UTC, or never."""
    assert moment == read_expiry(text, NOW)


@pytest.mark.parametrize("text", ["", "90", "90m", "d", "-1d", "tomorrow", "9" * 30 + "d", "٣d"])
def test_no_expiry(text: str) -> None:
    """What is no expiry is refused, with examples of what is one."""
    with pytest.raises(ValueError, match="is no expiry: give a time from now such as 12h"):
        read_expiry(text, NOW)


@pytest.mark.parametrize("text", ["0d", "2026-03-01", "2026-03-01T12:00Z"])
def test_expiry_in_the_past(text: str) -> None:
    """An expiry in the past is refused: the token would never work."""
    with pytest.raises(ValueError, match="lies in the past"):
        read_expiry(text, NOW)


def test_this_machine_may_be_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The local time zone is of no account."""
    monkeypatch.setitem(os.environ, "TZ", "Pacific/Auckland")

    assert datetime(2030, 1, 1, tzinfo=UTC) == read_expiry("2030-01-01", NOW)


@pytest.mark.parametrize("offset", [-14, 14])
@pytest.mark.parametrize("year", [1, 9999])
def test_dates_at_the_edge(year: int, offset: int) -> None:
    """A date that is outside the years 1 to 9999 in UTC is shown as it is."""
    month, number = (1, 1) if year == 1 else (12, 31)
    zone = timezone(timedelta(hours=offset))
    date = datetime(year, month, number, 0 if year == 1 else 23, tzinfo=zone)

    assert str(year) in day(date, "")
    assert minute(date, "").endswith(" UTC")


@pytest.mark.parametrize("text", ["12h", "30d", "4w", "0h"])
def test_spans(text: str) -> None:
    """A length of time is written so that it is read as the same."""
    assert read_span(text) == read_span(as_span(read_span(text)))
