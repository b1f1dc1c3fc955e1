"""Chunks whose worker is lost at any request or await, and that run again."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import attrs
import httpx
import pytest

from losant_tokens import ApiTokenPatch, jobs
from losant_tokens.jobs import ChunkResult, Outcome, PlanChunk
from losant_tokens.testing import FakeLosant
from tests.support.chunks import chunks_of
from tests.support.fast_start import start_fast
from tests.support.jobs import LONG_AGO, client_of

EXPECTED = {
    "ci-0": Outcome.DONE,
    "ci-1": Outcome.DONE,
    "ci-2": Outcome.DONE,
    "ci-protected": Outcome.PROTECTED,
    "ci-renamed": Outcome.CHANGED,
    "ci-gone": Outcome.GONE,
    "ci-off": Outcome.CHANGED,
}


class Killed(BaseException):
    """The process is killed, as far as a test in the same process can tell."""


@attrs.define(eq=False)
class Interrupting(httpx.AsyncBaseTransport):
    """A transport that interrupts the chunk at a request, before or after the fake handles it."""

    inner: httpx.AsyncBaseTransport
    interrupt: Callable[[], None]
    at: int
    is_handled: bool
    requests: int = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.requests == self.at and not self.is_handled:
            self.interrupt()
        response = await self.inner.handle_async_request(request)
        if self.requests >= self.at:
            self.interrupt()
        return response


def fake_of(clock: list[datetime]) -> FakeLosant:
    """Return a fake with the tokens of the plan, and some to keep."""
    fake = FakeLosant(now=lambda: clock[0])
    for name in EXPECTED:
        fake.add_token(name, creation_date=LONG_AGO)
    fake.add_token("keep", creation_date=LONG_AGO)
    return fake


async def prepared(fake: FakeLosant, folder: Path, action: str, clock: list[datetime]) -> PlanChunk:
    """Return a chunk, after somebody else has changed three of its tokens."""
    async with client_of(fake) as client:
        (chunk,) = await chunks_of(client, folder, action=action, protect="ci-protected")
        clock[0] += timedelta(minutes=1)
        ids = {token.name: token.id for token in fake.tokens()}
        tokens = client.user_api_token
        await tokens.patch(ids["ci-renamed"], ApiTokenPatch(name="x"))
        await tokens.patch(ids["ci-off"], ApiTokenPatch(status="inactive"))
        await tokens.delete(ids["ci-gone"])
    clock[0] += timedelta(minutes=1)
    fake.clear_requests()
    return chunk


def check(fake: FakeLosant, chunk: PlanChunk, result: ChunkResult, method: str) -> None:
    """Compare the result and the requests with the plan."""
    names = {entry.id: entry.name for entry in chunk.entries}
    handled = Counter(
        names[request.path.rpartition("/")[2]]
        for request in fake.requests
        if request.method == method and request.status == 200
    )
    outcomes = {token.name: token.outcome for token in result.results}
    if method == "DELETE" and outcomes["ci-gone"] is Outcome.DONE:
        outcomes["ci-gone"] = Outcome.GONE  # The API does not say who has deleted a token.
    assert outcomes == EXPECTED
    times = [token.changed_at for token in result.results if token.outcome is Outcome.DONE]
    assert all((time is None) == (method == "DELETE") for time in times)
    assert handled == {"ci-0": 1, "ci-1": 1, "ci-2": 1}
    assert {"keep", "x", "ci-protected", "ci-off"} <= {token.name for token in fake.tokens()}


ACTIONS = {"deactivate": "PATCH", "delete": "DELETE"}
REQUESTS = 10  # of a chunk that is not interrupted


def kill() -> None:
    raise Killed


async def interrupted(fake: FakeLosant, chunk: PlanChunk, how: str, at: int, *, late: bool) -> bool:
    """Apply a chunk, and interrupt it at a request. Return whether there is no result.

    Args:
        fake: The fake.
        chunk: The chunk.
        how: Whether its process is killed, it is cancelled, or it is aborted.
        at: The number of the request.
        late: Whether the fake handles the request.
    """
    scope, abort = anyio.CancelScope(), anyio.Event()
    interrupt = {"kill": kill, "cancel": scope.cancel, "abort": abort.set}[how]
    transport = Interrupting(fake.transport(), interrupt, at, late)
    try:
        async with client_of(fake, transport=transport, max_connections=2) as client:
            with scope:
                await jobs.apply_chunk(client, chunk, grace=0.0, abort=abort)
    except BaseException as error:  # noqa: BLE001 -- a group of them
        return killed_in(error)
    return scope.cancelled_caught or abort.is_set()


def killed_in(error: BaseException) -> bool:
    """Return whether the process was killed."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(killed_in, error.exceptions))
    return isinstance(error, Killed)


@pytest.mark.sweep(sample=6)
@pytest.mark.parametrize("at", range(1, REQUESTS + 1))
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("how", ["kill", "cancel", "abort"])
@pytest.mark.parametrize("action", ACTIONS)
async def test_interrupted_at_each_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, how: str, late: bool, at: int
) -> None:
    """Interrupted before or after any request and run again, a chunk changes nothing twice.

    It reports its own changes as done, with their times, and those of others as theirs.
    """
    start_fast(monkeypatch)
    clock = [datetime(2026, 3, 1, tzinfo=UTC)]
    fake = fake_of(clock)
    chunk = await prepared(fake, tmp_path, action, clock)
    started = clock[0]
    is_interrupted = await interrupted(fake, chunk, how, at, late=late)
    clock[0] += timedelta(seconds=10)
    async with client_of(fake) as client:
        result = await jobs.apply_chunk(client, chunk, in_doubt=started)

    assert is_interrupted
    check(fake, chunk, result, ACTIONS[action])
