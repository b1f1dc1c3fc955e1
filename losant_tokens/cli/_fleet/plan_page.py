"""The plan of a run as an HTML file, with the outcome for each token so far."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from losant_tokens import fleet
from losant_tokens.cli._fleet.view import describe_outcome
from losant_tokens.cli._plans.action_words import VERBS
from losant_tokens.cli._terminal.format import format_count, format_datetime
from losant_tokens.jobs import (
    Entry,
    Outcome,
    PlanDocument,
    TokenPage,
    TokenPageRow,
    save_token_page,
)

_PLANNED = "planned"
# The name of the color of each state, in the order of the list.
_STATES = (
    ("failed", Outcome.FAILED.value),
    ("unknown", Outcome.UNKNOWN.value),
    ("changed", Outcome.CHANGED.value),
    ("gone", Outcome.GONE.value),
    ("protected", Outcome.PROTECTED.value),
    ("pending", _PLANNED),
    ("done", Outcome.DONE.value),
)
_LABELS = tuple(label for _, label in _STATES)


def save_run_page(
    run: fleet.Run,
    document: PlanDocument,
    results: Iterable[fleet.RunResult],
    path: Path,
    now: datetime,
) -> Path:
    """Save the plan of a run as a page, and return its path.

    Args:
        run: The run.
        document: Its plan.
        results: The outcomes so far.
        path: The file, which ends in `.html`.
        now: The time.

    Raises:
        GuardRefused: The file is not a page by this package, and not empty.
        JobError: The file cannot be written.
    """
    outcomes = {one.id: one for one in results if one.outcome is not None}
    plan = run.plan
    facts = [
        ("Run", f"{run.id}, {run.state}"),
        ("Clean-up", run.cleanup),
        ("Rule", plan.rule),
        ("Tokens", f"{plan.selected:,} of {format_count(plan.listed)}"),
        ("Protected", f"{plan.protected:,}"),
        ("Planned", format_datetime(run.planned_at, "unknown")),
        ("Started by", run.requested_by),
        ("Digest", plan.digest),
    ]
    if run.approval is not None:
        facts.append(("Approved by", run.approval.by))
    page = TokenPage(
        headline=f"{VERBS.get(plan.action, plan.action)} {format_count(plan.selected)}",
        where=f"{run.account}, {run.cleanup}: {run.state}, {describe_outcome(run, now)}",
        notices=plan.warnings,
        facts_title="The run",
        facts=facts,
        state_name="State",
        states=_STATES,
        full_list="losant-tokens fleet show RUN --tokens lists the outcomes for all tokens.",
    )
    return save_token_page(page, _rows(document.entries, outcomes), path)


def _rows(entries: Iterable[Entry], outcomes: dict[str, fleet.RunResult]) -> Iterator[TokenPageRow]:
    for entry in entries:
        label, note = _PLANNED, ""
        if entry.protected is not None:
            label, note = Outcome.PROTECTED.value, entry.protected
        elif (result := outcomes.get(entry.id)) is not None and result.outcome is not None:
            label, note = result.outcome.value, result.error or ""
        yield TokenPageRow(entry=entry, state=_LABELS.index(label), note=note)
