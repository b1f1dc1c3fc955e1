"""A cancellation at any point loses no connection, no place and no later call."""

import asyncio
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import httpx
import httpx2
import pytest
import trio
import trio.testing
from anyio.abc import ByteStream
from opentelemetry import context

from losant_tokens import AsyncClient, RetryPolicy, aiohttp_transport, httpx_transport
from losant_tokens._limits.adaptive_rate import AdaptiveRate
from losant_tokens.errors import ConnectFailed
from tests.support.cancellation import Sweep, Way
from tests.support.servers import ID, answer, respond, serve

MOST_POINTS = 400
ONCE = RetryPolicy(attempts=1)


async def in_parts(stream: ByteStream, head: bytes, headers: str = "") -> None:
    """Responds in parts, so that a call also waits within a response."""
    whole = answer(headers=headers)
    for part in (whole[:20], whole[20:-5], whole[-5:]):
        await stream.send(part)
        await anyio.sleep(0.001)


async def sweep(
    way: Way, client: AsyncClient, *, contended: bool = False, patience: float = 5
) -> int:
    """Cancels a call at each await point in turn; the client must work after each."""
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
    """After a cancellation at any point, the single connection of httpx's pool is usable."""

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
    """After a cancellation at any point, the single connection of aiohttp is usable."""
    async with (
        serve(in_parts) as url,
        AsyncClient(
            "t", base_url=url, transport=aiohttp_transport(max_connections=1), retry=ONCE
        ) as client,
    ):
        assert client._session.max_connections == 1
        points = await sweep(way, client, contended=True)
        assert points > 0


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("way", ["task", "task, with the result", "scope"])
async def test_every_point_over_httpx2(way: Way) -> None:
    """After a cancellation at any point, the single connection of httpx2's pool is usable."""
    one = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_connections=1))
    async with (
        serve(in_parts) as url,
        AsyncClient("t", base_url=url, transport=one, max_connections=1, retry=ONCE) as client,
    ):
        assert await sweep(way, client, contended=True) > 2


def test_every_point_under_trio() -> None:
    """After a cancellation at any point under trio, the single connection is usable."""

    async def main() -> int:
        async with (
            serve(in_parts) as url,
            AsyncClient("t", base_url=url, max_connections=1, retry=ONCE) as client,
        ):
            return await sweep("scope", client)

    assert trio.run(main) > 2


async def test_every_point_of_a_tls_handshake(tls: Any) -> None:
    """A cancellation at any point of a TLS handshake loses nothing."""

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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["httpx", "aiohttp"])
@pytest.mark.sweep(sample=1)
async def test_churn(kind: str) -> None:
    """After many cancelled calls, all connections are usable."""
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


@pytest.mark.skipif(httpx.__name__ == "httpx2", reason="httpx2's own pool loses no place")
async def test_sweep_finds_lost_places_of_httpx() -> None:
    """The sweep detects the lost places of httpx's own pool."""
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


async def test_cancelled_while_waiting_for_a_place() -> None:
    """A call that is cancelled while it waits for a place takes no other call's place."""
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
    """Waits in a task group, as anyio does while it connects."""

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
    """An attempt that times out together with the caller's scope leaves no cancellation."""
    one = RetryPolicy(attempts=1)
    async with AsyncClient("t", transport=InATaskGroup(), retry=one, timeout=0.2) as client:
        with anyio.move_on_after(0.24) as scope:
            await client.user_api_token.get(ID)

        assert scope.cancelled_caught
        await anyio.lowlevel.checkpoint()


def unsteady() -> httpx.MockTransport:
    """Refuses every second request, and fails every third of the others."""
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
async def test_every_point_while_rate_limited(
    way: Way, contended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a cancellation while rate limited or in a backoff, the client is usable."""
    fast = partial(AdaptiveRate, initial=5000.0)
    monkeypatch.setattr("losant_tokens._limits.rate_limiter.AdaptiveRate", fast)
    for pause in ("_FIRST_PAUSE", "_SKIPPED_REQUESTS", "_MIN_PAUSE", "_MAX_PAUSE"):
        monkeypatch.setattr(f"losant_tokens._limits.adaptive_rate.{pause}", 0.001)
    policy = RetryPolicy(attempts=20, base=0.001, cap=0.001, deadline=10)
    async with AsyncClient("t", transport=unsteady(), max_connections=1, retry=policy) as client:
        assert await sweep(way, client, contended=contended, patience=30) > 0


@attrs.define
class Rotating:
    """An API that rotates the token after each success, and a source that returns the new one."""

    number: int = 0

    async def source(self) -> str:
        await anyio.sleep(0.001)
        return f"token-{self.number}"

    async def handle(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep(0.001)
        if request.headers["authorization"] != f"Bearer token-{self.number}":
            return httpx.Response(401, json={"type": "InvalidToken", "message": "no"})
        self.number += 1
        return httpx.Response(200, json={"id": ID})


@pytest.mark.parametrize(
    ("backend", "way"), [("asyncio", "task"), ("asyncio", "scope"), ("trio", "scope")]
)
def test_every_point_while_a_token_is_replaced(backend: str, way: Way) -> None:
    """After a cancellation while a call asks for a token, is observed or waits, nothing is left."""

    async def main() -> int:
        api, before = Rotating(), context.get_current()
        client = AsyncClient(
            api.source,
            base_url="https://h",
            transport=httpx.MockTransport(api.handle),
            max_connections=1,
            rate_limit=5000,
            telemetry=True,
        )
        async with client:
            points = await sweep(way, client)
            state = client._session.require_open()
            assert (state.calls, state.waiting) == (0, set())
            assert context.get_current() == before
        return points

    assert anyio.run(main, backend=backend) > 2


def test_every_point_while_rate_limited_under_trio() -> None:
    """After a cancellation while rate limited under trio, the client is usable."""

    async def main() -> int:
        policy = RetryPolicy(attempts=20, deadline=600)
        async with AsyncClient(
            "t", transport=unsteady(), max_connections=1, retry=policy
        ) as client:
            return await sweep("scope", client, contended=True, patience=600)

    assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) > 4
