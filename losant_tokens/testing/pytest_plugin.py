"""Pytest fixtures `fake_losant` and `losant_client`, for pytest-asyncio and the anyio plugin.

pytest imports this module in every run, even if no test uses the fixtures and if the extra is not
installed. So it imports only pytest until a test uses a fixture.
"""

import importlib.util
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from losant_tokens import AsyncClient
    from losant_tokens.testing import FakeLosant

_LOOP_SCOPES = ("function", "class", "module", "package", "session")


@pytest.fixture
def fake_losant() -> "FakeLosant":
    """Return a new `FakeLosant` for each test."""
    from losant_tokens.testing import FakeLosant  # noqa: PLC0415  -- see the module's docstring

    return FakeLosant()


# A client belongs to the event loop that opened it, so it must be opened in the loop of the test.
# pytest-asyncio runs fixtures in a loop of their own scope, which can differ from the loop of the
# test. So there is one fixture for each scope, and the loop of the test decides which one is used.
@pytest.fixture
def losant_client(request: pytest.FixtureRequest) -> "AsyncClient":
    """Return an open `AsyncClient` for the test's `fake_losant`, with all permissions."""
    client: AsyncClient = request.getfixturevalue(f"_losant_client_{_loop_scope(request)}")
    return client


def _loop_scope(request: pytest.FixtureRequest) -> str:
    """Return the scope of the loop that pytest-asyncio runs the test in."""
    mark = request.node.get_closest_marker("asyncio")
    # The argument was named "scope" before pytest-asyncio 0.24.
    given = {} if mark is None else mark.kwargs
    scope = given.get("loop_scope") or given.get("scope")
    if scope is None:
        try:
            scope = request.config.getini("asyncio_default_test_loop_scope")
        except (KeyError, ValueError):
            scope = None
    return scope if scope in _LOOP_SCOPES else "function"


def _client_fixture(loop_scope: str) -> Any:
    """Return a fixture with a client that is open in the loop of a scope.

    In strict mode, pytest-asyncio only runs its own fixtures. The anyio plugin runs the fixtures of
    pytest, in tests that use that plugin.
    """

    # Each fixture needs its own function, because pytest-asyncio stores the scope on it.
    async def client_in_loop(fake_losant: "FakeLosant") -> AsyncIterator["AsyncClient"]:
        from losant_tokens import AsyncClient  # noqa: PLC0415  -- see the module's docstring

        token, transport = fake_losant.admin_token, fake_losant.transport()
        async with AsyncClient(token, transport=transport) as client:
            yield client

    name = f"_losant_client_{loop_scope}"
    if importlib.util.find_spec("pytest_asyncio") is None:
        return pytest.fixture(name=name)(client_in_loop)
    pytest_asyncio = importlib.import_module("pytest_asyncio")
    return pytest_asyncio.fixture(loop_scope=loop_scope, name=name)(client_in_loop)


_in_function_loop = _client_fixture("function")
_in_class_loop = _client_fixture("class")
_in_module_loop = _client_fixture("module")
_in_package_loop = _client_fixture("package")
_in_session_loop = _client_fixture("session")
