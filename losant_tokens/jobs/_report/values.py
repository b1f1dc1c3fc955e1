"""What is in a report, as plain values: the same in all formats."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from losant_tokens.jobs._plan.format import header_members, timestamp
from losant_tokens.jobs._report.report import Report
from losant_tokens.jobs._types import Outcome, Result

FORMAT = "losant-tokens report"
VERSION = 1
COLUMNS = (
    "owner",
    "id",
    "name",
    "status",
    "outcome",
    "error",
    "reason",
    "protected",
    "lastUpdated",
    "creationDate",
    "expirationDate",
    "changed",
)


def summary(report: Report) -> dict[str, Any]:
    """All but the tokens, as plain values."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "plan": {
            "path": str(report.plan.path),
            "digest": report.plan.digest,
            **header_members(report.plan.header),
        },
        "settings": dict(report.settings),
        "run": {
            "begun": timestamp(report.started_at),
            "ended": timestamp(report.ended_at),
            "journal": str(report.journal),
            "seconds": round(report.seconds, 3),
            "requests": report.requests,
            "retries": report.retries,
            "refused": report.refused,
            "settledBefore": report.finished_before,
            "gaveUp": report.gave_up,
            "complete": report.is_complete,
        },
        "totals": totals(report),
        "pace": [
            {
                "at": round(sample.at, 3),
                "perSecond": round(sample.per_second, 3),
                "concurrency": sample.concurrency,
                "refused": sample.refused,
            }
            for sample in report.pace
        ],
    }


def totals(report: Report) -> dict[str, int]:
    """How many tokens came out how, all of them, and those that were not come to."""
    counts = {outcome.value: report.counts[outcome] for outcome in Outcome}
    return {"tokens": report.total, **counts, "left": report.pending}


def rows(report: Report) -> Iterator[dict[str, str | None]]:
    for number, result in enumerate(report.results()):
        yield _row(result, report.changed_at.get(number))


def _row(result: Result, changed: datetime | None) -> dict[str, str | None]:
    entry = result.entry
    values = (
        str(entry.owner),
        entry.id,
        entry.name,
        entry.status,
        None if result.outcome is None else result.outcome.value,
        result.error,
        entry.reason,
        entry.protected,
        timestamp(entry.last_updated),
        timestamp(entry.creation_date),
        timestamp(entry.expiration_date),
        timestamp(changed),
    )
    return dict(zip(COLUMNS, values, strict=True))


def separated(lines: Iterable[str]) -> Iterator[str]:
    """The lines, with commas between them."""
    comma = ""
    for line in lines:
        yield comma + line
        comma = ","
