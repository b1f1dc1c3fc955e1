"""Apply a plan: at a pace of its own, with an outcome for each token, and safe to interrupt.

`executor` executes the action on one token, `_throttle` decides when a request is sent. This module
has the workers that take one token after the other, and the ways in which a job ends.
"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import attrs

from losant_tokens import AsyncClient
from losant_tokens import _validators as validators
from losant_tokens._adaptive_rate import Rate
from losant_tokens._retry import may_retry_in_job
from losant_tokens.errors import LosantError
from losant_tokens.jobs._errors import JournalError, PlanRefused
from losant_tokens.jobs._execution.executor import Executor
from losant_tokens.jobs._execution.job_failed import JobFailed
from losant_tokens.jobs._execution.job_files import JobFiles
from losant_tokens.jobs._execution.journal import Journal
from losant_tokens.jobs._execution.progress import Listener, ProgressReporter, report_check
from losant_tokens.jobs._execution.queue import WorkQueue
from losant_tokens.jobs._plan.account import AccountCheck, check_account
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._report.report import Report
from losant_tokens.jobs._states import States
from losant_tokens.jobs._throttle.circuit_breaker import CircuitBreaker
from losant_tokens.jobs._throttle.concurrency import AdaptiveConcurrency
from losant_tokens.jobs._throttle.throttle import (
    GaveUpError,
    StoppedError,
    Throttle,
    describe,
)
from losant_tokens.jobs._types import Progress, settled

OnProgress = Callable[[Progress], None]

MAX_AGE = timedelta(hours=24)
_HOUR = timedelta(hours=1)
_SYNC = 1.0  # seconds between two times that the journal is flushed to the disk


async def apply(  # noqa: PLR0913 -- settings, all but two by keyword
    client: AsyncClient,
    plan: Plan,
    *,
    resume: bool = False,
    retry_failed: bool = False,
    verify: bool = True,
    account_check: AccountCheck = "enforce",
    max_concurrency: int | None = None,
    rate: float | None = None,
    max_age: timedelta = MAX_AGE,
    grace: float = 5.0,
    patience: float = 300.0,
    journal: Path | str | None = None,
    stop: anyio.Event | None = None,
    abort: anyio.Event | None = None,
    on_progress: OnProgress | None = None,
) -> Report:
    """Carry out the action of a plan on the tokens that it lists, and on no other.

    If it is cancelled, it starts nothing more, gives requests in flight a grace period, records
    their outcomes, and passes the cancellation on. However it ends, `resume=True` continues it.

    Args:
        client: What to send with. Its own retries are not used.
        plan: What to do.
        resume: Whether to continue a job that was begun before.
        retry_failed: Whether a job that is resumed tries again what has failed before.
        verify: Whether to read each token directly before it is changed, and to leave it alone if
            it is not as the plan saw it.
        account_check: What to do if it cannot be confirmed that the client's token belongs to the
            account of the plan: `enforce` (raise `PlanRefused`), `warn`, or `off`.
        max_concurrency: The maximum of requests in flight. Default, and upper bound: the number of
            the client's connections.
        rate: The maximum of requests per second. Default: as many as the server answers.
        max_age: How old the plan may be.
        grace: For how many seconds requests in flight may go on once the job is stopped.
        patience: For how many seconds an outage of the service is waited out.
        journal: The file of the journal. Default: that of the plan, with `.journal` appended.
        stop: An event that stops the job: requests in flight are finished, and none is started.
        abort: An event that ends the job without a grace period. The outcome of requests in
            flight is `unknown`.
        on_progress: Called with a `Progress` several times a second, in the event loop. If it
            raises an exception, that is logged once, and the job goes on.

    Raises:
        PlanRefused: The plan is for another address, is too old, or was altered.
        JournalError: The journal cannot be read or written, the job was started before, or another
            process applies the same plan.
        JobFailed: The plan is for another account, or the job ended in an error. `report` says what
            was done, and `__cause__` is the error.
        LosantError: The API refused the token before the job started.
    """
    validators.check_argument(
        validators.optional(validators.positive_number), "apply", "rate", rate
    )
    most = client.max_connections if max_concurrency is None else max_concurrency
    validators.check_argument(validators.integer(minimum=1), "apply", "max_concurrency", most)
    path = Path(journal) if journal is not None else journal_of(plan)
    plan.check(client.base_url, None, plan.header.created_at)  # the age once the time is known
    listener = Listener(on_progress)
    outage: str | None = None
    before = await anyio.to_thread.run_sync(_report_so_far, plan, path)
    # A finished job sends nothing: to write its report again needs neither the API nor the token.
    if not resume or before.states.has_open(retry_failed=retry_failed):
        try:
            outage = await _check_account(
                client, plan, account_check, patience, listener, (stop, abort)
            )
        except PlanRefused as error:
            raise JobFailed(str(error), report=before) from error
        _check_age(client, plan, max_age, resume=resume)
    async with JobFiles(plan, path, resume) as (entries, opened):
        throttle = Throttle(
            Rate(rate),
            AdaptiveConcurrency(min(most, client.max_connections)),
            CircuitBreaker(patience),
            before_waiting=opened.flush,
        )
        queue = WorkQueue(entries.batches(), opened.states, retry_failed=retry_failed)
        job = _Job(
            journal=opened,
            throttle=throttle,
            executor=Executor(
                client,
                plan.header.action,
                verify,
                opened,
                throttle,
                queue,
                is_account_confirmed=account_check == "enforce",
            ),
            progress=ProgressReporter(len(plan), opened.states, throttle, listener),
            queue=queue,
            grace=grace,
            gave_up=outage,
        )
        failure: LosantError | None = None
        try:
            if outage is None:
                await job.run(stop, abort)
        except LosantError as error:
            failure = error
        report = Report(
            plan=plan,
            journal=path,
            states=opened.states,
            requests=throttle.sent,
            retries=throttle.retries,
            refused=throttle.refused,
            seconds=job.progress.elapsed(),
            pace=tuple(job.progress.samples),
            before=job.progress.settled_before,
            gave_up=job.gave_up,
        )
    if failure is not None:
        raise JobFailed(str(failure), report=report) from failure
    return report


async def _check_account(
    client: AsyncClient,
    plan: Plan,
    check: AccountCheck,
    patience: float,
    listener: Listener,
    ends: Iterable[anyio.Event | None],
) -> str | None:
    """Compare the account of the plan with that of the client; return why that was given up.

    Args:
        client: What to send with.
        plan: The plan.
        check: What to do about a difference.
        patience: For how many seconds an outage is waited out.
        listener: Is notified while the job waits for this.
        ends: Events that end it. No token is changed then.

    Raises:
        PlanRefused: It is another account, or that cannot be known.
        LosantError: The API refuses the token.
    """

    async def wait_for(event: anyio.Event) -> None:
        await event.wait()
        group.cancel_scope.cancel()

    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(report_check, listener, len(plan))
        for event in ends:
            if event is not None:
                group.start_soon(wait_for, event)
        try:
            await check_account(client, plan, check=check, patience=patience)
        except Exception as error:  # noqa: BLE001 -- raised as it is, and not in a group of one
            failure = error
        group.cancel_scope.cancel()
    if failure is None:
        return None
    if isinstance(failure, LosantError) and may_retry_in_job(failure):
        return f"the service does not answer; last seen: {describe(failure)}"
    raise failure


def _report_so_far(plan: Plan, journal: Path) -> Report:
    """Return the report of a job that did nothing in this run."""
    states = States.of(len(plan))
    with suppress(JournalError):
        if journal.is_file():
            with Journal.open(plan, journal, resume=True) as opened:
                states = opened.states
    return Report(
        plan=plan,
        journal=journal,
        states=states,
        requests=0,
        retries=0,
        refused=0,
        seconds=0.0,
        pace=(),
        before=settled(states.counts()),
    )


def _check_age(client: AsyncClient, plan: Plan, max_age: timedelta, *, resume: bool) -> None:
    """Refuse a plan that is too old, by the server's clock if it is known.

    Raises:
        PlanRefused: It is too old, or from the future.
    """
    now = client.server_time() or datetime.now(UTC)
    if resume and (age := now - plan.header.created_at) > max_age:
        raise PlanRefused(
            f"{plan.path} was made {age / _HOUR:.3g} hours ago, and max_age is "
            f"{max_age / _HOUR:.3g} hours. To continue this job, pass a larger max_age: with "
            f"verify=True, a token that has changed since is left alone. Or make a new plan for "
            f"the tokens that are left."
        )
    plan.check(client.base_url, max_age, now)


def journal_of(plan: Plan) -> Path:
    """Return the default path of a plan's journal: beside the plan."""
    return plan.path.with_name(plan.path.name + ".journal")


@attrs.define(eq=False)
class _Job:
    """A plan while it is being applied.

    Attributes:
        gave_up: Why it ended before all was done, if it gave up by itself.
    """

    journal: Journal
    throttle: Throttle
    executor: Executor
    progress: ProgressReporter
    queue: WorkQueue
    grace: float
    gave_up: str | None = None
    _fatal: Exception | None = None
    _is_interrupted: bool = False  # a token in progress was not finished
    _workers: int = 0
    _scopes: set[anyio.CancelScope] = attrs.field(factory=set)
    _finished: anyio.Event = attrs.field(factory=anyio.Event)

    async def run(self, stop: anyio.Event | None, abort: anyio.Event | None) -> None:
        """Apply the plan as far as possible.

        Raises:
            LosantError: Something ended the job that every other token would have met, too.
        """
        try:
            await self._run(stop, abort)
        finally:
            self.progress.report()

    async def _run(self, stop: anyio.Event | None, abort: anyio.Event | None) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._in_background, self.progress.run)
            group.start_soon(self._in_background, self._sync)
            group.start_soon(self._in_background, self.throttle.serve_queue)
            for event, react in ((stop, self._end), (abort, self._abort)):
                if event is not None:
                    group.start_soon(self._react, event, react)
            try:
                if stop is None or not stop.is_set():
                    self._spawn(group)
                    await self._finished.wait()
            finally:
                self._end()
            group.cancel_scope.cancel()
        await self._finish()
        if self._fatal is not None:
            raise self._fatal

    async def _finish(self) -> None:
        """Record what was held back until the end.

        Raises:
            Forbidden: All tokens of this run are forbidden.
        """
        if isinstance(self._fatal, JournalError):
            return  # nothing can be recorded any more
        is_complete = not self._is_interrupted and self._fatal is None and self.queue.is_empty
        try:
            await self.executor.finish(is_complete=is_complete)
        except GaveUpError as error:
            self.gave_up = str(error)
        finally:
            self.journal.flush()

    # --- Workers -----------------------------------------------------------------------------

    def _spawn(self, group: anyio.abc.TaskGroup) -> None:
        while self._workers < self.throttle.max_workers:
            self._workers += 1
            group.start_soon(self._worker, group)
        self.progress.workers = self._workers

    async def _worker(self, group: anyio.abc.TaskGroup) -> None:
        """Work until the queue is empty, and note how that ended.

        It is shielded, so that requests in flight have their grace period if the job is cancelled.
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
                self._end()
            except Exception as error:  # noqa: BLE001 -- it is raised when all workers have ended
                self._fail(error)
            finally:
                self._scopes.discard(scope)
        self._is_interrupted |= scope.cancelled_caught
        self._workers -= 1
        self.progress.workers = self._workers
        if self._workers == 0:
            self._finished.set()

    async def _work(self, group: anyio.abc.TaskGroup) -> None:
        """Execute one item after the other, until none is left or fewer workers are wanted."""
        while (item := await self.queue.next()) is not None:
            await self.executor.execute(item)
            if (more := self.throttle.max_workers - self._workers) < 0:
                return
            if more and not self.queue.is_empty:
                self._spawn(group)

    # --- Ends --------------------------------------------------------------------------------

    def _end(self) -> None:
        """Stop starting work, and give requests in flight a grace period."""
        if self.throttle.is_stopping:
            return
        self.throttle.stop()
        deadline = anyio.current_time() + self.grace
        for scope in self._scopes:
            scope.deadline = deadline

    def _fail(self, error: Exception) -> None:
        self._fatal = self._fatal or error
        self._end()

    def _abort(self) -> None:
        """Stop starting work and cancel the requests in flight."""
        self._end()
        for scope in self._scopes:
            scope.cancel()

    async def _react(self, event: anyio.Event, react: Callable[[], None]) -> None:
        await event.wait()
        react()

    async def _sync(self) -> None:
        while True:
            await anyio.sleep(_SYNC)
            await self.journal.sync()

    async def _in_background(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run a background task; abort the job if it fails."""
        try:
            await task()
        except Exception as error:  # noqa: BLE001 -- it is raised when all workers have ended
            self._fail(error)
