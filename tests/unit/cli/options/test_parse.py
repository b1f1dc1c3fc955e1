"""Values from the command line."""

import os
from datetime import UTC, datetime, timedelta, timezone

import pytest

from losant_tokens import Owner, parse_duration
from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._options.parse import (
    format_age,
    read_expiry,
    read_owner,
    read_token_ids,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("never", None),
        ("12h", NOW + timedelta(hours=12)),
        ("90d", NOW + timedelta(days=90)),
        ("4w", NOW + timedelta(weeks=4)),
        ("18mo", NOW + timedelta(days=540)),
        ("2y", NOW + timedelta(days=730)),
        ("2030-01-01", datetime(2030, 1, 1, tzinfo=UTC)),
        (
            "2030-01-01T00:00:00+02:00",
            datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=2))),
        ),
    ],
)
def test_expiry(text: str, expected: datetime | None) -> None:
    """An expiration date is a time from now, a date in UTC, or never."""
    assert read_expiry(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "90", "90m", "d", "-1d", "tomorrow", "9" * 30 + "d", "٣d"])
def test_invalid_expiry(text: str) -> None:
    """Any other string is rejected with examples of valid ones."""
    with pytest.raises(ValueError, match="is not an expiration date: use a time from now such as"):
        read_expiry(text, NOW)


@pytest.mark.parametrize("text", ["0d", "2026-03-01", "2026-03-01T12:00Z"])
def test_expiry_in_the_past(text: str) -> None:
    """An expiration date in the past is rejected, because the token would never work."""
    with pytest.raises(ValueError, match="is in the past"):
        read_expiry(text, NOW)


def test_expiry_ignores_the_local_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A date without a time zone is in UTC, independent of the local time zone."""
    monkeypatch.setitem(os.environ, "TZ", "Pacific/Auckland")

    assert read_expiry("2030-01-01", NOW) == datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["12h", "30d", "4w", "0h", "18mo", "2y"])
def test_durations(text: str) -> None:
    """A formatted duration is read as the same duration."""
    assert parse_duration(format_age(parse_duration(text))) == parse_duration(text)


@pytest.mark.parametrize(
    "text", ["user", "oauth", f"application:{'a' * 24}", f"instance:{'1' * 24}"]
)
def test_owners(text: str) -> None:
    """An owner is read from its string form."""
    assert read_owner(text) == Owner.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("me", '"me" is not an owner: use user, oauth, application:ID or instance:ID'),
        ("application:12", '"application:12" is not an owner: an ID has 24 hexadecimal digits'),
        ("instance", '"instance" is not an owner: an ID has 24 hexadecimal digits'),
        ("x" * 50, f'"{"x" * 40}..." is not an owner'),
    ],
)
def test_invalid_owners(text: str, message: str) -> None:
    """An invalid owner is rejected with the forms that are allowed."""
    with pytest.raises(ValueError, match="is not an owner") as caught:
        read_owner(text)

    assert message in str(caught.value)


def test_token_ids_are_normalized() -> None:
    """Token ids are in lower case, and each one occurs once."""
    assert read_token_ids(["A" * 24, "b" * 24, "a" * 24]) == ["a" * 24, "b" * 24]


@pytest.mark.parametrize("value", ["", "a" * 23, "g" * 24, "٣" * 24])
def test_invalid_token_ids(value: str) -> None:
    """A value that is not a token id is a usage error."""
    with pytest.raises(UsageError, match="is not a token id: an id has 24 hexadecimal digits"):
        read_token_ids([value])
