"""Clean-ups with a schedule are started by the workers."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from losant_tokens.fleet._workers.worker_table import WorkerTable
from losant_tokens.policy import Severity
from tests.support.fleet_accounts import fleet_accounts
from tests.support.fleets import make_fleet, working

pytestmark = pytest.mark.slow


NAME = "acme old-ci 0 0 1 * * UTC"


async def test_missed_tick_is_started_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the ticks that no worker saw, the last one is started, and once over all workers.

    Until then, the fleet is not healthy.
    """
    with fleet_accounts("acme", stale=2) as found:
        app = make_fleet(found, tmp_path, monkeypatch, schedule="monthly")
        assert app.path is not None
        _set_last_tick(app.path, datetime.now(UTC) - timedelta(days=400))
        (problem,) = (await app.diagnose()).problems
        assert (problem.severity, problem.check) == (Severity.HIGH, "no-worker")
        for _ in range(2):
            # The second worker finds a tick that the first one started and did not record.
            _set_last_tick(app.path, datetime.now(UTC) - timedelta(days=400))
            async with working(app) as client:
                with anyio.fail_after(60):
                    while datetime.now(UTC) - _last_tick(app.path) > timedelta(days=99):  # noqa: ASYNC110
                        await anyio.sleep(0.1)
                runs = [run async for run in client.runs()]
            assert [(run.account, run.cleanup, run.requested_by) for run in runs] == [
                ("acme", "old-ci", "schedule")
            ]


def _set_last_tick(path: Path, tick: datetime) -> None:
    table = WorkerTable(f"sqlite:///{path}")
    table.create()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("delete from fleet_ticks")
    table.last_tick(NAME, tick)
    table.close()


def _last_tick(path: Path) -> datetime:
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("select last_at from fleet_ticks").fetchone()
    return datetime.fromtimestamp(found, UTC)
