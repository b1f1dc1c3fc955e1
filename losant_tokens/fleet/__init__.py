"""Durable clean-ups of many accounts, on several machines.

A `Fleet` names a store, the accounts and the policy. Its workers plan and apply clean-ups as
durable workflows: if a machine fails, another worker continues. A `FleetClient` starts runs,
approves or rejects them, and reads their state from any process. It does no work itself.

The store is an SQLite file for one worker, or a PostgreSQL database for many. It holds the names of
accounts and clean-ups, plans, outcomes and decisions, and never a secret. The extra `[fleet]`
installs the engine.

Example::

    app = fleet.Fleet("postgresql://db/fleet")
    async with app.client() as client:
        async for run in client.runs(state="waiting"):
            print(run.account, run.plan.selected, "of", run.plan.listed)
            await client.approve(run.id, by="ops@example.com")
"""

from typing import TYPE_CHECKING

from losant_tokens._utils.lazy_names import lazy_names

__all__ = [
    "FINAL_STATES",
    "RUN_STATES",
    "Decision",
    "DecisionKind",
    "DecisionRefused",
    "Diagnosis",
    "Fleet",
    "FleetClient",
    "FleetError",
    "Heartbeat",
    "LeaseLost",
    "Phase",
    "PlanSummary",
    "Problem",
    "PruneResult",
    "Run",
    "RunNotFound",
    "RunReport",
    "RunResult",
    "RunState",
    "StoreError",
    "Work",
    "Worker",
    "WorkerRefused",
    "WorkerState",
    "recent_runs",
    "run_page",
    "runs_page",
]

if TYPE_CHECKING:
    from losant_tokens.fleet._client import FleetClient
    from losant_tokens.fleet._doctor.checks import Diagnosis, Problem
    from losant_tokens.fleet._errors import (
        DecisionRefused,
        FleetError,
        RunNotFound,
        StoreError,
        WorkerRefused,
    )
    from losant_tokens.fleet._fleet import Fleet
    from losant_tokens.fleet._page.page import run_page, runs_page
    from losant_tokens.fleet._store.quick_read import recent_runs
    from losant_tokens.fleet._types import (
        FINAL_STATES,
        RUN_STATES,
        Decision,
        DecisionKind,
        Phase,
        PlanSummary,
        PruneResult,
        Run,
        RunReport,
        RunResult,
        RunState,
        Work,
    )
    from losant_tokens.fleet._workers.lease import Heartbeat, LeaseLost
    from losant_tokens.fleet._workers.worker_record import Worker, WorkerState
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "._client": ("FleetClient",),
            "._doctor.checks": ("Diagnosis", "Problem"),
            "._errors": (
                "DecisionRefused",
                "FleetError",
                "RunNotFound",
                "StoreError",
                "WorkerRefused",
            ),
            "._fleet": ("Fleet",),
            "._page.page": ("run_page", "runs_page"),
            "._store.quick_read": ("recent_runs",),
            "._types": (
                "FINAL_STATES",
                "RUN_STATES",
                "Decision",
                "DecisionKind",
                "Phase",
                "PlanSummary",
                "PruneResult",
                "Run",
                "RunReport",
                "RunResult",
                "RunState",
                "Work",
            ),
            "._workers.lease": ("Heartbeat", "LeaseLost"),
            "._workers.worker_record": ("Worker", "WorkerState"),
        },
    )
