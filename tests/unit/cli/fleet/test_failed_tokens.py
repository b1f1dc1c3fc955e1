"""Failed tokens in `fleet runs`, `show` and `report`, with a fleet in memory."""

import json
from datetime import timedelta
from pathlib import Path

import attrs
import pytest
import time_machine

from losant_tokens.fleet import Work
from tests.support.command import Command
from tests.support.fake_fleet import FakeFleet
from tests.support.fleet_runs import NOW, approved, run

APPLIED = Work(
    worker="alpha",
    version="1.0",
    started_at=NOW - timedelta(minutes=30),
    finished_at=NOW - timedelta(minutes=29),
    outcomes={"done": 9, "failed": 3},
)
FAILED = run(
    id="c0ffee00", state="done", phase="apply", decisions=approved(), work={"apply": APPLIED}
)


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeFleet(run(), FAILED, run(id="f1", state="failed", phase="apply")).install(monkeypatch)


@time_machine.travel(NOW, tick=False)
def test_failed_tokens(command: Command) -> None:
    """Failed tokens are shown with the command that repeats them."""
    code, out, err = command("fleet", "runs", "--failed-tokens")
    row = "c0ffee00 done prod old-ci 12 of 400 3 hours ago 3 tokens failed; 9 deactivated"
    assert (code, [" ".join(line.split()) for line in out.splitlines()[1:]]) == (0, [row])
    assert err == "Tokens failed in 1 run: losant-tokens fleet show RUN --tokens\n"

    _, out, err = command("fleet", "show", "c0ffee00")
    see = "3 tokens; to see the errors: losant-tokens fleet show c0ffee00 --tokens"
    assert f"Failed:       {see}\n" in out
    assert err == "To repeat the failed tokens: losant-tokens fleet retry c0ffee00\n"

    assert json.loads(command("fleet", "show", "c0ffee00", "--json")[1])["failedTokens"] == 3


def test_exit_codes(command: Command, tmp_path: Path) -> None:
    """With --exit-code, failed tokens lead to 3, and a run that failed to 1."""
    page = str(tmp_path / "page.html")
    expected: dict[tuple[str, ...], int] = {
        ("show", "1f3a"): 0,
        ("show", "c0ffee00"): 3,
        ("show", "c0ffee00", "--html", page): 3,
        ("show", "f1"): 1,
        ("report",): 3,
        ("report", "--account", "other"): 0,
    }
    with_code = {words: command("fleet", *words, "--exit-code")[0] for words in expected}
    without = {words: command("fleet", *words)[0] for words in expected}

    assert with_code == expected
    assert set(without.values()) == {0}


def test_failures_before_a_restore(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that failed before a restore, and not in it, are no reason for an alert."""
    restored = attrs.evolve(APPLIED, outcomes={"done": 9})
    work = {"apply": APPLIED, "restore": restored}
    FakeFleet(run(id="r1", state="restored", phase="restore", work=work)).install(monkeypatch)

    code, out, _ = command("fleet", "report", "--exit-code")
    assert (code, out.splitlines()[1].split()[-5:]) == (
        0,
        ["9", "deactivated,", "9", "activated", "again"],
    )
    assert command("fleet", "show", "r1", "--exit-code")[0] == 0
