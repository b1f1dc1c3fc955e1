"""The decisions about runs, as pure functions: who may decide what, and what a worker does next.

Each function takes a record and the time, and returns the record after the change. The store writes
it only if nobody else has changed the run meanwhile, in the same transaction as the task that
follows. So of two decisions at the same time one wins, and no change of state loses its task.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import attrs
from attrs import frozen

from losant_tokens.fleet._errors import DecisionRefused
from losant_tokens.fleet._run_codec import Record
from losant_tokens.fleet._types import (
    Decision,
    DecisionKind,
    Phase,
    PlanSummary,
    Run,
    RunState,
    Work,
    retry_phase,
)

STATE_OF_PHASE: Final[Mapping[Phase, RunState]] = {
    "plan": "planning",
    "apply": "applying",
    "sweep": "sweeping",
    "restore": "restoring",
}
"""The state of a run while a worker works on a phase."""

_STARTS: Final[Mapping[Phase, tuple[RunState, ...]]] = {
    "plan": ("planning",),
    "apply": ("approved", "applying"),
    "sweep": ("quarantined", "sweeping"),
    "restore": ("restoring",),
}
"""The states in which a worker may begin or continue a phase."""

WORKING: Final[tuple[RunState, ...]] = (
    "planning",
    "approved",
    "applying",
    "quarantined",
    "sweeping",
    "restoring",
)
"""The states in which a run has a task."""

UNFINISHED: Final[tuple[RunState, ...]] = ("planning", "waiting", "approved", "applying")
"""The states in which another run of the clean-up would select the same tokens."""

_CANCELLABLE: Final[tuple[RunState, ...]] = (
    "planning",
    "waiting",
    "approved",
    "applying",
    "quarantined",
    "sweeping",
    "restoring",
    "failed",
)
DECIDABLE: Final[Mapping[DecisionKind, tuple[RunState, ...]]] = {
    "approve": ("waiting",),
    "reject": ("waiting",),
    "cancel": _CANCELLABLE,
    "restore": ("quarantined", "done", "cancelled", "failed"),
    "retry": ("quarantined", "done", "restored", "failed"),
}
"""The states in which a decision may be possible. `allows` looks at the whole run."""

_MIN_DIGITS: Final = 8  # of a digest, as the command shows it
_FIRST_RETRY: Final = timedelta(seconds=15)
_MAX_RETRY: Final = timedelta(hours=1)
_FIRST_QUESTION: Final = timedelta(minutes=1)  # until a webhook is asked a second time
_DOUBLINGS: Final = 6  # until the waits are longer than an hour
_MAX_DEATHS: Final = 20


@frozen(kw_only=True)
class Next:
    """A record after a change, and the work that follows.

    Attributes:
        record: The record.
        phase: The phase that a worker continues with; `None` if nothing follows.
        delay: How long to wait before.
        is_changed: Whether the record differs from the one before.
        clears: The phase whose earlier plan and results are removed; `None` for none.
        reopens: The phase whose failed tokens lose their outcomes; `None` for none.
        stores: The plan to store, as JSON values, with the phase that applies it.
    """

    record: Record
    phase: Phase | None = None
    delay: timedelta = timedelta(0)
    is_changed: bool = True
    clears: Phase | None = None
    reopens: Phase | None = None
    stores: tuple[Phase, Mapping[str, Any]] | None = attrs.field(default=None, repr=False)


def _enqueued(record: Record, phase: Phase, delay: timedelta = timedelta(0)) -> Next:
    """Return a record with a new task, which makes all tasks before it stale."""
    record = attrs.evolve(record, attempt=record.attempt + 1, owner="", deaths=0)
    return Next(record=record, phase=phase, delay=delay)


def as_of(run: Run, now: datetime) -> Run:
    """Return a run as it is at a time: a plan that waits for too long has expired."""
    if run.state == "waiting" and run.approve_by is not None and run.approve_by <= now:
        return attrs.evolve(run, state="expired", changed_at=run.approve_by, retry_at=None)
    return run


# --- The decisions of people -------------------------------------------------------------------


def start(run: Run) -> Next:
    """Return a new run, which a worker plans."""
    return _enqueued(Record(run=run), "plan")


def decide(record: Record, decision: Decision, *, digest: str | None = None) -> Next:
    """Return a run after a decision. The same decision a second time changes nothing.

    Args:
        record: The run.
        decision: The decision, without a digest.
        digest: The digest of the plan that was reviewed, or its first digits. Default: the stored
            one.

    Raises:
        DecisionRefused: The state does not allow it, or the run has another plan.
    """
    run = as_of(record.run, decision.at)
    decision = attrs.evolve(decision, digest=run.plan.digest)
    if decision.kind == "approve":
        _check_digest(run, digest)
    if _is_decided(run, decision.kind):
        return Next(record=record, is_changed=False)
    if problem := _PROBLEMS[decision.kind](run):
        raise DecisionRefused(f"Run {run.id} cannot be {_DONE[decision.kind]}: {problem}", run=run)
    return _decided(record, decision)


def allows(run: Run, kind: DecisionKind) -> bool:
    """Return whether a decision about a run is possible, and would change something.

    Args:
        run: The run, as it is now.
        kind: The decision.
    """
    can_be_possible = run.state in DECIDABLE[kind] and not _is_decided(run, kind)
    return can_be_possible and not _PROBLEMS[kind](run)


def _decided(record: Record, decision: Decision) -> Next:
    run, now = record.run, decision.at
    decisions = (*run.decisions, decision)
    if decision.kind == "approve":
        changed = record.evolve(
            now=now, state="approved", decisions=decisions, phase="apply", reason="", retry_at=None
        )
        return _enqueued(changed, "apply")
    if decision.kind == "restore":
        changed = record.evolve(
            now=now,
            state="restoring",
            decisions=decisions,
            phase="restore",
            reason="",
            retry_at=None,
            sweep_due_at=None,
        )
        # A restore that was cancelled leaves a plan, and the tokens have changed since.
        following = _enqueued(attrs.evolve(changed, failing_since=None), "restore")
        return attrs.evolve(following, clears="restore")
    if decision.kind == "retry":
        return _retried(record, decisions, now=now)
    state: RunState = "rejected" if decision.kind == "reject" else "cancelled"
    changed = record.evolve(
        now=now,
        state=state,
        decisions=decisions,
        retry_at=None,
        reason="",
        sweep_due_at=None,
    )
    # A new number makes the tasks of the run stale, so no worker begins one of them. Without an
    # owner, a worker that has one begins no other chunk.
    return Next(record=attrs.evolve(changed, attempt=record.attempt + 1, owner=""))


def _retried(record: Record, decisions: tuple[Decision, ...], *, now: datetime) -> Next:
    """Return a run that continues where it stopped, and repeats the tokens that failed."""
    run = record.run
    phase = retry_phase(run)
    work = dict(run.work)
    if before := work.get(phase):
        outcomes = {name: n for name, n in before.outcomes.items() if name != "failed"}
        work[phase] = attrs.evolve(before, finished_at=None, outcomes=outcomes)
    changed = record.evolve(
        now=now,
        state=STATE_OF_PHASE[phase],
        decisions=decisions,
        phase=phase,
        work=work,
        reason="",
        retry_at=None,
        sweep_due_at=None if phase == "apply" else run.sweep_due_at,
    )
    following = _enqueued(attrs.evolve(changed, failing_since=None), phase)
    return attrs.evolve(following, reopens=phase)


def _is_decided(run: Run, kind: DecisionKind) -> bool:
    """Return whether a run has the effect of a decision, or had it."""
    if kind == "approve":
        return run.approval is not None and run.state not in {"rejected", "cancelled"}
    if kind == "reject":
        return run.state == "rejected"
    if kind == "cancel":
        return run.state == "cancelled"
    if kind == "restore":
        return run.state in {"restoring", "restored"}
    last = run.decisions[-1].kind if run.decisions else None
    return last == "retry" and run.state in STATE_OF_PHASE.values()


def _check_digest(run: Run, digest: str | None) -> None:
    if digest is None or not run.plan.digest:
        return
    given = digest.removeprefix("sha256:")
    stored = run.plan.digest.removeprefix("sha256:")
    if len(given) < _MIN_DIGITS or not stored.startswith(given):
        raise DecisionRefused(
            f"Run {run.id} cannot be approved: its plan is {run.plan.id}, and not {digest[:80]}. "
            f"Review the plan that it has.",
            run=run,
        )


def _approve_problem(run: Run) -> str:
    if run.state == "waiting":
        return ""
    if run.state == "expired":
        return "its plan expired, because nobody approved it in time. Start a new run."
    return _not_waiting(run)


def _reject_problem(run: Run) -> str:
    if run.state == "waiting":
        return ""
    if run.approval is not None and run.state in {"approved", "applying", "quarantined"}:
        return f"{run.approval.by} has approved it. Cancel it instead."
    return _not_waiting(run)


def _not_waiting(run: Run) -> str:
    if run.state == "planning":
        return "it is not planned yet."
    return f"it is {run.state}. Only a run that is waiting has a plan to decide about."


def _cancel_problem(run: Run) -> str:
    if run.state in _CANCELLABLE:
        return ""
    return f"it has already finished ({run.state})."


def _restore_problem(run: Run) -> str:
    if run.plan.action != "deactivate" or "apply" not in run.work:
        return "it has deactivated no token."
    if run.state in {"approved", "applying"}:
        return "its plan is being applied. Cancel it first."
    if run.state == "sweeping":
        return "its sweep has begun. Cancel it first, and restore the tokens that are left."
    if run.state == "done" and "sweep" in run.work and not run.outcomes("sweep").get("failed"):
        return "its tokens were deleted."
    return ""


def _retry_problem(run: Run) -> str:
    if run.can_retry:
        return ""
    if run.failed_tokens and run.is_final:
        return (
            f"it is {run.state}, and its failed tokens are those of an earlier phase. Start a new "
            f"run, which selects them again."
        )
    return f"it is {run.state}. Only a run that failed, or has failed tokens, can be retried."


_PROBLEMS = {
    "approve": _approve_problem,
    "reject": _reject_problem,
    "cancel": _cancel_problem,
    "restore": _restore_problem,
    "retry": _retry_problem,
}
_DONE = {
    "approve": "approved",
    "reject": "rejected",
    "cancel": "cancelled",
    "restore": "restored",
    "retry": "retried",
}


def is_removable(run: Run, *, has_begun: bool) -> bool:
    """Return whether a run has finished, and its tokens can no longer be restored or swept.

    Args:
        run: The run, as it is now.
        has_begun: Whether a worker has begun to apply the plan.
    """
    if not run.is_final:
        return False
    if run.state == "restored":
        return not run.can_retry
    if _restore_problem(run) or not has_begun:
        return True
    applied = run.work["apply"]
    return applied.finished_at is not None and not applied.outcomes.get("done")


# --- The work of workers -----------------------------------------------------------------------


def begin(
    record: Record,
    phase: Phase,
    attempt: int,
    *,
    worker: str,
    version: str,
    owner: str,
    now: datetime,
) -> Record | None:
    """Return a run that a worker begins to work on; `None` if the task is stale.

    Args:
        record: The run.
        phase: The phase of the task.
        attempt: The number of the task.
        worker: The name of the worker.
        version: Its version of losant-tokens.
        owner: A random string for this process and this task.
        now: The time.
    """
    run = as_of(record.run, now)
    if record.attempt != attempt or run.state not in _STARTS[phase]:
        return None
    before = run.work.get(phase)
    work = (
        Work(worker=worker, version=version, started_at=now)
        if before is None
        else attrs.evolve(before, worker=worker, version=version, attempts=before.attempts + 1)
    )
    changed = record.evolve(
        now=now,
        state=STATE_OF_PHASE[phase],
        phase=phase,
        work={**run.work, phase: work},
        reason="",
        retry_at=None,
    )
    # A worker that stops cleanly gives the task back, so a task with an owner lost its worker.
    was_killed = record.owner not in {"", owner}
    return attrs.evolve(changed, owner=owner, deaths=record.deaths + was_killed)


def begun(record: Record, *, now: datetime) -> Next:
    """Return a run whose task a worker has begun, or which failed because it ends all workers.

    A plan that needs more memory than a worker has would end one worker after the other. The limit
    of the engine does not hold, because it counts from zero when a watchdog reassigns a task.

    Args:
        record: The run, from `begin`.
        now: The time.
    """
    if record.deaths < _MAX_DEATHS:
        return Next(record=record)
    reason = (
        f"{record.deaths} workers in a row ended while they worked on it. See their logs, for "
        f"example for a lack of memory."
    )
    return failed(record, reason, now=now)


def move(record: Record, partition: str) -> Next:
    """Return a run whose task goes to the partition of its credential. It was not an attempt."""
    run = record.run
    work = dict(run.work)
    begun = work.pop(run.phase)
    if begun.attempts > 1:
        work[run.phase] = attrs.evolve(begun, attempts=begun.attempts - 1)
    moved = attrs.evolve(record, partition=partition, run=attrs.evolve(run, work=work))
    return _enqueued(moved, run.phase)


def planned(
    record: Record,
    summary: PlanSummary,
    *,
    document: Mapping[str, Any],
    approve_within: timedelta,
    now: datetime,
) -> Next:
    """Return a run with its plan. It waits for an approval, unless the plan selects no token.

    Args:
        record: The run.
        summary: The numbers of the plan.
        document: The plan as JSON values.
        approve_within: How long the plan waits for an approval.
        now: The time.
    """
    is_empty = summary.selected == 0
    # The number of the task and its owner stay, so that the rules can decide about the plan.
    changed = attrs.evolve(_finished(record, {}, now), owner=record.owner).evolve(
        now=now,
        state="empty" if is_empty else "waiting",
        plan=summary,
        planned_at=now,
        approve_by=None if is_empty else now + approve_within,
    )
    return Next(record=changed, stores=("apply", document))


def warned(record: Record, count: int, *, now: datetime) -> Record:
    """Return a run whose first step has warned about more tokens."""
    return record.evolve(now=now, warned_tokens=record.run.warned_tokens + count)


def awaits_rules(record: Record, phase: Phase, attempt: int, *, now: datetime) -> bool:
    """Return whether the rules must decide about the plan of a run in this task.

    Either the task has made the plan, and its worker died before they did, or it is there to ask
    the webhook again.
    """
    return (
        phase == "plan"
        and record.attempt == attempt
        and as_of(record.run, now).state == "waiting"
        and all(one.kind == "retry" for one in record.run.decisions)
    )


def asked_later(
    record: Record, attempt: int, digest: str, reason: str, *, now: datetime
) -> Next | None:
    """Return a run whose webhook was not reached, and is asked again; `None` if it has changed.

    The waits double from a minute to an hour. If the plan expires before the next attempt, it is
    left to a person.

    Args:
        record: The run.
        attempt: The number of the task that asked.
        digest: The digest of the plan that the webhook was asked about.
        reason: Why it could not be reached.
        now: The time.
    """
    run = record.run
    if run.state != "waiting" or record.attempt != attempt:
        return None
    counted = record.evolve(now=now, webhook_failures=run.webhook_failures + 1)
    delay = min(_FIRST_QUESTION * 2 ** min(run.webhook_failures, _DOUBLINGS), _MAX_RETRY)
    if run.approve_by is None or now + delay >= run.approve_by:
        return left_to_people(counted, digest, reason, now=now)
    return _enqueued(counted.evolve(now=now, reason=reason, retry_at=now + delay), "plan", delay)


def given_back(record: Record, attempt: int, *, now: datetime) -> Next | None:
    """Return a run whose rules another worker must ask; `None` if it has changed.

    Args:
        record: The run.
        attempt: The number of the task of the worker that stops.
        now: The time.
    """
    return released(record, now=now) if awaits_rules(record, "plan", attempt, now=now) else None


def left_to_people(record: Record, digest: str, reason: str, *, now: datetime) -> Next | None:
    """Return a run whose plan the rules of the policy leave to a person; `None` if it has changed.

    Args:
        record: The run.
        digest: The digest of the plan that the rules were asked about.
        reason: Why the rules did not decide.
        now: The time.
    """
    if record.run.state != "waiting" or record.run.plan.digest != digest:
        return None
    reason = f"A person must decide: {reason}"
    return Next(record=record.evolve(now=now, reason=reason, retry_at=None))


def refused(record: Record, reason: str, *, now: datetime) -> Next:
    """Return a run whose plan a guard refused."""
    changed = _finished(record, {}, now).evolve(now=now, state="refused", reason=reason)
    return Next(record=changed)


def progressed(record: Record, outcomes: Mapping[str, int], *, now: datetime) -> Record:
    """Return a run with the outcomes so far. The time for retries begins again."""
    work = record.run.work
    phase = record.run.phase
    changed = attrs.evolve(work[phase], outcomes=dict(outcomes))
    return recovered(record.evolve(now=now, work={**work, phase: changed}), now=now)


def applied(
    record: Record, outcomes: Mapping[str, int], *, due_at: datetime | None, now: datetime
) -> Next:
    """Return a run whose plan was applied.

    Args:
        record: The run.
        outcomes: The number of tokens with each outcome.
        due_at: When the deactivated tokens may be deleted; `None` if they are not to be.
        now: The time.
    """
    changed = _finished(record, outcomes, now)
    if due_at is None:
        return Next(record=changed.evolve(now=now, state="done"))
    changed = changed.evolve(now=now, state="quarantined", sweep_due_at=due_at)
    return _enqueued(changed, "sweep", max(due_at - now, timedelta(0)))


def stored(
    record: Record, phase: Phase, document: Mapping[str, Any], digest: str, *, now: datetime
) -> Next:
    """Return a run with the plan of its sweep or restore.

    Args:
        record: The run.
        phase: The phase that applies the plan.
        document: The plan as JSON values.
        digest: The digest of the plan.
        now: The time.
    """
    changed = attrs.evolve(recovered(record, now=now), digests={**record.digests, phase: digest})
    return Next(record=changed, stores=(phase, document))


def finished(record: Record, outcomes: Mapping[str, int], *, now: datetime) -> Next:
    """Return a run whose sweep or restore is finished."""
    state: RunState = "restored" if record.run.phase == "restore" else "done"
    return Next(record=_finished(record, outcomes, now).evolve(now=now, state=state))


def postponed(record: Record, due_at: datetime, *, now: datetime) -> Next:
    """Return a run whose sweep is not due yet by the server's clock."""
    changed = record.evolve(now=now, state="quarantined", sweep_due_at=due_at)
    return _enqueued(changed, "sweep", max(due_at - now, timedelta(0)))


def released(record: Record, *, now: datetime) -> Next:
    """Return a run that a worker gives back unfinished, because the worker stops."""
    return _enqueued(record.evolve(now=now), record.run.phase)


def next_phase(record: Record) -> Phase:
    """Return the phase of the task of a run in one of the states `WORKING`."""
    return "sweep" if record.run.state == "quarantined" else record.run.phase


def rescued(record: Record, *, now: datetime) -> Next:
    """Return a run whose task is gone, with another one."""
    return _enqueued(record.evolve(now=now), next_phase(record))


def troubled(record: Record, reason: str, *, retry_for: timedelta, now: datetime) -> Next:
    """Return a run after a failure that may pass: it is tried again, or it has failed.

    The waits double from 15 seconds to an hour, because an outage of the API, or the time until
    somebody replaces a token, can be short or long.

    Args:
        record: The run.
        reason: What happened, as a sentence.
        retry_for: How long to try again after the first failure.
        now: The time.
    """
    since = record.failing_since or now
    elapsed = now - since
    if elapsed >= retry_for:
        return failed(record, reason, now=now)
    delay = min(max(elapsed, _FIRST_RETRY), _MAX_RETRY, retry_for)
    changed = record.evolve(now=now, reason=reason, retry_at=now + delay)
    return _enqueued(attrs.evolve(changed, failing_since=since), record.run.phase, delay)


def failed(record: Record, reason: str, *, now: datetime) -> Next:
    """Return a run that failed. Its phase can be retried."""
    changed = record.evolve(now=now, state="failed", reason=reason, retry_at=None)
    return Next(record=attrs.evolve(changed, owner="", failing_since=None))


def recovered(record: Record, *, now: datetime) -> Record:
    """Return a run after an attempt that made progress."""
    recovered = record.evolve(now=now, reason="", retry_at=None)
    return attrs.evolve(recovered, failing_since=None, deaths=0)


def _finished(record: Record, outcomes: Mapping[str, int], now: datetime) -> Record:
    run = record.run
    work = attrs.evolve(run.work[run.phase], finished_at=now, outcomes=dict(outcomes))
    changed = record.evolve(now=now, work={**run.work, run.phase: work}, reason="", retry_at=None)
    return attrs.evolve(changed, owner="", failing_since=None)
