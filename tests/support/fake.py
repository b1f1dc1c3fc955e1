"""A fake with a fixed time, and a client for it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from losant_tokens.testing import FakeLosant

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def fake() -> FakeLosant:
    return FakeLosant(now=lambda: NOW)


@pytest.fixture
async def client(fake: FakeLosant) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=fake.transport(),
        base_url="https://api.losant.com",
        headers={"Authorization": f"Bearer {fake.admin_token}"},
        timeout=1.0,
    ) as client:
        yield client
