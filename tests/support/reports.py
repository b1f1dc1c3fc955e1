"""Make reports without running jobs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from losant_tokens import Owner
from losant_tokens.jobs import Counts, Entry, Header, Outcome, PaceSample, Report
from losant_tokens.jobs._plan.writer import PlanWriter
from losant_tokens.jobs._token_progress import States
from losant_tokens.jobs._types import Action

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LAST = datetime(2025, 1, 2, tzinfo=UTC)
USER = Owner.user()
ERROR = "500 Internal - it broke"


def entry(number: int, name: str = "", **members: Any) -> Entry:
    """Return a token of a plan."""
    return Entry(
        **{
            "owner": USER,
            "id": f"{number:024x}",
            "name": name or f"ci-{number}",
            "status": "active",
            "last_updated": LAST,
            "creation_date": LAST,
            "expiration_date": None,
            "reason": f"expired on {LAST.date()}",
            **members,
        }
    )


def report(
    folder: Path,
    outcomes: Sequence[Outcome | None],
    names: Sequence[str] = (),
    *,
    action: Action = "delete",
    entries: Sequence[Entry] | None = None,
    pace: Sequence[PaceSample] = (),
    header: dict[str, Any] | None = None,
    changed: Mapping[int, datetime] | None = None,
    **members: Any,
) -> Report:
    """Return the report of a job with these outcomes, one for each token."""
    entries = entries or [
        entry(number, name, protected="protected by 'x'" if outcome is Outcome.PROTECTED else None)
        for number, (outcome, name) in enumerate(
            zip(outcomes, [*names, *[""] * (len(outcomes) - len(names))], strict=True)
        )
    ]
    path = folder / f"plan {len(list(folder.iterdir()))}.jsonl"
    counts: dict[Owner, Counts] = {}
    with PlanWriter(path) as writer:
        for one in entries:
            writer.add(one)
            counts[one.owner] = counts.get(one.owner, Counts()) + Counts(
                listed=2, selected=one.protected is None, protected=one.protected is not None
            )
        members_of_header = {
            "created_at": NOW,
            "base_url": "https://api.losant.com",
            "action": action,
            "rule": "expired",
            "counts": counts or {USER: Counts()},
            **(header or {}),
        }
        plan = writer.finish(Header(**members_of_header))
    states = States.of(len(plan))
    for number, outcome in enumerate(outcomes):
        if outcome is not None:
            error = ERROR if outcome is Outcome.FAILED else None
            states.record(number, outcome.value, error, (changed or {}).get(number))
    return Report(
        **{
            "plan": plan,
            "journal": path.with_name("none"),
            "states": states,
            "requests": 20,
            "retries": 2,
            "refused": sum(sample.refused for sample in pace),
            "seconds": 10.0,
            "pace": tuple(pace),
            "ended_at": NOW + timedelta(seconds=30),
            **members,
        }
    )
