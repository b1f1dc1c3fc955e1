"""Quarantines as a ledger: by id, by file or `last`, restored in part, and swept when due."""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from losant_tokens import jobs
from losant_tokens.testing import FakeLosant
from tests.support.clean_ups import fake_with_tokens
from tests.support.command import Command
from tests.support.quarantines import Clock

CI = ("--named", "ci-*", "--yes")
NO_CLOCK_CHECK = ("--clock-check", "off")

pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> FakeLosant:
    return fake_with_tokens(clock, ids=True)


def inactive(fake: FakeLosant) -> list[str]:
    return [token.name for token in fake.tokens() if token.status == "inactive"]


def recorded(state: Path) -> tuple[jobs.Quarantine, ...]:
    return jobs.Ledger(state / "quarantines").quarantines()


# --- Names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["id", "ID", "prefix", "file", "last", "LAST"])
@pytest.mark.sweep(sample=2)
def test_names(fake: FakeLosant, service: str, command: Command, state: Path, form: str) -> None:
    """A quarantine is named by its id, the beginning of its id, its report, or `last`."""
    command("quarantine", *CI, "--report", "q.json")
    id_ = recorded(state)[0].id
    names = {"id": id_, "ID": id_.upper(), "prefix": id_[:4], "file": "q.json"}

    code, out, _ = command("restore", names.get(form, form), "--yes")

    assert (code, out[:12], inactive(fake)) == (0, "Activated 4,", [])
    assert recorded(state)[0].restored == 4


@pytest.mark.parametrize("name", ["12345678", "123", "LATEST"])
def test_unknown_name(fake: FakeLosant, service: str, command: Command, name: str) -> None:
    """A name that is neither an id nor a file exits with 2, and nothing is sent."""
    command("quarantine", *CI)
    fake.clear_requests()

    code, out, err = command("restore", name, "--yes")

    assert (code, out, fake.requests) == (2, "", ())
    assert f"there is no quarantine and no file '{name}'" in err
    assert "hint: to see the quarantines: losant-tokens quarantine list\n" in err


def test_empty_name(service: str, command: Command) -> None:
    """An empty name exits with 2."""
    code, _, err = command("restore", "", "--yes")

    assert (code, "a quarantine cannot be an empty string" in err) == (2, True)


def test_last_without_a_quarantine(service: str, command: Command) -> None:
    """Without a quarantine of this account, `last` is an error."""
    code, _, err = command("restore", "last", "--yes")

    assert code == 1
    assert f"no quarantine of this account at {service} is recorded" in err


def test_last_is_the_newest(fake: FakeLosant, service: str, command: Command, clock: Clock) -> None:
    """`last` is the newest quarantine."""
    command("quarantine", "--named", "ci-0", "--yes")
    clock.ahead = timedelta(seconds=100)
    command("quarantine", "--named", "ci-1", "--yes")

    command("restore", "last", "--yes")

    assert inactive(fake) == ["ci-0"]


# --- Restoring some --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choice",
    [
        ("--named", "ci-[01]"),
        ("--named", "ci-0", "--named", "ci-1"),
        ("--id", f"{0:024x}", "--id", f"{1:024X}"),
        ("--named", "ci-0", "--id", f"{1:024x}"),
    ],
)
def test_restore_of_some(
    fake: FakeLosant, service: str, command: Command, state: Path, choice: tuple[str, ...]
) -> None:
    """`--named` and `--id` restore only the tokens that one of them names."""
    command("quarantine", *CI)

    code, out, err = command("restore", "last", *choice, "--yes")

    assert (code, out[:12], inactive(fake)) == (0, "Activated 2,", ["ci-2", "ci-3"])
    assert "left alone:" not in err
    assert (recorded(state)[0].restored, recorded(state)[0].waiting) == (2, 2)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (("--named", "dev-*"), "No token in quarantine has a name that matches 'dev-*'."),
        (("--id", "f" * 24), f"No token in quarantine has the id {'f' * 24}."),
    ],
)
def test_unmatched_choice(
    fake: FakeLosant, service: str, command: Command, choice: tuple[str, ...], message: str
) -> None:
    """A glob or an id that is not in the quarantine exits with 4, unless it is allowed."""
    command("quarantine", *CI)

    code, _, err = command("restore", "last", *choice, "--yes")
    allowed = command("restore", "last", *choice, "--yes", "--allow-unmatched")

    assert (code, len(inactive(fake))) == (4, 4)
    assert f"{message} Correct it or leave it out, or pass --allow-unmatched." in err
    assert allowed[0] == 0


def test_wrong_id(service: str, command: Command) -> None:
    """An id that is not one exits with 2."""
    code, _, err = command("restore", "last", "--id", "ci-0", "--yes")

    assert (code, "'ci-0' is not a token id" in err) == (2, True)


def test_nothing_left_to_restore(fake: FakeLosant, service: str, command: Command) -> None:
    """A restore of restored tokens exits with 0 and says so."""
    command("quarantine", *CI)
    command("restore", "last", "--yes")

    code, out, err = command("restore", "last", "--yes")

    assert (code, out) == (0, "")
    assert "Nothing is left to restore: of 4 tokens in quarantine, 4 restored.\n" in err


# --- Sweeping what is due --------------------------------------------------------------------


def test_early_sweep(fake: FakeLosant, service: str, command: Command, clock: Clock) -> None:
    """An early sweep exits with 0, and says when the tokens will be due by the server's clock."""
    command("quarantine", *CI, "--grace", "30d")
    due = datetime.now(UTC) + timedelta(days=30)

    code, out, err = command("sweep", "--due", "--yes")

    assert (code, out, len(inactive(fake))) == (0, "", 4)
    assert f"Nothing due until {due:%Y-%m-%d}, when 4 tokens will be due.\n" in err
    assert command("sweep", "--due", "--yes", "--quiet") == (0, "", "")
    clock.ahead = timedelta(days=30, hours=-2)
    err = command("sweep", "last", "--yes", *NO_CLOCK_CHECK)[2]
    assert f"Nothing due until {due:%Y-%m-%d %H:}" in err


def test_sweep_of_all_that_are_due(
    fake: FakeLosant, service: str, command: Command, clock: Clock, state: Path
) -> None:
    """`sweep --due` deletes the tokens of all quarantines whose grace period has ended."""
    command("quarantine", "--named", "ci-0", "--yes", "--grace", "1d")
    command("quarantine", "--named", "ci-1", "--yes", "--grace", "2d")
    command("quarantine", "--named", "ci-2", "--yes", "--grace", "9w")
    command("cleanup", "--named", "ci-3", "--action", "deactivate", "--yes")
    clock.ahead = timedelta(days=3)

    code, out, err = command("sweep", "--due", "--yes", *NO_CLOCK_CHECK)

    assert (code, out[:10], inactive(fake)) == (0, "Deleted 2,", ["ci-2", "ci-3"])
    assert "WARNING: Of the" not in err
    assert sorted((one.swept, one.waiting) for one in recorded(state)) == [
        (0, 1), (0, 1), (1, 0), (1, 0)
    ]  # fmt: skip
    again = command("sweep", "--due", "--yes", *NO_CLOCK_CHECK)
    assert (again[0], "Nothing due until " in again[2]) == (0, True)


def test_owner_that_is_gone(fake: FakeLosant, service: str, command: Command, clock: Clock) -> None:
    """An application that was deleted does not keep other quarantines from being swept."""
    owner = f"application:{'a' * 24}"
    for number in range(3):
        fake.add_token(f"app-{number}", owner=owner)
    command("quarantine", "--named", "app-0", "--owner", owner, "--yes", "--grace", "0h")
    command("quarantine", "--named", "ci-0", "--yes", "--grace", "0h")
    fake.fail(status=404, path="/applications/*", times=None)

    code, out, err = command("sweep", "--due", "--yes")

    assert (code, out[:10], len(fake.tokens())) == (0, "Deleted 1,", 12)
    assert f"is not swept, because the tokens of {owner} cannot be listed: " in err


def test_refused_quarantine(fake: FakeLosant, service: str, command: Command, state: Path) -> None:
    """A quarantine that was refused before it changed anything is not listed."""
    command("plan", *CI[:2], "--action", "deactivate", "--out", "p.jsonl")
    fake._store.user_id = "b" * 24
    for token in fake.tokens():
        fake._store.replace(token, owner_id="b" * 24)

    assert command("apply", "p.jsonl", "--yes")[0] == 4
    assert recorded(state) == ()


def test_nothing_recorded(service: str, command: Command) -> None:
    """`sweep --due` without a quarantine exits with 0 and says so."""
    code, out, err = command("sweep", "--due", "--yes")

    assert (code, out) == (0, "")
    assert "Nothing to sweep: no quarantine with a grace period has tokens left.\n" in err


def test_nothing_left_to_sweep(
    fake: FakeLosant, service: str, command: Command, clock: Clock
) -> None:
    """A sweep of tokens that others have changed says what became of them."""
    command("quarantine", *CI)
    clock.ahead = timedelta(hours=1)
    command("patch", f"{0:024x}", "--status", "active")
    command("delete", f"{1:024x}", "--yes")
    command("patch", f"{2:024x}", "--description", "keep it")
    command("restore", "last", "--id", f"{3:024x}", "--yes")

    code, out, err = command("sweep", "last", "--after", "0h", "--yes", *NO_CLOCK_CHECK)

    assert (code, out) == (0, "")
    assert (
        "Nothing is left to sweep: of 4 tokens in quarantine, 1 restored, 1 reactivated by "
        "somebody else, 1 changed since, 1 deleted by somebody else.\n"
    ) in err


def test_protected_tokens_are_not_swept(fake: FakeLosant, service: str, command: Command) -> None:
    """If all tokens that are due are protected, the sweep says so."""
    command("quarantine", *CI)

    code, _, err = command("sweep", "last", "--after", "0h", "--protect", "ci-*", "--yes")

    assert (code, "Nothing to delete at" in err, "4 protected" in err) == (0, True, True)


def test_several_due_dates(fake: FakeLosant, service: str, command: Command) -> None:
    """If tokens are due on several days, the first and the last day are printed."""
    command("quarantine", "--named", "ci-0", "--yes", "--grace", "30d")
    command("quarantine", "--named", "ci-1", "--yes", "--grace", "40d")
    first, last = (datetime.now(UTC) + timedelta(days=days) for days in (30, 40))

    err = command("sweep", "--due", "--yes")[2]

    expected = f"Nothing due until {first:%Y-%m-%d}. 2 tokens wait, and the last is due on"
    assert f"{expected} {last:%Y-%m-%d}.\n" in err


def test_sweep_without_a_grace_period(fake: FakeLosant, service: str, command: Command) -> None:
    """A quarantine without a grace period is swept only with `--after`."""
    command("cleanup", *CI, "--action", "deactivate")

    code, _, err = command("sweep", "last", "--yes")
    late = command("sweep", "last", "--after", "0h", "--yes")

    assert (code, "sets no grace period" in err, "--after 30d\n" in err) == (2, True, True)
    assert late[1].startswith("Deleted 4,")


def test_next_steps_without_a_grace_period(service: str, command: Command, state: Path) -> None:
    """After a deactivation without a grace period, `sweep --after` is suggested."""
    err = command("cleanup", *CI, "--action", "deactivate")[2]

    name = recorded(state)[0].id
    assert err.endswith(f"To delete them later: losant-tokens sweep {name} --after 30d\n")


def test_other_account(fake: FakeLosant, service: str, command: Command) -> None:
    """The quarantines of another account are not swept, and are not `last`."""
    command("quarantine", *CI, "--grace", "0h")
    fake._store.user_id = "b" * 24
    for token in fake.tokens():
        fake._store.replace(token, owner_id="b" * 24)

    assert command("restore", "last", "--yes")[0] == 1
    assert "Nothing to sweep: no quarantine" in command("sweep", "--due", "--yes")[2]


# --- Recording -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "is_warned"),
    [
        (("quarantine", "--named", "ci-*"), True),
        (("quarantine", "--named", "none-*"), False),
        (("cleanup", "--named", "ci-*"), False),
    ],
)
def test_temporary_state_folder(
    service: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    is_warned: bool,
) -> None:
    """A quarantine warns if its record may not outlive a restart, even if quiet; others do not."""
    monkeypatch.delenv("XDG_STATE_HOME")
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    code, _, err = command(*options, "--yes", "--quiet", "--allow-majority")

    folder = tmp_path / f"losant-tokens-{os.getuid()}"
    warning = f"The quarantine is recorded in {folder}, which a restart of this machine may remove."
    assert (code, err.count(warning)) == (0, int(is_warned))


def test_quarantine_is_recorded_before_it_starts(
    fake: FakeLosant, service: str, command: Command, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarantine that cannot be recorded does not start."""
    state.mkdir(parents=True)
    (state / "quarantines").write_text("a file")

    code, _, err = command("quarantine", *CI)

    assert (code, inactive(fake)) == (1, [])
    assert "quarantines cannot be created: File exists. No token was changed" in err
    assert "hint: set XDG_STATE_HOME to a folder that you can write to\n" in err


def test_quarantine_cannot_be_recorded_at_its_end(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarantine that cannot be recorded at its end exits with 1, and its journal is kept."""
    record = jobs.Ledger.record

    def fail_at_the_end(self: jobs.Ledger, report: jobs.Report) -> Path | None:
        if report.is_complete:
            raise jobs.JobError("the disk is full")
        return record(self, report)

    monkeypatch.setattr(jobs.Ledger, "record", fail_at_the_end)

    code, _, err = command("quarantine", *CI)

    assert (code, len(inactive(fake))) == (1, 4)
    assert "error: the disk is full\nhint: the journal has all outcomes. To record" in err


def test_interrupted_quarantine(
    fake: FakeLosant, service: str, command: Command, state: Path
) -> None:
    """A quarantine that ended early is recorded, and completed by the resumed job."""
    fake.fail(status=401, method="PATCH", skip=2, times=None)
    command("quarantine", *CI, "--max-concurrency", "1", "--out", "p.jsonl")
    assert (recorded(state)[0].total, recorded(state)[0].unfinished) == (2, 2)
    fake.clear_faults()

    command("apply", "p.jsonl", "--resume", "--yes")

    assert (recorded(state)[0].total, recorded(state)[0].unfinished) == (4, 0)


def test_quarantines_of_earlier_releases(
    fake: FakeLosant, service: str, command: Command, state: Path
) -> None:
    """A quarantine whose plan is in the state folder is found without a record of it."""
    command("quarantine", *CI)
    command("plan", "--named", "keep-*", "--action", "deactivate", "--allow-majority")
    for path in (state / "quarantines").iterdir():
        path.unlink()

    code, out, _ = command("restore", "last", "--yes")

    assert (code, out[:12]) == (0, "Activated 4,")


def test_unreadable_record(fake: FakeLosant, service: str, command: Command, state: Path) -> None:
    """A record that cannot be read is a warning, and the others count."""
    command("quarantine", *CI)
    (state / "quarantines" / "quarantine-x.json").write_text("{")

    code, _, err = command("restore", "last", "--yes")

    assert (code, inactive(fake)) == (0, [])
    assert "quarantine-x.json is not a JSON report of losant-tokens" in err


def test_altered_journal(fake: FakeLosant, service: str, command: Command, state: Path) -> None:
    """A quarantine with an altered journal is not resumed."""
    fake.fail(status=401, method="PATCH", skip=2, times=None)
    command("quarantine", *CI, "--max-concurrency", "1", "--out", "p.jsonl")
    fake.clear_faults()
    Path("p.jsonl.journal").write_text("altered\n")

    code, _, err = command("apply", "p.jsonl", "--resume", "--yes")

    assert (code, "p.jsonl.journal cannot be read" in err) == (1, True)


# --- Reports that are needed -----------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("quarantine", "--named", "keep-0", "--yes", "--report", "q.json"),
        ("cleanup", "--named", "keep-0", "--yes", "--report", "q.json"),
        ("cleanup", "--named", "keep-0", "--yes", "--report", "link.JSON"),
        ("cleanup", "--named", "keep-0", "--yes", "--report", "hard.json"),
        ("cleanup", "--named", "keep-0", "--yes", "--report", "q.csv"),
        ("cleanup", "--named", "keep-0", "--yes", "--report", "q.html"),
        ("cleanup", "--named", "keep-0", "--yes", "--out", "q.json"),
        ("cleanup", "--named", "keep-0", "--yes", "--journal", "q.json"),
        ("cleanup", "--named", "keep-0", "--yes", "--log-file", "q.json"),
        ("plan", "--named", "keep-0", "--out", "q.json"),
        ("plan", "show", "p.jsonl", "--html", "q.html"),
        ("sweep", "q.json", "--after", "0h", "--yes", "--report", "q.json"),
        ("sweep", "last", "--after", "0h", "--yes", "--report", "q.json"),
        ("restore", "last", "--yes", "--report", "q.json"),
        ("restore", "last", "--yes", "--out", "q.json"),
        ("restore", "last", "--yes", "--journal", "q.json"),
        ("restore", "q.json", "--yes", "--journal", "link.JSON"),
    ],
    ids=" ".join,
)
@pytest.mark.sweep(sample=5)
def test_report_of_a_quarantine_is_kept(
    fake: FakeLosant, service: str, command: Command, arguments: tuple[str, ...]
) -> None:
    """No command replaces the report of a quarantine, and it refuses before any change."""
    command("quarantine", *CI, "--report", "q.json")
    Path("link.JSON").symlink_to("q.json")
    Path("hard.json").hardlink_to("q.json")
    for name in ("q.csv", "q.html"):
        Path(name).write_bytes(Path("q.json").read_bytes())
    command("plan", "--named", "keep-0", "--out", "p.jsonl")
    before = {path: path.read_bytes() for path in Path().glob("*.*")}
    tokens = fake.tokens()

    code, out, err = command(*arguments)

    assert (code in {1, 4}, out) == (True, ""), err
    assert before == {path: path.read_bytes() for path in before}
    assert tokens == fake.tokens()


@pytest.mark.parametrize("name", ["sweep-1.json", "quarantine-1.json", "../quarantines/r.csv"])
def test_reports_do_not_belong_in_the_ledger(
    fake: FakeLosant, service: str, command: Command, state: Path, name: str
) -> None:
    """A report cannot be written into the folder of the ledger."""
    command("quarantine", *CI)

    path = str(state / "quarantines" / name)
    code, _, err = command("cleanup", "--named", "keep-0", "--yes", "--report", path)

    assert (code, "is for the records of quarantines" in err) == (4, True)
    assert len(fake.tokens()) == 13


def test_case_of_a_file_name(fake: FakeLosant, service: str, command: Command, state: Path) -> None:
    """A report whose name differs from the quarantine's only in case is refused."""
    command("quarantine", *CI, "--report", "q.json")

    code, _, err = command("restore", "q.json", "--yes", "--report", "Q.json")

    assert (code, len(inactive(fake))) == (4, 4)
    assert "the report of the quarantine at once. No token was changed" in err


def test_json_of_a_quarantine(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """The JSON of a quarantine has its grace period and the digest that its id comes from."""
    out = command("quarantine", *CI, "--grace", "1d", "--json")[1]

    plan = json.loads(out)["plan"]
    assert (plan["grace"], plan["digest"][:7]) == (86_400, "sha256:")


# --- The list --------------------------------------------------------------------------------


def test_list(fake: FakeLosant, service: str, command: Command, state: Path, clock: Clock) -> None:
    """The list compares the records of this machine with the tokens of the API."""
    command("quarantine", *CI)
    clock.ahead = timedelta(hours=1)
    command("patch", f"{0:024x}", "--status", "active")
    command("delete", f"{1:024x}", "--yes")
    command("restore", "last", "--id", f"{2:024x}", "--yes")
    (one,) = recorded(state)
    due = datetime.now(UTC) + timedelta(days=30)

    code, out, err = command("quarantine", "list")

    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["ID", "CREATED", "WAITING", "REACTIVATED", "SWEPT", "DUE", "RULE"],
        [one.id, f"{datetime.now(UTC):%Y-%m-%d}", "1", "2", "0", f"{due:%Y-%m-%d}", *NAMED],
    ]
    assert f"{one.id}: 1 token was deleted by somebody else.\n" in err
    assert f"Compared with the tokens at {service} on 20" in err


NAMED = ("named", "'ci-*'")


def test_offline_list(
    fake: FakeLosant,
    service: str,
    command: Command,
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With --offline, the list is from files, without a request and without a token."""
    command("quarantine", *CI)
    command("sweep", "last", "--after", "0h", "--yes", "--protect", "ci-[01]")
    (one,) = recorded(state)
    fake.clear_requests()
    monkeypatch.delenv("LOSANT_API_TOKEN")

    code, out, err = command("quarantine", "list", "--offline")

    assert (code, fake.requests) == (0, ())
    assert out.splitlines()[1].split()[2:5] == ["2", "0", "2"]
    assert err == (
        "From files only: a token that somebody else has activated, changed or deleted is counted "
        "as waiting.\n"
    )
    assert command("quarantine", "list", "--offline", "LAST")[1] == out
    assert command("quarantine", "list", "--offline", one.id)[1] == out


def test_list_as_json(fake: FakeLosant, service: str, command: Command, state: Path) -> None:
    """With --json, the list has all numbers; those that only the API knows may be null."""
    command("quarantine", *CI, "--report", "q.json")
    (one,) = recorded(state)

    online = json.loads(command("quarantine", "list", "q.json", "--json")[1])[0]
    offline = json.loads(command("quarantine", "list", "--json", "--offline")[1])[0]

    numbers = {"tokens": 4, "waiting": 4, "swept": 0, "restored": 0, "failed": 0, "unfinished": 0}
    for found in (online, offline):
        assert (found["id"], found["grace"], found["owners"]) == (one.id, 2_592_000, ["user"])
        assert numbers.items() <= found.items()
    assert (online["due"], online["reactivated"], online["unknown"]) == (0, 0, 0)
    assert (offline["due"], offline["reactivated"], offline["checkedAt"]) == (None, None, None)
    assert [online[name][-1] for name in ("createdAt", "checkedAt")] == ["Z"] * 2
    assert datetime.fromisoformat(online["nextDueAt"]) == datetime.fromisoformat(
        offline["nextDueAt"]
    )


def test_list_of_what_is_due(
    fake: FakeLosant, service: str, command: Command, clock: Clock
) -> None:
    """The list says which quarantines are due, have no grace period, or have no token left."""
    command("quarantine", "--named", "ci-0", "--yes", "--grace", "1d")
    clock.ahead = timedelta(seconds=60)
    command("cleanup", "--named", "ci-1", "--yes", "--action", "deactivate")
    clock.ahead = timedelta(seconds=120)
    command("quarantine", "--named", "ci-2", "--yes")
    command("restore", "last", "--yes")
    clock.ahead = timedelta(days=2)

    _, out, err = command("quarantine", "list")

    assert [line.split()[5] for line in out.splitlines()[1:]] == ["-", "not", "now"]
    assert "1 token is due. To delete: losant-tokens sweep --due\n" in err


def test_list_of_an_unfinished_quarantine(
    fake: FakeLosant, service: str, command: Command, state: Path
) -> None:
    """The list says how to resume a quarantine that ended early, and which tokens failed."""
    fake.fail(status=400, method="PATCH")
    fake.fail(status=401, method="PATCH", skip=1, times=None)
    command("quarantine", *CI, "--max-concurrency", "1", "--out", "p.jsonl")
    (one,) = recorded(state)

    err = command("quarantine", "list", "--offline")[2]

    assert f"{one.id}: 1 token could not be deactivated.\n" in err
    assert (
        f"{one.id}: 2 tokens have no outcome yet. To resume: losant-tokens apply "
        f"{Path.cwd() / 'p.jsonl'} --resume\n"
    ) in err
    Path("p.jsonl").unlink()
    assert "To resume" not in command("quarantine", "list", "--offline")[2]


def test_empty_list(service: str, command: Command) -> None:
    """Without a quarantine, the list says so."""
    expected = (0, "", "No quarantine of this account is recorded on this machine.\n")

    assert command("quarantine", "list") == expected
    assert command("quarantine", "list", "--offline") == expected
    assert command("quarantine", "list", "last")[0] == 1
    assert command("quarantine", "list", "last", "--offline")[0] == 1
    assert command("quarantine", "list", "12345678")[0] == 2


def test_list_of_another_address(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quarantines for another base URL are left out, and a named one is refused."""
    command("quarantine", *CI, "--report", "q.json")
    monkeypatch.setenv("LOSANT_API_URL", "http://127.0.0.1:9")

    assert command("quarantine", "list", "--offline")[1] == ""
    code, _, err = command("quarantine", "list", "q.json")
    assert (code, f"q.json is for {service}, but this command uses" in err) == (4, True)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_list_on_a_terminal(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None], columns: int
) -> None:
    """The list fits the terminal, and keeps the numbers on a narrow one."""
    command("quarantine", "--named", "ci-*", "--except-named", "keep-*", "--older-than", "0h")
    command("quarantine", *CI)
    terminal(columns=columns)

    out = command("quarantine", "list")[1]

    lines = re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines()
    assert max(map(len, lines)) <= columns
    assert "WAITING" in lines[0]
    assert "RULE" in lines[0]
