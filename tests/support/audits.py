"""Audits of a fake for tests."""

from collections.abc import Iterable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from losant_tokens import ApiToken, AsyncClient, Owner, audit
from losant_tokens.audit import AuditContext
from losant_tokens.testing import FakeLosant

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
USER = Owner.user()
APPLICATION = Owner.application("a" * 24)


def token(name: str = "ci", **members: Any) -> ApiToken:
    """Return a token without findings, unless the members lead to some."""
    defaults: dict[str, Any] = {
        "id": "1" * 24,
        "status": "active",
        "scope": ("device.get",),
        "creation_date": NOW - 10 * DAY,
        "last_updated": NOW - 5 * DAY,
        "expiration_date": NOW + 90 * DAY,
        "creator_id": "c" * 24,
        "creator_name": "ada",
    }
    return ApiToken(name=name, **(defaults | members))


def context(**members: Any) -> AuditContext:
    """Return the context of an audit of a user's tokens."""
    defaults: dict[str, Any] = {"account": "prod", "owner": USER, "now": NOW}
    return AuditContext(**(defaults | members))


def fake_at_now() -> FakeLosant:
    """Return a fake whose clock shows the same time always."""
    return FakeLosant(now=lambda: NOW)


def add(fake: FakeLosant, name: str, owner: Owner = USER, **members: Any) -> None:
    """Add a token without findings to a fake, unless the members lead to some."""
    defaults: dict[str, Any] = {
        "scope": ["device.get"],
        "creation_date": NOW - 10 * DAY,
        "last_updated": NOW - 5 * DAY,
        "expiration_date": NOW + 90 * DAY,
        "creator_id": "c" * 24,
        "creator_name": "ada",
    }
    fake.add_token(name, owner=str(owner), **(defaults | members))


def client_of(fake: FakeLosant, **settings: Any) -> AsyncClient:
    """Return a client that is not open, and reaches a fake in process."""
    return AsyncClient(
        fake.admin_token,
        **{"base_url": "https://fake.example", "transport": fake.transport(), **settings},
    )


async def audit_of(
    fake: FakeLosant, owners: Iterable[Owner] = (USER,), **settings: Any
) -> audit.Audit:
    """Return the audit of a fake as the account `prod`."""
    async with client_of(fake) as client:
        target = audit.Target(name="prod", client=nullcontext(client), owners=owners)
        return await audit.run([target], **settings)
