"""Runs of fleets for tests."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from losant_tokens import Owner
from losant_tokens.fleet import Decision, PlanSummary, Run
from losant_tokens.fleet import _transitions as transitions
from losant_tokens.fleet._store.database import Database, StoreUrl
from losant_tokens.fleet._store.run_table import Store

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


def write_store(path: Path, *runs: Run) -> None:
    """Write runs to an SQLite store, each later than the one before."""
    database = Database(StoreUrl.of(path))
    database.open()
    store = Store(database, lambda *_: None)
    store.create_tables()
    for number, one in enumerate(runs):
        later = attrs.evolve(one, requested_at=one.requested_at + timedelta(seconds=number))
        store.add(transitions.start(later), None)
    database.close()


def approved(by: str = "grace@example.com") -> tuple[Decision, ...]:
    """Return the decisions of a run that a person approved."""
    return (Decision(kind="approve", by=by, at=NOW - timedelta(hours=1), digest=DIGEST),)
