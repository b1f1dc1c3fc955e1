"""Read values from the command line: expiration dates, owners and token ids."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from losant_tokens import Owner, parse_duration
from losant_tokens.cli._errors import UsageError

_DURATION = re.compile(r"[0-9]+[a-z]+", re.ASCII)
_TOKEN_ID = re.compile(r"[0-9A-Fa-f]{24}", re.ASCII)
_MAX_SHOWN = 40


def read_expiry(text: str, now: datetime) -> datetime | None:
    """Return an expiration date.

    Args:
        text: `90d` (hours, days, weeks, months or years from now), `2030-01-01` (UTC), or `never`.
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
            f'"{_short(text)}" is not an expiration date: use a time from now such as '
            "12h, 30d, 4w, 18mo or 2y, a date such as 2030-01-01, or never"
        ) from None
    if expiry <= now:
        raise ValueError(f'"{_short(text)}" is in the past: the token would never work')
    return expiry


def _read_datetime(text: str, now: datetime) -> datetime:
    if _DURATION.fullmatch(text):
        return now + parse_duration(text)
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _short(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def format_age(age: timedelta) -> str:
    """Return a duration in hours, in the form that `parse_duration` accepts."""
    return f"{age // timedelta(hours=1)}h"


def read_owner(text: str) -> Owner:
    """Return an owner: `user`, `oauth`, `application:ID` or `instance:ID`.

    Raises:
        ValueError: The string has another form.
    """
    try:
        return Owner.parse(text)
    except ValueError:
        kind, _, _ = text.partition(":")
        forms = "an ID has 24 hexadecimal digits"
        if kind not in {"application", "instance"}:
            forms = "use user, oauth, application:ID or instance:ID"
        raise ValueError(f'"{_short(text)}" is not an owner: {forms}') from None


def checked_log(text: str) -> str:
    """Return the name of an audit log: `org:ID` or `instance:ID`.

    Raises:
        ValueError: The string has another form.
    """
    kind, _, id_ = text.partition(":")
    if kind not in {"org", "instance"}:
        raise ValueError(f'"{_short(text)}" is not an audit log: use org:ID or instance:ID')
    if not _TOKEN_ID.fullmatch(id_):
        raise ValueError(f'"{_short(text)}" is not an audit log: an ID has 24 hexadecimal digits')
    return text


def read_token_ids(values: Iterable[str]) -> list[str]:
    """Return token ids in lower case, each one once.

    Raises:
        UsageError: A value is not a token id.
    """
    values = [value.strip() for value in values]
    for value in values:
        if not _TOKEN_ID.fullmatch(value):
            raise UsageError(f"{value!r} is not a token id: an id has 24 hexadecimal digits")
    return list(dict.fromkeys(map(str.lower, values)))
