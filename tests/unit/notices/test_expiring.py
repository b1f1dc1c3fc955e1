"""Finding the tokens that expire soon."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from losant_tokens import AsyncClient, Owner, jobs
from losant_tokens.errors import ValidationError
from losant_tokens.notices import ExpiringToken, NoticeWarning, find_expiring, with_last_seen
from losant_tokens.testing import FakeLosant
from tests.support.audit_log_server import NOW as LOG_NOW
from tests.support.audit_log_server import ORG, AuditLogServer
from tests.support.jobs import client_of

NOW = datetime(2031, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WITHIN = [30 * DAY, DAY, 7 * DAY]
APPLICATION = "575ec8687ae143cd83dc4a97"


def fake_with(**expiring: timedelta) -> FakeLosant:
    """Return a fake in the year 2031 with tokens that expire after these spans."""
    fake = FakeLosant(now=lambda: NOW)
    for name, span in expiring.items():
        fake.add_token(name, expiration_date=NOW + span, creator_name="Jo")
    return fake


async def test_thresholds() -> None:
    """Each token has the shortest threshold that it has reached, by the server's time."""
    fake = fake_with(
        later=31 * DAY,
        month=29 * DAY,
        week=6 * DAY,
        day=DAY / 2,
        expired=-DAY,
        long_expired=-31 * DAY,
    )
    fake.add_token("never")
    fake.add_token("inactive", expiration_date=NOW + DAY, status="inactive")
    async with client_of(fake) as client:
        found = await find_expiring(client, within=WITHIN, account="prod")

    assert [(one.name, one.threshold / DAY, one.has_expired) for one in found] == [
        ("expired", 0, True),
        ("day", 1, False),
        ("week", 7, False),
        ("month", 30, False),
    ]
    assert (found[2].account, found[2].creator, found[2].owner) == ("prod", "Jo", Owner.user())
    assert abs(found[2].remaining - 6 * DAY) < timedelta(seconds=5)
    assert found[2].base_url == client.base_url


async def test_owners_and_rule() -> None:
    """Tokens of all owners are found once each, if the rule selects them."""
    fake = fake_with(ci=DAY, deploy=DAY)
    fake.add_token("ci-app", owner=f"application:{APPLICATION}", expiration_date=NOW + DAY)
    fake.add_token("ci-oauth", owner="oauth", expiration_date=NOW + DAY / 2)
    owners = [Owner.user(), Owner.application(APPLICATION), Owner.user_oauth(), Owner.user()]
    async with client_of(fake) as client:
        found = await find_expiring(client, owners, within=2 * DAY, select=jobs.named("ci*"))

    assert {(one.name, str(one.owner)) for one in found} == {
        ("ci", "user"),
        ("ci-app", f"application:{APPLICATION}"),
        ("ci-oauth", "oauth"),
    }


async def test_unreadable_date() -> None:
    """A date that cannot be read is a warning, because no notice can be given."""
    token = {"id": "a" * 24, "name": "ci", "status": "active", "expirationDate": "soon"}
    page = {"items": [token], "count": 1, "totalCount": 1, "page": 0, "perPage": 100}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=page))
    async with AsyncClient("t", base_url="https://fake.example", transport=transport) as client:
        with pytest.warns(NoticeWarning, match=f"date of token {'a' * 24} cannot be read"):
            assert await find_expiring(client, within=DAY) == ()


@pytest.mark.parametrize("within", [[], timedelta(0), [DAY, -DAY], ["30d"]])
async def test_within_is_checked(within: Any) -> None:
    """A threshold is a positive span."""
    async with client_of(FakeLosant()) as client:
        with pytest.raises(
            ValidationError, match=r"find_expiring\.within must be a timedelta"
        ) as info:
            await find_expiring(client, Owner.user(), within=within)
    assert str(info.value).endswith(f"but it is {within!r}")


def expiring(token_id: str, **members: Any) -> ExpiringToken:
    """Return a token that expires in a day."""
    return ExpiringToken(
        **{
            "base_url": "https://api.losant.com",
            "owner": Owner.user(),
            "token_id": token_id,
            "name": "ci",
            "expires_at": NOW + DAY,
            "remaining": DAY,
            "threshold": DAY,
            **members,
        }
    )


async def test_last_seen() -> None:
    """Audit logs show when a token last changed something."""
    server = AuditLogServer()
    server.add("a" * 24, LOG_NOW - DAY)
    async with AsyncClient(
        "t", base_url="https://fake.example", transport=server.transport()
    ) as client:
        tokens = [expiring("a" * 24), expiring("b" * 24)]
        seen = await with_last_seen(client, tokens, [f"org:{ORG}"])
        without_logs = await with_last_seen(client, tokens, [])

    assert [one.last_seen for one in seen] == [LOG_NOW - DAY, None]
    assert without_logs == tuple(tokens)


def test_notice_id() -> None:
    """A notice keeps its id, and another threshold or expiration date is another notice."""
    one = expiring("a" * 24)
    others = [
        expiring("a" * 24, threshold=7 * DAY),
        expiring("a" * 24, expires_at=NOW),
        expiring("b" * 24),
    ]

    assert one.notice_id == expiring("a" * 24, account="renamed", remaining=DAY / 2).notice_id
    assert one.notice_id not in {other.notice_id for other in others}
