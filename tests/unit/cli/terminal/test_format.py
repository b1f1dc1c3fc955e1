"""Values for people."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from losant_tokens import ApiToken
from losant_tokens.cli._terminal.format import (
    describe_expiry,
    ellipsis,
    escaped,
    format_count,
    format_date,
    format_datetime,
    format_iso,
    format_number,
    format_seconds,
    format_size,
    no_expiry,
    relative_time,
    short_amount,
    short_relative_time,
    wrapped,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


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


SPANS = [
    (timedelta(minutes=1), "1 minute"),
    (timedelta(minutes=1, seconds=59), "1 minute"),
    (timedelta(minutes=2), "2 minutes"),
    (timedelta(minutes=59, seconds=59), "59 minutes"),
    (timedelta(hours=1), "1 hour"),
    (timedelta(hours=2), "2 hours"),
    (timedelta(hours=23, minutes=59), "23 hours"),
    (timedelta(days=1), "1 day"),
    (timedelta(days=2) - timedelta(seconds=1), "1 day"),
    (timedelta(days=2), "2 days"),
    (timedelta(days=29, hours=23), "29 days"),
    (timedelta(days=30), "1 month"),
    (timedelta(days=60), "2 months"),
    (timedelta(days=359), "11 months"),
    (timedelta(days=364, hours=23), "11 months"),
    (timedelta(days=365), "1 year"),
    (timedelta(days=730) - timedelta(seconds=1), "1 year"),
    (timedelta(days=730), "2 years"),
    (timedelta(days=365_000), "1,000 years"),
]


@pytest.mark.parametrize(("span", "expected"), SPANS)
def test_past_times(span: timedelta, expected: str) -> None:
    """A past time is given in its largest unit, rounded down."""
    assert relative_time(NOW - span, NOW) == f"{expected} ago"


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (timedelta(seconds=59), "1 minute"),
        (timedelta(minutes=1, seconds=50), "1 minute"),
        (timedelta(minutes=59, seconds=59), "1 hour"),
        (timedelta(hours=22, minutes=50), "22 hours"),
        (timedelta(hours=23, minutes=59), "1 day"),
        (timedelta(days=1, hours=22), "1 day"),
        (timedelta(days=7) - timedelta(minutes=2), "7 days"),
        (timedelta(days=29, hours=12), "29 days"),
        (timedelta(days=30) - timedelta(minutes=2), "1 month"),
        (timedelta(days=359), "11 months"),
        (timedelta(days=365) - timedelta(minutes=2), "1 year"),
        (timedelta(days=500), "1 year"),
        (timedelta(days=365_000), "1,000 years"),
    ],
)
def test_future_times(span: timedelta, expected: str) -> None:
    """A future time is given in its largest unit, rounded up if it is nearly the next number."""
    assert relative_time(NOW + span, NOW) == f"in {expected}"


def test_less_than_a_minute() -> None:
    """A time less than a minute away has no number, and the present is past."""
    second = timedelta(seconds=50)

    assert [relative_time(NOW - second, NOW), relative_time(NOW, NOW)] == ["just now", "just now"]
    assert relative_time(NOW + second, NOW) == "in less than a minute"


def test_relative_times_across_time_zones() -> None:
    """Times in different time zones are compared as they are."""
    local = (NOW - timedelta(hours=3)).astimezone(timezone(timedelta(hours=-5)))

    assert relative_time(local, NOW) == "3 hours ago"


@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        (NOW - timedelta(days=800), "expired 2 years ago"),
        (NOW, "expired just now"),
        (NOW + timedelta(days=3), "expires in 3 days"),
        (NOW + timedelta(seconds=1), "expires in less than a minute"),
        (None, "never"),
    ],
)
def test_expiry(expires: datetime | None, expected: str) -> None:
    """The expiry of a token is past, future or never."""
    assert describe_expiry(ApiToken(id="1", expiration_date=expires), NOW) == expected


def test_unreadable_expiry() -> None:
    """The expiry of a token with an unreadable date is unknown."""
    unreadable = ApiToken(id="1", unreadable=frozenset({"expiration_date"}))

    assert describe_expiry(unreadable, NOW) == "unknown"


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("ci-ingest", 9, "ci-ingest"),
        ("ci-ingest", 8, "ci-inge…"),
        ("ci ingest", 4, "ci…"),
        ("漢字漢字", 8, "漢字漢字"),
        ("漢字漢字", 7, "漢字漢…"),
        ("漢字漢字", 6, "漢字…"),
        ("ab", 1, "…"),
        ("ab", 0, ""),
        ("", 0, ""),
    ],
)
def test_ellipsis(text: str, width: int, expected: str) -> None:
    """A string is shortened to a number of terminal cells, and a wide character takes two."""
    assert ellipsis(text, width) == expected


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 owners"), (1, "1 owner"), (2000, "2,000 owners")]
)
def test_numbers(number: int, expected: str) -> None:
    """A number has the right plural of its noun."""
    assert format_number(number, "owner") == expected


def test_format_size() -> None:
    """A number of bytes has the largest unit that is not more than it."""
    sizes = (0, 1, 999, 1000, 12_345, 4_000_000, 2_500_000_000)
    expected = ["0 bytes", "1 byte", "999 bytes", "1.0 kB", "12.3 kB", "4.0 MB", "2,500.0 MB"]
    assert [format_size(size) for size in sizes] == expected


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (timedelta(seconds=50), "0m"),
        (timedelta(minutes=3), "3m"),
        (timedelta(hours=23), "23h"),
        (timedelta(days=29), "29d"),
        (timedelta(days=359), "11mo"),
        (timedelta(days=365_000), "1,000y"),
    ],
)
def test_short_times(span: timedelta, expected: str) -> None:
    """A short relative time has a unit of one or two letters."""
    assert short_amount(span) == expected
    assert short_relative_time(NOW - span, NOW) == f"{expected} ago"
    assert short_relative_time(NOW + span, NOW) == f"in {expected}"


def test_datetimes_for_programs() -> None:
    """A datetime for other programs is in UTC and has the form of ISO 8601."""
    late = datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5)))

    assert format_iso(late) == "2026-03-02T04:30:00Z"


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("", 10, [""]),
        ("one two three", 13, ["one two three"]),
        ("one two three", 12, ["one two", "three"]),
        ("one two three", 3, ["one", "two", "three"]),
        ("  one two three", 9, ["  one two", "  three"]),
        ("a  b c", 5, ["a  b", "c"]),
        ("use `tokens apply x` now", 12, ["use", "`tokens apply x`", "now"]),
        ("to go on: losant-tokens x y", 12, ["to go on:", "losant-tokens x y"]),
        ("漢字 漢字", 8, ["漢字", "漢字"]),
        ("one  ", 4, ["one"]),
    ],
)
def test_lines_break_between_words(text: str, width: int, expected: list[str]) -> None:
    """A long line breaks between words, keeps its indent, and never breaks a command."""
    assert wrapped(text, width) == expected


def test_lines_have_an_indent() -> None:
    """Each line except the first can have an indent of its own."""
    assert wrapped("one two three", 8, "   ") == ["one two", "   three"]
