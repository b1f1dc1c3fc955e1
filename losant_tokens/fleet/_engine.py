"""The engine: a durable queue of tasks, on DBOS. No other module imports it.

What the fleet needs of an engine is small: to enqueue a task in a transaction of ours, later if
wanted; to run each task at least once, at most one per partition at a time; and to run it again if
the worker died. So a task is one workflow without steps of its own. It is bound to no version of
the package, because everything that it remembers is in tables of ours: the state of the run, the
plan, and the intent and result of each chunk. A release can continue what another one began.

The alternatives were rejected: a workflow with a step for each chunk stores the plan and each
result a second time, and must have the same steps in each release; a workflow that sleeps until an
approval or a sweep is bound to the release that started it.

DBOS is a singleton in the process. It runs the tasks in an event loop in a thread of its own.
"""

import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from losant_tokens.fleet._errors import StoreError, WorkerRefused
from losant_tokens.fleet._store.database import SCHEMA, Database, raise_unchained
from losant_tokens.fleet._store.run_table import RUNS, Task
from losant_tokens.fleet._types import Phase

if TYPE_CHECKING:
    import sqlalchemy as sa
    from dbos import DBOSClient

Handler = Callable[[str, Phase, int], Awaitable[None]]
"""Run a task: the id of the run, the phase, and the number of the task."""

APPLICATION: Final = "losant-fleet"
QUEUE: Final = "losant-fleet"
WORKFLOW: Final = "losant_fleet_task"
VERSION: Final = "1"
"""The version of the tasks, which all releases share. Another number would need a migration."""

_ENDED: Final = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
_MAX_STARTS: Final = 100  # of one task. `resume` counts from zero, so runs have their own limit.
_PAGE: Final = 500  # tasks
_lock = threading.Lock()


class EngineClient:
    """Enqueues tasks, and asks for their state. All of its methods block.

    Args:
        database: The open database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._client: DBOSClient | None = None

    def open(self, *, upgrade: bool = False) -> None:
        """Create the tables of the engine if there are none.

        The engine is imported only if that is necessary, so that reading runs is quick.

        Args:
            upgrade: Whether to upgrade the tables of an earlier version, as workers do.

        Raises:
            StoreError: The store cannot be reached, or its tables cannot be created.
        """
        # The tables of runs are created last, so they show that all others are complete.
        if not upgrade and self._database.has_table(RUNS, SCHEMA):
            return
        from dbos import DBOS  # noqa: PLC0415 -- takes long

        quiet()
        with translated(self._database), self._database.alone():
            DBOS.migrate(self._database.place.url.reveal())

    def prepare(self) -> "DBOSClient":
        """Import the engine, which takes long, and return its client. It sends nothing."""
        with self._lock:
            if self._client is None:
                from dbos import DBOSClient, DBOSPortableJSONSerializer  # noqa: PLC0415 -- long

                quiet()
                self._client = DBOSClient(
                    system_database_engine=self._database.engine,
                    serializer=DBOSPortableJSONSerializer(),
                    application_name=APPLICATION,
                    lazy=True,
                    retry_connection_errors=False,
                )
            return self._client

    def close(self) -> None:
        """Close the engine. The database stays open."""
        if self._client is not None:
            self._client.destroy()
            self._client = None

    def enqueue(self, connection: "sa.Connection", task: Task) -> None:
        """Enqueue a task in a transaction. Enqueuing the same task twice is harmless.

        Call `prepare` before the transaction, so that it does not wait for an import.

        Args:
            connection: The connection that has the transaction.
            task: The task.
        """
        options: dict[str, Any] = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": task.id,
            "queue_partition_key": task.partition,
        }
        if task.delay:
            options["delay_seconds"] = task.delay.total_seconds()
        self.prepare().enqueue_in_transaction(
            connection,
            options,  # type: ignore[arg-type]  # mypy knows no TypedDict from parts
            task.run,
            task.phase,
            task.attempt,
        )

    def cancel(self, task_id: str) -> None:
        """Remove a task that was not begun from the queue. A task that is unknown is ignored.

        Raises:
            StoreError: The store cannot be reached.
        """
        with translated(self._database):
            self.prepare().cancel_workflow(task_id)

    def pending(self) -> dict[str, list[str]]:
        """Return the ids of the tasks in progress, by the ids of their workers.

        Raises:
            StoreError: The store cannot be reached.
        """
        with translated(self._database):
            found = self.prepare().list_workflows(
                status="PENDING", queue_name=QUEUE, load_input=False, load_output=False
            )
        tasks: dict[str, list[str]] = {}
        for one in found:
            tasks.setdefault(one.executor_id or "", []).append(one.workflow_id)
        return tasks

    def resume(self, task_id: str) -> None:
        """Give a task to another worker. A task that has ended stays as it is.

        Raises:
            StoreError: The store cannot be reached.
        """
        with translated(self._database):
            self.prepare().resume_workflow(task_id, queue_name=QUEUE)

    def ended(self, task_ids: Iterable[str]) -> set[str]:
        """Return which of these tasks have ended or do not exist.

        Raises:
            StoreError: The store cannot be reached.
        """
        ids = list(task_ids)
        if not ids:
            return set()
        with translated(self._database):
            found = self.prepare().list_workflows(
                workflow_ids=ids, load_input=False, load_output=False
            )
        known = {one.workflow_id: one.status for one in found}
        return {one for one in ids if known.get(one, "CANCELLED") in _ENDED}

    def busy(self, run_ids: Iterable[str]) -> set[str]:
        """Return which of these runs have an unfinished task.

        Raises:
            StoreError: The store cannot be reached.
        """
        with translated(self._database):
            return {run for run, _, has_ended in self._tasks_of(run_ids) if not has_ended}

    def forget_runs(self, run_ids: Iterable[str]) -> None:
        """Remove the finished tasks of runs.

        Raises:
            StoreError: The store cannot be reached.
        """
        with translated(self._database):
            tasks = [task for _, task, has_ended in self._tasks_of(run_ids) if has_ended]
            if tasks:
                self.prepare().delete_workflows(tasks)

    def _tasks_of(self, run_ids: Iterable[str]) -> list[tuple[str, str, bool]]:
        """Return the run and the id of each task of some runs, and whether the task has ended."""
        prefixes = [f"{run_id}-" for run_id in run_ids]
        if not prefixes:
            return []
        found = self.prepare().list_workflows(
            name=WORKFLOW, workflow_id_prefix=prefixes, load_input=False, load_output=False
        )
        return [
            (one.workflow_id.partition("-")[0], one.workflow_id, one.status in _ENDED)
            for one in found
        ]

    def forget(self, ended_before: datetime) -> int:
        """Remove tasks that ended before a time, and return their number.

        The engine keeps them forever, and nobody reads them: runs have their own tables.

        Raises:
            StoreError: The store cannot be reached.
        """
        client, count = self.prepare(), 0
        with translated(self._database):
            while found := client.list_workflows(
                name=WORKFLOW,
                status=sorted(_ENDED),
                completed_before=ended_before.isoformat(),
                limit=_PAGE,
                load_input=False,
                load_output=False,
            ):
                client.delete_workflows([one.workflow_id for one in found])
                count += len(found)
        return count


class Engine:
    """Runs tasks in this process. Only one can run at a time. All of its methods block.

    Args:
        database: The open database.
        worker: The id of the worker. Tasks that it began before a crash are run again.
        handler: Runs a task.
        concurrency: The maximum number of tasks of this worker at a time.
        fleet_concurrency: The maximum number of tasks of all workers at a time; `None` for no
            limit.
        interval: The time between two polls for tasks, in seconds.
    """

    def __init__(
        self,
        database: Database,
        worker: str,
        handler: Handler,
        *,
        concurrency: int,
        fleet_concurrency: int | None = None,
        interval: float = 1.0,
    ) -> None:
        self._database = database
        self._worker = worker
        self._handler = handler
        self._concurrency = concurrency
        self._fleet_concurrency = fleet_concurrency
        self._interval = interval

    def launch(self) -> None:
        """Start running tasks.

        Raises:
            StoreError: The store cannot be reached.
            WorkerRefused: Another engine runs in this process.
        """
        from dbos import DBOS, DBOSPortableJSONSerializer  # noqa: PLC0415 -- takes a second

        if not _lock.acquire(blocking=False):
            raise WorkerRefused(
                "Another worker runs in this process, and a process can have only one. Start the "
                "second one in a process of its own."
            )
        quiet()
        handler = self._handler

        async def task(run_id: str, phase: Phase, attempt: int) -> None:
            await handler(run_id, phase, attempt)

        try:
            DBOS(
                config={
                    "name": APPLICATION,
                    "system_database_url": self._database.place.url.reveal(),
                    "system_database_engine": self._database.engine,
                    "executor_id": self._worker,
                    "application_version": VERSION,
                    "serializer": DBOSPortableJSONSerializer(),
                    "enable_otlp": False,
                    "log_level": "WARNING",
                }
            )
            DBOS.workflow(name=WORKFLOW, max_recovery_attempts=_MAX_STARTS)(task)
            with translated(self._database):
                DBOS.launch()
                DBOS.register_queue(
                    QUEUE,
                    worker_concurrency=self._concurrency,
                    global_concurrency=self._fleet_concurrency,
                    partition_concurrency=1,
                    polling_interval_sec=self._interval,
                    on_conflict="always_update",
                )
        except BaseException:
            self.stop()
            raise

    def stop(self, timeout: int = 0) -> None:
        """Stop running tasks.

        Args:
            timeout: How long to wait for the end of running tasks, in seconds.
        """
        from dbos import DBOS  # noqa: PLC0415 -- takes a second

        try:
            DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=timeout)
        finally:
            _lock.release()


def quiet() -> None:
    """Keep the engine from printing. Its warnings go to the handlers of the application."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)


@contextmanager
def translated(database: Database) -> Iterator[None]:
    """Raise a `StoreError` for each error of the database or of the engine."""
    from dbos import error as engine_errors  # noqa: PLC0415 -- takes a second

    problem = ""
    with database.translated_errors():
        try:
            yield
        except engine_errors.DBOSException as error:
            problem = str(error).splitlines()[0]
    if problem:
        raise_unchained(StoreError(f"The store {database.place.name} cannot be used: {problem}"))
