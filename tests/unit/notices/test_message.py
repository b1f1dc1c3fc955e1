"""The message about tokens that expire."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from losant_tokens import Owner
from losant_tokens.notices import ExpiringToken, expiry_message

NOW = datetime(2031, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
APPLICATION = Owner.application("575ec8687ae143cd83dc4a97")


def expiring(name: str, remaining: timedelta, **members: Any) -> ExpiringToken:
    return ExpiringToken(
        **{
            "base_url": "https://api.losant.com",
            "owner": Owner.user(),
            "token_id": name.encode().hex().ljust(24, "0")[:24],
            "name": name,
            "expires_at": NOW + remaining,
            "remaining": remaining,
            "threshold": 7 * DAY if remaining > 0 * DAY else 0 * DAY,
            **members,
        }
    )


def test_message() -> None:
    """A message groups tokens by account and owner, and says when each expires."""
    message = expiry_message(
        [
            expiring("deploy", 6 * DAY + DAY / 2, creator="Jo\x1b[2J", last_seen=NOW - DAY),
            expiring("bot", timedelta(hours=1), account="prod", owner=APPLICATION),
            expiring("old", -2 * DAY),
        ]
    )

    assert message.text == (
        "1 Losant API token has expired, and 2 expire within 7 days\n"
        "\n"
        "user (https://api.losant.com):\n"
        '- "old" (6f6c64000000000000000000) expired 2 days ago, on 2031-02-27 12:00 UTC\n'
        '- "deploy" (6465706c6f79000000000000) expires in 6 days, on 2031-03-08 00:00 UTC; '
        "created by Jo\\x1b[2J; last seen changing something on 2031-02-28 12:00 UTC\n"
        "\n"
        "prod, application:575ec8687ae143cd83dc4a97 (https://api.losant.com):\n"
        '- "bot" (626f74000000000000000000) expires in 1 hour, on 2031-03-01 13:00 UTC\n'
        "\n"
        "An expiration date cannot be changed: replace a token before it expires."
    )


def test_document() -> None:
    """The document has the same facts for programs."""
    one = expiring("bot", 6 * DAY, last_seen=NOW)
    message = expiry_message([one, expiring("old", -DAY)])

    assert (message.data["kind"], message.data["count"], message.data["leftOut"]) == (
        *("expiring-tokens", 2),
        0,
    )
    assert next(token for token in message.data["tokens"] if token["name"] == "bot") == {
        "noticeId": one.notice_id,
        "account": None,
        "baseUrl": "https://api.losant.com",
        "owner": "user",
        "id": "626f74000000000000000000",
        "name": "bot",
        "expirationDate": "2031-03-07T12:00:00Z",
        "expired": False,
        "within": "7 days",
        "creator": None,
        "lastSeen": "2031-03-01T12:00:00Z",
    }


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([DAY], "1 Losant API token expires within 7 days"),
        ([DAY, DAY * 2], "2 Losant API tokens expire within 7 days"),
        ([-DAY], "1 Losant API token has expired"),
        ([-DAY, -DAY * 2], "2 Losant API tokens have expired"),
        ([-DAY, -DAY * 2, DAY], "2 Losant API tokens have expired, and 1 expires within 7 days"),
    ],
)
def test_title(spans: list[timedelta], expected: str) -> None:
    """The title counts the tokens in the singular and in the plural."""
    tokens = [expiring(str(number), span) for number, span in enumerate(spans)]

    assert expiry_message(tokens).title == expected


@pytest.mark.parametrize(
    ("remaining", "expected"),
    [
        (timedelta(seconds=5), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=23, minutes=59), "23 hours"),
    ],
)
def test_short_spans(remaining: timedelta, expected: str) -> None:
    """A short time is shown in a smaller unit."""
    assert f"expires in {expected}, on" in expiry_message([expiring("a", remaining)]).text


def test_many_tokens() -> None:
    """A message names the 500 tokens that expire first, and counts the others."""
    tokens = [expiring(str(number), DAY + timedelta(seconds=number)) for number in range(502)]
    message = expiry_message(reversed(tokens))

    assert (message.data["count"], message.data["leftOut"]) == (502, 2)
    assert len(message.data["tokens"]) == 500
    assert '"499" (' in message.text
    assert '"500" (' not in message.text
    assert "\n\n... and 2 more tokens\n" in message.text


def test_id_depends_on_the_notices() -> None:
    """The id of a message stays the same if the message is made again later."""
    one, other = expiring("a", DAY), expiring("b", 2 * DAY)
    later = attrs.evolve(one, remaining=DAY / 2, account="renamed")

    assert expiry_message([one, other]).id == expiry_message([other, later]).id
    assert expiry_message([one, other]).id != expiry_message([one]).id
