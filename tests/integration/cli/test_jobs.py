"""`plan`, `apply`, `cleanup`, `quarantine`, `sweep` and `restore`."""

import functools
import io
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from losant_tokens import jobs
from losant_tokens.cli import _connect
from losant_tokens.cli._options import DEFAULT_CONNECTION
from losant_tokens.testing import FakeLosant
from tests.support.command import Command

LONG_AGO = datetime.now(UTC) - timedelta(days=400)
DAY = LONG_AGO.date()
APPLICATION = f"application:{'a' * 24}"


@pytest.fixture
def fake() -> FakeLosant:
    """Five tokens that have expired, and six that have not."""
    fake = FakeLosant()
    for number in range(5):
        fake.add_token(f"ci-{number}", id=f"{number:024x}", expiration_date=LONG_AGO)
    for number in range(6):
        fake.add_token(f"prod-{number}")
    return fake


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of files that have no name of their own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "losant-tokens"


@pytest.fixture
def own_token(fake: FakeLosant, service: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of the token in use, which is one of those listed."""
    token = fake.add_token("own", scope=["all.User"], expiration_date=None)
    monkeypatch.setenv("LOSANT_API_TOKEN", token.secret)
    return token.id


def names(fake: FakeLosant) -> set[str]:
    return {token.name for token in fake.tokens()}


WARNING = "losant-tokens: WARNING: Cannot determine which token this client uses"


def test_plan(fake: FakeLosant, own_token: str, service: str, command: Command) -> None:
    """A plan is shown on stdout: what, where, why, how many; nothing is changed."""
    code, out, err = command("plan", "--expired", "--out", "p.jsonl", "--protect", "prod-*")

    expected = f"""\
Delete 5 of 12 tokens at {service}
Rule:          expired
Protected:     prod-*
Token in use:  {own_token}
Plan:          p.jsonl

ACTION  REASON{" " * 15}  TOKENS  EXAMPLES
"""
    assert (0, expected) == (code, out[: len(expected)])
    assert f"delete  expired on {DAY}       5  " in out
    assert f"keep    not selected{' ' * 16}7\n\n" == out[out.index("keep") :]
    assert err == (
        "Listing the tokens...\n"
        "Nothing was changed. To apply the plan: losant-tokens apply p.jsonl\n"
    )
    assert 12 == len(fake.tokens())
    assert 5 == len(jobs.Plan.read("p.jsonl"))


def test_plan_warns(service: str, command: Command) -> None:
    """What one should know of a plan is said aloud."""
    assert WARNING in command("plan", "--expired")[2]


def test_plan_as_json(fake: FakeLosant, service: str, command: Command, state: Path) -> None:
    """As JSON a plan tells its file, which is one of its own unless it was named, and counts."""
    code, out, _ = command("plan", "--expired", "--action", "deactivate", "--json")

    said = json.loads(out)
    path = Path(said.pop("plan"))
    assert (0, state, 5) == (code, path.parent, len(jobs.Plan.read(path)))
    assert 0o700 == state.stat().st_mode & 0o777
    assert {
        "action": "deactivate",
        "baseUrl": service,
        "rule": "expired",
        "owners": {"user": {"listed": 11, "selected": 5, "protected": 0}},
        "tokenInUse": None,
        "moved": False,
        "incomplete": [],
    } == said


@pytest.mark.parametrize("options", [[], ["--except-named", "ci-*"], ["--any"]])
@pytest.mark.parametrize("name", ["plan", "cleanup", "quarantine"])
def test_no_rule(command: Command, name: str, options: list[str]) -> None:
    """Without a rule nothing is selected, and that is an error of usage."""
    yes = [] if name == "plan" else ["--yes"]

    code, out, err = command(name, *options, *yes)

    assert (2, "") == (code, out)
    assert err.startswith("losant-tokens: error: no tokens are selected: pass a rule")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--named", "*"], "11 of the 11 tokens of user were selected"),
        (["--expired", "--max-changes", "2"], "More than 2 tokens were selected"),
    ],
)
def test_guards(service: str, command: Command, options: list[str], message: str) -> None:
    """A plan that its guards refuse exits with 4, and leaves no file."""
    code, out, err = command("plan", *options, "--out", "p.jsonl")

    assert (4, "") == (code, out)
    assert f"losant-tokens: error: {message}" in err
    assert not Path("p.jsonl").exists()


def test_owners(fake: FakeLosant, service: str, command: Command) -> None:
    """A plan can be about several owners, and says whose tokens are whose."""
    fake.add_token("theirs", owner=APPLICATION, expiration_date=LONG_AGO)

    _, out, _ = command(
        *("plan", "--expired", "--owner", "user", "--owner", APPLICATION),
        *("--out", "p.jsonl", "--allow-majority"),
    )

    assert out.startswith("Delete 6 of 12 tokens")
    assert f"delete  {APPLICATION}  expired on {DAY}       1  theirs\n" in out
    assert f"keep    {APPLICATION}  not selected" in out


def test_apply(fake: FakeLosant, own_token: str, service: str, command: Command) -> None:
    """A plan is shown, applied, and accounted for."""
    command("plan", "--expired", "--out", "p.jsonl")

    code, out, err = command("apply", "p.jsonl", "--yes")

    assert (0, True) == (code, out.startswith("Deleted 5, left alone 0, failed 0: "))
    assert out.endswith(" requests per second.\n")
    assert err.startswith(f"Delete 5 of 12 tokens at {service}\nRule:          expired\n")
    assert "Deleting: 5 of 5; " in err
    assert {"own", *(f"prod-{number}" for number in range(6))} == names(fake)


def test_apply_reads_again(fake: FakeLosant, service: str, command: Command) -> None:
    """What has changed since the plan is left alone, unless nobody looks."""
    command("plan", "--expired", "--out", "p.jsonl")
    command("plan", "--expired", "--out", "q.jsonl")
    command("patch", f"{1:024x}", "--name", "needed")

    assert ", left alone 1 (1 changed), failed 0" in command("apply", "p.jsonl", "--yes")[1]
    assert {"needed"} < names(fake)
    out = command("apply", "q.jsonl", "--yes", "--no-verify", "--rate", "50")[1]
    assert out.startswith("Deleted 1, left alone 4 (4 gone), failed 0")
    assert "needed" not in names(fake)


@pytest.mark.parametrize(("typed", "code", "left"), [("y\n", 0, 6), ("n\n", 1, 11), ("", 1, 11)])
def test_asks(
    fake: FakeLosant,
    service: str,
    command: Command,
    terminal: Callable[..., None],
    typed: str,
    code: int,
    left: int,
) -> None:
    """On a terminal it asks, showing the plan, and goes on when told yes."""
    command("plan", "--expired", "--out", "p.jsonl")
    terminal(columns=100, typed=typed)

    exit_code, _, err = command("apply", "p.jsonl")

    assert "\nDelete 5 tokens permanently? [y/N] " in err
    assert ("Nothing was changed.\n" in err) is (left == 11)
    assert (code, left) == (exit_code, len(fake.tokens()))


def test_a_bar(service: str, command: Command, terminal: Callable[..., None]) -> None:
    """On a terminal a bar shows how far it is."""
    terminal(columns=100)

    err = command("cleanup", "--expired", "--yes")[2]

    assert "━" in err
    assert "5/5" in err
    assert "\x1b[1;33mlosant-tokens: WARNING: Cannot determine" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["apply", "p.jsonl"],
        ["cleanup", "--expired"],
        ["quarantine", "--expired"],
        ["sweep", "r.json", "--after", "30d"],
        ["restore", "r.json"],
    ],
)
def test_no_terminal(
    fake: FakeLosant, service: str, command: Command, arguments: list[str]
) -> None:
    """Without a terminal to ask on, nothing is done unless --yes says so."""
    expected = f"losant-tokens: error: {arguments[0]} needs --yes: stdin is not a terminal\n"
    assert (2, "", expected) == command(*arguments)
    assert () == fake.requests


def test_cleanup(fake: FakeLosant, service: str, command: Command, state: Path) -> None:
    """A clean-up plans and applies in one, and keeps plan and journal."""
    code, out, err = command("cleanup", "--named", "ci-*", "--except-named", "ci-3", "--yes")

    assert (0, True) == (code, out.startswith("Deleted 4, "))
    assert "Rule:          named 'ci-*' and not named 'ci-3'\n" in err
    assert {"ci-3", *(f"prod-{number}" for number in range(6))} == names(fake)
    plan, journal = sorted(state.iterdir())
    assert (f"{plan}.journal", "cleanup-") == (str(journal), plan.name[:8])


def test_cleanup_not_agreed(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """A clean-up that is not agreed to can be applied later."""
    terminal(columns=100, typed="no\n")

    code, out, err = command("cleanup", "--expired", "--out", "my plan.jsonl")

    assert (1, "") == (code, out)
    assert err.endswith("The plan is kept. To apply it: losant-tokens apply 'my plan.jsonl'\n")
    assert 11 == len(fake.tokens())


@pytest.mark.parametrize(("options", "kept"), [([], False), (["--out", "p.jsonl"], True)])
def test_nothing_to_clean_up(
    service: str,
    command: Command,
    state: Path,
    terminal: Callable[..., None],
    options: list[str],
    kept: bool,
) -> None:
    """Where nothing is selected there is nothing to ask, and no file stays that nobody named."""
    terminal(columns=100)

    code, out, _ = command("cleanup", "--inactive", *options)

    assert (0, True) == (code, out.startswith("Deleted 0, "))
    assert [] == list(state.iterdir()) if not kept else Path("p.jsonl").exists()


def test_failures(fake: FakeLosant, service: str, command: Command) -> None:
    """What failed is told by name, some of it, and the exit code is 3."""
    fake.fail(status=400, method="DELETE", times=2)

    code, out, err = command("cleanup", "--expired", "--yes", "--max-concurrency", "1")

    assert (3, True) == (code, out.startswith("Deleted 3, left alone 0, failed 2: "))
    assert 2 == err.count("losant-tokens: error: ci-")
    assert "): userApiToken.delete (/me/tokens/" in err


def test_many_failures(fake: FakeLosant, service: str, command: Command) -> None:
    """No more than five failures are told one by one."""
    for number in range(4):
        fake.add_token(f"ci-more-{number}")
    fake.fail(status=400, method="DELETE", times=None)

    err = command("cleanup", "--named", "ci-*", "--yes", "--allow-majority")[2]

    assert 5 == err.count("losant-tokens: error: ci-")


@pytest.mark.parametrize("ending", ["json", "csv", "html"])
def test_report(service: str, command: Command, ending: str) -> None:
    """A report is written where it was asked for, in the format of its ending."""
    code, _, err = command("cleanup", "--expired", "--yes", "--report", f"r.{ending}")

    text = Path(f"r.{ending}").read_text(encoding="utf-8-sig")
    assert (0, True) == (code, err.endswith(f"Report: r.{ending}\n"))
    assert "ci-3" in text
    assert text[:1] == {"json": "{", "csv": '"', "html": "<"}[ending]
    assert ("Each token read before it is changed" in text) is (ending != "csv")


def test_reports(service: str, command: Command) -> None:
    """There may be several reports."""
    _, _, err = command(
        *("cleanup", "--expired", "--yes", "--report", "r.json", "--report", "r.html")
    )

    assert err.endswith("Report: r.json\nReport: r.html\n")


@pytest.mark.parametrize(
    ("file", "code", "message"),
    [
        ("r.txt", 2, "the name of a report must end in .json, .csv, .html: r.txt"),
        ("no/r.csv", 1, "no/r.csv cannot be written: its folder is missing or read-only"),
    ],
)
def test_report_nowhere(
    fake: FakeLosant, service: str, command: Command, file: str, code: int, message: str
) -> None:
    """A report that could not be written is told before anything is done."""
    expected = (code, "", f"losant-tokens: error: {message}\n")
    assert expected == command("cleanup", "--expired", "--yes", "--report", file)
    assert () == fake.requests


def test_report_not_written(
    service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the report cannot be written after all, the summary is there, and the exit code 1."""
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.name == "r.csv":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)

    code, out, err = command("cleanup", "--expired", "--yes", "--report", "r.csv")

    assert (1, True) == (code, out.startswith("Deleted 5"))
    line, hint = err.splitlines()[-2:]
    assert "losant-tokens: error: r.csv cannot be written: No space left on device" == line
    assert " --resume --report r.csv" in hint


def test_result_as_json(service: str, command: Command) -> None:
    """As JSON, what came of it is one document."""
    code, out, _ = command("cleanup", "--expired", "--yes", "--json", "--report", "r.csv")

    said = json.loads(out)
    assert (0, 5, 0, ["r.csv"]) == (
        code,
        said["totals"]["done"],
        said["totals"]["left"],
        said["reports"],
    )
    assert "pace" not in said


def test_begun_before(service: str, command: Command) -> None:
    """A plan that was begun is not begun again, but carried on."""
    command("cleanup", "--expired", "--yes", "--out", "p.jsonl")

    code, out, err = command("apply", "p.jsonl", "--yes")

    assert (1, "") == (code, out)
    assert "To continue it, pass --resume." in err
    assert command("apply", "p.jsonl", "--yes", "--resume")[1].startswith("Deleted 5, ")


def test_plan_is_refused(service: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that is none, altered, too old or for somewhere else exits with 4, in a line."""
    command("plan", "--expired", "--out", "p.jsonl")
    Path("none.jsonl").write_text("{}")
    Path("altered.jsonl").write_text(Path("p.jsonl").read_text().replace("ci-1", "ci-2"))
    time.sleep(1.5)  # The server's time comes in whole seconds.

    for arguments, message in (
        (["none.jsonl"], "none.jsonl is not a plan of losant-tokens"),
        (["missing.jsonl"], "missing.jsonl cannot be read: No such file or directory"),
        (["altered.jsonl"], "altered.jsonl was altered since it was made"),
        (["p.jsonl", "--max-age", "0h"], "p.jsonl was made"),
    ):
        code, out, err = command("apply", "--yes", *arguments)
        assert (4, "") == (code, out)
        assert f"losant-tokens: error: {message}" in err
    monkeypatch.setenv("LOSANT_API_URL", "https://losant.example.com")
    code, _, err = command("apply", "--yes", "p.jsonl")
    message = f"error: p.jsonl was made for {service}, but the client uses https://losant.e"
    assert (4, message in err) == (code, True)


def test_plan_nowhere(
    service: str, command: Command, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that cannot be written is one line, wherever it should have been."""
    assert (1, 2) == _code_and_lines(command("plan", "--expired", "--out", "no/p.jsonl"))
    state.parent.mkdir()
    state.write_text("a file")
    code, out, err = command("plan", "--expired")
    assert (1, "") == (code, out)
    assert err == (
        f"losant-tokens: error: {state} cannot be created: File exists\n"
        "hint: choose a file for the plan: --out FILE\n"
    )


def _code_and_lines(result: tuple[int, str, str]) -> tuple[int, int]:
    return result[0], len(result[2].splitlines())


def test_home(
    command: Command, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without XDG_STATE_HOME, the folder is where most keep such files."""
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    out = command("plan", "--expired", "--json")[1]

    expected = tmp_path / "home" / ".local" / "state" / "losant-tokens"
    assert expected == Path(json.loads(out)["plan"]).parent


def test_full_disk(service: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full is told in a line."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    code, out, err = command("plan", "--expired", "--out", "p.jsonl")

    assert (1, "") == (code, out)
    assert "No space left on device" in err.splitlines()[-1]


def test_no_token(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token the message says which variable is missing."""
    monkeypatch.setenv("LOSANT_API_TOKEN", "")

    code, out, err = command("plan", "--expired")

    assert (1, "") == (code, out)
    assert "error: no API token: LOSANT_API_TOKEN is not set\n" in err


def test_token_that_may_not(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that may not do this at all is told with a hint, and the job can be carried on."""
    command("plan", "--expired", "--out", "p.jsonl")
    monkeypatch.setenv("LOSANT_API_TOKEN", fake.access_token(["all.User.read"]))

    code, out, err = command("apply", "--yes", "p.jsonl")

    assert (1, "Deleted 0,") == (code, out[:10])
    assert "losant-tokens: error: userApiToken.delete needs a token with" in err
    assert "hint: set LOSANT_API_TOKEN to a token with one of these scopes\n" in err
    assert err.endswith("To resume: losant-tokens apply p.jsonl --resume\n")


def test_gave_up(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that gave up says so, and how to carry on; the exit code is 3."""
    apply = jobs.apply

    async def gives_up(*arguments: object, **settings: object) -> jobs.Report:
        report = await apply(*arguments, **settings)  # type: ignore[arg-type]
        report.states.note(0, 0)
        return attrs.evolve(report, gave_up="the service does not answer")

    monkeypatch.setattr(jobs, "apply", gives_up)

    code, out, err = command("cleanup", "--expired", "--yes", "--out", "p.jsonl")

    assert (3, True) == (code, ", not started 1: " in out)
    assert err.endswith(
        "losant-tokens: error: gave up: the service does not answer\n"
        "To resume: losant-tokens apply p.jsonl --resume\n"
    )


# --- Quarantine ------------------------------------------------------------------------------


def test_quarantine(fake: FakeLosant, service: str, command: Command) -> None:
    """Tokens are deactivated, and the report says how to go on either way."""
    code, out, err = command("quarantine", "--expired", "--yes", "--report", "r.json")

    assert (0, True) == (code, out.startswith("Deactivated 5, "))
    assert err.endswith(
        "Report: r.json\n"
        "To activate the tokens again: losant-tokens restore r.json\n"
        "To delete them later: losant-tokens sweep r.json --after 30d\n"
    )
    inactive = {token.name for token in fake.tokens() if token.status == "inactive"}
    assert {f"ci-{number}" for number in range(5)} == inactive
    changed = [token["changed"] for token in json.loads(Path("r.json").read_text())["tokens"]]
    assert [token.last_updated.isoformat() for token in fake.tokens()[:5]] == [
        datetime.fromisoformat(text).isoformat() for text in changed
    ]


def test_quarantine_without_a_report(service: str, command: Command, state: Path) -> None:
    """A quarantine has its report as JSON beside the plan, whichever others were asked for."""
    _, _, err = command("quarantine", "--expired", "--yes", "--report", "r.csv")

    (report,) = state.glob("*.json")
    assert (
        f"Report: r.csv\nReport: {report}\nTo activate the tokens again: losant-tokens restore "
        in err
    )
    assert "losant-tokens report" in report.read_text()


def test_restore(fake: FakeLosant, service: str, command: Command) -> None:
    """What was deactivated is active again, but for what was changed since."""
    command("quarantine", "--expired", "--yes", "--report", "r.json")
    command("patch", f"{1:024x}", "--description", "broken, leave it off")

    code, out, _ = command("restore", "r.json", "--yes", "--protect", "ci-2")

    assert (0, True) == (code, out.startswith("Activated 3, left alone 1 (1 protected), failed 0"))
    assert ["ci-1", "ci-2"] == [t.name for t in fake.tokens() if t.status == "inactive"]


def test_sweep(fake: FakeLosant, service: str, command: Command) -> None:
    """After its time, what was deactivated is deleted; not before."""
    command("quarantine", "--expired", "--yes", "--report", "r.json")

    early = command("sweep", "r.json", "--after", "1h", "--yes")
    late = command("sweep", "r.json", "--after", "0h", "--yes")

    assert (0, "Deleted 0,") == (early[0], early[1][:10])
    assert (0, "Deleted 5,") == (late[0], late[1][:10])
    assert {f"prod-{number}" for number in range(6)} == names(fake)


def test_sweep_of_no_report(service: str, command: Command) -> None:
    """A file that is no report of a quarantine exits with 4."""
    command("cleanup", "--expired", "--yes", "--report", "r.json")

    code, _, err = command("sweep", "r.json", "--after", "30d", "--yes")

    assert (4, True) == (code, "r.json is of a plan to delete tokens" in err)


def test_what_is_left_alone_is_told(fake: FakeLosant, service: str, command: Command) -> None:
    """Whoever takes a quarantine back learns that some of its tokens were changed since."""
    command("quarantine", "--expired", "--yes", "--report", "r.json")
    for token in [token for token in fake.tokens() if token.status == "inactive"][:2]:
        fake._store.replace(token, name="changed")

    code, out, err = command("restore", "r.json", "--yes")

    assert (0, "Activated 3,") == (code, out[:12])
    assert "WARNING: Of the 5 tokens in quarantine, 2 are left alone: 2 " in err


def test_quarantine_leaves_alone_what_was_changed(
    fake: FakeLosant, service: str, command: Command
) -> None:
    """A token that became another one between the plan and its application stays active."""
    command("plan", "--expired", "--action", "deactivate", "--out", "p.jsonl")
    for token in fake.tokens():
        fake._store.replace(token, name=f"prod {token.name}")

    code, out, _ = command("apply", "p.jsonl", "--yes")

    assert (0, True) == (code, out.startswith("Deactivated 0, left alone 5 (5 changed)"))
    assert {"active"} == {token.status for token in fake.tokens()}


def test_job_that_ends_in_an_error_is_accounted_for(
    fake: FakeLosant, service: str, command: Command
) -> None:
    """A token that is refused in the middle of a job loses no account of what was done."""
    command("plan", "--expired", "--out", "p.jsonl")
    fake.fail(status=401, method="DELETE", skip=2, times=None)

    code, out, err = command("apply", "p.jsonl", "--yes", "--report", "r.json", "--rate", "9")

    assert (1, True) == (code, out.startswith("Deleted 2, "))
    assert "Report: r.json" in err
    assert "401" in err
    assert "To resume: losant-tokens apply p.jsonl --resume --rate 9 --report r.json\n" in err
    assert 2 == json.loads(Path("r.json").read_text())["totals"]["done"]
    fake.clear_faults()
    code, out, _ = command("apply", "p.jsonl", "--yes", "--resume")
    assert (0, "Deleted 5, left alone 0, failed 0: 2 of them in") == (code, out[:47])
    code, out, _ = command("apply", "p.jsonl", "--yes", "--resume")
    assert (0, "Deleted 5, left alone 0, failed 0: all of them in earlier runs.\n") == (code, out)


def test_plan_of_another_account(fake: FakeLosant, service: str, command: Command) -> None:
    """A plan of another account is refused with exit code 4, and the report says what was done."""
    command("plan", "--expired", "--out", "p.jsonl")
    fake._store.user_id = "b" * 24

    code, _, err = command("apply", "p.jsonl", "--yes", "--report", "r.json")

    assert (4, 11) == (code, len(fake.tokens()))
    assert "Use a token of the same account." in err
    assert 0 == json.loads(Path("r.json").read_text())["totals"]["done"]


def test_report_that_is_a_folder(service: str, command: Command) -> None:
    """A report that cannot be written where it shall go is found out before anything is done."""
    Path("r.json").mkdir()

    code, _, err = command("cleanup", "--expired", "--yes", "--report", "r.json")

    assert (4, True) == (
        code,
        err.startswith("losant-tokens: error: r.json cannot be written: it is a folder"),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", "r.json"], "--after"),
        (["sweep", "r.json", "--after", "soon"], '"soon" is not an age: use hours, days or weeks'),
        (["apply"], "parameter FILE requires"),
        (["apply", "p", "--rate", "0"], 'Invalid value "0.0" for '),
        (["plan", "--owner", "me"], "The owner must be user, oauth, application:ID"),
        (["plan", "--older-than", "9d", "--max-changes", "-1"], 'Invalid value "-1" for '),
    ],
)
def test_usage(command: Command, arguments: list[str], message: str) -> None:
    """What is not understood exits with 2, in one line, and says where the help is."""
    code, out, err = command(*arguments)

    assert (2, "") == (code, out)
    assert message in err.splitlines()[0]
    assert f"hint: see losant-tokens {arguments[0]} --help" == err.splitlines()[1]


# --- The pool --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fast", "proxy", "wanted", "expected"),
    [
        (True, None, None, ("AiohttpPool", 50)),
        (True, None, 7, ("AiohttpPool", 7)),
        (False, None, None, ("HttpxPool", 20)),
        (False, None, 7, ("HttpxPool", 7)),
        (True, "http://localhost:1", None, ("NoneType", 20)),
        (True, "http://localhost:1", 7, ("NoneType", 7)),
    ],
)
def test_pool(
    monkeypatch: pytest.MonkeyPatch,
    fast: bool,
    proxy: str | None,
    wanted: int | None,
    expected: tuple[str, int],
) -> None:
    """The fast pool is used where it is installed, and no proxy is in the way."""
    monkeypatch.setenv("LOSANT_API_TOKEN", "x")
    monkeypatch.delenv("LOSANT_API_URL", raising=False)
    monkeypatch.setattr(_connect, "environment_proxy", lambda _: proxy)
    monkeypatch.setattr(_connect, "find_spec", lambda _: object() if fast else None)

    client = _connect.job_client_factory(DEFAULT_CONNECTION)(wanted)

    assert expected == (type(client._transport).__name__, client.max_connections)


# --- Cron ------------------------------------------------------------------------------------


def test_quiet(own_token: str, fake: FakeLosant, service: str, command: Command) -> None:
    """A quiet job prints nothing if all goes well; the exit code tells."""
    assert (0, "", "") == command("cleanup", "--expired", "--yes", "--quiet")
    assert (0, "", "") == command("cleanup", "--expired", "--yes", "--quiet")
    assert 7 == len(fake.tokens())


def test_quiet_failures(own_token: str, fake: FakeLosant, service: str, command: Command) -> None:
    """A quiet job prints its errors, and JSON that was asked for."""
    fake.fail(status=400, method="DELETE", times=1)

    code, out, err = command("cleanup", "--expired", "--yes", "--quiet", "--json")

    assert (3, 1) == (code, len(err.splitlines()))
    assert 4 == json.loads(out)["totals"]["done"]


def test_little_to_say(service: str, command: Command) -> None:
    """With nothing to do, three lines say so, and which guard cannot work."""
    code, out, err = command("cleanup", "--inactive", "--yes")

    assert (0, True, 3) == (code, out.startswith("Deleted 0, "), len(err.splitlines()))
    assert f"Delete 0 of 11 tokens at {service}: nothing to do. Rule: inactive\n" in err
    assert "WARNING: cannot determine which token is in use" in err
    assert "WARNING" not in command("cleanup", "--inactive", "--yes", "--protect", "prod-1")[2]


# --- Checks that can be overruled ------------------------------------------------------------


def test_unmatched(service: str, command: Command) -> None:
    """A pattern that protects nothing is refused, unless that is meant."""
    options = ("plan", "--expired", "--protect", "nope")

    code, _, err = command(*options)
    assert (4, True) == (code, "'nope'" in err)
    assert "unmatched=" not in err
    assert 0 == command(*options, "--allow-unmatched")[0]


@pytest.mark.parametrize(("check", "code"), [("enforce", 4), ("warn", 0), ("off", 0)])
def test_clock_check(
    command: Command, monkeypatch: pytest.MonkeyPatch, check: str, code: int
) -> None:
    """Rules about time are refused if this machine's clock is wrong, unless overruled."""
    fake = FakeLosant(now=lambda: datetime.now(UTC) - timedelta(days=2))
    fake.add_token("ci")
    with fake.serve() as url:
        monkeypatch.setenv("LOSANT_API_URL", url)
        monkeypatch.setenv("LOSANT_API_TOKEN", fake.admin_token)
        exit_code, _, err = command("plan", "--expired", "--clock-check", check, "--out", "p.jsonl")

    assert (code, check == "enforce") == (exit_code, "--clock-check warn" in err)


@pytest.mark.parametrize("size", ["1000000d", "99999999999d", "9" * 40 + "w"])
@pytest.mark.parametrize(
    "command_line",
    [
        ("plan", "--older-than"),
        ("plan", "--expires-within"),
        ("cleanup", "--not-updated-for"),
        ("sweep", "r.json", "--after"),
        ("apply", "p", "--max-age"),
        ("prune", "--older-than"),
    ],
)
def test_longest_time(command: Command, command_line: tuple[str, ...], size: str) -> None:
    """A time too long for dates is an error of usage."""
    code, out, err = command(*command_line, size)

    assert (2, "", True) == (code, out, "the maximum is 365000d" in err)


def test_long_time(service: str, command: Command) -> None:
    """A thousand years is no error."""
    assert 0 == command("plan", "--older-than", "365000d", "--out", "p.jsonl")[0]
    assert 0 == command("plan", "--expires-within", "365000d", "--out", "q.jsonl")[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--expired"),
        ("cleanup", "--expired", "--yes"),
        ("quarantine", "--expired", "--yes"),
        ("sweep", "q.json", "--after", "1d", "--yes"),
        ("restore", "q.json", "--yes"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_patience_while_planning(
    service: str, command: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """`--patience` holds while the tokens are listed, and not only while a plan is applied."""
    seen: list[float] = []
    name = {"sweep": "sweep", "restore": "restore"}.get(arguments[0], "plan")
    original = getattr(jobs, name)

    @functools.wraps(original)
    async def recording(*positional: Any, **settings: Any) -> jobs.Plan:
        seen.append(settings["patience"])
        made: jobs.Plan = await original(*positional, **settings)
        return made

    if "q.json" in arguments:
        command("quarantine", "--expired", "--yes", "--report", "q.json")
    monkeypatch.setattr(jobs, name, recording)

    command(*arguments, "--patience", "9")

    assert [9] == seen


def test_patience_and_options_in_the_advice(
    fake: FakeLosant, service: str, command: Command
) -> None:
    """The advice to carry on keeps all options that matter."""
    fake.fail(status=401, method="DELETE", skip=2, times=None)

    err = command(
        *("cleanup", "--expired", "--yes", "--out", "p.jsonl", "--no-verify", "--rate", "50"),
        *("--max-concurrency", "1", "--patience", "9", "--journal", "j", "--report", "r.csv"),
        *("--scope-check", "off"),
    )[2]

    assert err.endswith(
        "To resume: losant-tokens apply p.jsonl --resume --no-verify --journal j --rate 50 "
        "--max-concurrency 1 --patience 9 --report r.csv --scope-check off\n"
    )


def test_quiet_plan(own_token: str, service: str, command: Command) -> None:
    """A quiet plan is written, and nothing is printed."""
    assert (0, "", "") == command("plan", "--expired", "--quiet", "--out", "p.jsonl")
    assert 5 == len(jobs.Plan.read("p.jsonl"))


def test_quarantine_of_nothing(service: str, command: Command, state: Path) -> None:
    """A quarantine of nothing leaves no file, but for the journal that was named."""
    code, _, err = command("quarantine", "--named", "nope", "--yes", "--journal", "j")

    assert (0, []) == (code, list(state.iterdir()))
    assert "Report:" not in err
    assert Path("j").exists()


def test_retry_failed_alone(fake: FakeLosant, service: str, command: Command) -> None:
    """`--retry-failed` without `--resume` is an error of usage."""
    code, _, err = command("apply", "p.jsonl", "--yes", "--retry-failed")

    assert (2, True, ()) == (code, "--retry-failed requires --resume" in err, fake.requests)


def test_advice_after_failures(fake: FakeLosant, service: str, command: Command) -> None:
    """A job with failures says how to try these again."""
    fake.fail(status=400, method="DELETE", times=1)

    _, _, err = command("cleanup", "--expired", "--yes", "--out", "p.jsonl", "--rate", "50")

    advice = "To retry the failed tokens: losant-tokens apply p.jsonl --resume --retry-failed"
    assert err.endswith(f"{advice} --rate 50\n")


def test_retry_failed(fake: FakeLosant, service: str, command: Command) -> None:
    """`--resume --retry-failed` tries failed tokens again; `--resume` alone does not."""
    fake.fail(status=400, method="DELETE", times=1)
    command("cleanup", "--expired", "--yes", "--out", "p.jsonl")

    assert 3 == command("apply", "p.jsonl", "--yes", "--resume")[0]
    code, out, _ = command("apply", "p.jsonl", "--yes", "--resume", "--retry-failed")

    assert (0, "Deleted 5, left alone 0, failed 0") == (code, out[:33])


# --- Displays that fail ----------------------------------------------------------------------


@pytest.mark.parametrize("place", ["__enter__", "update", "__exit__"])
def test_a_bar_that_fails(
    service: str,
    command: Command,
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """A bar that fails, wherever, does not stop a job."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    terminal(columns=100)
    monkeypatch.setattr(f"rich.progress.Progress.{place}", broken)

    code, out, _ = command("cleanup", "--expired", "--yes")

    assert (0, True) == (code, out.startswith("Deleted 5, "))


def test_a_question_that_cannot_be_shown(
    fake: FakeLosant,
    service: str,
    command: Command,
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A question that cannot be shown is not agreed to."""

    class Broken(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(5, "Input/output error")

    command("plan", "--expired", "--out", "p.jsonl")
    terminal(typed="y\n")
    monkeypatch.setattr(sys, "stderr", Broken())

    assert 1 == command("apply", "p.jsonl")[0]
    assert 11 == len(fake.tokens())
