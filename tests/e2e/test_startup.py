"""The modules that the command imports at start-up."""

import re
import subprocess
import sys

import pytest


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


def test_help_imports_no_command() -> None:
    """The list of commands is printed without importing any of them."""
    modules = modules_after("--help")

    assert [one for one in modules if re.match(r"losant_tokens\.cli\.commands\.", one)] == []
