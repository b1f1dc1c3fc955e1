"""`runs list` and `runs show`: the plans and journals of the state folder."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from losant_tokens import jobs
from losant_tokens.jobs._execution.journal import Journal
from losant_tokens.testing import FakeLosant
from tests.support.clean_ups import fake_with_tokens
from tests.support.command import Command

CI = ("--named", "ci-*")

pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture
def fake() -> FakeLosant:
    return fake_with_tokens(ids=True)


def interrupted(fake: FakeLosant, command: Command) -> None:
    """Make a run that deletes two of four tokens."""
    fake.fail(status=401, method="DELETE", skip=2, times=None)
    command("cleanup", *CI, "--yes", "--max-concurrency", "1")
    fake.clear_faults()


def plan_of(state: Path, command: str) -> jobs.Plan:
    (path,) = state.glob(f"{command}-*.jsonl")
    return jobs.Plan.read(path)


def test_list(fake: FakeLosant, service: str, command: Command, state: Path) -> None:
    """The list has a row for each run, the newest first, and the commands to resume."""
    command("plan", "--named", "keep-0")
    command("quarantine", "--named", "ci-0", "--yes")
    interrupted(fake, command)
    runs = [plan_of(state, name) for name in ("cleanup", "quarantine", "plan")]

    code, out, err = command("runs", "list")

    assert code == 0
    assert [re.split(" {2,}", line.strip()) for line in out.splitlines()] == [
        ["RUN", "PLANNED", "COMMAND", "TOKENS", "STATE", "OUTCOME"],
        [runs[0].id, "just now", "cleanup", "4", "interrupted", "2 deleted, 2 left"],
        [runs[1].id, "just now", "quarantine", "1", "complete", "1 deactivated"],
        [runs[2].id, "just now", "plan", "1", "planned", "1 to delete"],
    ]
    resume = f"losant-tokens apply {runs[0].path} --resume"
    assert err == f"To resume {runs[0].id}: {resume}\n"
    resumed = command(*shlex.split(resume)[1:], "--yes")
    assert (resumed[0], resumed[1][:10]) == (0, "Deleted 4,")


def test_list_as_json(fake: FakeLosant, service: str, command: Command, state: Path) -> None:
    """With --json, the list has the counts and files of each run."""
    interrupted(fake, command)
    plan = plan_of(state, "cleanup")

    (found,) = json.loads(command("runs", "list", "--json")[1])

    numbers = {"tokens": 4, "done": 2, "left": 2, "failed": 0, "unknown": 0}
    assert numbers.items() <= found.items()
    assert (found["id"], found["state"], found["plan"]) == (plan.id, "interrupted", str(plan.path))
    assert (found["command"], found["action"], found["owners"]) == ("cleanup", "delete", ["user"])
    assert [found[name][-1] for name in ("plannedAt", "startedAt", "updatedAt")] == ["Z"] * 3
    assert found["nextCommand"] == f"losant-tokens apply {plan.path} --resume"


def test_empty_list(command: Command) -> None:
    """Without a run, the list says so."""
    assert command("runs", "list") == (0, "", "There are no runs in the state folder.\n")
    assert command("runs", "list", "--json") == (0, "[]\n", "")


@pytest.mark.parametrize("form", ["id", "prefix", "file", "LAST"])
def test_show(fake: FakeLosant, service: str, command: Command, state: Path, form: str) -> None:
    """A run is shown with its facts, its failures, and the command to resume it."""
    fake.fail(status=400, method="DELETE", times=1)
    fake.fail(status=401, method="DELETE", skip=2, times=None)
    command("cleanup", *CI, "--yes", "--max-concurrency", "1")
    plan = plan_of(state, "cleanup")
    names = {"id": plan.id, "prefix": plan.id[:4].upper(), "file": str(plan.path)}

    code, out, err = command("runs", "show", names.get(form, form))

    assert code == 0
    lines = out.splitlines()
    assert lines[:7] == [
        f"Run:      {plan.id}",
        "State:    interrupted",
        "Command:  cleanup",
        "Action:   delete",
        "Rule:     named 'ci-*'",
        f"API:      {service}",
        "Owners:   user",
    ]
    assert re.fullmatch(r"Planned:  20.* UTC \(just now\)", lines[7])
    assert lines[10:14] == [
        "Tokens:   4",
        "Outcome:  2 deleted, 1 failed, 1 left",
        f"Plan:     {plan.path}",
        f"Journal:  {jobs.journal_path(plan)}",
    ]
    assert re.fullmatch(r"  ci-\d \(user 0{23}\d\): .*400 .*", lines[15])
    assert err == f"To resume it: losant-tokens apply {plan.path} --resume\n"


def test_show_as_json(fake: FakeLosant, service: str, command: Command) -> None:
    """With --json, a run is shown with all failed tokens."""
    fake.fail(status=400, method="DELETE", times=None)
    command("cleanup", *CI, "--yes")

    found = json.loads(command("runs", "show", "last", "--json")[1])

    assert (found["state"], found["failed"], len(found["failures"])) == ("complete", 4, 4)
    assert {one["name"] for one in found["failures"]} == {f"ci-{number}" for number in range(4)}
    assert found["nextCommand"].endswith(" --resume --retry-failed")


def test_failures_on_a_narrow_terminal(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """On a terminal, failures break between words."""
    fake.fail(status=400, method="DELETE", times=None)
    command("cleanup", *CI, "--yes")
    terminal(columns=60)

    _, out, _ = command("runs", "show", "last")

    lines = out.partition("Failures:\n")[2].splitlines()
    assert lines[0].startswith("  ci-")
    assert lines[1].startswith("    (/me/tokens/")
    assert max(map(len, lines)) <= 60


def test_many_failures(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first failures are shown, with the number of the others."""
    monkeypatch.setattr("losant_tokens.cli._jobs.run_view._MAX_SHOWN_FAILURES", 3)
    fake.fail(status=400, method="DELETE", times=None)
    command("cleanup", *CI, "--yes")

    _, out, err = command("runs", "show", "last")

    assert out.endswith("  and 1 more: see --json\n")
    assert err.startswith("To retry the failed tokens: losant-tokens apply ")


def test_planned_run(service: str, command: Command) -> None:
    """A plan that was not applied has no journal, and the command to apply it."""
    command("plan", *CI, "--out", "p.jsonl")

    _, out, err = command("runs", "show", "p.jsonl")

    assert "State:    planned\n" in out
    assert "Command:" not in out
    assert "Journal:" not in out
    assert "Outcome:  4 to delete\n" in out
    assert err == "To apply it: losant-tokens apply p.jsonl\n"


def test_run_without_tokens(service: str, command: Command) -> None:
    """A plan that selects no token has nothing to apply."""
    command("plan", "--named", "none", "--out", "p.jsonl")

    _, out, err = command("runs", "show", "p.jsonl")

    assert "Outcome:  none\n" in out
    assert err == ""


def test_complete_run(service: str, command: Command) -> None:
    """A complete run without failures has no next command."""
    command("cleanup", *CI, "--yes")

    assert command("runs", "show", "last")[2] == ""
    assert command("runs", "list")[2] == ""


def test_running_run(fake: FakeLosant, service: str, command: Command, state: Path) -> None:
    """A run whose journal is in use is running, and has no next command."""
    interrupted(fake, command)
    plan = plan_of(state, "cleanup")

    with Journal.open(plan, jobs.journal_path(plan), resume=True):
        _, out, err = command("runs", "show", "last")

    assert "State:    running\n" in out
    assert err == ""


def test_running_process(service: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running run names its process and machine, if they are known."""
    command("plan", *CI, "--out", "p.jsonl")
    plan = jobs.Plan.read("p.jsonl")
    counts = dict.fromkeys(jobs.Outcome, 0)
    running = jobs.JobState(
        journal=Path("j"),
        total=4,
        counts=counts,
        is_started=True,
        is_running=True,
        process_id=7,
        host="ci",
    )
    monkeypatch.setattr(jobs, "job_state", lambda *_: running)

    assert plan.id in command("runs", "show", "p.jsonl")[1]
    out = command("runs", "show", "p.jsonl")[1]
    assert "State:    running (process 7 on ci)\n" in out
    assert "Started:  unknown\n" in out


def test_unreadable_plan(service: str, command: Command, state: Path) -> None:
    """A plan that cannot be read is listed with the problem."""
    command("plan", *CI)
    (path,) = state.glob("plan-*.jsonl")
    path.write_text("{}")

    code, out, err = command("runs", "list")

    assert (code, out.splitlines()[1].split()) == (0, ["?", "unknown", "plan", "unreadable", "-"])
    assert f"{path} is not a plan of losant-tokens" in err
    assert "Problem:  " in command("runs", "show", "last")[1]
    assert json.loads(command("runs", "show", "last", "--json")[1])["failures"] == []


def test_altered_journal(fake: FakeLosant, service: str, command: Command, state: Path) -> None:
    """A run whose journal cannot be read is listed with the problem."""
    interrupted(fake, command)
    plan = plan_of(state, "cleanup")
    jobs.journal_path(plan).write_text("altered\n")

    _, out, err = command("runs", "list")

    assert out.splitlines()[1].split()[0] == plan.id
    assert "journal cannot be read: line 1 was altered" in err


def test_unknown_run(service: str, command: Command) -> None:
    """A name that is neither an id nor a plan exits with 2."""
    for name in ("12345678", "last", "p.jsonl"):
        code, _, err = command("runs", "show", name)

        assert (code, f"there is no run and no plan '{name}'" in err) == (2, True)


def test_ambiguous_run(
    service: str, command: Command, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The beginning of several ids exits with 2 and lists them."""
    monkeypatch.setattr("losant_tokens.cli._id_prefixes._MIN_PREFIX", 0)
    command("plan", "--named", "ci-0")
    command("plan", "--named", "ci-1")

    code, _, err = command("runs", "show", "")

    assert (code, "matches several ids: " in err) == (2, True)
    for path in state.glob("*.jsonl"):
        assert f"{jobs.Plan.read(path).id} (20" in err


def test_plan_in_a_read_only_folder(
    fake: FakeLosant, service: str, command: Command, state: Path
) -> None:
    """The journal of a plan in a read-only folder is found in the state folder."""
    command("plan", *CI, "--out", "p.jsonl")
    command("cleanup", "--named", "keep-0", "--yes")
    plan = jobs.Plan.read("p.jsonl")
    journal = state / f"{plan.digest.replace(':', '')[:40]}.journal"
    fake.fail(status=401, method="DELETE", skip=2, times=None)
    command("apply", "p.jsonl", "--yes", "--journal", str(journal), "--max-concurrency", "1")

    _, out, err = command("runs", "show", "p.jsonl")

    assert f"Journal:  {journal}\n" in out
    assert f"To resume it: losant-tokens apply p.jsonl --resume --journal {journal}\n" in err


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_list_on_a_terminal(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None], columns: int
) -> None:
    """The list fits the terminal."""
    interrupted(fake, command)
    command("quarantine", *CI, "--yes")
    terminal(columns=columns)

    out = command("runs", "list")[1]

    lines = re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines()
    assert max(map(len, lines)) <= columns
    assert "STATE" in lines[0]
