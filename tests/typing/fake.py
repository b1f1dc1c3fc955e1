"""The types of the fake."""

from datetime import datetime, timedelta
from typing import assert_type

import httpx
import httpx2

from losant_tokens.testing import (
    FakeAccount,
    FakeAuditLog,
    FakeLosant,
    FakeOwner,
    FakeToken,
    FakeUser,
    Fault,
    RecordedRequest,
    SeedSummary,
    Serving,
)


async def fake() -> None:
    fake = FakeLosant(page_cap=50)
    assert_type(fake.admin_token, str)
    assert_type(fake.user_id, str)
    token = fake.add_token("ci-1", scope=["all.User.read"], status="inactive")
    assert_type(token, FakeToken)
    assert_type(token.secret, str)
    assert_type(token.expiration_date, datetime | None)
    assert_type(fake.tokens(), tuple[FakeToken, ...])
    assert_type(fake.add_user("ada@example.com", "a password"), FakeUser)
    assert_type(fake.access_token(["all.User.read"]), str)
    assert_type(fake.seed(100, seed=7), SeedSummary)
    assert_type(fake.seed_account(100, seed=7), FakeAccount)
    assert_type(fake.seed_account().own_token, FakeToken | None)
    assert_type(fake.seed_account().owners, tuple[FakeOwner, ...])
    assert_type(fake.add_audit_log(token.id, source="instance:" + "a" * 24), FakeAuditLog)
    fake.add_owner("application:" + "a" * 24, "Greenhouse")
    assert_type(fake.audit_logs(), tuple[FakeAuditLog, ...])
    assert_type(fake.organization_id, str)
    assert_type(fake.clock_offset, timedelta)
    assert_type(fake.requests, tuple[RecordedRequest, ...])
    assert_type(fake.requests[0].status, int | None)
    assert_type(fake.fail("latency", seconds=0.2, max_seconds=0.3, times=None), Fault)
    assert_type(Fault.parse("503:2%"), Fault)
    assert_type(Fault.parse_latency("50ms"), Fault)
    httpx.AsyncClient(transport=fake.transport())
    httpx2.AsyncClient(transport=fake.transport())
    assert_type(fake.serve(), Serving)
    with fake.serve() as base_url:
        assert_type(base_url, str)
    async with fake.serve() as base_url:
        assert_type(base_url, str)


def mistakes() -> None:
    fake = FakeLosant()
    fake.add_token("ci-1", "user")  # type: ignore[call-arg]
    fake.add_token(status="deleted")  # type: ignore[arg-type]
    fake.fail("explode")  # type: ignore[arg-type]
    fake.tokens().append(fake.add_token())  # type: ignore[attr-defined]
