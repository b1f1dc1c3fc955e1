"""`fleet plan`, `runs`, `show`, `approve` and others, with a fleet in memory."""

import getpass
import json
import os
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
import time_machine

from losant_tokens import Owner
from losant_tokens.cli._fleet import connection
from losant_tokens.cli._options import fleet as fleet_options
from losant_tokens.fleet import Decision, Run, RunResult, Work
from losant_tokens.jobs import Outcome
from tests.support.command import Command
from tests.support.fake_fleet import FakeFleet
from tests.support.fleet_runs import DIGEST, NOW, approved, run
from tests.support.pages import ParsedPage
from tests.support.policies import CLEANUP, LADDER, write_policy

APPLIED = Work(
    worker="alpha",
    version="1.0",
    started_at=NOW - timedelta(minutes=30),
    finished_at=NOW - timedelta(minutes=29),
    attempts=2,
    outcomes={"done": 11, "changed": 1, "failed": 0},
)
QUARANTINED = run(
    id="7b0c11aa",
    state="quarantined",
    account="staging",
    decisions=approved(),
    work={"apply": APPLIED},
    sweep_due_at=NOW + timedelta(days=29, hours=12),
)


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The time of the runs, and a person whose name the environment has."""
    monkeypatch.setenv("LOSANT_TOKENS_BY", "ada@example.com")
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeFleet:
    return FakeFleet(run(), QUARANTINED).install(monkeypatch)


def rows(out: str) -> list[str]:
    """Return the lines of a table, with single spaces."""
    return [" ".join(line.split()) for line in out.splitlines()]


# --- plan ------------------------------------------------------------------------------------


def test_plan(command: Command, fake: FakeFleet) -> None:
    """A run is started for each account once, and stdout has the ids alone."""
    code, out, err = command(
        *("fleet", "plan", "expired", "--account", "a", "--account", "b", "--account", "a")
    )

    assert (code, out) == (0, "00000003\n00000004\n")
    assert err.splitlines()[0] == "Started run 00000003 of expired for a."
    assert [(one.account, one.requested_by) for one in fake.stored.values()][2:] == [
        ("a", "ada@example.com"),
        ("b", "ada@example.com"),
    ]


@pytest.fixture
def busy(fake: FakeFleet, monkeypatch: pytest.MonkeyPatch) -> FakeFleet:
    """A fleet with a worker that plans the runs when somebody waits for them."""

    async def sleep(_: float) -> None:
        fake.work_on_plans()

    monkeypatch.setattr(anyio, "sleep", sleep)
    return fake


def test_plan_and_wait(command: Command, busy: FakeFleet) -> None:
    """With --wait, the plans are shown. If some are refused, the exit code is 3."""
    code, out, err = command(
        *("fleet", "plan", "expired", "--account", "a", "--account", "broken", "--wait")
    )
    assert code == 3
    assert rows(out)[1] == "00000003 waiting a expired 12 of 400 just now -"
    assert rows(out)[2] == "00000004 refused broken expired - just now too many tokens"
    assert err.splitlines() == [
        "Waiting for a worker. Ctrl-C ends only the waiting.",
        "1 run waits for an approval: losant-tokens fleet show RUN",
    ]

    code, out, _ = command("fleet", "plan", "x", "--account", "broken", "--wait", "--json")
    assert (code, json.loads(out)[0]["reason"]) == (1, "too many tokens")


def test_plan_that_cannot_be_made(command: Command, busy: FakeFleet) -> None:
    """A worker that has trouble ends the waiting, although it tries again later."""
    code, out, _ = command("fleet", "plan", "x", "--account", "unknown", "--wait")
    again = "no such account; next attempt due"
    assert (code, rows(out)[1]) == (1, f"00000003 planning unknown x - just now {again}")


def test_warned_tokens(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of tokens that a run warned about is shown."""
    FakeFleet(run(state="empty", plan_selected=0, warned_tokens=5)).install(monkeypatch)

    assert rows(command("fleet", "runs")[1])[1].endswith("5 tokens warned about")
    assert "Warned about: 5 tokens\n" in command("fleet", "show", "1f3a")[1]
    assert json.loads(command("fleet", "show", "1f3a", "--json")[1])["warnedTokens"] == 5


def test_plan_that_warns(
    command: Command, fake: FakeFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clean-up that warns starts no run, unless only the workers may have its file."""
    path = write_policy(tmp_path, LADDER)
    arguments = ("fleet", "plan", "stale", "--account", "a")
    problem = 'the step warn of the clean-up "stale" has no webhook, which a fleet needs'

    code, _, err = command(*arguments, "--policy", str(path))
    assert (code, problem in err, len(fake.stored)) == (1, True, 2)
    every = command("fleet", "plan", "stale", "--all-accounts", "--policy", str(path))
    assert (every[0], problem in every[2]) == (1, True)
    monkeypatch.chdir(path.parent)
    path.rename("policy.toml")
    code, _, err = command(*arguments)
    assert (code, problem in err, len(fake.stored)) == (0, True, 3)


def test_webhook_that_cannot_be_reached(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan whose webhook is asked again shows the failures and the next attempt."""
    later = NOW + timedelta(minutes=4)
    failing = run(reason="The webhook is down.", retry_at=later, webhook_failures=3)
    once = run(id="b", webhook_failures=1)
    FakeFleet(failing, once).install(monkeypatch)

    _, out, _ = command("fleet", "show", "1f3a")
    assert "Webhook:      could not be reached 3 times\n" in out
    assert "Next attempt: 2026-03-01 12:04 UTC (in 4 minutes)\n" in out
    assert "could not be reached once" in command("fleet", "show", "b")[1]

    asked = attrs.evolve(failing, id="00000003")

    async def plan(self: FakeFleet, *_: object, **__: object) -> Run:
        self.stored[asked.id] = asked
        return asked

    monkeypatch.setattr(FakeFleet, "plan", plan)
    assert command("fleet", "plan", "old-ci", "--account", "prod", "--wait")[0] == 0


def test_plan_for_all_accounts(command: Command, fake: FakeFleet, tmp_path: Path) -> None:
    """--all-accounts uses the accounts that the clean-up of the policy file applies to."""
    path = write_policy(tmp_path, f'{CLEANUP}accounts = ["prod-*"]\n')
    config = tmp_path / "config.toml"
    accounts = ("prod-eu", "dev", "prod-us")
    config.write_text("".join(f'[accounts.{one}]\ntoken = {{ env = "X" }}\n' for one in accounts))
    config.chmod(0o600)
    files = ("--policy", str(path), "--config", str(config))

    code, _, _ = command("fleet", "plan", "old-ci", "--all-accounts", *files)
    assert code == 0
    assert [one.account for one in fake.stored.values()][2:] == ["prod-eu", "prod-us"]

    code, _, err = command("fleet", "plan", "old-ic", "--all-accounts", *files)
    assert (code, "Did you mean old-ci?" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "pass --account or --all-accounts"),
        (
            ("--account", "a", "--all-accounts"),
            "--account cannot be combined with --all-accounts",
        ),
    ],
)
def test_plan_needs_accounts(
    arguments: tuple[str, ...], problem: str, command: Command, fake: FakeFleet
) -> None:
    """The accounts must be named, in one way."""
    assert command("fleet", "plan", "expired", *arguments) == (
        2,
        "",
        f"losant-tokens: error: {problem}\n",
    )


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The options of the policy file and the accounts of this machine, which it uses by default."""
    policy, config = write_policy(tmp_path, CLEANUP), tmp_path / "config.toml"
    config.write_text('[accounts.prod]\ntoken = { env = "X" }\n')
    config.chmod(0o600)
    monkeypatch.chdir(policy.parent)
    policy.rename("policy.toml")
    monkeypatch.setenv("LOSANT_TOKENS_CONFIG", str(config))
    return ("--policy", "policy.toml", "--config", str(config))


def test_plan_with_unknown_names(command: Command, fake: FakeFleet, files: tuple[str, ...]) -> None:
    """A name that the files of this machine do not have is a warning: workers may have it."""
    code, _, err = command("fleet", "plan", "old-ic", "--account", "prd")
    assert (code, len(fake.stored)) == (0, 3)
    clean_up, account, _ = err.splitlines()
    assert "the run fails if the workers do not have this clean-up: policy.toml has no" in clean_up
    assert "after 24 hours if the workers do not have this account: There is no" in account
    assert "Did you mean prod?" in account

    _, _, err = command("fleet", "plan", "old-ci", "--account", "prod")
    assert err == "Started run 00000004 of old-ci for prod.\n"


@pytest.mark.parametrize(
    ("cleanup", "account", "problem"),
    [("old-ic", "prod", "Did you mean old-ci?"), ("old-ci", "prd", "Did you mean prod?")],
)
def test_plan_with_unknown_names_in_named_files(
    command: Command,
    fake: FakeFleet,
    files: tuple[str, ...],
    cleanup: str,
    account: str,
    problem: str,
) -> None:
    """A name that a named file does not have is refused."""
    code, out, err = command("fleet", "plan", cleanup, "--account", account, *files)

    assert (code > 0, out, problem in err, len(fake.stored)) == (True, "", True, 2)


def test_plan_without_accounts_on_this_machine(
    command: Command, fake: FakeFleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A machine without accounts and without a policy file starts runs without a warning."""
    monkeypatch.setenv("LOSANT_TOKENS_CONFIG", str(tmp_path / "missing.toml"))

    _, _, err = command("fleet", "plan", "x", "--account", "prd")

    assert err == "Started run 00000003 of x for prd.\n"


# --- runs and show ---------------------------------------------------------------------------


def test_runs(command: Command, fake: FakeFleet) -> None:
    """The runs are a table with their outcomes, and a hint about those that wait."""
    code, out, err = command("fleet", "runs")

    assert code == 0
    assert rows(out) == [
        "RUN STATE ACCOUNT CLEAN-UP TOKENS STARTED OUTCOME",
        "1f3a9c20 waiting prod old-ci 12 of 400 3 hours ago expires in 7 days",
        (
            "7b0c11aa quarantined staging old-ci 12 of 400 3 hours ago 11 deactivated, 1 changed, "
            "sweep due in 29 days"
        ),
    ]
    assert err == "1 run waits for an approval: losant-tokens fleet show RUN\n"


def test_filters(command: Command, fake: FakeFleet) -> None:
    """The store selects the runs."""
    _, out, _ = command("fleet", "runs", "--state", "quarantined", "--account", "staging", "--json")
    assert [one["id"] for one in json.loads(out)] == ["7b0c11aa"]

    assert command("fleet", "runs", "--cleanup", "x") == (0, "", "There are no such runs.\n")

    _, out, err = command("fleet", "runs", "--limit", "1", "--since", "1d")
    assert len(out.splitlines()) == 2
    assert "Showing the newest 1 run. For more, see --limit." in err
    assert fake.calls[-1] == ("runs", {"since": NOW - timedelta(days=1), "limit": 2})

    fake.stored.clear()
    _, _, err = command("fleet", "runs")
    assert err.startswith("There are no runs yet. To start one: losant-tokens fleet plan ")


def test_unknown_state(command: Command, fake: FakeFleet) -> None:
    """A misspelt state is a usage error with a suggestion."""
    code, _, err = command("fleet", "runs", "--state", "wating")
    assert (code, "did you mean waiting?" in err) == (2, True)
    code, _, err = command("fleet", "runs", "--state", "xyz")
    assert (code, "see losant-tokens fleet runs --help" in err) == (2, True)


def test_show(command: Command, fake: FakeFleet) -> None:
    """A run is shown with its plan, the people and the workers, and the next step."""
    code, out, err = command("fleet", "show", "1f3a")
    assert code == 0
    assert "Tokens:       12 of 400, 3 protected\n" in out
    assert "Grace:        30 days\n" in out
    assert f"Digest:       {DIGEST}\n" in out
    assert "Approve by:   2026-03-08 12:00 UTC (in 7 days)\n" in out
    assert err == "To approve it: losant-tokens fleet approve 1f3a9c20\n"

    _, out, err = command("fleet", "show", "7b0c11aa")
    assert "Approved:     2026-03-01 11:00 UTC (1 hour ago) by grace@example.com\n" in out
    assert (
        "Applied:      2026-03-01 11:31 UTC (29 minutes ago) by worker alpha, version 1.0, "
        "2 attempts\n"
        "              11 deactivated, 1 changed\n"
    ) in out
    assert out.index("Approved:") < out.index("Applied:")
    assert "Sweep:        due in 29 days (2026-03-31 00:00 UTC)\n" in out
    assert err == "To activate its tokens again: losant-tokens fleet restore 7b0c11aa\n"


def test_show_of_a_run_in_trouble(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that waits for a retry has its reason, warnings and the time of the next attempt."""
    working = Work(worker="alpha", version="1.0", started_at=NOW - timedelta(minutes=2))
    FakeFleet(
        run(
            state="applying",
            reason="503\x1b[2J",
            retry_at=NOW + timedelta(minutes=5),
            plan_warnings=("The clock differs.",),
            plan_grace=None,
            plan_protected=0,
            work={"plan": working, "apply": working},
            decisions=(Decision(kind="approve", by="ada", at=NOW, reason="change 4711"),),
        )
    ).install(monkeypatch)

    _, out, err = command("fleet", "show", "1f3a9c20")

    assert "Reason:       503\\x1b[2J\n" in out
    assert "Next attempt: 2026-03-01 12:05 UTC (in 5 minutes)\n" in out
    assert "Warning:      The clock differs.\n" in out
    assert "by ada: change 4711\n" in out
    assert "Planned:      2026-03-01 10:00 UTC (2 hours ago) by worker alpha\n" in out
    assert "Applied:      running since 2026-03-01 11:58 UTC (2 minutes ago) by worker alpha" in out
    assert "              no token yet\n" in out
    assert (err, "Approve by" in out) == ("", False)


@pytest.mark.parametrize("columns", [60, 80])
def test_narrow_terminals(
    columns: int,
    command: Command,
    fake: FakeFleet,
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The facts, the runs and the report fit a narrow terminal, except for a long word."""
    terminal(columns=columns)
    monkeypatch.setenv("NO_COLOR", "1")

    for arguments in (("show", "7b0c"), ("runs",), ("report",)):
        _, out, _ = command("fleet", *arguments)
        lines = [line for line in out.splitlines() if DIGEST not in line]
        assert max(map(len, lines)) <= columns, arguments


def test_ids_on_a_narrow_terminal(
    command: Command, monkeypatch: pytest.MonkeyPatch, terminal: Callable[..., None]
) -> None:
    """The ids of runs and tokens are complete, and names are shortened instead."""
    terminal(columns=60)
    monkeypatch.setenv("NO_COLOR", "1")
    long = attrs.evolve(QUARANTINED, id="0467990c51d2", account="production-eu", cleanup="expired")
    fake = FakeFleet(long).install(monkeypatch)
    result = RunResult(
        phase="apply", owner=Owner.user(), id="7" * 24, name="n" * 40, outcome=Outcome.DONE
    )
    fake.results[long.id] = (result,)

    lines = []
    for arguments in (("runs",), ("show", "0467", "--tokens")):
        _, out, _ = command("fleet", *arguments)
        assert max(map(len, out.splitlines())) <= 60
        lines.append(out.split())

    assert {"0467990c51d2", "product…"} <= set(lines[0])
    assert "7" * 24 in lines[1]


def test_show_before_the_plan(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without a plan shows none of its numbers, and is a line in a table."""
    FakeFleet(run(state="planning", plan_digest="", planned_at=None)).install(monkeypatch)

    _, out, err = command("fleet", "show", "1f3a9c20")
    assert "Tokens" not in out
    assert err.startswith("A worker will make the plan, if one runs: ")
    _, out, _ = command("fleet", "show", "1f3a9c20", "--json")
    assert json.loads(out)["plan"] is None
    _, out, _ = command("fleet", "runs")
    assert rows(out)[1] == "1f3a9c20 planning prod old-ci - 3 hours ago -"


def test_show_as_json(command: Command, fake: FakeFleet) -> None:
    """The JSON of a run has its plan, decisions and work, with the names of the other commands."""
    _, out, _ = command("fleet", "show", "7b0c11aa", "--json")

    found = json.loads(out)
    assert (found["requestedBy"], found["sweepDueAt"]) == (
        "ada@example.com",
        "2026-03-31T00:00:00.000Z",
    )
    assert (found["plan"]["selected"], found["plan"]["graceHours"]) == (12, 720)
    assert found["decisions"][0] == {
        "kind": "approve",
        "by": "grace@example.com",
        "at": "2026-03-01T11:00:00.000Z",
        "digest": DIGEST,
        "reason": None,
    }
    assert found["work"]["apply"]["outcomes"] == {"done": 11, "changed": 1, "failed": 0}


def test_reference_of_the_json(command: Command, fake: FakeFleet) -> None:
    """The reference names each member of the JSON of runs and of the report."""
    fake.results["7b0c11aa"] = (
        RunResult(phase="apply", owner=Owner.user(), id="5" * 24, name="a", outcome=None),
    )
    page = Path(__file__).parents[4] / "docs" / "reference" / "command.md"
    section = page.read_text(encoding="utf-8").partition("\n## JSON of runs\n")[2]
    run_ = json.loads(command("fleet", "show", "7b0c", "--tokens", "--json")[1])
    report = json.loads(command("fleet", "report", "--json")[1])
    work = run_["work"]["apply"]

    parts = (run_, run_["plan"], run_["decisions"][0], work, run_["tokens"][0])
    for part in (*parts, report, report["total"]):
        assert [name for name in part if f"`{name}`" not in section] == []


def test_tokens(command: Command, fake: FakeFleet) -> None:
    """--tokens shows the outcome for each token."""
    result = RunResult(
        phase="apply",
        owner=Owner.user(),
        id="5" * 24,
        name="ci-1",
        outcome=Outcome.FAILED,
        error="500",
        changed_at=NOW,
    )
    left = RunResult(phase="apply", owner=Owner.user(), id="6" * 24, name="ci-2", outcome=None)
    fake.results["7b0c11aa"] = (result, left)

    _, out, _ = command("fleet", "show", "7b0c11aa", "--tokens")
    assert rows(out)[1:] == [
        f"ci-1 user {'5' * 24} apply failed 500",
        f"ci-2 user {'6' * 24} apply left -",
    ]
    _, out, _ = command("fleet", "show", "7b0c11aa", "--tokens", "--json")
    assert json.loads(out)["tokens"][0]["outcome"] == "failed"
    _, out, err = command("fleet", "show", "1f3a9c20", "--tokens")
    assert (out, err) == ("", "No worker has changed a token of this run yet.\n")


def test_page_of_a_plan(command: Command, fake: FakeFleet, tmp_path: Path) -> None:
    """--html writes the tokens of the plan with their outcomes as a page."""
    failed = RunResult(
        phase="apply",
        owner=Owner.user(),
        id=f"{1:024x}",
        name="ci-1",
        outcome=Outcome.FAILED,
        error="500 Internal Server Error",
    )
    left = attrs.evolve(failed, id=f"{2:024x}", outcome=None, error=None)
    fake.results["7b0c11aa"] = (failed, left)
    path = tmp_path / "plan.html"

    assert command("fleet", "show", "7b0c", "--html", str(path)) == (0, "", f"Wrote {path}.\n")
    page = ParsedPage(path)
    assert {"Deactivate 12 tokens", "Approved by", "grace@example.com"} <= set(page.texts)
    states = [page.meta["states"][row[0]][1] for row in page.rows]
    assert (states[:3], len(states)) == (["planned", "failed", "planned"], 13)
    assert states[-1] == "protected"
    assert page.rows[1][4] == "500 Internal Server Error"

    command("fleet", "show", "1f3a", "--html", str(path))
    assert "Approved by" not in ParsedPage(path).texts

    missing = tmp_path / "missing"
    code, _, err = command("fleet", "show", "1f3a", "--html", str(missing / "plan.html"))
    assert (code, "cannot be written: No such file" in err) == (1, True)
    assert not missing.exists()


@pytest.mark.parametrize("other", ["--tokens", "--json"])
def test_page_alone(other: str, command: Command, fake: FakeFleet) -> None:
    """--html cannot be combined with another form of output."""
    code, _, err = command("fleet", "show", "1f3a", "--html", "a.html", other)
    assert (code, f"--html cannot be combined with {other}" in err) == (2, True)


# --- Decisions -------------------------------------------------------------------------------


def test_approve(command: Command, fake: FakeFleet, terminal: Callable[..., None]) -> None:
    """The question shows the numbers of the plan, and the approval is for this plan."""
    terminal(typed="y\n")

    code, out, err = command("fleet", "approve", "1f3a", "--reason", "change 4711")

    assert (code, out) == (0, "")
    assert "Deactivate 12 of 400 tokens of prod (old-ci): named 'ci-*'\n" in err
    assert "Approve run 1f3a9c20 (old-ci, prod)? [y/N]" in err
    assert err.endswith("Run 1f3a9c20 is approved: a worker will deactivate 12 tokens of prod.\n")
    assert fake.calls == [
        (
            "approve",
            {
                "id": "1f3a9c20",
                "by": "ada@example.com",
                "digest": DIGEST,
                "reason": "change 4711",
            },
        )
    ]


def test_same_decision_again(command: Command, fake: FakeFleet) -> None:
    """A decision that was made before names the person who made it."""
    fake.stored["1f3a9c20"] = run(state="done", decisions=approved())

    code, _, err = command("fleet", "approve", "1f3a", "--yes")

    before = "Run 1f3a9c20 for prod was already approved: 1 hour ago by grace@example.com."
    assert (code, err.splitlines()[-1]) == (0, before)


def test_decision_about_a_run_without_an_outcome(command: Command, fake: FakeFleet) -> None:
    """The state of a run without an outcome is a sentence of its own."""
    fake.stored["1f3a9c20"] = run(state="planning", plan_digest="")

    _, _, err = command("fleet", "cancel", "1f3a", "--yes")

    assert err.splitlines()[0] == "Run 1f3a9c20 (old-ci, prod) is planning"


def test_declined(command: Command, fake: FakeFleet, terminal: Callable[..., None]) -> None:
    """Without a yes, nothing is decided."""
    terminal(typed="n\n")

    code, _, err = command("fleet", "approve", "1f3a")

    assert (code, "declined: nothing was changed" in err, fake.calls) == (1, True, [])


def test_decisions_without_a_terminal(command: Command, fake: FakeFleet) -> None:
    """Without a terminal, --yes is required."""
    assert command("fleet", "approve", "1f3a")[:2] == (2, "")
    assert fake.calls == []


@pytest.mark.parametrize(
    ("verb", "name", "expected"),
    [
        ("reject", "1f3a", "Run 1f3a9c20 for prod is rejected."),
        ("cancel", "7b0c", "Run 7b0c11aa for staging is cancelled."),
        (
            "restore",
            "7b0c",
            "Run 7b0c11aa is restoring: a worker will activate the unchanged tokens of staging.",
        ),
        ("retry", "1f3a", "Run 1f3a9c20 is applying: a worker will continue the run for prod."),
    ],
)
def test_other_decisions(
    verb: str, name: str, expected: str, command: Command, fake: FakeFleet
) -> None:
    """Each decision records the person of --by, and prints what follows."""
    code, _, err = command("fleet", verb, name, "--yes", "--by", "grace")

    about = {
        "1f3a": "Deactivate 12 of 400 tokens of prod (old-ci): named 'ci-*'",
        "7b0c": "Run 7b0c11aa (old-ci, staging) is quarantined: 11 deactivated, 1 changed, ",
    }
    if verb == "retry":
        about["1f3a"] = "Run 1f3a9c20 (old-ci, prod) is waiting: expires in 7 days"
    assert (code, err.splitlines()[-1]) == (0, expected)
    assert err.startswith(about[name])
    assert [(kind, call["by"]) for kind, call in fake.calls] == [(verb, "grace")]


def test_several_decisions(command: Command, fake: FakeFleet) -> None:
    """A decision that is refused does not stop the others."""
    fake.refused = {"1f3a9c20"}

    code, out, err = command("fleet", "cancel", "1f3a", "7b0c", "1f3a", "--yes", "--json")
    assert (code, [one["id"] for one in json.loads(out)]) == (3, ["7b0c11aa"])
    assert "losant-tokens: error: Run 1f3a9c20 cannot be decided: it is done.\n" in err

    code, out, _ = command("fleet", "cancel", "1f3a", "--yes", "--quiet")
    assert (code, out) == (4, "")


def test_digest(command: Command, fake: FakeFleet) -> None:
    """--digest is passed on, for one run."""
    command("fleet", "approve", "1f3a", "--yes", "--digest", "abababab")
    assert fake.calls[0][1]["digest"] == "abababab"

    code, _, err = command("fleet", "approve", "1f3a", "7b0c", "--yes", "--digest", "abababab")
    assert (code, "--digest is for one run" in err) == (2, True)


def test_decision_before_the_plan(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without a plan is named, and has no digest."""
    fake = FakeFleet(run(state="planning", plan_digest="")).install(monkeypatch)

    _, _, err = command("fleet", "approve", "1f3a9c20", "--yes")

    assert err.startswith("Run 1f3a9c20 has no plan yet: old-ci for prod.\n")
    assert fake.calls[0][1]["digest"] is None


def test_unknown_run(command: Command, fake: FakeFleet) -> None:
    """A run that does not exist is a usage error with a hint."""
    code, _, err = command("fleet", "show", "ffff")

    assert (code, err.splitlines()) == (
        2,
        [
            "losant-tokens: error: There is no run ffff.",
            "hint: to see the runs: losant-tokens fleet runs",
        ],
    )


# --- report ----------------------------------------------------------------------------------


def test_report(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report has a row for each account, and a total."""
    swept = Work(worker="a", version="1", started_at=NOW, outcomes={"done": 10, "gone": 1})
    restored = Work(worker="a", version="1", started_at=NOW, outcomes={"done": 3})
    failed = Work(worker="a", version="1", started_at=NOW, outcomes={"failed": 2, "unknown": 1})
    FakeFleet(
        QUARANTINED,
        run(id="a", state="done", work={"apply": APPLIED, "sweep": swept}),
        run(id="b", state="restored", work={"apply": APPLIED, "restore": restored}),
        run(id="c", state="failed", account="=staging", work={"apply": failed}),
    ).install(monkeypatch)

    code, out, _ = command("fleet", "report", "--since", "90d")
    assert code == 0
    assert rows(out)[1:] == [
        "=staging 1 0 1 12 3 failed",
        "prod 2 0 0 24 22 deactivated, 10 deleted, 3 activated again, 3 left alone",
        "staging 1 1 0 12 11 deactivated, 1 left alone",
        "total 4 1 1 48 33 deactivated, 10 deleted, 3 activated again, 4 left alone, 3 failed",
    ]

    _, out, _ = command("fleet", "report", "--csv")
    assert out.splitlines()[:2] == [
        "account,runs,open,selected,deactivated,deleted,activated,left_alone,failed,unsuccessful",
        "'=staging,1,0,12,0,0,0,0,3,1",
    ]

    _, out, _ = command("fleet", "report", "--json", "--account", "prod")
    found = json.loads(out)
    assert found["since"] == "2026-01-30T12:00:00.000Z"
    assert (found["accounts"][0]["account"], found["total"]["deleted"]) == ("prod", 10)

    _, out, _ = command("fleet", "report", "--account", "staging")
    assert len(out.splitlines()) == 2
    assert command("fleet", "report", "--account", "x")[2] == (
        "There are no runs since 2026-01-30.\n"
    )
    assert command("fleet", "report", "--json", "--csv")[0] == 2


# --- The store -------------------------------------------------------------------------------


def test_store(command: Command, fake: FakeFleet, tmp_path: Path) -> None:
    """A store is passed on, and @FILE is a private file that holds its URL."""
    store = "postgresql://db.example.com/fleet"
    _, _, err = command("fleet", "show", "1f3a9c20", "--store", store)
    assert fake.store == store
    assert err.endswith(f"losant-tokens fleet approve 1f3a9c20 --store {store}\n")
    command("fleet", "runs")
    assert fake.store is None

    file = tmp_path / "url"
    file.write_text("postgresql://me:hunter2@db/fleet\n")
    file.chmod(0o600)
    command("fleet", "runs", "--store", f"@{file}")
    assert fake.store == "postgresql://me:hunter2@db/fleet"

    file.chmod(0o644)
    code, _, err = command("fleet", "runs", "--store", f"@{file}")
    assert (code, "hunter2" in err) == (1, False)
    assert f"the file of --store {file} " in err
    assert "change the password if others may have read it" in err


def test_store_that_does_not_exist(command: Command, fake: FakeFleet, tmp_path: Path) -> None:
    """A file that was named and does not exist is an error, except for the commands that start."""
    path = tmp_path / "fleet.sqlite"
    code, _, err = command("fleet", "runs", "--store", str(path))
    assert (code, f"there is no store: {path} does not exist" in err) == (2, True)

    assert command("fleet", "plan", "x", "--account", "a", "--store", str(path))[0] == 0
    path.touch()
    assert command("fleet", "runs", "--store", str(path))[0] == 0


def test_reading_without_a_fleet(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A command that reads creates no store, and names the command that starts a fleet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = tmp_path / "losant-tokens" / "fleet.sqlite"
    start = "o start one: losant-tokens fleet plan CLEANUP --account ACCOUNT"
    notice = f"There is no fleet yet: {path} does not exist. T{start}\n"
    assert command("fleet", "runs") == (0, "", notice)
    assert command("fleet", "report") == (0, "", notice)
    assert command("fleet", "runs", "--json") == (0, "[]\n", "")
    for arguments in (("show", "1f3a"), ("approve", "1f3a", "--yes"), ("doctor",), ("page",)):
        code, out, err = command("fleet", *arguments)
        assert (code, out) == (1, ""), arguments
        assert f"there is no fleet yet: {path} does not exist" in err
        assert start in err
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "losant-tokens").write_text("a file, and no folder")
    code, _, err = command("fleet", "runs")
    assert (code, "there is no fleet yet" in err.lower()) == (1, False)


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        ("postgresql://me:hunter2@db/fleet", "it holds a password"),
        ("postgresql://db/fleet?password=hunter2", "it holds a password"),
        ("postgresql://[db/fleet", "it is not a URL such as postgresql://db.example.com/fleet"),
        ("", "a store cannot be an empty string"),
        ("@", "a store cannot be an empty string"),
    ],
)
def test_unsafe_store(store: str, problem: str, command: Command, fake: FakeFleet) -> None:
    """A password on the command line is refused, and not repeated."""
    code, _, err = command("fleet", "runs", "--store", store)

    assert (code, problem in err, "hunter2" in err) == (2, True, False)


def test_missing_extra(command: Command, fake: FakeFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the message has the command that installs it."""
    monkeypatch.setattr(connection, "find_spec", lambda _: None)

    code, _, err = command("fleet", "runs")

    assert (code, "install it: pip install 'losant-tokens[cli,fleet]'" in err) == (1, True)


def test_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name, the user and the machine are recorded; a container may have no user."""
    monkeypatch.delenv("LOSANT_TOKENS_BY")
    monkeypatch.setattr(socket, "gethostname", lambda: "host")
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    assert fleet_options.person(None) == "ada@host"

    def fail() -> str:
        raise KeyError

    monkeypatch.setattr(getpass, "getuser", fail)
    assert fleet_options.person(None) == f"uid {os.getuid()}@host"
