"""Cancelling a call at any point costs nothing: no connection, no turn, no later call."""

import asyncio
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio
import trio.testing
from anyio.abc import ByteStream

from losant_tokens import AsyncClient, RetryPolicy, aiohttp_transport, httpx_transport
from losant_tokens.errors import ConnectFailed
from tests.support.cancelling import Sweep, Way
from tests.support.servers import ID, answer, respond, serve

MOST_POINTS = 400
ONCE = RetryPolicy(attempts=1)


async def in_parts(stream: ByteStream, head: bytes, headers: str = "") -> None:
    """Answers in parts, so that there is something to wait for within an answer, too."""
    whole = answer(headers=headers)
    for part in (whole[:20], whole[20:-5], whole[-5:]):
        await stream.send(part)
        await anyio.sleep(0.001)


async def sweep(
    way: Way, client: AsyncClient, *, contended: bool = False, patience: float = 5
) -> int:
    """Cancels a call at its first point, its second, ...; after each, the client must be whole."""
    for at in range(1, MOST_POINTS):
        run = Sweep(way, at)
        async with anyio.create_task_group() as others:
            if contended:
                for _ in range(3):
                    others.start_soon(client.user_api_token.get, ID)
                await anyio.lowlevel.checkpoint()
            await run.run(client.user_api_token.get(ID))
        with anyio.fail_after(patience):
            token = await client.user_api_token.get(ID)
        assert (token.id, client._session.in_flight) == (ID, 0)
        if not run.has_cancelled:
            return run.points
    raise AssertionError("the call never came to its end")


@pytest.mark.sweep(sample=4)
@pytest.mark.parametrize("contended", [False, True], ids=["alone", "contended"])
@pytest.mark.parametrize("way", ["task", "task, with the result", "scope"])
@pytest.mark.parametrize("fresh", [True, False], ids=["new connections", "kept connections"])
async def test_every_point(way: Way, contended: bool, fresh: bool) -> None:
    """Wherever a call over httpx's pool is cancelled, the one connection there is stays usable."""

    async def handle(stream: ByteStream, head: bytes) -> None:
        await in_parts(stream, head, "connection: close\r\n" if fresh else "")
        if fresh:
            await stream.aclose()

    async with (
        serve(handle) as url,
        AsyncClient("t", base_url=url, max_connections=1, retry=ONCE) as client,
    ):
        points = await sweep(way, client, contended=contended)
        assert points > 2


@pytest.mark.parametrize("way", ["task", "task, with the result", "scope"])
async def test_every_point_over_aiohttp(way: Way) -> None:
    """Wherever a call over aiohttp is cancelled, the one connection there is stays usable."""
    async with (
        serve(in_parts) as url,
        AsyncClient(
            "t", base_url=url, transport=aiohttp_transport(max_connections=1), retry=ONCE
        ) as client,
    ):
        assert client._session.max_connections == 1
        points = await sweep(way, client, contended=True)
        assert points > 0


def test_every_point_under_trio() -> None:
    """Wherever a call is cancelled under trio, the one connection there is stays usable."""

    async def main() -> int:
        async with (
            serve(in_parts) as url,
            AsyncClient("t", base_url=url, max_connections=1, retry=ONCE) as client,
        ):
            return await sweep("scope", client)

    assert trio.run(main) > 2


async def test_every_point_of_a_tls_handshake(tls: Any) -> None:
    """Wherever a call is cancelled that has to shake hands first, nothing is lost either."""

    async def handle(stream: ByteStream, head: bytes) -> None:
        await in_parts(stream, head, "connection: close\r\n")
        await stream.aclose()

    for way in ("task", "task, with the result", "scope"):
        async with (
            serve(handle, tls.server) as url,
            AsyncClient(
                "t",
                base_url=url,
                transport=httpx_transport(max_connections=1, verify=tls.client),
                retry=ONCE,
            ) as client,
        ):
            assert await sweep(way, client) > 4


@pytest.mark.parametrize("kind", ["httpx", "aiohttp"])
async def test_churn(kind: str) -> None:
    """After many calls of which most were cancelled at odd moments, all connections still serve."""
    transport = (httpx_transport if kind == "httpx" else aiohttp_transport)(max_connections=10)

    async def slowly(stream: ByteStream, head: bytes) -> None:
        await anyio.sleep(0.002)
        await stream.send(answer())

    async with (
        serve(slowly) as url,
        AsyncClient("t", base_url=url, transport=transport, retry=ONCE) as client,
    ):

        async def impatient(number: int) -> None:
            for round_ in range(30):
                task = asyncio.ensure_future(client.user_api_token.get(ID))
                if (number + round_) % 10 < 7:
                    await asyncio.sleep(0.0005 * (number % 7))
                    task.cancel()
                await asyncio.wait([task])

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(impatient, number)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(client.user_api_token.get, ID)
        assert client._session.in_flight == 0


async def test_the_sweep_finds_what_httpx_loses() -> None:
    """The sweep is able to fail: it brings httpx's own pool, as it comes, to a standstill."""
    one = httpx.Limits(max_connections=1)
    async with (
        serve(in_parts) as url,
        AsyncClient(
            "t",
            base_url=url,
            transport=httpx.AsyncHTTPTransport(limits=one),
            max_connections=1,
            timeout=1,
            retry=ONCE,
        ) as client,
    ):
        for at in range(1, MOST_POINTS):
            await Sweep("task", at).run(client.user_api_token.get(ID))
            try:
                await client.user_api_token.get(ID)
            except ConnectFailed:
                break
        else:
            pytest.fail("httpx has been fixed: our own slots may not be needed any more")


async def test_cancelled_while_waiting_for_a_turn() -> None:
    """A call that is cancelled before it had its turn takes nobody else's."""
    release = anyio.Event()

    async def held(stream: ByteStream, head: bytes) -> None:
        await release.wait()
        await respond(stream, head)

    async with (
        serve(held) as url,
        AsyncClient("t", base_url=url, max_connections=1) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(client.user_api_token.get, ID)
        await anyio.sleep(0.05)
        with anyio.move_on_after(0.05) as impatient:
            await client.user_api_token.get(ID)
        assert (impatient.cancelled_caught, client._session.in_flight) == (True, 1)
        release.set()
        with anyio.fail_after(5):
            assert (await client.user_api_token.get(ID)).id == ID


class InATaskGroup(httpx.AsyncBaseTransport):
    """Waits as anyio does that connects: in a task group, which takes a moment to end."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async def work() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.05)

        async with anyio.create_task_group() as group:
            group.start_soon(work)
        raise AssertionError("it never answers")


async def test_timeout_and_the_callers_scope_together() -> None:
    """A try that times out just before the caller's own scope ends leaves no cancellation over."""
    one = RetryPolicy(attempts=1)
    async with AsyncClient("t", transport=InATaskGroup(), retry=one, timeout=0.2) as client:
        with anyio.move_on_after(0.24) as scope:
            await client.user_api_token.get(ID)

        assert scope.cancelled_caught
        await anyio.lowlevel.checkpoint()


def unsteady() -> httpx.MockTransport:
    """A service that refuses every second request, and fails every third one of the others."""
    requests = 0

    async def handle(request: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        await anyio.sleep(0.001)
        status = 429 if requests % 2 else 503 if requests % 3 == 0 else 200
        return httpx.Response(status, json={"id": ID})

    return httpx.MockTransport(handle)


@pytest.mark.parametrize(
    "contended",
    [
        pytest.param(False, id="alone"),
        pytest.param(True, id="contended", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("way", ["task", "task, with the result", "scope"])
async def test_every_point_in_the_pace(
    way: Way, contended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a call is cancelled that waits for the pace or a retry, the client stays usable."""
    monkeypatch.setattr("losant_tokens._rate_limiter.INITIAL_RATE", 5000.0)
    for pause in ("_FIRST_PAUSE", "_SKIPPED_REQUESTS", "_MIN_PAUSE", "_MAX_PAUSE"):
        monkeypatch.setattr(f"losant_tokens._adaptive_rate.{pause}", 0.001)
    policy = RetryPolicy(attempts=20, base=0.001, cap=0.001, deadline=10)
    async with AsyncClient("t", transport=unsteady(), max_connections=1, retry=policy) as client:
        assert await sweep(way, client, contended=contended, patience=30) > 0


def test_every_point_in_the_pace_under_trio() -> None:
    """Wherever a call is cancelled that waits for the pace under trio, the client stays usable."""

    async def main() -> int:
        policy = RetryPolicy(attempts=20, deadline=600)
        async with AsyncClient(
            "t", transport=unsteady(), max_connections=1, retry=policy
        ) as client:
            return await sweep("scope", client, contended=True, patience=600)

    assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) > 4
