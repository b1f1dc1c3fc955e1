"""A fleet in memory, for tests of the command."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import attrs
import pytest

from losant_tokens import fleet, jobs
from losant_tokens.fleet import DecisionKind, PruneResult, Run, RunReport, RunResult, RunState
from tests.support.fleet_runs import DIGEST, NOW, PLAN
from tests.support.reports import entry

FOLLOWING: dict[str, RunState] = {
    "approve": "approved",
    "reject": "rejected",
    "cancel": "cancelled",
    "restore": "restoring",
    "retry": "applying",
}


class FakeFleet(fleet.FleetClient):
    """A store and its client. Decisions change the state of a run, and no worker does anything.

    Attributes:
        stored: The runs by their ids.
        results: The outcomes of each run.
        store: The store that a command opened.
        refused: The ids of runs about which no decision is possible.
        calls: The names and the arguments of the calls that change something.
    """

    def __init__(self, *runs: Run) -> None:
        self.stored = {run.id: run for run in runs}
        self.results: dict[str, tuple[RunResult, ...]] = {}
        self.store: object = None
        self.refused: set[str] = set()
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Self:
        """Let the command open this fleet instead of a store."""

        monkeypatch.setattr(fleet, "Fleet", self.opened)
        return self

    def opened(self, store: object = None) -> Self:
        """Take the place of `Fleet`."""
        self.store = store
        return self

    @property
    def path(self) -> Path | None:
        """Take the place of `Fleet.path`."""
        return None if self.store is None or "://" in str(self.store) else Path(str(self.store))

    def client(self) -> Self:
        """Take the place of `Fleet.client`."""
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    async def plan(self, account: str, cleanup: str, *, by: str, key: str | None = None) -> Run:
        run = Run(
            id=f"{len(self.stored) + 1:08x}",
            state="planning",
            account=account,
            cleanup=cleanup,
            requested_by=by,
            requested_at=NOW,
            changed_at=NOW,
        )
        self.stored[run.id] = run
        return run

    async def runs(
        self,
        *,
        state: Any = None,
        account: str | None = None,
        cleanup: str | None = None,
        since: datetime | None = None,
        with_failed_tokens: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[Run]:
        self.calls.append(("runs", {"since": since, "limit": limit}))
        found = [
            run
            for run in self.stored.values()
            if (state is None or run.state in state)
            and account in (None, run.account)
            and cleanup in (None, run.cleanup)
            and (run.failed_tokens or not with_failed_tokens)
        ]
        for run in found[:limit]:
            yield run

    def work_on_plans(self) -> None:
        """Plan the runs that were started, as a worker does."""
        for run in list(self.stored.values()):
            if run.state == "planning":
                made = attrs.evolve(run, state="waiting", plan=PLAN, planned_at=NOW)
                if run.account == "broken":
                    made = attrs.evolve(run, state="refused", reason="too many tokens")
                if run.account == "unknown":
                    made = attrs.evolve(run, retry_at=NOW, reason="no such account")
                self.stored[run.id] = made

    async def run(self, id: str) -> Run:  # noqa: A002
        found = [run for run in self.stored.values() if run.id.startswith(id)]
        if len(found) != 1:
            raise fleet.RunNotFound(f"There is no run {id}.")
        return found[0]

    async def _decision(self, kind: DecisionKind, id: str, arguments: dict[str, Any]) -> Run:  # noqa: A002
        run = await self.run(id)
        self.calls.append((kind, {"id": run.id, **arguments}))
        if run.id in self.refused:
            raise fleet.DecisionRefused(f"Run {run.id} cannot be decided: it is done.", run=run)
        if kind in {one.kind for one in run.decisions}:
            return run
        decision = fleet.Decision(kind=kind, by=arguments["by"], at=NOW, digest=DIGEST)
        run = attrs.evolve(run, state=FOLLOWING[kind], decisions=(*run.decisions, decision))
        self.stored[run.id] = run
        return run

    async def approve(self, id: str, **arguments: Any) -> Run:  # noqa: A002
        return await self._decision("approve", id, arguments)

    async def reject(self, id: str, **arguments: Any) -> Run:  # noqa: A002
        return await self._decision("reject", id, arguments)

    async def cancel(self, id: str, **arguments: Any) -> Run:  # noqa: A002
        return await self._decision("cancel", id, arguments)

    async def restore(self, id: str, **arguments: Any) -> Run:  # noqa: A002
        return await self._decision("restore", id, arguments)

    async def retry(self, id: str, **arguments: Any) -> Run:  # noqa: A002
        return await self._decision("retry", id, arguments)

    async def prune(
        self,
        *,
        older_than: timedelta,
        account: str | None = None,
        cleanup: str | None = None,
        dry_run: bool = False,
    ) -> PruneResult:
        self.calls.append(("prune", {"older_than": older_than, "dry_run": dry_run}))
        found = [
            run
            for run in self.stored.values()
            if run.is_final and account in (None, run.account) and cleanup in (None, run.cleanup)
        ]
        for run in found if not dry_run else ():
            del self.stored[run.id]
        return PruneResult(runs=tuple(found), size=1_234_567 * len(found))

    async def document(self, id: str, **_: Any) -> jobs.PlanDocument:  # noqa: A002
        run = await self.run(id)
        entries = [entry(number, f"ci-{number}") for number in range(run.plan.selected)]
        if run.plan.protected:
            entries.append(entry(999, "ci-prod", protected="protected by 'ci-prod'"))
        document = object.__new__(jobs.PlanDocument)
        object.__setattr__(document, "entries", tuple(entries))
        return document

    async def report(self, id: str) -> RunReport:  # noqa: A002
        run = await self.run(id)
        return RunReport(run=run, results=self.results.get(run.id, ()))


class WorkingFleet(FakeFleet):
    """A fleet whose worker calls a function, and then waits to be cancelled."""

    accounts: Mapping[str, object]
    policies: object
    diagnosis: fleet.Diagnosis

    def __init__(self, *runs: Any, during: Callable[[], object] = lambda: None) -> None:
        super().__init__(*runs)
        self.store = "fleet.sqlite"
        self.during = during
        self.options: dict[str, Any] = {}
        self.has_stopped = False
        self.accounts, self.policies = {}, None

    async def diagnose(self) -> fleet.Diagnosis:
        return self.diagnosis

    async def work(self, **options: Any) -> None:
        self.options = options
        options["on_ready"]("alpha")
        self.during()
        try:
            await anyio.sleep_forever()
        finally:
            self.has_stopped = True
