"""Fixtures for whoever has this package and pytest: `fake_losant` and `losant_client`.

pytest imports this module in every run, whether the fixtures are used or not, and whether the extra
is installed or not. So it imports nothing but pytest until a fixture is asked for.
"""

import importlib.util
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from losant_tokens import AsyncClient
    from losant_tokens.testing import FakeLosant


def _async_fixture() -> Callable[[Any], Any]:
    """Choose the mark by which an asynchronous fixture is known to whoever runs it.

    pytest-asyncio in its strict mode runs its own fixtures only. The anyio plugin runs pytest's, in
    tests that use it.
    """
    if importlib.util.find_spec("pytest_asyncio") is None:
        return pytest.fixture
    pytest_asyncio = importlib.import_module("pytest_asyncio")
    mark: Callable[[Any], Any] = pytest_asyncio.fixture
    return mark


@pytest.fixture
def fake_losant() -> "FakeLosant":
    """Give a fresh `FakeLosant` to each test."""
    from losant_tokens.testing import FakeLosant  # noqa: PLC0415  -- see the module's docstring

    return FakeLosant()


@_async_fixture()
async def losant_client(fake_losant: "FakeLosant") -> AsyncIterator["AsyncClient"]:
    """Give an open `AsyncClient` that may do everything at the test's `fake_losant`."""
    from losant_tokens import AsyncClient  # noqa: PLC0415  -- likewise

    async with AsyncClient(fake_losant.admin_token, transport=fake_losant.transport()) as client:
        yield client
