"""The fixtures, in runs of pytest of their own."""

import importlib.metadata
import importlib.util
from typing import Any

import pytest

from losant_tokens.testing import pytest_plugin

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


@pytest.mark.parametrize(
    ("mark", "arguments"),
    [
        ("@pytest.mark.asyncio", ["-o", "asyncio_mode=strict"]),
        ("", ["-o", "asyncio_mode=auto"]),
        ("@pytest.mark.anyio", ["-p", "no:asyncio"]),
        ("@pytest.mark.anyio", ["-o", "asyncio_mode=strict"]),
    ],
)
def test_fixtures(pytester: pytest.Pytester, mark: str, arguments: list[str]) -> None:
    """The fixtures work in both modes of pytest-asyncio, and with the anyio plugin."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(TEST.format(mark=mark))

    result = pytester.runpytest_subprocess(*_plugin(), *arguments)

    outcomes = result.parseoutcomes()
    assert outcomes.pop("passed") >= 2
    assert set(outcomes) <= {"warning", "warnings"}


def test_fake_losant(pytester: pytest.Pytester) -> None:
    """A test that asks for the fake gets a fresh one."""
    pytester.makepyfile(
        """
        def test_one(fake_losant):
            fake_losant.add_token()

        def test_two(fake_losant):
            assert fake_losant.tokens() == ()
        """
    )

    pytester.runpytest_subprocess(*_plugin()).assert_outcomes(passed=2)


def test_without_pytest_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no pytest-asyncio, the fixtures are pytest's."""
    find = importlib.util.find_spec

    def find_no_pytest_asyncio(name: str, *args: Any) -> Any:
        return None if name == "pytest_asyncio" else find(name, *args)

    monkeypatch.setattr(importlib.util, "find_spec", find_no_pytest_asyncio)

    assert pytest_plugin._async_fixture() is pytest.fixture


def _plugin() -> list[str]:
    # Where the package is installed, its entry point has registered the plugin already.
    if any(
        point.value == "losant_tokens.testing.pytest_plugin"
        for point in importlib.metadata.entry_points(group="pytest11")
    ):
        return []
    return ["-p", "losant_tokens.testing.pytest_plugin"]
