"""The stored form of a run: JSON with a version. No record holds a secret.

A release reads what earlier releases have written. Members that it does not know are left out, and
missing ones have their defaults. Only a higher version is refused.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs
from attrs import field, frozen

from losant_tokens import Owner
from losant_tokens.fleet._errors import FleetError
from losant_tokens.fleet._types import RUN_STATES, Decision, Phase, PlanSummary, Run, Work

VERSION: Final = 1


@frozen(kw_only=True)
class Record:
    """A run as it is stored, with what only workers need.

    Attributes:
        run: The run.
        partition: The key of the credential: runs with the same one never work at the same time.
            Empty until a worker has read the credential.
        attempt: The number of the last task of the run. A task with another number is stale.
        owner: The process that works on the run, as a random string; empty if none does.
        failing_since: When the phase began to fail; `None` if the last attempt did not fail.
        deaths: How many workers in a row ended while they did this task, without any progress.
        digests: The digests of the plans of a sweep and a restore, by their phases.
    """

    run: Run
    partition: str = ""
    attempt: int = 0
    owner: str = ""
    failing_since: datetime | None = None
    deaths: int = 0
    digests: Mapping[Phase, str] = field(factory=dict, hash=False)

    def evolve(self, *, now: datetime, **changes: Any) -> "Record":
        """Return the record with other attributes of its run.

        Args:
            now: The time of the change.
            **changes: Attributes of `Run`.
        """
        return attrs.evolve(self, run=attrs.evolve(self.run, changed_at=now, **changes))


def to_json(record: Record) -> str:
    """Return the stored form of a record."""
    run = record.run
    data: dict[str, Any] = {
        "version": VERSION,
        "id": run.id,
        "state": run.state,
        "account": run.account,
        "cleanup": run.cleanup,
        "requestedBy": run.requested_by,
        "requestedAt": _text(run.requested_at),
        "changedAt": _text(run.changed_at),
        "plan": _plan_members(run.plan),
        "plannedAt": _text(run.planned_at),
        "approveBy": _text(run.approve_by),
        "decisions": [_decision_members(decision) for decision in run.decisions],
        "work": {phase: _work_members(work) for phase, work in run.work.items()},
        "sweepDueAt": _text(run.sweep_due_at),
        "phase": run.phase,
        "reason": run.reason,
        "retryAt": _text(run.retry_at),
        "webhookFailures": run.webhook_failures,
        "warnedTokens": run.warned_tokens,
        "partition": record.partition,
        "attempt": record.attempt,
        "owner": record.owner,
        "failingSince": _text(record.failing_since),
        "deaths": record.deaths,
        "digests": dict(record.digests),
    }
    return json.dumps(data, ensure_ascii=True, separators=(",", ":"))


def from_json(text: str) -> Record:
    """Return the record that a stored form describes.

    Raises:
        FleetError: A newer release wrote it, or it was altered.
    """
    try:
        data: dict[str, Any] = json.loads(text)
        version = data["version"]
        if type(version) is int and version > VERSION:
            raise FleetError(
                f"A run in the store was written by a newer release: its version is {version}, but "
                f"this release can read versions up to {VERSION}. Use the newer release."
            )
        return _record(data)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        problem = type(error).__name__
    raise FleetError(
        f"A run in the store cannot be read ({problem}), so it was altered. Start a new run."
    )


def _record(data: Mapping[str, Any]) -> Record:
    if data["state"] not in RUN_STATES or type(data["attempt"]) is not int:
        raise ValueError(data["id"])
    run = Run(
        id=data["id"],
        state=data["state"],
        account=data["account"],
        cleanup=data["cleanup"],
        requested_by=data["requestedBy"],
        requested_at=_time(data["requestedAt"]),
        changed_at=_time(data["changedAt"]),
        plan=_plan(data["plan"]),
        planned_at=_optional_time(data["plannedAt"]),
        approve_by=_optional_time(data["approveBy"]),
        decisions=tuple(map(_decision, data["decisions"])),
        work={phase: _work(work) for phase, work in data["work"].items()},
        sweep_due_at=_optional_time(data["sweepDueAt"]),
        phase=data["phase"],
        reason=data["reason"],
        retry_at=_optional_time(data["retryAt"]),
        webhook_failures=data.get("webhookFailures", 0),
        warned_tokens=data.get("warnedTokens", 0),
    )
    return Record(
        run=run,
        partition=data["partition"],
        attempt=data["attempt"],
        owner=data["owner"],
        failing_since=_optional_time(data["failingSince"]),
        deaths=data.get("deaths", 0),
        digests=dict(data["digests"]),
    )


def _plan_members(plan: PlanSummary) -> dict[str, Any]:
    return {
        "digest": plan.digest,
        "action": plan.action,
        "rule": plan.rule,
        "selected": plan.selected,
        "listed": plan.listed,
        "protected": plan.protected,
        "owners": [str(owner) for owner in plan.owners],
        "grace": None if plan.grace is None else plan.grace.total_seconds(),
        "warnings": list(plan.warnings),
    }


def _plan(data: Mapping[str, Any]) -> PlanSummary:
    grace = data["grace"]
    return PlanSummary(
        digest=data["digest"],
        action=data["action"],
        rule=data["rule"],
        selected=data["selected"],
        listed=data["listed"],
        protected=data["protected"],
        owners=tuple(map(Owner.parse, data["owners"])),
        grace=None if grace is None else timedelta(seconds=grace),
        warnings=tuple(data["warnings"]),
    )


def _decision_members(decision: Decision) -> dict[str, Any]:
    return {
        "kind": decision.kind,
        "by": decision.by,
        "at": _text(decision.at),
        "digest": decision.digest,
        "reason": decision.reason,
    }


def _decision(data: Mapping[str, Any]) -> Decision:
    return Decision(
        kind=data["kind"],
        by=data["by"],
        at=_time(data["at"]),
        digest=data["digest"],
        reason=data["reason"],
    )


def _work_members(work: Work) -> dict[str, Any]:
    return {
        "worker": work.worker,
        "version": work.version,
        "startedAt": _text(work.started_at),
        "finishedAt": _text(work.finished_at),
        "attempts": work.attempts,
        "outcomes": dict(work.outcomes),
    }


def _work(data: Mapping[str, Any]) -> Work:
    return Work(
        worker=data["worker"],
        version=data["version"],
        started_at=_time(data["startedAt"]),
        finished_at=_optional_time(data["finishedAt"]),
        attempts=data["attempts"],
        outcomes=dict(data["outcomes"]),
    )


def task_id(run_id: str, phase: Phase, attempt: int) -> str:
    """Return the id of a task. The same task has the same id, so it is enqueued once."""
    return f"{run_id}-{phase}-{attempt}"


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat()


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.utcoffset() is None:
        raise ValueError(text)
    return time


def _optional_time(text: str | None) -> datetime | None:
    return None if text is None else _time(text)
