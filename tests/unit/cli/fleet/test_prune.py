"""`fleet prune`, with a fleet in memory."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine

from tests.support.command import Command
from tests.support.fake_fleet import FakeFleet
from tests.support.fleet_runs import NOW, run


@pytest.fixture(name="fake")
def _fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFleet]:
    done = [
        run(id="2b11", state="empty"),
        run(id="2b12", state="rejected", account="staging", cleanup="expired"),
    ]
    with time_machine.travel(NOW, tick=False):
        yield FakeFleet(run(), *done).install(monkeypatch)


def test_prune(command: Command, fake: FakeFleet) -> None:
    """Ended runs are removed, stdout has their ids, and the last line their number and size."""
    code, out, err = command("fleet", "prune", "--yes", "--older-than", "30d")

    assert (code, out, err) == (0, "2b11\n2b12\n", "Removed 2 runs, 2.5 MB.\n")
    assert list(fake.stored) == ["1f3a9c20"]
    assert fake.calls == [
        ("prune", {"older_than": timedelta(days=30), "dry_run": True}),
        ("prune", {"older_than": timedelta(days=30), "dry_run": False}),
    ]
    assert command("fleet", "prune", "--yes") == (0, "", "Removed 0 runs.\n")


def test_dry_run(command: Command, fake: FakeFleet) -> None:
    """A dry run shows the runs as a table, and removes none."""
    code, out, err = command("fleet", "prune", "--dry-run", "--account", "prod")

    assert (code, err) == (0, "Would remove 1 run, 1.2 MB.\n")
    assert [line.split()[:2] for line in out.splitlines()] == [["RUN", "STATE"], ["2b11", "empty"]]
    assert len(fake.stored) == 3


def test_json(command: Command, fake: FakeFleet) -> None:
    """JSON has the runs and their size in bytes."""
    _, out, _ = command("fleet", "prune", "--yes", "--json", "--cleanup", "expired", "--quiet")

    found = json.loads(out)
    assert [one["id"] for one in found["runs"]] == ["2b12"]
    assert found["bytes"] == 1_234_567
    assert command("fleet", "prune", "--yes", "--quiet") == (0, "", "")


def test_confirmation(command: Command, fake: FakeFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --yes, the command asks, and needs a terminal for that."""
    assert command("fleet", "prune")[0] == 2
    assert fake.calls == []
    questions: list[str] = []
    answers = [False, True]

    def ask(question: str) -> bool:
        questions.append(question)
        return answers.pop(0)

    module = "losant_tokens.cli.commands.fleet_prune"
    monkeypatch.setattr(f"{module}.require_terminal_or_yes", lambda *_, **__: None)
    monkeypatch.setattr(f"{module}.confirm", ask)
    declined = command("fleet", "prune")
    agreed = command("fleet", "prune", "--account", "prod")

    assert (declined[0], declined[2]) == (
        1,
        "losant-tokens: error: declined: nothing was removed\n",
    )
    assert (agreed[0], agreed[1]) == (0, "2b11\n")
    assert questions == [
        "Remove 2 finished runs with their plans, outcomes and decisions, 2.5 MB?",
        "Remove 1 finished run with its plan, outcomes and decisions, 1.2 MB?",
    ]
