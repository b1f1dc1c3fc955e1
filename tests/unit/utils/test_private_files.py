"""Private files: they are checked before they are used, and no file is left behind."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from losant_tokens._utils import private_files
from losant_tokens.jobs import JournalError, Plan, PlanRefused
from losant_tokens.jobs._execution.journal import Journal
from tests.support.plans import write

MODE = 0o644


def pipe(path: Path) -> Path:
    os.mkfifo(path, MODE)
    return path


def folder(path: Path) -> Path:
    path.mkdir(MODE)
    return path


def unix_socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    path.chmod(MODE)
    return path


def device(path: Path) -> Path:
    return Path("/dev/null")


def link(path: Path) -> Path:
    target = path.with_name("target")
    target.write_text("")
    target.chmod(MODE)
    path.symlink_to(target)
    return path


Make = Callable[[Path], Path]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("make", [pipe, folder, unix_socket, device, link])
def test_journal_that_is_not_a_regular_file(tmp_path: Path, make: Make) -> None:
    """A journal that is not a regular file is refused, and its mode is not changed."""
    plan = write(tmp_path / "plan.jsonl")
    path = make(tmp_path / "x")
    before = mode(path)

    with pytest.raises(JournalError, match="cannot be used: it is a "):
        Journal.open(plan, path, resume=True)

    assert mode(path) == before


@pytest.mark.parametrize("make", [pipe, folder, unix_socket, device])
def test_plan_that_is_not_a_regular_file(tmp_path: Path, make: Make) -> None:
    """A plan that is not a regular file is refused without blocking."""
    with pytest.raises(PlanRefused, match="cannot be read: it is a "):
        Plan.read(make(tmp_path / "x"))


def test_plan_behind_a_link(tmp_path: Path) -> None:
    """A plan may be read through a symbolic link."""
    plan = write(tmp_path / "plan.jsonl")
    (tmp_path / "link").symlink_to(plan.path)

    assert Plan.read(tmp_path / "link").digest == plan.digest


def test_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of another user is refused before it is changed."""
    path = tmp_path / "x"
    path.write_text("")
    path.chmod(MODE)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    with pytest.raises(private_files.UnfitFileError, match="belongs to another user"):
        private_files.open_private(path, os.O_RDWR | os.O_CREAT)

    assert mode(path) == MODE


def test_journal_that_is_another_file(tmp_path: Path) -> None:
    """A file that is not a journal is refused, and keeps its content and mode."""
    plan = write(tmp_path / "plan.jsonl")
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    path.chmod(MODE)

    with pytest.raises(JournalError):
        Journal.open(plan, path, resume=True)

    assert (path.read_text(), mode(path)) == ("my notes\n", MODE)


def test_journal_becomes_private(tmp_path: Path) -> None:
    """A journal that is opened becomes private."""
    plan = write(tmp_path / "plan.jsonl")
    path = tmp_path / "journal"
    Journal.open(plan, path, resume=False).close()
    path.chmod(MODE)

    Journal.open(plan, path, resume=True).close()

    assert mode(path) == 0o600


def test_file_that_changes_between_two_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is checked again when it is open."""
    path = tmp_path / "x"
    path.write_text("")
    folder_stat = tmp_path.stat()
    monkeypatch.setattr(os, "fstat", lambda _: folder_stat)

    with pytest.raises(private_files.UnfitFileError, match="is a folder"):
        private_files.open_regular(path)


def test_new_file_that_cannot_be_made_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a new file cannot be made private, the error is raised."""

    def fchmod(*_: Any) -> None:
        raise PermissionError(1, "no")

    monkeypatch.setattr(os, "fchmod", fchmod)
    with pytest.raises(PermissionError):
        private_files.open_private(tmp_path / "x", os.O_RDWR | os.O_CREAT)


def test_new_file_without_fchmod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file can be created without `fchmod`, as on Windows before Python 3.13."""
    monkeypatch.delattr(os, "fchmod")

    os.close(private_files.open_private(tmp_path / "x", os.O_RDWR | os.O_CREAT))

    assert (tmp_path / "x").exists()


def test_part_that_is_removed_before_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If another process removes a part before it is locked, a new one is created."""
    lock = private_files.lock
    calls: list[int] = []

    def lock_late(descriptor: int) -> bool:
        if not calls:
            for part in tmp_path.glob(".*part"):
                part.unlink()
        calls.append(descriptor)
        return lock(descriptor)

    monkeypatch.setattr(private_files, "lock", lock_late)
    with private_files.part_of(tmp_path / "x") as (descriptor, part):
        assert part.exists()
        os.write(descriptor, b"1")
    assert len(calls) == 2
    assert list(tmp_path.iterdir()) == []
