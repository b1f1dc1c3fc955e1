"""Schedules: each tick is started once, and of missed ones the last."""

from datetime import UTC, datetime, timedelta

import pytest

from losant_tokens import policy
from losant_tokens.fleet._cron import Cron
from losant_tokens.fleet._schedules import Schedule, Scheduler, schedules_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOURLY = Schedule(account="a", cleanup="c", cron=Cron.parse("hourly"))


class Store:
    """The last ticks and the started runs, for all workers of a test."""

    def __init__(self) -> None:
        self.ticks: dict[str, datetime] = {}
        self.started: list[tuple[str, str]] = []
        self.is_down = False
        self.unfinished: str | None = None

    def last_tick(self, schedule: str, since: datetime) -> datetime:
        return self.ticks.setdefault(schedule, since)

    def record_tick(self, schedule: str, tick: datetime) -> None:
        if self.is_down:
            raise ConnectionError
        self.ticks[schedule] = max(self.ticks[schedule], tick)

    def start(self, schedule: Schedule, tick: datetime) -> str | None:
        if self.unfinished is None:
            self.started.append((schedule.account, f"{tick:%H:%M}"))
        return self.unfinished

    def worker(self, *schedules: Schedule) -> Scheduler:
        return Scheduler(schedules, self.start)


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_each_tick_once_over_all_workers() -> None:
    """Two workers start each tick once, and a new schedule starts nothing for the time before."""
    store = Store()
    workers = [store.worker(HOURLY), store.worker(HOURLY)]
    for minute in range(1, 130, 7):
        for worker in workers:
            worker.run(store, at(minute))
    assert store.started == [("a", "13:00"), ("a", "14:00")]


def test_missed_ticks() -> None:
    """After a time without workers, only the latest missed tick is started, and then the next."""
    store = Store()
    store.worker(HOURLY).run(store, NOON)
    late = store.worker(HOURLY)
    for minute in (200, 210, 239, 240):
        late.run(store, at(minute))
    assert store.started == [("a", "15:00"), ("a", "16:00")]


def test_worker_that_dies_between_start_and_record() -> None:
    """A tick that was started and not recorded is started again, with the same time."""
    store = Store()
    store.worker(HOURLY).run(store, NOON)
    store.is_down = True
    with pytest.raises(ConnectionError):
        store.worker(HOURLY).run(store, at(61))
    store.is_down = False
    store.worker(HOURLY).run(store, at(62))
    assert store.started == [("a", "13:00")] * 2


def test_unfinished_run(caplog: pytest.LogCaptureFixture) -> None:
    """A tick is skipped with one line while an earlier run is not finished."""
    caplog.set_level("INFO", "losant_tokens")
    store = Store()
    worker = store.worker(HOURLY)
    worker.run(store, NOON)
    store.unfinished = "1f3a9c20"
    worker.run(store, at(61))
    store.unfinished = None
    for minute in (62, 119, 121):
        worker.run(store, at(minute))

    assert store.started == [("a", "14:00")]
    assert [record.getMessage().replace("2026-03-01T", "") for record in caplog.records] == [
        "Skipped c for a, which was due at 13:00:00+00:00: run 1f3a9c20 is not finished.",
        "Started c for a, which was due at 14:00:00+00:00.",
    ]


def test_changed_time() -> None:
    """A schedule with a new time starts nothing that was due before the change."""
    store = Store()
    store.worker(HOURLY).run(store, NOON)
    changed = Schedule(account="a", cleanup="c", cron=Cron.parse("30 * * * *"))
    worker = store.worker(changed)
    for minute in (59, 89, 91):
        worker.run(store, at(minute))
    assert store.started == [("a", "13:30")]


def test_clock_that_steps_back() -> None:
    """A database whose clock steps back does not start a tick again."""
    store = Store()
    worker = store.worker(HOURLY)
    for minute in (0, 61, -5, 1, 61):
        worker.run(store, at(minute))
        store.worker(HOURLY).run(store, at(minute))
    assert store.started == [("a", "13:00")]


def test_schedules_of_a_policy() -> None:
    """Each clean-up with a schedule has one for each account that it applies to."""
    select = policy.Selection(conditions={"expired": True})
    cleanups = [
        policy.Cleanup(
            name="weekly",
            select=select,
            max_changes=9,
            action="delete",
            schedule="weekly",
            time_zone="Europe/Berlin",
            accounts=("prod-*",),
        ),
        policy.Cleanup(name="never", select=select, max_changes=9, action="delete"),
    ]
    found = schedules_of(cleanups, ["prod-1", "test", "prod-2"])
    assert [one.name for one in found] == [
        "prod-1 weekly 0 0 * * 0 Europe/Berlin",
        "prod-2 weekly 0 0 * * 0 Europe/Berlin",
    ]
