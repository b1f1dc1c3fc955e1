"""How plans and what came of them are shown to people."""

import random
import re
from collections.abc import Iterable, Sequence
from shlex import quote
from typing import TextIO

from attrs import define, field

from losant_tokens.cli._parse import escaped
from losant_tokens.cli._tables import write, write_table
from losant_tokens.jobs import Entry, Outcome, Plan, Report

VERBS = {"delete": "Delete", "deactivate": "Deactivate", "activate": "Activate"}
DONE = {"delete": "Deleted", "deactivate": "Deactivated", "activate": "Activated"}
DOING = {"delete": "Deleting", "deactivate": "Deactivating", "activate": "Activating"}

_EXAMPLES = 3
_MOST_ROWS = 15
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)")
_LEFT_ALONE = (Outcome.CHANGED, Outcome.GONE, Outcome.PROTECTED)
_SECONDS, _A_MINUTE = 1.0, 60.0


def tokens(number: int) -> str:
    """Return a number of tokens in words."""
    return f"{number:,} token{'' if number == 1 else 's'}"


def title(plan: Plan) -> str:
    """A plan in a line: what, how many, where."""
    header = plan.header
    total = header.total
    return (
        f"{VERBS[header.action]} {total.selected:,} of {tokens(total.listed)} at {header.base_url}"
    )


def carry_on(plan: Plan, options: Sequence[str] = (), purpose: str = "To carry on") -> str:
    """Return the command line that resumes a job, with the options that it had."""
    words = ("losant-tokens", "apply", str(plan.path), "--resume", *options)
    return f"{purpose}: {' '.join(map(quote, words))}"


def show_plan(plan: Plan, file: TextIO) -> None:
    """Shows all that one should know before applying a plan."""
    header = plan.header
    in_use = header.token_in_use or "could not be told"
    protected = ", ".join(header.protected) or "nothing by request"
    lines = (
        title(plan),
        f"Rule:          {header.rule}",
        f"Protected:     {protected}",
        f"Token in use:  {in_use}",
        *(f"May miss:      {problem}" for problem in header.incomplete),
        f"Plan:          {plan.path}",
        "",
    )
    write("".join(f"{escaped(line)}\n" for line in lines), file)
    columns: tuple[str, ...] = ("ACTION", "OWNER", "REASON", "TOKENS", "EXAMPLES")
    rows = plan_rows(plan)
    if len(header.counts) == 1:
        columns, rows = _without(1, columns), [_without(1, row) for row in rows]
    write_table(
        columns,
        rows,
        cut="EXAMPLES",
        wrap="REASON",
        numbers=("TOKENS",),
        file=file,
    )
    write("\n", file)


def _without(place: int, row: tuple[str, ...]) -> tuple[str, ...]:
    return row[:place] + row[place + 1 :]


def plan_rows(plan: Plan) -> list[tuple[str, ...]]:
    """A plan as a table: what happens to whose tokens, why, to how many, for example to which."""
    groups: dict[tuple[object, ...], _Group] = {}
    chance = random.Random(0)  # noqa: S311 -- picks examples, the same each time
    for entry in plan.entries():
        reason = entry.reason if entry.protected is None else entry.protected
        words = _DATE.split(reason)
        key = (entry.protected is not None, str(entry.owner), *words[::2])
        if key not in groups:
            action = "keep" if entry.protected is not None else plan.header.action
            groups[key] = _Group(action, str(entry.owner), words[::2])
        groups[key].add(entry, words[1::2], chance)
    largest = sorted(groups.values(), key=lambda group: (group.action == "keep", -group.count))
    rows = [group.row() for group in largest[:_MOST_ROWS]]
    for action in (plan.header.action, "keep"):
        others = [group.count for group in largest[_MOST_ROWS:] if group.action == action]
        if others:
            rows.append((action, "", f"{len(others)} other reasons", f"{sum(others):,}", ""))
    for owner, counts in plan.header.counts.items():
        kept = counts.listed - counts.selected - counts.protected
        rows.append(("keep", str(owner), "not selected", f"{kept:,}", ""))
    return rows


@define
class _Group:
    """Tokens of one owner with one reason, but for its dates."""

    action: str
    owner: str
    words: Sequence[str]
    count: int = 0
    _first: list[str] = field(factory=list)
    _last: list[str] = field(factory=list)
    _examples: list[str] = field(factory=list)

    def add(self, entry: Entry, dates: list[str], chance: random.Random) -> None:
        """Takes one more token."""
        self.count += 1
        self._first = list(map(min, self._first or dates, dates))
        self._last = list(map(max, self._last or dates, dates))
        # Examples from all over the list: those next to each other are much alike.
        place = len(self._examples) if self.count <= _EXAMPLES else chance.randrange(self.count)
        if place < _EXAMPLES:
            self._examples[place : place + 1] = [entry.name]

    def row(self) -> tuple[str, ...]:
        """It as a row of a table."""
        dates = [
            first if first == last else f"{first} to {last}"
            for first, last in zip(self._first, self._last, strict=True)
        ]
        reason = "".join(_alternating(self.words, dates))
        examples = ", ".join(dict.fromkeys(self._examples))
        more = ", ..." if self.count > _EXAMPLES else ""
        return self.action, self.owner, reason, f"{self.count:,}", examples + more


def _alternating(words: Iterable[str], dates: Iterable[str]) -> Iterable[str]:
    between = iter(dates)
    for word in words:
        yield word
        yield next(between, "")


def result(report: Report) -> str:
    """What came of a job, in a line."""
    counts = report.counts
    alone = [(outcome.value, counts[outcome]) for outcome in _LEFT_ALONE]
    parts = [
        f"{DONE[report.plan.header.action]} {counts[Outcome.DONE]:,}",
        f"left alone {sum(count for _, count in alone):,}{_spelled(alone)}",
        f"failed {counts[Outcome.FAILED]:,}",
        *(f"unknown {count:,}" for count in [counts[Outcome.UNKNOWN]] if count),
        *(f"not come to {report.left:,}" for _ in range(1) if report.left),
    ]
    rate = report.requests / max(report.seconds, 0.001)
    pace = f"{report.seconds:.1f} seconds, {rate:,.0f} requests per second"
    if report.before and report.before == report.total - report.left:
        pace = "all of them in earlier runs"
    elif report.before:
        pace = f"{report.before:,} of them in earlier runs, the others in {pace}"
    return f"{', '.join(parts)}: {pace}."


def _spelled(counts: Iterable[tuple[str, int]]) -> str:
    said = ", ".join(f"{count:,} {name}" for name, count in counts if count)
    return f" ({said})" if said else ""


def lasting(seconds: float | None) -> str:
    """An estimate of a time, as people say it."""
    if seconds is None:
        return "?"
    if seconds < _A_MINUTE:
        return f"{max(seconds, _SECONDS):.0f} s"
    minutes = round(seconds / _A_MINUTE)
    return f"{minutes} min" if minutes < _A_MINUTE else f"{minutes // 60} h {minutes % 60:02} min"
