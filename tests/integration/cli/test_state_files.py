"""The state folder: its place, and pruning."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from losant_tokens import jobs
from losant_tokens.cli._errors import CommandError
from losant_tokens.cli._state import files as state_files
from losant_tokens.testing import FakeLosant
from tests.support.clean_ups import fake_with_tokens
from tests.support.command import Command

DAY = timedelta(days=1)

pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture
def fake() -> FakeLosant:
    return fake_with_tokens(kept=6)


CI = ("--named", "ci-*")


def age(folder: Path, days: int = 200) -> None:
    """Make files look old."""
    for path in folder.iterdir():
        os.utime(path, times=(time.time() - days * 86_400,) * 2)


# --- The place of the folder -----------------------------------------------------------------


def test_without_a_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a home folder, the state folder is a private temporary folder."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(state_files.tempfile, "gettempdir", lambda: str(tmp_path))  # type: ignore[attr-defined]

    folder = state_files.state_folder("hint")

    assert tmp_path / f"losant-tokens-{os.getuid()}" == folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder == state_files.existing_state_folder()


def test_folder_of_another_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A temporary folder that other users can write is not used, and not read either."""
    (tmp_path / f"losant-tokens-{os.getuid()}").mkdir(mode=0o777)
    (tmp_path / f"losant-tokens-{os.getuid()}").chmod(0o777)
    (tmp_path / "home").write_text("a file")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(state_files.tempfile, "gettempdir", lambda: str(tmp_path))  # type: ignore[attr-defined]

    with pytest.raises(CommandError, match="belongs to another user, or other users can access it"):
        state_files.state_folder("hint")
    assert state_files.existing_state_folder() is None


def test_read_only_folder(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only state folder is an error with a hint."""
    state.mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda *_: False)

    with pytest.raises(CommandError, match="cannot be written") as caught:
        state_files.state_folder("name a file")

    assert caught.value.hint == "name a file"


# --- The journal -----------------------------------------------------------------------------


def test_journal_option(fake: FakeLosant, service: str, command: Command) -> None:
    """--journal names the journal, also in the command to resume."""
    command("plan", *CI, "--out", "p.jsonl")
    fake.fail(status=401, method="DELETE", skip=2, times=None)

    _, _, err = command("apply", "p.jsonl", "--yes", "--journal", "j", "--max-age", "48h")

    assert "To resume: losant-tokens apply p.jsonl --resume --journal j --max-age 48h\n" in err
    assert Path("j").exists()
    assert not Path("p.jsonl.journal").exists()


def test_read_only_plan(
    fake: FakeLosant, service: str, command: Command, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal of a plan in a read-only folder is in the state folder."""
    command("plan", *CI, "--out", "p.jsonl")
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != Path() and access(path, mode)
    )

    code, _, err = command("apply", "p.jsonl", "--yes")
    again, out, _ = command("apply", "p.jsonl", "--yes", "--resume")

    (journal,) = state.glob("*.journal")
    assert (code, again) == (0, 0)
    assert f". is read-only, so the journal is {journal}.\n" in err
    assert "all of them in earlier runs" in out


# --- Pruning ---------------------------------------------------------------------------------


def test_complete_jobs_are_pruned(
    fake: FakeLosant, service: str, command: Command, state: Path
) -> None:
    """Old files of complete jobs are removed when the next job starts."""
    command("cleanup", "--named", "ci-0", "--yes")
    age(state)

    command("cleanup", "--named", "ci-1", "--yes")

    assert len(list(state.iterdir())) == 2


def test_recent_jobs_are_kept(
    fake: FakeLosant, service: str, command: Command, state: Path
) -> None:
    """Files of a recent job are kept, unless a shorter age is passed."""
    command("cleanup", *CI, "--yes")
    age(state, 100)

    assert command("runs", "prune")[2] == "Removed 0 files.\n"
    code, out, err = command("runs", "prune", "--older-than", "90d")

    assert (code, len(out.splitlines()), err) == (0, 2, "Removed 2 files.\n")
    assert list(state.iterdir()) == []


def test_unapplied_plans_are_pruned(service: str, command: Command, state: Path) -> None:
    """A plan that was never applied is pruned."""
    command("plan", *CI)
    age(state)

    assert command("runs", "prune")[2] == "Removed 1 file.\n"


def test_prune_without_a_folder(command: Command) -> None:
    """Without a state folder, nothing is pruned."""
    assert command("runs", "prune") == (0, "", "Removed 0 files.\n")


def test_quiet_prune(service: str, command: Command, state: Path) -> None:
    """With --quiet, files are removed without a word, as cron needs it."""
    command("plan", *CI)
    age(state)

    assert command("runs", "prune", "--quiet") == (0, "", "")
    assert list(state.iterdir()) == []


def test_incomplete_jobs_are_kept(
    fake: FakeLosant, service: str, command: Command, state: Path
) -> None:
    """The files of a job that can be resumed are kept."""
    fake.fail(status=401, method="DELETE", skip=2, times=None)
    command("cleanup", *CI, "--yes", "--max-concurrency", "1")
    age(state)

    assert state_files.prune(state, DAY) == []
    assert len(list(state.iterdir())) == 2


def test_quarantines_are_kept(
    fake: FakeLosant, service: str, command: Command, state: Path
) -> None:
    """The plan, the journal and the report of a quarantine with waiting tokens are kept."""
    command("quarantine", *CI, "--yes")
    age(state)
    age(state / "quarantines")

    assert state_files.prune(state, DAY) == []


@pytest.mark.parametrize("step", [("restore", "last"), ("sweep", "last", "--after", "0h")])
def test_settled_quarantines_are_pruned(
    fake: FakeLosant, service: str, command: Command, state: Path, step: tuple[str, ...]
) -> None:
    """All files of a quarantine are removed once its tokens are restored or swept."""
    command("quarantine", *CI, "--yes")
    command(*step, "--yes")
    assert state_files.prune(state, DAY) == []
    age(state)
    age(state / "quarantines")

    assert len(state_files.prune(state, DAY)) == 6
    assert list(state.iterdir()) == [state / "quarantines"]


def test_complete_rotations_are_pruned(
    fake: FakeLosant, service: str, command: Command, state: Path
) -> None:
    """The files of a rotation are removed once it is complete and its quarantine is settled."""
    one, two = (token.id for token in fake.tokens() if token.name in {"ci-0", "ci-1"})
    sink = ("--expires", "90d", "--to-file", "{replaces}", "--yes")
    command("rotate", one, *sink, "--overlap", "0h")
    command("rotate", two, *sink)
    folder = state / "rotations"
    waiting = set(folder.iterdir())
    age(folder)
    age(state / "quarantines")
    assert state_files.prune(state, DAY) == []
    assert command("restore", "last", "--yes")[0] == 0
    assert command("rotate", "cancel", "last", "--yes")[0] == 0
    assert state_files.prune(state, DAY) == []
    age(state)
    age(folder)
    age(state / "quarantines")

    removed = state_files.prune(state, DAY)

    assert waiting <= set(removed)
    assert list(folder.iterdir()) == []


def test_deactivation_without_a_record_is_kept(
    fake: FakeLosant, service: str, command: Command, state: Path
) -> None:
    """The plan and the journal of a quarantine are kept even if its record is gone."""
    command("quarantine", *CI, "--yes")
    for record in (state / "quarantines").iterdir():
        record.unlink()
    age(state)

    assert state_files.prune(state, DAY) == []


def test_deactivation_that_changed_nothing_is_pruned(
    fake: FakeLosant, service: str, command: Command, state: Path
) -> None:
    """A plan to deactivate tokens that was never applied is removed."""
    command("plan", *CI, "--action", "deactivate")
    age(state)

    assert len(state_files.prune(state, DAY)) == 1


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "{}", '{"n":0,"is":"intended"}', '{"n":9,"is":"done"}', '{"n":0}']
)
def test_unknown_files_are_kept(
    fake: FakeLosant, service: str, command: Command, state: Path, line: str
) -> None:
    """A file of an unknown format is kept."""
    command("cleanup", *CI, "--yes")
    plan, journal = sorted(state.iterdir())
    first = journal.read_text().splitlines()[0] if line else '{"format":"other"}'
    journal.write_text(f"{first}\n{line}\n")
    (state / "notes.txt").write_text("")
    (state / f"link{plan.name}").symlink_to(plan)
    age(state)

    assert state_files.prune(state, DAY) == []


def test_altered_plans_are_kept(
    fake: FakeLosant, service: str, command: Command, state: Path
) -> None:
    """An altered plan is kept."""
    command("cleanup", *CI, "--yes")
    plan, _ = sorted(state.iterdir())
    plan.write_text(json.dumps({}))
    age(state)

    assert state_files.prune(state, DAY) == []


def test_half_written_files_are_pruned(state: Path) -> None:
    """Half-written files of a killed process are pruned after a day."""
    state.mkdir(parents=True)
    for name in (".r.html.0123abcd.part", ".r.html.part"):
        (state / name).write_text("")
    assert state_files.prune(state, DAY) == []
    age(state)

    assert state_files.prune(state, DAY) == [state / ".r.html.0123abcd.part"]
    assert state_files.prune(state / "none", DAY) == []


def test_file_cannot_be_removed(
    fake: FakeLosant, service: str, command: Command, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be removed is not an error."""
    command("cleanup", *CI, "--yes")
    age(state)

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)

    assert state_files.prune(state, DAY) == []
    assert isinstance(jobs.Plan.read(min(state.iterdir())), jobs.Plan)
