"""Output and questions, even if a standard stream is closed, full or broken."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from losant_tokens.cli._terminal import console
from losant_tokens.cli._terminal.console import (
    print_status,
    write_output,
    write_result,
    write_summary,
)
from tests.support.standard_streams import Broken, pipe_without_a_reader


def test_status_cannot_be_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that cannot be printed is dropped."""
    monkeypatch.setattr(sys, "stderr", Broken())
    print_status("x")
    monkeypatch.setattr(sys, "stderr", None)
    print_status("x")


def test_table_cannot_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that stderr does not accept is dropped."""
    stream = Broken()
    monkeypatch.setattr(sys, "stderr", stream)

    write_output("x", stream)


def test_result_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A result that stdout does not accept goes to stderr."""
    monkeypatch.setattr(sys, "stdout", Broken())

    write_result("one\ntwo\n")

    err = capsys.readouterr().err
    assert (
        err
        == "losant-tokens: error: standard output cannot be written: Input/output error\none\ntwo\n"
    )


@pytest.mark.parametrize(
    ("columns", "expected"),
    [(20, "Deleted 4, failed 0:\n1.1 seconds.\n"), (None, "Deleted 4, failed 0: 1.1 seconds.\n")],
)
def test_summary(
    capsys: pytest.CaptureFixture[str],
    terminal: Callable[..., None],
    columns: int | None,
    expected: str,
) -> None:
    """A summary breaks between words on a terminal, and is one line elsewhere."""
    if columns is not None:
        terminal(columns=columns)

    write_summary("Deleted 4, failed 0: 1.1 seconds.")

    assert capsys.readouterr().out == expected


def test_result_after_the_reader_has_closed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the reader of stdout closes it, results go to stderr without an error."""
    with os.fdopen(pipe_without_a_reader(), "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        write_result("one\n")

    assert capsys.readouterr().err == "one\n"


def test_transient_line(capsys: pytest.CaptureFixture[str], terminal: Callable[..., None]) -> None:
    """On a terminal, a transient line stays below other lines, and is erased at the end."""
    terminal()

    with console.transient_status("Listing..."):
        print_status("x")

    erase = "\r\x1b[K"
    assert capsys.readouterr().err == f"Listing...{erase}x\nListing...{erase}"


@pytest.mark.parametrize(
    ("term", "quiet", "is_terminal"),
    [("dumb", False, True), ("xterm", True, True), ("xterm", False, False)],
)
def test_no_transient_line(
    capsys: pytest.CaptureFixture[str],
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    term: str,
    quiet: bool,
    is_terminal: bool,
) -> None:
    """A transient line is not shown without a terminal that can erase it, or by a quiet command."""
    if is_terminal:
        terminal()
    monkeypatch.setenv("TERM", term)

    with console.quiet_output(quiet), console.transient_status("Listing..."):
        pass

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), UnicodeDecodeError("utf-8", b"", 0, 1, "?")]
)
def test_response_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    """A response that cannot be read means no."""

    def fail() -> str:
        raise error

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(readline=fail))

    assert not console.confirm("Sure?")
    assert capsys.readouterr().err == "Sure? [y/N] \n"


def test_long_response(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A long response is shortened, and its control characters are escaped."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("\x1b" + "x" * 99 + "\n"))

    assert not console.confirm("Sure?")
    expected = f'Sure? [y/N] "\\x1b{"x" * 19}" is not "y" or "yes", so it means no.\n'
    assert capsys.readouterr().err == expected


def test_question_that_nobody_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question to the null device means no, whatever is typed."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    with Path(os.devnull).open("w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        assert not console.confirm("Sure?")


def test_message_without_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that stderr does not accept, because its reader has ended, is dropped."""
    with os.fdopen(pipe_without_a_reader(), "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        write_output("x\n", stderr)
        write_output("x\n", stderr)
