"""Drills: the store refuses writes or connections, or is restored from a backup."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from psycopg import sql

from losant_tokens.fleet import FleetClient, Run, StoreError
from tests.support.fleet_accounts import FleetAccount, fleet_accounts
from tests.support.fleet_drill import STALE_CLEANUP, Drill, drill
from tests.support.postgres import postgres_programs, running_postgres

pytestmark = pytest.mark.slow

SHORT = {"heartbeat": 0.4, "lease": 2.0, "dead_after": 3.5, "watch": 0.4, "scan": 2.0}
DISTURBED = 3.0  # seconds, which is longer than the lease


@contextmanager
def fleet(store: str, folder: Path, **settings: Any) -> Iterator[Drill]:
    """Run a fake account, and workers with short leases."""
    stale = settings.pop("stale", 60)
    options = {"timing": SHORT, "interval": 0.2, "grace": 1.0, **settings}
    with (
        fleet_accounts("acme", stale=stale, latency=0.02) as accounts,
        drill(accounts, store, folder, **options) as running,
    ):
        yield running


async def applying(client: FleetClient, account: FleetAccount, changes: int) -> Run:
    """Start a run and approve it. Return it after N tokens were deactivated."""
    run = await client.plan(account.name, STALE_CLEANUP, by="drill")
    await client.wait(run.id, state="waiting")
    run = await client.approve(run.id, by="drill")
    await asyncio.to_thread(account.app.wait_for, "PATCH", changes)
    return run


def execute(url: str, *statements: str) -> None:
    """Execute statements in the database of the store, from a connection to another one."""
    server, _, name = url.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        for statement in (*statements, CUT):
            connection.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Literal(name)))


CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {1}"
"""Ends all connections to the store, as a proxy can."""


@asynccontextmanager
async def setting(url: str, on: str, off: str) -> AsyncIterator[None]:
    """Change a setting of the database of the store, and end all connections to it."""
    await asyncio.to_thread(execute, url, on)
    yield
    await asyncio.to_thread(execute, url, off)


@asynccontextmanager
async def cut_again_and_again(url: str) -> AsyncIterator[None]:
    """End all connections to the store every 0.3 s."""
    async with anyio.create_task_group() as group:

        async def cut() -> None:
            while True:
                await asyncio.to_thread(execute, url)
                await asyncio.sleep(0.3)

        group.start_soon(cut)
        yield
        group.cancel_scope.cancel()


READ_ONLY = "ALTER DATABASE {0} SET default_transaction_read_only = "
CLOSED = "ALTER DATABASE {0} ALLOW_CONNECTIONS "


async def test_store_that_cannot_be_used(postgres_url: str, tmp_path: Path) -> None:
    """While the store is read-only or has no free connection, no token is changed; work continues.

    Nothing is lost either if the connections break again and again.
    """
    with fleet(postgres_url, tmp_path, stale=120) as running:
        (account,) = running.accounts
        worker = running.worker("w1").start()
        async with running.client() as client:
            run = await applying(client, account, 10)
            async with setting(postgres_url, f"{READ_ONLY}on", f"{READ_ONLY}off"):
                shown = await client.run(run.id)
                with pytest.raises(StoreError, match="read-only transaction"):
                    await client.cancel(run.id, by="drill")
                read_only = await changes_of(account)
            await asyncio.to_thread(account.app.wait_for, "PATCH", read_only[1] + 10)
            async with setting(postgres_url, f"{CLOSED}false", f"{CLOSED}true"):
                with pytest.raises(StoreError, match="not currently accepting connections"):
                    await client.run(run.id)
                closed = await changes_of(account)
            async with cut_again_and_again(postgres_url):
                await asyncio.sleep(DISTURBED)
            await client.wait(run.id, state="done")
        running.check("deactivate", "delete")
        assert worker.stop() == 0

    assert shown.state == "applying"
    assert read_only[0] == read_only[1]
    assert closed[0] == closed[1]


async def changes_of(account: FleetAccount) -> tuple[int, int]:
    """Return the number of changes at the end of a lease, and some time later."""

    def count() -> int:
        return sum(one.method != "GET" for one in account.app.requests)

    await asyncio.sleep(SHORT["lease"] + 0.5)
    before = count()
    await asyncio.sleep(DISTURBED - SHORT["lease"])
    return before, count()


async def test_store_of_an_hour_ago(tmp_path: Path) -> None:
    """After the store was restored from a backup, nothing is changed twice, and nothing foreign.

    The backup is from the middle of a plan, which was then applied and swept.
    """
    programs = postgres_programs()
    with running_postgres() as server, server.database() as url, fleet(url, tmp_path) as running:
        assert programs is not None
        (account,) = running.accounts
        worker = running.worker("w1").start()
        dump = tmp_path / "fleet.dump"
        async with running.client() as client:
            run = await applying(client, account, 30)
            backup = (programs / "pg_dump", "--format=custom", f"--file={dump}", f"--dbname={url}")
            await asyncio.to_thread(subprocess.run, backup, check=True)
            await client.wait(run.id, state="done")
        assert worker.stop() == 0
        running.check("deactivate", "delete")
        restore = (programs / "pg_restore", "--clean", f"--dbname={url}", dump)
        await asyncio.to_thread(subprocess.run, restore, check=True)
        before = len(account.app.requests)
        worker.start()
        async with running.client() as client:
            again = await client.wait(run.id, state="done")
        running.check("deactivate", "delete")
        after = {one.method for one in account.app.requests[before:]}

    assert again.outcomes("apply") == {"gone": 60}
    assert after == {"GET"}
