"""Standard streams that are closed, full or broken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from losant_tokens.testing import FakeLosant

SHELL = f'"{sys.executable}" -m losant_tokens'
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


# --- Changes and their exit codes ------------------------------------------------------------


@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", pytest.param(">/dev/full 2>&1", marks=FULL)])
@pytest.mark.slow
def test_job_without_streams(fake: FakeLosant, service: str, streams: str, tmp_path: Path) -> None:
    """A job without working streams finishes, writes its report, and exits with 0."""
    done = shell(f"cleanup --inactive --yes --report '{tmp_path}/r.json' {streams}")

    assert (done.returncode, is_broken(done)) == (0, False)
    assert (len(fake.tokens()), (tmp_path / "r.json").exists()) == (9, True)


@pytest.mark.slow
def test_delete_without_stdout(fake: FakeLosant, service: str) -> None:
    """A deletion that cannot print an id to stdout prints it to stderr, and exits with 0."""
    done = shell(f"delete --yes {'1' * 24} >&-")

    assert (done.returncode, len(fake.tokens())) == (0, 9)
    assert f"\n{'1' * 24}\nDeleted 1 of 1.\n" in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("measured_processes")
def test_create_without_stdout(fake: FakeLosant, service: str) -> None:
    """Without stdout, no token is created, and the reason is printed."""
    done = shell("create new --expires never >&-")

    assert (done.returncode, len(fake.tokens())) == (1, 10)
    assert "the secret cannot be written to standard output: Bad file descriptor" in done.stderr
    assert fake.requests == ()


@pytest.mark.slow
def test_list_without_stdout(fake: FakeLosant, service: str) -> None:
    """A list that cannot be printed is an error in one line."""
    done = shell("list >&-")

    expected = "losant-tokens: error: standard output cannot be written: Bad file descriptor\n"
    assert (done.returncode, done.stderr) == (1, expected)


STREAMS = (
    *("<&-", ">&-", "2>&-", ">/dev/full", "2>/dev/full", "<&- >&- 2>&-", ">&- 2>/dev/full"),
    *(">/dev/full 2>&-", "<&- >/dev/full 2>/dev/full"),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "streams"),
    [
        *((command, one) for command in ("list", "cleanup --inactive --yes") for one in STREAMS),
        *(
            (command, one)
            for command in ("show 1", "create x --expires never", "delete --yes 2", "--help")
            for one in (">&-", "2>/dev/full", "<&- >&- 2>&-", ">/dev/full 2>&-")
        ),
    ],
)
@FULL
def test_all_streams(fake: FakeLosant, service: str, command: str, streams: str) -> None:
    """Closed and full streams, in many combinations, cause no traceback and no abort."""
    line = command.replace(" 1", f" {'1' * 24}").replace(" 2", f" {'1' * 24}")

    done = shell(f"{line} {streams}")

    assert not is_broken(done)
    works = ">" not in streams.replace("2>", "")
    reads = command.partition(" ")[0] in {"list", "show", "create", "--help"}
    assert (0 if works or not reads else 1) == done.returncode


@pytest.mark.slow
def test_missing_streams_are_opened(tmp_path: Path) -> None:
    """Closed standard descriptors are opened at once, so that no socket gets their numbers."""
    code = (
        "import os, sys\n"
        "from losant_tokens.cli._terminal.streams import open_missing_streams\n"
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

    assert path.read_text() == "(3, '', 1)9"


# --- Displays that vanish during a job -------------------------------------------------------

IN_A_TERMINAL = """
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    if sys.argv[1] == "ignore":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.execv(sys.executable, [sys.executable, "-m", "losant_tokens", *sys.argv[2:]])
shown = b""
while b"/9," not in shown:
    shown += os.read(terminal, 1000)
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.fixture
def slow(fake: FakeLosant, service: str) -> tuple[str, ...]:
    """Return a command that slowly deletes the nine tokens named keep-*, on a slow fake."""
    fake.fail("latency", seconds=0.3, method="DELETE", times=None)
    options = ("--allow-majority", "--yes", "--max-concurrency", "1", "--no-verify")
    return ("cleanup", "--named", "keep-*", *options)


@pytest.mark.slow
@pytest.mark.parametrize(("hangup", "code"), [("ignore", 0), ("default", 130)])
def test_terminal_vanishes(
    fake: FakeLosant, slow: tuple[str, ...], tmp_path: Path, hangup: str, code: int
) -> None:
    """A job whose terminal vanishes writes its report. It goes on if it ignores SIGHUP."""
    report, plan = tmp_path / "r.json", tmp_path / "plan.jsonl"
    command = (*slow, "--report", str(report), "--out", str(plan))

    done = subprocess.run(
        [sys.executable, "-c", IN_A_TERMINAL, hangup, *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    totals = json.loads(report.read_text())["totals"]
    assert (done.stdout, done.stderr) == (f"{code}\n", "")
    assert (totals["left"] == 0, totals["unknown"]) == (code == 0, 0)
    assert len(fake.tokens()) == 1 + totals["left"]


@pytest.mark.slow
def test_reader_of_all_output_ends(fake: FakeLosant, slow: tuple[str, ...], tmp_path: Path) -> None:
    """A job whose output goes to a reader that ends goes on, and exits with its own code."""
    command = " ".join((*slow, "--report", f"'{tmp_path}/r.json'", "--verbose"))

    done = shell(f"{command.replace('keep-*', 'keep-?')} 2>&1 | head -1; exit ${{PIPESTATUS[0]}}")

    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    assert json.loads((tmp_path / "r.json").read_text())["totals"]["left"] == 0
    assert len(fake.tokens()) == 1


@pytest.mark.slow
def test_reader_of_stderr_ends(fake: FakeLosant, slow: tuple[str, ...]) -> None:
    """A job whose messages have no reader goes on, and prints its totals to stdout."""
    command = " ".join(slow).replace("keep-*", "keep-?")

    done = shell(f"{command} 2> >(head -1 >/dev/null)")

    assert (done.returncode, done.stdout.startswith("Deleted 9, ")) == (0, True)
