"""Lengths of time as strings."""

from datetime import timedelta

import pytest

from losant_tokens import parse_duration


@pytest.mark.parametrize(("text", "days"), [("1mo", 30), ("12mo", 360), ("1y", 365), ("04w", 28)])
def test_months_and_years(text: str, days: int) -> None:
    """A month has 30 days and a year 365, on each date."""
    assert parse_duration(text) == timedelta(days=days)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("90", '"90" is not a duration: use hours, days, weeks, months or years'),
        ("3m", "such as 12h, 30d, 4w, 18mo or 2y; for months, write 3mo"),
        ("1.5y", '"1.5y" is not a duration'),
        ("x" * 50, f'"{"x" * 40}..." is not a duration'),
        ("365001d", '"365001d" is too long: the maximum is 365000d'),
        ("1001y", '"1001y" is too long: the maximum is 365000d'),
        ("9" * 30 + "d", "is too long"),
    ],
)
def test_invalid_durations(text: str, message: str) -> None:
    """An invalid duration is rejected with its shortened value and examples, or the maximum."""
    with pytest.raises(ValueError, match=r"duration|maximum") as caught:
        parse_duration(text)

    assert message in str(caught.value)
