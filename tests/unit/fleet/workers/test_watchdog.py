"""The watchdog gives the work of dead workers, and of nobody else, to others."""

import logging
from collections.abc import Collection, Mapping
from datetime import timedelta

import pytest

from losant_tokens.fleet import StoreError
from losant_tokens.fleet._workers.lease import Lease, Reading, Timing
from losant_tokens.fleet._workers.watchdog import Watchdog
from losant_tokens.fleet._workers.worker_table import Turn
from tests.support.fleet_workers import NOW, MemoryStore, worker

TIMING = Timing(heartbeat=1, lease=5, dead_after=10, watch=2, scan=30)


class Watch:
    """The watchdog of the worker `me`, whose clock the test sets."""

    def __init__(self, store: MemoryStore, *, is_only_worker: bool = False) -> None:
        self.now = Reading(0, 0)
        store.rows["me"] = worker("me")
        self.store = store
        self.lease = Lease(self.now, TIMING, lambda: self.now)
        self._watchdog = Watchdog(
            "me",
            store,
            store,
            self.lease,
            timing=TIMING,
            clock=lambda: self.now,
            is_only_worker=is_only_worker,
        )

    def look_until(self, last: int) -> None:
        """Look every two seconds, with a lease that is held."""
        for second in range(int(self.now.steady), last + 1, 2):
            self.now = Reading(second, second)
            self.lease.confirm(self.now)
            assert self._watchdog.look() == NOW

    def look_once(self) -> None:
        self._watchdog.look()


def test_silent_worker_is_fenced_and_its_work_given_on(caplog: pytest.LogCaptureFixture) -> None:
    """A worker is fenced after `dead_after` without a heartbeat, and only its work is resumed."""
    store = MemoryStore()
    store.rows["a"] = worker("a")
    watch = Watch(store)
    store.owners = {"x": "a", "y": "me", "z": None}
    watch.look_until(8)
    assert (store.rows["a"].state, store.resumed) == ("live", [])
    watch.look_until(10)
    assert (store.rows["a"].state, store.resumed) == ("fenced", [("x", "a")])
    assert "The worker a sent no heartbeat for 10 s, so its work is reassigned" in caplog.text


def test_work_of_ended_and_unknown_workers() -> None:
    """Work is reassigned at once if its worker was released, was fenced or is not in the table."""
    store = MemoryStore()
    store.rows = {"a": worker("a", state="released"), "b": worker("b", state="fenced")}
    watch = Watch(store)
    store.owners = {"x": "a", "y": "b", "z": "lost", "m": "me"}
    watch.look_until(0)
    assert sorted(store.resumed) == [("x", "a"), ("y", "b"), ("z", "lost")]


def test_fenced_worker_that_takes_work_again() -> None:
    """Work that a fenced worker takes when it wakes up is reassigned at the next scan."""
    store = MemoryStore()
    store.rows["b"] = worker("b", state="fenced")
    watch = Watch(store)
    watch.look_until(2)
    store.owners = {"x": "b"}
    watch.look_until(28)
    assert store.resumed == []
    watch.look_until(30)
    assert store.resumed == [("x", "b")]


def test_only_worker_does_not_wait() -> None:
    """On an SQLite file that this process has locked, all other workers are dead."""
    store = MemoryStore()
    store.rows["a"] = worker("a")
    store.owners = {"x": "a"}
    Watch(store, is_only_worker=True).look_until(0)
    assert (store.rows["a"].state, store.resumed) == ("fenced", [("x", "a")])


def test_no_decision_without_the_turn_or_the_lease() -> None:
    """A watchdog decides nothing while another one has the turn, or its own lease is late."""
    store = MemoryStore()
    store.rows["a"] = worker("a", state="released")
    store.owners = {"x": "a"}
    watch = Watch(store)
    store.turn_is_taken = True
    watch.look_once()
    store.turn_is_taken = False
    watch.now = Reading(100, 100)
    watch.look_once()
    assert store.resumed == []


def test_watchdog_that_is_stopped_in_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    """A watchdog that was stopped before it resumes work does not resume it when it wakes up."""

    class SlowQueue(MemoryStore):
        def pending(self) -> Mapping[str, Collection[str]]:
            found = super().pending()
            watch.now = Reading(100, 100)
            return found

    store = SlowQueue()
    store.rows["a"] = worker("a", state="released")
    watch = Watch(store)
    store.owners = {"x": "a"}
    with caplog.at_level(logging.INFO, "losant_tokens"):
        watch.look_once()
    assert (store.resumed, caplog.text) == ([], "")


def test_heartbeat_at_the_last_second(caplog: pytest.LogCaptureFixture) -> None:
    """A worker whose heartbeat arrives before the fence stays alive, and so does its work."""

    class LateBeat(MemoryStore):
        def fence(self, worker: str, heartbeat: object) -> bool:
            assert self.beat(worker, "1")
            return super().fence(worker, heartbeat)  # type: ignore[arg-type]

    store = LateBeat()
    store.rows["a"] = worker("a")
    store.owners = {"x": "a"}
    Watch(store).look_until(10)
    assert (store.rows["a"].state, store.resumed, caplog.text) == ("live", [], "")


def test_worker_that_ends_between_two_scans() -> None:
    """Work of a worker that ended is reassigned at the next look, not only at the next scan."""
    store = MemoryStore()
    store.rows["a"] = worker("a")
    watch = Watch(store)
    watch.look_until(2)
    store.rows["a"] = worker("a", state="released")
    store.owners = {"x": "a"}
    watch.look_until(4)
    assert store.resumed == [("x", "a")]


def test_turn_that_the_database_ended() -> None:
    """A watchdog whose turn the database has ended resumes nothing, because another may do it."""

    class Ended(Turn):
        def check(self) -> None:
            raise StoreError("The store cannot be reached: idle")

    store = MemoryStore()
    store.given_turn = Ended(None)
    store.rows["a"] = worker("a", state="released")
    watch = Watch(store)
    store.owners = {"x": "a"}
    with pytest.raises(StoreError, match="idle"):
        watch.look_once()
    assert store.resumed == []


def test_old_workers_are_forgotten() -> None:
    """Workers that ended more than seven days ago are removed from the table."""
    store = MemoryStore()
    Watch(store).look_until(0)
    assert store.forgotten == [NOW - timedelta(days=7)]
