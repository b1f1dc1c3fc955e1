"""The work of a worker: one task at a time per credential, each of which is a phase of a run.

The problem. A worker can die at any time, or wake up after another one took its work over. Its task
is run again, and must neither repeat a change nor report its own changes as somebody else's.

The approach. A task begins with a random string in the record of the run, and each later write of
the task is conditional on it. So a worker that was replaced writes nothing. Before a chunk of
tokens is applied, that intent is stored. If a chunk has an intent and no result, all of its tokens
are in doubt, so each is read first, and the changes of the earlier attempt are recognized. Before
each change, `may_change` says whether this worker still has its lease. The intent names a time
after which the worker changes nothing of the chunk, unless it stores the intent again. So a change
that somebody makes while no worker runs, for example during a night, does not count as the run's.

The string begins with the start of the process. A worker that gets the task of a run that another
live process works on waits until that process is done, or has lost its lease. Usually, the engine
gives a task to one worker only. But it has no condition for giving a task on, so a watchdog that is
suspended directly before that gives the task of a live worker away after it wakes up.

A failure that may pass, such as an outage of the API or a token that cannot be read, enqueues the
phase again, later. If the store cannot be reached, the task waits for it, because the outcomes of a
chunk exist nowhere else.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar, TypeVarTuple

import anyio
from attrs import define, field

from losant_tokens import AsyncClient, jobs
from losant_tokens._version import __version__
from losant_tokens.accounts import Account
from losant_tokens.errors import LosantError, ValidationError
from losant_tokens.fleet import _run_planner as plans
from losant_tokens.fleet import _transitions as transitions
from losant_tokens.fleet._automatic_approval import Verdict, decide_or_ask
from losant_tokens.fleet._errors import DecisionRefused, FleetError, RunNotFound, StoreError
from losant_tokens.fleet._run_codec import Record
from losant_tokens.fleet._store.run_table import ChunkState, Store, claim
from losant_tokens.fleet._transitions import Next
from losant_tokens.fleet._types import Decision, Phase, Run
from losant_tokens.fleet._warn_step import StoredWarnings, warn
from losant_tokens.policy import Cleanup, Policy, WarningRecord

CHUNK: Final = 100
"""The number of tokens of a chunk."""

_PATIENCE: Final = 120.0  # seconds of an outage until the task is enqueued again, for later
_UNKNOWN: Final = "Some tokens have no known outcome."
_CLOCK_MARGIN: Final = timedelta(seconds=10)  # The estimate of the server's clock is not exact.
_STORE_INTERVAL: Final = 1.0  # seconds between two attempts to reach the store
_FAILURES_PER_WARNING: Final = 60  # of these attempts
_LEASE_INTERVAL: Final = 0.25  # seconds between two checks of the lease
_CLAIM: Final = 120.0  # seconds for a chunk, until the worker must claim it again
_CLAIM_MARGIN: Final = timedelta(seconds=60)  # for a request that the API takes long to carry out
_OWNER_INTERVAL: Final = 1.0  # seconds between two looks at the process that has a run

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

logger = logging.getLogger("losant_tokens.fleet")


class _AbandonedError(Exception):
    """The task is no longer this worker's: somebody cancelled the run, or took it over."""


class _StoppedError(Exception):
    """The worker stops before the task is done."""


class _InProgressError(Exception):
    """A live process works on the run."""


class _TroubleError(LosantError):
    """The task cannot continue now, but it may later."""


@define(eq=False)
class _Job:
    """A task while this worker does it.

    Attributes:
        run_id: The id of the run.
        phase: The phase.
        attempt: The number of the task.
        owner: The random string that identifies this attempt.
        loop: The event loop of the task.
        stop: Set when the worker stops.
        claim: The owner of the chunk that this task has begun.
        claimed_at: The clocks before that; `None` if the claim has no end.
        scope: Cancelled when the worker stops; `None` while the task must end cleanly.
        pace: The request rate that one chunk passes on to the next.
    """

    run_id: str
    phase: Phase
    attempt: int
    owner: str
    loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    stop: anyio.Event = field(factory=anyio.Event)
    scope: anyio.CancelScope | None = None
    pace: jobs.Pace = field(factory=jobs.Pace)
    claim: str = ""
    claimed_at: float | None = None

    def halt(self) -> None:
        """Stop the task in its event loop."""
        self.stop.set()
        if self.scope is not None:
            self.scope.cancel()

    def has_claim(self, now: float) -> bool:
        """Return whether the time for which this task has claimed its chunk has not ended."""
        return self.claimed_at is None or now - self.claimed_at < _CLAIM

    def owns(self, record: Record) -> bool:
        """Return whether a run is still this task's."""
        return record.owner == self.owner and record.attempt == self.attempt

    async def unless_stopped(self, work: Awaitable[T]) -> T:
        """Return the result of work that can be cancelled at any time.

        Raises:
            _StoppedError: The worker stops.
        """
        with anyio.CancelScope() as scope:
            self.scope = scope
            if self.stop.is_set():
                scope.cancel()
            try:
                return await work
            finally:
                self.scope = None
        raise _StoppedError


@define(eq=False)
class Runner:
    """Does the tasks of a worker.

    Attributes:
        store: The store.
        worker: The id of the worker.
        accounts: The accounts by their names.
        policy: The policy file.
        may_change: Returns whether this worker may change a token now. It is called in the event
            loop of the task and must not wait.
        holding: Returns a context that names the run whose task this worker has.
        watch_loop: Called with the event loop of each task.
        retry_for: How long to try again after a failure.
        process: A random string of this process, without dots.
        is_live: Returns whether the process with a string may still change tokens. It may block.
            Once it has returned False, it never returns True again.
        now: Returns the time. Default: the clock of this machine.
        clock: Returns the seconds of a clock that never steps back, to measure how long a chunk
            takes. Default: one that may not count the time that the machine is suspended.
    """

    store: Store
    worker: str
    accounts: Mapping[str, Account]
    policy: Policy
    may_change: Callable[[], bool]
    holding: Callable[[str], AbstractContextManager[object]]
    watch_loop: Callable[[asyncio.AbstractEventLoop], object]
    retry_for: timedelta
    process: str = "this"
    is_live: Callable[[str], bool] = field(default=lambda _: False)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    clock: Callable[[], float] = field(default=time.monotonic)
    _jobs: set[_Job] = field(factory=set, init=False)
    _is_stopping: bool = field(default=False, init=False)

    def stop(self) -> None:
        """Give all tasks back. Changes in flight are finished. It may be called in any thread."""
        self._is_stopping = True
        for job in tuple(self._jobs):
            job.loop.call_soon_threadsafe(job.halt)

    async def run(self, run_id: str, phase: Phase, attempt: int) -> None:
        """Do a task. A task that is stale is ignored.

        Args:
            run_id: The id of the run.
            phase: The phase.
            attempt: The number of the task.
        """
        owner = f"{self.process}.{secrets.token_hex(8)}"
        job = _Job(run_id, phase, attempt, owner)
        self._jobs.add(job)
        if self._is_stopping:
            job.halt()
        self.watch_loop(job.loop)
        try:
            with self.holding(run_id):
                await self._run(job)
        except _AbandonedError:
            logger.info("Run %s: another worker or a decision ended the phase %s", run_id, phase)
        except RunNotFound:
            logger.info("Run %s was removed, so its phase %s does nothing", run_id, phase)
        finally:
            self._jobs.discard(job)

    async def _run(self, job: _Job) -> None:
        begin = partial(
            transitions.begin,
            phase=job.phase,
            attempt=job.attempt,
            worker=self.worker,
            version=__version__,
            owner=job.owner,
            now=self.now(),
        )

        def decide(record: Record) -> Next | None:
            begun = begin(record)
            if begun is None:
                return None
            if self._is_in_progress(record.owner):
                raise _InProgressError
            return transitions.begun(begun, now=self.now())

        record = await self._begun(job, decide)
        if record is None:
            record = (await self._stored(self.store.find, job.run_id)).record
            if transitions.awaits_rules(record, job.phase, job.attempt, now=self.now()):
                await self._ask_again(job, record)
            return
        if record.run.state == "failed":
            _log_state(record.run)
            return
        following = await self._outcome(job, record)
        if following is not None:
            changed = await self._change(job, following)
            if changed.run.retry_at is not None:
                _log_trouble(changed.run, self.now())

    async def _begun(self, job: _Job, decide: Callable[[Record], Next | None]) -> Record | None:
        """Begin the task of a run, after waiting for a live process that works on the run.

        Raises:
            _AbandonedError: The worker stops while it waits.
        """
        has_logged = False
        while True:
            try:
                return await self._stored(self.store.change, job.run_id, decide)
            except _InProgressError:
                if job.stop.is_set():
                    # If the other process dies, too, `Rescue` finds that no task continues the run.
                    raise _AbandonedError from None
            if not has_logged:
                text = "Run %s: a live worker works on it, so %s waits"
                logger.warning(text, job.run_id, self.worker)
                has_logged = True
            with anyio.move_on_after(_OWNER_INTERVAL):
                await job.stop.wait()

    def _is_in_progress(self, owner: str) -> bool:
        """Return whether a live process works on a run, by the owner of the run. It may block.

        The owners of earlier releases name no process.
        """
        process, _, _ = owner.rpartition(".")
        if process == self.process:
            return any(job.owner == owner for job in tuple(self._jobs))
        return bool(process) and self.is_live(process)

    async def _outcome(self, job: _Job, record: Record) -> Callable[[Record], Next] | None:
        """Do the work of a task, and return the last change of its run."""
        now = self.now
        try:
            await self._work(job, record)
        except _StoppedError:
            return lambda record: transitions.released(record, now=now())
        except jobs.GuardRefused as error:
            reason = str(error)
            change = transitions.refused if job.phase == "plan" else transitions.failed
            return lambda record: change(record, reason, now=now())
        except (jobs.PlanRefused, ValidationError) as error:
            reason = str(error)
            return lambda record: transitions.failed(record, reason, now=now())
        except LosantError as error:
            reason = str(error)
            return lambda record: transitions.troubled(
                record, reason, retry_for=self.retry_for, now=now()
            )
        except Exception as error:
            if isinstance(error, _AbandonedError):
                raise
            logger.exception("Run %s: unexpected error in the phase %s", job.run_id, job.phase)
            problem = f"Unexpected error: {type(error).__name__}. See the log of {self.worker}."
            return lambda record: transitions.failed(record, problem, now=now())
        return None

    async def _work(self, job: _Job, record: Record) -> None:
        account = self._account(record.run.account)
        # A restore undoes changes, so it needs no clean-up: the policy file may have another name.
        cleanup = None if job.phase == "restore" else self.policy.cleanup(record.run.cleanup)
        async with self._client(job, account) as client:
            partition = plans.partition_of(account, client)
            if record.partition != partition:
                await self._change(job, lambda record: transitions.move(record, partition))
                return
            _log_state(record.run)
            if cleanup is None:
                await self._restore(job, client)
                return
            plans.check_account(account, cleanup)
            if job.phase == "plan":
                await self._plan(job, client, account, cleanup)
            elif job.phase == "apply":
                await self._apply(job, client, record, cleanup)
            else:
                await self._sweep(job, client, record, account, cleanup)

    def _account(self, name: str) -> Account:
        if name not in self.accounts:
            raise FleetError(
                f"The worker {self.worker} has no account {name!r}. Add it to the configuration "
                f"file of the workers, and restart them."
            )
        return self.accounts[name]

    @asynccontextmanager
    async def _client(self, job: _Job, account: Account) -> AsyncIterator[AsyncClient]:
        # Reading the token may run a command, so it can be stopped, and happens once for a task.
        client = await job.unless_stopped(AsyncClient.for_account(account).open())
        try:
            yield client
        finally:
            with anyio.CancelScope(shield=True):
                await client.aclose()

    # --- The phases ----------------------------------------------------------------------------

    async def _plan(
        self, job: _Job, client: AsyncClient, account: Account, cleanup: Cleanup
    ) -> None:
        warned: Mapping[str, WarningRecord] | None = None
        if cleanup.warns:
            warned = await self._warn(job, client, account, cleanup)
        document = await job.unless_stopped(plans.make_plan(client, account, cleanup, warned))
        summary = plans.summary_of(document)
        stored = await anyio.to_thread.run_sync(document.to_json)

        def change(record: Record) -> Next:
            return transitions.planned(
                record,
                summary,
                document=stored,
                approve_within=cleanup.approve_within,
                now=self.now(),
            )

        record = await self._change(job, change)
        await self._ask_rules(job, record)

    async def _warn(
        self, job: _Job, client: AsyncClient, account: Account, cleanup: Cleanup
    ) -> Mapping[str, WarningRecord]:
        """Warn about tokens that are new, and return the records of all warnings."""
        store, place = self.store, (account.name, cleanup.name)

        def write(found: Mapping[str, WarningRecord]) -> None:
            # The message was delivered, so its record waits for a store that cannot be reached.
            record = partial(store.record_warnings, found=found)
            if not anyio.from_thread.run(self._stored, record, job.run_id, job.owner, *place):
                raise _AbandonedError

        before = await self._stored(store.warnings, *place)
        ledger = StoredWarnings(before=before, write=write)
        count = await job.unless_stopped(warn(client, account, cleanup, ledger, self.may_change))
        if count:
            await self._change(
                job, lambda record: Next(record=transitions.warned(record, count, now=self.now()))
            )
        return ledger.before

    async def _ask_rules(self, job: _Job, record: Record) -> None:
        """Let the rules of the policy decide about a plan. If they do not, a person must.

        If the worker dies before, the next one asks the rules again.
        """
        run = record.run
        if run.state != "waiting":
            return
        approval = self.policy.cleanup(run.cleanup).approval
        verdict = await job.unless_stopped(decide_or_ask(run, approval))
        if verdict.kind == "wait":
            # The policy file may have had a webhook when the plan was made.
            if not approval.is_manual or run.retry_at is not None:
                await self._wait_for_decision(job, run, verdict)
            else:
                _log_waiting(run, verdict.reason)
            return
        decision = Decision(kind=verdict.kind, by=verdict.by, at=self.now(), reason=verdict.reason)
        try:
            decided = await self._stored(
                self.store.change,
                job.run_id,
                lambda record: transitions.decide(record, decision, digest=run.plan.digest),
            )
        except DecisionRefused as error:
            logger.info("Run %s: a person was faster than the rules: %s", run.id, error)
        else:
            _log_state((decided or record).run)

    async def _wait_for_decision(self, job: _Job, run: Run, verdict: Verdict) -> None:
        """Record why the rules did not decide, and whether the webhook is asked again."""
        digest, reason, now = run.plan.digest, verdict.reason, self.now()

        def change(record: Record) -> Next | None:
            if verdict.can_ask_again:
                return transitions.asked_later(record, job.attempt, digest, reason, now=now)
            return transitions.left_to_people(record, digest, reason, now=now)

        record = await self._stored(self.store.change, job.run_id, change)
        if record is not None and record.run.retry_at is not None:
            _log_webhook(record.run, now)
        elif record is not None:
            _log_waiting(record.run, reason)

    async def _ask_again(self, job: _Job, record: Record) -> None:
        """Let the rules decide about a plan that was made before."""
        give_back = partial(transitions.given_back, attempt=job.attempt)
        try:
            await self._ask_rules(job, record)
        except _StoppedError:
            await self._stored(self.store.change, job.run_id, partial(give_back, now=self.now()))
        except ValidationError as error:  # The policy file no longer has the clean-up.
            await self._wait_for_decision(job, record.run, Verdict(kind="wait", reason=str(error)))

    async def _apply(
        self, job: _Job, client: AsyncClient, record: Record, cleanup: Cleanup
    ) -> None:
        run = record.run
        _check_age(run, self.now(), self.retry_for)
        document = await self._document(job.run_id, "apply")
        _check_approval(document, run)
        plans.check_action(document, cleanup)
        plans.check_size(document, cleanup)
        plans.check_protected(document, cleanup, await self._finished(job.run_id, "apply"))
        results = await self._apply_chunks(job, client, document, "apply")
        due_in: timedelta | None = None
        if document.header.action == "deactivate":
            quarantine = jobs.Quarantine.of_results(document, results)
            due_in = plans.sweep_due_in(quarantine, client.server_time() or self.now())

        def change(record: Record) -> Next:
            now = self.now()
            due_at = None if due_in is None else now + due_in
            return transitions.applied(record, _counts(results), due_at=due_at, now=now)

        await self._change(job, change)

    async def _sweep(
        self, job: _Job, client: AsyncClient, record: Record, account: Account, cleanup: Cleanup
    ) -> None:
        quarantine = await self._quarantine(job.run_id)
        if await self._stored(self.store.get_plan, job.run_id, "sweep") is not None:
            document = await self._document(job.run_id, "sweep")
            _check_digest(document, record.digests.get("sweep", ""))
            finished = await self._finished(job.run_id, "sweep")
            await job.unless_stopped(
                plans.check_sweep(client, document, quarantine, cleanup, finished)
            )
        else:
            plan = await job.unless_stopped(plans.plan_sweep(client, account, cleanup, quarantine))
            due_in = plan.due_in
            if plan.document is None:
                assert due_in is not None  # noqa: S101 -- one of both is set
                wait = due_in

                def postpone(record: Record) -> Next:
                    now = self.now()
                    return transitions.postponed(record, now + wait, now=now)

                await self._change(job, postpone)
                return
            await self._store_plan(job, "sweep", plan.document)
        await self._finish(job, client, "sweep")

    async def _restore(self, job: _Job, client: AsyncClient) -> None:
        if await self._stored(self.store.get_plan, job.run_id, "restore") is None:
            await self._resolve_doubts(job, client)
            quarantine = await self._quarantine(job.run_id)
            document = await job.unless_stopped(plans.plan_restore(client, quarantine))
            await self._store_plan(job, "restore", document)
        await self._finish(job, client, "restore")

    async def _finish(self, job: _Job, client: AsyncClient, phase: Phase) -> None:
        record = await self._change(job, lambda record: Next(record=record, is_changed=False))
        document = await self._document(job.run_id, phase)
        _check_digest(document, record.digests.get(phase, ""))
        results = await self._apply_chunks(job, client, document, phase)
        await self._change(
            job, lambda record: transitions.finished(record, _counts(results), now=self.now())
        )

    async def _store_plan(self, job: _Job, phase: Phase, document: jobs.PlanDocument) -> None:
        stored = await anyio.to_thread.run_sync(document.to_json)
        await self._change(
            job,
            lambda record: transitions.stored(
                record, phase, stored, document.digest, now=self.now()
            ),
        )

    async def _resolve_doubts(self, job: _Job, client: AsyncClient) -> None:
        """Find out what was changed in chunks that were begun and never finished.

        A worker died in one of them, and the run was cancelled. A plan that counts as too old
        changes no token, and the changes of the earlier attempt are recognized.
        """
        numbers = await self._stored(self.store.unfinished_chunks, job.run_id, "apply")
        if not numbers:
            return
        chunks = (await self._document(job.run_id, "apply")).chunks(CHUNK)
        for number in numbers:
            state = await self._begin_chunk(job, "apply", number, None)
            earlier = _earlier(state)
            if earlier is not None and state.in_doubt is False:
                await self._end_chunk(job, "apply", number, earlier, is_complete=True)
                continue
            try:
                result = await jobs.apply_chunk(
                    client,
                    chunks[number],
                    in_doubt=state.in_doubt,
                    in_doubt_until=state.until,
                    earlier=earlier,
                    max_age=timedelta(0),
                    stop=job.stop,
                    pace=job.pace,
                    patience=_PATIENCE,
                )
            except jobs.ChunkFailed as error:
                if not isinstance(error.__cause__, jobs.PlanRefused):
                    raise
                result = error.result  # Its other tokens were not changed.
            if job.stop.is_set():
                raise _StoppedError
            if result.gave_up or result.counts[jobs.Outcome.UNKNOWN]:
                raise _TroubleError(result.gave_up or _UNKNOWN)
            await self._end_chunk(job, "apply", number, result, is_complete=True)

    # --- Chunks --------------------------------------------------------------------------------

    async def _apply_chunks(
        self, job: _Job, client: AsyncClient, document: jobs.PlanDocument, phase: Phase
    ) -> list[jobs.ChunkResult]:
        """Apply the chunks of a plan that are not finished, and return the results of all."""
        results: list[jobs.ChunkResult] = []
        # Counting all results after each chunk would take seconds for 50,000 tokens.
        counts: dict[str, int] = {}
        if document.entries:
            await job.unless_stopped(plans.learn_time(client, document.header))
        seen = await jobs.seen_since_plan(client, document.header, patience=_PATIENCE)
        for number, chunk in enumerate(document.chunks(CHUNK)):
            state = await self._begin_chunk(job, phase, number, client.server_time())
            if state.is_complete:
                results.append(jobs.ChunkResult.from_json(state.result))
                counts = _added(counts, results[-1])
                continue
            results.append(
                await self._apply_chunk(job, client, chunk, (phase, number), state, seen)
            )
            counts = _added(counts, results[-1])
            await self._change(
                job,
                lambda record, counts=counts: Next(  # type: ignore[misc]  # a default argument
                    record=transitions.progressed(record, counts, now=self.now())
                ),
            )
            if job.stop.is_set():
                raise _StoppedError
        return results

    async def _apply_chunk(
        self,
        job: _Job,
        client: AsyncClient,
        chunk: jobs.PlanChunk,
        place: tuple[Phase, int],
        state: ChunkState,
        seen: jobs.LastSeen | None,
    ) -> jobs.ChunkResult:
        """Apply a chunk until it is complete. Wait while the lease is late."""
        in_doubt, until, earlier = state.in_doubt, state.until, _earlier(state)

        def may_change() -> bool:
            return self.may_change() and job.has_claim(self.clock())

        while True:
            failure: jobs.ChunkFailed | None = None
            try:
                result = await jobs.apply_chunk(
                    client,
                    chunk,
                    in_doubt=in_doubt,
                    in_doubt_until=until,
                    earlier=earlier,
                    may_change=may_change,
                    max_age=None,  # The approval had its own limit.
                    stop=job.stop,
                    pace=job.pace,
                    seen=seen,
                    patience=_PATIENCE,
                )
            except jobs.ChunkFailed as error:
                failure, result = error, error.result
            waits = failure is not None and isinstance(failure.__cause__, jobs.ChangeRefused)
            is_known = not result.counts[jobs.Outcome.UNKNOWN]
            await self._end_chunk(
                job,
                *place,
                result,
                is_complete=result.is_complete,
                is_clean=is_known and not waits,
            )
            if result.is_complete:
                return result
            if failure is None:
                if job.stop.is_set():
                    raise _StoppedError
                raise _TroubleError(result.gave_up or _UNKNOWN)
            if not waits:
                raise failure
            # The outcomes so far are known. Another worker may have changed other tokens meanwhile.
            earlier, in_doubt = result, in_doubt or _before(client.server_time()) or True
            until = None
            await self._wait_for_lease(job)
            await self._begin_chunk(job, *place, client.server_time())

    async def _wait_for_lease(self, job: _Job) -> None:
        """Wait until this worker may change tokens, unless it stops or is replaced."""
        if self.may_change():
            return
        logger.warning("Run %s: the lease of %s is late, so it waits", job.run_id, self.worker)
        while not self.may_change():
            if job.stop.is_set():
                raise _StoppedError
            await anyio.sleep(_LEASE_INTERVAL)

    async def _begin_chunk(
        self, job: _Job, phase: Phase, number: int, server_time: datetime | None
    ) -> ChunkState:
        """Claim a chunk for some time, and return its state before.

        Raises:
            _AbandonedError: Another worker has taken over the run.
        """
        job.claimed_at, until = None, None
        if server_time is not None:
            job.claimed_at = self.clock()
            until = server_time + timedelta(seconds=_CLAIM) + _CLAIM_MARGIN
        job.claim = claim(job.owner, until)
        begin = partial(self.store.begin_chunk, until=until)
        before = _before(server_time)
        state = await self._stored(begin, job.run_id, phase, number, job.owner, before)
        if state is None:
            raise _AbandonedError
        return state

    async def _end_chunk(
        self,
        job: _Job,
        phase: Phase,
        number: int,
        result: jobs.ChunkResult,
        *,
        is_complete: bool,
        is_clean: bool = False,
    ) -> None:
        stored = await anyio.to_thread.run_sync(result.to_json)
        end = partial(self.store.end_chunk, is_complete=is_complete, is_clean=is_clean)
        if not await self._stored(end, job.run_id, phase, number, job.claim, stored):
            raise _AbandonedError

    async def _document(self, run_id: str, phase: Phase) -> jobs.PlanDocument:
        """Return a stored plan, whose digest is checked.

        Raises:
            PlanRefused: It was altered, or is gone.
        """
        stored = await self._stored(self.store.get_plan, run_id, phase)
        return await anyio.to_thread.run_sync(jobs.PlanDocument.from_json, stored)

    async def _quarantine(self, run_id: str) -> jobs.Quarantine:
        """Return the tokens that a run has deactivated."""
        document = await self._document(run_id, "apply")
        found = await self._stored(lambda: list(self.store.results(run_id, ["apply"])))
        results = [jobs.ChunkResult.from_json(result) for _, result in found]
        return jobs.Quarantine.of_results(document, results)

    async def _finished(self, run_id: str, phase: Phase) -> frozenset[str]:
        """Return the ids of the tokens whose outcome in a phase is known."""

        def read() -> frozenset[str]:
            return frozenset(
                token.id
                for _, result in self.store.results(run_id, [phase])
                for token in jobs.ChunkResult.from_json(result).results
                if token.outcome not in {None, jobs.Outcome.UNKNOWN}
            )

        return await self._stored(read)

    # --- The store -----------------------------------------------------------------------------

    async def _change(self, job: _Job, change: Callable[[Record], Next]) -> Record:
        """Change the run of a task.

        Raises:
            _AbandonedError: The run is no longer this task's.
        """
        expected: list[Record] = []
        before: list[str] = []

        def decide(record: Record) -> Next | None:
            if record in expected:  # The write before was committed, but its response was lost.
                return Next(record=record, is_changed=False)
            if not job.owns(record):
                return None
            following = change(record)
            expected.append(following.record)
            before.append(record.run.state)
            return following

        record = await self._stored(self.store.change, job.run_id, decide)
        if record is None:
            raise _AbandonedError
        if record.run.state not in before[-1:]:
            _log_state(record.run)
        return record

    async def _stored(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call the store in a thread, until it can be reached.

        Raises:
            _AbandonedError: The worker stops while the store cannot be reached.
        """
        failures = 0
        while True:
            try:
                return await anyio.to_thread.run_sync(function, *args)
            except StoreError as error:
                if self._is_stopping:
                    raise _AbandonedError from None
                if failures % _FAILURES_PER_WARNING == 0:
                    logger.warning("%s", error)
                failures += 1
            await anyio.sleep(_STORE_INTERVAL)


def _log_state(run: Run) -> None:
    """Log the state of a run, with its facts as attributes of the record."""
    detail = ""
    if run.state == "waiting":
        detail = f", {run.plan.selected:,} of {run.plan.listed:,} tokens selected"
    elif outcomes := run.outcomes(run.phase):
        detail = f", {', '.join(f'{count:,} {outcome}' for outcome, count in outcomes.items())}"
    if run.reason:
        detail += f": {run.reason}"
    level = logging.WARNING if run.state in {"failed", "refused"} else logging.INFO
    text = "Run %s (%s, %s): %s%s"
    logger.log(level, text, run.id, run.cleanup, run.account, run.state, detail, extra=_facts(run))


def _log_trouble(run: Run, now: datetime) -> None:
    """Log a failure that may pass, and when the run is tried again."""
    assert run.retry_at is not None  # noqa: S101 -- it is tried again
    seconds = max(0, (run.retry_at - now).total_seconds())
    logger.warning(
        "Run %s (%s, %s): %s failed, next attempt in %.0f s: %s",
        run.id,
        run.cleanup,
        run.account,
        run.phase,
        seconds,
        run.reason,
        extra=_facts(run),
    )


def _log_waiting(run: Run, reason: str) -> None:
    """Log that a plan waits for a person, and why the rules did not decide."""
    text = "Run %s (%s, %s) waits for a person: %s"
    logger.info(text, run.id, run.cleanup, run.account, reason, extra=_facts(run))


def _log_webhook(run: Run, now: datetime) -> None:
    """Log that a webhook could not be reached, and when it is asked again."""
    assert run.retry_at is not None  # noqa: S101 -- it is asked again
    seconds = (run.retry_at - now).total_seconds()
    text = "Run %s (%s, %s): the webhook is asked again in %.0f s: %s"
    names = (run.id, run.cleanup, run.account)
    logger.warning(text, *names, seconds, run.reason, extra=_facts(run))


def _facts(run: Run) -> dict[str, str]:
    """Return the facts about a run for the attributes of a log record."""
    return {"run": run.id, "account": run.account, "cleanup": run.cleanup, "state": run.state}


def _check_age(run: Run, now: datetime, tolerance: timedelta) -> None:
    """Refuse a plan that was approved in time, but that no worker applied soon enough.

    A plan that was applied in part is continued at any age. A person who retries a run agrees to
    its age.

    Raises:
        PlanRefused: The plan is too old.
    """
    if run.approve_by is None or run.work["apply"].outcomes:
        return
    agreed = [run.approve_by, *(one.at for one in run.decisions if one.kind == "retry")]
    if now > max(agreed) + tolerance:
        raise jobs.PlanRefused(
            f"The plan had to be approved by {run.approve_by:%Y-%m-%d %H:%M} UTC, and no worker "
            f"applied it until {now:%Y-%m-%d %H:%M} UTC, so it is too old. Start a new run."
        )


def _check_approval(document: jobs.PlanDocument, run: Run) -> None:
    """Refuse a plan that is not the approved one.

    Raises:
        PlanRefused: Nobody has approved the run, or the approved plan has another digest.
    """
    _check_digest(document, run.plan.digest)
    if run.approval is None:
        raise jobs.PlanRefused(
            "Nobody has approved the plan, so the store was altered. Start a new run."
        )
    _check_digest(document, run.approval.digest)


def _check_digest(document: jobs.PlanDocument, digest: str) -> None:
    """Refuse a plan that replaced another one in the store.

    Raises:
        PlanRefused: The plan has another digest.
    """
    if document.digest != digest:
        raise jobs.PlanRefused(
            f"The stored plan is {document.id}, but the run has {digest[7:15]}, so the store was "
            f"altered. Start a new run."
        )


def _earlier(state: ChunkState) -> jobs.ChunkResult | None:
    """Return the outcomes that an earlier attempt at a chunk has stored; `None` if it has none."""
    return None if state.result is None else jobs.ChunkResult.from_json(state.result)


def _before(server_time: datetime | None) -> datetime | None:
    """Return a time that is certainly before the next change, by the clock of the API."""
    return None if server_time is None else server_time - _CLOCK_MARGIN


def _counts(results: list[jobs.ChunkResult]) -> dict[str, int]:
    """Return the number of tokens with each outcome, without those that no token has."""
    totals: dict[str, int] = {}
    for result in results:
        totals = _added(totals, result)
    return totals


def _added(totals: dict[str, int], result: jobs.ChunkResult) -> dict[str, int]:
    """Return the numbers of tokens with each outcome, with those of another result."""
    totals = dict(totals)
    for outcome, number in result.counts.items():
        if number:
            totals[outcome.value] = totals.get(outcome.value, 0) + number
    return totals
