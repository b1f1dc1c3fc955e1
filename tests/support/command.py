"""Run the command in this process, against a fake on a loopback port."""

import io
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import anyio
import pytest

from losant_tokens.cli._app import COMMANDS, command_app
from losant_tokens.cli._main import run
from losant_tokens.testing import FakeLosant


class Command:
    """Run the command like a shell, but in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Return the exit code, the output on stdout, and the output on stderr."""
        code = run(arguments)
        return code, *self._capsys.readouterr()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command, with each event loop in a separate thread.

    Python 3.11 does not report to a tracer that a coroutine continues after an exception was
    thrown into it. Coverage then loses track of the callers of the event loop in that thread.
    """
    run_here: Any = anyio.run

    def run_there(*arguments: Any, **options: Any) -> object:
        with ThreadPoolExecutor(1) as threads:
            here = copy_context()
            return threads.submit(here.run, run_here, *arguments, **options).result()

    monkeypatch.setattr(anyio, "run", run_there)
    return Command(capsys)


@pytest.fixture
def fake() -> FakeLosant:
    return FakeLosant()


@pytest.fixture
def service(fake: FakeLosant, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the fake, and set the environment variables to its URL and token."""
    with fake.serve() as base_url:
        monkeypatch.setenv("LOSANT_API_URL", base_url)
        monkeypatch.setenv("LOSANT_API_TOKEN", fake.admin_token)
        yield base_url


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the standard streams look like terminals."""

    def make(*, columns: int = 200, typed: str = "") -> None:
        stdin = io.StringIO(typed)
        for stream in (stdin, sys.stdout, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("LOSANT_TOKENS_PAGER", "")
        for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
            monkeypatch.delenv(name, raising=False)

    return make


def all_options() -> set[str]:
    """Return the options of all commands."""
    commands = [command_app(name) for name, command in COMMANDS.items() if command.path]
    arguments = (one for command in commands for one in command.assemble_argument_collection())
    return {name for argument in arguments for name in argument.names if name.startswith("--")}


def process_that_prints(base_url: str, token: str) -> tuple[str, ...]:
    """Return a process that prints the URL of another fake as its own."""
    line = f'{{"base_url": "{base_url}", "token": "{token}"}}'
    return (sys.executable, "-c", f"print({line!r}, flush=True); input()")
