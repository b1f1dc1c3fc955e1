"""The journal: recording, resuming, locking and checksums."""

import errno
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from losant_tokens.jobs import JournalError, Outcome, Plan
from losant_tokens.jobs._execution.job_files import JobFiles
from losant_tokens.jobs._execution.journal import Journal
from tests.support.plans import forge, write

D, F = Outcome.DONE, Outcome.FAILED
CHANGED = datetime(2026, 3, 1, 12, 30, 15, 250000, tzinfo=UTC)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Return a plan of three tokens."""
    return write(tmp_path / "plan.jsonl")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def states(plan: Plan, path: Path) -> list[Outcome | None]:
    with Journal.open(plan, path, resume=True) as journal:
        return [journal.states.outcome(number) for number in range(3)]


def test_states_are_restored(plan: Plan, path: Path) -> None:
    """A resumed job has the state of each token."""
    with Journal.open(plan, path, resume=False) as journal:
        journal.record_intent(0)
        journal.record_outcome(0, D)
        journal.record_outcome(1, F, 'it said "no"\n')
        journal.record_intent(2)
        before = journal.states.counts()

    with Journal.open(plan, path, resume=True) as journal:
        assert [journal.states.outcome(n) for n in range(3)] == [D, F, Outcome.UNKNOWN]
        assert journal.states.errors == {1: 'it said "no"\n'}
        assert journal.states.counts() == before
        journal.record_outcome(1, D)
        assert journal.states.errors == {}


def test_reverted_intent(plan: Plan, path: Path) -> None:
    """A token with a reverted intent is untouched."""
    with Journal.open(plan, path, resume=False) as journal:
        journal.record_intent(1)
        journal.revert_intent(1)
        assert journal.states.outcome(1) is None

    assert states(plan, path) == [None, None, None]


def test_intent_is_written_immediately(plan: Plan, path: Path) -> None:
    """`record_intent` returns when the intent is in the file."""
    with Journal.open(plan, path, resume=False) as journal:
        journal.record_intent(1)

        assert b'{"n":1,"is":"intended",' in path.read_bytes()

    assert states(plan, path) == [None, Outcome.UNKNOWN, None]


def test_journal_of_an_earlier_release(plan: Plan, path: Path) -> None:
    """A line with the intents of several tokens, as in earlier releases, can be read."""
    with Journal.open(plan, path, resume=False) as journal:
        journal._pending.append(b'{"n":[1, 2],"is":"intended"')

    assert states(plan, path) == [None, Outcome.UNKNOWN, Outcome.UNKNOWN]


def test_reverted_intent_keeps_its_error(plan: Plan, path: Path) -> None:
    """A token with a reverted intent keeps its error, and has no outcome."""
    with Journal.open(plan, path, resume=False) as journal:
        journal.record_intent(1)
        journal.revert_intent(1, "no response")

    with Journal.open(plan, path, resume=True) as journal:
        assert (journal.states.outcome(1), journal.states.errors) == (None, {1: "no response"})


def test_journal_is_private(plan: Plan, path: Path) -> None:
    """Only the user can read the journal, with any umask."""
    before = os.umask(0)
    try:
        Journal.open(plan, path, resume=False).close()
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_one_process_at_a_time(plan: Plan, path: Path) -> None:
    """A journal that is open cannot be opened again, and loses nothing."""
    with Journal.open(plan, path, resume=False) as journal:
        journal.record_outcome(0, D)
        with pytest.raises(JournalError, match="is in use"):
            Journal.open(plan, path, resume=True)

    assert states(plan, path) == [D, None, None]


def test_started_job_needs_resume(plan: Plan, path: Path) -> None:
    """A job that was started can only be continued with `resume`."""
    Journal.open(plan, path, resume=False).close()

    with pytest.raises(
        JournalError, match=r"applied before: .*\. To continue the job, pass resume=True"
    ):
        Journal.open(plan, path, resume=False)
    assert states(plan, path) == [None] * 3


def test_another_plan(plan: Plan, path: Path) -> None:
    """The journal of another plan is refused."""
    Journal.open(plan, path, resume=False).close()
    forge(plan.path, rule="everything")

    with pytest.raises(JournalError, match="journal of another plan"):
        Journal.open(Plan.read(plan.path), path, resume=True)


def test_torn_last_line(plan: Plan, path: Path) -> None:
    """A torn last line is cut off, and new lines can be read."""
    with Journal.open(plan, path, resume=False) as journal:
        journal.record_outcome(0, D)
        journal.flush()
        whole = path.stat().st_size
        journal.record_outcome(1, D)
    content = path.read_bytes()
    for end in range(whole, len(content)):
        path.write_bytes(content[:end])
        assert states(plan, path) == [D, None, None]
        assert path.stat().st_size == whole
        with Journal.open(plan, path, resume=True) as journal:
            journal.record_outcome(2, D)
        assert states(plan, path) == [D, None, D]


def test_outcome_is_written_with_the_next_intent(plan: Plan, path: Path) -> None:
    """An outcome is written with the next intent, or by `flush`."""
    with Journal.open(plan, path, resume=False) as journal:
        sizes = [path.stat().st_size]
        steps: list[Callable[[], None]] = [
            lambda: journal.record_outcome(0, D),
            lambda: journal.record_intent(1),
            lambda: journal.record_outcome(1, D),
            journal.flush,
            journal.flush,
        ]
        for do in steps:
            do()
            sizes.append(path.stat().st_size)

    assert [False, True, False, True, False] == [b > a for a, b in pairwise(sizes)]


def test_torn_first_line(plan: Plan, path: Path) -> None:
    """A journal with a torn first line is started again."""
    Journal.open(plan, path, resume=False).close()
    content = path.read_bytes()
    for end in range(len(content)):
        path.write_bytes(content[:end])
        Journal.open(plan, path, resume=False).close()
        assert len(path.read_bytes()) >= len(content) - 8


@pytest.mark.parametrize("content", [b"my only notes", b'{"format":"something else"}', b"\0" * 100])
def test_other_files_are_kept(plan: Plan, path: Path, content: bytes) -> None:
    """A file that is not a journal is refused, and keeps its content."""
    path.write_bytes(content)

    with pytest.raises(JournalError, match="is not a journal"):
        Journal.open(plan, path, resume=False)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "alter",
    [
        lambda lines: [lines[0], lines[1].replace(b"0", b"1", 1), *lines[2:]],
        lambda lines: [lines[0], lines[1].replace(b"done", b"gone"), *lines[2:]],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[0], lines[2], lines[1], lines[3]],
        lambda lines: [lines[0], lines[1], lines[1], *lines[2:]],
        lambda lines: [lines[0].replace(b"begun", b"began"), *lines[1:]],
        lambda lines: [lines[0].replace(b":1,", b":2,"), *lines[1:]],
        lambda lines: [b"nonsense\n", *lines[1:]],
        lambda lines: [*lines, b'{"n":-1,"is":"done","crc":1}\n'],
        lambda lines: [*lines, b"\n"],
        lambda lines: [*lines, b"[" * 100_000 + b"\n"],
    ],
)
def test_altered_journal_is_refused(
    plan: Plan, path: Path, alter: Callable[[list[bytes]], list[bytes]]
) -> None:
    """A journal with an altered, removed, moved or added line is refused."""
    with Journal.open(plan, path, resume=False) as journal:
        for number in range(3):
            journal.record_outcome(number, D)
    altered = b"".join(alter(path.read_bytes().splitlines(keepends=True)))
    path.write_bytes(altered)

    with pytest.raises(JournalError, match=r"cannot be read: line|not a journal that this"):
        Journal.open(plan, path, resume=True)
    assert path.read_bytes() == altered


def test_number_beyond_the_plan(plan: Plan, path: Path) -> None:
    """A line about a token that is not in the plan is refused, even with a valid checksum."""
    with Journal.open(plan, path, resume=False) as journal:
        with pytest.raises(IndexError):
            journal.record_intent(3)
        with pytest.raises(IndexError):
            journal.record_intent(-1)

    with pytest.raises(JournalError, match="cannot be read: line 2"):
        Journal.open(plan, path, resume=True)


@pytest.mark.parametrize("length", [0, 9])
def test_full_disk(plan: Plan, path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """A failed write breaks the journal, and its earlier lines stay."""
    really_write = os.write
    with Journal.open(plan, path, resume=False) as journal:
        journal.record_outcome(0, D)
        journal.flush()
        parts = iter([length] if length else [])

        def write(descriptor: int, data: bytes) -> int:
            for part in parts:
                return really_write(descriptor, data[:part])
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write)
            with pytest.raises(JournalError, match="cannot be written: No space left"):
                journal.record_intent(1)
        with pytest.raises(JournalError, match="cannot be written: No space left"):
            journal.record_intent(2)
        assert journal.states.outcome(1) is None

    assert states(plan, path) == [D, None, None]


def test_full_disk_at_the_start(plan: Plan, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that cannot be started raises an error, and is unlocked."""

    def write(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(JournalError, match="No space left"):
            Journal.open(plan, path, resume=False)

    Journal.open(plan, path, resume=False).close()


def test_impossible_path(plan: Plan, tmp_path: Path) -> None:
    """A path that cannot be a file raises an error."""
    with pytest.raises(JournalError, match="cannot be used: it is a folder"):
        Journal.open(plan, tmp_path, resume=False)


def test_file_of_another_user(plan: Plan, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose mode cannot be set is not used."""

    def fchmod(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", fchmod)

    with pytest.raises(JournalError, match="cannot be used: Operation not permitted"):
        Journal.open(plan, path, resume=False)


async def test_checkpoint(plan: Plan, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`checkpoint` fsyncs new lines, and a failure breaks the journal."""
    synced: list[int] = []
    with Journal.open(plan, path, resume=False) as journal:
        monkeypatch.setattr(os, "fsync", synced.append)
        await journal.checkpoint()
        await journal.checkpoint()
        assert len(synced) == 1

        def fsync(_: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "fsync", fsync)
        journal.record_intent(0)
        with pytest.raises(JournalError, match="Input/output error"):
            await journal.checkpoint()
        with pytest.raises(JournalError, match="Input/output error"):
            journal.record_intent(1)


def test_files_of_a_cancelled_task_are_closed(plan: Plan, path: Path) -> None:
    """Files that a thread opens for a cancelled task are closed and unlocked."""
    opening = JobFiles(plan, path, resume=False)
    opening._close()

    opening._open()

    assert states(plan, path) == [None] * 3


@pytest.mark.parametrize("is_written", [False, True])
def test_interrupted_write(
    plan: Plan, path: Path, monkeypatch: pytest.MonkeyPatch, is_written: bool
) -> None:
    """A journal can be resumed after Ctrl-C during a write."""
    really_write = os.write

    def write(descriptor: int, data: bytes) -> int:
        if is_written:
            really_write(descriptor, data)
        raise KeyboardInterrupt

    journal = Journal.open(plan, path, resume=False)
    journal.record_intent(0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(KeyboardInterrupt):
            journal.record_intent(1)
    journal.record_outcome(0, D)
    with pytest.raises(JournalError, match="a write was interrupted"):
        journal.flush()
    journal.close()

    with Journal.open(plan, path, resume=True) as again:
        assert again.states.in_doubt(0, 3) == [True, is_written, False]


def test_pending_lines_are_limited(plan: Plan, path: Path) -> None:
    """Outcomes are written before many are pending."""
    with Journal.open(plan, path, resume=False) as journal:
        for _ in range(1200):
            journal.record_outcome(0, D)
        assert 1000 <= path.read_bytes().count(b"done") < 1200


def test_time_of_a_change_is_kept(plan: Plan, path: Path) -> None:
    """A resumed job has the time of each change."""
    with Journal.open(plan, path, resume=False) as journal:
        journal.record_outcome(1, D, changed_at=CHANGED)
        journal.record_outcome(2, D)

    with Journal.open(plan, path, resume=True) as journal:
        assert journal.states.changed_at == {1: CHANGED}


def test_closed_twice(plan: Plan, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal closes its file descriptor once, because another file may reuse it."""
    closed: list[int] = []
    really_close = os.close

    def close(descriptor: int) -> None:
        closed.append(descriptor)
        really_close(descriptor)

    journal = Journal.open(plan, path, resume=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "close", close)
        journal.close()
        journal.close()

    assert len(closed) == 1


@pytest.mark.parametrize("checksum", [b"0", b"1", b"9999999999", b""])
def test_wrong_checksum_is_refused(plan: Plan, path: Path, checksum: bytes) -> None:
    """A line with a wrong checksum is refused."""
    with Journal.open(plan, path, resume=False) as journal:
        journal.record_outcome(0, D)
    content, mark, _ = path.read_bytes().rpartition(b',"crc":')
    path.write_bytes(content + mark + checksum + b"}\n")

    with pytest.raises(JournalError, match="cannot be read: line 2"):
        Journal.open(plan, path, resume=True)
