"""A quarantine or a sweep that is killed with SIGKILL loses no token and no knowledge."""

import re
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from losant_tokens import jobs
from losant_tokens.testing import FakeLosant
from tests.e2e.test_processes import start, until
from tests.support.command import Command
from tests.support.fast_start import start_fast

NUMBER = 40
QUARANTINE = ("quarantine", "--named", "ci-*", "--allow-majority", "--yes", "--grace", "0h")


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> jobs.Ledger:
    """Return the ledger in the state folder of the commands."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return jobs.Ledger(tmp_path / "losant-tokens" / "quarantines")


@pytest.fixture(autouse=True)
def tokens(fake: FakeLosant, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start_fast(monkeypatch)
    for number in range(NUMBER):
        fake.add_token(f"ci-{number}")


def kill(process: Any, condition: Callable[[], object]) -> None:
    """Kill a process as soon as a condition is met."""
    until(condition)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)


def resume(command: Command, name: str) -> None:
    """Resume the interrupted run that `runs list` shows."""
    code, _, err = command("runs", "list")
    found = re.search(rf"^To resume .*: losant-tokens (apply \S*{name}-.*)$", err, re.MULTILINE)
    assert (code, found is not None) == (0, True), err
    assert found is not None
    code, _, err = command(*shlex.split(found[1]), "--yes")
    assert code == 0, err


@pytest.mark.slow
def test_killed_sweep(fake: FakeLosant, ledger: jobs.Ledger, command: Command) -> None:
    """After `sweep --due` is killed, the list is right, and the sweep can be resumed."""
    command(*QUARANTINE)
    fake.fail("latency", seconds=0.2, method="DELETE", times=None)
    with start("sweep", "--due", "--yes", "--allow-majority", "--max-concurrency", "4") as process:
        kill(process, lambda: len(fake.tokens()) < NUMBER - 8)
    fake.clear_faults()
    left = len(fake.tokens())

    (one,) = ledger.quarantines()
    assert 0 < one.swept <= NUMBER - left
    assert 0 < left < NUMBER
    resume(command, "sweep")

    (one,) = ledger.quarantines()
    assert (fake.tokens(), one.swept, one.waiting) == ((), NUMBER, 0)
    assert "Nothing to sweep: " in command("sweep", "--due", "--yes")[2]


@pytest.mark.slow
def test_sweep_again_after_a_kill(fake: FakeLosant, ledger: jobs.Ledger, command: Command) -> None:
    """After `sweep --due` is killed, another one sweeps the rest."""
    command(*QUARANTINE)
    fake.fail("latency", seconds=0.2, method="DELETE", times=None)
    with start("sweep", "--due", "--yes", "--allow-majority", "--max-concurrency", "4") as process:
        kill(process, lambda: len(fake.tokens()) < NUMBER - 8)
    fake.clear_faults()

    code, _, err = command("sweep", "--due", "--yes", "--allow-majority")

    assert (code, fake.tokens(), "WARNING: Of the" in err) == (0, (), False)
    assert 0 < ledger.quarantines()[0].swept <= NUMBER


@pytest.mark.slow
def test_killed_quarantine(fake: FakeLosant, ledger: jobs.Ledger, command: Command) -> None:
    """After a quarantine is killed, its tokens are known, and it can be resumed and restored.

    The requests in flight got no response, so these tokens have no time of change, and a restore
    leaves them alone.
    """

    def inactive() -> int:
        return sum(token.status == "inactive" for token in fake.tokens())

    fake.fail("latency", seconds=0.2, method="PATCH", times=None)
    with start(*QUARANTINE, "--max-concurrency", "4") as process:
        kill(process, lambda: inactive() > 8)
    fake.clear_faults()

    (one,) = ledger.quarantines()
    assert 0 < one.total <= inactive()
    assert one.total + one.unfinished == NUMBER
    resume(command, "quarantine")
    assert (ledger.quarantines()[0].total, inactive()) == (NUMBER, NUMBER)

    assert command("restore", "last", "--yes")[0] == 0
    assert inactive() <= 4
    assert ledger.quarantines()[0].waiting == inactive()
