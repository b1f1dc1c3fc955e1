"""A fake with tokens to clean up, a client for it, and a plan."""

import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
from trio.testing import MockClock

from losant_tokens import AsyncClient, Owner, aiohttp_transport, jobs
from losant_tokens.errors import LosantError
from losant_tokens.jobs import Outcome, Plan, Report
from losant_tokens.jobs._throttle.throttle import Slot
from losant_tokens.jobs._throttle.token_attempts import Attempts
from losant_tokens.testing import FakeLosant

LONG_AGO = datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
USER = Owner.user()

T = TypeVar("T")


async def send_once(
    slot: Slot, request: Callable[[], Awaitable[object]], attempts: Attempts
) -> None:
    """Send a request in a slot, as a job does."""
    slot.begin_request()
    try:
        await request()
    except LosantError as error:
        slot.throttle.record_error(error, slot.sent_at, "read", attempts)
        raise
    slot.throttle.record_response(slot.sent_at, "read")


def fake_with(doomed: int, kept: int = 0) -> FakeLosant:
    """Return a fake with tokens named `ci-…`, and others named `keep-…`."""
    fake = FakeLosant()
    for number in range(doomed):
        fake.add_token(f"ci-{number}", creation_date=LONG_AGO)
    for number in range(kept):
        fake.add_token(f"keep-{number}", creation_date=LONG_AGO)
    return fake


def client_of(fake: FakeLosant, **options: Any) -> AsyncClient:
    """Return a client that reaches the fake in process."""
    return AsyncClient(
        fake.admin_token,
        **{
            "base_url": "https://fake.example",
            "transport": fake.transport(),
            "max_connections": 10,
            **options,
        },
    )


@asynccontextmanager
async def served(fake: FakeLosant, **options: Any) -> AsyncIterator[AsyncClient]:
    """Yield a client that reaches the fake over sockets."""
    async with fake.serve() as base_url:
        options.setdefault("transport", aiohttp_transport(max_connections=10))
        async with client_of(fake, base_url=base_url, **options) as client:
            yield client


async def planned(client: AsyncClient, folder: Path, **options: Any) -> Plan:
    """Make a plan for the tokens named `ci-…`, unless the options select others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jobs.PlanWarning)
        return await jobs.plan(
            client,
            options.pop("owners", USER),
            **{
                "select": jobs.named("ci-*"),
                "path": folder / "plan.jsonl",
                "allow_majority": True,
                **options,
            },
        )


@contextmanager
def job_fails_with(
    cause: type[LosantError], match: str | None = None
) -> Iterator[pytest.ExceptionInfo[jobs.JobFailed]]:
    """Expect that a job fails because of an error of this class."""
    with pytest.raises(jobs.JobFailed, match=match) as caught:
        yield caught
    assert isinstance(caught.value.__cause__, cause)


def counts(report: Report) -> dict[str, int]:
    """Return the number of tokens with each outcome, without zeros."""
    return {outcome.value: count for outcome, count in report.counts.items() if count}


def outcomes(report: Report) -> list[Outcome | None]:
    """Return the outcome of each token."""
    return [result.outcome for result in report.results()]


def sent(fake: FakeLosant, method: str) -> list[str]:
    """Return the ids of the tokens in the requests with a method, in order."""
    ids = (request.path.rpartition("/")[2] for request in fake.requests if request.method == method)
    return [token_id for token_id in ids if token_id != "tokens"]  # no lists


def on_virtual_time(job: Callable[[], Awaitable[T]]) -> T:
    """Run a job under trio with a clock on which waiting takes no time."""
    return trio.run(job, clock=MockClock(autojump_threshold=0))
