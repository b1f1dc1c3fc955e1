"""Quarantines for people: the state of their tokens, and when they are due."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from shlex import join, quote

from losant_tokens import jobs
from losant_tokens.cli._plans.view import nothing_to_do
from losant_tokens.cli._terminal.console import print_status, write_output
from losant_tokens.cli._terminal.format import format_count, format_date, format_datetime
from losant_tokens.cli._terminal.tables import Cell, Row, format_table
from losant_tokens.cli._tokens.json import as_wire

_SOON = timedelta(days=2)


def nothing_to_sweep(plan: jobs.Plan, reviews: Sequence[jobs.QuarantineReview]) -> str:
    """Return why a sweep deletes nothing, in one line.

    Args:
        plan: The plan, which selects no token.
        reviews: The state of each quarantine.
    """
    if not reviews:
        return "Nothing to sweep: no quarantine with a grace period has tokens left."
    waiting = sum(review.waiting for review in reviews)
    dates = [review.next_due_at for review in reviews if review.next_due_at is not None]
    if not waiting:
        return f"Nothing is left to sweep: {_fates(reviews)}."
    if any(review.due for review in reviews) or not dates:
        return nothing_to_do(plan)
    last = max(review.all_due_at for review in reviews if review.all_due_at is not None)
    now = reviews[0].reviewed_at
    first = format_due(min(dates), now)
    if format_due(last, now) == first:
        return f"Nothing due until {first}, when {format_count(waiting)} will be due."
    return (
        f"Nothing due until {first}. {format_count(waiting)} wait, and the last is due on "
        f"{format_due(last, now)}."
    )


def nothing_to_restore(plan: jobs.Plan, reviews: Sequence[jobs.QuarantineReview]) -> str:
    """Return why a restore activates nothing, in one line.

    Args:
        plan: The plan, which selects no token.
        reviews: The state of the quarantine.
    """
    if any(review.waiting for review in reviews):
        return nothing_to_do(plan)
    return f"Nothing is left to restore: {_fates(reviews)}."


def _fates(reviews: Sequence[jobs.QuarantineReview]) -> str:
    """Return what became of the tokens of quarantines, as a phrase."""
    total = sum(review.quarantine.total for review in reviews)
    parts = fates(reviews)
    return f"of {format_count(total)} in quarantine, {', '.join(parts)}" if parts else "no tokens"


def fates(reviews: Sequence[jobs.QuarantineReview]) -> list[str]:
    """Return what became of the tokens that no longer wait, such as `3 swept`."""
    words = {
        "swept": sum(review.swept for review in reviews),
        "restored": sum(review.restored for review in reviews),
        "reactivated by somebody else": sum(review.reactivated for review in reviews),
        "changed since": sum(review.changed for review in reviews),
        "deleted by somebody else": sum(review.gone for review in reviews),
        "unknown": sum(review.unknown for review in reviews),
    }
    return [f"{number:,} {word}" for word, number in words.items() if number]


def format_due(time: datetime, now: datetime) -> str:
    """Return when tokens are due: a date, with the time of day if that is soon."""
    if time - now < _SOON:
        return format_datetime(time, "")
    return format_date(time, "")


def next_steps(report: jobs.Report, account: Sequence[str] = ()) -> list[str]:
    """Return the lines after a quarantine: its id, and how to restore and sweep it.

    Args:
        report: The report of the job that deactivated the tokens.
        account: The options that select the account.
    """
    name, grace = quote(report.plan.id), report.plan.header.grace
    changed = report.changed_at.values()
    lines = [f"Quarantine: {name}"]
    lines.append(f"To activate the tokens again: {_command('restore', account)} {name}")
    if grace is None or not changed:
        lines.append(f"To delete them later: {_command('sweep', account)} {name} --after 30d")
    else:
        due = format_due(max(changed) + grace, max(changed))
        command = f"{_command('sweep', account)} --due"
        lines.append(f"To delete them when they are due, from {due}: {command}")
    return lines


def _command(name: str, account: Sequence[str]) -> str:
    return join(("losant-tokens", name, *account))


# --- The list --------------------------------------------------------------------------------

State = jobs.QuarantineReview | jobs.Quarantine
"""The state of a quarantine: compared with the API, or from files only."""

_COLUMNS = ("ID", "CREATED", "WAITING", "REACTIVATED", "SWEPT", "DUE", "RULE")


def show_quarantines(states: Sequence[State], account: Sequence[str] = ()) -> None:
    """Write quarantines as a table, with notes about tokens that do not fit in a column.

    Args:
        states: The quarantines.
        account: The options that select the account.
    """
    if not states:
        print_status("No quarantine of this account is recorded on this machine.")
        return
    table = format_table(
        _COLUMNS,
        [_row(state) for state in states],
        steps=(("RULE", 8), ("CREATED", len("01-31")), ("REACTIVATED", 5)),
        numbers=("WAITING", "REACTIVATED", "SWEPT"),
    )
    write_output(table)
    for state in states:
        for note in _notes(state, account):
            print_status(note)
    due = sum(state.due for state in states if isinstance(state, jobs.QuarantineReview))
    if due:
        verb = "is" if due == 1 else "are"
        command = f"{_command('sweep', account)} --due"
        print_status(f"{format_count(due)} {verb} due. To delete: {command}")
    print_status(_source(states[0]))


def _source(state: State) -> str:
    if isinstance(state, jobs.QuarantineReview):
        url, time = state.quarantine.base_url, format_datetime(state.reviewed_at, "?")
        return f"Compared with the tokens at {url} on {time}."
    return (
        "From files only: a token that somebody else has activated, changed or deleted is counted "
        "as waiting."
    )


def _quarantine(state: State) -> jobs.Quarantine:
    return state.quarantine if isinstance(state, jobs.QuarantineReview) else state


def _row(state: State) -> Row:
    one = _quarantine(state)
    reactivated = state.restored + (
        state.reactivated if isinstance(state, jobs.QuarantineReview) else 0
    )
    created = format_date(one.created_at, "unknown")
    due = _due(state)
    return (
        one.id,
        Cell(created, shorter=(created[len("2026-") :],)),
        f"{state.waiting:,}",
        f"{reactivated:,}",
        f"{state.swept:,}",
        Cell(due, "yellow" if due == "now" else ""),
        one.rule,
    )


def _due(state: State) -> str:
    if not state.waiting:
        return "-"
    if _quarantine(state).grace is None:
        return "not set"
    if isinstance(state, jobs.QuarantineReview):
        return "now" if state.due else format_date(state.next_due_at, "unknown")
    return format_date(state.due_at, "unknown")


def _notes(state: State, account: Sequence[str]) -> list[str]:
    """Return sentences about the tokens of a quarantine that the table does not count."""
    one = _quarantine(state)
    parts = [
        *_part(one.failed, "could not be deactivated"),
        *_part(one.failed_later, "could not be swept or restored"),
    ]
    if isinstance(state, jobs.QuarantineReview):
        parts += [
            # A request in flight of a killed job leaves the time of its change unknown.
            *_part(state.changed, "may have been changed since"),
            *_part(state.gone, "was deleted by somebody else", "were deleted by somebody else"),
            *_part(state.unknown, "cannot be listed"),
        ]
    notes = [f"{one.id}: {', '.join(parts)}."] if parts else []
    if one.unfinished:
        verb = "has" if one.unfinished == 1 else "have"
        note = f"{one.id}: {format_count(one.unfinished)} {verb} no outcome yet."
        if one.plan is not None and one.plan.exists():
            command = f"{_command('apply', account)} {quote(str(one.plan))} --resume"
            note += f" To resume: {command}"
        notes.append(note)
    return notes


def _part(number: int, one: str, several: str = "") -> list[str]:
    return [f"{format_count(number)} {one if number == 1 else several or one}"] if number else []


def as_json_values(state: State) -> dict[str, object]:
    """Return the state of a quarantine as JSON values. Numbers that are unknown are `null`."""
    one = _quarantine(state)
    review = state if isinstance(state, jobs.QuarantineReview) else None
    grace = None if one.grace is None else round(one.grace.total_seconds())
    return {
        "id": one.id,
        "createdAt": as_wire(one.created_at),
        "baseUrl": one.base_url,
        "owners": list(map(str, one.owners)),
        "rule": one.rule,
        "grace": grace,
        "tokens": one.total,
        "waiting": state.waiting,
        "due": None if review is None else review.due,
        "nextDueAt": as_wire(one.due_at if review is None else review.next_due_at),
        "allDueAt": as_wire(state.all_due_at),
        "swept": state.swept,
        "restored": state.restored,
        "reactivated": None if review is None else review.reactivated,
        "changed": None if review is None else review.changed,
        "gone": None if review is None else review.gone,
        "unknown": None if review is None else review.unknown,
        "failed": one.failed,
        "failedLater": one.failed_later,
        "unfinished": one.unfinished,
        "report": None if one.path is None else str(one.path),
        "plan": None if one.plan is None else str(one.plan),
        "checkedAt": None if review is None else as_wire(review.reviewed_at),
    }
