"""`FleetClient`: start runs, decide about them, and read their state. It does no work itself."""

import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from anyio import current_time, sleep, to_thread

from losant_tokens import jobs
from losant_tokens._utils import validators
from losant_tokens.accounts._account import check_name
from losant_tokens.errors import ClientStateError, ValidationError
from losant_tokens.fleet import _transitions as transitions
from losant_tokens.fleet._errors import FleetError
from losant_tokens.fleet._run_codec import Record, task_id
from losant_tokens.fleet._store.database import Database, StoreUrl
from losant_tokens.fleet._transitions import Next
from losant_tokens.fleet._types import (
    FINAL_STATES,
    RUN_STATES,
    Decision,
    DecisionKind,
    Phase,
    PruneResult,
    Run,
    RunReport,
    RunResult,
    RunState,
)

if TYPE_CHECKING:
    from losant_tokens.fleet._engine import EngineClient
    from losant_tokens.fleet._store.run_table import Store

_NOT_OPEN: Final = "This client of a fleet is not open. Open it with `async with`."
_PAGE: Final = 200  # runs
_INTERVAL: Final = 0.5  # seconds between two reads of a run


def start_run(store: "Store", account: str, cleanup: str, *, by: str, key: str | None) -> Record:
    """Add a run to the store, or return the one that was added with the same key.

    Args:
        store: The store.
        account: The name of the account.
        cleanup: The name of the clean-up.
        by: The person or the schedule that starts the run.
        key: A name for the occasion; `None` if each call starts a run.

    Raises:
        StoreError: The store cannot be reached.
    """
    now = datetime.now(UTC)
    run = Run(
        id=secrets.token_hex(6),
        state="planning",
        account=account,
        cleanup=cleanup,
        requested_by=by,
        requested_at=now,
        changed_at=now,
    )
    occasion = None
    if key is not None:
        text = f"{key}\n{account}\n{cleanup}"
        occasion = hashlib.sha256(text.encode()).hexdigest()
    return store.add(transitions.start(run), occasion)


class FleetClient:
    """A connection to the store of a fleet. `Fleet.client` returns one, too.

    Use it with `async with`, in any process that can reach the store. It needs neither the accounts
    nor the policy of the workers. Calls to the store run in threads.

    A decision is made once: the first one wins. If the same decision is made again, nothing happens
    and the run is returned as it is. If another one was made before, the call raises
    `DecisionRefused`.

    Args:
        store: The store, as for `Fleet`.
    """

    def __init__(self, store: str | os.PathLike[str] | None = None) -> None:
        self._database = Database(StoreUrl.of(store))
        self._opened: tuple[Store, EngineClient] | None = None

    async def __aenter__(self) -> Self:
        await to_thread.run_sync(self._open)
        return self

    def _open(self) -> None:
        from losant_tokens.fleet._engine import EngineClient  # noqa: PLC0415 -- takes a second
        from losant_tokens.fleet._store.run_table import Store  # noqa: PLC0415 -- takes a second

        self._database.open()
        engine = EngineClient(self._database)
        try:
            engine.open()
            store = Store(self._database, engine.enqueue)
            store.create_tables()
        except BaseException:
            engine.close()
            self._database.close()
            raise
        self._opened = store, engine

    def _close(self) -> None:
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None
        self._database.close()

    @property
    def _store(self) -> "Store":
        if self._opened is None:
            raise ClientStateError(_NOT_OPEN)
        return self._opened[0]

    @property
    def _engine(self) -> "EngineClient":
        if self._opened is None:
            raise ClientStateError(_NOT_OPEN)
        return self._opened[1]

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await to_thread.run_sync(self._close, abandon_on_cancel=False)

    async def plan(
        self,
        account: str,
        cleanup: str,
        *,
        by: str,
        key: str | None = None,
    ) -> Run:
        """Start a run: a worker plans a clean-up of an account.

        Args:
            account: The name of the account in the configuration of the workers.
            cleanup: The name of the clean-up in the policy file of the workers.
            by: The person or the schedule that starts the run. It is recorded, and not verified.
            key: A name for the occasion, such as `nightly 2026-03-01`. A second call with the same
                key, account and clean-up starts nothing, and returns the run of the first, unless
                `prune` has removed it. Default: each call starts a run.

        Returns:
            The run, with the state `planning`.

        Raises:
            ValidationError: An argument is invalid.
            StoreError: The store cannot be reached.
        """
        check_name(account)
        for name, value in (("cleanup", cleanup), ("by", by)):
            validators.check_argument(validators.string(min_length=1), "plan", name, value)
        store = self._store
        await to_thread.run_sync(self._engine.prepare)
        record = await to_thread.run_sync(
            partial(start_run, store, account, cleanup, by=by, key=key)
        )
        return record.run

    async def pending(self) -> Mapping[str, int]:
        """Return the number of phases in progress, by the ids of their workers.

        Raises:
            StoreError: The store cannot be reached.
        """
        found = await to_thread.run_sync(self._engine.pending)
        return {worker: len(tasks) for worker, tasks in found.items()}

    async def runs(
        self,
        *,
        state: RunState | Iterable[RunState] | None = None,
        account: str | None = None,
        cleanup: str | None = None,
        since: datetime | None = None,
        with_failed_tokens: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[Run]:
        """Return the runs, the newest first.

        The store selects them and returns them in pages, so thousands of runs need little memory.
        A run that cannot be read, for example because a newer release wrote it, is left out with a
        warning to the logger `losant_tokens.fleet`. `run` raises the error for it.

        Args:
            state: Only runs with this state, or one of these states.
            account: Only runs for this account.
            cleanup: Only runs of this clean-up.
            since: Only runs that were started at this time or later, with a time zone.
            with_failed_tokens: Only runs with `Run.failed_tokens`. Default: False.
            limit: The maximum number of runs. Default: no limit.

        Raises:
            ValidationError: An argument is invalid.
            StoreError: The store cannot be reached.
        """
        from losant_tokens.fleet._store.run_table import Query  # noqa: PLC0415 -- takes a second

        for name, value in (("account", account), ("cleanup", cleanup)):
            optional_string = validators.optional(validators.string())
            validators.check_argument(optional_string, "runs", name, value)
        query = Query(
            states=_states(state, "runs"),
            account=account,
            cleanup=cleanup,
            since=_aware(since),
            with_failed_tokens=with_failed_tokens,
        )
        position: tuple[float, str] | None = None
        left = limit
        while left is None or left > 0:
            now = datetime.now(UTC)
            size = _PAGE if left is None else min(_PAGE, left)
            page = partial(self._store.page, now=now, size=size)
            found, position = await to_thread.run_sync(page, query, position)
            runs = [transitions.as_of(record.run, now) for record in found]
            runs = [run for run in runs if run.failed_tokens or not with_failed_tokens]
            for run in runs:
                yield run
            left = None if left is None else left - len(runs)
            if position is None:
                return

    async def run(self, id: str) -> Run:  # noqa: A002 -- the word of the API
        """Return a run.

        Args:
            id: The id of the run, or the first characters of it if no other id begins with them.

        Raises:
            RunNotFound: There is no such run, or several ids begin with these characters.
            StoreError: The store cannot be reached.
        """
        stored = await to_thread.run_sync(self._store.find, id)
        return transitions.as_of(stored.record.run, datetime.now(UTC))

    async def approve(
        self,
        id: str,  # noqa: A002 -- the word of the API
        *,
        by: str,
        digest: str | None = None,
        reason: str = "",
    ) -> Run:
        """Approve the plan of a run. A worker applies it, and later sweeps the quarantine.

        Approving twice is harmless.

        Args:
            id: The id of the run, or its first characters.
            by: The person or the rule that approves. It is recorded, and not verified.
            digest: The digest of the plan that was reviewed, or its first 8 or more digits. If the
                run has another plan, the approval is refused. Default: the plan that is stored.
            reason: A reason to record. Default: none.

        Raises:
            DecisionRefused: The run has no plan to approve, the plan has another digest or expired,
                or the run was rejected or cancelled before.
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        return await self._decide("approve", id, by, reason, digest=digest)

    async def reject(
        self,
        id: str,  # noqa: A002 -- the word of the API
        *,
        by: str,
        reason: str = "",
    ) -> Run:
        """Reject the plan of a run. Nothing is changed.

        Args:
            id: The id of the run, or its first characters.
            by: The person or the rule that rejects.
            reason: A reason to record. Default: none.

        Raises:
            DecisionRefused: The run does not wait for an approval.
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        return await self._decide("reject", id, by, reason)

    async def cancel(
        self,
        id: str,  # noqa: A002 -- the word of the API
        *,
        by: str,
        reason: str = "",
    ) -> Run:
        """Cancel a run. The tokens that it has changed stay as they are.

        A worker that applies the plan finishes the chunk of tokens that it works on. The sweep of a
        quarantine does not happen; `restore` activates its tokens again.

        Args:
            id: The id of the run, or its first characters.
            by: The person or the rule that cancels.
            reason: A reason to record. Default: none.

        Raises:
            DecisionRefused: The run has already finished.
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        return await self._decide("cancel", id, by, reason)

    async def restore(
        self,
        id: str,  # noqa: A002 -- the word of the API
        *,
        by: str,
        reason: str = "",
    ) -> Run:
        """Activate the tokens again that a run has deactivated and nobody has changed since.

        A restore needs no approval, because it only undoes changes of the run. The sweep does not
        happen. Restoring twice is harmless.

        Args:
            id: The id of the run, or its first characters.
            by: The person or the rule that restores.
            reason: A reason to record. Default: none.

        Raises:
            DecisionRefused: The run has deactivated no token, is still being applied, or its sweep
                has begun.
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        return await self._decide("restore", id, by, reason)

    async def retry(
        self,
        id: str,  # noqa: A002 -- the word of the API
        *,
        by: str,
        reason: str = "",
    ) -> Run:
        """Continue a failed run where it stopped, and repeat the tokens that failed.

        Tokens can also have failed in a run that is `quarantined`, `done` or `restored`. Those of
        its last phase are repeated, and no other token is changed. Each is read first, and left
        alone if somebody has changed it. A retry needs no second approval. If a quarantine gets
        more tokens, its grace period begins again.

        Args:
            id: The id of the run, or its first characters.
            by: The person or the rule that retries.
            reason: A reason to record. Default: none.

        Raises:
            DecisionRefused: The run has not failed, and no token of its last phase has.
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        return await self._decide("retry", id, by, reason)

    async def prune(
        self,
        *,
        older_than: timedelta,
        account: str | None = None,
        cleanup: str | None = None,
        dry_run: bool = False,
    ) -> PruneResult:
        """Remove finished runs from the store, with their plans, outcomes, decisions and tasks.

        A run is kept while its tokens can be restored or swept, or a worker may continue it. The
        latest run of each account and clean-up is kept, too, and so is the latest one with a key:
        schedules need them to start each due time once. Workers can continue meanwhile.

        A database uses the space of removed runs again, but gives none of it back.

        Args:
            older_than: Only runs that ended longer ago than this.
            account: Only runs for this account. Default: all.
            cleanup: Only runs of this clean-up. Default: all.
            dry_run: Whether to return the runs without removing them. Default: False.

        Returns:
            The runs, and the size of what the store holds of them.

        Raises:
            ValidationError: An argument is invalid.
            StoreError: The store cannot be reached. The runs before have been removed.
        """
        from losant_tokens.fleet._pruning import Pruner  # noqa: PLC0415 -- only few need it
        from losant_tokens.fleet._store.run_table import Query  # noqa: PLC0415 -- takes a second

        if older_than < timedelta(0):
            raise ValidationError(f"prune.older_than must not be negative, but it is {older_than}")
        for name, value in (("account", account), ("cleanup", cleanup)):
            optional_string = validators.optional(validators.string())
            validators.check_argument(optional_string, "prune", name, value)
        store, engine = self._store, self._engine
        # If one of the clocks is ahead, no run must seem older than it is.
        now = min(datetime.now(UTC), await to_thread.run_sync(self._database.time))
        ended_before = now - older_than
        pruner = Pruner(
            store=store,
            tasks=engine,
            query=Query(account=account, cleanup=cleanup, until=ended_before),
            ended_before=ended_before,
            now=now,
            is_dry_run=dry_run,
        )
        runs: list[Run] = []
        size = 0
        position: tuple[float, str] | None = None
        while True:
            found, position = await to_thread.run_sync(pruner.prune, position)
            runs.extend(run for run, _ in found)
            size += sum(bytes_of_run for _, bytes_of_run in found)
            if position is None:
                return PruneResult(runs=tuple(runs), size=size)

    async def document(
        self,
        id: str,  # noqa: A002 -- the word of the API
        *,
        phase: Phase = "apply",
    ) -> jobs.PlanDocument:
        """Return the plan of a run, for a review: each token with the reason for its selection.

        Args:
            id: The id of the run, or its first characters.
            phase: `apply`, `sweep` or `restore`. Default: the plan that is approved.

        Raises:
            RunNotFound: There is no such run.
            FleetError: The run has no such plan, or another one was put in its place.
            PlanRefused: The stored plan was altered.
            StoreError: The store cannot be reached.
        """
        store = self._store
        run = (await to_thread.run_sync(store.find, id)).record.run
        stored = await to_thread.run_sync(store.get_plan, run.id, phase)
        if stored is None and phase == "apply":
            raise FleetError(f"Run {run.id} is {run.state}, and has no plan.")
        if stored is None:
            raise FleetError(f"Run {run.id} has no plan for the phase {phase!r}.")
        document = await to_thread.run_sync(jobs.PlanDocument.from_json, stored)
        if phase == "apply" and document.digest != run.plan.digest:
            raise FleetError(
                f"The stored plan of run {run.id} is {document.id}, and not {run.plan.id}, so the "
                f"store was altered. Reject the run, and start a new one."
            )
        return document

    async def report(self, id: str) -> RunReport:  # noqa: A002 -- the word of the API
        """Return the outcome for each token of a run.

        Args:
            id: The id of the run, or its first characters.

        Raises:
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        return await to_thread.run_sync(self._report, id)

    async def wait(
        self,
        id: str,  # noqa: A002 -- the word of the API
        *,
        state: RunState | Iterable[RunState] | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 -- part of the interface
    ) -> Run:
        """Wait until a run has a state, and return it.

        Args:
            id: The id of the run, or its first characters.
            state: The state, or the states, to wait for. Default: `waiting`, `quarantined` and the
                final states.
            timeout: The maximum time to wait. Default: no limit.

        Raises:
            FleetError: The run has another final state, or the timeout has passed.
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        expected = _states(state, "wait") or ("waiting", "quarantined", *FINAL_STATES)
        deadline = inf if timeout is None else current_time() + timeout.total_seconds()
        while True:
            run = await self.run(id)
            if run.state in expected:
                return run
            wanted = " or ".join(expected)
            if run.is_final:
                raise FleetError(
                    f"Run {run.id} is {run.state}, and not {wanted}. {run.reason}".strip()
                )
            if current_time() >= deadline:
                raise FleetError(f"Run {run.id} is still {run.state}, and not {wanted}.")
            await sleep(_INTERVAL)

    async def _decide(
        self, kind: DecisionKind, prefix: str, by: str, reason: str, digest: str | None = None
    ) -> Run:
        validators.check_argument(validators.string(min_length=1), kind, "by", by)
        store = self._store
        # A clock of this machine that is slow must not keep a plan from its expiry.
        now = max(datetime.now(UTC), await to_thread.run_sync(self._database.time))
        decision = Decision(kind=kind, by=by, at=now, reason=reason)
        run = (await to_thread.run_sync(store.find, prefix)).record.run
        await to_thread.run_sync(self._engine.prepare)
        seen: list[Record] = []

        def decide(record: Record) -> Next:
            seen.append(record)
            return transitions.decide(record, decision, digest=digest)

        record = await to_thread.run_sync(store.change, run.id, decide)
        assert record is not None  # noqa: S101 -- a decision is made or refused
        # A worker may have begun the sweep before the decision. Its task must stay in the queue
        # until it ends, because it keeps other runs of the account waiting.
        before = seen[-1]
        if before.run.state == "quarantined" and record.attempt != before.attempt:
            await to_thread.run_sync(self._cancel_sweep, before)
        return record.run

    def _cancel_sweep(self, before: Record) -> None:
        """Remove the delayed task from the queue. It is stale, so it would do nothing."""
        assert self._opened is not None  # noqa: S101 -- the run was changed
        with suppress(FleetError):
            self._opened[1].cancel(task_id(before.run.id, "sweep", before.attempt))

    def _report(self, prefix: str) -> RunReport:
        run = self._store.find(prefix).record.run
        results: list[RunResult] = []
        for phase, stored in self._store.results(run.id, ("apply", "sweep", "restore")):
            results.extend(
                RunResult(
                    phase=phase,
                    owner=token.owner,
                    id=token.id,
                    name=token.name,
                    outcome=token.outcome,
                    error=token.error,
                    changed_at=token.changed_at,
                )
                for token in jobs.ChunkResult.from_json(stored).results
            )
        return RunReport(run=transitions.as_of(run, datetime.now(UTC)), results=tuple(results))


def client_of(place: StoreUrl) -> FleetClient:
    """Return a client for a place that is known already."""
    client = FleetClient.__new__(FleetClient)
    client._database, client._opened = Database(place), None  # noqa: SLF001 -- a constructor
    return client


def _states(state: RunState | Iterable[RunState] | None, function: str) -> tuple[RunState, ...]:
    """Return the states that an argument names; none for all."""
    if state is None:
        return ()
    given: tuple[RunState, ...] = (state,) if isinstance(state, str) else tuple(state)
    for one in given:
        if one not in RUN_STATES:
            raise ValidationError(
                f"{function}.state must be one of {', '.join(RUN_STATES)}, but it is {one!r}"
            )
    return given


def _aware(time: datetime | None) -> datetime | None:
    if time is not None and time.utcoffset() is None:
        raise ValidationError(f"runs.since must have a time zone, but it is {time!r}")
    return time
