"""The rotate commands: ids, rules and plans, each kind of sink, and what goes wrong."""

import json
import os
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from losant_tokens import Owner, jobs
from losant_tokens.cli._event_loop import run_until_stopped
from losant_tokens.cli._rotations import view as rotation_view
from losant_tokens.cli._rotations import workflow as rotations
from losant_tokens.testing import FakeLosant, FakeToken
from tests.support.audits import token
from tests.support.command import Command

CI = "575ec7417ae143cd83dc4a95"
DAYS = ("--expires", "90d")
NOW = ("--overlap", "0h", "--yes")


@pytest.fixture
def fake() -> FakeLosant:
    fake = FakeLosant()
    fake.add_token("ci-1", id=CI, description="deploys")
    fake.add_token("ci-2")
    fake.add_token("device", scope=["device.get"], id="d" * 24)
    for number in range(4):
        fake.add_token(f"keep-{number}")
    return fake


@pytest.fixture(autouse=True)
def state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeLosant, service: str
) -> Iterator[Path]:
    """Return the state folder, and check that no file in it holds a secret."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "state" / "losant-tokens"
    yield folder
    texts = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    assert not any(token.secret in text for token in fake.tokens() for text in texts)


def named(fake: FakeLosant, name: str) -> list[FakeToken]:
    return [token for token in fake.tokens() if token.name == name]


def test_stdout(fake: FakeLosant, command: Command) -> None:
    """One secret goes to stdout alone, and messages say how to go on."""
    code, out, err = command("rotate", CI, *DAYS, "--yes")

    (new,) = [token for token in named(fake, "ci-1") if token.id != CI]
    assert (code, out) == (0, f"{new.secret}\n")
    assert f"delivered the secret of {new.id}" in err
    assert "To deactivate the old token from " in err
    assert new.secret not in err
    code, out, err = command("rotate", "list")
    assert (code, out.splitlines()[0].split()) == (
        0,
        ["ROTATION", "BEGUN", "TOKENS", "STATE", "DUE", "STAGES"],
    )
    assert ("overlap" in out, err) == (True, "")
    code, _, err = command("rotate", CI, *DAYS, "--yes")
    assert (code, "is being rotated already, by rotation" in err) == (4, True)
    fake.clock_offset = timedelta(days=2)
    assert command("rotate", "resume", "last")[0] == 0
    assert {token.status for token in named(fake, "ci-1")} == {"active", "inactive"}
    code, out, _ = command("quarantine", "list")
    assert "replaced by rotation" in out
    code, out, err = command("rotate", "list")
    assert ("1 retired" in out, err) == (True, "")


def test_rules_to_files(fake: FakeLosant, command: Command, tmp_path: Path) -> None:
    """Tokens that rules select get a private file each, and are left out while they are rotated."""
    code, _, err = command("rotate", "--named", "ci-*", *DAYS, "--dry-run")
    assert (code, err.count("Rotate 'ci-"), len(fake.tokens())) == (0, 2, 7)
    assert command("rotate", CI, *DAYS, "--yes", "--to-file", "one.txt")[0] == 0

    code, out, err = command(
        *("rotate", "--named", "ci-*", *DAYS, *NOW, "--to-file", "{replaces}.txt", "--json")
    )

    assert (code, "2 tokens are left out" in err) == (0, True)
    (token,) = json.loads(out)["tokens"]
    assert (token["name"], token["stage"], token["error"]) == ("ci-2", "retired", None)
    file = tmp_path / f"{token['id']}.txt"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == next(
        one.secret for one in fake.tokens() if one.id == token["successorId"]
    )
    listed = json.loads(command("rotate", "list", "--json")[1])
    assert [one["state"] for one in listed] == ["complete", "overlap"]


def test_plan_to_command(fake: FakeLosant, command: Command, tmp_path: Path) -> None:
    """A plan to rotate tokens is reviewed, refused by apply, and carried out by rotate."""
    code, _, err = command("plan", "--named", "ci-*", "--action", "rotate", "--out", "p.jsonl")
    assert (code, "losant-tokens rotate --plan p.jsonl --expires 90d" in err) == (0, True)
    assert "* rotate" in command("plan", "show", "p.jsonl", "--full")[1]
    code, _, err = command("apply", "p.jsonl", "--yes")
    assert (code, "Pass it to losant-tokens rotate --plan." in err) == (4, True)
    sink = "sh -c 'cat > $LOSANT_TOKEN_NAME.txt'"

    code, _, _ = command("rotate", "--plan", "p.jsonl", *DAYS, *NOW, "--to-command", sink)

    assert code == 0
    assert (tmp_path / "ci-2.txt").read_text() in {one.secret for one in named(fake, "ci-2")}


def test_failed_command(fake: FakeLosant, command: Command, tmp_path: Path) -> None:
    """If the command fails, the successor is deleted, and the rotation can be resumed."""
    sink = "sh -c 'cat > /dev/null; test -e ok'"
    code, _, err = command("rotate", CI, *DAYS, *NOW, "--to-command", sink, "--quiet")
    assert (code, len(named(fake, "ci-1"))) == (3, 1)
    assert "failed with exit code 1" in err
    assert "To continue: losant-tokens rotate resume " in err
    code, out, err = command("rotate", "list")
    assert ("interrupted" in out, "--to-command COMMAND" in err) == (True, True)
    assert "1 rotation is interrupted: " in command("rotate", "resume", "--due")[2]
    code, out, err = command("rotate", "resume", "last")
    assert (code, out, "pass the same --to-command COMMAND" in err) == (2, "", True)
    (tmp_path / "ok").touch()

    code, _, _ = command("rotate", "resume", "last", "--to-command", sink)
    cancelled, _, _ = command("rotate", "cancel", "last", "--yes")

    assert (code, cancelled, len(named(fake, "ci-1"))) == (0, 0, 2)


def test_cancel_keeps_what_was_delivered(fake: FakeLosant, command: Command) -> None:
    """A cancelled rotation says which successors still work."""
    command("rotate", CI, *DAYS, "--yes")

    code, _, err = command("rotate", "cancel", "last", "--yes")

    assert (code, "was kept, because its secret was delivered" in err) == (0, True)
    assert {token.status for token in named(fake, "ci-1")} == {"active"}


def test_due(
    fake: FakeLosant, command: Command, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--due` deactivates the old tokens of each rotation whose overlap has ended."""
    assert "No rotation is due." in command("rotate", "resume", "--due")[2]
    command("rotate", CI, *DAYS, "--yes", "--overlap", "1h")
    fake.clock_offset = timedelta(hours=2)
    now = datetime.now(UTC) + timedelta(hours=2)
    monkeypatch.setattr(rotations, "_now", lambda: now)

    code, _, err = command("rotate", "resume", "--due")

    assert (code, "deactivated the old token" in err) == (0, True)
    (journal,) = (state / "rotations").glob("*.jsonl.journal")
    code, _, err = command("rotate", "resume", str(journal))
    assert (code, "is not a line of the journal of a rotation" in err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((CI, "--yes"), 2, "rotate needs --expires"),
        ((CI, "--expires", "never"), 2, "a rotated token must expire"),
        ((CI, "--expires", "2020-01-01", "--yes"), 2, "is in the past"),
        ((CI, *DAYS), 2, "rotate needs --yes"),
        ((CI, "--expires", "soon", "--yes"), 2, "is not an expiration date"),
        ((*DAYS, "--yes"), 2, "name tokens by their ids, by --plan, or by selection options"),
        ((CI, "--expired", *DAYS, "--yes"), 2, "name tokens by their ids"),
        ((CI, "e" * 24, *DAYS, "--yes"), 2, "the secrets of several tokens cannot go to stdout"),
        ((CI, *DAYS, "--yes", "--json"), 2, "with --json, pass --to-command"),
        (
            (CI, "e" * 24, *DAYS, "--yes", "--to-file", "x"),
            2,
            "--to-file needs a file for each token",
        ),
        ((CI, *DAYS, "--yes", "--to-file", "x", "--to-command", "cat"), 2, "cannot be combined"),
        ((CI, *DAYS, "--yes", "--to-file", "x", "--format", "json"), 2, "holds the secret alone"),
        ((CI, *DAYS, "--yes", "--owner", "user", "--owner", "oauth"), 2, "have one --owner"),
        ((CI, *DAYS, "--yes", "--to-command", "no-such-program"), 1, "There is no program"),
        ((CI, "--expires", "1h", "--yes"), 2, "--expires must be longer than the overlap"),
        (("e" * 24, *DAYS, "--yes"), 4, "does not exist"),
        (("d" * 24, *DAYS, "--yes"), 4, "pass --allow-unverified"),
        (("resume",), 2, "name a rotation or pass --due, but not both"),
        (("resume", "abcd"), 2, "there is no rotation and no file 'abcd'"),
        (("--named", "nobody", *DAYS, "--yes"), 0, "Nothing to rotate"),
    ],
)
def test_mistakes(
    fake: FakeLosant, command: Command, arguments: tuple[str, ...], code: int, message: str
) -> None:
    """A mistake is reported before anything is created."""
    actual, _, err = command("rotate", *arguments)

    assert (actual, message in " ".join(err.split())) == (code, True)
    assert len(fake.tokens()) == 7


def test_questions(
    fake: FakeLosant, command: Command, terminal: Callable[..., None], tmp_path: Path
) -> None:
    """A terminal is asked, also about a successor that cannot be verified."""
    sink = ("--to-file", "new.txt")
    terminal(typed="n\n")
    code, _, err = command("rotate", "d" * 24, *DAYS, *sink)
    assert (code, "1 successor cannot be verified, because its scopes" in err) == (1, True)
    assert "Nothing was changed." in err
    terminal(typed="y\n")
    code, _, err = command("rotate", "d" * 24, *DAYS, *sink)
    assert (code, (tmp_path / "new.txt").exists()) == (0, True)
    terminal(typed="n\n")
    assert command("rotate", "cancel", "last")[0] == 1
    terminal(typed="y\n")
    assert command("rotate", "cancel", "last")[0] == 0
    assert {token.status for token in named(fake, "device")} == {"active"}


def test_unreadable_journals(command: Command, state: Path) -> None:
    """A journal that cannot be read is a warning in the list, and an error by its name."""
    assert "There are no rotations" in command("rotate", "list")[2]
    folder = state / "rotations"
    folder.mkdir(parents=True)
    (folder / "rotation-x.journal").write_text("no\n")

    code, _, err = command("rotate", "list")

    assert (code, "was altered" in err) == (0, True)
    assert command("rotate", "resume", os.fspath(folder / "rotation-x.journal"))[0] == 1


def test_interrupted(fake: FakeLosant, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotation that is interrupted says how to continue it."""
    calls: list[object] = []

    def run_and_interrupt(work: Any, **options: Any) -> object:
        calls.append(work)
        result: object = run_until_stopped(work, **options)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(rotations, "run_until_stopped", run_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        command("rotate", CI, *DAYS, "--yes", "--to-file", "new.txt")

    (rotation,) = json.loads(command("rotate", "list", "--json")[1])
    assert command("rotate", "resume", rotation["id"][:6])[0] == 0


def test_uncertain_delivery(fake: FakeLosant, command: Command) -> None:
    """A command that is killed may have stored the secret, so its successor is kept."""
    sink = "sh -c 'cat > /dev/null; kill -9 $$'"

    code, _, err = command("rotate", CI, "--expires", "2099-01-01", "--yes", "--to-command", sink)

    assert (code, "may have been delivered, so it is kept until another is" in err) == (3, True)
    _, _, err = command("rotate", "resume", "last", "--to-command", "sh -c 'cat > /dev/null'")
    assert "may have been delivered, so it is kept until the old token is deactivated" in err
    assert command("rotate", "cancel", "last", "--yes")[0] == 0
    assert len(named(fake, "ci-1")) == 3


def test_token_in_use(fake: FakeLosant, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token in use comes last, and long lists are cut short."""
    own = fake.add_token("aa-own", scope=["all.User"])
    for number in range(30):
        fake.add_token(f"zz-{number}")
    monkeypatch.setenv("LOSANT_API_TOKEN", own.secret)

    code, _, err = command("rotate", "--named", "aa-*", "--named", "zz-*", *DAYS, "--dry-run")
    assert (code, "And 11 more." in err) == (4, False)
    code, _, err = command(
        "rotate", "--named", "aa-*", "--named", "zz-*", *DAYS, "--dry-run", "--allow-majority"
    )
    assert (code, "And 11 more." in err) == (0, True)
    code, _, err = command("rotate", own.id, *DAYS, *NOW, "--to-file", "own.txt")
    assert (code, "the token in use, so it comes last" in err) == (0, True)


def test_token_that_may_be_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """A token that may be the one in use is named as such, and comes last."""
    tokens = [
        jobs.RotationCheck(
            owner=Owner.user(),
            id=CI,
            token=token(expiration_date=None),
            is_in_use=is_in_use,
        )
        for is_in_use in (None, False)
    ]

    rotation_view.show_candidates(tokens, datetime.now(UTC))

    assert "perhaps the token in use, so it comes last" in capsys.readouterr().err.splitlines()[-1]


def test_many_problems(capsys: pytest.CaptureFixture[str]) -> None:
    """Many problems are counted, and a running rotation is named as such."""
    token = jobs.RotatedToken(
        owner=Owner.user(), id=CI, name="x", stage=jobs.RotationStage.FAILED, error="no"
    )
    settings = jobs.RotationSettings(
        lifetime=timedelta(days=1),
        until=None,
        overlap=timedelta(0),
        grace=timedelta(0),
        allow_unverified=False,
    )
    rotation = jobs.Rotation(
        id="ab" * 8,
        path=Path("x"),
        created_at=datetime.now(UTC),
        base_url="",
        account=None,
        settings=settings,
        tokens=(token,) * 12,
        is_running=True,
    )

    rotation_view.show_outcome(rotation)
    rotation_view.show_rotations([rotation])

    out, err = capsys.readouterr()
    assert "2 more have a problem" in err
    assert "running" in out


def test_closed_output(
    fake: FakeLosant,
    command: Command,
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A secret that cannot be written is never created, and a token needs a confirmation."""
    monkeypatch.setattr(rotations, "output_problem", lambda: "it is closed")
    code, _, err = command("rotate", CI, *DAYS, "--yes")
    assert (code, "cannot be written to standard output: it is closed" in err) == (2, True)
    terminal(typed="n\n")
    code, _, err = command("rotate", CI, *DAYS, "--to-file", "new.txt")
    assert (code, "Rotate 1 token? [y/N]" in err) == (1, True)
    assert len(fake.tokens()) == 7
