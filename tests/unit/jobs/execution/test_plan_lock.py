"""The lock on a plan."""

import os
import tempfile
from pathlib import Path

import pytest

from losant_tokens.jobs import JobError, JournalError
from losant_tokens.jobs._execution.plan_lock import LockHolder, PlanLock

URL = "https://api.losant.com"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for the state of programs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path / "state" / "losant-tokens-locks"


def test_one_holder_at_a_time(state: Path) -> None:
    """A locked plan cannot be locked again until the lock is closed."""
    lock = PlanLock.acquire("sha256:1", URL)
    with pytest.raises(JournalError, match=f"process {os.getpid()} on .* applies it, or a copy"):
        PlanLock.acquire("sha256:1", URL)
    PlanLock.acquire("sha256:2", URL).close()
    PlanLock.acquire("sha256:1", "https://other.example").close()
    lock.close()

    PlanLock.acquire("sha256:1", URL).close()


def test_closed_lock_leaves_no_file(state: Path) -> None:
    """A lock that is closed leaves no file."""
    lock = PlanLock.acquire("sha256:1", URL)
    before = len(list(state.iterdir()))
    lock.close()

    assert (before, list(state.iterdir())) == (1, [])


def test_lock_of_a_killed_process(state: Path) -> None:
    """The lock file of a killed process can be locked again."""
    lock = PlanLock.acquire("sha256:1", URL)
    os.close(lock._descriptor)

    PlanLock.acquire("sha256:1", URL).close()


def test_lock_file_removed_while_waiting(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock file that its holder removes is created again."""
    from losant_tokens._utils import private_files

    really_lock = private_files.lock
    removals = iter([True])

    def lock(descriptor: int) -> bool:
        if next(removals, False):
            for path in state.iterdir():
                path.unlink()
        return really_lock(descriptor)

    monkeypatch.setattr(private_files, "lock", lock)
    held = PlanLock.acquire("sha256:1", URL)

    with pytest.raises(JournalError):
        PlanLock.acquire("sha256:1", URL)
    held.close()


def test_folder_is_private(state: Path) -> None:
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


def test_locks_without_a_home_folder(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a home folder, locks are in the folder for temporary files."""

    def unknown() -> Path:
        raise RuntimeError

    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setattr(Path, "home", unknown)

    lock = PlanLock.acquire("sha256:1", URL)

    assert lock._path.parent.parent == tmp_path / "tmp"
    lock.close()


@pytest.mark.parametrize("obstacle", ["file", "open to all", "link"])
def test_unsafe_folder_is_skipped(state: Path, tmp_path: Path, obstacle: str) -> None:
    """A folder that others can write to, a link and a file are skipped."""
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


def test_no_folder(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder for locks, a plan is refused."""
    for name in ("XDG_STATE_HOME", "HOME"):
        (tmp_path / name).write_text("")
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "HOME"))

    with pytest.raises(JobError, match="Set XDG_STATE_HOME"):
        PlanLock.acquire("sha256:1", URL)


def test_lock_path_is_a_folder(state: Path) -> None:
    """A lock file that cannot be opened raises an error."""
    PlanLock.acquire("sha256:1", URL).close()
    lock = PlanLock.acquire("sha256:2", URL)
    path = lock._path
    lock.close()
    path.mkdir()

    with pytest.raises(JobError, match="cannot be used"):
        PlanLock.acquire("sha256:2", URL)


@pytest.mark.parametrize("content", [b"", b"[", b"[]", b'{"process":"x"}'])
def test_holder_is_unknown(state: Path, content: bytes) -> None:
    """The lock file of another release does not name its process, and still locks the plan."""
    lock = PlanLock.acquire("sha256:1", URL)
    os.ftruncate(lock._descriptor, 0)
    os.pwrite(lock._descriptor, content, 0)

    with pytest.raises(JournalError, match="another process applies it, or a copy of it"):
        PlanLock.acquire("sha256:1", URL)

    assert PlanLock.holder("sha256:1", URL) == LockHolder()
    lock.close()


def test_holder_without_a_host() -> None:
    """A holder is described without its machine if that is unknown."""
    assert str(LockHolder(7)) == "process 7"
