"""The fixtures, in runs of pytest of their own."""

import importlib.metadata
import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest

from losant_tokens.testing import pytest_plugin

pytestmark = pytest.mark.usefixtures("measured_processes")

TEST = """
    import pytest

    {mark}
    async def test_it(losant_client, fake_losant):
        fake_losant.add_token("ci-1")
        page = await losant_client.user_api_tokens.get()
        assert [token.name for token in page.items] == ["ci-1"]
        assert [request.path for request in fake_losant.requests] == ["/me/tokens"]

    def test_each_has_its_own(fake_losant):
        assert fake_losant.tokens() == ()
"""


@pytest.mark.sweep(sample=2)
@pytest.mark.parametrize(
    ("mark", "arguments"),
    [
        ("@pytest.mark.asyncio", ["-o", "asyncio_mode=strict"]),
        ("", ["-o", "asyncio_mode=auto"]),
        ("@pytest.mark.anyio", ["-p", "no:asyncio"]),
        ("@pytest.mark.anyio", ["-o", "asyncio_mode=strict"]),
    ],
)
@pytest.mark.slow
def test_fixtures(pytester: pytest.Pytester, mark: str, arguments: list[str]) -> None:
    """The fixtures work in both modes of pytest-asyncio, and with the anyio plugin."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(TEST.format(mark=mark))

    result = pytester.runpytest_subprocess(*_plugin(), *arguments)

    outcomes = result.parseoutcomes()
    assert outcomes.pop("passed") >= 2
    assert set(outcomes) <= {"warning", "warnings"}


@pytest.mark.slow
def test_fake_losant(pytester: pytest.Pytester) -> None:
    """Each test gets a new fake."""
    pytester.makepyfile(
        """
        def test_one(fake_losant):
            fake_losant.add_token()

        def test_two(fake_losant):
            assert fake_losant.tokens() == ()
        """
    )

    pytester.runpytest_subprocess(*_plugin()).assert_outcomes(passed=2)


PLAIN = """
    async def test_it(losant_client, fake_losant):
        await losant_client.user_api_token.delete(fake_losant.add_token("x").id)
"""
MARKED = """
    import pytest

    pytestmark = pytest.mark.asyncio(loop_scope="{scope}")
""" + PLAIN.replace("{", "{{")
IN_A_FIXTURE = """
    import pytest_asyncio

    @pytest_asyncio.fixture
    async def token(losant_client, fake_losant):
        return await losant_client.user_api_token.get(fake_losant.add_token("x").id)

    async def test_it(losant_client, token):
        await losant_client.user_api_token.delete(token.id)
"""
FIXTURES, TESTS = "asyncio_default_fixture_loop_scope", "asyncio_default_test_loop_scope"


MARKED_AS = {scope: MARKED.format(scope=scope) for scope in ("function", "module", "session")}


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        ({FIXTURES: "session"}, (PLAIN, MARKED_AS["module"])),
        *(
            pytest.param(settings, texts, marks=pytest.mark.slow)
            for settings, texts in (
                ({FIXTURES: "function"}, (PLAIN, MARKED_AS["session"], IN_A_FIXTURE)),
                ({FIXTURES: "function", TESTS: "session"}, (PLAIN, MARKED_AS["function"])),
                ({FIXTURES: "session", TESTS: "session"}, (PLAIN, IN_A_FIXTURE)),
                ({FIXTURES: "session", TESTS: "module"}, (PLAIN,)),
            )
        ),
    ],
)
def test_loop_scopes(
    pytester: pytest.Pytester, settings: dict[str, str], texts: tuple[str, ...]
) -> None:
    """The client works in the test's loop, with any loop settings of pytest-asyncio."""
    options = "\n".join(f"{name} = {value}" for name, value in settings.items())
    pytester.makeini(f"[pytest]\nasyncio_mode = auto\n{options}\n")
    pytester.makepyfile(**{f"test_{number}": text for number, text in enumerate(texts)})

    pytester.runpytest_subprocess(*_plugin()).assert_outcomes(passed=len(texts))


@pytest.mark.parametrize("error", [KeyError, ValueError])
def test_missing_setting(error: type[Exception]) -> None:
    """With an old pytest-asyncio, which has no setting for it, each test has its own loop."""

    class Config:
        def getini(self, name: str) -> str:
            raise error(name)

    class Node:
        def get_closest_marker(self, name: str) -> None:
            return None

    request: Any = SimpleNamespace(node=Node(), config=Config())
    assert pytest_plugin._loop_scope(request) == "function"


def test_without_pytest_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pytest-asyncio, the fixtures are those of pytest."""
    find = importlib.util.find_spec

    def find_no_pytest_asyncio(name: str, *args: Any) -> Any:
        return None if name == "pytest_asyncio" else find(name, *args)

    monkeypatch.setattr(importlib.util, "find_spec", find_no_pytest_asyncio)

    fixture = pytest_plugin._client_fixture("session")
    assert type(fixture) is type(pytest_plugin.fake_losant)
    assert not hasattr(fixture, "_loop_scope")


def _plugin() -> list[str]:
    """Return the options that load the plugin, and leave out slow plugins without a part in it."""
    fast = ["--assert=plain", "-p", "no:hypothesispytest", "-p", "no:xdist"]
    # If the package is installed, its entry point has registered the plugin already.
    if any(
        point.value == "losant_tokens.testing.pytest_plugin"
        for point in importlib.metadata.entry_points(group="pytest11")
    ):
        return fast
    return [*fast, "-p", "losant_tokens.testing.pytest_plugin"]
