"""Prism, which reads the contract in its own way, as the API and in front of the fake."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from losant_tokens import AsyncClient, RetryPolicy, UserCredentials
from losant_tokens.testing import FakeLosant
from tests.contract.conftest import Stage, prism
from tests.contract.official_calls import add_token_for
from tests.integration.test_official_client import PAIRS, Ours

ONCE = RetryPolicy(attempts=1)
CREDENTIALS = UserCredentials("email@example.com", "this is the password", token_ttl=60)
OURS = [pytest.param(name, ours, id=name) for name, ours, _ in PAIRS]


@pytest.fixture(scope="module")
def mock(document: Path) -> Iterator[str]:
    """Prism in place of the API: it refuses what the contract does not allow."""
    with prism("mock", str(document)) as url:
        yield url


@pytest.fixture(scope="module")
def proxy(document: Path, stage: Stage) -> Iterator[str]:
    """Prism in front of the fake: it refuses requests and responses that the contract forbids."""
    with prism("proxy", "--errors", str(document), stage.base_url) as url:
        yield url


@pytest.mark.parametrize(("name", "ours"), OURS)
async def test_mock(mock: str, name: str, ours: Ours) -> None:
    """The client sends valid requests, and reads the contract's example of a response."""
    async with AsyncClient("a.b.c", base_url=mock, retry=ONCE) as client:
        assert await ours(client)


@pytest.mark.parametrize(("name", "ours"), OURS)
async def test_proxy(fake: FakeLosant, proxy: str, name: str, ours: Ours) -> None:
    """The client's requests and the fake's responses both match the contract."""
    add_token_for(fake, name)
    async with AsyncClient(fake.admin_token, base_url=proxy, retry=ONCE) as client:
        assert await ours(client)
    assert {request.status for request in fake.requests} <= {200, 201}


async def test_log_in(fake: FakeLosant, mock: str, proxy: str) -> None:
    """A user can log in to either of the two."""
    fake.add_user("email@example.com", "this is the password")
    for url in (mock, proxy):
        async with AsyncClient(base_url=url, retry=ONCE) as client:
            user = await client.auth.authenticate_user(CREDENTIALS)
            assert len(user.token.reveal()) > 10
