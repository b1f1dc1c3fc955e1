"""Plans and the totals of jobs as people read them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from losant_tokens.cli._library_messages import with_options
from losant_tokens.cli._plans.action_words import DONE, VERBS
from losant_tokens.cli._plans.footer import MAX_AGE, current_time, plan_status
from losant_tokens.cli._plans.groups import CREATING, KEEP, Group, review
from losant_tokens.cli._plans.token_line import Columns, Page
from losant_tokens.cli._terminal.console import write_output
from losant_tokens.cli._terminal.format import (
    escaped,
    format_count,
    format_datetime,
    format_number,
)
from losant_tokens.jobs import Outcome

if TYPE_CHECKING:
    from losant_tokens.jobs import Header, Plan, Report

_MAX_GROUPS = 12
_LEFT_ALONE = (Outcome.CHANGED, Outcome.GONE, Outcome.PROTECTED)


# --- Plans -----------------------------------------------------------------------------------


def plan_title(plan: "Plan") -> str:
    """Return a plan in one line: the action, the number of tokens and the API."""
    header = plan.header
    total = header.total
    return (
        f"{VERBS[header.action]} {total.selected:,} of {format_count(total.listed)} "
        f"at {header.base_url}"
    )


def nothing_to_do(plan: "Plan") -> str:
    """Return one line about a plan that selects no token."""
    header = plan.header
    protected = header.total.protected
    parts = (
        f"0 of {format_count(header.total.listed)} selected",
        *([f"{protected:,} protected"] if protected else []),
    )
    verb = VERBS[header.action].lower()
    return f"Nothing to {verb} at {header.base_url}: {', '.join(parts)}. Rule: {header.rule}"


def show_plan(plan: "Plan", file: TextIO, journal: Path | None = None) -> None:
    """Write the facts that a user needs before applying a plan.

    Args:
        plan: The plan.
        file: The stream.
        journal: The file of the journal; None for a plan that was just made.
    """
    # An error states why a plan that was just made is refused.
    text = plan_summary(plan, Page.of(file), journal, with_refusals=False)
    write_output(f"{text}\n", file)


def plan_summary(
    plan: "Plan", page: Page, journal: Path | None = None, *, with_refusals: bool = True
) -> str:
    """Return a plan in groups, with a last line about all of it.

    Args:
        plan: The plan.
        page: The width and the colors of the output.
        journal: The file of the journal; None for a plan that was just made.
        with_refusals: Whether to state why the plan was refused, if it was.
    """
    reviewed = review(plan)
    lines = [*_head(plan, page, with_refusals=with_refusals), ""]
    for action in (plan.header.action, KEEP):
        groups = [group for group in reviewed.groups if group.action == action]
        for group in groups[:_MAX_GROUPS]:
            lines += _group_lines(group, page)
        if others := groups[_MAX_GROUPS:]:
            count = format_count(sum(group.count for group in others))
            reasons = format_number(len(others), "other reason")
            lines.append(page.after_action(action, f"{count}: {reasons}"))
    lines += _kept_lines(plan, page)
    status = plan_status(plan, reviewed, current_time(plan), journal)
    return "\n".join([*lines, "", page.wrapped(status), ""])


def plan_lines(plan: "Plan", page: Page, journal: Path | None = None) -> Iterator[str]:
    """Return a plan with one line for each token, and a last line about all of it.

    On a narrow terminal, a token takes two lines. The lines are made one by one, because a plan can
    have a million tokens.

    Args:
        plan: The plan.
        page: The width and the colors of the output.
        journal: The file of the journal, if there is one.
    """
    now = current_time(plan)
    yield from (f"{line}\n" for line in [*_head(plan, page), ""])
    columns = Columns.of(plan.entries(), plan.header.action, page, now)
    for action in (plan.header.action, *([KEEP] if plan.header.total.protected else [])):
        for entry in plan.entries():
            if (entry.protected is None) == (action != KEEP):
                yield columns.line(entry, action)
    if len(plan):
        yield "\n"
    yield from (f"{line}\n" for line in _kept_lines(plan, page))
    yield f"\n{page.wrapped(plan_status(plan, review(plan), now, journal))}\n"


def _head(plan: "Plan", page: Page, *, with_refusals: bool = True) -> list[str]:
    header = plan.header
    expires = header.token_expires_at
    is_short = expires is not None and expires < header.created_at + MAX_AGE
    refused = map(with_options, header.refused) if with_refusals else ()
    facts = [
        *(("Refused", problem) for problem in refused),
        *([("Policy", header.policy.cleanup)] if header.policy is not None else []),
        ("Rule", header.rule),
        ("Protected", ", ".join(header.protected) or "none"),
        *_seen_facts(header),
        ("Token in use", header.token_in_use or "unknown"),
        *(("May miss", problem) for problem in header.incomplete),
        *(("Cannot apply", problem) for problem in header.cannot_apply),
        *([("Expires", f"the token in use: {format_datetime(expires, '')}")] if is_short else []),
    ]
    lines = [page.styled(page.wrapped(escaped(plan_title(plan))), "bold")]
    for label, value in facts:
        lines.append(page.wrapped(f"{f'{label}:':<15}{escaped(value)}", " " * 15))
    if not header.refused:
        # A path is not wrapped, so that it can be copied.
        lines.append(f"{'Plan:':<15}{escaped(str(plan.path))}")
    return lines


def _seen_facts(header: "Header") -> Iterator[tuple[str, str]]:
    """Yield the evidence of use, and why it may not show all changes."""
    if header.seen is not None:
        yield "Seen", f"{header.seen}, in {', '.join(header.seen.sources)}"
        yield from (("Not proved", gap) for gap in header.seen.gaps)


def _group_lines(group: Group, page: Page) -> Iterator[str]:
    title = f"{format_count(group.count)} of {group.owner}: {group.reason}"
    yield page.after_action(group.action, escaped(title))
    for label, value in group.facts():
        line = page.wrapped(f"    {label:<12}{value}", " " * 16)
        yield page.styled(line, "red") if label == CREATING else line


def _kept_lines(plan: "Plan", page: Page) -> Iterator[str]:
    """Return a line for each owner about the tokens that are not in the plan."""
    for owner, counts in plan.header.counts.items():
        if kept := counts.listed - counts.selected - counts.protected:
            yield page.after_action(KEEP, f"{format_count(kept)} of {owner}: not selected")


# --- Totals ----------------------------------------------------------------------------------


def totals_line(report: "Report") -> str:
    """Return the totals of a job in one line."""
    counts = report.counts
    left_alone = [(outcome.value, counts[outcome]) for outcome in _LEFT_ALONE]
    unknown, pending = counts[Outcome.UNKNOWN], report.pending
    parts = [
        f"{DONE[report.plan.header.action]} {counts[Outcome.DONE]:,}",
        f"left alone {sum(count for _, count in left_alone):,}{_details(left_alone)}",
        f"failed {counts[Outcome.FAILED]:,}",
        *([f"in doubt {unknown:,}"] if unknown else []),
        *([f"not started {pending:,}"] if pending else []),
    ]
    return f"{', '.join(parts)}: {_pace(report)}."


def _details(counts: Iterable[tuple[str, int]]) -> str:
    parts = ", ".join(f"{count:,} {name}" for name, count in counts if count)
    return f" ({parts})" if parts else ""


def _pace(report: "Report") -> str:
    """Return the duration and the request rate of a job, without the share of earlier runs."""
    earlier = report.finished_before
    if earlier and earlier == report.total - report.pending:
        return "all of them in earlier runs"
    rate = round(report.requests / max(report.seconds, 0.001))
    pace = f"{report.seconds:.1f} seconds, {format_number(rate, 'request')} per second"
    return f"{earlier:,} of them in earlier runs, the others in {pace}" if earlier else pace
