"""Standard streams that are closed, full or broken."""

import io
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from losant_tokens.cli import _console
from losant_tokens.cli._console import print_status, write_output, write_result
from losant_tokens.testing import FakeLosant
from tests.support.command import Command

SHELL = f'"{sys.executable}" -m losant_tokens.cli'
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeLosant:
    """Return a fake with ten tokens, one of which is to be cleaned up."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    fake = FakeLosant()
    fake.add_token("ci", id="1" * 24, status="inactive")
    for number in range(9):
        fake.add_token(f"keep-{number}")
    return fake


def shell(line: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", f"{SHELL} {line}"], capture_output=True, text=True, timeout=60, check=False
    )


def is_broken(done: "subprocess.CompletedProcess[str]") -> bool:
    """Return whether the process ended in a traceback, an abort or a failed flush."""
    return (
        done.returncode in {120, 134, -6}
        or "Traceback" in done.stderr
        or "Exception ignored" in done.stderr
    )


# --- Changes are made, and exit codes say so -------------------------------------------------


@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", pytest.param(">/dev/full 2>&1", marks=FULL)])
def test_job_without_streams(fake: FakeLosant, service: str, streams: str, tmp_path: Path) -> None:
    """A job without working streams finishes, writes its report, and exits with 0."""
    done = shell(f"cleanup --inactive --yes --report '{tmp_path}/r.json' {streams}")

    assert (0, False) == (done.returncode, is_broken(done))
    assert (9, True) == (len(fake.tokens()), (tmp_path / "r.json").exists())


def test_delete_without_stdout(fake: FakeLosant, service: str) -> None:
    """A deletion that cannot print an id to stdout prints it to stderr, and exits with 0."""
    done = shell(f"delete --yes {'1' * 24} >&-")

    assert (0, 9) == (done.returncode, len(fake.tokens()))
    assert f"\n{'1' * 24}\nDeleted 1 of 1.\n" in done.stderr


def test_create_without_stdout(fake: FakeLosant, service: str) -> None:
    """Without stdout, no token is created, and the reason is printed."""
    done = shell("create new >&-")

    assert (1, 10) == (done.returncode, len(fake.tokens()))
    assert "the secret cannot be written to standard output: Bad file descriptor" in done.stderr
    assert () == fake.requests


def test_list_without_stdout(fake: FakeLosant, service: str) -> None:
    """A list that cannot be printed is an error in one line."""
    done = shell("list >&-")

    expected = "losant-tokens: error: standard output cannot be written: Bad file descriptor\n"
    assert (1, expected) == (done.returncode, done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    ["list", "show 1", "create x", "delete --yes 2", "cleanup --inactive --yes", "--help"],
)
@pytest.mark.parametrize(
    "streams",
    [
        "<&-",
        ">&-",
        "2>&-",
        ">/dev/full",
        "2>/dev/full",
        "<&- >&- 2>&-",
        ">&- 2>/dev/full",
        ">/dev/full 2>&-",
        "<&- >/dev/full 2>/dev/full",
    ],
)
@FULL
def test_all_streams(fake: FakeLosant, service: str, command: str, streams: str) -> None:
    """Closed and full streams, in all combinations, cause no traceback and no abort."""
    line = command.replace(" 1", f" {'1' * 24}").replace(" 2", f" {'1' * 24}")

    done = shell(f"{line} {streams}")

    assert not is_broken(done)
    works = ">" not in streams.replace("2>", "")
    reads = command.partition(" ")[0] in {"list", "show", "create", "--help"}
    assert (0 if works or not reads else 1) == done.returncode


# --- In process ------------------------------------------------------------------------------


class Broken(io.StringIO):
    """A stream whose writes fail."""

    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        raise OSError(5, "Input/output error")


def test_missing_streams_are_opened(tmp_path: Path) -> None:
    """Closed standard descriptors are opened at once, so that no socket gets their numbers."""
    code = (
        "import os, sys\n"
        "from losant_tokens.cli._console import open_missing_streams\n"
        "open_missing_streams()\n"
        "file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "os.write(file, repr((file, sys.stdin.read(), sys.stderr.write('x'))).encode())\n"
        "try: os.write(1, b'x')\n"
        "except OSError as error: os.write(file, str(error.errno).encode())\n"
    )
    path = tmp_path / "out"

    subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "$CODE" "{path}" <&- >&- 2>&-'],
        env={**os.environ, "CODE": code},
        check=True,
    )

    assert "(3, '', 1)9" == path.read_text()


def test_missing_stream_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing stream is opened; open streams are kept."""
    before = sys.stderr
    monkeypatch.setattr(sys, "stdin", None)

    _console.open_missing_streams()

    assert (0, before) == (sys.stdin.fileno(), sys.stderr)


def test_closed_stdout_is_opened_for_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is opened for reading, so that a write fails as on a closed stream."""
    opened = []

    def fstat(number: int) -> None:
        if number != 0:
            raise OSError(9, "Bad file descriptor")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", fstat)
        patched.setattr(os, "open", lambda *arguments: opened.append(arguments))
        _console.open_missing_streams()

    assert [(os.devnull, os.O_RDONLY), (os.devnull, os.O_RDWR)] == opened


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
        "losant-tokens: error: standard output cannot be written: Input/output error\none\ntwo\n"
        == err
    )


def test_result_after_the_reader_has_closed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the reader of stdout closes it, results go to stderr without an error."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        write_result("one\n")

    assert "one\n" == capsys.readouterr().err


def _pipe() -> int:
    read_end, write_end = os.pipe()
    os.close(read_end)
    return write_end


def _socket() -> int:
    one, other = socket.socketpair()
    other.close()
    return one.detach()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: os.open(os.devnull, os.O_WRONLY), None),
        (lambda: os.open(os.devnull, os.O_RDONLY), "Bad file descriptor"),
        (_pipe, "its reader has closed it"),
        (_socket, "Broken pipe"),
        pytest.param(
            lambda: os.open("/dev/full", os.O_WRONLY), "No space left on device", marks=FULL
        ),
    ],
)
def test_output_problem(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], int], problem: str | None
) -> None:
    """A problem with stdout is detected without writing to it."""
    with os.fdopen(make(), "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert problem == _console.output_problem()


def test_replaced_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced stdout is accepted without a check."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    assert _console.output_problem() is None


def test_pipe_with_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe with a reader is accepted."""
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert _console.output_problem() is None
    os.close(read_end)


def test_fault_tolerant_stream() -> None:
    """A display writes to a broken stream without an error, and has its other attributes."""
    broken, good = (
        _console.FaultTolerantStream(Broken()),
        _console.FaultTolerantStream(io.StringIO()),
    )

    assert 3 == broken.write("abc")
    broken.flush()
    good.write("abc")
    good.flush()
    assert ("abc", False) == (good.getvalue(), good.isatty())


def test_lost_secret(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If stdout fails after the token was created, its id and how to delete it are printed."""
    monkeypatch.setattr("losant_tokens.cli.commands.create.output_problem", lambda: None)
    monkeypatch.setattr(sys, "stdout", Broken())

    code, _, err = command("create", "new")

    new = next(token for token in fake.tokens() if token.name == "new")
    assert 1 == code
    assert f"error: the token {new.id} was created, but its secret is lost: standard output" in err
    assert f"delete the token: losant-tokens delete {new.id}\n" in err
    assert new.secret not in err


def test_secret_without_a_reader(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that closes the pipe before the secret is written is reported, too."""
    monkeypatch.setattr("losant_tokens.cli.commands.create.output_problem", lambda: None)
    with os.fdopen(_pipe(), "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        code, _, err = command("create", "new", "--json")

    assert (1, True) == (
        code,
        "its secret is lost: the reader of standard output has closed it" in err,
    )
