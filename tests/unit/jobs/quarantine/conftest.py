"""The fixtures of the tests of quarantines."""

from collections.abc import AsyncIterator

import pytest

from losant_tokens import AsyncClient
from losant_tokens.testing import FakeLosant
from tests.support.quarantines import Clock, fake_to_quarantine


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> FakeLosant:
    return fake_to_quarantine(clock)


@pytest.fixture
async def client(fake: FakeLosant) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(fake.admin_token, transport=fake.transport()) as client:
        yield client
