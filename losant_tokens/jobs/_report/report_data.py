"""The data of a report as plain values, from which every format is written."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import frozen

from losant_tokens.jobs._plan.format import header_members, timestamp
from losant_tokens.jobs._types import Header, Outcome, PaceSample, Result

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
    "scope",
    "creatorId",
    "creatorName",
    "description",
)


@frozen(kw_only=True)
class ReportData:
    """The data of a report.

    Attributes:
        plan_path: The file of the plan.
        plan_digest: The digest of the plan.
        header: The header of the plan.
        journal: The file of the journal.
        settings: Other facts about the run, such as the rate limit.
        started_at: When the job was first started.
        ended_at: When the run ended.
        seconds: The duration of the run.
        requests: The number of requests sent.
        retries: The number of attempts that followed a failed one.
        refused: The number of requests refused with 429.
        finished_before: The number of tokens that earlier runs finished.
        gave_up: Why the job gave up, or `None`.
        is_complete: Whether every token has a known outcome.
        total: The number of tokens.
        counts: The number of tokens with each outcome.
        pending: The number of tokens without an outcome.
        pace: The samples of the rate.
        failures: Each error with the number of tokens that failed with it, most frequent first.
        results: Returns each result, with the time of the change by the API if it is known.
    """

    plan_path: Path
    plan_digest: str
    header: Header
    journal: Path
    settings: Mapping[str, object]
    started_at: datetime
    ended_at: datetime
    seconds: float
    requests: int
    retries: int
    refused: int
    finished_before: int
    gave_up: str | None
    is_complete: bool
    total: int
    counts: Mapping[Outcome, int]
    pending: int
    pace: tuple[PaceSample, ...]
    failures: Sequence[tuple[str, int]]
    results: Callable[[], Iterator[tuple[Result, datetime | None]]]

    def summary(self) -> dict[str, Any]:
        """Return everything except the tokens as JSON values."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "plan": {
                "path": str(self.plan_path),
                "digest": self.plan_digest,
                **header_members(self.header),
            },
            "settings": dict(self.settings),
            "run": {
                "begun": timestamp(self.started_at),
                "ended": timestamp(self.ended_at),
                "journal": str(self.journal),
                "seconds": round(self.seconds, 3),
                "requests": self.requests,
                "retries": self.retries,
                "refused": self.refused,
                "settledBefore": self.finished_before,
                "gaveUp": self.gave_up,
                "complete": self.is_complete,
            },
            "totals": {
                "tokens": self.total,
                **{outcome.value: self.counts[outcome] for outcome in Outcome},
                "left": self.pending,
            },
            "pace": [_sample(sample) for sample in self.pace],
        }

    def rows(self) -> Iterator[dict[str, Any]]:
        """Return a row for each token, one by one, with the members of `COLUMNS`.

        Each value is a string or `None`, except the scopes, which are a list of strings.
        """
        for result, changed_at in self.results():
            yield _row(result, changed_at)


def _sample(sample: PaceSample) -> dict[str, float]:
    return {
        "at": round(sample.at, 3),
        "perSecond": round(sample.per_second, 3),
        "concurrency": sample.concurrency,
        "refused": sample.refused,
    }


def _row(result: Result, changed_at: datetime | None) -> dict[str, Any]:
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
        timestamp(changed_at),
        entry.scope,
        entry.creator_id,
        entry.creator_name,
        entry.description,
    )
    return dict(zip(COLUMNS, values, strict=True))


def separate(lines: Iterable[str]) -> Iterator[str]:
    """Return lines with a comma before each line except the first."""
    comma = ""
    for line in lines:
        yield comma + line
        comma = ","
