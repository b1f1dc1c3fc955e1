"""The modules that the command imports at start-up."""

import re
import subprocess
import sys

import pytest

from losant_tokens.cli._completion.known_tokens import known_tokens
from losant_tokens.testing import FakeLosant


def modules_after(*arguments: str) -> set[str]:
    """Return the modules that a process has imported after a command."""
    code = (
        "import sys\n"
        "from losant_tokens.cli._main import run\n"
        f"run({arguments!r})\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("cleanup", "--help")])
def test_help_imports_nothing_slow(arguments: tuple[str, ...]) -> None:
    """Help and version import neither the client nor its dependencies."""
    slow = {"anyio", "asyncio", "cattrs", "httpx", "stamina", "losant_tokens._client"}

    assert modules_after(*arguments) & (slow | {"losant_tokens.jobs"}) == set()


@pytest.mark.parametrize("words", [("clean",), ("cleanup", "--ow"), ("plan", "--has-scope", "a")])
def test_completion_imports_nothing_slow(words: tuple[str, ...]) -> None:
    """A TAB that needs no tokens imports neither the client nor rich."""
    slow = {"anyio", "asyncio", "cattrs", "httpx", "losant_tokens._client", "rich.console"}

    assert modules_after("__complete", "zsh", *words) & (slow | {"losant_tokens.jobs"}) == set()


def test_cached_tokens_import_nothing_slow(fake: FakeLosant, service: str) -> None:
    """A TAB for tokens that are cached does not import the client."""
    known_tokens("user")

    modules = modules_after("__complete", "zsh", "show", "")

    assert modules & {"anyio", "asyncio", "httpx", "losant_tokens._client"} == set()


def test_help_imports_no_command() -> None:
    """The list of commands is printed without importing any of them."""
    modules = modules_after("--help")

    assert [one for one in modules if re.match(r"losant_tokens\.cli\.commands\.", one)] == []


@pytest.mark.parametrize(
    "arguments", [("runs", "list"), ("fleet", "runs"), ("policy", "schema")], ids=" ".join
)
def test_no_client_without_a_request(arguments: tuple[str, ...]) -> None:
    """A command that sends no request imports neither the client nor the functions that plan."""
    slow = {"cattrs", "httpx", "losant_tokens._client", "losant_tokens.jobs._plan.planner"}

    assert modules_after(*arguments) & (slow | {"losant_tokens.jobs._report.report"}) == set()
