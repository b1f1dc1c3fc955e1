"""`audit` and `audit diff`: selection, formats, exit codes and failures."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from losant_tokens.audit import AuditProgress
from losant_tokens.cli._audits import progress
from losant_tokens.cli._audits.progress import audit_progress, describe
from losant_tokens.cli._terminal.console import quiet_output
from losant_tokens.testing import FakeLosant
from tests.support.command import Command
from tests.support.policies import RULE, write_policy

APPLICATION = f"application:{'a' * 24}"
NOW = datetime.now(UTC)


@pytest.fixture
def tokens(fake: FakeLosant, service: str) -> FakeLosant:
    """Add a token with a severe finding, one with a less severe one, and one without any."""
    soon = NOW + timedelta(days=90)
    members: dict[str, Any] = {"creator_name": "ada", "creator_id": "c" * 24}
    fake.add_token("mint", scope=["userApiTokens.post"], expiration_date=soon, **members)
    fake.add_token("\x1b[2Jeternal", scope=["device.get"], **members)
    fake.add_token("fine", scope=["device.get"], expiration_date=soon, **members)
    fake.add_token("app", owner=APPLICATION, scope=["me"], expiration_date=soon, **members)
    return fake


# --- Output ----------------------------------------------------------------------------------


def test_table(tokens: FakeLosant, command: Command) -> None:
    """The table ranks the rules and the tokens by severity, and text of the server is data."""
    code, out, err = command("audit", "--limit", "1")

    assert (code, err) == (0, "To see all tokens with findings, pass --html FILE or --csv.\n")
    assert "Audited 3 tokens of 1 owner.\n2 tokens have findings, by the worst one: 1 high," in out
    assert "The worst 1 of 2 tokens with findings:" in out
    rows = [line.split() for line in out.splitlines() if line.startswith(("high", "medium"))]
    assert [row[1] for row in rows] == ["can-create-tokens", "never-expires", "mint"]
    out = command("audit")[1]
    assert r"\x1b[2Jeternal" in out
    assert "The tokens with findings, the worst first:" in out


@pytest.mark.parametrize("width", [60, 80, 120])
def test_table_on_a_terminal(
    tokens: FakeLosant, command: Command, terminal: Callable[..., None], width: int
) -> None:
    """The table fits the terminal, also with several accounts and owners."""
    terminal(columns=width)

    _, out, _ = command("audit", "--owner", "user", "--owner", APPLICATION)

    lines = out.splitlines()
    assert max(map(len, (_plain(line) for line in lines))) <= width
    assert "OWNER" in out
    assert "deprecated-scope" in out


def _plain(line: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


def test_no_findings(fake: FakeLosant, service: str, command: Command) -> None:
    """An account without findings is reported in a sentence."""
    assert command("audit")[1] == "Audited 0 tokens of 1 owner.\nNo token has a finding.\n"


def test_more_tokens_than_the_limit(tokens: FakeLosant, command: Command, tmp_path: Path) -> None:
    """If the table leaves out tokens, the command names the options that show all of them."""
    assert "To see all" in command("audit", "--limit", "1")[2]
    assert command("audit", "--limit", "3")[2] == ""
    _, _, err = command("audit", "--limit", "1", "--html", str(tmp_path / "a.html"))
    assert "To see all" not in err


def test_quiet(tokens: FakeLosant, command: Command) -> None:
    """`--quiet` leaves only the exit code."""
    assert command("audit", "--quiet", "--fail-on", "high") == (5, "", "")


def test_formats(tokens: FakeLosant, command: Command, tmp_path: Path) -> None:
    """One run writes several formats."""
    files = [tmp_path / name for name in ("a.html", "a.sarif", "a.prom")]

    code, out, err = command(
        *("audit", "--json", "--html", str(files[0])),
        *("--sarif", str(files[1]), "--prometheus", str(files[2])),
    )

    assert (code, err) == (0, f"Open it in a browser: {files[0]}\n")
    assert json.loads(out)["totals"]["tokens"] == 3
    assert all(path.stat().st_size for path in files)
    out = command("audit", "--csv")[1]
    assert [row["rule"] for row in csv.DictReader(io.StringIO(out))] == [
        "can-create-tokens",
        "never-expires",
    ]


# --- Rules and exit codes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", 0),
        ("--fail-on critical", 0),
        ("--fail-on high", 5),
        ("--fail-on info", 5),
        ("--fail-on high --ignore can-create-tokens", 0),
        ("--fail-on medium --only can-create-tokens --ignore never-expires", 5),
        ("--only expired --fail-on info", 0),
    ],
)
def test_exit_code(tokens: FakeLosant, command: Command, options: str, expected: int) -> None:
    """The exit code is 5 if a finding of a rule that is checked is severe enough."""
    assert command("audit", *options.split())[0] == expected


def test_policy(tokens: FakeLosant, command: Command, tmp_path: Path) -> None:
    """The rules of a policy file are checked, and can be ignored."""
    path = str(write_policy(tmp_path, RULE))

    code, out, _ = command("audit", "--policy", path, "--fail-on", "high", "--only", "expired")
    assert (code, "policy/never-expires" in out) == (0, False)
    assert "policy/never-expires" in command("audit", "--policy", path)[1]
    code, out, _ = command("audit", "--policy", path, "--ignore", "policy/never-expires")
    assert (code, "policy/never-expires" in out) == (0, False)
    code, _, err = command("audit", "--policy", path, "--only", "policy/nope")
    assert (code, "policy/nope" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        ("--json --csv", 2, "--json cannot be combined with --csv"),
        ("--only nope", 2, 'Invalid value for --only: "nope" is not a rule'),
        ("--ignore policy/x", 2, 'Invalid value for --ignore: "policy/x" is not a rule'),
        ("--seen-in nope", 2, '"nope" is not an audit log: use org:ID or instance:ID'),
        ("--html a.txt", 2, "must end in .html"),
        ("--html same.html --sarif same.html", 2, "need different files"),
        ("--sarif missing/a.sarif", 1, "its folder is missing"),
        ("--sarif precious.txt", 4, "exists, and is not an audit in this format"),
        ("--policy missing.toml", 2, "missing.toml does not exist"),
        ("--only nevr-expires", 2, "is not a rule. Did you mean never-expires?"),
    ],
)
def test_mistakes(
    tokens: FakeLosant,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    code: int,
    problem: str,
) -> None:
    """A mistake is reported before anything is sent."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "precious.txt").write_text("precious")

    found, out, err = command("audit", *arguments.split())

    assert (found, out) == (code, "")
    assert problem in err
    assert tokens.requests == ()


# --- Accounts --------------------------------------------------------------------------------


@pytest.fixture
def config(
    tokens: FakeLosant, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Configure three accounts: a good one, one with a wrong token, and one without a token."""
    monkeypatch.setenv("GOOD", tokens.admin_token)
    monkeypatch.setenv("WRONG", "nope")
    monkeypatch.delenv("MISSING", raising=False)
    path = tmp_path / "config.toml"
    path.write_text(
        "".join(
            f'[accounts.{name}]\nurl = "{service}"\ntoken = {{ env = "{name.upper()}" }}\n'
            f'owners = ["user", "{APPLICATION}"]\n'
            for name in ("good", "wrong", "missing")
        )
    )
    return path


def test_several_accounts(tokens: FakeLosant, command: Command, config: Path) -> None:
    """An account that fails is reported, the others are audited, and the exit code is 3."""
    code, out, err = command("audit", "--config", str(config), "--all-accounts")

    assert code == 3
    assert "Audited 4 tokens of 2 owners in 1 account." in out
    assert "ACCOUNT" in out
    assert "WARNING: not audited completely: wrong: user: " in err
    assert "WARNING: not audited completely: missing: No token for the account missing" in err
    options = ("--config", str(config), "--account", "good", "--account", "wrong")
    assert command("audit", *options, "--fail-on", "high")[0] == 5


def test_one_account(tokens: FakeLosant, command: Command, config: Path) -> None:
    """Without owners on the command line, those of the account are audited."""
    options = ("--config", str(config), "--account", "good")

    assert "Audited 4 tokens of 2 owners." in command("audit", *options)[1]
    assert "Audited 3 tokens of 1 owner." in command("audit", *options, "--owner", "user")[1]


def test_nothing_audited(tokens: FakeLosant, command: Command, config: Path) -> None:
    """If no account can be audited, the command fails."""
    options = ("--config", str(config), "--account", "wrong", "--account", "missing")

    code, out, err = command("audit", *options)

    assert (code, out) == (1, "")
    assert "error: nothing was audited: missing: No token for the account missing" in err


def test_no_token(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any token, the error says how to give one."""
    monkeypatch.delenv("LOSANT_API_TOKEN")

    code, _, err = command("audit")

    assert (code, "LOSANT_API_TOKEN is not set" in err) == (1, True)


def test_audit_log(tokens: FakeLosant, command: Command) -> None:
    """An audit log shows tokens in use, and the command states what the log cannot show."""
    (mint,) = (one for one in tokens.tokens() if one.name == "mint")
    log = "org:58c9e0d5f2b6740001de93b7"
    tokens.add_audit_log(mint.id, creation_date=NOW - timedelta(days=1))

    code, out, err = command("audit", "--seen-in", log, "--json")

    found = json.loads(out)
    assert (code, found["accounts"][0]["auditLogs"]) == (0, [log])
    assert [one["name"] for one in found["tokens"] if one["lastSeen"]] == ["mint"]
    assert err.startswith(f"The audit log of {log} begins on ")


# --- Differences -----------------------------------------------------------------------------


@pytest.fixture
def audits(tokens: FakeLosant, command: Command, tmp_path: Path) -> tuple[str, str]:
    """Write two audits: in the second one, a token is new and one has changed."""
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    paths[0].write_text(command("audit", "--json", "--owner", "user", "--owner", APPLICATION)[1])
    doomed = tokens.tokens()[2].id
    command("delete", doomed, "--yes")
    tokens.add_token("new\x1b", scope=["all.User"], creator_name="grace")
    command("patch", tokens.tokens()[0].id, "--status", "inactive", "--description", "x")
    paths[1].write_text(command("audit", "--json")[1])
    return str(paths[0]), str(paths[1])


def test_diff(command: Command, audits: tuple[str, str]) -> None:
    """The differences name the new, changed and gone tokens, and who created new ones."""
    code, out, err = command("audit", "diff", *audits)

    assert code == 0
    assert r"new      new\x1b (environment, user, " in out
    assert ", created by grace\n         + high can-create-tokens: It can create tokens" in out
    assert "changed  mint" in out
    assert "status: active -> inactive" in out
    assert "description: none -> x" in out
    assert "gone     fine (" in out
    assert "Tokens: 1 new, 1 gone, 1 changed, 1 same. Findings: 4 new, 0 gone, 0 changed." in out
    assert f"the tokens of {APPLICATION} in the account environment are not compared" in err


def test_diff_of_equal_audits(command: Command, audits: tuple[str, str]) -> None:
    """Two equal audits differ in nothing."""
    code, out, _ = command("audit", "diff", audits[0], audits[0], "--exit-code")

    assert (code, out.splitlines()[-1]) == (
        0,
        "Tokens: 0 new, 0 gone, 0 changed, 4 same. Findings: 0 new, 0 gone, 0 changed.",
    )


def test_times_of_diff(command: Command, tmp_path: Path) -> None:
    """The times of the audits are shown in UTC, even if a file has another time zone."""
    path = tmp_path / "x.json"
    members = {"format": "losant-tokens audit", "version": 1, "accounts": [], "tokens": []}
    path.write_text(json.dumps({**members, "created": "2026-03-01T01:30:00+02:00"}))

    _, out, _ = command("audit", "diff", str(path), str(path))

    assert "audited 2026-02-28 23:30 UTC" in " ".join(out.split())


def test_exit_code_of_diff(command: Command, audits: tuple[str, str]) -> None:
    """The exit code is 5 if the audits differ, or if a new finding is severe enough."""
    all_options = ("--exit-code", "--fail-on high", "--fail-on critical", "")
    results = [
        command("audit", "diff", *audits, "--json", *options.split()) for options in all_options
    ]

    assert [code for code, _, _ in results] == [5, 5, 0, 0]
    totals = {"new": 1, "gone": 1, "changed": 1, "same": 1}
    assert [json.loads(out)["totals"] for _, out, _ in results] == [totals] * 4


def test_quiet_diff(command: Command, audits: tuple[str, str]) -> None:
    """`--quiet` leaves only the exit code if both audits list the same owners."""
    both = (audits[1], audits[1])
    assert command("audit", "diff", *both, "--exit-code", "--quiet") == (0, "", "")
    code, out, _ = command("audit", "diff", *audits, "--exit-code", "--quiet")
    assert (code, out) == (5, "")


def test_diff_of_other_files(command: Command, tmp_path: Path) -> None:
    """A file that is not an audit is refused in one line."""
    path = tmp_path / "x.json"
    path.write_text('{"format": "losant-tokens report"}')

    code, out, err = command("audit", "diff", str(path), str(path))

    assert (code, out) == (1, "")
    assert err == (
        f"losant-tokens: error: {path} is not an audit of losant-tokens: "
        f'"format" is not "losant-tokens audit"\n'
    )


# --- Progress --------------------------------------------------------------------------------

PROGRESS = AuditProgress(accounts=20, finished=3, tokens=45_000, findings=1)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (PROGRESS, "Auditing: 3 of 20 accounts, 45,000 tokens, 1 finding"),
        (AuditProgress(accounts=1, tokens=1), "Auditing: 1 token, 0 findings"),
    ],
)
def test_describe(progress: AuditProgress, expected: str) -> None:
    """The progress is in words, in the singular and the plural."""
    assert describe(progress) == expected


def test_progress_on_a_terminal(
    terminal: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal shows the progress in one line."""
    terminal(columns=80)

    with audit_progress() as show:
        show(PROGRESS)

    assert "3 of 20 accounts" in capsys.readouterr().err


def test_no_progress(
    terminal: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is shown without a terminal, if the command is quiet, or if the display fails."""
    with audit_progress() as show:
        show(PROGRESS)
    terminal()
    with quiet_output(True), audit_progress() as show:
        show(PROGRESS)

    def fail() -> None:
        raise RuntimeError

    monkeypatch.setattr(progress, "_line", fail)
    with audit_progress() as show:
        show(PROGRESS)
    monkeypatch.setattr(progress, "_ignore", lambda _: fail())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    with audit_progress() as show:
        show(PROGRESS)

    assert capsys.readouterr().err == ""
