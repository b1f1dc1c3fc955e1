"""The state of a job for people: what is done and what is left, and the question to resume it."""

from losant_tokens.cli._errors import CommandError
from losant_tokens.cli._plans.action_words import DONE, VERBS
from losant_tokens.cli._terminal.format import format_count, format_datetime
from losant_tokens.jobs import JobState, Outcome, Plan


def outcome_counts(plan: Plan, state: JobState) -> list[str]:
    """Return how many tokens have each outcome, such as `1,950 deleted` and `3 in doubt`.

    Args:
        plan: The plan of the job.
        state: The state of the job.
    """
    counts = state.counts
    words = (
        (counts[Outcome.DONE], DONE[plan.header.action].lower()),
        *((counts[one], one.value) for one in (Outcome.GONE, Outcome.CHANGED, Outcome.PROTECTED)),
        (state.in_doubt, "in doubt"),
        (counts[Outcome.FAILED], "failed"),
    )
    return [f"{number:,} {word}" for number, word in words if number]


def refuse_running(state: JobState) -> None:
    """Refuse a plan that a process applies now.

    Raises:
        CommandError: A process applies it.
    """
    if not state.is_running:
        return
    process = "another process"
    if state.process_id is not None:
        process = f"process {state.process_id} on {state.host}"
    raise CommandError(f"the plan is in use: {process} applies it", "wait until that process ends")


def refuse_started(plan: Plan, state: JobState, resume: str) -> None:
    """Refuse a plan that was started before, with the state of its job.

    Args:
        plan: The plan.
        state: The state of its job.
        resume: The command that resumes the job.

    Raises:
        CommandError: The plan was started before.
    """
    if not state.is_started:
        return
    started = format_datetime(state.started_at, "an unknown date")
    counts = outcome_counts(plan, state)
    if not state.is_complete:
        counts.append(f"{state.pending:,} left")
    message = (
        f"{plan.path} was started on {started}{'' if state.is_complete else ' and is not complete'}"
    )
    if state.is_complete:
        message = f"{plan.path} is complete: it was started on {started}"
    if counts:
        message += f". Of {format_count(state.total)}: {', '.join(counts)}"
    hint = f"to resume: {resume}"
    if state.is_complete:
        hint = f"to write its report again: {resume} --report FILE"
        if state.counts[Outcome.FAILED]:
            hint = f"to retry the failed tokens: {resume} --retry-failed"
    raise CommandError(message, hint)


def question(plan: Plan, state: JobState | None, *, retry_failed: bool) -> str:
    """Return the question before a plan is applied.

    Args:
        plan: The plan.
        state: The state of the job, if it may have been started before.
        retry_failed: Whether the job retries failed tokens.
    """
    verb = VERBS[plan.header.action]
    permanently = " permanently" if plan.header.action == "delete" else ""
    if state is None or not state.is_started:
        return f"{verb} {format_count(plan.header.total.selected)}{permanently}?"
    failed = state.counts[Outcome.FAILED] if retry_failed else 0
    parts = [
        *_part(state.pending, "is left", "are left"),
        *([] if state.pending else _part(state.in_doubt, "is in doubt", "are in doubt")),
        *_part(failed, "failed", "failed"),
    ]
    counts = "; ".join((f"of {state.total:,}", ", ".join(outcome_counts(plan, state))))
    return f"{verb} {' and '.join(parts)} ({counts.removesuffix('; ')}){permanently}?"


def has_work(state: JobState, *, retry_failed: bool) -> bool:
    """Return whether a job has tokens left.

    Args:
        state: The state of the job.
        retry_failed: Whether it retries failed tokens.
    """
    return not state.is_complete or (retry_failed and state.counts[Outcome.FAILED] > 0)


def _part(number: int, one: str, several: str) -> list[str]:
    if not number:
        return []
    return [f"the {format_count(number)} that {one if number == 1 else several}"]
