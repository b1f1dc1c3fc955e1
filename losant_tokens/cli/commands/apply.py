"""`apply`: carry out a plan that was reviewed."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from losant_tokens.cli._errors import EXIT_ERROR, UsageError
from losant_tokens.cli._options.common import DEFAULT_CONNECTION, ConnectionOptions, flag
from losant_tokens.cli._options.jobs import (
    DEFAULT_MAX_AGE,
    DEFAULT_RUN,
    MaxAge,
    PlanFile,
    RunOptions,
)
from losant_tokens.cli._terminal.console import quiet_output, require_terminal_or_yes

if TYPE_CHECKING:
    from losant_tokens import jobs


def apply_plan(
    file: PlanFile,
    /,
    *,
    resume: Annotated[bool, flag("Resume a job that was started before.")] = False,
    retry_failed: Annotated[bool, flag("Retry failed tokens; requires --resume.")] = False,
    max_age: MaxAge = DEFAULT_MAX_AGE,
    options: RunOptions = DEFAULT_RUN,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Apply a plan after confirmation."""
    from losant_tokens import jobs
    from losant_tokens.cli._connections.clients import api_url
    from losant_tokens.cli._jobs.output_checks import check_outputs
    from losant_tokens.cli._jobs.state_view import has_work, refuse_running, refuse_started
    from losant_tokens.cli._jobs.workflow import JobWorkflow, confirm_plan
    from losant_tokens.cli._state.files import journal_path

    require_terminal_or_yes("apply", yes=options.yes)
    if retry_failed and not resume:
        raise UsageError("--retry-failed requires --resume: a new job has no failed tokens")
    with quiet_output(options.quiet):
        plan = jobs.Plan.read(file)
        journal = journal_path(plan, options.journal)
        job = JobWorkflow(
            plan,
            options,
            connection,
            journal,
            resume=resume,
            retry_failed=retry_failed,
            max_age=max_age,
        )
        check_outputs(options.report, inputs=[("the plan", file)], journal=journal, plan=plan)
        state = jobs.job_state(plan, journal)
        refuse_running(state)
        if not resume:
            refuse_started(plan, state, job.command("--resume"))
        is_over = not has_work(state, retry_failed=retry_failed)
        plan.check(api_url(connection), None if is_over else max_age, _estimated_now(plan))
        if not confirm_plan(plan, options, state=state, retry_failed=retry_failed):
            return EXIT_ERROR
        return job.run(has_work=not is_over)


def _estimated_now(plan: "jobs.Plan") -> datetime:
    """Return the time for a first check of the plan's age. The job uses the server's time.

    A clock that was ahead of the server's when the plan was made may still be ahead. A clock that
    was behind may still be behind, so that the plan only seems to be from the future.
    """
    skew, now = plan.header.clock_skew or timedelta(), datetime.now(UTC)
    if skew > timedelta():
        return now - skew
    return max(now, min(plan.header.created_at, now - skew))
