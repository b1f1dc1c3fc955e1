"""The state of a job, read from its plan and its journal."""

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine

from losant_tokens import jobs
from losant_tokens.jobs import JobState, JournalError, Outcome, Plan, PlanRefused, job_state
from losant_tokens.jobs._execution.journal import Journal
from losant_tokens.jobs._execution.plan_lock import PlanLock
from tests.support.plans import write

STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Return a plan of three tokens. The second one is protected."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return write(tmp_path / "plan.jsonl")


def record(plan: Plan, *outcomes: Outcome | None) -> None:
    """Write a journal with an outcome for each of the first tokens. None: an intent only."""
    with time_machine.travel(STARTED, tick=False):
        journal = Journal.open(plan, jobs.journal_path(plan), resume=False)
    for number, outcome in enumerate(outcomes):
        if outcome is None:
            journal.record_intent(number)
        else:
            journal.record_outcome(number, outcome)
    journal.close()


def counts(**numbers: int) -> dict[Outcome, int]:
    return {outcome: numbers.get(outcome.value, 0) for outcome in Outcome}


def test_not_started(plan: Plan) -> None:
    """A job without a journal has the selected tokens pending, and nothing is created."""
    before = sorted(plan.path.parent.rglob("*"))

    state = job_state(plan)

    assert state == JobState(journal=jobs.journal_path(plan), total=2, counts=counts())
    assert (state.pending, state.in_doubt, state.is_complete) == (2, 0, False)
    assert sorted(plan.path.parent.rglob("*")) == before


def test_started(plan: Plan) -> None:
    """A job that was started has counts, and the times of its start and its last line."""
    record(plan, Outcome.DONE)
    os.utime(jobs.journal_path(plan), (STARTED.timestamp() + 60, STARTED.timestamp() + 60))

    state = job_state(plan)

    assert (state.is_started, state.started_at) == (True, STARTED)
    assert state.updated_at == datetime(2026, 3, 1, 12, 1, tzinfo=UTC)
    assert (state.counts, state.pending, state.is_complete) == (counts(done=1), 1, False)


def test_protected_tokens_are_not_counted(plan: Plan) -> None:
    """A token that the plan protects is not counted; one that the job protects is."""
    record(plan, Outcome.DONE, Outcome.PROTECTED, Outcome.PROTECTED)

    state = job_state(plan)

    assert (state.counts, state.total) == (counts(done=1, protected=1), 2)
    assert (state.pending, state.is_complete) == (0, True)


def test_in_doubt(plan: Plan) -> None:
    """A token with an intent but no outcome is in doubt, so the job is not complete."""
    record(plan, None, Outcome.PROTECTED, Outcome.FAILED)

    state = job_state(plan)

    assert state.counts == counts(unknown=1, failed=1)
    assert (state.pending, state.in_doubt, state.is_complete) == (0, 1, False)


def test_journal_at_another_path(plan: Plan, tmp_path: Path) -> None:
    """The journal can be at another path."""
    record(plan, Outcome.DONE)
    moved = jobs.journal_path(plan).rename(tmp_path / "moved")

    assert job_state(plan, str(moved)).counts == counts(done=1)
    assert not job_state(plan).is_started


def test_torn_header(plan: Plan) -> None:
    """A job whose process was killed before its first line was complete was not started."""
    jobs.journal_path(plan).write_bytes(b'{"format":"losant-tokens jour')

    state = job_state(plan)

    assert (state.is_started, state.started_at, state.updated_at) == (False, None, None)


def test_time_of_the_start_is_unknown(plan: Plan) -> None:
    """A journal without a readable time of its start belongs to a job that was started."""
    journal = Journal(plan, jobs.journal_path(plan))
    journal._descriptor = os.open(journal.path, os.O_WRONLY | os.O_CREAT)
    header = '{"format":"losant-tokens journal","version":1,"plan":"%s","begun":"?"'
    journal._pending.append((header % plan.digest).encode())
    journal.close()

    state = job_state(plan)

    assert (state.is_started, state.started_at) == (True, None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"1\n2\n", "line 1 was altered, or is not a line of a journal"),
        (b"notes", "is not a journal"),
    ],
)
def test_unreadable_journal(plan: Plan, content: bytes, problem: str) -> None:
    """A file that is not an intact journal is refused, and kept as it is."""
    jobs.journal_path(plan).write_bytes(content)

    with pytest.raises(JournalError, match=problem):
        job_state(plan)

    assert jobs.journal_path(plan).read_bytes() == content


def test_altered_line(plan: Plan) -> None:
    """A journal with an altered line is refused, with the number of the line."""
    record(plan, Outcome.FAILED)
    journal = jobs.journal_path(plan)
    journal.write_bytes(journal.read_bytes().replace(b"failed", b"done"))

    with pytest.raises(JournalError, match="line 2 was altered"):
        job_state(plan)


def test_journal_of_another_plan(plan: Plan, tmp_path: Path) -> None:
    """The journal of another plan is refused."""
    record(plan)
    other = Plan(tmp_path / "other", plan.header, "sha256:1")

    with pytest.raises(JournalError, match="is the journal of another plan"):
        job_state(other, jobs.journal_path(plan))


def test_folder_instead_of_a_journal(plan: Plan) -> None:
    """A folder at the path of the journal is refused."""
    jobs.journal_path(plan).mkdir()

    with pytest.raises(JournalError, match="cannot be read: it is a folder"):
        job_state(plan)


def test_path_below_a_file(plan: Plan) -> None:
    """A path that cannot exist is refused."""
    with pytest.raises(JournalError, match="cannot be read: Not a directory"):
        job_state(plan, plan.path / "journal")


def test_replaced_plan(plan: Plan) -> None:
    """A plan that was replaced since it was read is refused."""
    record(plan, Outcome.DONE, Outcome.PROTECTED)
    plan.path.write_bytes(b"")

    with pytest.raises(PlanRefused):
        job_state(plan)


def test_running(plan: Plan) -> None:
    """A job whose plan is locked is running, in the process that the lock names."""
    assert not job_state(plan).is_running

    lock = PlanLock.acquire(plan.digest, plan.header.base_url)
    state = job_state(plan)
    lock.close()

    expected = (True, os.getpid(), socket.gethostname())
    assert (state.is_running, state.process_id, state.host) == expected
    assert not job_state(plan).is_running


def test_running_elsewhere(plan: Plan) -> None:
    """A job whose journal is locked is running, but its process is unknown."""
    with Journal.open(plan, jobs.journal_path(plan), resume=False):
        state = job_state(plan)

    assert (state.is_running, state.process_id, state.host) == (True, None, None)


def test_killed_process(plan: Plan) -> None:
    """A job whose process was killed is not running, although the file of its lock exists."""
    os.close(PlanLock.acquire(plan.digest, plan.header.base_url)._descriptor)

    assert not job_state(plan).is_running


def test_question_does_not_disturb_a_job(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job starts although another process asks whether it is running at the same time."""
    from losant_tokens._utils import private_files

    really_lock, refusals = private_files.lock, iter([False, False])
    monkeypatch.setattr(
        private_files,
        "lock",
        lambda descriptor: next(refusals, None) is None and really_lock(descriptor),
    )

    PlanLock.acquire(plan.digest, plan.header.base_url).close()

    assert next(refusals, None) is None
