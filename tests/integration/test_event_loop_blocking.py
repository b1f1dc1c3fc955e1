"""No public operation blocks the event loop by waiting for a file or a socket."""

import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster, BlockingError

from losant_tokens import (
    ApiTokenPatch,
    ApiTokenPost,
    AsyncClient,
    Owner,
    RetryPolicy,
    UserCredentials,
    aiohttp_transport,
    errors,
    httpx_transport,
    jobs,
)
from losant_tokens.testing import FakeLosant

MAKERS = [httpx_transport, aiohttp_transport]


@pytest.fixture
def nothing_blocks() -> Iterator[BlockBuster]:
    """Raise an error for each call that blocks the event loop, with three exceptions.

    The journal writes its lines there, each before its request is sent, and a job reads the next
    block of a local plan there. Either takes microseconds, and a thread would take ten times that.
    A plan without a path of its own removes its three files wherever its last reference goes.
    """
    buster = BlockBuster(["losant_tokens"])
    buster.functions["os.write"].can_block_in("losant_tokens/jobs/_execution/journal.py", "_write")
    read = buster.functions["io.BufferedReader.read"]
    read.can_block_in("losant_tokens/jobs/_plan/reader.py", "_read_block")
    for function in buster.functions.values():
        function.can_block_in("losant_tokens/jobs/_plan/unnamed_plan_folder.py", "_finish")
    buster.activate()
    yield buster
    buster.deactivate()


@pytest.mark.parametrize("make", MAKERS)
async def test_client(make: Any, fake_losant: FakeLosant, nothing_blocks: BlockBuster) -> None:
    """Calls of all kinds, retries and lists block nothing, over both pools."""
    fake_losant.add_user("a@example.com", "password")
    retry = RetryPolicy(base=0.001, cap=0.001)
    async with (
        fake_losant.serve() as base_url,
        AsyncClient(
            fake_losant.admin_token, base_url=base_url, transport=make(), retry=retry
        ) as client,
    ):
        await client.auth.authenticate_user(UserCredentials("a@example.com", "password"))
        new = await client.user_api_tokens.post(ApiTokenPost("ci"))
        fake_losant.fail(status=503, times=2)
        await client.user_api_token.patch(new.id, ApiTokenPatch(status="inactive"))
        assert new.id in [token.id async for token in client.user_api_tokens.iter(per_page=1)]
        await client.user_api_token.delete(new.id)
        with pytest.raises(errors.NotFound):
            await client.user_api_token.get(new.id)


async def test_jobs(fake_losant: FakeLosant, nothing_blocks: BlockBuster, tmp_path: Path) -> None:
    """Planning, applying, resuming, sweeping and restoring block nothing."""
    for number in range(300):
        fake_losant.add_token(f"ci-{number}")
    client = AsyncClient(fake_losant.admin_token, transport=fake_losant.transport())
    async with client:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jobs.PlanWarning)
            rule = jobs.named("ci-1*")
            plan = await jobs.plan(client, Owner.user(), select=rule, action="deactivate")
            report = await jobs.apply(client, plan)
            again = await jobs.apply(client, plan, resume=True)
            back = await jobs.restore(client, report)
            swept = await jobs.sweep(client, report, after=timedelta())

    assert (111, 111) == (report.counts[jobs.Outcome.DONE], again.finished_before)
    assert (111, 111) == (len(back), len(swept))


async def test_blocking_calls_are_found(fake_losant: FakeLosant, tmp_path: Path) -> None:
    """These tests can fail: without its exception, the journal is reported."""
    fake_losant.add_token("ci-1")
    buster = BlockBuster(["losant_tokens"])
    async with AsyncClient(fake_losant.admin_token, transport=fake_losant.transport()) as client:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jobs.PlanWarning)
            plan = await jobs.plan(
                client, Owner.user(), select=jobs.named("*"), allow_majority=True
            )
        buster.activate()
        try:
            with pytest.raises(BlockingError, match="Blocking call to"):
                await jobs.apply(client, plan)
        finally:
            buster.deactivate()
