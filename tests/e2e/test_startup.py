"""The modules that the command imports at start-up."""

import re
import subprocess
import sys

from losant_tokens.cli._completion.known_tokens import known_tokens
from losant_tokens.testing import FakeLosant


def modules_after(*lines: str) -> set[str]:
    """Return the modules that a process has imported after it has run commands."""
    code = (
        "import sys\n"
        "from losant_tokens.cli._main import run\n"
        f"for line in {lines!r}: run(line.split(' '))\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_imports_nothing_slow() -> None:
    """Help and version import neither the client nor its dependencies."""
    slow = {"anyio", "asyncio", "cattrs", "httpx", "stamina", "losant_tokens._client"}

    modules = modules_after("--version", "--help", "cleanup --help")

    assert modules & (slow | {"losant_tokens.jobs"}) == set()


def test_completion_imports_nothing_slow() -> None:
    """A TAB that needs no tokens imports neither the client nor rich."""
    slow = {"anyio", "asyncio", "cattrs", "httpx", "losant_tokens._client", "rich.console"}
    lines = ("clean", "cleanup --ow", "plan --has-scope a")

    modules = modules_after(*(f"__complete zsh {line}" for line in lines))

    assert modules & (slow | {"losant_tokens.jobs"}) == set()


def test_cached_tokens_import_nothing_slow(fake: FakeLosant, service: str) -> None:
    """A TAB for tokens that are cached does not import the client."""
    known_tokens("user")

    modules = modules_after("__complete zsh show ")

    assert modules & {"anyio", "asyncio", "httpx", "losant_tokens._client"} == set()


def test_help_imports_no_command() -> None:
    """The list of commands is printed without importing any of them."""
    modules = modules_after("--help")

    assert [one for one in modules if re.match(r"losant_tokens\.cli\.commands\.", one)] == []


def test_no_client_without_a_request() -> None:
    """A command that sends no request imports neither the client nor the functions that plan."""
    slow = {"cattrs", "httpx", "losant_tokens._client", "losant_tokens.jobs._plan.planner"}

    modules = modules_after("runs list", "fleet runs", "policy schema")

    assert modules & (slow | {"losant_tokens.jobs._report.report"}) == set()
