"""The command as a process: entry points, signals and pipes."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from losant_tokens import __version__, cli
from losant_tokens.cli import _main
from losant_tokens.testing import FakeLosant
from tests.support.command import Command
from tests.support.fast_start import start_fast

COMMAND = (sys.executable, "-m", "losant_tokens")


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(*arguments: str) -> tuple[int, str, str]:
    with start(*arguments) as process:
        out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


@pytest.mark.slow
def test_version() -> None:
    """`python -m losant_tokens --version` prints the version."""
    assert finished("--version") == (0, f"losant-tokens {__version__}\n", "")


@pytest.mark.slow
def test_no_core_dumps(tmp_path: Path) -> None:
    """A crash writes no memory to a file, because it holds API tokens. Children inherit that."""
    config = tmp_path / "config.toml"
    config.touch(0o600)
    limit = tmp_path / "limit"
    script = f"ulimit -c > {limit}; exit 1"
    config.write_text(f'[accounts.prod]\ntoken = {{ command = ["sh", "-c", "{script}"] }}\n')
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        code, _, err = finished("whoami", "--account", "prod", "--config", str(config))
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)

    assert (code, limit.read_text(), err) == (1, "0\n", "")


@pytest.mark.slow
def test_missing_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing token is reported without a traceback."""
    monkeypatch.delenv("LOSANT_API_TOKEN", raising=False)

    code, out, err = finished("show", "1" * 24)

    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 2


@pytest.mark.slow
def test_demo() -> None:
    """The demo runs from start to end."""
    code, out, err = finished("demo", "--tokens", "60")

    assert code == 0
    assert ", failed 0: " in out
    assert err.startswith("Starting a fake Losant with 60 tokens")


@pytest.mark.slow
def test_demo_interrupted() -> None:
    """Ctrl-C ends the demo, which then prints its totals."""
    with start("demo", "--tokens", "1500", "--concurrency", "1") as process:
        assert process.stderr is not None
        until_line(process, "Deleting: ")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, "".join(re.findall("Traceback", err))) == (130, "")
    assert re.search(r"^Deleted [0-9]+, kept 1,[0-9]+, failed 0: ", out, re.MULTILINE)


def until_line(process: "subprocess.Popen[str]", beginning: str) -> None:
    """Wait for a line on stderr."""
    assert process.stderr is not None
    while not (line := process.stderr.readline()).startswith(beginning):
        assert line, "it ended before"


@pytest.fixture
def busy(fake: FakeLosant, service: str, monkeypatch: pytest.MonkeyPatch) -> FakeLosant:
    """Return a fake with tokens to clean up, which is slow for each deletion."""
    start_fast(monkeypatch)
    for number in range(40):
        fake.add_token(f"ci-{number}")
    fake.fail("latency", seconds=0.3, method="DELETE", times=None)
    return fake


STOPPING = (
    "Stopping: waiting up to 8 seconds for requests in flight. Ctrl-C again stops immediately.\n"
)
CLEANUP = (
    "cleanup",
    "--named",
    "ci-*",
    "--allow-majority",
    "--yes",
    "--verbose",
    "--max-concurrency",
    "4",
)


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.slow
def test_cleanup_interrupted(
    busy: FakeLosant, command: Command, tmp_path: Path, number: signal.Signals
) -> None:
    """The first signal waits for requests in flight, and the job can be resumed."""
    plan, report = tmp_path / "plan.jsonl", tmp_path / "r.json"
    with start(*CLEANUP, "--out", str(plan), "--report", str(report)) as process:
        until_line(process, "Deleting: ")
        process.send_signal(number)
        out, err = process.communicate(timeout=20)

    left = len(busy.tokens())
    totals = json.loads(report.read_text())["totals"]
    assert (process.returncode, 0 < left < 40) == (130, True)
    assert (40 - left, 0, left) == (totals["done"], totals["unknown"], totals["left"])
    assert out.startswith(f"Deleted {40 - left}, left alone 0, failed 0, not started {left}: ")
    assert STOPPING in err
    options = f"--max-concurrency 4 --report {plan.with_name('r.json')}"
    assert f"To resume: losant-tokens apply {plan} --resume {options}\n" in err
    assert "Traceback" not in err

    busy.clear_faults()
    code, out, _ = command("apply", str(plan), "--resume", "--yes")
    assert (code, out.startswith("Deleted 40, "), len(busy.tokens())) == (0, True, 0)


@pytest.mark.slow
def test_cleanup_interrupted_twice(busy: FakeLosant, command: Command, tmp_path: Path) -> None:
    """The second Ctrl-C stops at once, prints the totals, and the job can be resumed."""
    plan = tmp_path / "plan.jsonl"
    with start(*CLEANUP, "--out", str(plan)) as process:
        until_line(process, "Deleting: ")
        busy.clear_faults()
        busy.fail("latency", seconds=60, method="DELETE", times=None)
        seen = len(busy.requests)
        until(lambda: sum(r.method == "DELETE" for r in busy.requests[seen:]) >= 4)
        process.send_signal(signal.SIGINT)
        until_line(process, "Stopping: ")
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, time.monotonic() - began < 5) == (130, True)
    assert out.startswith("Deleted ")
    assert ", in doubt 4, " in out
    assert err.endswith(f"To resume: losant-tokens apply {plan} --resume --max-concurrency 4\n")
    assert "Traceback" not in err

    busy.clear_faults()
    code, out, _ = command("apply", str(plan), "--resume", "--yes")
    assert (code, out.startswith("Deleted 40, "), len(busy.tokens())) == (0, True, 0)


@pytest.mark.slow
def test_planning_interrupted(fake: FakeLosant, service: str, tmp_path: Path) -> None:
    """Ctrl-C while the tokens are listed leaves no file."""
    fake.add_token("ci")
    fake.fail("latency", seconds=30)
    quiet_enough = [word for word in CLEANUP if word != "--verbose"]
    with start(*quiet_enough, "--out", str(tmp_path / "plan.jsonl")) as process:
        until(lambda: fake.requests)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out, list(tmp_path.iterdir())) == (130, "", [])
    assert err == "losant-tokens: interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "notice"),
    [
        (["list"], ""),
        (
            ["create", "ci", "--expires", "never"],
            "The token may have been created: check with `losant-tokens list`",
        ),
    ],
)
@pytest.mark.slow
def test_interrupted(fake: FakeLosant, service: str, arguments: list[str], notice: str) -> None:
    """Ctrl-C exits with 130 and a notice about a token that may have been created."""
    fake.fail("latency", seconds=30)
    with start(*arguments) as process:
        until(lambda: fake.requests)
        process.send_signal(signal.SIGINT)
        if notice:  # It has a grace period, which the second signal ends.
            until_line(process, "Stopping: ")
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (130, "")
    assert err.startswith(notice)
    assert err.endswith("losant-tokens: interrupted\n")
    assert len(err.splitlines()) == (2 if notice else 1)


@pytest.mark.slow
def test_delete_interrupted(fake: FakeLosant, service: str) -> None:
    """An interrupted deletion reports the deleted and the possibly deleted tokens."""
    fake.add_token("ci-1", id="1" * 24)
    fake.fail("latency", seconds=30, path=f"/me/tokens/{'2' * 24}")
    with start("delete", "--yes", "1" * 24, "2" * 24) as process:
        until(lambda: len(fake.requests) == 2 and not fake.tokens())
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        until_line(process, "Stopping: ")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (130, "1" * 24 + "\n")
    assert err == (
        f"{'2' * 24} may have been deleted: no response confirms it.\n"
        "Deleted 1 of 2, 1 may have been deleted.\n"
    )


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.slow
def test_broken_pipe(
    fake: FakeLosant, service: str, monkeypatch: pytest.MonkeyPatch, unbuffered: str
) -> None:
    """A reader that closes the pipe ends the command without a message."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    fake.seed(2000)
    with start("list") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()

    assert first.endswith("\n")
    assert (process.wait(), err) == (141, "")


@pytest.mark.slow
def test_broken_pipe_at_exit(service: str) -> None:
    """A reader that closed the pipe before the output is flushed ends the command silently."""
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen(
        [*COMMAND, "list", "--json"], stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.PIPE
    ) as process:
        os.close(write)
        _, err = process.communicate(timeout=20)

    assert (process.returncode, err) == (141, b"")


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.slow
def test_narrow_encoding(
    fake: FakeLosant, service: str, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """Characters that stdout cannot encode are escaped."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    fake.add_token("漢")

    code, out, err = finished("list")

    assert (code, err) == (0, "")
    assert "\\u6f22" in out


def test_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox prints how to connect, serves until Ctrl-C, and exits with 0."""
    with start("sandbox", "--tokens", "7") as process:
        assert process.stdout is not None
        environment = dict(process.stdout.readline().split()[1].split("=", 1) for _ in range(2))
        monkeypatch.setenv("LOSANT_API_URL", environment["LOSANT_API_URL"])
        monkeypatch.setenv("LOSANT_API_TOKEN", environment["LOSANT_API_TOKEN"])
        listed = finished("list")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)

    assert (listed[0], len(listed[1].splitlines())) == (0, 7)
    assert (process.returncode, out) == (0, "")
    assert err.splitlines()[0] == "A fake Losant with 7 API tokens. In another terminal:"
    assert err.endswith("Stopped.\n")
    with pytest.raises(httpx.ConnectError):
        httpx.get(environment["LOSANT_API_URL"])


@pytest.mark.slow
def test_sandbox_on_a_port_in_use(service: str) -> None:
    """A port that is in use is reported in one line."""
    code, out, err = finished("sandbox", "--port", service.rpartition(":")[2])

    assert (code, out) == (1, "")
    assert err.startswith("losant-tokens: error: the fake did not start: cannot listen on port ")
    assert err.splitlines()[1:] == ["hint: pass another --port or --host"]


@pytest.mark.slow
def test_entry_point_imports_little() -> None:
    """The entry point does not import cyclopts, which may be missing."""
    code = "import sys, losant_tokens.cli; print('cyclopts' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


@pytest.mark.slow
def test_main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The entry point uses the arguments of the process, and exits with the exit code."""
    monkeypatch.setattr(sys, "argv", ["losant-tokens", "show"])

    with pytest.raises(SystemExit) as exit_:
        cli.main()

    assert exit_.value.code == 2
    assert "Missing argument: ID" in capsys.readouterr().err


@pytest.mark.slow
def test_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the extra, the command prints what to install."""
    monkeypatch.setattr(cli, "find_spec", lambda _: None)

    with pytest.raises(SystemExit) as exit_:
        cli.main()

    assert exit_.value.code == 1
    assert capsys.readouterr().err == (
        "losant-tokens: error: the command needs cyclopts and rich\n"
        "hint: pip install 'losant-tokens[cli]'\n"
    )


@pytest.mark.slow
def test_interrupted_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    terminal: Callable[..., None],
) -> None:
    """On a terminal, the message is printed below the `^C`."""

    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    terminal()
    monkeypatch.setattr(_main, "run", interrupted)

    with pytest.raises(SystemExit) as exit_:
        cli.main()

    assert (exit_.value.code, capsys.readouterr().err) == (130, "\nlosant-tokens: interrupted\n")
