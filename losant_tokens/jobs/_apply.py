"""Carries a plan out: in its own pace, accounting for each token, safe to interrupt.

`_deeds` says what is done to a token, `_requests` when a request is sent; here are the workers
that take one token after the other, and the ways in which a job ends.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import attrs

from losant_tokens import AsyncClient
from losant_tokens import _limits as limits
from losant_tokens.errors import LosantError
from losant_tokens.jobs._concurrency import Concurrency
from losant_tokens.jobs._deeds import Deeds
from losant_tokens.jobs._health import Health
from losant_tokens.jobs._journal import Journal
from losant_tokens.jobs._opening import Opening
from losant_tokens.jobs._plan import Plan
from losant_tokens.jobs._rate import Rate
from losant_tokens.jobs._report import Report
from losant_tokens.jobs._requests import GaveUpError, Requests, StoppedError
from losant_tokens.jobs._telling import Telling
from losant_tokens.jobs._values import Progress
from losant_tokens.jobs._work import Work

OnProgress = Callable[[Progress], None]

MAX_AGE = timedelta(hours=24)
_SYNC = 1.0  # seconds between two times that the disk is to take the journal


async def apply(  # noqa: PLR0913 -- settings, all but two by keyword
    client: AsyncClient,
    plan: Plan,
    *,
    resume: bool = False,
    verify: bool = True,
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
    """Does to the tokens of a plan what the plan says, and to no other.

    When it is cancelled, it starts nothing more, gives what is under way a moment, writes down
    what came of it, and passes the cancellation on. In whatever way it ends, `resume=True`
    carries it on.

    Args:
        client: What to send with. Its own retries are not used.
        plan: What to do.
        resume: Whether to carry on a job that was begun before.
        verify: Whether to read each token before it is changed, and to leave alone what is not
            as the plan saw it.
        max_concurrency: How many requests may be in flight at the most. Default: as many as the
            client has connections.
        rate: Requests per second, at the most. Default: as many as are answered.
        max_age: How old the plan may be.
        grace: For how many seconds what is under way may go on, once the job is stopped.
        patience: For how many seconds an outage of the service is waited out.
        journal: The file of the journal. Default: that of the plan, with `.journal` behind it.
        stop: An event that stops the job: what is under way is finished, nothing more begun.
        abort: An event that ends the job without a grace period. The outcome of requests in
            flight is `unknown`.
        on_progress: Called with a `Progress` several times a second, in the event loop.

    Raises:
        PlanRefused: The plan is for another address, too old, or was altered.
        JournalError: The journal cannot be read or written, or the job was begun before.
        LosantError: The token may not do this at all. Once the job had begun, the error has a
            `report` of what was done.
    """
    limits.check(limits.optional(limits.positive), "apply", "rate", rate)
    most = client.max_connections if max_concurrency is None else max_concurrency
    limits.check(limits.whole(least=1), "apply", "max_concurrency", most)
    plan.check(client.base_url, max_age, client.server_time() or datetime.now(UTC))
    path = Path(journal) if journal is not None else journal_of(plan)
    async with Opening(plan, path, resume) as (entries, opened):
        requests = Requests(
            Rate(rate), Concurrency(most), Health(patience), before_waiting=opened.flush
        )
        work = Work(entries.chunks(), opened.states)
        job = _Job(
            journal=opened,
            requests=requests,
            deeds=Deeds(client, plan.header.action, verify, opened, requests, work),
            telling=Telling(len(plan), opened.states, requests, on_progress),
            work=work,
            grace=grace,
        )
        failure: LosantError | None = None
        try:
            await job.run(stop, abort)
        except LosantError as error:
            failure = error
        report = Report(
            plan=plan,
            journal=path,
            states=opened.states,
            requests=requests.sent,
            retries=requests.retries,
            refused=requests.refused,
            seconds=job.telling.elapsed(),
            pace=tuple(job.telling.samples),
            before=job.telling.settled_before,
            gave_up=job.gave_up,
        )
    if failure is not None:
        failure.report = report
        raise failure
    return report


def journal_of(plan: Plan) -> Path:
    """Where the journal of a plan is, unless told otherwise: beside it."""
    return plan.path.with_name(plan.path.name + ".journal")


@attrs.define(eq=False)
class _Job:
    """A plan while it is being carried out.

    Attributes:
        gave_up: Why it ended before all was done, if it did so of its own accord.
    """

    journal: Journal
    requests: Requests
    deeds: Deeds
    telling: Telling
    work: Work
    grace: float
    gave_up: str | None = None
    _fatal: Exception | None = None
    _workers: int = 0
    _scopes: set[anyio.CancelScope] = attrs.field(factory=set)
    _finished: anyio.Event = attrs.field(factory=anyio.Event)

    async def run(self, stop: anyio.Event | None, abort: anyio.Event | None) -> None:
        """Carries the plan out, as far as it comes."""
        try:
            await self._run(stop, abort)
        except BaseException:
            with suppress(Exception):  # nothing is to come before what ended the job
                self.telling.tell()
            raise
        self.telling.tell()

    async def _run(self, stop: anyio.Event | None, abort: anyio.Event | None) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep_at_it, self.telling.keep_on)
            group.start_soon(self._keep_at_it, self._sync)
            group.start_soon(self._keep_at_it, self.requests.keep_the_line)
            for event, react in ((stop, self._end), (abort, self._abort)):
                if event is not None:
                    group.start_soon(self._react, event, react)
            try:
                if stop is None or not stop.is_set():
                    self._hire(group)
                    await self._finished.wait()
            finally:
                self._end()
            group.cancel_scope.cancel()
        if self._fatal is not None:
            raise self._fatal
        self.deeds.finish()
        self.journal.flush()

    # --- Workers -----------------------------------------------------------------------------

    def _hire(self, group: anyio.abc.TaskGroup) -> None:
        while self._workers < self.requests.wanted:
            self._workers += 1
            group.start_soon(self._work_on, group)
        self.telling.workers = self._workers

    async def _work_on(self, group: anyio.abc.TaskGroup) -> None:
        """Works, and takes note of how that ended.

        Shielded: when the job is cancelled, what is under way still has its moment.
        """
        with anyio.CancelScope(shield=True) as scope:
            self._scopes.add(scope)
            try:
                await self._work(group)
            except StoppedError:
                pass
            except GaveUpError as error:
                self.gave_up = str(error)
                self._end()
            except Exception as error:  # noqa: BLE001 -- it is raised when all have ended
                self._fail(error)
            finally:
                self._scopes.discard(scope)
        self._workers -= 1
        self.telling.workers = self._workers
        if self._workers == 0:
            self.deeds.take_back_the_rest()
            self._finished.set()

    async def _work(self, group: anyio.abc.TaskGroup) -> None:
        """Does one token after the other, until there are none, or fewer workers are wanted."""
        at_hand = self.work.at_hand  # all workers share it
        while at_hand or await self.work.read_on():
            await self.deeds.do(at_hand.popleft())
            if (more := self.requests.wanted - self._workers) < 0:
                return
            if more and (at_hand or not self.work.is_read):
                self._hire(group)

    # --- Ends --------------------------------------------------------------------------------

    def _end(self) -> None:
        """Has nothing more begun, and gives what is under way its moment."""
        if self.requests.is_stopping:
            return
        self.requests.stop()
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

    async def _keep_at_it(self, task: Callable[[], Awaitable[None]]) -> None:
        """Does something all the while; that it fails ends the job."""
        try:
            await task()
        except Exception as error:  # noqa: BLE001 -- likewise
            self._fail(error)
