"""Make reports and plans that look like those of a real account."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from losant_tokens.jobs import Entry, Outcome, PaceSample, Report
from tests.support.reports import entry, report

START = datetime(2023, 1, 1, tzinfo=UTC)
NAMES = ("ci-ingest", "factory-gateway", "deploy", "grafana-export", "line-7-sensor", "edge-sync")
CREATORS = ("grace", "ada", "Margaret Hamilton", "katherine")
SCOPES = (
    ("all.User.read",),
    ("all.Application.read",),
    ("devices.state", "devices.command", "data.export"),
    ("all.User",),
    tuple(f"applications.{word}" for word in ("get", "patch", "export", "debug", "import", "post")),
)
DESCRIPTIONS = (None, None, "Made for the retrofit\nof line 7", None)
ERRORS = (
    "500 Internal Server Error - Something went wrong",
    "429 Too Many Requests: failed in 5 attempts",
    "403 Forbidden - Access is forbidden",
)
SHARES: dict[Outcome | None, float] = {
    Outcome.DONE: 94.0,
    Outcome.GONE: 3.0,
    Outcome.CHANGED: 1.4,
    Outcome.PROTECTED: 0.4,
    Outcome.FAILED: 0.8,
    Outcome.UNKNOWN: 0.1,
    None: 0.3,
}
EQUALLY_OFTEN = dict.fromkeys(SHARES, 1.0)
SETTINGS = {"Rate limit": None, "Concurrency": 50, "Read before each change": "yes"}


def token(number: int, choice: random.Random) -> Entry:
    """Return a token whose members depend only on the number and the generator."""
    created = START + timedelta(hours=choice.randrange(20_000))
    expires = created + timedelta(days=90) if choice.random() < 0.9 else None
    return entry(
        choice.getrandbits(96),
        f"{choice.choice(NAMES)}-{number}",
        creation_date=created,
        last_updated=created + timedelta(days=choice.randrange(60)),
        expiration_date=expires,
        reason=f"expired on {expires.date()}" if expires else "never expires, name matches 'ci-*'",
        scope=choice.choice(SCOPES),
        creator_name=choice.choice(CREATORS),
        description=choice.choice(DESCRIPTIONS),
    )


def sample_report(
    folder: Path,
    count: int,
    shares: Mapping[Outcome | None, float] = SHARES,
    **members: Any,
) -> Report:
    """Return the report of a job.

    Args:
        folder: The folder for the plan.
        count: The number of tokens.
        shares: How often each outcome occurs.
        members: Other arguments of `report`.
    """
    choice = random.Random(7)
    chosen = choice.choices(list(shares), list(shares.values()), k=count)
    entries = [
        attrs.evolve(
            token(number, choice),
            protected="protected by 'line-7-*'" if outcome is Outcome.PROTECTED else None,
        )
        for number, outcome in enumerate(chosen)
    ]
    made = report(
        folder,
        chosen,
        entries=entries,
        **{
            "pace": pace(),
            "seconds": 118.0,
            "requests": count * 2,
            "settings": SETTINGS,
            "header": {
                "rule": "expired more than 30 days ago",
                "protected": ("line-7-*",),
                "token_in_use": "f" * 24,
            },
            **members,
        },
    )
    for number in made.states.errors:
        made.states.errors[number] = choice.choices(ERRORS, [6, 3, 1])[0]
    return made


def pace() -> list[PaceSample]:
    """Return a rate that grows until the server refuses requests, then adapts."""
    choice = random.Random(8)
    samples, rate = [], 40.0
    for number in range(60):
        refused = 0
        if rate > 180 + choice.random() * 40:
            refused, rate = choice.randrange(3, 12), rate * 0.72
        rate += 6 + choice.random() * 3
        samples.append(
            PaceSample(
                at=number * 2.0,
                per_second=rate,
                concurrency=8 + round(rate / 9),
                refused=refused,
            )
        )
    return samples
