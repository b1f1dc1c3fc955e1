"""`Membership`: the place of a worker in the fleet, from its registration to its release."""

import asyncio
import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from losant_tokens._utils.secret import Secret
from losant_tokens._version import __version__
from losant_tokens.fleet._errors import StoreError, WorkerRefused
from losant_tokens.fleet._workers.lease import (
    Clock,
    Lease,
    LeaseLost,
    Reading,
    SilenceObserver,
    Timing,
    read_clocks,
)
from losant_tokens.fleet._workers.watchdog import Watchdog, WorkQueue, reassign_work
from losant_tokens.fleet._workers.worker_id import Identity, lock_database
from losant_tokens.fleet._workers.worker_record import Boot, Worker
from losant_tokens.fleet._workers.worker_table import WorkerTable

_log = logging.getLogger("losant_tokens")

_POLL = 0.2  # seconds between two checks of the state of the lease
_STOP_WITHIN = 10.0  # seconds. The engine may repeat a call for as long as the store is down.


class Membership:
    """The place of a worker in the fleet. Enter it before the engine starts.

    `async with` registers the worker, gives the work of its last start back to the queue, and
    starts the heartbeats and the watchdog. At the end of the block, when the engine has stopped,
    the worker gives its work back, so that others continue at once.

    A worker that is killed and starts again gets its place back at once if it finds the lock file
    of its id on the same machine. Elsewhere, for example in a new container, it first waits
    `Timing.dead_after` for a heartbeat of another worker with its id.

    Args:
        url: The URL of the store: a PostgreSQL database or an SQLite file.
        folder: A folder that is the same after a restart, such as the state folder.
        queue: The work of the fleet.
        worker_id: The id of the worker. Default: the name of this machine and a random part, which
            the folder keeps.
        on_round: Called in each round of the watchdog with the time of the database, in a thread,
            while the lease is held.
        timing: The time spans. All workers of a fleet must use the same ones.
        version: The version of this release.
        clock: The clocks.
    """

    def __init__(
        self,
        url: Secret,
        folder: Path,
        queue: WorkQueue,
        *,
        worker_id: str | None = None,
        on_round: Callable[[WorkerTable, datetime], None] | None = None,
        timing: Timing | None = None,
        version: str = __version__,
        clock: Clock = read_clocks,
    ) -> None:
        self._timing = timing or Timing()
        self._table = WorkerTable(url.reveal(), turn_timeout=self._timing.dead_after)
        self._folder = folder
        self._queue = queue
        self._wanted_id = worker_id
        self._on_round = on_round
        self._version = version
        self._clock = clock
        self._stop = threading.Event()
        self._threads: tuple[threading.Thread, ...] = ()
        self._pulses: dict[asyncio.AbstractEventLoop, Reading] = {}
        self._held: dict[object, str] = {}
        self._database_lock: int | None = None
        self._identity: Identity | None = None
        self._boot: Boot
        self._lease: Lease

    # --- For the engine ----------------------------------------------------------------------

    @property
    def worker_id(self) -> str:
        """The id of this worker, which is the same after each start."""
        return self._boot.id

    @property
    def process(self) -> str:
        """A random string of this start of the worker."""
        return self._boot.nonce

    def is_live(self, process: str) -> bool:
        """Return whether a start of a worker has a place in the fleet. It blocks.

        Once it has lost its place, it never gets it back. Then it changes no token.

        Args:
            process: The random string of the start.

        Raises:
            StoreError: The database cannot be reached.
        """
        return self._table.is_live(process)

    def works_on(self, owner: str, work: str) -> bool:
        """Return whether a live process works on a run. It blocks.

        Args:
            owner: The owner of the run, which begins with the string of a process and a dot.
            work: The id of the run.

        Raises:
            StoreError: The database cannot be reached.
        """
        process, _, _ = owner.rpartition(".")
        if process == self.process:
            return work in self._held.copy().values()
        return bool(process) and self.is_live(process)

    def may_change(self) -> bool:
        """Return whether this worker may send a change now. It never waits."""
        return self._lease.may_change()

    @property
    def is_lost(self) -> bool:
        """Whether another worker has taken over, so that this process must end."""
        return self._lease.state == "lost"

    async def held(self) -> None:
        """Wait until the lease is held. Call it before each piece of work, and when one is refused.

        Raises:
            LeaseLost: Another worker has taken over.
        """
        while not self._lease.may_change():
            if self.is_lost:
                raise self._lost_error()
            await anyio.sleep(_POLL)

    async def lost(self) -> None:
        """Wait until another worker has taken over. Then this process must end.

        Raises:
            LeaseLost: Always, unless it is cancelled.
        """
        while not self.is_lost:  # noqa: ASYNC110 -- threads of any event loop may wait
            await anyio.sleep(_POLL)
        raise self._lost_error()

    @contextmanager
    def holding(self, work: str) -> Iterator[None]:
        """Name the work of the block, which is an orphan if the lease is lost meanwhile.

        Args:
            work: A name for people, such as the id of a run.
        """
        key = object()
        self._held[key] = work
        try:
            yield
        finally:
            del self._held[key]

    @property
    def orphans(self) -> tuple[str, ...]:
        """The work that this process still holds although another worker has taken it over."""
        return tuple(sorted(self._held.copy().values())) if self.is_lost else ()

    def watch_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop the heartbeats if an event loop hangs. The loop that enters is watched already.

        Args:
            loop: The event loop, such as that of the engine.
        """
        self._pulses[loop] = self._clock()

    # --- Entering and leaving ----------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(self._lock)
        try:
            await self._register()
        except BaseException:
            self._unlock()
            raise
        self.watch_loop(asyncio.get_running_loop())
        self._threads = (
            threading.Thread(target=self._beat, name="fleet-heartbeat", daemon=True),
            threading.Thread(target=self._watch, name="fleet-watchdog", daemon=True),
        )
        for thread in self._threads:
            thread.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._leave)

    def _lock(self) -> None:
        try:
            # This lock comes first, because no other name helps a second worker of an SQLite file.
            if self._table.path is not None:
                self._database_lock = lock_database(self._table.path)
            name = self._table.name
            self._identity = Identity.acquire(self._folder, self._wanted_id, store=name)
            self._boot = Boot(
                id=self._identity.id,
                nonce=secrets.token_hex(16),
                place=self._identity.place,
                host=self._identity.host,
                process=os.getpid(),
                version=self._version,
            )
            self._table.create()
        except BaseException:
            self._unlock()
            raise

    def _unlock(self) -> None:
        self._table.close()
        if self._database_lock is not None:
            os.close(self._database_lock)
        if self._identity is not None:
            self._identity.release()

    async def _register(self) -> None:
        """Register, after waiting for a sign of life of another worker with the same id."""
        observer = SilenceObserver(longest_gap=2 * self._timing.heartbeat)
        first: Worker | None = None
        while True:
            lease, found = await anyio.to_thread.run_sync(self._try_to_register, observer, first)
            if lease is not None:
                self._lease = lease
                return
            if first is None and found is not None:
                first = found
                _log.warning(
                    "A worker with the name %s may be running on %s (process %d). Waiting %.0f s "
                    "for its heartbeat.",
                    found.id,
                    found.host,
                    found.process,
                    self._timing.dead_after,
                )
            await anyio.sleep(self._timing.heartbeat)

    def _try_to_register(
        self, observer: SilenceObserver, first: Worker | None
    ) -> tuple[Lease | None, Worker | None]:
        """Register if nobody else can have the id.

        Returns:
            The lease if the worker is registered, and the worker that may have its id.

        Raises:
            WorkerRefused: Another worker with the id has sent a heartbeat.
        """
        _, workers = self._table.workers()
        found = next((one for one in workers if one.id == self._boot.id), None)
        if found is not None and found.state == "live" and not self._is_mine(found):
            observer.look({found.id: found.heartbeat}, self._clock().steady)
            if first is not None and first.heartbeat != found.heartbeat:
                raise WorkerRefused(
                    f"Another worker with the name {found.id} is running on {found.host} (process "
                    f"{found.process}). Stop it, or choose another name."
                )
            if not observer.silent_for(self._timing.dead_after):
                return None, found
        with self._table.turn() as turn:
            sent = self._clock()
            # If the turn is taken, a watchdog may be reassigning work of this id.
            if turn is None or not self._table.register(self._boot, found):
                return None, None
            # Nothing of this start is in progress yet, so all of it belongs to the last start.
            reassign_work(self._queue, lambda worker: worker == self._boot.id, turn.check)
        return Lease(sent, self._timing, self._clock), None

    def _is_mine(self, found: Worker) -> bool:
        """Return whether a worker was an earlier process at this place, so that it is dead."""
        return self._database_lock is not None or found.place == self._boot.place

    def _leave(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(_STOP_WITHIN)
        try:
            with suppress(StoreError):  # The watchdogs of the others find it silent.
                self._give_back()
        finally:
            self._lease.lose()
            self._unlock()

    def _give_back(self) -> None:
        if self.is_lost:
            return
        # The lease ends first. The engine gives up on work that does not stop in time, and others
        # can begin the same work now.
        self._lease.lose()
        if not self._table.release(self._boot):
            return
        with self._table.turn() as turn:
            if turn is not None:  # Otherwise, the one that has the turn finds the work.
                reassign_work(self._queue, lambda worker: worker == self._boot.id, turn.check)

    # --- The threads -------------------------------------------------------------------------

    def _beat(self) -> None:
        """Send heartbeats until the worker stops or is fenced."""
        problem = ""
        while not self._stop.wait(self._timing.heartbeat) and not self.is_lost:
            before, problem = problem, self._beat_once()
            if problem and not before:
                _log.warning("No heartbeat was sent, so no token is changed: %s", problem)
            elif before and not problem and not self.is_lost:
                _log.warning("Heartbeats are sent again, so the work continues.")

    def _beat_once(self) -> str:
        """Send a heartbeat, and return the problem; an empty string if there is none."""
        if self._is_hanging():
            return f"an event loop has been busy for {self._timing.hung_after:.0f} s"
        sent = self._clock()
        try:
            is_live = self._table.beat(self._boot)
        except Exception as error:  # noqa: BLE001 -- the next heartbeat must be sent in any case
            return str(error) or type(error).__name__
        if is_live:
            self._lease.confirm(sent)
        else:
            self._lose()
        return ""

    def _is_hanging(self) -> bool:
        """Return whether a watched event loop shows no sign of life, and ask all for the next."""
        now = self._clock()
        for loop in tuple(self._pulses):
            try:
                loop.call_soon_threadsafe(self._pulse, loop)
            except RuntimeError:  # It is closed.
                self._pulses.pop(loop, None)
        return any(
            now.steady - pulse.steady > self._timing.hung_after
            for pulse in tuple(self._pulses.values())
        )

    def _pulse(self, loop: asyncio.AbstractEventLoop) -> None:
        self._pulses[loop] = self._clock()

    def _lose(self) -> None:
        self._lease.lose()
        orphans = self.orphans
        _log.error(
            "%s%s", self._lost_error(), f" It still held: {', '.join(orphans)}." if orphans else ""
        )
        with suppress(StoreError):
            self._table.record_orphans(self._boot, orphans)

    def _lost_error(self) -> LeaseLost:
        return LeaseLost(
            f"The worker {self._boot.id} sent no heartbeat in time, and its work was "
            f"reassigned. It can no longer change tokens. Start it again."
        )

    def _watch(self) -> None:
        """Watch the other workers until this one stops or is fenced."""
        watchdog = Watchdog(
            self._boot.id,
            self._table,
            self._queue,
            self._lease,
            timing=self._timing,
            clock=self._clock,
            is_only_worker=self._database_lock is not None,
        )
        problem = ""
        while not self._stop.wait(self._timing.watch) and not self.is_lost:
            before, problem = problem, self._watch_once(watchdog)
            if problem and not before:
                _log.warning("The watchdog failed, and tries again: %s", problem)

    def _watch_once(self, watchdog: Watchdog) -> str:
        """Look at the other workers, and return the problem; an empty string if there is none."""
        try:
            now = watchdog.look()
            if self._on_round is not None and self._lease.may_change():
                self._on_round(self._table, now)
        except Exception as error:  # noqa: BLE001 -- the next look must happen in any case
            return str(error) or type(error).__name__
        return ""
