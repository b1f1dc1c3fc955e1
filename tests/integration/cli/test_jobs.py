"""`plan`, `apply`, `cleanup`, `quarantine`, `sweep` and `restore`."""

import functools
import io
import json
import os
import re
import socket
import stat
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from losant_tokens import jobs
from losant_tokens.cli._connections import clients as connect
from losant_tokens.cli._options.common import DEFAULT_CONNECTION
from losant_tokens.jobs._execution.journal import Journal
from losant_tokens.jobs._execution.plan_lock import PlanLock
from losant_tokens.testing import FakeLosant
from tests.support.command import Command

LONG_AGO = datetime.now(UTC) - timedelta(days=400)
DAY = LONG_AGO.date()
APPLICATION = f"application:{'a' * 24}"


@pytest.fixture
def fake() -> FakeLosant:
    """Return a fake with five expired tokens and six valid ones."""
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
    """Return the state folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "losant-tokens"


@pytest.fixture
def own_token(fake: FakeLosant, service: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the id of the token in use, which is also listed."""
    token = fake.add_token("own", scope=["all.User"], expiration_date=None)
    monkeypatch.setenv("LOSANT_API_TOKEN", token.secret)
    return token.id


def names(fake: FakeLosant) -> set[str]:
    return {token.name for token in fake.tokens()}


WARNING = "losant-tokens: WARNING: Cannot determine which token is in use"


def test_plan(fake: FakeLosant, own_token: str, service: str, command: Command) -> None:
    """A plan is shown on stdout with its reasons and counts, and nothing is changed."""
    code, out, err = command("plan", "--expired", "--out", "p.jsonl", "--protect", "prod-*")

    assert code == 0
    assert out.startswith(
        f"Delete 5 of 12 tokens at {service}\n"
        f"Rule:          expired\n"
        f"Protected:     prod-*\n"
        f"Token in use:  {own_token}\n"
        f"Plan:          p.jsonl\n\n"
        f"- delete 5 tokens of user: expired on {DAY}\n"
    )
    assert out.endswith(
        "\n= keep 7 tokens of user: not selected\n\n"
        "Plan: 5 to delete, 7 to keep. None of them can create tokens. 1 creator. Made just now, "
        "valid for 24 hours.\n\n"
    )
    assert err == (
        "Nothing was changed. Review it: losant-tokens plan show p.jsonl --full\n"
        "To apply the plan: losant-tokens apply p.jsonl\n"
    )
    assert len(fake.tokens()) == 12
    assert len(jobs.Plan.read("p.jsonl")) == 5


def test_plan_warns(service: str, command: Command) -> None:
    """Warnings about a plan are printed."""
    assert WARNING in command("plan", "--expired")[2]


def test_plan_as_json(fake: FakeLosant, service: str, command: Command, state: Path) -> None:
    """With --json, the summary of a plan has its file and its counts."""
    code, out, _ = command("plan", "--expired", "--action", "deactivate", "--json")

    printed = json.loads(out)
    path = Path(printed.pop("plan"))
    plan = jobs.Plan.read(path)
    assert (code, path.parent, len(plan)) == (0, state, 5)
    assert state.stat().st_mode & 0o777 == 0o700
    assert printed.pop("digest") == plan.digest
    assert datetime.fromisoformat(printed.pop("validUntil")) - datetime.fromisoformat(
        printed.pop("created")
    ) == timedelta(hours=24)
    assert printed.pop("clockSkew") is not None
    assert printed == {
        "state": "valid",
        "action": "deactivate",
        "baseUrl": service,
        "rule": "expired",
        "owners": {"user": {"listed": 11, "selected": 5, "protected": 0}},
        "protected": [],
        "policy": None,
        "seen": None,
        "tokenInUse": None,
        "tokenExpires": None,
        "account": None,
        "moved": False,
        "incomplete": [],
        "cannotApply": [],
        "refused": [],
        "totals": {
            "listed": 11,
            "selected": 5,
            "kept": 6,
            "protected": 0,
            "canCreateTokens": 0,
            "mayCreateTokens": 0,
            "creators": 1,
        },
    }


@pytest.mark.parametrize(("rule", "expected"), [("--expired", 5), ("--inactive", 0)])
def test_plan_with_an_exit_code(service: str, command: Command, rule: str, expected: int) -> None:
    """With --exit-code, a plan exits with 5 if it selects any token, and else with 0."""
    assert command("plan", rule, "--exit-code")[0] == expected


def test_empty_plan(service: str, command: Command) -> None:
    """An empty plan does not ask to be applied."""
    code, out, err = command("plan", "--inactive", "--out", "p.jsonl")

    assert code == 0
    assert "\nPlan: nothing to delete, 11 to keep. Made just now, valid for 24 hours.\n" in out
    assert err == "Nothing was changed, and there is nothing to apply.\n"


def test_plan_with_a_token_that_cannot_apply_it(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan of a read-only token warns that it cannot be applied with this token."""
    monkeypatch.setenv("LOSANT_API_TOKEN", fake.access_token(["all.User.read"]))

    code, out, err = command("plan", "--expired", "--protect", "prod-*")

    assert code == 0
    problem = "userApiToken.delete needs a token with one of the scopes "
    assert f"\nCannot apply:  {problem}" in out
    assert f"losant-tokens: WARNING: The token in use cannot apply the plan: {problem}" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--named", "zzz"], "--named 'zzz' matches no token. Check its spelling."),
        (["--created-by", "zzz"], "--created-by 'zzz' matches no token. Check its spelling."),
        (["--has-scope", "zzz"], "--has-scope 'zzz' matches no token. Check its spelling."),
        (
            ["--expired", "--except-named", "it's", "--allow-unmatched"],
            '--except-named "it\'s" matches no token, so it excludes nothing. Check its spelling.',
        ),
        (
            ["--expired", "--protect", "zzz", "--allow-unmatched"],
            "--protect 'zzz' matches no token, so it protects nothing. Check its spelling.",
        ),
    ],
)
def test_pattern_that_matches_no_token(
    service: str, command: Command, options: list[str], message: str
) -> None:
    """A warning about a pattern that matches no token names its option."""
    assert f"losant-tokens: WARNING: {message}\n" in command("plan", *options)[2]


@pytest.mark.parametrize("option", ["--named", "--except-named", "--created-by", "--has-scope"])
def test_empty_pattern(command: Command, option: str) -> None:
    """The error about an empty pattern names its option."""
    code, out, err = command("plan", "--expired", option, "")

    assert (code, out) == (2, "")
    assert err.startswith(f"losant-tokens: error: {option} must ")


@pytest.mark.parametrize("options", [[], ["--except-named", "ci-*"], ["--any"]])
@pytest.mark.parametrize("name", ["plan", "cleanup", "quarantine"])
def test_without_a_rule(command: Command, name: str, options: list[str]) -> None:
    """A command without a rule is a usage error."""
    yes = [] if name == "plan" else ["--yes"]

    code, out, err = command(name, *options, *yes)

    assert (code, out) == (2, "")
    assert err.startswith("losant-tokens: error: no tokens are selected: pass a rule")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--named", "*"], "11 of the 11 tokens of user were selected"),
        (["--expired", "--max-changes", "2"], "5 tokens were selected, which is more than 2"),
    ],
)
def test_safety_checks(service: str, command: Command, options: list[str], message: str) -> None:
    """A plan that a safety check blocks exits with 4 and leaves no file."""
    code, out, err = command("plan", *options, "--out", "p.jsonl")

    assert (code, out) == (4, "")
    assert err.startswith(f"{'Delete'} ")
    assert "\nExamples" not in err
    view, _, end = err.rpartition("\n\n")
    _, _, error = end.partition("\nlosant-tokens: error: ")
    assert "tokens of user: " in view
    assert view.splitlines()[-1].endswith("Made just now, and refused.")
    assert error.startswith(message)
    assert list(Path().glob("*.jsonl")) == []


@pytest.mark.parametrize("options", [["--out", "p.jsonl"], []])
def test_refused_plan_is_kept(
    service: str, command: Command, state: Path, options: list[str]
) -> None:
    """The last refused plan is kept for a review of each token, and cannot be applied."""
    command("plan", "--named", "prod-*", "--max-changes", "0")

    err = command("plan", "--named", "*", *options)[2]

    path = state / "refused-plan.jsonl"
    review = f"losant-tokens plan show {path} --full"
    assert f"\nNothing was changed. Review the refused plan: {review}\n" in err
    assert [path] == [one for one in path.parent.iterdir() if one.is_file()]
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    shown = command("plan", "show", str(path), "--full")[1]
    assert "\nRefused:       11 of the 11 tokens of user were selected, which is more than" in shown
    assert "or pass --allow-majority." in shown
    assert 11 == shown.count("- delete ")
    assert 4 == command("apply", str(path), "--yes")[0]


def test_refused_plan_without_a_state_folder(
    service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a state folder, a refused plan is shown in groups only."""
    Path("file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(Path("file").absolute()))

    code, _, err = command("plan", "--named", "*", "--out", "p.jsonl")

    assert 4 == code
    assert "Made just now, and refused." in err
    assert "Review the refused plan" not in err


@pytest.mark.parametrize("name", ["cleanup", "quarantine"])
def test_safety_checks_before_a_change(service: str, command: Command, name: str) -> None:
    """A command that a safety check blocks shows its plan, and the reason last."""
    code, out, err = command(name, "--named", "*", "--yes")

    assert (code, out) == (4, "")
    assert " 11 of 11 tokens at " in err
    assert err.splitlines()[-1].startswith("losant-tokens: error: 11 of the 11 tokens of user ")


def test_quiet_safety_check(service: str, command: Command) -> None:
    """A quiet command that a safety check blocks prints only the reason."""
    code, out, err = command("plan", "--named", "*", "--quiet")

    assert (code, out) == (4, "")
    assert err.splitlines()[-1].startswith("losant-tokens: error: 11 of the 11 tokens of user ")
    assert "Delete 11 of 11" not in err


def test_owners(fake: FakeLosant, service: str, command: Command) -> None:
    """A plan of several owners shows the owner of each group of tokens."""
    fake.add_token("theirs", owner=APPLICATION, expiration_date=LONG_AGO)

    _, out, _ = command(
        *("plan", "--expired", "--owner", "user", "--owner", APPLICATION),
        *("--out", "p.jsonl", "--allow-majority"),
    )

    assert out.startswith("Delete 6 of 12 tokens")
    assert f"\n- delete 1 token of {APPLICATION}: expired on {DAY}\n" in out
    assert "\n= keep 6 tokens of user: not selected\n" in out


def test_apply(fake: FakeLosant, own_token: str, service: str, command: Command) -> None:
    """A plan is shown and applied, and the totals are printed."""
    command("plan", "--expired", "--out", "p.jsonl")

    code, out, err = command("apply", "p.jsonl", "--yes", "--verbose")

    assert (code, out.startswith("Deleted 5, left alone 0, failed 0: ")) == (0, True)
    assert out.endswith(" requests per second.\n")
    assert err.startswith(f"Delete 5 of 12 tokens at {service}\nRule:          expired\n")
    assert "Deleting: 5 of 5; " in err
    assert {"own", *(f"prod-{number}" for number in range(6))} == names(fake)


def test_apply_with_the_clock_of_a_sandbox(
    fake: FakeLosant, service: str, command: Command, tmp_path: Path
) -> None:
    """A plan can be applied if the server's clock is as far ahead as when it was made."""
    fake.clock_offset = timedelta(days=31)
    path = str(tmp_path / "plan.jsonl")
    command("plan", "--named", "ci-*", "--clock-check", "off", "--out", path)

    code, out, _ = command("apply", path, "--yes")

    assert (code, out.startswith("Deleted ")) == (0, True)


def test_apply_reads_tokens_again(fake: FakeLosant, service: str, command: Command) -> None:
    """A token that has changed since the plan is left alone, unless --no-verify is passed."""
    command("plan", "--expired", "--out", "p.jsonl")
    command("plan", "--expired", "--out", "q.jsonl")
    command("patch", f"{1:024x}", "--name", "needed")

    assert ", left alone 1 (1 changed), failed 0" in command("apply", "p.jsonl", "--yes")[1]
    assert {"needed"} < names(fake)
    out = command("apply", "q.jsonl", "--yes", "--no-verify", "--rate", "50")[1]
    assert out.startswith("Deleted 1, left alone 4 (4 gone), failed 0")
    assert "needed" not in names(fake)


@pytest.mark.parametrize(("typed", "code", "left"), [("y\n", 0, 6), ("n\n", 1, 11), ("", 1, 11)])
def test_confirmation(
    fake: FakeLosant,
    service: str,
    command: Command,
    terminal: Callable[..., None],
    typed: str,
    code: int,
    left: int,
) -> None:
    """On a terminal, the plan is shown and applied only after a yes."""
    command("plan", "--expired", "--out", "p.jsonl")
    terminal(columns=100, typed=typed)

    exit_code, _, err = command("apply", "p.jsonl")

    assert "\nDelete 5 tokens permanently? [y/N] " in err
    assert ("Nothing was changed.\n" in err) is (left == 11)
    assert (code, left) == (exit_code, len(fake.tokens()))


def test_confirmation_to_resume(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """The question before a job is resumed has the numbers of its tokens by their state."""
    started(command, jobs.Outcome.DONE, jobs.Outcome.FAILED, None)
    terminal(columns=100, typed="y\n")

    code, out, err = command("apply", "p.jsonl", "--resume")

    assert (code, out[:20]) == (3, "Deleted 4, left alon")
    question = (
        "Delete the 2 tokens that are left (of 5; 1 deleted, 1 in doubt, 1 failed) permanently?"
    )
    assert f"\n{question} [y/N] " in err


def test_question_to_retry(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """With --retry-failed, the question includes the failed tokens."""
    started(command, *[jobs.Outcome.FAILED] * 4, jobs.Outcome.DONE)
    terminal(columns=100, typed="n\n")

    _, _, err = command("apply", "p.jsonl", "--resume", "--retry-failed")

    assert (
        "\nDelete the 4 tokens that failed (of 5; 1 deleted, 4 failed) permanently? [y/N] " in err
    )


def started(command: Command, *outcomes: jobs.Outcome | None) -> None:
    """Make the plan p.jsonl of five tokens, and its journal. None: the token is in doubt."""
    command("plan", "--expired", "--out", "p.jsonl")
    plan = jobs.Plan.read("p.jsonl")
    with Journal.open(plan, jobs.journal_path(plan), resume=False) as journal:
        for number, outcome in enumerate(outcomes):
            if outcome is None:
                journal.record_intent(number)
            else:
                journal.record_outcome(number, outcome)


def test_started_plan(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """A plan that was started is refused before anything is asked, with the command to resume."""
    started(command, jobs.Outcome.DONE, jobs.Outcome.FAILED, None)
    before = len(fake.requests)
    terminal(typed="y\n")

    code, out, err = command("apply", "p.jsonl", "--rate", "9")

    assert (code, out, len(fake.requests)) == (1, "", before)
    assert re.fullmatch(
        r"losant-tokens: error: p\.jsonl was started on .* UTC and is not complete\. "
        r"Of 5 tokens: 1 deleted, 1 in doubt, 1 failed, 2 left\n"
        r"hint: to resume: losant-tokens apply p\.jsonl --resume --rate 9\n",
        err,
    )


def test_started_plan_without_an_outcome(service: str, command: Command) -> None:
    """A plan whose job has reached no token is refused as well."""
    started(command)

    code, _, err = command("apply", "p.jsonl", "--yes")

    assert (code, ". Of 5 tokens: 5 left\n" in err) == (1, True)


def test_plan_in_use(service: str, command: Command, terminal: Callable[..., None]) -> None:
    """A plan that another process applies is refused before anything is asked."""
    command("plan", "--expired", "--out", "p.jsonl")
    plan = jobs.Plan.read("p.jsonl")
    terminal(typed="y\n")

    lock = PlanLock.acquire(plan.digest, plan.header.base_url)
    code, out, err = command("apply", "p.jsonl", "--resume")
    lock.close()

    assert (code, out) == (1, "")
    assert err == (
        f"losant-tokens: error: the plan is in use: process {os.getpid()} on "
        f"{socket.gethostname()} applies it\nhint: wait until that process ends\n"
    )


def test_journal_in_use(service: str, command: Command) -> None:
    """A journal that another process has open is refused, although that process is unknown."""
    command("plan", "--expired", "--out", "p.jsonl")
    plan = jobs.Plan.read("p.jsonl")

    with Journal.open(plan, jobs.journal_path(plan), resume=False):
        code, _, err = command("apply", "p.jsonl", "--yes")

    assert (code, "error: the plan is in use: another process applies it\n" in err) == (1, True)


def test_corrupt_journal(service: str, command: Command, terminal: Callable[..., None]) -> None:
    """A journal that was altered is refused before anything is asked."""
    started(command, jobs.Outcome.FAILED)
    path = Path("p.jsonl.journal")
    path.write_bytes(path.read_bytes().replace(b"failed", b"done"))
    terminal(typed="y\n")

    code, out, err = command("apply", "p.jsonl", "--resume")

    assert (code, out) == (1, "")
    assert err.startswith(
        "losant-tokens: error: p.jsonl.journal cannot be read: line 2 was altered"
    )
    assert "[y/N]" not in err


@pytest.mark.parametrize(
    ("typed", "explained"),
    [("j\n", '"j" is not "y" or "yes", so it means no.\n'), ("no\n", ""), ("\n", ""), ("", "\n")],
)
def test_response_other_than_yes(
    service: str,
    command: Command,
    terminal: Callable[..., None],
    typed: str,
    explained: str,
) -> None:
    """A response other than yes means no, and one that is not a usual no is explained."""
    command("plan", "--expired", "--out", "p.jsonl")
    terminal(columns=100, typed=typed)

    code, _, err = command("apply", "p.jsonl")

    assert (code, err.partition("[y/N] ")[2]) == (1, f"{explained}Nothing was changed.\n")


def test_ctrl_c_at_the_question(
    fake: FakeLosant,
    service: str,
    command: Command,
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C at the question prints that nothing was changed, and how to apply the plan later."""

    def interrupted() -> str:
        raise KeyboardInterrupt

    terminal(columns=100)
    monkeypatch.setattr(sys.stdin, "readline", interrupted)

    with pytest.raises(KeyboardInterrupt):
        command("cleanup", "--expired", "--out", "p.jsonl")

    assert capsys.readouterr().err.endswith(
        "[y/N] \nNothing was changed.\n"
        "\nThe plan is kept. To apply it: losant-tokens apply p.jsonl\n"
    )
    assert len(fake.tokens()) == 11


def test_progress_bar(service: str, command: Command, terminal: Callable[..., None]) -> None:
    """On a terminal, a bar shows the progress."""
    terminal(columns=100)

    err = command("cleanup", "--expired", "--yes")[2]

    assert "━" in err
    assert "5/5" in err
    assert "\x1b[1;33mlosant-tokens: WARNING: Cannot determine" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["apply", os.devnull],
        ["cleanup", "--expired"],
        ["quarantine", "--expired"],
        ["sweep", os.devnull, "--after", "30d"],
        ["restore", os.devnull],
    ],
)
def test_without_a_terminal(
    fake: FakeLosant, service: str, command: Command, arguments: list[str]
) -> None:
    """Without a terminal, a job needs --yes."""
    expected = f"losant-tokens: error: {arguments[0]} needs --yes: stdin is not a terminal\n"
    assert command(*arguments) == (2, "", expected)
    assert fake.requests == ()


def test_cleanup(fake: FakeLosant, service: str, command: Command, state: Path) -> None:
    """A clean-up plans and applies in one command, and keeps the plan and the journal."""
    code, out, err = command("cleanup", "--named", "ci-*", "--except-named", "ci-3", "--yes")

    assert (code, out.startswith("Deleted 4, ")) == (0, True)
    assert "Rule:          named 'ci-*' and not named 'ci-3'\n" in err
    assert {"ci-3", *(f"prod-{number}" for number in range(6))} == names(fake)
    plan, journal = sorted(state.iterdir())
    assert (str(journal), plan.name[:8]) == (f"{plan}.journal", "cleanup-")


def test_declined_cleanup(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """The plan of a declined clean-up can be applied later."""
    terminal(columns=100, typed="no\n")

    code, out, err = command("cleanup", "--expired", "--out", "my plan.jsonl")

    assert (code, out) == (1, "")
    assert err.endswith("The plan is kept. To apply it: losant-tokens apply 'my plan.jsonl'\n")
    assert len(fake.tokens()) == 11


@pytest.mark.parametrize(("options", "kept"), [([], False), (["--out", "p.jsonl"], True)])
def test_nothing_to_clean_up(
    service: str,
    command: Command,
    state: Path,
    terminal: Callable[..., None],
    options: list[str],
    kept: bool,
) -> None:
    """If no token is selected, nothing is asked, and only files named by the user are kept."""
    terminal(columns=100)

    code, out, _ = command("cleanup", "--inactive", *options)

    assert (code, out) == (0, "")
    assert [] == list(state.iterdir()) if not kept else Path("p.jsonl").exists()


def test_failures(fake: FakeLosant, service: str, command: Command) -> None:
    """Failed tokens are printed by name, and the exit code is 3."""
    fake.fail(status=400, method="DELETE", times=2)

    code, out, err = command("cleanup", "--expired", "--yes", "--max-concurrency", "1")

    assert (code, out.startswith("Deleted 3, left alone 0, failed 2: ")) == (3, True)
    assert err.count("losant-tokens: error: ci-") == 2
    assert "): userApiToken.delete (/me/tokens/" in err


def test_many_failures(own_token: str, fake: FakeLosant, service: str, command: Command) -> None:
    """At most five failed tokens are printed, with the number of the others, even if quiet."""
    for number in range(4):
        fake.add_token(f"ci-more-{number}")
    fake.fail(status=400, method="DELETE", times=None)
    options = ("--yes", "--allow-majority", "--quiet", "--out", "p.jsonl")

    lines = command("cleanup", "--named", "ci-*", *options)[2].splitlines()

    assert [line[:25] for line in lines[:5]] == ["losant-tokens: error: ci-"] * 5
    assert lines[5:] == [
        "losant-tokens: error: 4 more tokens failed",
        "hint: to see all failures: losant-tokens runs show p.jsonl --json",
        "To retry the failed tokens: losant-tokens apply p.jsonl --resume --retry-failed",
    ]


@pytest.mark.parametrize("ending", ["json", "csv", "html"])
def test_report(service: str, command: Command, ending: str) -> None:
    """A report is written in the format of its file name."""
    code, _, err = command("cleanup", "--expired", "--yes", "--report", f"r.{ending}")

    text = Path(f"r.{ending}").read_text(encoding="utf-8-sig")
    assert (code, err.endswith(f"Report: r.{ending}\n")) == (0, True)
    assert "ci-3" in text
    assert text[:1] == {"json": "{", "csv": '"', "html": "<"}[ending]
    assert ("Each token read before it is changed" in text) is (ending != "csv")


def test_reports(service: str, command: Command) -> None:
    """Several reports can be written."""
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
def test_report_cannot_be_written(
    fake: FakeLosant, service: str, command: Command, file: str, code: int, message: str
) -> None:
    """A report that cannot be written is an error before anything is changed."""
    expected = (code, "", f"losant-tokens: error: {message}\n")
    assert command("cleanup", "--expired", "--yes", "--report", file) == expected
    assert fake.requests == ()


def test_report_not_written(
    service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If writing the report fails, the totals are printed and the exit code is 1."""
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.name == "r.csv":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)

    code, out, err = command("cleanup", "--expired", "--yes", "--report", "r.csv")

    assert (code, out.startswith("Deleted 5")) == (1, True)
    line, hint = err.splitlines()[-2:]
    assert line == "losant-tokens: error: r.csv cannot be written: No space left on device"
    assert " --resume --report r.csv" in hint


def test_outcome_as_json(service: str, command: Command) -> None:
    """With --json, the outcome is one document."""
    code, out, _ = command("cleanup", "--expired", "--yes", "--json", "--report", "r.csv")

    printed = json.loads(out)
    assert (
        code,
        printed["totals"]["done"],
        printed["totals"]["left"],
        printed["reports"],
    ) == (0, 5, 0, ["r.csv"])
    assert "pace" not in printed


def test_job_was_started_before(service: str, command: Command) -> None:
    """A job that was started before is only resumed, not started again."""
    command("cleanup", "--expired", "--yes", "--out", "p.jsonl")

    code, out, err = command("apply", "p.jsonl", "--yes")

    assert (code, out) == (1, "")
    assert "error: p.jsonl is complete: it was started on " in err
    assert err.endswith(
        " UTC. Of 5 tokens: 5 deleted\n"
        "hint: to write its report again: losant-tokens apply p.jsonl --resume --report FILE\n"
    )
    assert command("apply", "p.jsonl", "--yes", "--resume")[1].startswith("Deleted 5, ")


def test_complete_job_is_resumed(
    service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """The report of a complete job is written again without a question, however old the plan is."""
    command("cleanup", "--expired", "--yes", "--out", "p.jsonl")
    terminal(typed="n\n")

    code, _, err = command("apply", "p.jsonl", "--resume", "--report", "r.csv", "--max-age", "0h")

    assert (code, Path("r.csv").exists()) == (0, True)
    assert err.startswith("Nothing is left to do for p.jsonl: 5 deleted.\n")


def test_complete_job_has_no_progress_bar(
    service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """A resumed job with nothing left to do shows no progress on a terminal."""
    command("cleanup", "--expired", "--yes", "--out", "p.jsonl")
    terminal()

    _, _, err = command("apply", "p.jsonl", "--resume", "--yes")

    assert "Deleting" not in err


def test_complete_job_without_tokens(service: str, command: Command) -> None:
    """A plan without tokens that was applied is complete, and has no counts."""
    command("cleanup", "--inactive", "--yes", "--out", "p.jsonl")

    code, _, err = command("apply", "p.jsonl", "--yes")

    assert code == 1
    assert re.search(r"it was started on [-0-9]+ [:0-9]+ UTC$", err, re.MULTILINE)
    assert "Of 0 tokens" not in err


def test_complete_job_with_failures(fake: FakeLosant, service: str, command: Command) -> None:
    """A complete job with failed tokens can be applied again only to retry these."""
    fake.fail(status=400, method="DELETE", times=1)
    command("cleanup", "--expired", "--yes", "--out", "p.jsonl")

    _, _, err = command("apply", "p.jsonl", "--yes")

    assert err.endswith(
        "Of 5 tokens: 4 deleted, 1 failed\n"
        "hint: to retry the failed tokens: losant-tokens apply p.jsonl --resume --retry-failed\n"
    )


def test_plan_is_refused(service: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that is invalid, altered, too old or for another API exits with 4 and one line."""
    command("plan", "--expired", "--out", "p.jsonl")
    Path("none.jsonl").write_text("{}")
    Path("altered.jsonl").write_text(Path("p.jsonl").read_text().replace("ci-1", "ci-2"))
    time.sleep(1.5)  # The server's time comes in whole seconds.

    for arguments, message in (
        (["none.jsonl"], "none.jsonl is not a plan of losant-tokens"),
        (["altered.jsonl"], "altered.jsonl was altered since it was made"),
        (["p.jsonl", "--max-age", "0h"], "p.jsonl was made"),
    ):
        code, out, err = command("apply", "--yes", *arguments)
        assert (code, out) == (4, "")
        assert f"losant-tokens: error: {message}" in err
    monkeypatch.setenv("LOSANT_API_URL", "https://losant.example.com")
    code, _, err = command("apply", "--yes", "p.jsonl")
    message = f"error: p.jsonl was made for {service}, but this command uses https://losa"
    assert (code, True) == (4, message in err)


def test_plan_cannot_be_written(
    service: str, command: Command, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that cannot be written is reported in one line."""
    assert _code_and_lines(command("plan", "--expired", "--out", "no/p.jsonl")) == (1, 1)
    state.parent.mkdir()
    state.write_text("a file")
    code, out, err = command("plan", "--expired")
    assert (code, out) == (1, "")
    assert err == (
        f"losant-tokens: error: {state} cannot be created: File exists\n"
        "hint: choose a file for the plan: --out FILE\n"
    )


def _code_and_lines(result: tuple[int, str, str]) -> tuple[int, int]:
    return result[0], len(result[2].splitlines())


def test_home(
    command: Command, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without XDG_STATE_HOME, the state folder is in ~/.local/state."""
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    out = command("plan", "--expired", "--json")[1]

    expected = tmp_path / "home" / ".local" / "state" / "losant-tokens"
    assert Path(json.loads(out)["plan"]).parent == expected


def test_full_disk(service: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is reported in one line."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    code, out, err = command("plan", "--expired", "--out", "p.jsonl")

    assert (code, out) == (1, "")
    assert "No space left on device" in err.splitlines()[-1]


def test_missing_token(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token, the message names the missing environment variable."""
    monkeypatch.setenv("LOSANT_API_TOKEN", "")

    code, out, err = command("plan", "--expired")

    assert (code, out) == (1, "")
    assert "error: no API token: LOSANT_API_TOKEN is not set\n" in err


def test_token_without_permission(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token without permission is reported with a hint, and the job can be resumed."""
    command("plan", "--expired", "--out", "p.jsonl")
    monkeypatch.setenv("LOSANT_API_TOKEN", fake.access_token(["all.User.read"]))

    code, out, err = command("apply", "--yes", "p.jsonl")

    assert (code, out[:10]) == (1, "Deleted 0,")
    assert "losant-tokens: error: userApiToken.delete needs a token with" in err
    assert "hint: use a token with one of these scopes: LOSANT_API_TOKEN or --account\n" in err
    assert err.endswith("To resume: losant-tokens apply p.jsonl --resume\n")


def test_gave_up(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that gave up prints the reason and how to resume; the exit code is 3."""
    apply = jobs.apply

    async def gives_up(*arguments: object, **settings: object) -> jobs.Report:
        report = await apply(*arguments, **settings)  # type: ignore[arg-type]
        report.states.record(0, "untouched")
        return attrs.evolve(report, gave_up="the API does not respond")

    monkeypatch.setattr(jobs, "apply", gives_up)

    code, out, err = command("cleanup", "--expired", "--yes", "--out", "p.jsonl")

    assert (code, ", not started 1: " in out) == (3, True)
    assert err.endswith(
        "losant-tokens: error: gave up: the API does not respond\n"
        "To resume: losant-tokens apply p.jsonl --resume\n"
    )


# --- Quarantine ------------------------------------------------------------------------------


def test_quarantine(fake: FakeLosant, service: str, command: Command) -> None:
    """A quarantine deactivates tokens and prints how to restore or delete them."""
    code, out, err = command("quarantine", "--expired", "--yes", "--report", "r.json")

    assert (code, out.startswith("Deactivated 5, ")) == (0, True)
    id_ = jobs.Quarantine.read("r.json").id
    due = datetime.now(UTC) + timedelta(days=30)
    assert err.endswith(
        "Report: r.json\n"
        f"Quarantine: {id_}\n"
        f"To activate the tokens again: losant-tokens restore {id_}\n"
        f"To delete them when they are due, from {due:%Y-%m-%d}: losant-tokens sweep --due\n"
    )
    inactive = {token.name for token in fake.tokens() if token.status == "inactive"}
    assert {f"ci-{number}" for number in range(5)} == inactive
    changed = [token["changed"] for token in json.loads(Path("r.json").read_text())["tokens"]]
    assert [token.last_updated.isoformat() for token in fake.tokens()[:5]] == [
        datetime.fromisoformat(text).isoformat() for text in changed
    ]


def test_quarantine_without_a_report(service: str, command: Command, state: Path) -> None:
    """A quarantine is recorded in the state folder, with or without a JSON report elsewhere."""
    _, _, err = command("quarantine", "--expired", "--yes", "--report", "r.csv")

    (found,) = jobs.Ledger(state / "quarantines").quarantines()
    assert f"Report: r.csv\nQuarantine: {found.id}\n" in err
    assert (found.total, found.grace) == (5, timedelta(days=30))


def test_restore(fake: FakeLosant, service: str, command: Command) -> None:
    """A restore activates the tokens of a quarantine, except those changed since."""
    command("quarantine", "--expired", "--yes", "--report", "r.json")
    command("patch", f"{1:024x}", "--description", "broken, leave it off")

    code, out, _ = command("restore", "r.json", "--yes", "--protect", "ci-2")

    assert (code, out.startswith("Activated 3, left alone 1 (1 protected), failed 0")) == (0, True)
    assert [t.name for t in fake.tokens() if t.status == "inactive"] == ["ci-1", "ci-2"]


def test_sweep(fake: FakeLosant, service: str, command: Command) -> None:
    """A sweep deletes the tokens of a quarantine after the given age, and not earlier."""
    command("quarantine", "--expired", "--yes", "--report", "r.json")

    early = command("sweep", "r.json", "--after", "1h", "--yes")
    late = command("sweep", "r.json", "--after", "0h", "--yes")

    assert (0, "") == (early[0], early[1])
    assert (0, "Deleted 5,") == (late[0], late[1][:10])
    assert {f"prod-{number}" for number in range(6)} == names(fake)


def test_sweep_of_another_file(service: str, command: Command) -> None:
    """A file that is not the report of a quarantine exits with 4."""
    command("cleanup", "--expired", "--yes", "--report", "r.json")

    code, _, err = command("sweep", "r.json", "--after", "30d", "--yes")

    assert (code, "r.json is from a job to delete tokens" in err) == (4, True)


def test_restore_warns_of_changed_tokens(fake: FakeLosant, service: str, command: Command) -> None:
    """A restore warns that some tokens of the quarantine were changed since."""
    command("quarantine", "--expired", "--yes", "--report", "r.json")
    for token in [token for token in fake.tokens() if token.status == "inactive"][:2]:
        fake._store.replace(token, name="changed")

    code, out, err = command("restore", "r.json", "--yes")

    assert (code, out[:12]) == (0, "Activated 3,")
    assert "WARNING: Of the 5 tokens in quarantine, 2 are left alone: 2 " in err


def test_quarantine_of_changed_tokens(fake: FakeLosant, service: str, command: Command) -> None:
    """A token that changes between planning and applying stays active."""
    command("plan", "--expired", "--action", "deactivate", "--out", "p.jsonl")
    for token in fake.tokens():
        fake._store.replace(token, name=f"prod {token.name}")

    code, out, _ = command("apply", "p.jsonl", "--yes")

    assert (code, out.startswith("Deactivated 0, left alone 5 (5 changed)")) == (0, True)
    assert {token.status for token in fake.tokens()} == {"active"}


def test_job_that_ends_in_an_error(fake: FakeLosant, service: str, command: Command) -> None:
    """A job that ends in an error still prints its totals and writes its report."""
    command("plan", "--expired", "--out", "p.jsonl")
    fake.fail(status=401, method="DELETE", skip=2, times=None)

    code, out, err = command("apply", "p.jsonl", "--yes", "--report", "r.json", "--rate", "9")

    assert (code, out.startswith("Deleted 2, ")) == (1, True)
    assert "Report: r.json" in err
    assert "401" in err
    assert "To resume: losant-tokens apply p.jsonl --resume --rate 9 --report r.json\n" in err
    assert json.loads(Path("r.json").read_text())["totals"]["done"] == 2
    fake.clear_faults()
    code, out, _ = command("apply", "p.jsonl", "--yes", "--resume")
    assert (code, out[:47]) == (0, "Deleted 5, left alone 0, failed 0: 2 of them in")
    code, out, _ = command("apply", "p.jsonl", "--yes", "--resume")
    assert (code, out) == (0, "Deleted 5, left alone 0, failed 0: all of them in earlier runs.\n")


def test_plan_of_another_account(fake: FakeLosant, service: str, command: Command) -> None:
    """A plan of another account exits with 4, and the report is written."""
    command("plan", "--expired", "--out", "p.jsonl")
    fake._store.user_id = "b" * 24

    code, _, err = command("apply", "p.jsonl", "--yes", "--report", "r.json")

    assert (code, len(fake.tokens())) == (4, 11)
    assert "Use a token of the same account." in err
    assert json.loads(Path("r.json").read_text())["totals"]["done"] == 0


def test_report_is_a_folder(service: str, command: Command) -> None:
    """A report whose file is a folder is an error before anything is changed."""
    Path("r.json").mkdir()

    code, _, err = command("cleanup", "--expired", "--yes", "--report", "r.json")

    assert (
        code,
        err.startswith("losant-tokens: error: r.json cannot be written: it is a folder"),
    ) == (4, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep"], "name a quarantine, or pass --due"),
        (["sweep", os.devnull, "--after", "soon"], '"soon" is not a duration: use hours'),
        (["apply"], "Missing argument: FILE"),
        (["apply", os.devnull, "--rate", "0"], 'Invalid value for --rate: "0" is too small'),
        (["plan", "--owner", "me"], "use user, oauth, application:ID or instance:ID"),
        (["plan", "--older-than", "9d", "--max-changes", "-1"], '"-1" is too small'),
    ],
)
def test_usage(command: Command, arguments: list[str], message: str) -> None:
    """A usage error exits with 2 and one line, with a hint to the help."""
    code, out, err = command(*arguments)

    assert (code, out) == (2, "")
    assert message in err.splitlines()[0]
    assert err.splitlines()[1] == f"hint: see losant-tokens {arguments[0]} --help"


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
def test_transport(
    monkeypatch: pytest.MonkeyPatch,
    fast: bool,
    proxy: str | None,
    wanted: int | None,
    expected: tuple[str, int],
) -> None:
    """aiohttp is used if it is installed and the environment sets no proxy."""
    monkeypatch.setenv("LOSANT_API_TOKEN", "x")
    monkeypatch.delenv("LOSANT_API_URL", raising=False)
    monkeypatch.setattr(connect, "environment_proxy", lambda _: proxy)
    monkeypatch.setattr(connect, "find_spec", lambda _: object() if fast else None)

    client = connect.job_client_factory(DEFAULT_CONNECTION)(wanted)

    assert (type(client._transport).__name__, client.max_connections) == expected


# --- Cron ------------------------------------------------------------------------------------


def test_quiet(own_token: str, fake: FakeLosant, service: str, command: Command) -> None:
    """A quiet job prints nothing on success."""
    assert command("cleanup", "--expired", "--yes", "--quiet") == (0, "", "")
    assert command("cleanup", "--expired", "--yes", "--quiet") == (0, "", "")
    assert len(fake.tokens()) == 7


def test_quiet_failures(own_token: str, fake: FakeLosant, service: str, command: Command) -> None:
    """A quiet job prints errors and how to retry, and JSON with --json."""
    fake.fail(status=400, method="DELETE", times=1)

    code, out, err = command("cleanup", "--expired", "--yes", "--quiet", "--json")

    first, last = err.splitlines()
    assert (code, first[:25], last[:26]) == (
        3,
        "losant-tokens: error: ci-",  # any of them, because several are deleted at once
        "To retry the failed tokens",
    )
    assert json.loads(out)["totals"]["done"] == 4


def test_job_without_tokens(service: str, command: Command) -> None:
    """A job without tokens prints one line."""
    expected = f"Nothing to delete at {service}: 0 of 11 tokens selected. Rule: inactive\n"
    assert command("cleanup", "--inactive", "--yes") == (0, "", expected)


def test_job_with_protected_tokens_only(service: str, command: Command) -> None:
    """A job whose tokens are all protected prints one line."""
    result = command("cleanup", "--expired", "--yes", "--protect", "ci-*")

    expected = f"at {service}: 0 of 11 tokens selected, 5 protected. Rule: expired\n"
    assert result == (0, "", f"Nothing to delete {expected}")


def test_quiet_job_without_tokens(service: str, command: Command) -> None:
    """A quiet job without tokens prints nothing, although the token in use is unknown."""
    assert command("cleanup", "--inactive", "--yes", "--quiet") == (0, "", "")


@pytest.mark.parametrize("name", ["plan", "cleanup", "quarantine"])
def test_quiet_job_that_protects_tokens(service: str, command: Command, name: str) -> None:
    """A quiet job that protects tokens does not warn that the token in use is unknown."""
    options = ("--expired", "--quiet", "--protect", "prod-1")
    yes = () if name == "plan" else ("--yes",)

    assert command(name, *options, *yes) == (0, "", "")


@pytest.mark.parametrize(
    "options",
    [
        ("--named", "nope"),
        ("--expired", "--protect", "nope", "--allow-unmatched"),
        ("--inactive", "--protect", "nope"),
    ],
)
def test_quiet_job_with_unmatched_patterns(
    own_token: str, service: str, command: Command, options: tuple[str, ...]
) -> None:
    """A quiet job does not warn of a pattern without a match if nothing has to be protected."""
    assert command("cleanup", *options, "--yes", "--quiet") == (0, "", "")
    assert "matches no token" in command("cleanup", *options, "--yes")[2]


def test_quiet_job_with_an_unmatched_guard(service: str, command: Command) -> None:
    """A quiet job is refused if a pattern that must protect tokens matches none."""
    code, out, err = command("cleanup", "--expired", "--protect", "nope", "--yes", "--quiet")

    assert (code, out, len(err.splitlines())) == (4, "", 1)


def test_quiet_job_that_protects_nothing(service: str, command: Command) -> None:
    """A quiet job that protects no token warns that it may select the token in use."""
    code, out, err = command("cleanup", "--expired", "--quiet", "--yes")

    assert (code, out, len(err.splitlines()), WARNING in err) == (0, "", 1, True)


# --- Checks that can be overridden -----------------------------------------------------------


def test_protect_without_a_match(service: str, command: Command) -> None:
    """A --protect that matches no token is refused, unless --allow-unmatched is passed."""
    options = ("plan", "--expired", "--protect", "nope")

    code, _, err = command(*options)
    assert (code, "'nope'" in err) == (4, True)
    assert "unmatched=" not in err
    assert command(*options, "--allow-unmatched")[0] == 0


@pytest.mark.parametrize(("check", "code"), [("enforce", 4), ("warn", 0), ("off", 0)])
def test_clock_check(
    command: Command, monkeypatch: pytest.MonkeyPatch, check: str, code: int
) -> None:
    """Rules about time are refused if the clock is wrong, unless --clock-check is off."""
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
        ("sweep", os.devnull, "--after"),
        ("apply", os.devnull, "--max-age"),
        ("runs", "prune", "--older-than"),
    ],
)
def test_age_beyond_the_maximum(command: Command, command_line: tuple[str, ...], size: str) -> None:
    """An age beyond the range of dates is a usage error."""
    code, out, err = command(*command_line, size)

    assert (code, out, "the maximum is 365000d" in err) == (2, "", True)


def test_maximum_age(service: str, command: Command) -> None:
    """An age of a thousand years is accepted."""
    assert command("plan", "--older-than", "365000d", "--out", "p.jsonl")[0] == 0
    assert command("plan", "--expires-within", "365000d", "--out", "q.jsonl")[0] == 0


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
    """`--patience` applies while tokens are listed, and not only while a plan is applied."""
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

    assert seen == [9]


def test_command_to_resume(fake: FakeLosant, service: str, command: Command) -> None:
    """The command to resume has all relevant options."""
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
    """A quiet plan is written without output."""
    assert command("plan", "--expired", "--quiet", "--out", "p.jsonl") == (0, "", "")
    assert len(jobs.Plan.read("p.jsonl")) == 5


def test_quarantine_without_tokens(service: str, command: Command, state: Path) -> None:
    """A quarantine without tokens leaves no file except a named journal."""
    code, _, err = command("quarantine", "--named", "nope", "--yes", "--journal", "j")

    assert (code, list(state.iterdir())) == (0, [])
    assert "Report:" not in err
    assert Path("j").exists()


def test_retry_failed_without_resume(fake: FakeLosant, service: str, command: Command) -> None:
    """`--retry-failed` without `--resume` is a usage error."""
    code, _, err = command("apply", os.devnull, "--yes", "--retry-failed")

    assert (code, "--retry-failed requires --resume" in err, fake.requests) == (2, True, ())


def test_command_to_retry(fake: FakeLosant, service: str, command: Command) -> None:
    """A job with failures prints how to retry them."""
    fake.fail(status=400, method="DELETE", times=1)

    _, _, err = command("cleanup", "--expired", "--yes", "--out", "p.jsonl", "--rate", "50")

    advice = "To retry the failed tokens: losant-tokens apply p.jsonl --resume --retry-failed"
    assert err.endswith(f"{advice} --rate 50\n")


def test_retry_failed(fake: FakeLosant, service: str, command: Command) -> None:
    """`--resume --retry-failed` retries failed tokens, and `--resume` alone does not."""
    fake.fail(status=400, method="DELETE", times=1)
    command("cleanup", "--expired", "--yes", "--out", "p.jsonl")

    assert command("apply", "p.jsonl", "--yes", "--resume")[0] == 3
    code, out, _ = command("apply", "p.jsonl", "--yes", "--resume", "--retry-failed")

    assert (code, out[:33]) == (0, "Deleted 5, left alone 0, failed 0")


# --- Displays that fail ----------------------------------------------------------------------


@pytest.mark.parametrize("place", ["__enter__", "update", "__exit__"])
def test_failing_progress_bar(
    service: str,
    command: Command,
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """A progress bar that fails does not stop a job."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    terminal(columns=100)
    monkeypatch.setattr(f"rich.progress.Progress.{place}", broken)

    code, out, _ = command("cleanup", "--expired", "--yes")

    assert (code, out.startswith("Deleted 5, ")) == (0, True)


def test_question_cannot_be_shown(
    fake: FakeLosant,
    service: str,
    command: Command,
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A question that cannot be shown counts as declined."""

    class Broken(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(5, "Input/output error")

    command("plan", "--expired", "--out", "p.jsonl")
    terminal(typed="y\n")
    monkeypatch.setattr(sys, "stderr", Broken())

    assert command("apply", "p.jsonl")[0] == 1
    assert len(fake.tokens()) == 11
