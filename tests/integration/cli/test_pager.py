"""The pager for long output on a terminal."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from losant_tokens.cli._terminal.pager import pager_command, write_paged

pytestmark = pytest.mark.process

LONG = "".join(f"line {number}\n" for number in range(100))


@pytest.fixture
def pager(
    terminal: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Path]:
    """Set the pager to a script; return the file that the script is given as `$1`."""

    def make(script: str, *, variable: str = "LOSANT_TOKENS_PAGER") -> Path:
        terminal(columns=80)
        monkeypatch.setenv("LINES", "24")
        monkeypatch.delenv("LOSANT_TOKENS_PAGER", raising=False)
        monkeypatch.delenv("PAGER", raising=False)
        monkeypatch.setenv(variable, f"sh -c '{script}' pager {tmp_path / 'out'}")
        return tmp_path / "out"

    return make


@pytest.mark.parametrize("variable", ["LOSANT_TOKENS_PAGER", "PAGER"])
def test_long_output_goes_to_the_pager(
    variable: str, pager: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal, output that is longer than the screen is written to the pager only."""
    out = pager('cat > "$1"', variable=variable)

    write_paged(LONG)

    assert out.read_text() == LONG
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "is_paged"),
    [
        ("a\n" * 23, False),
        ("a\n" * 24, True),
        ("", False),
        # Each line is two lines of the terminal.
        ("a" * 81 + "\n" + "\n" * 22, True),
        ("a" * 80 + "\n" + "\n" * 22, False),
        ("漢" * 41 + "\n" + "\n" * 22, True),
        # An escape sequence takes no space.
        (f"\x1b[31m{'a' * 80}\x1b[0m\n" + "\n" * 22, False),
    ],
)
def test_short_output_is_not_paged(
    text: str, is_paged: bool, pager: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Output that fits on the screen, with one line for the prompt, is written directly."""
    out = pager('cat > "$1"')

    write_paged(text)

    assert out.exists() == is_paged
    assert capsys.readouterr().out == ("" if is_paged else text)


def test_a_pipe_is_not_paged(
    pager: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a terminal, output is written directly."""
    pager("exit 0")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)

    write_paged(LONG)

    assert capsys.readouterr().out == LONG


@pytest.mark.parametrize("value", ["", "cat", "  ", "no-such-pager --x", "'", "/"])
def test_output_without_a_pager(
    value: str,
    terminal: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An empty pager, cat, and one that cannot be started leave the output on stdout."""
    terminal()
    monkeypatch.setenv("PAGER", "less")
    monkeypatch.setenv("LOSANT_TOKENS_PAGER", value)

    write_paged(LONG)

    assert capsys.readouterr().out == LONG


@pytest.mark.parametrize("script", ["exit 3", "head -n 1 > /dev/null"])
def test_a_pager_may_end_early(script: str, pager: Callable[..., Path]) -> None:
    """A pager that ends before it has read everything is not an error."""
    pager(script)

    write_paged(LONG * 10_000)


def test_the_default_pager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default pager is less, and LOSANT_TOKENS_PAGER wins over PAGER."""
    monkeypatch.delenv("LOSANT_TOKENS_PAGER", raising=False)
    monkeypatch.delenv("PAGER", raising=False)
    default = pager_command()
    monkeypatch.setenv("PAGER", "more -s")
    other = pager_command()
    monkeypatch.setenv("LOSANT_TOKENS_PAGER", "")

    assert (default, other, pager_command()) == (["less"], ["more", "-s"], [])


def test_settings_of_the_pager(pager: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The pager gets settings for colors, but a user's own settings win."""
    out = pager('echo "$LESS $LV" > "$1"')
    monkeypatch.setenv("LESS", "-S")
    monkeypatch.delenv("LV", raising=False)

    write_paged(LONG)

    assert out.read_text() == "-S -c\n"


def test_the_pager_has_no_api_token(
    pager: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of the pager does not contain the API token."""
    out = pager('env > "$1"')
    monkeypatch.setenv("LOSANT_API_TOKEN", "the-secret")

    write_paged(LONG)

    assert "PATH=" in out.read_text()
    assert "the-secret" not in out.read_text()


def signal_after(path: Path, number: signal.Signals) -> threading.Thread:
    """Send this process a signal once the pager has made its file."""

    def send() -> None:
        while not path.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), number)
        time.sleep(0.05)
        path.with_name("sent").touch()

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def test_ctrl_c_belongs_to_the_pager(pager: Callable[..., Path]) -> None:
    """Ctrl-C does not end the command while the pager runs."""
    out = pager('touch "$1"; while [ ! -e "${1%out}sent" ]; do sleep 0.02; done')
    thread = signal_after(out, signal.SIGINT)

    write_paged(LONG)

    thread.join()
    assert out.with_name("sent").exists()


@pytest.mark.parametrize("when", ["starts", "runs"])
def test_sigterm_ends_the_pager(
    when: str, pager: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM ends the command and its pager, even while the pager starts."""
    pager("exec sleep 60")
    started: list[subprocess.Popen[str]] = []
    popen = subprocess.Popen

    def terminate(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
        process = popen(*arguments, **options)
        started.append(process)
        if when == "starts":
            terminate()
        else:
            monkeypatch.setattr(process, "communicate", terminate)
        return process

    monkeypatch.setattr("subprocess.Popen", start)

    with pytest.raises(KeyboardInterrupt):
        write_paged(LONG)

    assert started[0].wait() == -signal.SIGTERM


def test_sigterm_while_a_pager_fails_to_start(
    pager: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM ends the command if it comes while a pager cannot be started."""
    pager("")

    def fail(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise FileNotFoundError

    monkeypatch.setattr("subprocess.Popen", fail)

    with pytest.raises(KeyboardInterrupt):
        write_paged(LONG)

    assert capsys.readouterr().out == ""
