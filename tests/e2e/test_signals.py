"""SIGINT, SIGTERM and SIGHUP, sent to processes.

Only the command that gets the signal is a process. Those before and after it run in this process.
"""

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from losant_tokens.cli._signals.early_handlers import STOP_SIGNALS
from losant_tokens.testing import FakeLosant
from tests.e2e.test_processes import start, until, until_line
from tests.support.command import Command
from tests.support.fast_start import start_fast


@pytest.mark.slow
def test_exit_at_once() -> None:
    """Ctrl-C during imports ends the process with one line."""
    code = (
        "import os, signal\n"
        "from losant_tokens.cli._signals.early_handlers import exit_at_once, handled\n"
        "with handled(exit_at_once): os.kill(os.getpid(), signal.SIGINT)\n"
        "print('still there')\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    expected = (130, "", "losant-tokens: interrupted\n")
    assert (done.returncode, done.stdout, done.stderr) == expected


@pytest.mark.slow
def test_first_handler_imports_little() -> None:
    """Ctrl-C is handled before the slow imports of asyncio, attrs and cyclopts."""
    code = (
        "import sys, losant_tokens.cli._signals.early_handlers\n"
        "print(sys.modules.keys() & {'asyncio', 'attrs', 'cyclopts'})\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("number", STOP_SIGNALS)
@pytest.mark.slow
@pytest.mark.usefixtures("measured_processes")
def test_delete(fake: FakeLosant, service: str, number: int) -> None:
    """A stopped deletion prints each deleted id and starts no other."""
    ids = [fake.add_token(f"ci-{n}").id for n in range(100)]
    fake.fail("latency", seconds=0.3, times=None, method="DELETE", after_acting=True)
    with start("delete", "--yes", *ids) as process:
        until(lambda: len(fake.tokens()) < 90)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)

    gone = set(ids) - {token.id for token in fake.tokens()}
    assert (process.returncode, set(out.split())) == (130, gone)
    assert f"Deleted {len(gone)} of 100, {100 - len(gone)} not started.\n" in err


@pytest.mark.slow
@pytest.mark.usefixtures("measured_processes")
def test_delete_in_doubt(fake: FakeLosant, service: str) -> None:
    """Tokens whose requests were cancelled are reported as possibly deleted."""
    token = fake.add_token("ci")
    fake.fail("latency", seconds=30, method="DELETE", after_acting=True)
    with start("delete", "--yes", token.id) as process:
        until(lambda: not fake.tokens())
        process.send_signal(signal.SIGTERM)
        until_line(process, "Stopping: ")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (130, "")
    assert err.startswith(f"{token.id} may have been deleted: no response confirms it.\n")


@pytest.mark.slow
def test_create_within_the_grace_period(fake: FakeLosant, service: str) -> None:
    """A token that is created within the grace period has its secret printed."""
    fake.fail("latency", seconds=0.5, method="POST", after_acting=True)
    with start("create", "ci", "--expires", "never") as process:
        until(fake.tokens)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)

    assert (process.returncode, out) == (0, f"{fake.tokens()[0].secret}\n")


@pytest.mark.slow
def test_patch_in_doubt(fake: FakeLosant, service: str) -> None:
    """A cancelled change is reported as possibly made, with the command to check."""
    token = fake.add_token("ci")
    fake.fail("latency", seconds=30, method="PATCH", after_acting=True)
    with start("patch", token.id, "--name", "new") as process:
        until(lambda: fake.requests)
        process.send_signal(signal.SIGHUP)
        until_line(process, "Stopping: ")
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert f"The token may have been changed: check with `losant-tokens show {token.id}`." in err


@pytest.mark.slow
def test_patch_within_the_grace_period(fake: FakeLosant, service: str) -> None:
    """A change that is made within the grace period is shown."""
    token = fake.add_token("ci")
    fake.fail("latency", seconds=0.5, method="PATCH")
    with start("patch", token.id, "--name", "new") as process:
        until(lambda: fake.requests)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)

    assert (process.returncode, fake.tokens()[0].name, "new" in out.split()) == (0, "new", True)


# --- Jobs ------------------------------------------------------------------------------------

JOBS = {
    "apply": ("apply", "p.jsonl"),
    "cleanup": ("cleanup", "--named", "ci-*", "--allow-majority"),
    "quarantine": ("quarantine", "--named", "ci-*", "--allow-majority"),
    "sweep": ("sweep", "q.json", "--after", "0h"),
    "restore": ("restore", "q.json"),
}


@pytest.fixture
def prepared(
    fake: FakeLosant,
    service: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> FakeLosant:
    """Return a fake with 30 tokens, a plan for some, and a quarantine of the others."""
    monkeypatch.chdir(tmp_path)
    start_fast(monkeypatch)
    for number in range(15):
        fake.add_token(f"ci-{number}")
        fake.add_token(f"old-{number}")
    quarantine = ("quarantine", "--named", "old-*", "--allow-majority", "--yes")
    assert command(*quarantine, "--report", "q.json")[0] == 0
    assert command("plan", "--named", "ci-*", "--allow-majority", "--out", "p.jsonl")[0] == 0
    return fake


@pytest.mark.slow
@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("number", STOP_SIGNALS)
@pytest.mark.parametrize("name", JOBS)
def test_job(prepared: FakeLosant, command: Command, name: str, number: int) -> None:
    """A stopped job writes its report, prints its totals, and can be resumed."""
    methods = {"PATCH", "DELETE"}
    for method in methods:
        prepared.fail("latency", seconds=0.3, times=None, method=method)
    seen = len(prepared.requests)
    options = ("--yes", "--max-concurrency", "2", "--report", "r.json")
    with start(*JOBS[name], *options) as process:
        until(lambda: sum(one.method in methods for one in prepared.requests[seen:]) > 2)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)

    totals = json.loads(Path("r.json").read_text())["totals"]
    assert (process.returncode, "Traceback" in err) == (130, False)
    assert (totals["done"] > 0, totals["left"] > 0, totals["unknown"]) == (True, True, 0)
    assert f", not started {totals['left']}: " in out
    resume = re.search(r"^To resume: losant-tokens (.*)$", err, re.MULTILINE)
    assert resume is not None
    prepared.clear_faults()
    code, out, _ = command(*shlex.split(resume[1]), "--yes")
    assert (code, ", not started" in out) == (0, False)


@pytest.mark.slow
@pytest.mark.parametrize("number", STOP_SIGNALS)
@pytest.mark.parametrize("name", ["cleanup", "quarantine", "sweep", "restore"])
def test_planning(prepared: FakeLosant, name: str, number: int) -> None:
    """A signal while the tokens are listed ends the command, and no plan is left."""
    seen = len(prepared.requests)
    prepared.fail("latency", seconds=30, times=None, method="GET")
    with start(*JOBS[name], "--yes", "--out", "new.jsonl") as process:
        until(lambda: len(prepared.requests) > seen)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)

    expected = (130, "", "losant-tokens: interrupted\n")
    assert (process.returncode, out, err) == expected
    assert sorted(path.name for path in Path().iterdir()) == ["p.jsonl", "q.json"]


@pytest.mark.slow
def test_second_signal(prepared: FakeLosant) -> None:
    """A second signal ends a job at once, and its report says which tokens are in doubt."""
    prepared.fail("latency", seconds=60, times=None, method="DELETE")
    seen = len(prepared.requests)
    with start(*JOBS["apply"], "--yes", "--max-concurrency", "2", "--report", "r.json") as process:
        until(lambda: sum(one.method == "DELETE" for one in prepared.requests[seen:]) == 2)
        process.send_signal(signal.SIGTERM)
        until_line(process, "Stopping: ")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)

    totals = json.loads(Path("r.json").read_text())["totals"]
    assert (process.returncode, totals["unknown"]) == (130, 2)
    assert ", in doubt 2, not started 13: " in out
    assert "To resume: losant-tokens apply p.jsonl --resume" in err


@pytest.mark.slow
def test_plan_that_another_process_applies(prepared: FakeLosant, command: Command) -> None:
    """A plan in use names the process that applies it, and can be applied when that has ended."""
    prepared.fail("latency", seconds=0.3, times=None, method="DELETE")
    seen = len(prepared.requests)
    with start(*JOBS["apply"], "--yes", "--max-concurrency", "1") as process:
        until(lambda: any(one.method == "DELETE" for one in prepared.requests[seen:]))
        code, out, err = command(*JOBS["apply"], "--yes", "--resume")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)

    assert (code, out) == (1, "")
    assert f"error: the plan is in use: process {process.pid} on " in err
    prepared.clear_faults()
    assert command(*JOBS["apply"], "--yes", "--resume")[0] == 0


@pytest.mark.slow
def test_killed_job(prepared: FakeLosant, command: Command) -> None:
    """A job that was killed is not in use, and its tokens in flight are in doubt."""
    prepared.fail("latency", seconds=0.3, times=None, method="DELETE")
    seen = len(prepared.requests)
    with start(*JOBS["apply"], "--yes", "--max-concurrency", "1") as process:
        until(lambda: sum(one.method == "DELETE" for one in prepared.requests[seen:]) > 2)
        process.kill()
        process.communicate(timeout=20)

    code, _, err = command(*JOBS["apply"], "--yes")

    assert (code, " and is not complete. Of 15 tokens: " in err, " in doubt, " in err) == (
        1,
        True,
        True,
    )
    assert "hint: to resume: losant-tokens apply p.jsonl --resume\n" in err
