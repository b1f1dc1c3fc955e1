"""Two workers and one run: whatever happens between two calls of the store, no token is forgotten.

Worker A applies a plan. Before one of its calls, something happens; the tests do that for each
call. Then A continues.
"""

from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from typing import Any

import anyio.from_thread
import attrs
import pytest

from losant_tokens.fleet._store.run_table import Store
from losant_tokens.fleet._task_runner import Runner
from tests.unit.fleet.test_task_runner import Fleet, _fleet

__all__ = ["_fleet"]

pytestmark = [
    pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning"),
    pytest.mark.slow,
]
CALLS = range(10)
"""The calls of the store while a plan of two chunks is applied, and one more."""


class InterruptedStore:
    """A store that lets something happen before one of its calls."""

    def __init__(
        self, store: Store, call: int, event: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        self._store = store
        self._left = call
        self._event = event

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._left == 0:
                anyio.from_thread.run(self._event)
            self._left -= 1
            return method(*args, **kwargs)

        return call


@attrs.define
class Workers:
    """Two workers of a fleet."""

    fleet: Fleet
    lease: bool = True
    a: Runner = attrs.field(init=False)

    async def apply(self, call: int, event: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Let A apply the plan of a run, and let something happen before a call of the store."""
        await self.fleet.approved()
        self.task = self.fleet.tasks.pop()
        b = self.fleet.runner
        self.a = Runner(
            store=InterruptedStore(b.store, call, event),  # type: ignore[arg-type]
            worker="a",
            accounts=b.accounts,
            policy=b.policy,
            may_change=lambda: self.lease,
            holding=lambda _: nullcontext(),
            watch_loop=lambda _: None,
            retry_for=b.retry_for,
        )
        await self.a.run(self.task.run, self.task.phase, self.task.attempt)

    task: Any = None

    def stop_a(self) -> None:
        """Let A lose its lease, as if it had been stopped for long."""
        self.lease = False
        self.a.stop()

    async def b_runs(self) -> None:
        """Let B do the task of A."""
        await self.fleet.runner.run(self.task.run, self.task.phase, self.task.attempt)

    def changes(self) -> list[str]:
        """Return the tokens that were changed, once for each change."""
        return [one.path for one in self.fleet.fake.requests if one.method == "PATCH"]


@pytest.mark.parametrize("call", CALLS)
async def test_takeover(fleet: Fleet, call: int) -> None:
    """B takes over, and finishes the plan before A wakes up: each token is changed once."""
    workers = Workers(fleet)

    async def take_over() -> None:
        workers.stop_a()
        await workers.b_runs()

    await workers.apply(call, take_over)
    if fleet.run.state == "applying":
        await fleet.one()

    assert (fleet.run.state, fleet.run.outcomes("apply")) == ("quarantined", {"done": 4})
    assert fleet.statuses() == ["inactive"] * 4
    assert len(workers.changes()) == len(set(workers.changes())) == 4
    assert [task.phase for task in fleet.tasks] == ["sweep"]


@pytest.mark.parametrize("call", CALLS)
async def test_cancel_and_restore(fleet: Fleet, call: int) -> None:
    """A run is cancelled while A works, and restored later: each token is active again."""
    workers = Workers(fleet)

    async def cancel() -> None:
        fleet.decide("cancel")

    await workers.apply(call, cancel)
    after = fleet.run.state
    changed = fleet.statuses().count("inactive")
    fleet.tasks.clear()
    if fleet.run.work.get("apply"):
        fleet.decide("restore")
        await fleet.drain()
        assert fleet.run.outcomes("restore").get("done", 0) == changed

    assert after in {"cancelled", "quarantined"}
    assert fleet.statuses() == ["active"] * 4
    assert len(workers.changes()) == 2 * changed


@pytest.mark.parametrize("call", CALLS)
async def test_restore_by_another_worker(fleet: Fleet, call: int) -> None:
    """A run of a worker that does not respond is restored by B before A wakes up."""
    workers = Workers(fleet)

    async def restore() -> None:
        workers.stop_a()
        fleet.decide("cancel")
        if fleet.run.work.get("apply"):
            fleet.decide("restore")
        await fleet.drain()

    await workers.apply(call, restore)
    if fleet.run.state == "quarantined":
        return
    await fleet.drain()

    assert fleet.run.state in {"cancelled", "restored"}
    assert fleet.statuses() == ["active"] * 4
