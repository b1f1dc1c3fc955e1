"""The table of workers: on SQLite, and on PostgreSQL with --run-slow."""

import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from losant_tokens.fleet import StoreError
from losant_tokens.fleet._workers.lease import Heartbeat
from losant_tokens.fleet._workers.worker_record import Boot, Worker
from losant_tokens.fleet._workers.worker_table import WorkerTable

TICK = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def table(store_url: str) -> Iterator[WorkerTable]:
    table = WorkerTable(store_url)
    table.create()
    yield table
    table.close()


def boot(name: str = "a", nonce: str = "1") -> Boot:
    return Boot(id=name, nonce=nonce, place="p", host="h", process=7, version="1.0")


def only(table: WorkerTable) -> Worker:
    _, (found,) = table.workers()
    return found


def test_life_of_a_worker(table: WorkerTable) -> None:
    """A worker is registered, beats and is released, with times of the database."""
    now, workers = table.workers()
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
    assert workers == ()
    assert table.register(boot(), None)
    assert table.beat(boot())
    assert [table.is_live(one) for one in ("1", "2")] == [True, False]
    live = only(table)
    assert (live.id, live.state, live.heartbeat) == ("a", "live", Heartbeat(boot="1", beats=1))
    assert (live.host, live.process, live.version, live.place) == ("h", 7, "1.0", "p")
    assert now <= live.started_at <= live.heartbeat_at
    assert live.ended_at is None
    assert table.release(boot())
    ended = only(table)
    assert ended.state == "released"
    assert ended.ended_at is not None
    assert not table.beat(boot())
    assert not table.release(boot())


def test_fence(table: WorkerTable) -> None:
    """A heartbeat before the fence keeps the worker alive; after the fence, none is accepted."""
    table.register(boot(), None)
    seen = only(table).heartbeat
    table.beat(boot())
    assert not table.fence("a", seen)
    assert table.fence("a", only(table).heartbeat)
    assert not table.beat(boot())
    assert not table.fence("a", only(table).heartbeat)
    assert not table.is_live("1")
    table.record_orphans(boot(), ("run 1",))
    assert (only(table).state, only(table).orphans) == ("fenced", ("run 1",))


def test_new_boot(table: WorkerTable) -> None:
    """A new boot replaces the row that was read, unless it has changed since, and fences it."""
    table.register(boot(), None)
    read = only(table)
    table.beat(boot())
    assert not table.register(boot(nonce="2"), read)
    assert table.register(boot(nonce="2"), only(table))
    assert not table.beat(boot())
    assert table.beat(boot(nonce="2"))


def test_forget(table: WorkerTable) -> None:
    """Workers that ended long ago are removed, and live ones never."""
    table.register(boot("a"), None)
    table.register(boot("b"), None)
    table.release(boot("b"))
    table.forget(datetime.now(UTC) - timedelta(days=1))
    assert len(table.workers()[1]) == 2
    table.forget(datetime.now(UTC) + timedelta(days=1))
    assert only(table).id == "a"


def test_ticks(table: WorkerTable) -> None:
    """The last tick of a new schedule is the time it was first seen, and it never goes back."""
    assert table.last_tick("s", TICK) == TICK
    assert table.last_tick("s", TICK + timedelta(hours=9)) == TICK
    table.record_tick("s", TICK + timedelta(hours=2))
    table.record_tick("s", TICK + timedelta(hours=1))
    assert table.last_tick("s", TICK) == TICK + timedelta(hours=2)


@pytest.mark.slow
def test_one_turn_at_a_time(postgres_url: str) -> None:
    """One process has the turn, and loses it if it does nothing for too long."""
    first, second = WorkerTable(postgres_url, turn_timeout=0.2), WorkerTable(postgres_url)
    with first.turn() as turn:
        assert turn is not None
        turn.check()
        with second.turn() as refused:
            assert refused is None
        _wait_for_turn(second)
        with pytest.raises(StoreError, match=r"cannot be reached: .*idle"):
            turn.check()
    with first.turn() as turn:
        assert turn is not None
    first.close()
    second.close()


def _wait_for_turn(table: WorkerTable) -> None:
    for _ in range(1000):
        with table.turn() as turn:
            if turn is not None:
                return
    pytest.fail("The turn did not end")


def test_store_of_a_newer_release(store_url: str) -> None:
    """Tables with a newer version are refused, and opening a known version changes nothing."""
    table = WorkerTable(store_url)
    table.create()
    table.create()
    with table._engine.connect() as connection:
        connection.execute(
            sa.text(
                "update {}fleet_version set version = 2".format(
                    "" if table.path else "losant_fleet."
                )
            )
        )
    with pytest.raises(StoreError, match="has version 2, but this release reads version 1"):
        table.create()
    table.close()


@pytest.mark.parametrize(
    "url",
    ["mysql://u:hunter2@h/d", "postgresql://u:hunter2@h:port/d", "hunter2", "oracle+x://hunter2"],
)
def test_invalid_url(url: str) -> None:
    """A URL that cannot be used is refused without repeating it."""
    with pytest.raises(StoreError, match="must be like postgresql://") as caught:
        WorkerTable(url)
    assert "hunter2" not in str(caught.value)


def test_store_that_cannot_be_reached() -> None:
    """The error names the problem, and neither it nor its frames hold the password."""
    table = WorkerTable("postgresql://u:hunter2secret@127.0.0.1:1/fleet")
    with pytest.raises(StoreError, match=r"cannot be reached: .*refused") as caught:
        table.workers()
    frames = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    assert "hunter2secret" not in frames
    assert caught.value.__context__ is None


def test_two_processes_create_the_tables(table: WorkerTable) -> None:
    """A process that finds no tables, and then those of another one, changes nothing."""
    table.register(boot(), None)
    with table._engine.execution_options(isolation_level="SERIALIZABLE").begin() as connection:
        table._create(connection)
    table.create()
    assert only(table).id == "a"


@pytest.mark.slow
def test_turn_that_fails(postgres_url: str) -> None:
    """An error of the database while the turn is taken is reported, and keeps no connection."""
    table = WorkerTable(postgres_url, turn_timeout=-5)
    with pytest.raises(StoreError, match="outside the valid range"), table.turn():
        pytest.fail("It has no turn")
    table.close()


def test_processes_that_create_an_sqlite_file_together(tmp_path: Path) -> None:
    """A worker and a diagnosis that start at the same time create each table once."""
    together = threading.Barrier(4)

    def create(number: int) -> None:
        table = WorkerTable(f"sqlite:///{tmp_path / str(number)}")
        together.wait()
        table.create()
        table.close()

    with ThreadPoolExecutor(4) as threads:
        for number in range(4):
            list(threads.map(create, [number] * 4))
