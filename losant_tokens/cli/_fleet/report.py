"""The outcomes of the runs of a fleet, for each account."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import attrs

from losant_tokens import fleet
from losant_tokens.cli._terminal.format import format_date
from losant_tokens.cli._terminal.tables import Cell, Row, format_table
from losant_tokens.cli._tokens.json import as_wire
from losant_tokens.jobs import Outcome, harmless_cell

_TOTAL = "total"
_OPEN = frozenset(fleet.RUN_STATES) - frozenset(fleet.FINAL_STATES)
_LEFT_ALONE = (Outcome.CHANGED, Outcome.GONE, Outcome.PROTECTED)
_DONE = {"deactivate": "deactivated", "delete": "deleted", "activate": "activated"}
_COLUMNS = ("ACCOUNT", "RUNS", "OPEN", "FAILED", "SELECTED", "OUTCOME")
_WORDS = {
    "deactivated": "deactivated",
    "deleted": "deleted",
    "activated": "activated again",
    "left_alone": "left alone",
    "failed": "failed",
}


@attrs.define(kw_only=True)
class Totals:
    """The numbers of an account.

    Attributes:
        account: The name of the account.
        runs: The number of runs.
        open: The number of unfinished runs.
        selected: The number of tokens that plans selected.
        deactivated: The number of tokens that were deactivated.
        deleted: The number of tokens that were deleted.
        activated: The number of tokens that were activated again.
        left_alone: The number of tokens that were gone, changed or protected meanwhile.
        failed: The number of tokens whose change failed, or may have failed.
        unsuccessful: The number of runs that failed or were refused.
    """

    account: str
    runs: int = 0
    open: int = 0
    selected: int = 0
    deactivated: int = 0
    deleted: int = 0
    activated: int = 0
    left_alone: int = 0
    failed: int = 0
    unsuccessful: int = 0

    def add(self, run: fleet.Run) -> None:
        """Add the numbers of a run."""
        self.runs += 1
        self.open += run.state in _OPEN
        self.selected += run.plan.selected
        self.unsuccessful += run.state in {"failed", "refused"}
        actions = {"apply": run.plan.action, "sweep": "delete", "restore": "activate"}
        for phase, action in actions.items():
            for outcome, count in run.outcomes(phase).items():  # type: ignore[arg-type]  # a phase
                if outcome == Outcome.DONE.value:
                    name = _DONE[action]
                elif outcome in {one.value for one in _LEFT_ALONE}:
                    name = "left_alone"
                elif run.phase == "restore" != phase:
                    continue  # As in `Run.failed_tokens`, failures before a restore are over.
                else:
                    name = "failed"
                setattr(self, name, getattr(self, name) + count)

    def plus(self, other: "Totals") -> None:
        """Add the numbers of another account."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_NUMBERS = tuple(one.name for one in attrs.fields(Totals) if one.name != "account")


def totals_by_account(runs: Iterable[fleet.Run]) -> list[Totals]:
    """Return the numbers of each account, in the order of the names."""
    found: dict[str, Totals] = {}
    for run in runs:
        found.setdefault(run.account, Totals(account=run.account)).add(run)
    return [found[name] for name in sorted(found)]


def total_of(rows: Iterable[Totals]) -> Totals:
    """Return the numbers of all accounts."""
    total = Totals(account=_TOTAL)
    for row in rows:
        total.plus(row)
    return total


def report_table(rows: Sequence[Totals]) -> str:
    """Return the numbers as a table, with a total if there are several accounts."""
    shown = [*rows, total_of(rows)] if len(rows) > 1 else rows
    return format_table(
        _COLUMNS,
        [_row(one) for one in shown],
        steps=(("ACCOUNT", 12),),
        wrap="OUTCOME",
        numbers=_COLUMNS[1:-1],
    )


def _row(one: Totals) -> Row:
    outcome = [
        f"{getattr(one, name):,} {words}" for name, words in _WORDS.items() if getattr(one, name)
    ]
    numbers = (one.runs, one.open, one.unsuccessful, one.selected)
    style = "yellow" if one.failed else ""
    words = Cell(", ".join(outcome) or "-", style)
    return (one.account, *(f"{number:,}" for number in numbers), words)


def report_csv(rows: Sequence[Totals]) -> str:
    """Return the numbers as CSV, with names that no spreadsheet takes for formulas."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("account", *_NUMBERS))
    for row in rows:
        writer.writerow([harmless_cell(row.account), *(getattr(row, name) for name in _NUMBERS)])
    return file.getvalue()


def report_as_json(rows: Sequence[Totals], since: datetime | None) -> dict[str, Any]:
    """Return the numbers as JSON values."""
    return {
        "since": as_wire(since),
        "accounts": [{"account": row.account, **_numbers(row)} for row in rows],
        "total": _numbers(total_of(rows)),
    }


def _numbers(row: Totals) -> dict[str, int]:
    names = {"left_alone": "leftAlone", "unsuccessful": "unsuccessfulRuns", "open": "openRuns"}
    return {names.get(name, name): getattr(row, name) for name in _NUMBERS}


def describe_period(since: datetime | None) -> str:
    """Return the period of a report, as a phrase."""
    return "of all time" if since is None else f"since {format_date(since, '')}"
