"""The checks of `doctor`: pure functions from facts about a fleet to its problems."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from losant_tokens.fleet._types import RUN_STATES, Run
from losant_tokens.fleet._workers.lease import Timing
from losant_tokens.fleet._workers.worker_record import Worker
from losant_tokens.policy import Severity

EXPIRES_SOON: Final = timedelta(days=14)
RECENT: Final = timedelta(days=7)
"""How long ago a run may have failed, or a worker may have been fenced, to be a problem."""

_STUCK_AFTER: Final = timedelta(hours=1)
_NO_WORKER_FOR: Final = timedelta(minutes=15)
"""How long due work may wait while no worker is alive. Workers that cron starts end between."""
_APPROVE_SOON: Final = timedelta(hours=24)
_CLOCK_DIFFERS: Final = timedelta(seconds=5)
_CLOCK_IS_WRONG: Final = timedelta(minutes=1)
_LATE_BEATS: Final = 5  # heartbeats that are missing, until a worker counts as late


@frozen(kw_only=True)
class Problem:
    """A problem of a fleet."""

    severity: Severity
    """How serious it is. With `HIGH`, work is not done, or will not be."""
    check: str
    """The name of the check, such as `no-worker`."""
    subject: str
    """The worker, run, account or clean-up with the problem; empty for the whole fleet."""
    message: str
    """The problem, in one or two sentences."""
    remedy: str
    """The action that solves the problem."""


@frozen(kw_only=True)
class Diagnosis:
    """The result of a check of a fleet."""

    at: datetime
    """The time of the check, by the clock of this machine."""
    problems: tuple[Problem, ...]
    """The problems, the most serious first."""
    workers: tuple[Worker, ...]
    """The workers, including those that ended in the last days."""

    @property
    def is_healthy(self) -> bool:
        """Whether no problem has the severity `HIGH` or `CRITICAL`."""
        return all(one.severity < Severity.HIGH for one in self.problems)


@frozen(kw_only=True)
class AccountFacts:
    """An account that a clean-up applies to, as this machine sees it.

    Attributes:
        name: The name.
        problem: Why its token cannot be read; empty if it can.
        expires_at: When the token expires; `None` if its claims do not say so.
    """

    name: str
    problem: str = ""
    expires_at: datetime | None = None


@frozen(kw_only=True)
class Facts:
    """Facts about a fleet at one time.

    Attributes:
        machine_time: The time by the clock of this machine.
        store_time: The time by the clock of the store, which was read at the same time.
        uncertainty: How far apart in time both may have been read.
        workers: The workers.
        pending: The number of tasks in progress, by the ids of their workers.
        runs: The unfinished runs, those that failed, and those with failed tokens.
        ticks: When the schedules whose runs were not started yet were due.
        accounts: The accounts that clean-ups apply to.
        unresolved: The clean-ups whose accounts cannot be found, with the reason.
        timing: The time spans of leases.
    """

    machine_time: datetime
    store_time: datetime
    uncertainty: timedelta = timedelta(0)
    workers: tuple[Worker, ...] = ()
    pending: Mapping[str, int] = field(factory=dict)
    runs: tuple[Run, ...] = ()
    ticks: tuple[datetime, ...] = ()
    accounts: tuple[AccountFacts, ...] = ()
    unresolved: Mapping[str, str] = field(factory=dict)
    timing: Timing = field(factory=Timing)

    @property
    def live(self) -> frozenset[str]:
        """The ids of the workers that are not known to be dead."""
        return frozenset(one.id for one in self.workers if one.state == "live")

    def silence_of(self, worker: Worker) -> timedelta:
        """Return the time since the last heartbeat of a worker, by the clock of the store."""
        return self.store_time - worker.heartbeat_at


def find_problems(facts: Facts) -> tuple[Problem, ...]:
    """Return the problems of a fleet, the most serious first.

    Args:
        facts: The facts.
    """
    found = (problem for check in _CHECKS for problem in check(facts))
    return tuple(sorted(found, key=lambda one: one.severity, reverse=True))


def find_account_problems(facts: Facts) -> tuple[Problem, ...]:
    """Return the problems of the accounts alone, which need no store.

    Args:
        facts: The facts.
    """
    return (*_unresolved(facts), *_credentials(facts))


def unreachable(problem: str) -> Problem:
    """Return the problem of a store that cannot be used.

    Args:
        problem: What happened.
    """
    return Problem(
        severity=Severity.CRITICAL,
        check="store",
        subject="",
        message=problem,
        remedy="Nothing is planned or changed until the workers can reach the store.",
    )


# --- Workers ---------------------------------------------------------------------------------


def _no_worker(facts: Facts) -> Iterator[Problem]:
    if facts.live:
        return
    due = [*facts.ticks, *filter(None, map(_due_since, facts.runs))]
    waited = max((facts.store_time - since for since in due), default=timedelta(0))
    is_late = waited > _NO_WORKER_FOR
    yield Problem(
        severity=Severity.HIGH if is_late else Severity.INFO,
        check="no-worker",
        subject="",
        message=(
            f"No worker is alive, and work has been due for {_span(waited)}."
            if is_late
            else "No worker is alive, but no work is late."
        ),
        remedy=(
            "Start a worker." if is_late else "Start a worker, unless cron starts one regularly."
        ),
    )


def _due_since(run: Run) -> datetime | None:
    """Return when the work on a run was or will be due; `None` if it needs no worker."""
    if run.state == "quarantined":
        return run.sweep_due_at
    if run.state == "waiting":
        return run.retry_at  # A worker asks the webhook again.
    return (run.retry_at or run.changed_at) if _RUN_CHECKS.get(run.state) is _working else None


def _late_heartbeats(facts: Facts) -> Iterator[Problem]:
    dead_after = timedelta(seconds=facts.timing.dead_after)
    for worker in facts.workers:
        silence = facts.silence_of(worker)
        if worker.state != "live" or silence.total_seconds() < _late_after(facts.timing):
            continue
        # The other workers need some rounds of their watchdogs to take over.
        is_dead = silence > 2 * dead_after
        yield Problem(
            severity=Severity.HIGH if is_dead else Severity.MEDIUM,
            check="late-heartbeat",
            subject=worker.id,
            message=(
                f"The worker {worker.id} on {worker.host} sent its last heartbeat "
                f"{_span(silence)} ago."
            ),
            remedy=(
                "It is dead, and no other worker has taken over. Start a worker."
                if is_dead
                else "Check whether its machine is overloaded or cut off from the store. If the "
                "worker stays silent, another one takes over."
            ),
        )


def _late_after(timing: Timing) -> float:
    return min(_LATE_BEATS * timing.heartbeat, timing.lease)


def _fenced(facts: Facts) -> Iterator[Problem]:
    for worker in facts.workers:
        ended_at = worker.ended_at
        if worker.state != "fenced" or ended_at is None or facts.store_time - ended_at > RECENT:
            continue
        held = f" It still held {', '.join(worker.orphans)}." if worker.orphans else ""
        yield Problem(
            severity=Severity.MEDIUM if worker.orphans else Severity.LOW,
            check="fenced",
            subject=worker.id,
            message=(
                f"The worker {worker.id} on {worker.host} was silent, and lost its work "
                f"{_span(facts.store_time - ended_at)} ago.{held}"
            ),
            remedy="Check whether its machine failed, was suspended or was cut off. If the "
            "process is still running, it can no longer change tokens. Start it again.",
        )


def _versions(facts: Facts) -> Iterator[Problem]:
    versions = Counter(one.version for one in facts.workers if one.state == "live")
    if len(versions) > 1:
        listed = ", ".join(f"{version} ({count})" for version, count in sorted(versions.items()))
        yield Problem(
            severity=Severity.LOW,
            check="versions",
            subject="",
            message=f"The workers have different versions: {listed}.",
            remedy="That is expected during an upgrade. Finish it.",
        )


def _orphans(facts: Facts) -> Iterator[Problem]:
    for worker, count in sorted(facts.pending.items()):
        if count and worker not in facts.live:
            tasks = "1 task is" if count == 1 else f"{count} tasks are"
            yield Problem(
                severity=Severity.MEDIUM if facts.live else Severity.HIGH,
                check="orphans",
                subject=worker,
                message=f"{tasks} in progress on {worker or 'no worker'}, which is not alive.",
                remedy=(
                    f"Another worker takes over within {_scan(facts.timing)}. If it does not, see "
                    f"the logs of the workers."
                    if facts.live
                    else "Start a worker."
                ),
            )


def _scan(timing: Timing) -> str:
    return _span(timedelta(seconds=timing.scan + timing.watch))


def _clocks(facts: Facts) -> Iterator[Problem]:
    difference = abs(facts.machine_time - facts.store_time) - facts.uncertainty
    if difference > _CLOCK_DIFFERS:
        is_wrong = difference > _CLOCK_IS_WRONG
        yield Problem(
            severity=Severity.HIGH if is_wrong else Severity.MEDIUM,
            check="clock",
            subject="",
            message=f"The clocks of this machine and of the store differ by {_span(difference)}.",
            remedy="Synchronize both, for example with NTP. Leases do not depend on them, but the "
            "times of schedules and grace periods do.",
        )


# --- Runs ------------------------------------------------------------------------------------


def _runs(facts: Facts) -> Iterator[Problem]:
    for run in facts.runs:
        check = _RUN_CHECKS.get(run.state)
        problem = check(run, facts.store_time) if check is not None else None
        if problem is not None:
            yield problem
        if run.state == "quarantined" or run.is_final:
            yield from _failed_tokens(run, facts.store_time)


def _waiting(run: Run, now: datetime) -> Problem | None:
    if run.approve_by is None or run.approve_by - now > _APPROVE_SOON:
        return None
    left = run.approve_by - now
    expires = f"expires in {_span(left)}" if left > timedelta(0) else "has expired"
    return Problem(
        severity=Severity.MEDIUM,
        check="waiting",
        subject=run.id,
        message=(
            f"The plan of run {run.id} ({run.cleanup} for {run.account}) waits for an approval, "
            f"and {expires}."
        ),
        remedy="Approve or reject it.",
    )


def _working(run: Run, now: datetime) -> Problem | None:
    reason = f" {run.reason}" if run.reason else ""
    if run.retry_at is not None:
        return Problem(
            severity=Severity.MEDIUM,
            check="retrying",
            subject=run.id,
            message=(
                f"Run {run.id} ({run.cleanup} for {run.account}) failed, and is retried at "
                f"{run.retry_at:%Y-%m-%d %H:%M} UTC.{reason}"
            ),
            remedy="Correct the cause, or cancel the run.",
        )
    if now - run.changed_at < _STUCK_AFTER:
        return None
    return Problem(
        severity=Severity.HIGH,
        check="stuck",
        subject=run.id,
        message=(
            f"Run {run.id} ({run.cleanup} for {run.account}) has been {run.state} for "
            f"{_span(now - run.changed_at)} without progress.{reason}"
        ),
        remedy="Check that enough workers are alive: another run of the account may be in "
        "progress. See the log of the worker that has it.",
    )


def _quarantined(run: Run, now: datetime) -> Problem | None:
    if run.sweep_due_at is None or now - run.sweep_due_at < _STUCK_AFTER:
        return None
    return Problem(
        severity=Severity.HIGH,
        check="stuck",
        subject=run.id,
        message=(
            f"The sweep of run {run.id} ({run.cleanup} for {run.account}) has been due for "
            f"{_span(now - run.sweep_due_at)}."
        ),
        remedy="Check that enough workers are alive.",
    )


def _failed(run: Run, now: datetime) -> Problem | None:
    if now - run.changed_at > RECENT:
        return None
    return Problem(
        severity=Severity.HIGH,
        check="failed",
        subject=run.id,
        message=f"Run {run.id} ({run.cleanup} for {run.account}) failed. {run.reason}".rstrip(),
        remedy="Correct the cause, and retry the run.",
    )


def _failed_tokens(run: Run, now: datetime) -> Iterator[Problem]:
    count = run.failed_tokens
    if not count or now - run.changed_at > RECENT:
        return
    tokens = f"{count:,} token{'' if count == 1 else 's'}"
    yield Problem(
        severity=Severity.MEDIUM,
        check="failed-tokens",
        subject=run.id,
        message=f"{tokens} of run {run.id} ({run.cleanup} for {run.account}) failed.",
        remedy=(
            "See the errors of its tokens, correct the cause, and retry the run."
            if run.can_retry
            else "See the errors of its tokens, and correct the cause. The next run of the "
            "clean-up selects the tokens again."
        ),
    )


_RUN_CHECKS: Final[Mapping[str, Callable[[Run, datetime], Problem | None]]] = MappingProxyType(
    {
        "planning": _working,
        "waiting": _waiting,
        "approved": _working,
        "applying": _working,
        "quarantined": _quarantined,
        "sweeping": _working,
        "restoring": _working,
        "failed": _failed,
    }
)


# --- Accounts --------------------------------------------------------------------------------


def _unresolved(facts: Facts) -> Iterator[Problem]:
    for cleanup, reason in facts.unresolved.items():
        yield Problem(
            severity=Severity.HIGH,
            check="accounts",
            subject=cleanup,
            message=f"The accounts of the clean-up {cleanup!r} cannot be found. {reason}",
            remedy="Correct the policy file or the configuration file of the workers.",
        )


def _credentials(facts: Facts) -> Iterator[Problem]:
    for account in facts.accounts:
        left = None if account.expires_at is None else account.expires_at - facts.store_time
        if account.problem:
            severity, message = Severity.HIGH, account.problem
        elif left is not None and left <= timedelta(0):
            severity, message = Severity.HIGH, f"The token of {account.name} has expired."
        elif left is not None and left <= EXPIRES_SOON:
            severity = Severity.MEDIUM
            message = f"The token of {account.name} expires in {_span(left)}."
        else:
            continue
        yield Problem(
            severity=severity,
            check="credential",
            subject=account.name,
            message=message,
            remedy="Put a valid token in its place, on each machine that has a worker.",
        )


WATCHED_STATES: Final = tuple(state for state in RUN_STATES if state in _RUN_CHECKS)
"""The states of the runs that the checks need."""

_CHECKS: Final = (
    _no_worker,
    _orphans,
    _late_heartbeats,
    _unresolved,
    _credentials,
    _runs,
    _clocks,
    _fenced,
    _versions,
)


def _span(span: timedelta) -> str:
    """Return a time span with one unit, such as `3 h`."""
    seconds = span.total_seconds()
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
