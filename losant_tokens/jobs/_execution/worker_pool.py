"""The workers of a job: each handles one token after the other, until the job ends."""

from collections.abc import Awaitable, Callable

import anyio
import attrs

from losant_tokens.jobs._errors import JournalError
from losant_tokens.jobs._execution.progress import ProgressReporter
from losant_tokens.jobs._execution.token_executor import Executor
from losant_tokens.jobs._throttle.throttle import GaveUpError, StoppedError

_CHECKPOINT_INTERVAL = 1.0  # seconds between two fsyncs of the journal


@attrs.define(eq=False)
class WorkerPool:
    """Workers that execute the tokens of the queue.

    The number of workers follows the concurrency limit of the throttle. Background tasks report
    the progress, fsync the journal and grant slots.

    Attributes:
        executor: The executor.
        progress: The reporter of the progress.
        grace: How long requests in flight may continue after a stop, in seconds.
        gave_up: Why the job gave up, or `None`.
    """

    executor: Executor
    progress: ProgressReporter
    grace: float
    gave_up: str | None = None
    _failure: Exception | None = None
    _is_interrupted: bool = False  # a token in progress was not finished
    _workers: int = 0
    _scopes: set[anyio.CancelScope] = attrs.field(factory=set)
    _all_workers_ended: anyio.Event = attrs.field(factory=anyio.Event)

    async def run(self, stop: anyio.Event | None, abort: anyio.Event | None) -> None:
        """Execute all tokens of the queue, unless the job ends early.

        Args:
            stop: Stops the job. Requests in flight are finished.
            abort: Ends the job without a grace period.

        Raises:
            LosantError: An error that every other token would have had, too.
        """
        try:
            await self._run(stop, abort)
        finally:
            self.progress.report()

    async def _run(self, stop: anyio.Event | None, abort: anyio.Event | None) -> None:
        async with anyio.create_task_group() as group:
            for task in (
                self.progress.run,
                self._checkpoint_journal,
                self.executor.throttle.serve_queue,
            ):
                group.start_soon(self._run_in_background, task)
            for event, react in ((stop, self._stop), (abort, self._abort)):
                if event is not None:
                    group.start_soon(self._react, event, react)
            try:
                if stop is None or not stop.is_set():
                    self._start_workers(group)
                    await self._all_workers_ended.wait()
            finally:
                self._stop()
            group.cancel_scope.cancel()
        await self._finish()
        if self._failure is not None:
            raise self._failure

    async def _finish(self) -> None:
        """Record the results that were held back until the end.

        Raises:
            Forbidden: All tokens of this run are forbidden.
        """
        if isinstance(self._failure, JournalError):
            return  # nothing can be recorded
        is_complete = (
            not self._is_interrupted and self._failure is None and self.executor.queue.is_empty
        )
        try:
            await self.executor.held_back.finish(is_complete=is_complete)
        except GaveUpError as error:
            self.gave_up = str(error)
        finally:
            self.executor.journal.flush()

    # --- Workers -----------------------------------------------------------------------------

    def _start_workers(self, group: anyio.abc.TaskGroup) -> None:
        while self._workers < self.executor.throttle.max_workers:
            self._workers += 1
            group.start_soon(self._run_worker, group)
        self.progress.workers = self._workers

    async def _run_worker(self, group: anyio.abc.TaskGroup) -> None:
        """Run a worker, and handle its error.

        It is shielded, so that requests in flight have a grace period if the job is cancelled.
        """
        with anyio.CancelScope(shield=True) as scope:
            self._scopes.add(scope)
            try:
                await self._work(group)
            except StoppedError:
                self._is_interrupted = True
            except GaveUpError as error:
                self._is_interrupted = True
                self.gave_up = self.gave_up or str(error)
                self._stop()
            except Exception as error:  # noqa: BLE001 -- raised when all workers have ended
                self._fail(error)
            finally:
                self._scopes.discard(scope)
        self._is_interrupted |= scope.cancelled_caught
        self._workers -= 1
        self.progress.workers = self._workers
        if self._workers == 0:
            self._all_workers_ended.set()

    async def _work(self, group: anyio.abc.TaskGroup) -> None:
        """Execute one item after the other, until none is left or there are too many workers."""
        queue, throttle = self.executor.queue, self.executor.throttle
        while (item := await queue.next()) is not None:
            await self.executor.execute(item)
            max_workers = throttle.max_workers
            if self._workers > max_workers:
                return
            if self._workers < max_workers and not queue.is_empty:
                self._start_workers(group)

    # --- The end of the job ------------------------------------------------------------------

    def _stop(self) -> None:
        """Stop starting work, and give requests in flight a grace period."""
        if self.executor.throttle.is_stopping:
            return
        self.executor.throttle.stop()
        deadline = anyio.current_time() + self.grace
        for scope in self._scopes:
            scope.deadline = deadline

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._stop()

    def _abort(self) -> None:
        """Stop starting work, and cancel the requests in flight."""
        self._stop()
        for scope in self._scopes:
            scope.cancel()

    async def _react(self, event: anyio.Event, react: Callable[[], None]) -> None:
        await event.wait()
        react()

    async def _checkpoint_journal(self) -> None:
        while True:
            await anyio.sleep(_CHECKPOINT_INTERVAL)
            await self.executor.journal.checkpoint()

    async def _run_in_background(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run a background task; abort the job if it fails."""
        try:
            await task()
        except Exception as error:  # noqa: BLE001 -- raised when all workers have ended
            self._fail(error)
