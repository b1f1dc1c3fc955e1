"""Plans and the totals of jobs as people read them."""

import random
import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from attrs import define, field

from losant_tokens.cli._console import write_output
from losant_tokens.cli._format import escaped, format_count
from losant_tokens.cli._tables import write_table
from losant_tokens.jobs import Entry, Outcome, Plan, Report

VERBS = {"delete": "Delete", "deactivate": "Deactivate", "activate": "Activate"}
PROGRESS_LABELS = {"delete": "Deleting", "deactivate": "Deactivating", "activate": "Activating"}

DONE = {"delete": "Deleted", "deactivate": "Deactivated", "activate": "Activated"}
_MAX_EXAMPLES = 3
_MAX_ROWS = 15
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)")
_LEFT_ALONE = (Outcome.CHANGED, Outcome.GONE, Outcome.PROTECTED)


# --- Plans -----------------------------------------------------------------------------------


def plan_title(plan: Plan) -> str:
    """Return a plan in one line: the action, the number of tokens and the API."""
    header = plan.header
    total = header.total
    return (
        f"{VERBS[header.action]} {total.selected:,} of {format_count(total.listed)} "
        f"at {header.base_url}"
    )


def nothing_to_do(plan: Plan) -> str:
    """Return one line about a plan that selects no token."""
    header = plan.header
    protected = header.total.protected
    parts = (
        f"0 of {format_count(header.total.listed)} selected",
        *([f"{protected:,} protected"] if protected else []),
    )
    verb = VERBS[header.action].lower()
    return f"Nothing to {verb} at {header.base_url}: {', '.join(parts)}. Rule: {header.rule}"


def show_plan(plan: Plan, file: TextIO) -> None:
    """Write the facts that a user needs before applying a plan."""
    header = plan.header
    lines = (
        plan_title(plan),
        f"Rule:          {header.rule}",
        f"Protected:     {', '.join(header.protected) or 'none'}",
        f"Token in use:  {header.token_in_use or 'unknown'}",
        *(f"May miss:      {problem}" for problem in header.incomplete),
        f"Plan:          {plan.path}",
        "",
    )
    write_output("".join(f"{escaped(line)}\n" for line in lines), file)
    columns: tuple[str, ...] = ("ACTION", "OWNER", "REASON", "TOKENS", "EXAMPLES")
    rows = plan_rows(plan)
    if len(header.counts) == 1:
        columns, rows = _without(1, columns), [_without(1, row) for row in rows]
    write_table(columns, rows, cut="EXAMPLES", wrap="REASON", numbers=("TOKENS",), file=file)
    write_output("\n", file)


def _without(index: int, row: tuple[str, ...]) -> tuple[str, ...]:
    return row[:index] + row[index + 1 :]


def plan_rows(plan: Plan) -> list[tuple[str, ...]]:
    """Return a plan as rows: action, owner, reason, number of tokens, and examples."""
    largest = sorted(_groups(plan), key=lambda group: (group.action == "keep", -group.count))
    rows = [group.row() for group in largest[:_MAX_ROWS]]
    for action in (plan.header.action, "keep"):
        others = [group.count for group in largest[_MAX_ROWS:] if group.action == action]
        if others:
            rows.append((action, "", f"{len(others)} other reasons", f"{sum(others):,}", ""))
    for owner, counts in plan.header.counts.items():
        kept = counts.listed - counts.selected - counts.protected
        rows.append(("keep", str(owner), "not selected", f"{kept:,}", ""))
    return rows


def _groups(plan: Plan) -> list["_Group"]:
    """Return the tokens of a plan, grouped by owner and reason without its dates."""
    groups: dict[tuple[object, ...], _Group] = {}
    chance = random.Random(0)  # noqa: S311 -- chooses examples, the same ones each time
    for entry in plan.entries():
        reason = entry.reason if entry.protected is None else entry.protected
        words = _DATE.split(reason)
        key = (entry.protected is not None, str(entry.owner), *words[::2])
        if key not in groups:
            action = "keep" if entry.protected is not None else plan.header.action
            groups[key] = _Group(action, str(entry.owner), words[::2])
        groups[key].add(entry, words[1::2], chance)
    return list(groups.values())


@define
class _Group:
    """The tokens of one owner whose reasons differ only in their dates."""

    action: str
    owner: str
    words: Sequence[str]
    count: int = 0
    _first_dates: list[str] = field(factory=list)
    _last_dates: list[str] = field(factory=list)
    _examples: list[str] = field(factory=list)

    def add(self, entry: Entry, dates: list[str], chance: random.Random) -> None:
        """Add a token."""
        self.count += 1
        self._first_dates = list(map(min, self._first_dates or dates, dates))
        self._last_dates = list(map(max, self._last_dates or dates, dates))
        # The examples come from the whole list, because neighbours are often alike.
        index = len(self._examples) if self.count <= _MAX_EXAMPLES else chance.randrange(self.count)
        if index < _MAX_EXAMPLES:
            self._examples[index : index + 1] = [entry.name]

    def row(self) -> tuple[str, ...]:
        """Return the group as a row of a table."""
        dates = [
            first if first == last else f"{first} to {last}"
            for first, last in zip(self._first_dates, self._last_dates, strict=True)
        ]
        reason = "".join(_alternate(self.words, dates))
        examples = ", ".join(dict.fromkeys(self._examples))
        more = ", ..." if self.count > _MAX_EXAMPLES else ""
        return self.action, self.owner, reason, f"{self.count:,}", examples + more


def _alternate(words: Iterable[str], dates: Iterable[str]) -> Iterable[str]:
    remaining = iter(dates)
    for word in words:
        yield word
        yield next(remaining, "")


# --- Totals ----------------------------------------------------------------------------------


def totals_line(report: Report) -> str:
    """Return the totals of a job in one line."""
    counts = report.counts
    left_alone = [(outcome.value, counts[outcome]) for outcome in _LEFT_ALONE]
    unknown, pending = counts[Outcome.UNKNOWN], report.pending
    parts = [
        f"{DONE[report.plan.header.action]} {counts[Outcome.DONE]:,}",
        f"left alone {sum(count for _, count in left_alone):,}{_details(left_alone)}",
        f"failed {counts[Outcome.FAILED]:,}",
        *([f"unknown {unknown:,}"] if unknown else []),
        *([f"not started {pending:,}"] if pending else []),
    ]
    return f"{', '.join(parts)}: {_pace(report)}."


def _details(counts: Iterable[tuple[str, int]]) -> str:
    parts = ", ".join(f"{count:,} {name}" for name, count in counts if count)
    return f" ({parts})" if parts else ""


def _pace(report: Report) -> str:
    """Return the duration and the request rate of a job, without the share of earlier runs."""
    earlier = report.finished_before
    if earlier and earlier == report.total - report.pending:
        return "all of them in earlier runs"
    rate = report.requests / max(report.seconds, 0.001)
    pace = f"{report.seconds:.1f} seconds, {rate:,.0f} requests per second"
    return f"{earlier:,} of them in earlier runs, the others in {pace}" if earlier else pace
