"""The lock on a plan: where it is, whom it keeps out, and what is left of it."""

import os
import tempfile
from pathlib import Path

import pytest

from losant_tokens.jobs import JobError, JournalError
from losant_tokens.jobs._execution.plan_lock import PlanLock

URL = "https://api.losant.com"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which programs keep their state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path / "state" / "losant-tokens-locks"


def test_one_holder_at_a_time(state: Path) -> None:
    """A plan that is locked cannot be locked again; another plan can, and so can it afterwards."""
    lock = PlanLock.acquire("sha256:1", URL)
    with pytest.raises(JournalError, match="another process applies it, or a copy of it"):
        PlanLock.acquire("sha256:1", URL)
    PlanLock.acquire("sha256:2", URL).close()
    PlanLock.acquire("sha256:1", "https://other.example").close()
    lock.close()

    PlanLock.acquire("sha256:1", URL).close()


def test_nothing_is_left_of_a_lock(state: Path) -> None:
    """A lock that is released leaves no file."""
    lock = PlanLock.acquire("sha256:1", URL)
    before = len(list(state.iterdir()))
    lock.close()

    assert (before, list(state.iterdir())) == (1, [])


def test_a_lock_left_by_a_killed_process_is_no_obstacle(state: Path) -> None:
    """The file of a lock whose holder is gone is taken over."""
    lock = PlanLock.acquire("sha256:1", URL)
    os.close(lock._descriptor)

    PlanLock.acquire("sha256:1", URL).close()


def test_a_lock_whose_file_was_removed_meanwhile_is_acquired_again(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder that removes its file while another waits for it leaves that one no dead lock."""
    from losant_tokens.jobs import _files as files

    really_lock = files.lock
    removals = iter([True])

    def lock(descriptor: int) -> bool:
        if next(removals, False):
            for path in state.iterdir():
                path.unlink()
        return really_lock(descriptor)

    monkeypatch.setattr(files, "lock", lock)
    held = PlanLock.acquire("sha256:1", URL)

    with pytest.raises(JournalError):
        PlanLock.acquire("sha256:1", URL)
    held.close()


def test_the_folder_is_the_users_own(state: Path) -> None:
    """The folder of locks is private."""
    PlanLock.acquire("sha256:1", URL).close()

    assert state.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("setting", ["", "relative/path"])
def test_home_is_the_default(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """Without a usable XDG_STATE_HOME, locks are in the home folder."""
    monkeypatch.setenv("XDG_STATE_HOME", setting)

    lock = PlanLock.acquire("sha256:1", URL)

    assert lock._path.parent == tmp_path / "home/.local/state/losant-tokens-locks"
    lock.close()


def test_without_a_home_locks_are_temporary(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the home folder is unknown, locks are in a folder among the temporary files."""

    def unknown() -> Path:
        raise RuntimeError

    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setattr(Path, "home", unknown)

    lock = PlanLock.acquire("sha256:1", URL)

    assert lock._path.parent.parent == tmp_path / "tmp"
    lock.close()


@pytest.mark.parametrize("obstacle", ["file", "open to all", "link"])
def test_a_folder_that_is_not_the_users_own_is_not_used(
    state: Path, tmp_path: Path, obstacle: str
) -> None:
    """A folder that others can write to, a link or a file in its place is passed over."""
    state.parent.mkdir()
    if obstacle == "file":
        state.write_text("")
    elif obstacle == "link":
        (tmp_path / "elsewhere").mkdir()
        state.symlink_to(tmp_path / "elsewhere")
    else:
        state.mkdir()
        state.chmod(0o777)

    lock = PlanLock.acquire("sha256:1", URL)

    assert lock._path.parent == tmp_path / "home/.local/state/losant-tokens-locks"
    lock.close()


def test_no_folder_at_all_is_refused(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If there is no folder for locks, a plan is not applied without one."""
    for name in ("XDG_STATE_HOME", "HOME"):
        (tmp_path / name).write_text("")
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "HOME"))

    with pytest.raises(JobError, match="Set XDG_STATE_HOME"):
        PlanLock.acquire("sha256:1", URL)


def test_a_lock_that_cannot_be_opened_is_refused(state: Path) -> None:
    """Something else in the place of a lock is an error in words."""
    PlanLock.acquire("sha256:1", URL).close()
    lock = PlanLock.acquire("sha256:2", URL)
    path = lock._path
    lock.close()
    path.mkdir()

    with pytest.raises(JobError, match="cannot be used"):
        PlanLock.acquire("sha256:2", URL)
