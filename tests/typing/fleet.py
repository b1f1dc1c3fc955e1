"""The types of fleets."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import assert_type

from losant_tokens import accounts, fleet, jobs, policy
from losant_tokens.fleet import Decision, FleetClient, PlanSummary, Run, RunReport, RunState, Work


async def work() -> None:
    app = fleet.Fleet("postgresql://db/fleet")
    app.accounts = accounts.load()
    app.policies = policy.load("policy.toml")
    assert_type(app.store, str)
    assert_type(app.path, Path | None)
    try:
        await app.work(name="alpha", concurrency=2)
    except fleet.LeaseLost as error:
        assert_type(str(error), str)


async def decide(app: fleet.Fleet) -> None:
    async with app.client() as client:
        assert_type(client, FleetClient)
        assert_type(await client.plan("prod", "expired", by="ops"), Run)
        async for run in client.runs(state="waiting", account="prod"):
            assert_type(run, Run)
            assert_type(await client.approve(run.id, by="ops", digest=run.plan.digest), Run)
        assert_type(await client.reject("1", by="ops"), Run)
        assert_type(await client.cancel("1", by="ops"), Run)
        assert_type(await client.restore("1", by="ops"), Run)
        assert_type(await client.retry("1", by="ops"), Run)
        assert_type(await client.run("1"), Run)
        assert_type(await client.wait("1", state=["done", "failed"]), Run)
        assert_type(await client.report("1"), RunReport)
        assert_type(await client.document("1", phase="sweep"), jobs.PlanDocument)
        pruned = await client.prune(older_than=timedelta(days=365), dry_run=True)
        assert_type(pruned, fleet.PruneResult)
        assert_type(pruned.runs, tuple[Run, ...])
        assert_type(pruned.size, int)


def read(run: Run) -> None:
    assert_type(run.state, RunState)
    assert_type(run.plan, PlanSummary)
    assert_type(run.approval, Decision | None)
    assert_type(run.failed_tokens, int)
    assert_type(run.webhook_failures, int)
    assert_type(run.warned_tokens, int)
    assert_type(run.can_retry, bool)
    assert_type(run.work["apply"], Work)
    assert_type(run.sweep_due_at, datetime | None)


async def check(app: fleet.Fleet) -> None:
    diagnosis = await app.diagnose()
    assert_type(diagnosis, fleet.Diagnosis)
    assert_type(diagnosis.is_healthy, bool)
    for problem in diagnosis.problems:
        assert_type(problem, fleet.Problem)
        assert_type(problem.severity, policy.Severity)
    for worker in diagnosis.workers:
        assert_type(worker, fleet.Worker)
        assert_type(worker.state, fleet.WorkerState)
        assert_type(worker.heartbeat, fleet.Heartbeat)
    async with app.client() as client:
        assert_type(await client.pending(), Mapping[str, int])


def complete(prefix: str) -> list[str]:
    runs = fleet.recent_runs("fleet.sqlite", decision="approve", limit=10)
    assert_type(runs, tuple[Run, ...])
    return [run.id for run in runs if run.id.startswith(prefix)]


async def pages(client: FleetClient, now: datetime) -> None:
    runs = [run async for run in client.runs()]
    assert_type(fleet.runs_page(runs, now=now, state="waiting"), str)
    report = await client.report(runs[0].id)
    assert_type(fleet.run_page(report.run, now=now, results=report.results), str)
