"""Evidence of use in `list`, `show`, `plan`, `cleanup`, `quarantine` and `sweep`."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from losant_tokens import jobs
from losant_tokens.testing import FakeLosant
from tests.support.command import Command

NOW = datetime.now(UTC)
INSTANCE = "instance:59f0b3a27e1c4d0006aa41d8"
LOG = "org:58c9e0d5f2b6740001de93b7"
HINT = "hint: check --seen-in, or pass --protect-seen off to plan without it\n"


@pytest.fixture
def fake() -> FakeLosant:
    """Return a fake with ten tokens, of which ci-0 and ci-1 changed something."""
    fake = FakeLosant()
    for owner in ("user", INSTANCE):
        for number in range(5):
            token = fake.add_token(
                f"ci-{number}", owner=owner, creation_date=NOW - timedelta(days=400)
            )
            if number < 2:
                source = LOG if owner == "user" else owner
                when = NOW - timedelta(days=5 + 90 * number)
                fake.add_audit_log(fake.user_id, source=source, actor_type="User")
                fake.add_audit_log(token.id, source=source, creation_date=when)
    for source in (LOG, INSTANCE):
        fake.add_audit_log(
            fake.user_id, source=source, actor_type="User", creation_date=NOW - timedelta(days=999)
        )
    return fake


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str) -> Path:
    """Work in an empty folder, with an empty state folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def account(folder: Path, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    """Name the audit log in the configuration file."""
    file = folder / "config.toml"
    file.write_text(
        f'[accounts.prod]\nurl = "{service}"\naudit_logs = ["{LOG}"]\n'
        '[accounts.prod.token]\nenv = "LOSANT_API_TOKEN"\n'
    )
    monkeypatch.setenv("LOSANT_TOKENS_CONFIG", str(file))


def plan_of(command: Command, *options: str) -> jobs.Plan:
    """Return a plan for the old tokens."""
    path = Path("plan.jsonl")
    path.unlink(missing_ok=True)
    code, _, err = command(
        "plan", "--older-than", "30d", "--allow-majority", "--out", str(path), *options
    )
    assert code == 0, err
    return jobs.Plan.read(path)


def protected(plan: jobs.Plan) -> list[str]:
    return [entry.name for entry in plan.entries() if entry.protected]


def test_plan(command: Command) -> None:
    """A plan protects the tokens that the log shows in use, and states so for the review."""
    plan = plan_of(command, "--seen-in", LOG)
    assert protected(plan) == ["ci-0"]
    assert protected(plan_of(command, "--seen-in", LOG, "--protect-seen", "1y")) == ["ci-0", "ci-1"]

    plan = plan_of(command, "--seen-in", LOG)
    _, out, _ = command("plan", "show", str(plan.path))
    assert f"Seen:          1 protected: seen changing something within 90 days, in {LOG}" in out
    day = (NOW - timedelta(days=5)).date()
    assert f"1 token of user: seen changing something on {day}" in out
    _, out, _ = command("plan", "show", str(plan.path), "--json")
    seen = json.loads(out)["seen"]
    assert (seen["days"], seen["sources"], seen["protected"]) == (90, [LOG], 1)
    command("plan", "show", str(plan.path), "--html", "plan.html")
    assert "1 protected: seen changing something within 90 days" in Path("plan.html").read_text()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", []),
        (f"--owner {INSTANCE}", ["ci-0"]),
        (f"--owner {INSTANCE} --owner user", ["ci-0"]),
        (f"--owner {INSTANCE} --protect-seen off", []),
        (f"--owner {INSTANCE} --protect-seen 0", []),
        (f"--owner {INSTANCE} --protect-seen 30w", ["ci-0", "ci-1"]),
        (f"--owner {INSTANCE} --action activate", []),
        (f"--owner {INSTANCE} --action rotate", []),
        (f"--owner {INSTANCE} --action activate --protect-seen 30d", []),
        (f"--owner {INSTANCE} --seen-in {LOG}", ["ci-0"]),
    ],
)
def test_default(command: Command, options: str, expected: list[str]) -> None:
    """Tokens of an instance are protected by its log, unless an option turns that off."""
    assert expected == protected(plan_of(command, *options.split()))


@pytest.mark.usefixtures("account")
def test_account_names_the_log(command: Command) -> None:
    """The audit logs of an account protect tokens without an option."""
    assert protected(plan_of(command, "--account", "prod")) == ["ci-0"]
    assert protected(plan_of(command, "--account", "prod", "--protect-seen", "off")) == []
    code, out, _ = command("list", "--account", "prod", "--json", "name,lastSeen")
    assert code == 0
    assert [row["lastSeen"] is not None for row in json.loads(out)] == [True, True] + 3 * [False]


def test_log_that_cannot_be_read(command: Command, folder: Path) -> None:
    """If the log cannot be read, the command is blocked, and no plan is written."""
    unknown = "org:" + "a" * 24
    for name in ("plan", "cleanup", "quarantine"):
        words = ("--older-than", "30d", "--seen-in", unknown, "--out", "plan.jsonl")
        code, _, err = command(name, *words, *(() if name == "plan" else ("--yes",)))
        assert code == 4
        assert f"error: The audit log of {unknown} cannot be read" in err
        assert err.endswith(HINT)
        assert not Path("plan.jsonl").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("plan --expired --seen-in user", '"user" is not an audit log: use org:ID or instance:ID'),
        ("list --seen-in org:1", '"org:1" is not an audit log: an ID has 24 hexadecimal digits'),
        ("plan --expired --protect-seen none", "18mo or 2y; to protect none, write off"),
        ("plan --expired --protect-seen 90d", "--protect-seen needs an audit log"),
        ("cleanup --expired --yes --protect-seen 90d", "--protect-seen needs an audit log"),
        (
            f"plan --expired --owner user --owner {INSTANCE} --protect-seen 90d",
            "--protect-seen needs an audit log",
        ),
        (
            f"plan --expired --protect-seen off --seen-in {LOG}",
            "--seen-in has no effect with --protect-seen off",
        ),
        ("list --columns seen", "the column seen needs an audit log"),
        ("list --sort seen", "the column seen needs an audit log"),
        ("list --json lastSeen", "the column seen needs an audit log"),
    ],
)
def test_usage_errors(command: Command, words: str, expected: str) -> None:
    """Options without a meaning are usage errors."""
    code, _, err = command(*words.split())
    assert code == 2
    assert expected in err


def test_log_that_is_too_short(command: Command, fake: FakeLosant) -> None:
    """A log that begins after the span is a warning, and is in the plan."""
    other = "org:" + "b" * 24
    fake.add_audit_log(fake.user_id, source=other, creation_date=NOW - timedelta(days=1))
    code, out, err = command("plan", "--older-than", "30d", "--allow-majority", "--seen-in", other)
    assert code == 0
    gap = f"The audit log of {other} begins on {(NOW - timedelta(days=1)).date()}"
    assert gap in err
    assert "Not proved:" in out


def test_cleanup_and_apply(command: Command, fake: FakeLosant) -> None:
    """A clean-up leaves the tokens that are in use alone."""
    code, _, err = command(
        "cleanup", "--older-than", "30d", "--allow-majority", "--seen-in", LOG, "--yes"
    )
    assert code == 0, err
    assert [token.name for token in fake.tokens()] == ["ci-0"]


def test_apply_reads_the_log_again(command: Command, fake: FakeLosant) -> None:
    """A token that was used after the plan is left alone; an unreadable log blocks the job."""
    plan = plan_of(command, "--seen-in", LOG)
    fake.fail(status=403, path="/orgs/*")
    code, _, err = command("apply", str(plan.path), "--yes")
    assert code == 4
    assert f"The audit log of {LOG} cannot be read" in err
    assert "hint: check the id of the log, and that the API token may read it\n" in err
    assert len(fake.tokens()) == 5
    fake.add_audit_log(fake.tokens()[3].id)
    code, _, err = command("apply", str(plan.path), "--yes", "--resume")
    assert code == 0, err
    assert [token.name for token in fake.tokens()] == ["ci-0", "ci-3"]


def test_quarantine_and_sweep(command: Command, fake: FakeLosant) -> None:
    """A quarantine and a sweep protect the tokens that are in use."""
    words = ("--older-than", "30d", "--allow-majority", "--yes")
    code, _, err = command("quarantine", *words, "--seen-in", LOG)
    assert code == 0, err
    assert [token.name for token in fake.tokens() if token.status == "active"] == ["ci-0"]
    code, _, err = command(
        *("sweep", "last", "--after", "0h", "--allow-majority", "--yes", "--seen-in", LOG),
        *("--protect-seen", "1y"),
    )
    assert code == 0, err
    assert [token.name for token in fake.tokens()] == ["ci-0", "ci-1"]


# --- Lists -----------------------------------------------------------------------------------


def test_list(command: Command, terminal: Callable[..., None]) -> None:
    """A list has a column with the last change, for people and scripts."""
    code, out, _ = command("list", "--seen-in", LOG, "--sort", "seen:desc", "--limit", "2")
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[1] for row in rows] == ["ci-0", "ci-1"]
    assert rows[0][-1].startswith((NOW - timedelta(days=5)).date().isoformat())
    code, out, _ = command("list", "--seen-in", LOG, "--csv", "--limit", "1")
    assert "seen" in out.splitlines()[0].split(",")
    assert (NOW - timedelta(days=5)).date().isoformat() in out
    assert "seen" not in command("list", "--csv")[1].splitlines()[0]
    terminal(columns=100)
    _, out, _ = command("list", "--seen-in", LOG)
    assert "SEEN" in out
    assert "5 days ago" in out
    assert "not seen" in out


def test_list_in_order(command: Command) -> None:
    """The tokens that were not seen come first, then the oldest change."""
    code, out, _ = command("list", "--seen-in", LOG, "--sort", "seen", "--json", "name,lastSeen")
    assert code == 0
    rows = json.loads(out)
    assert [row["name"] for row in rows[3:]] == ["ci-1", "ci-0"]
    assert [row["lastSeen"] for row in rows[:3]] == [None] * 3


def test_list_of_a_log_without_entries(command: Command) -> None:
    """A log without entries shows nothing, and a warning says so."""
    code, _, err = command("list", "--seen-in", "instance:" + "c" * 24)
    assert code == 0
    assert "has no entries, so it cannot show any token in use" in err


def test_show(command: Command, fake: FakeLosant) -> None:
    """The details of a token have its last change, and the words are seen and not seen."""
    seen, _, other, *_ = fake.tokens()
    _, out, _ = command("show", seen.id, "--seen-in", LOG)
    assert "Seen:           changed something on" in out
    _, out, _ = command("show", other.id, "--seen-in", LOG)
    assert "Seen:           not seen changing anything; reading is not recorded" in out
    assert "Seen" not in command("show", other.id)[1]
    _, out, _ = command("show", seen.id, "--seen-in", LOG, "--json")
    assert json.loads(out)["lastSeen"].startswith((NOW - timedelta(days=5)).date().isoformat())
    _, out, _ = command("show", other.id, "--seen-in", LOG, "--json")
    assert json.loads(out)["lastSeen"] is None


def test_progress(command: Command, terminal: Callable[..., None]) -> None:
    """On a terminal, a line shows how much of the log was read."""
    terminal(columns=100)
    _, _, err = command("list", "--seen-in", LOG)
    assert f"Reading {LOG}: 2 of 2" in err


def test_policy(command: Command) -> None:
    """The plan of a clean-up of a policy file protects tokens in use, too."""
    Path("policy.toml").write_text(
        '[[cleanups]]\nname = "old"\naction = "deactivate"\nselect = { older_than = "30d" }\n'
        "max_changes = 100\nallow_majority = true\n"
    )
    code, _, err = command(
        *("plan", "--policy", "old", "--policy-file", "policy.toml", "--seen-in", LOG),
        *("--out", "plan.jsonl"),
    )
    assert code == 0, err
    assert protected(jobs.Plan.read("plan.jsonl")) == ["ci-0"]
