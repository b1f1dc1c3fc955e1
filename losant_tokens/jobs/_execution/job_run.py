"""One run of a job: the workers that execute its tokens, and what they report at the end.

`apply` and `apply_chunk` differ in where the tokens come from and where the outcomes go. Everything
between is here.
"""

from collections.abc import Callable, Iterator

import anyio
import attrs

from losant_tokens import AsyncClient
from losant_tokens._client import rate_limiter_of
from losant_tokens._limits.adaptive_rate import AdaptiveRate
from losant_tokens._utils import validators
from losant_tokens.errors import LosantError
from losant_tokens.jobs._execution.journal_interface import JobJournal
from losant_tokens.jobs._execution.preflight import Preflight
from losant_tokens.jobs._execution.progress import Listener, ProgressReporter
from losant_tokens.jobs._execution.queue import WorkQueue
from losant_tokens.jobs._execution.token_executor import Executor, OwnChanges
from losant_tokens.jobs._execution.unconfirmed_results import HeldBackResults
from losant_tokens.jobs._execution.worker_pool import WorkerPool
from losant_tokens.jobs._throttle.circuit_breaker import CircuitBreaker
from losant_tokens.jobs._throttle.pace import Pace
from losant_tokens.jobs._throttle.throttle import Throttle
from losant_tokens.jobs._types import Entry, Header, Outcome, PaceSample, Progress

OnProgress = Callable[[Progress], None]
MayChange = Callable[[], bool]
"""Returns whether the job may change a token now."""


@attrs.frozen(kw_only=True)
class RunSettings:
    """The settings of one run of a job.

    Attributes:
        max_concurrency: The maximum number of requests in flight.
        rate: The maximum number of requests per second; `None` for as many as the API allows.
        patience: How long to wait for the end of an outage, in seconds.
        grace: How long requests in flight may continue after a stop, in seconds.
        stop: An event that stops the job. Requests in flight are finished.
        abort: An event that ends the job without a grace period.
        may_change: Asked before each change.
        verify: Whether to read each token before it is changed.
        retry_failed: Whether to try failed tokens again.
        is_account_confirmed: Whether the tokens are known to be those of the client's account.
        own_changes: Recognizes changes of earlier runs; `None` if a journal has their intents.
        refusal: Why no token may be changed. Then tokens are only read.
        pace: The rate and the concurrency to continue with.
    """

    max_concurrency: int
    rate: float | None
    patience: float
    grace: float
    stop: anyio.Event | None
    abort: anyio.Event | None
    may_change: MayChange | None
    verify: bool = True
    retry_failed: bool = False
    is_account_confirmed: bool = True
    own_changes: OwnChanges | None = None
    refusal: str | None = None
    pace: Pace = attrs.field(factory=Pace)


@attrs.frozen(kw_only=True)
class JobRun:
    """The outcome of one run of a job.

    Attributes:
        requests: The number of requests sent.
        retries: The number of attempts that followed a failed one.
        refused: The number of requests refused with 429.
        seconds: The duration in seconds.
        pace: The samples of the rate.
        finished_before: The number of tokens that earlier runs finished.
        gave_up: Why the job gave up, or `None`.
        failure: The error that ended the job, or `None`.
    """

    requests: int
    retries: int
    refused: int
    seconds: float
    pace: tuple[PaceSample, ...]
    finished_before: int
    gave_up: str | None
    failure: LosantError | None


def checked_concurrency(client: AsyncClient, max_concurrency: int | None, owner: str) -> int:
    """Return the maximum number of requests in flight.

    Args:
        client: The client, whose number of connections is the upper bound.
        max_concurrency: The argument; `None` for the number of connections.
        owner: The function that has the argument, for the message.

    Raises:
        ValidationError: The argument is not an integer of at least 1.
    """
    concurrency = client.max_connections if max_concurrency is None else max_concurrency
    validators.check_argument(validators.integer(minimum=1), owner, "max_concurrency", concurrency)
    return min(concurrency, client.max_connections)


async def run_job(
    client: AsyncClient,
    header: Header,
    batches: Iterator[list[Entry]],
    journal: JobJournal,
    settings: RunSettings,
    *,
    listener: Listener,
    preflight: Preflight,
) -> JobRun:
    """Execute the action of a plan on tokens, and record the outcomes.

    Args:
        client: The client.
        header: The header of the plan, with the counts of the tokens.
        batches: The tokens, in batches.
        journal: The journal.
        settings: The settings of this run.
        listener: The listener for the progress.
        preflight: The result of the checks before. If the job gave up, nothing is executed.
    """
    limiter = rate_limiter_of(client)
    with limiter.share(settings.pace.rate(settings.rate)) as rate:
        throttle = Throttle(
            rate,
            settings.pace.concurrency(settings.max_concurrency),
            CircuitBreaker(settings.patience),
            before_waiting=journal.flush,
            cap=None if settings.rate is None else AdaptiveRate(settings.rate),
            turn=limiter.turn,
        )
        executor = Executor(
            client=client,
            # Made once and not for each token, which saves 1 of the 90 microseconds that a job adds
            # to each token (benchmark row "CPU per token").
            tokens={owner: client.tokens(owner) for owner in header.counts},
            action=header.action,
            verify=settings.verify,
            journal=journal,
            throttle=throttle,
            queue=WorkQueue(batches, journal.states, retry_failed=settings.retry_failed),
            held_back=HeldBackResults(
                client,
                journal,
                settings.patience,
                is_account_confirmed=settings.is_account_confirmed,
                first_account=preflight.account_changes,
            ),
            seen=preflight.seen,
            may_change=settings.may_change,
            own_changes=settings.own_changes,
            refusal=settings.refusal,
        )
        planned = header.total
        retried = journal.states.counts()[Outcome.FAILED] if settings.retry_failed else 0
        progress = ProgressReporter(
            planned.selected, planned.protected, journal.states, throttle, listener
        )
        pool = WorkerPool(executor, progress, settings.grace, preflight.gave_up)
        failure: LosantError | None = None
        try:
            if preflight.gave_up is None:
                await pool.run(settings.stop, settings.abort)
        except LosantError as error:
            failure = error
    return JobRun(
        requests=throttle.sent,
        retries=throttle.retries,
        refused=throttle.refused,
        seconds=progress.elapsed(),
        pace=tuple(progress.samples),
        finished_before=progress.finished_before - retried,
        gave_up=pool.gave_up,
        failure=failure,
    )
