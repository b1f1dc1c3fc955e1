"""Errors as one line with a hint and an exit code."""

import asyncio
import contextlib
import io
import os
import re
import sys

import pytest

from losant_tokens import errors, jobs
from losant_tokens.cli import _event_loop
from losant_tokens.cli._errors import CommandError, explain, unexpected
from losant_tokens.cli._terminal.console import print_warning
from tests.support.command import Command

HINTED = {
    errors.TransportError: "check before you retry",
    errors.RequestTimeout: "check before you retry",
    errors.ConnectFailed: "check the network",
    errors.ConfigurationError: "change that setting",
    errors.Unauthorized: "check LOSANT_API_TOKEN",
    errors.TokenExpired: "to a valid token",
    errors.ScopeError: "one of these scopes",
    errors.IssuerMismatch: "the API that issued the token",
    errors.ResponseTooLarge: "fewer tokens at a time",
    errors.Forbidden: "with permission to do this",
    errors.NotFound: "check the id",
    errors.TooManyRequests: "wait a minute",
    errors.ServerError: "try again later",
    errors.ResponseError: "is the API of Losant",
}


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in (*vars(errors).values(), jobs.GuardRefused, jobs.PlanRefused, jobs.JournalError)
        if isinstance(kind, type) and issubclass(kind, errors.LosantError)
    ],
)
def test_hints(kind: type[errors.LosantError]) -> None:
    """Each error of the library keeps its message, and most have a hint."""
    problem = explain(kind("what happened"))

    is_refused = issubclass(kind, jobs.GuardRefused | jobs.PlanRefused)
    is_invalid = issubclass(kind, errors.ValidationError)
    exit_code = 4 if is_refused else 2 if is_invalid else 1
    assert (str(problem), problem.exit_code) == ("what happened", exit_code)
    assert HINTED.get(kind, "") in problem.hint
    assert bool(problem.hint) == (kind in HINTED)


def test_missing_token(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token, the message names the missing environment variable."""
    monkeypatch.setenv("LOSANT_API_TOKEN", "")

    code, out, err = command("list")

    assert (code, out) == (1, "")
    assert err.startswith("losant-tokens: error: no API token: LOSANT_API_TOKEN is not set\nhint: ")


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_broken_pipe(command: Command, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """If the reader closes the pipe, the command ends without a message."""

    monkeypatch.setattr(
        "losant_tokens.cli._event_loop.run_with_client", lambda *_, **__: "x" * size
    )
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as stdout, contextlib.redirect_stdout(stdout):
        assert command("show", "1" * 24) == (141, "", "")


def test_replaced_stdout(command: Command) -> None:
    """A program can run the command with its own stdout."""
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        command("patch", "--help")

    assert "Usage: losant-tokens patch" in stdout.getvalue()


def test_bugs_are_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is reported as one line with its place, without values and without a traceback."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("s3cret")

    monkeypatch.setenv("LOSANT_API_TOKEN", "x")
    monkeypatch.setattr("anyio.run", broken)

    code, out, err = command("list")

    line, hint = err.splitlines()
    assert (code, out) == (70, "")
    assert re.fullmatch(
        r"losant-tokens: error: unexpected ZeroDivisionError at "
        r"(losant_tokens/cli/[/\w]+\.py:\d+( > )?){3}",
        line,
    )
    assert hint.startswith("hint: this is a bug: please report this line")


@pytest.mark.parametrize(
    ("error", "code", "beginning"),
    [
        (errors.ConnectFailed("refused"), 1, "refused"),
        (CommandError("no"), 1, "no"),
        (ExceptionGroup("", [jobs.PlanRefused("old")]), 4, "old"),
        (KeyError("s3cret"), 70, "unexpected KeyError at "),
    ],
)
def test_exception_group(error: Exception, code: int, beginning: str) -> None:
    """A group of errors is reported as its first error, at any depth."""
    problem = unexpected(ExceptionGroup("several", [error, ValueError()]))

    assert (problem.exit_code, str(problem).startswith(beginning)) == (code, True)


async def test_error_in_a_task() -> None:
    """An error in a task is raised as itself, so that it can be reported in one line."""

    def broken(*_: object) -> None:
        raise BrokenPipeError

    async def call(_: str) -> None:
        return None

    with pytest.raises(BrokenPipeError):
        await _event_loop.call_for_each("ab", call, broken)


@pytest.mark.parametrize(
    ("terminal_", "no_color", "expected"),
    [
        (False, "", "losant-tokens: WARNING: a \\x1b b\n"),
        (True, "1", "losant-tokens: WARNING: a \\x1b b\n"),
        (True, "", "\x1b[1;33mlosant-tokens: WARNING: a \\x1b b\x1b[0m\n"),
    ],
)
def test_warning(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    terminal_: bool,
    no_color: str,
    expected: str,
) -> None:
    """A warning is highlighted on a terminal, and is always one line."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal_)
    monkeypatch.setenv("NO_COLOR", no_color)

    print_warning("a \x1b\nb")

    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("has_uvloop", [True, False])
def test_event_loop(has_uvloop: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command uses uvloop if it is installed, and else asyncio's event loop."""
    asked = {"uvloop": object() if has_uvloop else None}
    monkeypatch.setattr("losant_tokens.cli._event_loop.find_spec", asked.__getitem__)

    async def loop() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert ("uvloop" in _event_loop.run_until_stopped(loop)) is has_uvloop
