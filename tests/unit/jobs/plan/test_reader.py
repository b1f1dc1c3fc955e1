"""Reading plan files: files without end, and files that change."""

import errno
import io
import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from losant_tokens import Owner
from losant_tokens.jobs import Counts, Plan, PlanRefused
from losant_tokens.jobs._plan.format import (
    entry_json,
    json_line,
)
from losant_tokens.jobs._plan.writer import PlanWriter
from tests.support.plans import (
    ENTRIES,
    HEADER,
    LINES,
    forge_lines,
    write,
)


@pytest.mark.parametrize(
    "content",
    [
        b"{" + b" " * (17 << 20) + b"\n",
        b"\x00" * (17 << 20),
    ],
)
def test_endless_header(tmp_path: Path, content: bytes) -> None:
    """A first line without an end is refused, and not read into memory."""
    (tmp_path / "plan").write_bytes(content)

    with pytest.raises(PlanRefused, match="is not a plan"):
        Plan.read(tmp_path / "plan")


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_endless_line(tmp_path: Path, end: bytes) -> None:
    """A line that is too long, or a last line without an end, is refused."""
    path = tmp_path / "plan.jsonl"
    line = json_line(entry_json(attrs.evolve(ENTRIES[0], name="x" * (5 << 20))))
    for forged in (line + end, LINES[0].removesuffix(b"\n")):
        forge_lines(path, forged)
        with pytest.raises(PlanRefused, match="is not a plan"):
            Plan.read(path)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_file_that_changes_while_it_is_read(tmp_path: Path, at: int) -> None:
    """A line that changes in place after the check is not used."""
    path = tmp_path / "plan.jsonl"
    counts = {Owner.user(): Counts(listed=3000, selected=3000)}
    entries = [attrs.evolve(ENTRIES[0], id=f"{number:024x}") for number in range(3000)]
    with PlanWriter(path) as writer:
        for entry in entries:
            writer.add(entry)
        plan = writer.finish(attrs.evolve(HEADER, counts=counts))
    opened = plan.checked_entries()
    content = path.read_bytes()
    line = json_line(entry_json(entries[2999])) + b"\n"
    changed = (
        content.replace(line, line.replace(b"bb7", b"bb6")),
        content.removesuffix(line),
        content[: len(content) // 2],
    )[at]
    path.write_bytes(changed)
    used: list[bytes] = []

    with pytest.raises(PlanRefused, match=r"plan\.jsonl was changed after it was checked"):
        used.extend(json_line(entry_json(entry)) + b"\n" for entry in opened)

    assert set(used) <= set(content.splitlines(keepends=True))
    assert 0 < len(used) < 3000
    opened.close()


def test_block_that_cannot_be_read(tmp_path: Path) -> None:
    """A plan that cannot be read to its end is refused with the reason."""
    opened = write(tmp_path / "plan.jsonl").checked_entries()
    opened._file._file.close()

    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    opened._file._file = Broken()
    with pytest.raises(PlanRefused, match="cannot be read: Input/output error"):
        list(opened)


@pytest.mark.parametrize("line", [b"{}\n", b"nonsense\n", b'{"owner":"nobody"}\n', b"[1]\n"])
def test_line_that_describes_no_token(tmp_path: Path, line: bytes) -> None:
    """A plan that was not checked line by line is refused at a line that describes no token."""
    path = tmp_path / "plan.jsonl"
    forge_lines(path, LINES[0] + line)
    digest = json.loads(path.read_bytes().splitlines()[0])["digest"]

    with pytest.raises(PlanRefused, match="has a line that does not describe a token"):
        list(Plan(path, HEADER, digest).checked_entries().batches())


def test_file_that_does_not_fit_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that is too large for the memory is refused."""

    def loads(*_: object, **__: object) -> None:
        raise MemoryError

    plan = write(tmp_path / "plan.jsonl")
    monkeypatch.setattr(json, "loads", loads)

    with pytest.raises(PlanRefused, match="cannot be read: it is too large"):
        Plan.read(plan.path)


def test_entries_can_be_closed_early(tmp_path: Path) -> None:
    """Entries that are closed yield no more tokens."""
    entries = write(tmp_path / "plan.jsonl").checked_entries()
    assert next(iter(entries)) == ENTRIES[0]

    entries.close()

    assert list(entries) == []
