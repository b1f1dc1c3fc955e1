"""The sandbox in process."""

import os
import pty
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from losant_tokens.cli import _fake_process
from losant_tokens.cli.commands import sandbox
from tests.support.command import Command

Typist = Callable[..., None]


@pytest.fixture
def type_lines(monkeypatch: pytest.MonkeyPatch) -> Typist:
    """Type lines into the sandbox, one each time that it waits, and then press Ctrl-C."""

    def prepare(*lines: str, look: Callable[[], None] = lambda: None) -> None:
        left = list(lines)

        def typed(_: float) -> Iterator[str]:
            look()
            if not left:
                raise KeyboardInterrupt
            yield left.pop(0)

        monkeypatch.setattr(sandbox, "_typed_lines", typed)

    return prepare


@pytest.mark.slow
def test_sandbox_is_stopped(command: Command, type_lines: Typist) -> None:
    """Ctrl-C ends the sandbox with the exit code 0."""
    type_lines()

    code, out, err = command("sandbox", "--tokens", "1")

    assert code == 0
    assert out.startswith("export LOSANT_API_URL=http://127.0.0.1:")
    assert "\nexport LOSANT_API_TOKEN=" in out
    assert err.endswith("Stopped.\n")


@pytest.mark.slow
def test_owners_are_printed(command: Command, type_lines: Typist) -> None:
    """The sandbox prints the ids of the owners to try, and the number of their tokens."""
    type_lines()

    _, _, err = command("sandbox")

    assert "  application:575ec8687ae143cd83dc4a97    63  Greenhouse\n" in err
    assert "  oauth                                   41  OAuth clients\n" in err
    assert "  org:58c9e0d5f2b6740001de93b7\n" in err
    assert max(map(len, err.splitlines())) <= 60


@pytest.mark.slow
def test_empty_account(command: Command, type_lines: Typist) -> None:
    """A sandbox without tokens names no owners."""
    type_lines()

    code, out, err = command("sandbox", "--tokens", "0")

    assert (code, "oauth" in err, "\nexport LOSANT_API_TOKEN=" in out) == (0, False, True)


@pytest.mark.slow
def test_env_file(command: Command, type_lines: Typist, tmp_path: Path) -> None:
    """A private file has the variables while the sandbox runs, and replaces an earlier one."""
    path = tmp_path / "sandbox.env"
    path.write_text("# Written by `losant-tokens sandbox`, which removes it when it ends.\n")
    seen: list[tuple[str, int]] = []
    type_lines(look=lambda: seen.append((path.read_text(), path.stat().st_mode & 0o777)))

    code, out, _ = command("sandbox", "--tokens", "1", "--env-file", str(path))

    (text, mode), *_ = seen
    assert (code, out, mode, path.exists()) == (0, f". {path}\n", 0o600, False)
    assert "\nexport LOSANT_API_URL=http://127.0.0.1:" in text
    assert "\nexport LOSANT_API_TOKEN=" in text


@pytest.mark.slow
def test_env_file_in_no_folder(command: Command, tmp_path: Path) -> None:
    """A file that cannot be written is an error in the words of the system."""
    path = tmp_path / "none" / "sandbox.env"

    code, _, err = command("sandbox", "--tokens", "1", "--env-file", str(path))

    assert (code, f"{path} cannot be written: No such file or directory" in err) == (1, True)


@pytest.mark.slow
def test_replaced_env_file(command: Command, type_lines: Typist, tmp_path: Path) -> None:
    """A sandbox leaves a file that another sandbox has replaced, and needs none to stop."""
    path = tmp_path / "sandbox.env"
    type_lines(look=lambda: path.write_text("of another sandbox"))
    command("sandbox", "--tokens", "1", "--env-file", str(path))
    text = path.read_text()
    path.unlink()
    type_lines(look=path.unlink)

    code, _, _ = command("sandbox", "--tokens", "1", "--env-file", str(path))

    assert (code, text, path.exists()) == (0, "of another sandbox", False)


@pytest.mark.slow
def test_env_file_of_the_folder(
    command: Command, type_lines: Typist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The printed command names a file of the current folder so that a shell finds it."""
    monkeypatch.chdir(tmp_path)
    type_lines()

    _, out, _ = command("sandbox", "--tokens", "1", "--env-file", "sandbox.env")

    assert out == ". ./sandbox.env\n"


@pytest.mark.slow
def test_env_file_of_somebody_else(command: Command, tmp_path: Path) -> None:
    """A file that no sandbox has written is never replaced."""
    path = tmp_path / ".env"
    path.write_text("DEBUG=1\n")

    code, _, err = command("sandbox", "--tokens", "1", "--env-file", str(path))

    assert (code, path.read_text()) == (1, "DEBUG=1\n")
    assert f"{path} exists, and no sandbox has written it" in err


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--fail", "503", 'Invalid value for --fail: "503" is not a fault: '),
        ("--latency", "5", 'Invalid value for --latency: "5" is not a latency: '),
        ("--clock", "30d", 'Invalid value for --clock: "30d" is not an offset of the clock: '),
        ("--rate-limit", "inf", 'Invalid value for --rate-limit: "inf" is not a number'),
        ("--rate-limit", "0", 'Invalid value for --rate-limit: "0" is too small'),
    ],
)
@pytest.mark.slow
def test_malformed_conditions(command: Command, option: str, value: str, problem: str) -> None:
    """A malformed condition is a usage error."""
    code, out, err = command("sandbox", option, value)

    assert (code, out) == (2, "")
    assert err.startswith(f"losant-tokens: error: {problem}")


@pytest.mark.slow
def test_conditions(command: Command, type_lines: Typist) -> None:
    """The sandbox starts with all conditions, and says what a moved clock requires."""
    type_lines()

    code, _, err = command(
        *("sandbox", "--tokens", "1", "--rate-limit", "0.5", "--latency", "1ms-2ms"),
        *("--fail", "503:2%", "--fail", "timeout:1%", "--clock", "-30d"),
    )

    assert (code, "losant-tokens sweep --due --clock-check off" in err) == (0, True)


@pytest.mark.slow
def test_typed_offset(command: Command, type_lines: Typist) -> None:
    """An offset that is typed moves the clock, and another line is explained."""
    type_lines("+365d", "", "soon", "+0d")

    code, _, err = command("sandbox", "--tokens", "1")

    assert code == 0
    assert err.count("The clock of the fake is at ") == 2
    assert err.count("losant-tokens sweep --due --clock-check off") == 1
    assert 'error: "soon" is not an offset of the clock: ' in err


@pytest.mark.slow
def test_lines_from_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are read from a terminal, as soon as they are complete."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "w") as keyboard, os.fdopen(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp())
        nothing = list(sandbox._typed_lines(0))
        keyboard.write("+30d\n")
        keyboard.flush()
        lines = list(sandbox._typed_lines(5))

    assert (nothing, lines) == ([], ["+30d"])


@pytest.mark.slow
def test_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox in the background leaves the input of its terminal to the shell."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "w") as keyboard, os.fdopen(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(os, "tcgetpgrp", lambda _: -1)
        keyboard.write("ls\n")
        keyboard.flush()

        assert list(sandbox._typed_lines(0.01)) == []


@pytest.mark.slow
def test_terminal_of_another_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that runs in a session of its own does not read from the terminal."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "w") as keyboard, os.fdopen(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        keyboard.write("ls\n")
        keyboard.flush()

        assert list(sandbox._typed_lines(0.01)) == []


@pytest.mark.slow
def test_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A standard input that is not a terminal is not read."""
    with Path(os.devnull).open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)

        assert list(sandbox._typed_lines(0)) == []


@pytest.mark.slow
def test_host(command: Command, type_lines: Typist) -> None:
    """The fake can listen on every address; the printed URL is for this machine."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]

    type_lines(look=lambda: socket.create_connection(("127.0.0.2", port)).close())

    code, out, _ = command("sandbox", "--host", "0.0.0.0", "--tokens", "1", "--port", str(port))

    assert (code, f"LOSANT_API_URL=http://127.0.0.1:{port}\n" in out) == (0, True)


@pytest.mark.slow
@pytest.mark.usefixtures("measured_processes")
def test_unknown_host(command: Command) -> None:
    """An address that this machine does not have is an error, with what to pass instead."""
    code, out, err = command("sandbox", "--host", "192.0.2.1")

    assert (code, out) == (1, "")
    assert "the fake did not start: cannot listen on port 0 of 192.0.2.1: " in err
    assert "hint: pass another --port or --host\n" in err


@pytest.mark.slow
def test_fake_stops_by_itself(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake that stops by itself is an error."""
    line = '{"base_url": "http://127.0.0.1:1", "token": "t"}'
    monkeypatch.setattr(_fake_process, "_COMMAND", (sys.executable, "-c", f"print({line!r})"))

    code, _, err = command("sandbox")

    expected = "losant-tokens: error: the fake has stopped unexpectedly"
    assert (code, err.splitlines()[-1]) == (1, expected)
