"""Drills: workers are killed, stopped, upgraded and cut off, and the requests equal the plans."""

import asyncio
import itertools
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from losant_tokens.fleet import FleetClient, Run
from losant_tokens.fleet._engine import EngineClient
from losant_tokens.fleet._store.database import Database, StoreUrl
from tests.support.fleet_accounts import KEPT, STALE, FleetAccount, fleet_accounts, problems
from tests.support.fleet_drill import (
    REMOVE_CLEANUP,
    STALE_CLEANUP,
    Drill,
    WorkerProcess,
    drill,
    environment_of,
    wait_until,
)
from tests.support.postgres import running_postgres

pytestmark = pytest.mark.slow

SHORT = {"heartbeat": 0.4, "lease": 2.0, "dead_after": 3.5, "watch": 0.4, "scan": 2.0}
STORE = "losant_tokens.fleet._store.run_table:Store"
STEPS = "losant_tokens.fleet._run_planner"


@contextmanager
def fleet(store: str, folder: Path, *names: str, **settings: Any) -> Iterator[Drill]:
    """Run fake accounts, and workers with short leases."""
    stale = settings.pop("stale", 20)
    latency = settings.pop("latency", 0.005)
    with (
        fleet_accounts(*names, stale=stale, latency=latency) as accounts,
        drill(accounts, store, folder, **{"timing": SHORT, "interval": 0.2, **settings}) as running,
    ):
        yield running


async def waiting_runs(client: FleetClient, accounts: tuple[FleetAccount, ...]) -> list[Run]:
    """Start a run for each account, and wait until it waits for an approval."""
    runs = [await client.plan(one.name, STALE_CLEANUP, by="drill") for one in accounts]
    return [await client.wait(run.id, state="waiting") for run in runs]


async def approved_runs(client: FleetClient, accounts: tuple[FleetAccount, ...]) -> list[Run]:
    """Start a run for each account, and approve it."""
    runs = await waiting_runs(client, accounts)
    return [await client.approve(run.id, by="drill") for run in runs]


async def ended(client: FleetClient, runs: list[Run], state: Any = "done") -> list[Run]:
    """Wait until runs have a state."""
    return [await client.wait(run.id, state=state) for run in runs]


async def changes(account: FleetAccount, method: str, count: int) -> None:
    """Wait until an account has received N requests with a method."""
    await asyncio.to_thread(account.app.wait_for, method, count)


# --- Killed ----------------------------------------------------------------------------------

CHUNKS = [
    f"{STORE}.{method}_chunk:{when}:{phase}"
    for phase in ("apply", "sweep", "restore")
    for method in ("begin", "end")
    for when in ("before", "after")
]
PLANS = [
    f"{STEPS}:{function}:{when}"
    for function in ("make_plan", "plan_sweep", "plan_restore")
    for when in ("before", "after")
]
RECORDS = [f"{STORE}._write:before", f"{STORE}._write:after"]


async def test_killed_at_each_step(store_url: str, tmp_path: Path) -> None:
    """A worker that is killed before and after each step continues, and repeats no change."""
    points = [*PLANS, *CHUNKS, *RECORDS]
    with fleet(store_url, tmp_path, "acme", "bolt", grace=1.0, stale=6) as running:
        acme, bolt = running.accounts
        running.worker("w1", kill_at=points).start()
        async with running.client() as client:
            swept, restored = await approved_runs(client, (acme, bolt))
            await client.wait(restored.id, state="quarantined")
            await client.restore(restored.id, by="drill")
            await client.wait(restored.id, state="restored")
            await client.wait(swept.id, state="done")
        running.check("deactivate", "delete", only=acme)
        running.check("deactivate", "activate", only=bolt)

        assert running.used_points == set(points)


async def test_killed_during_each_action(store_url: str, tmp_path: Path) -> None:
    """A worker that is killed between two tokens continues with the next one."""
    with fleet(store_url, tmp_path, "acme", "bolt", grace=1.0, stale=40) as running:
        acme, bolt = running.accounts
        worker = running.worker("w1").start()
        async with running.client() as client:
            (restored,) = await approved_runs(client, (bolt,))
            await changes(bolt, "PATCH", 10)
            worker.kill()
            worker.start()
            await client.wait(restored.id, state="quarantined")
            await client.restore(restored.id, by="drill")
            await changes(bolt, "PATCH", 55)
            worker.kill()
            worker.start()
            await client.wait(restored.id, state="restored")
            (swept,) = await approved_runs(client, (acme,))
            await changes(acme, "DELETE", 10)
            worker.kill()
            worker.start()
            swept = await client.wait(swept.id, state="done")
        running.check("deactivate", "delete", only=acme)
        running.check("deactivate", "activate", only=bolt)

    assert swept.work["sweep"].attempts == 2
    assert swept.work["apply"].outcomes == {"done": 40}


async def test_another_worker_takes_over(postgres_url: str, tmp_path: Path) -> None:
    """If a worker is killed for good, one of the others does its work, once."""
    with fleet(postgres_url, tmp_path, "acme", "bolt", stale=60, latency=0.02) as running:
        workers = {name: running.worker(name).start() for name in ("w1", "w2", "w3")}
        async with running.client() as client:
            runs = await approved_runs(client, running.accounts)
            for account in running.accounts:
                await changes(account, "PATCH", 5)
            first = (await client.run(runs[0].id)).work["apply"].worker
            # The watchdogs of both others find it dead.
            workers[first].kill()
            done = await ended(client, runs)
        running.check("deactivate", "delete")

    assert done[0].work["apply"].attempts == 2
    assert first not in {run.work["sweep"].worker for run in done}


# --- Stopped, and cut off --------------------------------------------------------------------


MAY_CHANGE = "losant_tokens.fleet._workers.membership:Membership.may_change"
EXECUTOR = "losant_tokens.jobs._execution.token_executor:Executor"
STOPS = (
    f"{STORE}.begin_chunk:after",
    # The lease is asked three times for each token: before the intent, the headers and the body.
    f"{MAY_CHANGE}:before#1",
    f"{MAY_CHANGE}:before#2",
    f"{MAY_CHANGE}:before#3",
    f"{EXECUTOR}._record:before#3",
    f"{STORE}.end_chunk:before",
)
"""Points at which a worker is stopped while it applies a plan."""
WINDOW = "losant_tokens._transports.send_permission:AskAtEachStep.__await__:before"
"""The point after the last check of the lease, directly before the system call."""


async def test_zombies_change_nothing(postgres_url: str, tmp_path: Path) -> None:
    """Workers that wake up after others took over send no change, say so, and end.

    Each was stopped at another point, while it applied a plan.
    """
    names = [f"account-{number}" for number in range(len(STOPS))]
    settings = {"stale": 10, "options": {"concurrency": 1}}
    with fleet(postgres_url, tmp_path, *names, **settings) as running:
        zombies = [
            running.worker(f"zombie-{number}", stop_at=point).start(is_ready=False)
            for number, point in enumerate(STOPS)
        ]
        async with running.client() as client:
            runs = await approved_runs(client, running.accounts)
            await asyncio.to_thread(
                wait_until,
                lambda: all(one.is_stopped for one in zombies),
                what="each worker has stopped itself",
                log=lambda: "\n".join(running.logs()),
            )
            rescuer = running.worker("rescuer").start()
            await ended(client, runs)
            before = [_sent_changes(one) for one in running.accounts]
            for zombie in zombies:
                zombie.send(signal.SIGCONT)
            codes = [zombie.wait() for zombie in zombies]
        after = [_sent_changes(one) for one in running.accounts]
        running.check("deactivate", "delete")
        assert rescuer.stop() == 0

    assert running.used_points == set(STOPS)
    assert 0 not in codes
    for zombie in zombies:
        assert "its work was reassigned" in zombie.output, zombie.output
    assert after == before


def _sent_changes(account: FleetAccount) -> int:
    """Return the number of changes that were sent to an account, also those that it refused."""
    return sum(one.method != "GET" for one in account.app.requests)


async def test_the_window_of_a_zombie(postgres_url: str, tmp_path: Path) -> None:
    """A worker that is stopped after the last check of its lease sends that one change late."""
    with fleet(postgres_url, tmp_path, "acme", stale=20) as running:
        (acme,) = running.accounts
        zombie = running.worker("w1", stop_at=WINDOW).start()
        async with running.client() as client:
            run = await client.plan(acme.name, REMOVE_CLEANUP, by="drill")
            await client.wait(run.id, state="waiting")
            await client.approve(run.id, by="drill")
            running.worker("w2").start()
            await ended(client, [run])
            before = len(acme.app.requests)
            zombie.send(signal.SIGCONT)
            zombie.wait()
        late = [one.method for one in acme.app.requests[before:] if one.method != "GET"]

        (problem,) = problems(acme, ["delete"])

    assert running.used_points == {WINDOW}
    assert late == ["DELETE"]
    assert problem.endswith("['delete', 'delete'], not ['delete']")


async def test_a_task_that_is_given_away_by_mistake(postgres_url: str, tmp_path: Path) -> None:
    """A watchdog that is stopped directly before it gives a task on does no harm when it wakes up.

    Until then, another live worker may have the task. The engine has no condition for that, so the
    test gives the task on as such a watchdog would.
    """
    with fleet(postgres_url, tmp_path, "acme", stale=60, latency=0.02) as running:
        (acme,) = running.accounts
        workers = [running.worker(name).start() for name in ("w1", "w2")]
        async with running.client() as client:
            runs = await approved_runs(client, running.accounts)
            await changes(acme, "PATCH", 10)
            await asyncio.to_thread(_give_all_on, postgres_url)
            (run,) = await ended(client, runs)
        running.check("deactivate", "delete")

    assert any("a live worker works on it, so" in worker.output for worker in workers)
    assert run.work["apply"].attempts == 1


def _give_all_on(url: str) -> None:
    """Give all tasks in progress to the next worker that looks for work."""
    database = Database(StoreUrl.of(url))
    database.open()
    engine = EngineClient(database)
    for tasks in engine.pending().values():
        for task in tasks:
            engine.resume(task)
    engine.close()
    database.close()


async def test_a_short_stop_loses_nothing(store_url: str, tmp_path: Path) -> None:
    """A worker that is stopped for less than the time of a takeover continues."""
    with fleet(store_url, tmp_path, "acme", grace=1.0, stale=40, latency=0.02) as running:
        worker = running.worker("w1").start()
        async with running.client() as client:
            runs = await approved_runs(client, running.accounts)
            await changes(running.accounts[0], "PATCH", 10)
            worker.send(signal.SIGSTOP)
            await asyncio.sleep(2.2)  # longer than the lease
            worker.send(signal.SIGCONT)
            await ended(client, runs)
        running.check("deactivate", "delete")
        assert worker.stop() == 0


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_store_is_down_for_15_seconds(kind: str, tmp_path: Path) -> None:
    """While the store is down, no worker changes anything; then the work continues."""
    with (
        _breakable(kind, tmp_path) as (url, down),
        fleet(url, tmp_path, "acme", stale=150, latency=0.02) as running,
    ):
        (acme,) = running.accounts
        worker = running.worker("w1").start()
        async with running.client() as client:
            runs = await approved_runs(client, running.accounts)
            await changes(acme, "PATCH", 20)
            async with down():
                await asyncio.sleep(SHORT["lease"] + 0.5)  # the end of the lease
                before = len(acme.app.requests)
                await asyncio.sleep(15 - SHORT["lease"] - 0.5)
                after = len(acme.app.requests)
            await ended(client, runs)
        running.check("deactivate", "delete")
        assert worker.stop() == 0

    assert after == before


@contextmanager
def _breakable(kind: str, folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield a store, and a context in which it is down."""
    if kind == "sqlite":
        path = folder / "fleet.sqlite"

        @asynccontextmanager
        async def locked() -> AsyncIterator[None]:
            connection = sqlite3.connect(path, timeout=30)
            connection.execute("BEGIN EXCLUSIVE")
            yield
            connection.rollback()
            connection.close()

        yield str(path), locked
        return
    with running_postgres() as server, server.database() as url:

        @asynccontextmanager
        async def stopped() -> AsyncIterator[None]:
            await asyncio.to_thread(server.stop)
            yield
            await asyncio.to_thread(server.start)

        yield url, stopped


# --- Upgrades --------------------------------------------------------------------------------


async def test_each_phase_by_another_version(store_url: str, tmp_path: Path) -> None:
    """Each phase of a run, and even a chunk, can be continued by another version.

    Each version is installed in a virtual environment of its own.
    """
    versions = {"plan": "1.0.0", "apply": "1.1.0", "sweep": "2.0.0"}
    with fleet(store_url, tmp_path, "acme", grace=3.0, stale=40, latency=0.02) as running:
        (acme,) = running.accounts

        def start(phase: str) -> WorkerProcess:
            return running.worker("w1", python=environment_of(tmp_path, versions[phase])).start()

        worker = start("plan")
        async with running.client() as client:
            runs = await waiting_runs(client, running.accounts)
            await client.approve(runs[0].id, by="drill")
            await changes(acme, "PATCH", 10)
            worker.kill()
            worker = start("apply")
            await client.wait(runs[0].id, state="quarantined")
            assert worker.stop() == 0
            worker = start("sweep")
            (run,) = await ended(client, runs)
        running.check("deactivate", "delete")

    assert {phase: work.version for phase, work in run.work.items()} == versions


# --- Limits ----------------------------------------------------------------------------------


async def test_one_credential_is_used_by_one_worker(postgres_url: str, tmp_path: Path) -> None:
    """Two accounts with one credential never work at the same time, on two workers."""
    application = f"application:{'a' * 24}"
    with fleet_accounts("acme", stale=30, latency=0.01) as (acme,):
        # It has the server and the token of the first account, and another owner there.
        twin = FleetAccount(
            "twin", acme.fake, acme.app, acme.base_url, acme.token, set(), application
        )
        twin.stale.update(twin.add_tokens(30, STALE))
        twin.add_tokens(30, KEPT)
        settings: dict[str, Any] = {"timing": SHORT, "interval": 0.2, "grace": 1.0}
        with drill((acme, twin), postgres_url, tmp_path, **settings) as running:
            running.worker("w1").start()
            running.worker("w2").start()
            async with running.client() as client:
                await ended(client, await approved_runs(client, running.accounts))
        expected = dict.fromkeys(acme.stale | twin.stale, ("deactivate", "delete"))

    assert problems(acme, expected) == []
    for method in ("PATCH", "DELETE"):
        paths = [one.path for one in acme.app.requests if one.method == method]
        owners = [path.rpartition("/")[0] for path in paths]
        # The tokens of one account come first, and those of the other one follow.
        assert len([one for one, _ in itertools.groupby(owners)]) == 2
