"""The watchdog: find dead workers, fence them, and reassign their work.

Each worker has one. A worker that several watchdogs find dead is fenced once, because one process
at a time has the turn. `lease` explains why a fenced worker can no longer change tokens.

Work belongs to a dead worker if it is in progress under an id that is not live. That includes the
work that a worker takes after it was fenced, for example when it was stopped and wakes up, and the
work of a worker that is not in the table. A worker is registered, during a turn, before it starts
any work. So no such id can have a lease.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol

from losant_tokens.fleet._workers.lease import Clock, Heartbeat, Lease, SilenceObserver, Timing
from losant_tokens.fleet._workers.worker_record import Worker
from losant_tokens.fleet._workers.worker_table import Turn

_log = logging.getLogger("losant_tokens")

_KEEP = timedelta(days=7)  # how long workers that ended stay in the table, for people


class WorkQueue(Protocol):
    """The work of the fleet, as the engine keeps it. The watchdog calls it in a thread."""

    def pending(self) -> Mapping[str, Collection[str]]:
        """Return the ids of the workflows in progress, by the ids of their workers."""
        ...

    def resume(self, workflow: str) -> None:
        """Give a workflow to another worker. A workflow that has ended stays as it is."""
        ...


class Workers(Protocol):
    """The part of the table of workers that a watchdog needs."""

    def workers(self) -> tuple[datetime, tuple[Worker, ...]]:
        """Return the time of the database, and the workers."""
        ...

    def turn(self) -> AbstractContextManager[Turn | None]:
        """Take the turn, or return None if another process has it."""
        ...

    def fence(self, worker: str, heartbeat: Heartbeat) -> bool:
        """Fence a worker, unless it has sent another heartbeat."""
        ...

    def forget(self, ended_before: datetime) -> None:
        """Remove workers that ended before a time."""
        ...


class TurnEnded(Exception):  # noqa: N818 -- no error: the others go on
    """This worker may no longer decide who is alive, because its own lease is late."""


class Watchdog:
    """The watchdog of one worker.

    Args:
        worker: The id of the worker.
        workers: The table of workers.
        queue: The work of the fleet.
        lease: The lease of the worker.
        timing: The time spans.
        clock: The clocks.
        is_only_worker: Whether no other worker can be alive, because the store is an SQLite file
            that this process has locked.
    """

    def __init__(
        self,
        worker: str,
        workers: Workers,
        queue: WorkQueue,
        lease: Lease,
        *,
        timing: Timing,
        clock: Clock,
        is_only_worker: bool = False,
    ) -> None:
        self._worker = worker
        self._workers = workers
        self._queue = queue
        self._lease = lease
        self._timing = timing
        self._clock = clock
        self._is_only_worker = is_only_worker
        self._observer = SilenceObserver(longest_gap=2 * timing.watch)
        self._ended: frozenset[str] | None = None
        self._scanned_at: float | None = None

    def look(self) -> datetime:
        """Look at the workers once, and reassign the work of those that are dead.

        Returns:
            The time of the database.

        Raises:
            StoreError: The store cannot be reached.
        """
        now, workers = self._workers.workers()
        others = {one.id: one.heartbeat for one in workers if self._is_live_other(one)}
        steady = self._clock().steady
        self._observer.look(others, steady)
        dead = others if self._is_only_worker else self._silent()
        ended = frozenset(one.heartbeat.boot for one in workers if one.state != "live")
        is_due = self._scanned_at is None or steady - self._scanned_at >= self._timing.scan
        if (dead or ended != self._ended or is_due) and self._lease.may_change():
            with self._workers.turn() as turn:
                if turn is not None:
                    try:
                        self._decide(turn, dead, now)
                    except TurnEnded:
                        return now
            # If another watchdog has the turn, it does the same now.
            self._ended, self._scanned_at = ended, steady
        return now

    def _is_live_other(self, worker: Worker) -> bool:
        return worker.state == "live" and worker.id != self._worker

    def _silent(self) -> dict[str, Heartbeat]:
        return self._observer.silent_for(self._timing.dead_after)

    def _decide(self, turn: Turn, dead: Mapping[str, Heartbeat], now: datetime) -> None:
        for worker, heartbeat in dead.items():
            self._check(turn)
            if self._workers.fence(worker, heartbeat):
                _log.warning(
                    "The worker %s sent no heartbeat for %.0f s, so its work is reassigned.",
                    worker,
                    self._observer.seconds_silent(worker),
                )
        _, workers = self._workers.workers()
        live = {one.id for one in workers if one.state == "live"}
        reassign_work(self._queue, lambda worker: worker not in live, lambda: self._check(turn))
        self._workers.forget(now - _KEEP)

    def _check(self, turn: Turn) -> None:
        """Check that this worker may still decide: a stopped one has lost its turn when it wakes.

        The database keeps the turn of a stopped process longer than the lease. So the turn cannot
        have ended while the lease is held.
        """
        if not self._lease.may_change():
            raise TurnEnded
        turn.check()


def reassign_work(
    queue: WorkQueue, is_dead: Callable[[str], bool], check: Callable[[], None] = lambda: None
) -> int:
    """Reassign the work of dead workers, and return the number of workflows.

    Args:
        queue: The work of the fleet.
        is_dead: Whether the worker with an id is dead.
        check: Called before each workflow. It raises an error if this process may not continue.
    """
    count = 0
    for worker, workflows in queue.pending().items():
        if is_dead(worker):
            for workflow in workflows:
                check()
                queue.resume(workflow)
                count += 1
            _log.info("Reassigned from worker %s: %s.", worker, ", ".join(sorted(workflows)))
    return count
