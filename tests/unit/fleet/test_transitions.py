"""The decisions about runs: who may decide what, and what follows."""

from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from losant_tokens.fleet import (
    RUN_STATES,
    Decision,
    DecisionKind,
    DecisionRefused,
    RunState,
    Work,
)
from losant_tokens.fleet import _transitions as transitions
from losant_tokens.fleet._run_codec import Record
from losant_tokens.fleet._transitions import DECIDABLE, Next
from tests.support.fleet_runs import DIGEST, NOW, PLAN, approved, run

DAY = timedelta(days=1)
LATER = NOW + timedelta(minutes=1)


def record(**members: Any) -> Record:
    """Return the record of a run, with the task number 3."""
    return Record(run=run(**members), attempt=3, owner="me")


def work(**members: Any) -> dict[str, Work]:
    """Return the work of the phases that a run began."""
    return {phase: Work(worker="w1", version="1", started_at=NOW) for phase in ("plan", *members)}


def decide(found: Record, kind: DecisionKind, now: datetime = NOW, **options: Any) -> Next:
    """Return a run after a decision of Ada's."""
    return transitions.decide(found, Decision(kind=kind, by="ada", at=now), **options)


def begin(found: Record, phase: Any = "apply", attempt: int = 3) -> Record | None:
    """Return a run that the worker w2 begins to work on."""
    return transitions.begin(
        found, phase, attempt, worker="w2", version="2", owner="new", now=LATER
    )


FAILED = {
    "apply": Work(
        worker="w1",
        version="1.0",
        started_at=NOW,
        finished_at=NOW,
        outcomes={"done": 2, "failed": 3},
    )
}
RETRIED_BEFORE = {
    "state": "quarantined",
    "work": FAILED,
    "decisions": (*approved(), Decision(kind="retry", by="a", at=NOW)),
}


@pytest.mark.parametrize(
    ("kind", "before", "after", "phase"),
    [
        ("approve", {}, "approved", "apply"),
        ("reject", {}, "rejected", None),
        ("cancel", {"state": "planning"}, "cancelled", None),
        ("cancel", {}, "cancelled", None),
        ("cancel", {"state": "applying", "decisions": approved()}, "cancelled", None),
        ("cancel", {"state": "quarantined"}, "cancelled", None),
        ("cancel", {"state": "failed"}, "cancelled", None),
        ("restore", {"state": "quarantined", "work": work(apply=1)}, "restoring", "restore"),
        ("restore", {"state": "cancelled", "work": work(apply=1)}, "restoring", "restore"),
        ("restore", {"state": "failed", "work": work(apply=1)}, "restoring", "restore"),
        ("restore", {"state": "done", "work": work(apply=1)}, "restoring", "restore"),
        ("retry", {"state": "failed", "phase": "sweep"}, "sweeping", "sweep"),
        ("retry", {"state": "failed", "phase": "plan"}, "planning", "plan"),
        ("retry", {"state": "done", "phase": "apply", "work": FAILED}, "applying", "apply"),
        ("retry", {"state": "quarantined", "phase": "sweep", "work": FAILED}, "applying", "apply"),
        ("retry", RETRIED_BEFORE, "applying", "apply"),
    ],
)
def test_decision(
    kind: DecisionKind, before: dict[str, Any], after: RunState, phase: str | None
) -> None:
    """A decision changes the state, is recorded, and makes all tasks before it stale."""
    following = decide(record(**before), kind)
    decision = following.record.run.decisions[-1]

    assert (following.record.run.state, following.phase) == (after, phase)
    assert (decision.kind, decision.by, decision.digest) == (kind, "ada", DIGEST)
    assert following.record.attempt == 4
    assert following.clears == ("restore" if kind == "restore" else None)


def test_retry_of_failed_tokens() -> None:
    """A retry repeats the failed tokens of the last phase, and a later sweep waits for them."""
    found = record(state="quarantined", phase="apply", work=FAILED, sweep_due_at=NOW + DAY)
    following = decide(found, "retry")
    run_ = following.record.run

    assert found.run.failed_tokens == 3
    assert (following.reopens, run_.sweep_due_at, run_.work["apply"].finished_at) == (
        "apply",
        None,
        None,
    )
    assert (run_.outcomes("apply"), run_.failed_tokens, run_.can_retry) == ({"done": 2}, 0, False)


def test_failed_tokens_of_a_restore() -> None:
    """After a restore, a token that could not be deactivated is not a failure."""
    restored = run(
        state="restored", phase="restore", work={**FAILED, "restore": work(restore=1)["restore"]}
    )
    assert (restored.failed_tokens, restored.can_retry) == (0, False)


@pytest.mark.parametrize(
    ("kind", "before"),
    [
        ("approve", {"state": "applying", "decisions": approved()}),
        ("approve", {"state": "failed", "decisions": approved()}),
        ("approve", {"state": "done", "decisions": approved()}),
        ("reject", {"state": "rejected"}),
        ("cancel", {"state": "cancelled"}),
        ("restore", {"state": "restoring"}),
        ("restore", {"state": "restored"}),
        ("retry", {"state": "applying", "decisions": (Decision(kind="retry", by="a", at=NOW),)}),
    ],
)
def test_same_decision_again(kind: DecisionKind, before: dict[str, Any]) -> None:
    """A decision that was made before changes nothing."""
    found = record(**before)
    following = decide(found, kind)

    assert (following.record, following.is_changed, following.phase) == (found, False, None)


@pytest.mark.parametrize(
    ("kind", "before", "message"),
    [
        ("approve", {"state": "planning"}, "approved: it is not planned yet"),
        ("approve", {"state": "rejected", "decisions": approved()}, "it is rejected"),
        ("approve", {"state": "refused"}, "it is refused. Only a run that is waiting"),
        ("approve", {"approve_by": NOW}, "its plan expired"),
        ("reject", {"approve_by": NOW}, "it is expired"),
        ("reject", {"state": "applying", "decisions": approved("grace")}, "grace has approved it"),
        ("cancel", {"state": "done"}, "cancelled: it has already finished \\(done\\)"),
        ("restore", {"state": "quarantined", "plan_action": "delete"}, "deactivated no token"),
        ("restore", {}, "it has deactivated no token"),
        ("restore", {"state": "applying", "work": work(apply=1)}, "is being applied. Cancel it"),
        ("restore", {"state": "sweeping", "work": work(apply=1)}, "its sweep has begun"),
        ("restore", {"state": "done", "work": work(apply=1, sweep=1)}, "tokens were deleted"),
        ("retry", {}, "retried: it is waiting. Only a run that failed, or has failed tokens"),
        ("retry", {"state": "done", "work": work(apply=1), "phase": "apply"}, "it is done. Only"),
        (
            "retry",
            {"state": "done", "work": {**FAILED, **work(sweep=1)}, "phase": "sweep"},
            "it is done, and its failed tokens are those of an earlier phase. Start a new run",
        ),
        ("retry", {"state": "applying", "decisions": approved()}, "it is applying"),
    ],
)
def test_refused_decision(kind: DecisionKind, before: dict[str, Any], message: str) -> None:
    """The state of a run refuses other decisions, and the error has the run."""
    with pytest.raises(DecisionRefused, match=message) as caught:
        decide(record(**before), kind)

    assert caught.value.run.id == "1f3a9c20"


@pytest.mark.parametrize("digest", [None, DIGEST, DIGEST[7:], DIGEST[7:15]])
def test_digest_of_the_reviewed_plan(digest: str | None) -> None:
    """A plan can be approved by its digest, or by 8 or more digits of it."""
    assert decide(record(), "approve", digest=digest).record.run.state == "approved"


@pytest.mark.parametrize("digest", ["", DIGEST[7:14], "sha256:" + "0" * 64, "x"])
def test_digest_of_another_plan(digest: str) -> None:
    """An approval of another plan is refused, even if the run is approved already."""
    for found in (record(), record(state="applying", decisions=approved())):
        with pytest.raises(DecisionRefused, match="its plan is abababab, and not"):
            decide(found, "approve", digest=digest)


def test_digest_before_the_plan() -> None:
    """Without a plan, the state is what refuses an approval."""
    with pytest.raises(DecisionRefused, match="not planned yet"):
        decide(record(state="planning", plan_digest=""), "approve", digest="0" * 8)


def test_expired() -> None:
    """A waiting plan expires at its time, and no other run does."""
    waiting = run()

    assert transitions.as_of(waiting, NOW) == waiting
    expired = transitions.as_of(attrs.evolve(waiting, retry_at=NOW), NOW + 8 * DAY)
    assert (expired.state, expired.retry_at) == ("expired", None)
    assert transitions.as_of(run(state="applying"), NOW + 8 * DAY).state == "applying"


@pytest.mark.parametrize(
    ("phase", "before", "after"),
    [
        ("plan", "planning", "planning"),
        ("apply", "approved", "applying"),
        ("apply", "applying", "applying"),
        ("sweep", "quarantined", "sweeping"),
        ("sweep", "sweeping", "sweeping"),
        ("restore", "restoring", "restoring"),
    ],
)
def test_begin(phase: Any, before: RunState, after: RunState) -> None:
    """A worker begins a phase, and is recorded with its version."""
    begun = begin(record(state=before), phase)
    assert begun is not None
    done = begun.run.work[phase]

    assert (begun.run.state, begun.run.phase, begun.owner) == (after, phase, "new")
    assert (done.worker, done.version, done.started_at, done.attempts) == ("w2", "2", LATER, 1)


def test_begin_again() -> None:
    """A worker that continues a phase counts an attempt, and keeps the time of the first."""
    begun = begin(record(state="applying", work=work(apply=1)))
    assert begun is not None
    done = begun.run.work["apply"]

    assert (done.worker, done.attempts, done.started_at) == ("w2", 2, NOW)


@pytest.mark.parametrize(
    ("found", "phase", "attempt"),
    [
        (record(state="applying"), "apply", 2),
        (record(state="cancelled"), "apply", 3),
        (record(state="restoring"), "sweep", 3),
        (record(), "plan", 3),
    ],
)
def test_stale_task(found: Record, phase: Any, attempt: int) -> None:
    """A task of an earlier number, or of a phase that is over, is ignored."""
    assert begin(found, phase, attempt) is None


def test_move() -> None:
    """A task that goes to the partition of its credential was not an attempt."""
    for attempts in (1, 2):
        found = record(state="planning", phase="plan", work=work())
        done = attrs.evolve(found.run.work["plan"], attempts=attempts)
        found = found.evolve(now=NOW, work={"plan": done})
        moved = transitions.move(found, "key")
        counted = [one.attempts for one in moved.record.run.work.values()]

        assert (moved.record.partition, moved.phase, moved.record.attempt) == ("key", "plan", 4)
        assert counted == list(range(1, attempts))


@pytest.mark.parametrize(("selected", "state"), [(12, "waiting"), (0, "empty")])
def test_planned(selected: int, state: RunState) -> None:
    """A plan waits for an approval, unless it selects no token."""
    summary = attrs.evolve(PLAN, selected=selected)
    found = record(state="planning", phase="plan", work=work())
    following = transitions.planned(found, summary, document={"a": 1}, approve_within=DAY, now=NOW)
    planned = following.record.run

    assert (planned.state, planned.plan, planned.planned_at) == (state, summary, NOW)
    assert planned.approve_by == (NOW + DAY if selected else None)
    assert following.stores == ("apply", {"a": 1})
    awaits_rules = transitions.awaits_rules
    assert awaits_rules(following.record, "plan", 3, now=NOW) == bool(selected)
    assert not awaits_rules(following.record, "plan", 3, now=NOW + DAY)


def test_webhook_that_is_asked_again() -> None:
    """The waits double up to an hour, and the plan is left to a person before it expires."""
    found = record(approve_by=NOW + timedelta(hours=4))
    now, delays = NOW, list[float]()
    while True:
        following = transitions.asked_later(found, found.attempt, DIGEST, "no response", now=now)
        assert following is not None
        found = following.record
        if following.phase is None:
            break
        assert (following.phase, found.run.reason) == ("plan", "no response")
        assert found.run.retry_at == now + following.delay
        assert transitions.awaits_rules(found, "plan", found.attempt, now=now)
        delays.append(following.delay / timedelta(minutes=1))
        now += following.delay

    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    assert (found.run.state, found.run.webhook_failures, found.run.retry_at) == ("waiting", 9, None)
    assert found.run.reason == "A person must decide: no response"


def test_webhook_after_a_decision() -> None:
    """Nobody asks a webhook about a plan that was decided, or that another task asks about."""
    rejected = decide(record(retry_at=LATER, reason="no response"), "reject").record
    approved_run = decide(record(retry_at=LATER, reason="no response"), "approve").record.run

    for found, attempt in ((rejected, 4), (record(), 2)):
        assert transitions.asked_later(found, attempt, DIGEST, "", now=NOW) is None
        assert transitions.given_back(found, attempt, now=NOW) is None
    assert (approved_run.reason, approved_run.retry_at) == ("", None)


def test_phases_that_end() -> None:
    """An apply ends in a quarantine or is done, a sweep is done, and a restore restored."""
    found = record(state="applying", phase="apply", work=work(apply=1))
    swept = record(state="sweeping", phase="sweep", work=work(sweep=1))
    restored = record(state="restoring", phase="restore", work=work(restore=1))
    quarantined = transitions.applied(found, {"done": 2}, due_at=NOW + DAY, now=NOW)
    overdue = transitions.applied(found, {"done": 2}, due_at=NOW - DAY, now=NOW)
    done = transitions.applied(found, {"done": 2}, due_at=None, now=NOW)

    assert quarantined.record.run.state == "quarantined"
    assert (quarantined.phase, quarantined.delay) == ("sweep", DAY)
    assert overdue.delay == timedelta(0)
    assert (done.record.run.state, done.phase) == ("done", None)
    assert done.record.run.outcomes("apply") == {"done": 2}
    assert done.record.run.work["apply"].finished_at == NOW
    assert transitions.finished(swept, {}, now=NOW).record.run.state == "done"
    assert transitions.finished(restored, {}, now=NOW).record.run.state == "restored"
    assert transitions.refused(found, "no", now=NOW).record.run.reason == "no"


def test_postponed_sweep() -> None:
    """A sweep that is not due yet is enqueued again for its time."""
    found = record(state="sweeping", phase="sweep", work=work(sweep=1))
    following = transitions.postponed(found, NOW + DAY, now=NOW)
    late = transitions.postponed(found, NOW - DAY, now=NOW)

    assert (following.record.run.state, following.phase) == ("quarantined", "sweep")
    assert (following.delay, following.record.run.sweep_due_at) == (DAY, NOW + DAY)
    assert late.delay == timedelta(0)


def test_waits_between_attempts() -> None:
    """The waits double from 15 seconds to an hour, until the run has failed."""
    found = record(state="applying", phase="apply", work=work(apply=1))
    now, waits = NOW, []
    while found.run.state == "applying":
        following = transitions.troubled(found, "outage", retry_for=4 * DAY / 24, now=now)
        waits.append(following.delay.total_seconds())
        found, now = following.record, now + following.delay
        assert found.run.reason == "outage"

    assert waits == [15, 15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 0]
    assert (found.run.state, found.run.retry_at, found.failing_since) == ("failed", None, None)


def test_progress_ends_a_failure() -> None:
    """After progress, the time for retries begins again, and the outcomes are recorded."""
    found = record(state="applying", phase="apply", work=work(apply=1), reason="outage")
    found = attrs.evolve(found, failing_since=NOW - DAY)
    changed = transitions.progressed(found, {"done": 100}, now=NOW)

    assert (changed.failing_since, changed.run.reason) == (None, "")
    assert changed.run.outcomes("apply") == {"done": 100}


def test_released_and_rescued() -> None:
    """A run that a worker gives back, and one whose task is gone, get another task."""
    released = transitions.released(record(state="sweeping", phase="sweep"), now=NOW)
    rescued = transitions.rescued(record(state="quarantined", phase="apply"), now=NOW)

    assert (released.phase, released.record.attempt, released.record.owner) == ("sweep", 4, "")
    assert (rescued.phase, rescued.record.attempt) == ("sweep", 4)
    assert released.record.run.state == "sweeping"


def test_decisions_that_a_run_allows() -> None:
    """A decision is offered only if it would change the run; the table has all of its states."""
    found = [
        (kind, state)
        for kind in DECIDABLE
        for state in RUN_STATES
        for phase in ("plan", "apply")
        if transitions.allows(run(state=state, phase=phase, work=FAILED), kind)
    ]
    expected = [
        (kind, state)
        for kind, states in DECIDABLE.items()
        for state in RUN_STATES
        if state in states
    ]
    assert list(dict.fromkeys(found)) == expected
    assert not transitions.allows(run(state="quarantined"), "restore")
