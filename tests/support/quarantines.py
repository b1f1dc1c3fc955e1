"""A fake with tokens to quarantine, and a clock that a test can set."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from losant_tokens import AsyncClient, Owner, jobs
from losant_tokens.testing import FakeLosant, FakeToken

APPLICATION = Owner.application("a" * 24)


class Clock:
    """A clock that a test can set."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def fake_to_quarantine(clock: Clock) -> FakeLosant:
    """Return a fake with ten tokens `ci-...` and eighteen tokens `prod-...` of two owners."""
    fake = FakeLosant(now=clock)
    for number in range(10):
        fake.add_token(f"ci-{number}", owner="user" if number % 2 else str(APPLICATION))
    fake.add_token("ci-off", status="inactive")
    for number in range(9):
        fake.add_token(f"prod-{number}", owner="user")
        fake.add_token(f"prod-{number}", owner=str(APPLICATION))
    return fake


async def quarantined(
    client: AsyncClient, folder: Path, name: str = "ci-*", grace: timedelta | None = None
) -> jobs.Report:
    """Return the report of a job that has deactivated the tokens with a name."""
    plan = await jobs.plan(
        client,
        [Owner.user(), APPLICATION],
        select=jobs.named(name),
        action="deactivate",
        path=folder / "quarantine.jsonl",
        grace=grace,
    )
    return await jobs.apply(client, plan)


def by_name(fake: FakeLosant, name: str) -> FakeToken:
    tokens = (*fake.tokens(), *fake.tokens(str(APPLICATION)))
    return next(token for token in tokens if token.name == name)
