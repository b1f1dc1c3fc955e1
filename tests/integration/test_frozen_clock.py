"""Tests of users that freeze or move the clock: nothing hangs, and no token looks expired."""

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
import time_machine

from losant_tokens import AsyncClient, RetryPolicy, aiohttp_transport, errors, httpx_transport
from losant_tokens.testing import FakeLosant

FROZEN = datetime(2030, 1, 1, tzinfo=UTC)
QUICK = RetryPolicy(base=0.001, cap=0.01)


@pytest.mark.parametrize("tick", [True, False], ids=["ticking", "frozen"])
@pytest.mark.parametrize("make", [httpx_transport, aiohttp_transport])
async def test_retries(make: Any, tick: bool) -> None:
    """Retries and pauses end if time_machine moves or freezes the clock, over both pools."""
    fake = FakeLosant()
    token = fake.add_token("ci")
    with time_machine.travel(FROZEN, tick=tick), fake.serve() as base_url:
        admin = fake.access_token(expires=FROZEN + timedelta(minutes=1))
        async with AsyncClient(
            admin, base_url=base_url, transport=make(), retry=QUICK, timeout=10
        ) as client:
            fake.fail(status=503)
            fake.fail(status=503, headers={"Retry-After": "Tue, 01 Jan 2030 00:00:00 GMT"})
            with anyio.fail_after(20):
                found = await client.user_api_token.get(token.id)
    assert ("ci", 3) == (found.name, len(fake.requests))


@pytest.mark.parametrize("years", [-20, 20], ids=["behind", "ahead"])
async def test_a_clock_that_differs_from_the_server(years: int) -> None:
    """A frozen clock makes no valid token look expired, and no expired token look valid."""
    fake = FakeLosant(now=lambda: FROZEN)
    valid = fake.access_token(expires=FROZEN + timedelta(minutes=1))
    expired = fake.access_token(expires=FROZEN - timedelta(minutes=1))
    with time_machine.travel(FROZEN.replace(year=FROZEN.year + years), tick=False):
        async with AsyncClient(valid, transport=fake.transport()) as client:
            await client.user_api_tokens.get()
            server_time = client.server_time()
        async with AsyncClient(expired, transport=fake.transport()) as client:
            with pytest.raises((errors.TokenExpired, errors.Unauthorized)):
                await client.user_api_tokens.get()
    assert server_time is not None
    assert abs(server_time - FROZEN) <= timedelta(seconds=1)
