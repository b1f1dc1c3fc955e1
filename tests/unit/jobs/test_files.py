"""Private files: looked at before they are used, and nothing is left behind."""

import os
import socket
import stat
import subprocess
import sys
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


# --- Left behind -----------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from losant_tokens.jobs import _files as files
with files.part_of(Path(sys.argv[1])):
    if sys.argv[2] == "wait":
        print("ready", flush=True)
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_parts_of_killed_processes_are_removed(tmp_path: Path) -> None:
    """The next plan in a folder removes the unfinished files of killed processes, and no others."""
    path = str(tmp_path / "other.jsonl")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, path, "wait"], stdin=-1, stdout=-1, text=True
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        subprocess.run([sys.executable, "-c", KILLED, path, "now"], check=False)
        names = [".x.part", "x.losant-tokens.part", ".x.0123456789ab.losant-tokens.part.txt"]
        for name in names:
            (tmp_path / name).write_text("mine")
        pipe(tmp_path / ".y.0123456789ab.losant-tokens.part")
        assert len(list(tmp_path.glob(".other*"))) == 2

        write(tmp_path / "plan.jsonl")

        left = [file.name for file in tmp_path.iterdir() if file.name.startswith(".other")]
        assert len(left) == 1
        assert all((tmp_path / name).exists() for name in names)
        running.kill()


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


def test_folders_of_killed_processes(temporary: Path) -> None:
    """The folder of a killed process is removed by the next one, unless it has a journal."""
    program = (
        "import os, signal, sys, tempfile\n"
        f"tempfile.tempdir = {str(temporary)!r}\n"
        "from losant_tokens.jobs._plan.temporary_folder import OwnFolder\n"
        "own = OwnFolder.create()\n"
        "if sys.argv[1]: (own.path / 'plan.jsonl.journal').write_text('x')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for journal in ("", "journal", ""):
        subprocess.run([sys.executable, "-c", program, journal], check=False)
    mine = OwnFolder.create()

    assert folders(temporary) == 2
    assert mine.path.exists()
    OwnFolder.create()
    assert mine.path.exists()


def test_no_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be created is an error in words."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))

    with pytest.raises(JobError, match="cannot be written: No such file"):
        OwnFolder.create()
