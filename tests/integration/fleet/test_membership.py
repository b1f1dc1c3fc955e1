"""The place of a worker in the fleet: registered once, held with heartbeats, given back."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError
from losant_tokens.fleet import StoreError, WorkerRefused
from losant_tokens.fleet._workers.lease import LeaseLost, Reading, Timing, read_clocks
from losant_tokens.fleet._workers.membership import Membership
from losant_tokens.fleet._workers.worker_record import Boot
from losant_tokens.fleet._workers.worker_table import WorkerTable
from tests.support.fleet_workers import MemoryStore, StoreDownError

FAST = Timing(heartbeat=0.02, lease=5, dead_after=6, watch=0.02, scan=0.02)
QUICK = Timing(heartbeat=0.02, lease=0.2, dead_after=0.3, watch=0.02, scan=0.02)
SLOW = Timing(heartbeat=60, lease=120, dead_after=150, watch=60)
"""Timing whose threads do nothing during a test, which calls their functions itself."""


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'fleet.sqlite'}"


@pytest.fixture
def queue() -> MemoryStore:
    return MemoryStore()


class Clocks:
    """The clocks of this machine, and a number of seconds that the test adds."""

    def __init__(self) -> None:
        self.added = 0.0

    def __call__(self) -> Reading:
        found = read_clocks()
        return Reading(found.steady + self.added, found.wall + self.added)


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(20):
        while not await anyio.to_thread.run_sync(condition):  # noqa: ASYNC110
            await anyio.sleep(0.01)


def rows(url: str) -> dict[str, str]:
    table = WorkerTable(url)
    _, found = table.workers()
    table.close()
    return {one.id: one.state for one in found}


def other_boot(name: str, place: str = "elsewhere") -> Boot:
    return Boot(id=name, nonce="other", place=place, host="moon", process=9, version="1.0")


@asynccontextmanager
async def other_worker(url: str, name: str) -> AsyncIterator[WorkerTable]:
    """Register a worker of another machine."""
    table = WorkerTable(url)
    table.create()
    assert table.register(other_boot(name), None)
    yield table
    table.close()


def member(url: str, folder: Path, queue: MemoryStore, **options: object) -> Membership:
    values: dict[str, object] = {"timing": FAST, "worker_id": "me", **options}
    return Membership(Secret(url), folder, queue, **values)  # type: ignore[arg-type]


async def test_life_of_a_worker(store_url: str, tmp_path: Path, queue: MemoryStore) -> None:
    """A worker may change tokens while it is a member, and gives its work back at the end."""
    seen: list[object] = []
    membership = member(store_url, tmp_path, queue, on_round=lambda _, now: seen.append(now))
    async with membership:
        assert membership.worker_id == "me"
        assert membership.may_change()
        await membership.held()
        queue.owners = {"x": "me"}
        await until(lambda: len(seen) > 1)
        assert (rows(store_url), queue.resumed) == ({"me": "live"}, [])
    assert not membership.may_change()
    assert (rows(store_url), queue.resumed) == ({"me": "released"}, [("x", "me")])


async def test_process_that_works_on_a_run(
    store_url: str, tmp_path: Path, queue: MemoryStore
) -> None:
    """A run is in progress if its owner names a live worker, or this one and it holds the run."""
    other = other_boot("you")
    async with (
        other_worker(store_url, "you") as table,
        member(store_url, tmp_path, queue, timing=SLOW) as me,
    ):
        with me.holding("run"):
            found = [
                me.works_on(f"{process}.1", run)
                for process in (me.process, other.nonce, "dead")
                for run in ("run", "another")
            ]
        earlier = me.works_on("of-an-earlier-release", "run"), me.works_on("", "run")
        table.release(other)
        released = me.works_on(f"{other.nonce}.1", "run")

    assert found == [True, False, True, True, False, False]
    assert (*earlier, released) == (False, False, False)


async def test_lease_ends_before_the_work_is_given_back(
    sqlite_url: str, tmp_path: Path, queue: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that does not stop in time changes nothing after others can have it."""
    membership = member(sqlite_url, tmp_path, queue, timing=SLOW)
    release, seen = membership._table.release, list[bool]()

    def release_later(boot: Boot) -> bool:
        seen.append(membership.may_change())
        return release(boot)

    monkeypatch.setattr(membership._table, "release", release_later)
    async with membership:
        queue.owners = {"x": "me"}
    assert (seen, queue.resumed) == ([False], [("x", "me")])


async def test_restart_continues_its_own_work_at_once(
    store_url: str, tmp_path: Path, queue: MemoryStore
) -> None:
    """A worker that was killed gets its place and its work back without waiting."""
    async with member(store_url, tmp_path, queue, timing=SLOW) as killed:
        place = killed._boot.place
    table = WorkerTable(store_url)
    _, (found,) = table.workers()
    assert table.register(other_boot("me", place), found)
    table.close()
    queue.owners = {"x": "me", "y": "you"}
    with anyio.fail_after(20):
        async with member(store_url, tmp_path, queue, timing=SLOW):
            assert queue.resumed == [("x", "me")]


async def test_second_worker_on_sqlite(sqlite_url: str, tmp_path: Path, queue: MemoryStore) -> None:
    """A second worker for one SQLite file is refused, and the first one continues."""
    async with member(sqlite_url, tmp_path, queue) as first:
        with pytest.raises(WorkerRefused, match="can have only one worker"):
            async with member(sqlite_url, tmp_path, queue, worker_id="you"):
                pytest.fail("It was not refused")
        with pytest.raises(WorkerRefused, match="can have only one worker"):
            async with member(sqlite_url, tmp_path, queue):
                pytest.fail("It was not refused")
        assert first.may_change()
    async with member(sqlite_url, tmp_path, queue, worker_id="you"):
        pass


async def test_failed_start_leaves_no_lock(
    sqlite_url: str, tmp_path: Path, queue: MemoryStore
) -> None:
    """A worker that cannot take its work over is not a member, and can try again."""
    queue.is_down = True
    with pytest.raises(StoreDownError):
        async with member(sqlite_url, tmp_path, queue):
            pytest.fail("It was not refused")
    queue.is_down = False
    async with member(sqlite_url, tmp_path, queue):
        pass
    with pytest.raises(ValidationError):
        async with member(sqlite_url, tmp_path, queue, worker_id="a b"):
            pytest.fail("It was not refused")


async def test_fenced_worker(
    sqlite_url: str, tmp_path: Path, queue: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A fenced worker changes nothing more, and its orphans are in the log and in the store."""
    membership = member(sqlite_url, tmp_path, queue)
    async with membership:
        assert (membership.orphans, membership.is_lost) == ((), False)
        with membership.holding("run 1"):
            table = WorkerTable(sqlite_url)
            await until(lambda: table.fence("me", table.workers()[1][0].heartbeat))
            with pytest.raises(LeaseLost, match="The worker me sent no heartbeat in time"):
                await membership.lost()
            assert membership.orphans == ("run 1",)
            assert not membership.may_change()
            with pytest.raises(LeaseLost):
                await membership.held()
            await until(lambda: table.workers()[1][0].orphans == ("run 1",))
            table.close()
        assert not membership.orphans
    assert rows(sqlite_url) == {"me": "fenced"}
    assert "Start it again. It still held: run 1." in caplog.text


async def test_outage_of_the_store(
    sqlite_url: str, tmp_path: Path, queue: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Without heartbeats, nothing is changed. After the outage, the same worker continues."""
    clocks = Clocks()
    membership = member(sqlite_url, tmp_path, queue, timing=FAST, clock=clocks)
    async with membership:
        beat, is_down = membership._table.beat, threading.Event()

        def fails(boot: Boot) -> bool:
            if is_down.is_set():
                raise StoreError("The store cannot be reached: down")
            return beat(boot)

        membership._table.beat = fails  # type: ignore[method-assign]
        is_down.set()
        await until(lambda: "No heartbeat was sent, so no token is changed" in caplog.text)
        clocks.added += FAST.lease
        assert not membership.may_change()
        assert not membership.is_lost
        is_down.clear()
        await membership.held()
        await until(lambda: "Heartbeats are sent again, so the work continues" in caplog.text)


async def test_event_loop_that_hangs(sqlite_url: str, tmp_path: Path, queue: MemoryStore) -> None:
    """The heartbeats stop while a watched event loop hangs. A closed loop is not watched."""
    clocks = Clocks()
    membership = member(sqlite_url, tmp_path, queue, timing=SLOW, clock=clocks)
    async with membership:
        closed = asyncio.new_event_loop()
        closed.close()
        membership.watch_loop(closed)
        assert membership._beat_once() == ""
        clocks.added += SLOW.hung_after + 1
        assert membership._beat_once() == "an event loop has been busy for 60 s"
        await until(lambda: membership._beat_once() == "")


async def test_watchdog_that_fails(
    sqlite_url: str, tmp_path: Path, queue: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the engine is logged once, and the watchdog looks again."""
    queue.owners = {"x": "gone"}
    async with member(sqlite_url, tmp_path, queue):
        queue.is_down = True
        await until(lambda: "The watchdog failed, and tries again: StoreDownError" in caplog.text)
        queue.is_down = False
        await until(lambda: queue.resumed)
    assert caplog.text.count("The watchdog failed") == 1


async def test_worker_that_cannot_give_back(
    sqlite_url: str, tmp_path: Path, queue: MemoryStore
) -> None:
    """A worker that cannot reach the store at its end stops, and leaves its work to others."""
    membership = member(sqlite_url, tmp_path, queue, timing=SLOW)
    async with membership:

        def fails(boot: Boot) -> bool:
            raise StoreError("The store cannot be reached: down")

        membership._table.release = fails  # type: ignore[method-assign]
    assert rows(sqlite_url) == {"me": "live"}


async def test_worker_that_is_replaced_while_it_ends(
    sqlite_url: str, tmp_path: Path, queue: MemoryStore
) -> None:
    """A worker that is fenced while it ends gives no work on, because the other one does."""
    async with member(sqlite_url, tmp_path, queue, timing=SLOW) as membership:
        queue.owners = {"x": "me"}
        membership._table.release = lambda boot: False  # type: ignore[method-assign]
    assert queue.resumed == []


@pytest.mark.slow
async def test_second_process_with_a_name(
    postgres_url: str, tmp_path: Path, queue: MemoryStore
) -> None:
    """On one machine, a second worker with the name of a live one is refused at once."""
    async with member(postgres_url, tmp_path, queue, timing=SLOW) as first:
        with pytest.raises(WorkerRefused, match="name me is running on this machine"):
            async with member(postgres_url, tmp_path, queue, timing=SLOW):
                pytest.fail("It was not refused")
        assert first.may_change()


@pytest.mark.slow
async def test_id_of_a_live_worker_elsewhere(
    postgres_url: str, tmp_path: Path, queue: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker whose id sends heartbeats from another machine is refused."""
    async with other_worker(postgres_url, "me") as table:
        beats = asyncio.create_task(_beat_after_warning(table, caplog))
        with pytest.raises(WorkerRefused, match=r"name me is running on moon \(process 9\). Stop"):
            async with member(postgres_url, tmp_path, queue):
                pytest.fail("It was not refused")
        await beats


async def _beat_after_warning(table: WorkerTable, caplog: pytest.LogCaptureFixture) -> None:
    await until(lambda: "A worker with the name me may be running on moon" in caplog.text)
    assert table.beat(other_boot("me"))


@pytest.mark.slow
async def test_id_of_a_dead_worker_elsewhere(
    postgres_url: str, tmp_path: Path, queue: MemoryStore
) -> None:
    """A worker whose id is silent on another machine gets the place, and fences the other one."""
    queue.owners = {"x": "me"}
    async with (
        other_worker(postgres_url, "me") as table,
        member(postgres_url, tmp_path, queue, timing=QUICK),
    ):
        assert queue.resumed == [("x", "me")]
        assert not table.beat(other_boot("me"))


@pytest.mark.slow
async def test_dead_worker_is_replaced(
    postgres_url: str, tmp_path: Path, queue: MemoryStore
) -> None:
    """Of two watchdogs that see a silent worker, one reassigns its work, once."""
    queue.owners = {"x": "dead"}
    async with (
        other_worker(postgres_url, "dead") as table,
        member(postgres_url, tmp_path / "a", queue, worker_id="a", timing=QUICK),
        member(postgres_url, tmp_path / "b", queue, worker_id="b", timing=QUICK),
    ):
        await until(lambda: queue.resumed)
        assert not table.beat(other_boot("dead"))
        assert rows(postgres_url) == {"a": "live", "b": "live", "dead": "fenced"}
    assert queue.resumed == [("x", "dead")]


@pytest.mark.slow
async def test_start_and_end_while_another_has_the_turn(
    postgres_url: str, tmp_path: Path, queue: MemoryStore
) -> None:
    """A worker waits for the turn to register. At its end, it leaves its work to that process."""
    table = WorkerTable(postgres_url)
    table.create()
    membership = member(postgres_url, tmp_path, queue)
    with table.turn() as turn:
        assert turn is not None
        with anyio.move_on_after(0.2) as scope:
            await membership.__aenter__()
        assert scope.cancelled_caught
    membership = member(postgres_url, tmp_path, queue, timing=SLOW)
    await membership.__aenter__()
    queue.owners = {"x": "me"}
    with table.turn() as turn:
        assert turn is not None
        await membership.__aexit__(None, None, None)
    table.close()
    assert (rows(postgres_url), queue.resumed) == ({"me": "released"}, [])
