"""Check a client that sends requests over sockets."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
from anyio.abc import ByteStream

from losant_tokens import (
    ApiTokenPost,
    AsyncClient,
    RetryPolicy,
    aiohttp_transport,
    errors,
)
from losant_tokens.errors import ValidationError
from tests.support.servers import ID, TOKEN, answer, respond, serve

QUICK = RetryPolicy(base=0.001, cap=0.001, deadline=5)
ONCE = RetryPolicy(attempts=1)


def answers(*contents: bytes) -> Callable[[ByteStream, bytes], Any]:
    """Return a handler that sends one response after the other, and then repeats the last."""
    left = list(contents)

    async def handle(stream: ByteStream, head: bytes) -> None:
        await stream.send(left.pop(0) if len(left) > 1 else left[0])

    return handle


async def silence(stream: ByteStream, head: bytes) -> None:
    """Never respond."""
    await anyio.sleep_forever()


async def test_deadline_while_waiting_for_a_connection() -> None:
    """A retry that gets a connection only after the deadline is not sent."""
    requests = 0

    async def handle(stream: ByteStream, head: bytes) -> None:
        nonlocal requests
        requests += 1
        if requests > 1:
            await anyio.sleep(0.1)
        await stream.send(answer(b"{}", "503 Busy") if requests == 1 else answer())

    policy = RetryPolicy(base=0.001, deadline=0.2)
    async with (
        serve(handle) as url,
        AsyncClient("t", base_url=url, max_connections=1, retry=policy) as client,
    ):
        results: list[object] = []

        async def first() -> None:
            try:
                await client.user_api_token.get(ID)
            except errors.ServerError as error:
                results.append(error.status_code)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await anyio.lowlevel.checkpoint()
            for _ in range(3):
                tasks.start_soon(partial(client.user_api_token.get, ID, retry=RetryPolicy()))
    assert ([503], 4) == (results, requests)


# --- Time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["httpx", "aiohttp"])
async def test_a_server_that_says_nothing(pool: str) -> None:
    """A server that never responds causes a timeout, which is ambiguous."""
    transport = aiohttp_transport() if pool == "aiohttp" else None
    async with (
        serve(silence) as url,
        AsyncClient("t", base_url=url, timeout=0.1, retry=ONCE, transport=transport) as client,
    ):
        with pytest.raises(errors.RequestTimeout, match=r"no response within 0\.1 s") as caught:
            await client.user_api_token.get(ID)
    assert caught.value.ambiguous


async def test_a_server_that_drips() -> None:
    """A server that sends a byte from time to time cannot exceed the timeout of a call."""

    async def drip(stream: ByteStream, head: bytes) -> None:
        for byte in answer():
            await stream.send(bytes([byte]))
            await anyio.sleep(0.02)

    async with serve(drip) as url, AsyncClient("t", base_url=url, retry=ONCE) as client:
        with pytest.raises(errors.RequestTimeout):
            await client.user_api_token.get(ID, timeout=0.2)
        assert client._session.in_flight == 0


@pytest.mark.parametrize("seconds", [float("inf"), 1e308, 10**300, 1e9])
async def test_a_timeout_without_end(seconds: float) -> None:
    """An infinite timeout and an infinite deadline never end a call."""
    policy = RetryPolicy(deadline=seconds, base=seconds, cap=0.001)
    handle = answers(answer(b"{}", "503 Busy"), answer())
    async with (
        serve(handle) as url,
        AsyncClient("t", base_url=url, timeout=seconds, retry=policy) as client,
    ):
        assert (await client.user_api_token.get(ID)).id == ID


# --- Unreadable responses ---------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["httpx", "aiohttp"])
@pytest.mark.parametrize(
    ("content", "expected", "match"),
    [
        (answer(b"<html>"), errors.ResponseError, "is not JSON"),
        (answer(b""), errors.ResponseError, "is not JSON"),
        (answer(b"[1]"), errors.ResponseError, "must be an object, but it is a list"),
        (answer(b'{"id":7}'), errors.ResponseError, r"\$\.id of the response must be a string"),
        (answer(TOKEN, length=999), errors.TransportError, "the connection broke"),
        (b"nonsense\r\n\r\n", errors.TransportError, "the connection broke"),
        (answer(b"", "413 Too Large"), errors.PayloadTooLarge, "no explanation"),
        (answer(b"<h1>no</h1>", "502 Bad Gateway"), errors.ServerError, "502 Bad Gateway"),
        (answer(TOKEN, headers="content-encoding: br\r\n"), errors.ResponseError, "'br'"),
        (answer(TOKEN, headers="content-encoding: gzip\r\n"), errors.ResponseError, "is not"),
        (answer(b"{}", "418 Teapot"), errors.StatusError, "418 I'm a Teapot"),
    ],
    ids=lambda value: value[:40] if isinstance(value, bytes) else "",
)
async def test_unreadable_responses(
    pool: str, content: bytes, expected: type[errors.LosantError], match: str
) -> None:
    """A response that cannot come from the API is an error, and the client remains usable."""

    async def handle(stream: ByteStream, head: bytes) -> None:
        await stream.send(content)
        if expected is errors.TransportError:
            await stream.aclose()

    transport = aiohttp_transport() if pool == "aiohttp" else None
    async with (
        serve(handle) as url,
        AsyncClient("t", base_url=url, retry=ONCE, transport=transport) as client,
    ):
        for _ in range(2):
            with pytest.raises(expected, match=match) as caught:
                await client.user_api_token.get(ID)
            assert expected is type(caught.value)
        assert client._session.in_flight == 0


async def test_response_too_large() -> None:
    """A response beyond the limit is not read to its end, and its connection is closed."""
    async with (
        serve(answers(answer(b"x" * 5000), answer())) as url,
        AsyncClient("t", base_url=url, max_connections=1, max_response_size=1024) as client,
    ):
        with pytest.raises(errors.ResponseError, match="is larger than") as caught:
            await client.user_api_token.get(ID)
        assert type(caught.value) is errors.ResponseError
        assert (await client.user_api_token.get(ID)).id == ID


async def test_page_too_large() -> None:
    """A page beyond the limit is a `ResponseTooLarge` that recommends what to change."""
    async with (
        serve(answers(answer(b"x" * 5000))) as url,
        AsyncClient("t", base_url=url, max_response_size=1024) as client,
    ):
        with pytest.raises(errors.ResponseTooLarge, match="Request smaller pages"):
            await client.user_api_tokens.get()


@pytest.mark.parametrize(
    "body",
    [
        answer(b"x" * 5000, "503 Unavailable"),
        answer(TOKEN, "503 Unavailable", headers="content-encoding: br\r\n"),
        answer(TOKEN, "503 Unavailable", headers="content-encoding: gzip\r\n"),
    ],
)
async def test_an_error_whose_body_cannot_be_read(body: bytes) -> None:
    """The status of a response decides its error, even if the body cannot be read."""
    async with (
        serve(answers(body)) as url,
        AsyncClient("t", base_url=url, retry=ONCE, max_response_size=1024) as client,
    ):
        with pytest.raises(errors.ServerError, match="no explanation was given"):
            await client.user_api_token.get(ID)


@pytest.mark.parametrize("pool", ["httpx", "aiohttp"])
async def test_a_connection_that_breaks_is_ambiguous(pool: str) -> None:
    """A POST is not retried if the connection ends after the request was sent."""
    seen = 0

    async def handle(stream: ByteStream, head: bytes) -> None:
        nonlocal seen
        seen += 1
        await stream.aclose()

    transport = aiohttp_transport() if pool == "aiohttp" else None
    async with (
        serve(handle) as url,
        AsyncClient("t", base_url=url, retry=QUICK, transport=transport) as client,
    ):
        with pytest.raises(errors.TransportError) as caught:
            await client.user_api_tokens.post(ApiTokenPost("ci"))
        assert (errors.TransportError, True, 1) == (
            type(caught.value),
            caught.value.ambiguous,
            seen,
        )


@pytest.mark.parametrize("pool", ["httpx", "aiohttp"])
async def test_aiohttp_does_not_repeat_by_itself(pool: str) -> None:
    """aiohttp itself does not repeat a request after a broken connection."""
    seen: list[bytes] = []

    async def handle(stream: ByteStream, head: bytes) -> None:
        seen.append(head[:6])
        if head.startswith(b"DELETE"):
            await stream.aclose()
        else:
            await respond(stream, head)

    transport = aiohttp_transport() if pool == "aiohttp" else None
    async with (
        serve(handle) as url,
        AsyncClient("t", base_url=url, retry=ONCE, transport=transport) as client,
    ):
        await client.user_api_token.get(ID)
        with pytest.raises(errors.TransportError):
            await client.user_api_token.delete(ID)
    assert seen == [b"GET /m", b"DELETE"]


@pytest.mark.parametrize("pool", ["httpx", "aiohttp"])
async def test_nobody_listens(pool: str) -> None:
    """A port that refuses connections is a `ConnectFailed`, and a POST is retried as well."""
    async with serve(respond) as url:
        pass
    transport = aiohttp_transport() if pool == "aiohttp" else None
    async with AsyncClient("t", base_url=url, retry=QUICK, transport=transport) as client:
        with pytest.raises(errors.ConnectFailed, match=url) as caught:
            await client.user_api_tokens.post(ApiTokenPost("ci"))
    assert not caught.value.ambiguous


async def test_opened_twice() -> None:
    """A client that is open cannot be opened again, and remains usable."""
    async with serve(respond) as url, AsyncClient("t", base_url=url) as client:
        with pytest.raises(errors.ClientStateError, match="is open, and it can be opened"):
            await client.open()
        assert (await client.user_api_token.get(ID)).id == ID


async def test_closed_while_calls_wait() -> None:
    """When the client closes, a waiting call is an error, and a call in flight succeeds."""
    release = anyio.Event()
    ends: list[str] = []

    async def held(stream: ByteStream, head: bytes) -> None:
        await release.wait()
        await respond(stream, head)

    async def call(client: AsyncClient) -> None:
        try:
            ends.append((await client.user_api_token.get(ID)).id)
        except errors.ClientStateError:
            ends.append("closed")

    async with (
        serve(held) as url,
        AsyncClient("t", base_url=url, max_connections=1) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(call, client)
        tasks.start_soon(call, client)
        await anyio.sleep(0.05)
        await client.aclose()
        release.set()
    assert ends == ["closed", ID]


async def test_under_trio() -> None:
    """Calls, retries and timeouts work on trio."""

    async def main() -> list[object]:
        found: list[object] = []
        handle = answers(answer(b"{}", "503 Busy"), answer())
        async with serve(handle) as url, AsyncClient("t", base_url=url, retry=QUICK) as client:
            found.append((await client.user_api_token.get(ID)).id)
        async with serve(silence) as url, AsyncClient("t", base_url=url, retry=ONCE) as client:
            try:
                await client.user_api_token.get(ID, timeout=0.1)
            except errors.RequestTimeout as error:
                found.append(error.ambiguous)
        return found

    assert await anyio.to_thread.run_sync(trio.run, main) == [ID, True]


async def test_nothing_leaves_in_the_clear() -> None:
    """No connection is opened for a token that would travel in the clear."""
    connections: list[object] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        writer.close()

    server = await asyncio.start_server(accept, "0.0.0.0", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ValidationError, match="plain http to another host"):
            async with AsyncClient("t", base_url=f"http://0.0.0.0:{port}") as client:
                await client.user_api_token.get(ID)
        await asyncio.sleep(0.05)
    assert connections == []
