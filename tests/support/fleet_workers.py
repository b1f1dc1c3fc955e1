"""A table of workers and a queue in memory, and workers whose time is simulated."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import attrs

from losant_tokens.fleet._workers.lease import Heartbeat, Lease, Reading, Timing
from losant_tokens.fleet._workers.watchdog import Watchdog
from losant_tokens.fleet._workers.worker_record import Worker, WorkerState
from losant_tokens.fleet._workers.worker_table import Turn

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def worker(
    name: str = "a",
    *,
    boot: str = "1",
    beats: int = 0,
    state: WorkerState = "live",
    **others: object,
) -> Worker:
    """Return a worker in the store."""
    values: dict[str, object] = {
        "host": f"host-{name}",
        "process": 7,
        "version": "1.0",
        "started_at": NOW,
        "heartbeat_at": NOW,
        "ended_at": None if state == "live" else NOW,
        "heartbeat": Heartbeat(boot=boot, beats=beats),
    }
    return Worker(id=name, state=state, **{**values, **others})  # type: ignore[arg-type]


class StoreDownError(Exception):
    """The store cannot be reached."""


class MemoryStore:
    """A table of workers and a queue of workflows in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, Worker] = {}
        self.owners: dict[str, str | None] = {}
        """The id of the worker of each workflow; None for those in the queue."""
        self.resumed: list[tuple[str, str | None]] = []
        self.is_down = False
        self.turn_is_taken = False
        self.given_turn = Turn(None)
        self.forgotten: list[datetime] = []

    # The table of workers

    def workers(self) -> tuple[datetime, tuple[Worker, ...]]:
        self._check()
        return NOW, tuple(self.rows.values())

    @contextmanager
    def turn(self) -> Iterator[Turn | None]:
        self._check()
        yield None if self.turn_is_taken else self.given_turn

    def fence(self, worker: str, heartbeat: Heartbeat) -> bool:
        self._check()
        row = self.rows[worker]
        if row.state != "live" or row.heartbeat != heartbeat:
            return False
        self.rows[worker] = attrs.evolve(row, state="fenced", ended_at=NOW)
        return True

    def beat(self, worker: str, boot: str) -> bool:
        self._check()
        row = self.rows[worker]
        if row.state != "live" or row.heartbeat.boot != boot:
            return False
        beats = row.heartbeat.beats + 1
        self.rows[worker] = attrs.evolve(row, heartbeat=Heartbeat(boot=boot, beats=beats))
        return True

    def forget(self, ended_before: datetime) -> None:
        self._check()
        self.forgotten.append(ended_before)

    # The queue

    def pending(self) -> Mapping[str, Collection[str]]:
        self._check()
        found: dict[str, list[str]] = {}
        for workflow, owner in self.owners.items():
            if owner is not None:
                found.setdefault(owner, []).append(workflow)
        return found

    def resume(self, workflow: str) -> None:
        self._check()
        self.resumed.append((workflow, self.owners[workflow]))
        self.owners[workflow] = None

    def _check(self) -> None:
        if self.is_down:
            raise StoreDownError


class SimulatedClocks:
    """The clocks of a machine, which differ from the true time."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.time = 0.0
        self.steady_lag = 0.0
        self.wall_error = 0.0

    def __call__(self) -> Reading:
        steady = self.time * self.rate - self.steady_lag
        return Reading(1000 + steady, self.time * self.rate + self.wall_error)


class SimulatedWorker:
    """A worker with the real lease and the real watchdog, on simulated clocks and a store."""

    def __init__(self, name: str, store: MemoryStore, timing: Timing, rate: float) -> None:
        self.id = name
        self.store = store
        self.timing = timing
        self.clocks = SimulatedClocks(rate)
        self.stopped_until = 0.0
        self.cut_off_until = 0.0
        self.delay = 0.0
        self.work: set[str] = set()
        self._boots = 0
        self.start()

    def start(self) -> None:
        """Register a new boot, which replaces the one before."""
        self._boots += 1
        self.boot = f"{self.id}{self._boots}"
        self.work = set()
        self.store.rows[self.id] = worker(self.id, boot=self.boot)
        for workflow in self.store.pending().get(self.id, ()):
            self.store.resume(workflow)
        self.lease = Lease(self.clocks(), self.timing, self.clocks)
        self._watchdog = Watchdog(
            self.id, self.store, self.store, self.lease, timing=self.timing, clock=self.clocks
        )
        self._next_beat = self._next_look = self.clocks.time
        self._arrives: tuple[float, Reading] | None = None
        self._response: tuple[float, Reading, bool] | None = None

    def step(self, now: float) -> None:
        """Do what is due at a time, unless the process is stopped."""
        self.clocks.time = now
        self._deliver(now)
        if now < self.stopped_until:
            return
        if self._response is not None and self._response[0] <= now:
            _, sent, is_live = self._response
            self._response = None
            self.lease.confirm(sent) if is_live else self.lease.lose()
        if now >= self._next_beat and self._arrives is None and self._response is None:
            self._next_beat = now + self.timing.heartbeat
            self._arrives = (now + self.delay, self.clocks())
        if now >= self._next_look and now >= self.cut_off_until:
            self._next_look = now + self.timing.watch
            with suppress(StoreDownError):
                self._watchdog.look()
        self._take_work(now)

    def _deliver(self, now: float) -> None:
        """Let the heartbeat arrive at the store, even while the process is stopped."""
        if self._arrives is not None and self._arrives[0] <= now:
            arrives, sent = self._arrives
            self._arrives = None
            if now >= self.cut_off_until and not self.store.is_down:
                is_live = self.store.beat(self.id, self.boot)
                self._response = (arrives + self.delay, sent, is_live)

    def _take_work(self, now: float) -> None:
        if self.store.is_down or now < self.cut_off_until:
            return
        for workflow, owner in self.store.owners.items():
            if owner is None and self.lease.may_change():
                self.store.owners[workflow] = self.id
                self.work.add(workflow)
                return
