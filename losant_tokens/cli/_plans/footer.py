"""The last line of a plan's view: its totals, its age, and whether it was applied."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from losant_tokens import jobs
from losant_tokens.cli._plans.groups import Review
from losant_tokens.cli._terminal.format import format_number, relative_time
from losant_tokens.errors import LosantError

MAX_AGE = jobs.MAX_PLAN_AGE


def plan_status(plan: jobs.Plan, reviewed: Review, now: datetime, journal: Path | None) -> str:
    """Return the totals of a plan, its age, and whether it was applied.

    Args:
        plan: The plan.
        reviewed: Its tokens in groups.
        now: The current time, by the clock that the plan was made by.
        journal: The file of the journal; None for a plan that was just made.
    """
    header, total = plan.header, plan.header.total
    kept = total.listed - total.selected
    change = f"{total.selected:,}" if total.selected else "nothing"
    sentences = [f"Plan: {change} to {header.action}, {kept:,} to keep."]
    if total.selected:
        sentences.append(_creating(reviewed, total.selected))
    if reviewed.creators:
        sentences.append(f"{format_number(reviewed.creators, 'creator')}.")
    sentences.append(_state(plan, now, journal))
    return " ".join(sentences)


def _creating(reviewed: Review, selected: int) -> str:
    they = "it" if selected == 1 else "they"
    if reviewed.unknown == selected:
        return f"It is unknown whether {they} can create tokens."
    if selected == 1:
        return f"It {'can' if reviewed.creating else 'cannot'} create tokens."
    known = f"{reviewed.creating:,} of the {selected:,}" if reviewed.creating else "None of them"
    unknown = f"; of {reviewed.unknown:,}, that is unknown" if reviewed.unknown else ""
    return f"{known} can create tokens{unknown}."


def _state(plan: jobs.Plan, now: datetime, journal: Path | None) -> str:
    """Return the age of a plan, and whether it can still be applied, as a sentence."""
    made = f"Made {relative_time(plan.header.created_at, now)}"
    if plan.header.refused:
        return f"{made}, and refused."
    state = None if journal is None else job_state(plan, journal)
    if state is not None and state.is_running:
        return f"{made}, and being applied now."
    if state is not None and state.is_complete:
        return f"{made}, and applied: complete."
    is_old = now - plan.header.created_at > MAX_AGE
    if state is not None and state.is_started:
        left = state.pending + state.in_doubt
        old = " and --max-age" if is_old else ""
        return f"{made}, started, {left:,} left: apply it with --resume{old}."
    if is_old:
        return (
            f"{made}, no longer valid: a plan is valid for {_hours(MAX_AGE)}. Make a new one, or "
            f"apply it with --max-age."
        )
    return f"{made}, valid for {_hours(MAX_AGE)}."


def job_state(plan: jobs.Plan, journal: Path) -> jobs.JobState | None:
    """Return the state of a plan's job, or None if its journal cannot be read."""
    try:
        return jobs.job_state(plan, journal)
    except LosantError:
        return None


def current_time(plan: jobs.Plan) -> datetime:
    """Return the current time by the server's clock, from the clock skew that a plan states."""
    return datetime.now(UTC) - (plan.header.clock_skew or timedelta())


def _hours(span: timedelta) -> str:
    return format_number(round(span / timedelta(hours=1)), "hour")
