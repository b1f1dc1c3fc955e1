"""The message about tokens that expire."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import groupby
from typing import Any

from losant_tokens.notices._expiring import ExpiringToken
from losant_tokens.sinks import Message

MAX_TOKENS = 500
"""The number of tokens in a message. A longer one would be refused, or read by nobody."""

_ADVICE = "An expiration date cannot be changed: replace a token before it expires."
_UNITS = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
)


def expiry_message(tokens: Iterable[ExpiringToken]) -> Message:
    """Return one message about tokens that expire soon or have expired, grouped by owner.

    It names the 500 tokens that expire first, and counts the others. Its id depends only on the
    notices in it.

    Args:
        tokens: The tokens.
    """
    ordered = _ordered(tokens)
    shown = sorted(ordered[:MAX_TOKENS], key=_place)
    left_out = len(ordered) - len(shown)
    lines = list(_lines(shown))
    if left_out:
        lines += ["", f"... and {_counted(left_out, 'more token')}"]
    if not all(one.has_expired for one in ordered):
        lines += ["", _ADVICE]
    digest = sha256("".join(one.notice_id for one in ordered).encode())
    return Message(
        id=digest.hexdigest()[:32],
        title=_title(ordered),
        lines=lines,
        data={
            "kind": "expiring-tokens",
            "count": len(ordered),
            "leftOut": left_out,
            "tokens": [_document(one) for one in shown],
        },
    )


def named_in_message(tokens: Iterable[ExpiringToken]) -> tuple[ExpiringToken, ...]:
    """Return the tokens that a message about these tokens names, the first to expire first."""
    return _ordered(tokens)[:MAX_TOKENS]


def _ordered(tokens: Iterable[ExpiringToken]) -> tuple[ExpiringToken, ...]:
    return tuple(sorted(tokens, key=lambda one: (one.expires_at, one.token_id)))


def _title(tokens: Sequence[ExpiringToken]) -> str:
    expired = sum(one.has_expired for one in tokens)
    soon = len(tokens) - expired
    within = _span(max((one.threshold for one in tokens), default=timedelta(0)))
    verb = "expires" if soon == 1 else "expire"
    if not expired:
        return f"{_counted(soon, 'Losant API token')} {verb} within {within}"
    has_expired = "has expired" if expired == 1 else "have expired"
    title = f"{_counted(expired, 'Losant API token')} {has_expired}"
    return f"{title}, and {soon:,} {verb} within {within}" if soon else title


def _place(one: ExpiringToken) -> tuple[str, str, str]:
    return one.account, one.base_url, str(one.owner)


def _lines(tokens: Iterable[ExpiringToken]) -> Iterator[str]:
    """Return a heading for each owner, with a line for each of its tokens."""
    for number, ((account, base_url, owner), group) in enumerate(groupby(tokens, key=_place)):
        if number:
            yield ""
        heading = f"{account}, {owner}" if account else owner
        yield f"{heading} ({base_url}):"
        for one in group:
            yield f"- {_line(one)}"


def _line(one: ExpiringToken) -> str:
    span = _span(abs(one.remaining))
    when = f"expired {span} ago" if one.has_expired else f"expires in {span}"
    facts = [f'"{one.name}" ({one.token_id}) {when}, on {_time(one.expires_at)}']
    if one.creator is not None:
        facts.append(f"created by {one.creator}")
    if one.last_seen is not None:
        facts.append(f"last seen changing something on {_time(one.last_seen)}")
    return "; ".join(facts)


def _document(one: ExpiringToken) -> dict[str, Any]:
    """Return a token as JSON has it."""
    return {
        "noticeId": one.notice_id,
        "account": one.account or None,
        "baseUrl": one.base_url,
        "owner": str(one.owner),
        "id": one.token_id,
        "name": one.name,
        "expirationDate": _iso(one.expires_at),
        "expired": one.has_expired,
        "within": None if one.has_expired else _span(one.threshold),
        "creator": one.creator,
        "lastSeen": None if one.last_seen is None else _iso(one.last_seen),
    }


def _span(span: timedelta) -> str:
    """Return a duration in its largest unit: `6 days`."""
    for unit, size in _UNITS:
        if span >= size:
            return _counted(span // size, unit)
    return "less than a minute"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _iso(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
