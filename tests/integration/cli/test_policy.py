"""`plan --policy` and `policy warn`: a clean-up of a policy file, from the warning to the sweep."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from losant_tokens import jobs
from losant_tokens.testing import FakeLosant
from tests.support.clean_ups import fake_with_tokens
from tests.support.command import Command
from tests.support.policies import CLEANUP, LADDER, RULE, write_policy

STALE = LADDER.replace('not_updated_for = "1y"', 'named = ["ci-*"]').replace('"svc-*"', '"ci-3"')
CI = CLEANUP.replace(', older_than = "90d"', "")
pytestmark = pytest.mark.usefixtures("service")


@pytest.fixture
def fake() -> FakeLosant:
    return fake_with_tokens()


@pytest.fixture(autouse=True)
def folder(state: Path, tmp_path: Path) -> Path:
    """Return the working folder."""
    return tmp_path


@contextmanager
def after(days: int) -> Iterator[None]:
    """Run the block some days later, by all clocks."""
    with time_machine.travel(datetime.now(UTC) + timedelta(days=days), tick=True):
        yield


def names(file: str) -> list[str]:
    """Return the names of the tokens that a plan changes."""
    plan = jobs.Plan.read(file)
    return sorted(one.name for one in plan.entries() if one.protected is None)


def test_plan(command: Command, folder: Path) -> None:
    """A plan has the selection and the guards of the file, and shows the name of the clean-up."""
    write_policy(folder, RULE + CI + 'protect = ["ci-1"]')

    code, out, err = command("plan", "--policy", "old-ci", "--out", "p.jsonl", "--protect", "ci-2")

    assert (code, names("p.jsonl")) == (0, ["ci-0", "ci-3"])
    assert "Deactivate 2 of 13 tokens" in out + err
    assert "Policy:        old-ci\n" in out + err
    header = jobs.Plan.read("p.jsonl").header
    assert header.policy is not None
    assert (header.policy.cleanup, header.protected) == ("old-ci", ("ci-1", "ci-2"))


def test_narrower_plan(command: Command, folder: Path) -> None:
    """Selection options narrow the selection of the file."""
    path = write_policy(folder, CI).rename(folder / "other.toml")
    options = ("--policy", "old-ci", "--policy-file", str(path), "--named", "*-1", "--named", "x*")
    settings = ("--out", "p.jsonl", "--page-size", "5", "--patience", "1")

    assert command("plan", *options, *settings)[0] == 0
    assert names("p.jsonl") == ["ci-1"]


def test_evidence(command: Command, folder: Path, fake: FakeLosant) -> None:
    """A plan reads the audit logs, and the views of the plan name its clean-up."""
    write_policy(folder, CI + 'protect_seen = "30d"')
    log = f"org:{'c' * 24}"
    fake.add_audit_log(fake.tokens()[1].id, source=log)
    words = ("plan", "--policy", "old-ci", "--out", "p.jsonl")

    code, _, err = command(*words)
    assert (code, "so its plan needs an audit log: pass --seen-in" in err) == (2, True)
    assert command(*words, "--seen-in", log)[0] == 0
    assert len(names("p.jsonl")) == 3

    _, out, _ = command("plan", "show", "p.jsonl", "--json")
    assert json.loads(out)["policy"]["cleanup"] == "old-ci"
    command("plan", "show", "p.jsonl", "--html", "p.html")
    assert "clean-up old-ci of sha256:" in Path("p.html").read_text()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            "--policy old-c",
            2,
            'no clean-up "old-c". Did you mean old-ci?\nhint: its clean-ups are old-ci',
        ),
        ("--policy x.toml", 2, "hint: name the file: CLEANUP --policy-file x.toml"),
        ("--policy-file policy.toml", 2, "--policy-file and --step need the name of a clean-up"),
        ("--policy old-ci --action delete", 2, "--action cannot be combined with --policy"),
        ("--policy old-ci --allow-majority", 2, "--allow-majority cannot be combined with"),
        ("--policy old-ci --allow-unmatched", 2, "--allow-unmatched cannot be combined with"),
        ("--policy old-ci --clock-check off", 2, "--clock-check cannot be combined with"),
        ("--policy old-ci --protect-seen off", 2, "--protect-seen off is more than the policy"),
        ("--policy old-ci --max-changes 51", 2, "is more than the policy file allows: 50 tokens"),
        ("--policy old-ci --max-changes 3", 4, "4 tokens were selected, which is more than 3"),
        ("--policy old-ci --step delete", 2, '"old-ci" has no step delete\nhint: its steps are'),
        ("--policy stale --step delete --expired", 2, "--step delete deletes the tokens of"),
    ],
)
def test_guards(command: Command, folder: Path, options: str, code: int, message: str) -> None:
    """No option weakens a guard of the file."""
    write_policy(folder, CI + STALE if "stale" in options else CI)

    found, _, err = command("plan", *options.split())

    assert (found, message in err) == (code, True)


def test_damaged_ledger(command: Command, folder: Path) -> None:
    """A damaged ledger of warnings stops a ladder, and no clean-up that does not warn."""
    write_policy(folder, CI + STALE)
    ledger = folder / "state" / "losant-tokens" / "policy-warnings.json"
    ledger.parent.mkdir(parents=True, mode=0o700)
    ledger.write_text("[]")
    ledger.chmod(0o600)

    assert command("plan", "--policy", "old-ci")[0] == 0
    code, _, err = command("plan", "--policy", "stale")
    assert (code, "policy-warnings.json cannot be read" in err) == (1, True)


def test_missing_file(command: Command, folder: Path) -> None:
    """Without a policy file, the error names the option; a file of rules has no clean-ups."""
    code, _, err = command("plan", "--policy", "x")
    assert (code, "policy.toml does not exist\nhint: name the policy file" in err) == (1, True)

    write_policy(folder, RULE)
    code, _, err = command("plan", "--policy", "x")
    assert (code, 'has no clean-up "x"\nhint: it has none' in err) == (2, True)


@pytest.mark.slow
def test_ladder(command: Command, folder: Path, fake: FakeLosant) -> None:
    """A ladder warns, deactivates the warned tokens later, and then deletes what is unchanged."""
    write_policy(folder, STALE)
    plan = ("plan", "--policy", "stale", "--out")

    code, _, err = command(*plan, "early.jsonl")
    assert (code, names("early.jsonl")) == (0, [])
    assert "deactivates only tokens that were warned about. To warn: losant-tokens policy" in err

    code, out, err = command("policy", "warn", "stale", "--to-command", "tee message.txt")
    assert (code, out, err) == (0, "", "Warned about 3 tokens by tee.\n")
    assert Path("message.txt").read_text().startswith("3 Losant API tokens will be deactivated")
    _, _, err = command("policy", "warn", "stale", "--to-command", "tee message.txt")
    assert err == "No new token to warn about; 3 tokens before.\n"

    with after(13):
        _, _, err = command(*plan, "wait.jsonl")
        assert names("wait.jsonl") == []
        assert '3 tokens of "stale" were warned about. The first warning is old enough on 2' in err
    with after(15):
        command(*plan, "deactivate.jsonl")
        assert names("deactivate.jsonl") == ["ci-0", "ci-1", "ci-2"]
        assert command("apply", "deactivate.jsonl", "--yes")[0] == 0
    with after(40):
        command(*plan, "none.jsonl")
        assert jobs.Plan.read("none.jsonl").header.total.selected == 0
    with after(46):
        command(*plan, "delete.jsonl")
        assert jobs.Plan.read("delete.jsonl").header.action == "delete"
        assert names("delete.jsonl") == ["ci-0", "ci-1", "ci-2"]
        assert command("apply", "delete.jsonl", "--yes")[0] == 0
    assert [one.name for one in fake.tokens() if one.name.startswith("ci-")] == ["ci-3"]


def test_ladder_of_a_restored_token(command: Command, folder: Path, fake: FakeLosant) -> None:
    """A token that was changed after its warning needs another one, and the command says so."""
    write_policy(folder, STALE)
    command("policy", "warn", "stale", "--to-command", "tee message.txt")
    for token in fake.tokens()[:3]:
        command("patch", token.id, "--description", "needed")

    with after(15):
        _, _, err = command("plan", "--policy", "stale", "--out", "p.jsonl")
        _, _, again = command("policy", "warn", "stale", "--to-command", "tee message.txt")

    assert names("p.jsonl") == []
    assert "was not changed since. To warn again: losant-tokens policy warn stale\n" in err
    assert again == "Warned about 3 tokens by tee.\n"


def test_warning_without_a_receiver(command: Command, folder: Path) -> None:
    """Without a receiver, the message is printed, and nothing is recorded."""
    write_policy(folder, STALE)

    for _ in range(2):
        code, out, err = command("policy", "warn", "stale")
        assert (code, out.splitlines()[0]) == (
            0,
            "3 Losant API tokens will be deactivated in 14 days: stale",
        )
        assert "3 tokens to warn about. Nothing was sent or recorded: choose a receiver" in err


def test_warning_of_another_cleanup(command: Command, folder: Path) -> None:
    """A clean-up without the step warn cannot warn."""
    write_policy(folder, CI)
    code, _, err = command("policy", "warn", "old-ci")
    assert (code, '"old-ci" has no step warn' in err) == (2, True)
