"""Carries a plan out: in its own pace, accounting for each token, safe to interrupt.

For each token: look whether it still is what the plan saw, write down what is intended, do it,
and write down what came of it. What was intended and has no outcome is unknown, until somebody
looks.
"""

import random
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs

from losant_tokens import ApiTokenPatch, AsyncClient, Owner, RetryPolicy, errors
from losant_tokens import _limits as limits
from losant_tokens._owner import OwnerTokens
from losant_tokens.errors import (
    LosantError,
    NotFound,
    PlanRefused,
    StatusError,
    TooManyRequests,
    TransportError,
)
from losant_tokens.jobs._health import Health
from losant_tokens.jobs._journal import Journal
from losant_tokens.jobs._pace import Meter, Pace
from losant_tokens.jobs._plan import Plan
from losant_tokens.jobs._report import Report
from losant_tokens.jobs._selection import Token
from losant_tokens.jobs._values import Entry, Outcome, PaceSample, Progress

Request = Callable[[], Awaitable[Any]]
OnProgress = Callable[[Progress], None]

MAX_AGE = timedelta(hours=24)
_ONCE = RetryPolicy(attempts=1)  # a job tries again by its own rules
_MOST_TRIES = 5
_MOST_REFUSALS = 50
_TICK = 0.2  # seconds between two reports of progress
_SAMPLE = 1.0  # seconds between two samples of the pace
_MOST_SAMPLES = 600


async def apply(  # noqa: PLR0913 -- settings, all but two by keyword
    client: AsyncClient,
    plan: Plan,
    *,
    resume: bool = False,
    verify: bool | None = None,
    max_concurrency: int | None = None,
    rate: float | None = None,
    max_age: timedelta = MAX_AGE,
    grace: float = 5.0,
    patience: float = 300.0,
    journal: Path | str | None = None,
    stop: anyio.Event | None = None,
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
            as the plan saw it. Default: for `delete`.
        max_concurrency: How many requests may be in flight at the most. Default: as many as the
            client has connections.
        rate: Requests per second, if they shall be fixed. Default: as many as are answered.
        max_age: How old the plan may be.
        grace: For how many seconds what is under way may go on, once the job is stopped.
        patience: For how many seconds an outage of the service is waited out.
        journal: The file of the journal. Default: that of the plan, with `.journal` behind it.
        stop: An event that stops the job: what is under way is finished, nothing more begun.
        on_progress: Called with a `Progress` several times a second, in the event loop.

    Raises:
        PlanRefused: The plan is for another address, too old, or was altered.
        JournalError: The journal cannot be read or written, or the job was begun before.
        LosantError: The token may not do this at all.
    """
    limits.check(limits.optional(limits.positive), "apply", "rate", rate)
    most = client.max_connections if max_concurrency is None else max_concurrency
    limits.check(limits.whole(least=1), "apply", "max_concurrency", most)
    plan.check(client.base_url, max_age, datetime.now(UTC))
    path = Path(journal) if journal is not None else journal_of(plan)
    opened = await anyio.to_thread.run_sync(_open, plan, path, resume)
    with opened:
        job = _Job(
            client=client,
            plan=plan,
            journal=opened,
            verify=plan.header.action == "delete" if verify is None else verify,
            pace=Pace(most, rate),
            health=Health(patience),
            grace=grace,
            stop=stop or anyio.Event(),
            on_progress=on_progress or _nobody_listens,
        )
        return await job.run()


def journal_of(plan: Plan) -> Path:
    """Where the journal of a plan is, unless told otherwise: beside it."""
    return plan.path.with_name(plan.path.name + ".journal")


def _open(plan: Plan, path: Path, resume: bool) -> Journal:
    if Plan.read(plan.path).digest != plan.digest:
        raise PlanRefused(f"{plan.path} is another plan by now. Read it again.")
    return Journal.open(plan, path, resume=resume)


def _nobody_listens(_: Progress) -> None:
    """Takes progress nowhere."""


class _HopelessError(Exception):
    """The service has been out for longer than one wants to wait."""


@attrs.define(eq=False)
class _Job:
    """A plan while it is being carried out."""

    client: AsyncClient
    plan: Plan
    journal: Journal
    verify: bool
    pace: Pace
    health: Health
    grace: float
    stop: anyio.Event
    on_progress: OnProgress
    requests: int = 0
    retries: int = 0
    refused: int = 0
    gave_up: str | None = None
    fatal: LosantError | None = None
    samples: list[PaceSample] = attrs.field(factory=list)
    _began: float = 0.0
    _work: Iterator[tuple[int, Entry]] = attrs.field(factory=lambda: iter(()))
    _workers: int = 0
    _under_way: set[anyio.CancelScope] = attrs.field(factory=set)
    _probing: anyio.Lock = attrs.field(factory=anyio.Lock)
    _sent: Meter = attrs.field(factory=Meter)
    _tokens: dict[Owner, OwnerTokens] = attrs.field(factory=dict)
    _group: anyio.abc.TaskGroup | None = None
    _finished: anyio.Event = attrs.field(factory=anyio.Event)

    async def run(self) -> Report:
        """Carries the plan out, as far as it comes."""
        self._began = anyio.current_time()
        self._work = self._what_is_left()
        try:
            async with anyio.create_task_group() as self._group:
                self._group.start_soon(self._keep_informed)
                self._group.start_soon(self._heed_stop)
                self._hire()
                await self._finished.wait()
                self._group.cancel_scope.cancel()
        finally:
            self._inform()
        if self.fatal is not None:
            raise self.fatal
        return self._report()

    # --- Workers -----------------------------------------------------------------------------

    def _hire(self) -> None:
        """Has as many workers as the pace allows."""
        assert self._group is not None  # noqa: S101 -- it runs
        while self._workers < max(1, int(self.pace.concurrency)) and not self._is_stopping:
            self._workers += 1
            self._group.start_soon(self._work_on)

    @property
    def _is_stopping(self) -> bool:
        return self.stop.is_set() or self.gave_up is not None or self.fatal is not None

    async def _work_on(self) -> None:
        """Takes one token after the other, until there are none, or fewer workers are wanted."""
        try:
            while not self._is_stopping and self._workers <= max(1, int(self.pace.concurrency)):
                work = next(self._work, None)
                if work is None:
                    break
                await self._take(*work)
                self._hire()
        finally:
            self._workers -= 1
            if self._workers == 0:
                self._finished.set()

    async def _take(self, number: int, entry: Entry) -> None:
        """Does one token, shielded: a job that is stopped gives it a moment."""
        with anyio.CancelScope(shield=True) as scope:
            self._under_way.add(scope)
            try:
                await self._do(number, entry)
            except _HopelessError:
                self.gave_up = "the service does not answer"
            except LosantError as error:
                self.fatal = self.fatal or error
            finally:
                self._under_way.discard(scope)

    async def _heed_stop(self) -> None:
        """Gives what is under way its moment, when the job is stopped or cancelled."""
        try:
            await self.stop.wait()
        finally:
            if not self.stop.is_set():
                self.stop.set()
            deadline = anyio.current_time() + self.grace
            for scope in self._under_way:
                scope.deadline = deadline

    def _what_is_left(self) -> Iterator[tuple[int, Entry]]:
        """The tokens that have not come to an end yet, by their numbers in the plan."""
        for number, entry in enumerate(self.plan.entries()):
            if self.journal.states.outcome(number) in {None, Outcome.UNKNOWN}:
                yield number, entry

    # --- One token ---------------------------------------------------------------------------

    async def _do(self, number: int, entry: Entry) -> None:
        if entry.protected is not None:
            await self.journal.settle(number, Outcome.PROTECTED)
            return
        try:
            outcome = await self._outcome(number, entry)
        except (errors.Unauthorized, errors.ScopeError, errors.TokenExpired, errors.JobError):
            raise  # it would be the same for all others
        except (StatusError, errors.ResponseError, TransportError) as error:
            await self.journal.settle(number, Outcome.FAILED, str(error))
            return
        await self.journal.settle(number, outcome)

    async def _outcome(self, number: int, entry: Entry) -> Outcome:
        was_asked_for = self.journal.states.outcome(number) is Outcome.UNKNOWN
        if self.verify or was_asked_for:
            seen = await self._look(entry)
            if seen is None:
                gone = self.plan.header.action == "delete" and was_asked_for
                return Outcome.DONE if gone else Outcome.GONE
            if was_asked_for and seen.status == _status_after(self.plan.header.action):
                return Outcome.DONE
            if not _is_as_planned(seen, entry):
                return Outcome.CHANGED
        await self.journal.intend(number)
        return await self._act(entry)

    async def _look(self, entry: Entry) -> Token | None:
        """The token as it is now, or `None` where it is gone."""
        tokens = self._tokens_of(entry.owner)
        try:
            found: Token = await self._send(lambda: tokens.get(entry.id, retry=_ONCE))
        except NotFound:
            return None
        return found

    async def _act(self, entry: Entry) -> Outcome:
        tokens, tries = self._tokens_of(entry.owner), _Tries()
        status = _status_after(self.plan.header.action)
        try:
            if status is None:
                await self._send(lambda: tokens.delete(entry.id, retry=_ONCE), tries)
            else:
                patch = ApiTokenPatch(status=status)  # type: ignore[arg-type]  # one of the two
                await self._send(lambda: tokens.patch(entry.id, patch, retry=_ONCE), tries)
        except NotFound:
            # Of our own making, where an earlier try may have arrived.
            return Outcome.DONE if status is None and tries.ambiguous else Outcome.GONE
        return Outcome.DONE

    def _tokens_of(self, owner: Owner) -> OwnerTokens:
        if owner not in self._tokens:
            self._tokens[owner] = self.client.tokens(owner)
        return self._tokens[owner]

    # --- One request -------------------------------------------------------------------------

    async def _send(self, request: Request, tries: "_Tries | None" = None) -> Any:
        """Sends a request until it is answered; what cannot pass is raised.

        Raises:
            _HopelessError: The service has been out for too long.
            LosantError: The answer, or what came instead of it too often.
        """
        tries = tries or _Tries()
        self.health.began()
        while True:
            if self.health.down_since is not None:
                await self._probe(request, tries)
            else:
                await self._once(request, tries)
            if tries.answer is not None:
                return tries.answer
            await self._before_the_next(tries)
            self.retries += 1

    async def _once(self, request: Request, tries: "_Tries") -> None:
        """One try, in its turn."""
        await self._its_turn()
        sent_at = anyio.current_time()
        self.requests += 1
        tries.error = None
        try:
            tries.answer = await request()
        except TooManyRequests as error:
            self.refused += 1
            tries.refused(error)
            self.health.answered()
            self.pace.refused(anyio.current_time(), sent_at, error.retry_after)
        except (TransportError, errors.ServerError) as error:
            self._trouble(error, sent_at, tries)
        except StatusError as error:
            if error.status_code != 408:  # noqa: PLR2004 -- the server waited for us in vain
                self._answered(sent_at)
                raise
            self._trouble(error, sent_at, tries)
        else:
            self._answered(sent_at)

    async def _its_turn(self) -> None:
        """Waits for the place that the pace gives; a place that a pause has overrun is lost."""
        await anyio.sleep(self.pace.book(anyio.current_time()))
        while self.pace.is_pausing(anyio.current_time()):  # noqa: ASYNC110 -- for a time
            await anyio.sleep(self.pace.book(anyio.current_time()))

    def _answered(self, sent_at: float) -> None:
        now = anyio.current_time()
        self.health.answered()
        self.pace.answered(now, now - sent_at)

    def _trouble(self, error: LosantError, sent_at: float, tries: "_Tries") -> None:
        now = anyio.current_time()
        tries.troubled(error)
        self.health.troubled(now)
        self.pace.troubled(now, sent_at)

    async def _probe(self, request: Request, tries: "_Tries") -> None:
        """During an outage, one request at a time finds out whether the service is back."""
        async with self._probing:
            if self.health.down_since is None:
                return
            if self.health.is_hopeless(anyio.current_time()) or self._is_stopping:
                raise _HopelessError
            await anyio.sleep(self.health.next_probe())
            await self._once(request, tries)

    async def _before_the_next(self, tries: "_Tries") -> None:
        """Waits before another try, or raises what came of the last one."""
        if self.health.down_since is not None:
            return  # the service is out: nothing is wrong with this token
        if tries.error is None:
            return  # it was out, and is back
        if tries.count >= _MOST_TRIES or tries.refusals >= _MOST_REFUSALS:
            raise tries.error
        if isinstance(tries.error, TooManyRequests):
            return  # the pace waits
        if not self.health.may_try_again():
            self.health.out(anyio.current_time())
            return
        await anyio.sleep(random.random() * min(20.0, 0.5 * 2**tries.count))  # noqa: S311 -- jitter

    # --- What is told ------------------------------------------------------------------------

    async def _keep_informed(self) -> None:
        """Tells of the progress several times a second, and takes a sample of the pace."""
        spacing, due = _SAMPLE, 0.0
        while True:
            self._inform()
            if (elapsed := self._elapsed()) >= due:
                self._sample(elapsed)
                due = elapsed + spacing
            if len(self.samples) >= _MOST_SAMPLES:
                self.samples = self.samples[::2]
                spacing *= 2
            await anyio.sleep(_TICK)

    def _elapsed(self) -> float:
        return anyio.current_time() - self._began

    def _sample(self, elapsed: float) -> None:
        self.samples.append(
            PaceSample(
                at=elapsed,
                per_second=self.pace.answers.per_second(anyio.current_time()),
                concurrency=self._workers,
                refused=self.refused - sum(sample.refused for sample in self.samples),
            )
        )

    def _inform(self) -> None:
        counts = self.journal.states.counts()
        elapsed, total = self._elapsed(), len(self.plan)
        settled = sum(counts.values())
        self.on_progress(
            Progress(
                total=total,
                counts=counts,
                requests=self.requests,
                retries=self.retries,
                refused=self.refused,
                per_second=self.pace.answers.per_second(anyio.current_time()),
                concurrency=self._workers,
                elapsed=elapsed,
                remaining=elapsed / settled * (total - settled) if settled else None,
                pausing="the service does not answer" if self.health.down_since else None,
            )
        )

    def _report(self) -> Report:
        return Report(
            plan=self.plan,
            journal=self.journal.path,
            states=self.journal.states,
            requests=self.requests,
            retries=self.retries,
            refused=self.refused,
            seconds=self._elapsed(),
            pace=tuple(self.samples),
            gave_up=self.gave_up,
        )


@attrs.define
class _Tries:
    """The tries of one request."""

    answer: Any = None
    error: LosantError | None = None
    count: int = 0
    refusals: int = 0
    ambiguous: bool = False

    def refused(self, error: LosantError) -> None:
        self.error = error
        self.refusals += 1

    def troubled(self, error: LosantError) -> None:
        self.error = error
        self.count += 1
        self.ambiguous |= not isinstance(error, TransportError) or error.ambiguous


def _status_after(action: str) -> str | None:
    """The status that an action leaves a token in; `None`: it leaves none."""
    return {"deactivate": "inactive", "activate": "active"}.get(action)


def _is_as_planned(token: Token, entry: Entry) -> bool:
    """Whether a token is what the plan saw."""
    return (token.last_updated, token.status, token.name) == (
        entry.last_updated,
        entry.status,
        entry.name,
    )
