"""Apply a plan: check it, execute its action on each token, and report the outcomes."""

from datetime import timedelta
from pathlib import Path

import anyio

from losant_tokens import AsyncClient
from losant_tokens._utils import validators
from losant_tokens.errors import ValidationError
from losant_tokens.jobs._errors import EvidenceError, PlanRefused
from losant_tokens.jobs._execution.job_failed import JobFailed
from losant_tokens.jobs._execution.job_files import JobFiles
from losant_tokens.jobs._execution.job_run import (
    MayChange,
    OnProgress,
    RunSettings,
    checked_concurrency,
    run_job,
)
from losant_tokens.jobs._execution.journal import journal_path
from losant_tokens.jobs._execution.preflight import Preflight, check_age, check_job, read_states
from losant_tokens.jobs._execution.progress import Listener
from losant_tokens.jobs._execution.report_from_journal import report_of_earlier_runs
from losant_tokens.jobs._plan.account_check import AccountCheck
from losant_tokens.jobs._plan.plan import MAX_PLAN_AGE, Plan
from losant_tokens.jobs._plan.planned_tokens import PlannedTokens
from losant_tokens.jobs._report.report import Report


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
    max_age: timedelta = MAX_PLAN_AGE,
    grace: float = 5.0,
    patience: float = 300.0,
    journal: Path | str | None = None,
    stop: anyio.Event | None = None,
    abort: anyio.Event | None = None,
    may_change: MayChange | None = None,
    on_progress: OnProgress | None = None,
) -> Report:
    """Carry out the action of a plan on its tokens.

    If the plan was made with audit logs, their new entries are read first, and a token that has
    changed something since is left alone.

    If you cancel it, it starts no more requests, gives requests in flight a grace period, records
    their outcomes, and raises the cancellation. `resume=True` continues a job that ended early.

    Args:
        client: The client that sends the requests. Its retry policy is not used.
        plan: The plan.
        resume: Whether to continue a job that was started before. Default: False.
        retry_failed: Whether a resumed job tries failed tokens again. Default: False.
        verify: Whether to read each token before it is changed, and to leave it alone if it has
            changed since the plan was made. Default: True.
        account_check: What to do if the plan is not confirmed to be for the client's account:
            `enforce` refuses the plan, `warn` warns, `off` checks nothing.
        max_concurrency: The maximum number of requests in flight. Default and upper bound: the
            number of the client's connections.
        rate: The maximum number of requests per second. Default: as many as the API allows.
        max_age: The maximum age of the plan. Default: 24 hours.
        grace: How long requests in flight may continue after a stop, in seconds. Default: 5.
        patience: How long to wait for the end of an outage, in seconds. Default: 300.
        journal: The file of the journal. Default: `journal_path(plan)`.
        stop: An event that stops the job. Requests in flight are finished.
        abort: An event that ends the job without a grace period. The outcome of requests in flight
            is `unknown`.
        may_change: Called in the event loop directly before each change, and by the pools of this
            package again before they write its request. If it returns False, the
            job ends in a `JobFailed` whose cause is a `ChangeRefused`, and no other change is sent.
            Use it if a job may run only as long as it holds a lease. Default: none.
        on_progress: Called with a `Progress` several times a second, in the event loop. If it
            raises an exception, the first one is logged, and the job continues.

    Raises:
        ValidationError: An argument is invalid.
        PlanRefused: The plan is for another base URL, is too old, or was altered.
        JournalError: The journal cannot be read or written, the job was started before, or another
            process applies the same plan.
        JobFailed: The plan is for another account, an audit log that protects its tokens cannot be
            read, or the job ended in an error. `report` says what was done, and `__cause__` is the
            error.
        LosantError: The API refused the token before the job started.
    """
    if not isinstance(plan, Plan):
        raise ValidationError(
            f"apply.plan must be a Plan, but it is {type(plan).__name__}. "
            f"Read the file of a plan with jobs.Plan.read(path)"
        )
    validators.check_argument(
        validators.optional(validators.positive_number), "apply", "rate", rate
    )
    concurrency = checked_concurrency(client, max_concurrency, "apply")
    if plan.header.action == "rotate":
        raise PlanRefused(
            f"{plan.path} is a plan to rotate tokens, and this would create no successors. "
            f"Pass it to jobs.rotate."
        )
    plan.check(client.base_url, None, plan.header.created_at)  # The age is checked later.
    path = Path(journal) if journal is not None else journal_path(plan)
    listener = Listener(on_progress)
    preflight = Preflight()
    earlier_states = await anyio.to_thread.run_sync(read_states, plan, path)
    # The report of a finished job can be written without the API and the token.
    if not resume or earlier_states.has_unfinished(retry_failed=retry_failed):
        try:
            preflight = await check_job(
                client,
                PlannedTokens.of(plan),
                check=account_check,
                patience=patience,
                listener=listener,
                stop_events=(stop, abort),
            )
        except (PlanRefused, EvidenceError) as error:
            report = await anyio.to_thread.run_sync(
                report_of_earlier_runs, plan, path, earlier_states
            )
            raise JobFailed(str(error), report=report) from error
        check_age(client, plan, max_age, resume=resume)
    async with JobFiles(plan, path, resume) as (entries, opened):
        run = await run_job(
            client,
            plan.header,
            entries.batches(),
            opened,
            RunSettings(
                max_concurrency=concurrency,
                rate=rate,
                patience=patience,
                grace=grace,
                stop=stop,
                abort=abort,
                may_change=may_change,
                verify=verify,
                retry_failed=retry_failed,
                is_account_confirmed=account_check == "enforce",
            ),
            listener=listener,
            preflight=preflight,
        )
        report = Report(
            plan=plan,
            journal=path,
            states=opened.states,
            requests=run.requests,
            retries=run.retries,
            refused=run.refused,
            seconds=run.seconds,
            pace=run.pace,
            finished_before=run.finished_before,
            gave_up=run.gave_up,
        )
    if run.failure is not None:
        raise JobFailed(str(run.failure), report=report) from run.failure
    return report
