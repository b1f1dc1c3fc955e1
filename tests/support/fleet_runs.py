"""Runs of fleets for tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from losant_tokens import Owner
from losant_tokens.fleet import Decision, PlanSummary, Run

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DIGEST = f"sha256:{'ab' * 32}"
PLAN = PlanSummary(
    digest=DIGEST,
    action="deactivate",
    rule="named 'ci-*'",
    selected=12,
    listed=400,
    protected=3,
    owners=(Owner.user(),),
    grace=timedelta(days=30),
)


def run(**members: Any) -> Run:
    """Return a run whose plan waits for an approval, with other members.

    A member of the plan has the prefix `plan_`.
    """
    plan = {
        name.removeprefix("plan_"): members.pop(name)
        for name in list(members)
        if name.startswith("plan_")
    }
    return Run(
        **{
            "id": "1f3a9c20",
            "state": "waiting",
            "account": "prod",
            "cleanup": "old-ci",
            "requested_by": "ada@example.com",
            "requested_at": NOW - timedelta(hours=3),
            "changed_at": NOW - timedelta(hours=2),
            "plan": attrs.evolve(PLAN, **plan),
            "planned_at": NOW - timedelta(hours=2),
            "approve_by": NOW + timedelta(days=7),
            **members,
        }
    )


def approved(by: str = "grace@example.com") -> tuple[Decision, ...]:
    """Return the decisions of a run that a person approved."""
    return (Decision(kind="approve", by=by, at=NOW - timedelta(hours=1), digest=DIGEST),)
