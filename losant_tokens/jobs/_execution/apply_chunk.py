"""Apply a chunk of a plan, for a queue or a workflow engine that keeps plans and results itself.

The problem: the journal of `apply` is a file, so another machine cannot continue the job. A queue
runs a step again if the machine that ran it is lost, and nothing is left of what it did.

The approach: the caller keeps the chunks and their results, and records durably that it is about
to run a chunk. If it must run a chunk again, all of its tokens are in doubt, exactly as a token is
whose intent is the last line of a journal. Each is read first. If its status is the one that the
action sets, and its last change was not before the earlier run, that run has changed it.
"""

from datetime import UTC, datetime, timedelta

import anyio

from losant_tokens import AsyncClient
from losant_tokens._utils import validators
from losant_tokens.jobs._errors import EvidenceError, PlanRefused
from losant_tokens.jobs._evidence.last_seen import LastSeen
from losant_tokens.jobs._execution.chunk_result import ChunkFailed, ChunkResult, TokenOutcome
from losant_tokens.jobs._execution.job_run import (
    JobRun,
    MayChange,
    OnProgress,
    RunSettings,
    checked_concurrency,
    run_job,
)
from losant_tokens.jobs._execution.journal_interface import MemoryJournal
from losant_tokens.jobs._execution.preflight import check_job
from losant_tokens.jobs._execution.progress import Listener
from losant_tokens.jobs._execution.token_executor import OwnChanges
from losant_tokens.jobs._plan.plan import check_header
from losant_tokens.jobs._plan.plan_document import PlanChunk, tokens_of
from losant_tokens.jobs._throttle.pace import Pace
from losant_tokens.jobs._token_progress import States
from losant_tokens.jobs._types import Header

MAX_CHUNK_AGE = timedelta(days=7)
"""The default maximum age of the plan of a chunk, so that an approval can take a weekend."""


async def apply_chunk(  # noqa: PLR0913 -- settings, all but two by keyword
    client: AsyncClient,
    chunk: PlanChunk,
    *,
    in_doubt: bool | datetime = False,
    in_doubt_until: datetime | None = None,
    earlier: ChunkResult | None = None,
    may_change: MayChange | None = None,
    rate: float | None = None,
    max_concurrency: int | None = None,
    pace: Pace | None = None,
    seen: LastSeen | None = None,
    max_age: timedelta | None = MAX_CHUNK_AGE,
    grace: float = 5.0,
    patience: float = 300.0,
    stop: anyio.Event | None = None,
    abort: anyio.Event | None = None,
    on_progress: OnProgress | None = None,
) -> ChunkResult:
    """Carry out the action of a plan on the tokens of a chunk, without a file.

    It makes the same checks as `apply`: the base URL, the account, the age of the plan, and new
    entries of audit logs if the plan was made with them. Each token is read before it is changed,
    and left alone if it has changed since the plan was made.

    Nothing on this machine prevents that two processes apply a chunk at the same time, or a chunk
    twice. Record durably that you start a chunk, and pass `in_doubt` if it was started before.

    Args:
        client: The client that sends the requests. Its retry policy is not used.
        chunk: The chunk.
        in_doubt: Whether an earlier run, whose result is unknown, may have changed tokens of
            the chunk. Then each token is read first, and a change of that run is recognized by
            the status and the time of the last change. Pass the time of the first start instead
            of True: a token that was changed more than two seconds before was changed by somebody
            else. It is best taken from `client.server_time()`. Default: False.
        in_doubt_until: The time, by the clock of the API, after which the earlier run has certainly
            changed no token. A token that was changed more than two seconds after it was changed by
            somebody else. Default: unknown.
        earlier: The result of an earlier run that is not complete. The tokens that it has finished
            are left alone, and their outcomes are kept. Default: none.
        may_change: Called in the event loop directly before each change, and by the pools of this
            package again before they write its request. If it returns False, the
            chunk ends in a `ChunkFailed` whose cause is a `ChangeRefused`, and no other change is
            sent. Use it if a worker may change tokens only as long as it holds a lease.
            Default: none.
        rate: The maximum number of requests per second. Default: as many as the API allows.
        max_concurrency: The maximum number of requests in flight. Default and upper bound: the
            number of the client's connections.
        pace: Where this run starts, and what it finds, for the next chunk. Default: each chunk
            starts with a few requests per second.
        seen: The tokens in use since the plan was made, from `seen_since_plan`, so that the audit
            logs are read once for several chunks. Default: the logs are read for each chunk.
        max_age: The maximum age of the plan; `None` for any age. Default: 7 days. If the chunk is
            in doubt, the changes of the earlier run are recognized at any age, but a plan that is
            too old changes no other token.
        grace: How long requests in flight may continue after a stop, in seconds. Default: 5.
        patience: How long to wait for the end of an outage, in seconds. Default: 300.
        stop: An event that stops the run. Requests in flight are finished.
        abort: An event that ends the run without a grace period. The outcome of requests in flight
            is `unknown`.
        on_progress: Called with a `Progress` several times a second, in the event loop.

    Returns:
        The result of each token. If it is not complete, run the chunk again, and pass it as
        `earlier`.

    Raises:
        ValidationError: An argument is invalid.
        PlanRefused: The plan is to rotate tokens, is for another base URL or account, or is too
            old. Nothing was changed.
        EvidenceError: An audit log that protects tokens cannot be read. Nothing was changed.
        ChunkFailed: The run ended in an error. `result` says what was done, and `__cause__` is
            the error.
        LosantError: The API refused the token before the run started.
    """
    validators.check_argument(validators.instance_of(PlanChunk), "apply_chunk", "chunk", chunk)
    validators.check_argument(
        validators.optional(validators.positive_number), "apply_chunk", "rate", rate
    )
    concurrency = checked_concurrency(client, max_concurrency, "apply_chunk")
    since = in_doubt if isinstance(in_doubt, datetime) else None
    if since is not None:
        validators.check_argument(validators.aware_datetime, "apply_chunk", "in_doubt", since)
    validators.check_argument(
        validators.optional(validators.aware_datetime),
        "apply_chunk",
        "in_doubt_until",
        in_doubt_until,
    )
    planned = tokens_of(chunk)
    header, source = planned.header, planned.source
    if header.action == "rotate":
        raise PlanRefused(
            f"{source} is part of a plan to rotate tokens, and this would create no successors. "
            f"Pass the plan to jobs.rotate."
        )
    check_header(header, source, client.base_url, None, header.created_at)
    if seen is not None:
        _check_evidence(seen, header, source)
    states = _states(chunk, in_doubt, earlier)
    if earlier is not None and earlier.is_complete:
        return earlier
    listener = Listener(on_progress)
    preflight = await check_job(
        client,
        planned,
        check="enforce",
        patience=patience,
        listener=listener,
        stop_events=(stop, abort),
        seen=seen,
    )
    refusal: PlanRefused | None = None
    try:
        now = client.server_time() or datetime.now(UTC)
        check_header(header, source, client.base_url, max_age, now)
    except PlanRefused as error:
        if not states.has_doubt():
            raise
        refusal = error
    journal = MemoryJournal(states)
    run = await run_job(
        client,
        header,
        iter([list(chunk.entries)]),
        journal,
        RunSettings(
            max_concurrency=concurrency,
            rate=rate,
            patience=patience,
            grace=grace,
            stop=stop,
            abort=abort,
            may_change=may_change,
            own_changes=OwnChanges(since, in_doubt_until),
            refusal=None if refusal is None else str(refusal),
            pace=pace or Pace(),
        ),
        listener=listener,
        preflight=preflight,
    )
    result = _result(chunk, journal.states, run)
    failure = run.failure
    if failure is None and refusal is not None and result.pending:
        failure = refusal
    if failure is not None:
        raise ChunkFailed(str(failure), result=result) from failure
    return result


def _check_evidence(seen: LastSeen, header: Header, source: str) -> None:
    """Refuse evidence that does not begin when the plan was made, or that is of other logs.

    Raises:
        EvidenceError: The evidence is not that of the plan.
    """
    if header.seen is None:
        return
    is_whole = seen.since is None or seen.since <= header.seen.until
    if not is_whole or not set(header.seen.sources) <= set(map(str, seen.sources)):
        raise EvidenceError(
            f"{source} was made with audit logs that the argument seen does not cover. Pass the "
            f"result of jobs.seen_since_plan."
        )


def _states(chunk: PlanChunk, in_doubt: bool | datetime, earlier: ChunkResult | None) -> States:
    """Return the states of the tokens before the run.

    Raises:
        PlanRefused: `earlier` is not a result of the chunk.
    """
    states = States.of(len(chunk), in_doubt=in_doubt is not False)
    if earlier is None:
        return states
    ids = [(token.owner, token.id) for token in earlier.results]
    if (earlier.digest, earlier.first, ids) != (
        chunk.digest,
        chunk.first,
        [(entry.owner, entry.id) for entry in chunk.entries],
    ):
        raise PlanRefused(f"{chunk} has another result. Pass the earlier result of this chunk.")
    for number, token in enumerate(earlier.results):
        if token.outcome is not None:
            states.record(number, token.outcome.value, token.error, token.changed_at)
    return states


def _result(chunk: PlanChunk, states: States, run: JobRun) -> ChunkResult:
    return ChunkResult(
        digest=chunk.digest,
        first=chunk.first,
        results=tuple(
            TokenOutcome(
                owner=entry.owner,
                id=entry.id,
                name=entry.name,
                outcome=states.outcome(number),
                error=states.errors.get(number),
                changed_at=states.changed_at.get(number),
            )
            for number, entry in enumerate(chunk.entries)
        ),
        requests=run.requests,
        retries=run.retries,
        refused=run.refused,
        seconds=run.seconds,
        gave_up=run.gave_up,
    )
