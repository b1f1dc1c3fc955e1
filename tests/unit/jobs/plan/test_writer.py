"""Writing plan files: completely, privately, or not at all."""

import errno
import os
import stat
from pathlib import Path

import attrs
import pytest

from losant_tokens import Owner
from losant_tokens.jobs import Counts, Header, JobError, Plan, PlanRefused
from losant_tokens.jobs._plan.writer import PlanWriter
from tests.support.plans import (
    ENTRIES,
    HEADER,
    write,
)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_file_is_private(tmp_path: Path, umask: int) -> None:
    """The file is private with any umask, and no other file is left."""
    before = os.umask(umask)
    try:
        write(tmp_path / "plan.jsonl")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "plan.jsonl").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["plan.jsonl"]


def test_line_that_is_too_long(tmp_path: Path) -> None:
    """A line that is too long to be read again is refused when it is written."""
    with PlanWriter(tmp_path / "plan.jsonl") as writer:
        with pytest.raises(JobError, match=r"The token 1{24} of user cannot be planned"):
            writer.add(attrs.evolve(ENTRIES[0], name="x" * (5 << 20)))
        with pytest.raises(JobError, match="header of the plan is too long"):
            writer.finish(attrs.evolve(HEADER, protected=("x" * (17 << 20),)))


def test_existing_file(tmp_path: Path) -> None:
    """A plan never replaces a file, even one that is created meanwhile."""
    path = tmp_path / "plan.jsonl"
    with PlanWriter(path) as writer:
        path.write_text("mine")
        with pytest.raises(PlanRefused, match="already exists"):
            writer.finish(HEADER)

    with pytest.raises(PlanRefused, match="already exists"), PlanWriter(path):
        pass
    assert (path.read_text(), [file.name for file in tmp_path.iterdir()]) == (
        "mine",
        ["plan.jsonl"],
    )


def test_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hard links, the file is renamed if its path is free."""

    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "plan.jsonl"

    assert write(path) == Plan.read(path)
    assert [file.name for file in tmp_path.iterdir()] == ["plan.jsonl"]


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full, an error gives the reason, and no file is left."""

    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)

    with pytest.raises(JobError, match="cannot be written: No space left on device"):
        write(tmp_path / "plan.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path: Path) -> None:
    """A plan in a missing folder cannot be written."""
    with pytest.raises(JobError, match="cannot be written"):
        write(tmp_path / "none" / "plan.jsonl")


def test_rollback(tmp_path: Path) -> None:
    """A rollback drops the tokens that were added since the savepoint."""
    one = Header(
        **{
            **{name: getattr(HEADER, name) for name in ("created_at", "base_url", "action")},
            "rule": "x",
            "counts": {Owner.user(): Counts(listed=1, selected=1)},
        }
    )
    with PlanWriter(tmp_path / "plan.jsonl") as writer:
        writer.savepoint()
        writer.add(ENTRIES[1])
        writer.flush()
        writer.add(ENTRIES[2])
        writer.rollback()
        writer.add(ENTRIES[0])
        plan = writer.finish(one)

    assert list(plan.checked_entries()) == [ENTRIES[0]]


def test_writer_outside_of_a_with_block(tmp_path: Path) -> None:
    """A writer that is not used in a `with` block raises an error."""
    with pytest.raises(RuntimeError, match="in a `with` block"):
        PlanWriter(tmp_path / "plan.jsonl").flush()
