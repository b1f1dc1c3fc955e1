"""Private files: looked at before they are used, and nothing is left behind."""

import os
import socket
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from losant_tokens.jobs import JobError, JournalError, Plan, PlanRefused
from losant_tokens.jobs import _files as files
from losant_tokens.jobs._execution.journal import Journal
from losant_tokens.jobs._plan.temporary_folder import OwnFolder
from losant_tokens.jobs._plan.writer import PlanWriter
from tests.unit.jobs.plan.test_plan import HEADER, write

SENT = 0o644


def pipe(path: Path) -> Path:
    os.mkfifo(path, SENT)
    return path


def folder(path: Path) -> Path:
    path.mkdir(SENT)
    return path


def unix_socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    path.chmod(SENT)
    return path


def device(path: Path) -> Path:
    return Path("/dev/null")


def link(path: Path) -> Path:
    target = path.with_name("target")
    target.write_text("")
    target.chmod(SENT)
    path.symlink_to(target)
    return path


Make = Callable[[Path], Path]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("make", [pipe, folder, unix_socket, device, link])
def test_unfit_files_are_refused_and_not_changed(tmp_path: Path, make: Make) -> None:
    """A path that leads to no regular file is refused as a journal, with its mode unchanged."""
    plan = write(tmp_path / "plan.jsonl")
    path = make(tmp_path / "x")
    before = mode(path)

    with pytest.raises(JournalError, match="cannot be used: it is a "):
        Journal.open(plan, path, resume=True)

    assert mode(path) == before


@pytest.mark.parametrize("make", [pipe, folder, unix_socket, device])
def test_plan_that_is_no_regular_file(tmp_path: Path, make: Make) -> None:
    """Nor is such a path read as a plan; it is not waited for, either."""
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
    path.chmod(SENT)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    with pytest.raises(files.UnfitFileError, match="belongs to another user"):
        files.open_private(path, os.O_RDWR | os.O_CREAT)

    assert mode(path) == SENT


def test_other_file_of_the_user(tmp_path: Path) -> None:
    """A file that is refused as a journal keeps its content and its mode."""
    plan = write(tmp_path / "plan.jsonl")
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    path.chmod(SENT)

    with pytest.raises(JournalError):
        Journal.open(plan, path, resume=True)

    assert (path.read_text(), mode(path)) == ("my notes\n", SENT)


def test_journal_that_others_could_read(tmp_path: Path) -> None:
    """A journal that is accepted becomes private."""
    plan = write(tmp_path / "plan.jsonl")
    path = tmp_path / "journal"
    Journal.open(plan, path, resume=False).close()
    path.chmod(SENT)

    Journal.open(plan, path, resume=True).close()

    assert mode(path) == 0o600


def test_file_that_changes_between_two_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is looked at once more when it is open."""
    path = tmp_path / "x"
    path.write_text("")
    folder_stat = tmp_path.stat()
    monkeypatch.setattr(os, "fstat", lambda _: folder_stat)

    with pytest.raises(files.UnfitFileError, match="is a folder"):
        files.open_regular(path)


def test_new_file_that_cannot_be_made_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new file that cannot be made private is an error, and is closed."""

    def fchmod(*_: Any) -> None:
        raise PermissionError(1, "no")

    monkeypatch.setattr(os, "fchmod", fchmod)
    with pytest.raises(PermissionError):
        files.open_private(tmp_path / "x", os.O_RDWR | os.O_CREAT)


def test_new_file_where_modes_cannot_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system without `fchmod`, such as Windows before Python 3.13, makes the file, too."""
    monkeypatch.delattr(os, "fchmod")

    os.close(files.open_private(tmp_path / "x", os.O_RDWR | os.O_CREAT))

    assert (tmp_path / "x").exists()


def test_part_that_another_process_takes_for_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a part is removed before it is locked, another one is created."""
    lock = files.lock
    calls: list[int] = []

    def lock_late(descriptor: int) -> bool:
        if not calls:
            for part in tmp_path.glob(".*part"):
                part.unlink()
        calls.append(descriptor)
        return lock(descriptor)

    monkeypatch.setattr(files, "lock", lock_late)
    with files.part_of(tmp_path / "x") as (descriptor, part):
        assert part.exists()
        os.write(descriptor, b"1")
    assert len(calls) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def folders(temporary: Path) -> int:
    return len(list(temporary.glob("losant-tokens-plan-*")))


def test_folder_of_a_plan(temporary: Path) -> None:
    """The folder of a plan without a path is private, and goes with the plan."""
    with PlanWriter(None) as writer:
        plan = writer.finish(HEADER)
    del writer
    assert mode(plan.path.parent) == 0o700
    assert plan.path.parent.parent == temporary
    copy = plan.detached()
    del plan

    assert folders(temporary) == 0
    assert not copy.path.exists()


def test_folder_of_a_plan_that_failed(temporary: Path) -> None:
    """A plan that came to nothing leaves no folder."""
    with PlanWriter(None) as writer:
        assert folders(temporary) == 1
    del writer

    assert folders(temporary) == 0


@pytest.mark.parametrize(("is_complete", "left"), [(True, 0), (False, 1)])
def test_folder_of_a_job(temporary: Path, is_complete: bool, left: int) -> None:
    """The folder of a job that can be resumed is kept."""
    own = OwnFolder.create()
    own.begin()
    (own.path / "plan.jsonl.journal").write_text("")
    if is_complete:
        own.complete()
    del own
    OwnFolder.create()

    assert folders(temporary) == left


def test_no_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be created is an error in words."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))

    with pytest.raises(JobError, match="cannot be written: No such file"):
        OwnFolder.create()
