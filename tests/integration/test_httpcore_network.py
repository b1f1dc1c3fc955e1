"""The state of a connection: the data that was sent, and the data that is unread."""

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import anyio
import httpcore
import httpx
import pytest
from aiohttp.http_exceptions import BadStatusLine
from anyio.abc import ByteStream

from losant_tokens import AsyncClient, RetryPolicy, aiohttp_transport, errors
from losant_tokens._transports.aiohttp_unread_data import Protocol
from losant_tokens._transports.failures import not_sent
from losant_tokens._transports.httpcore_unread_data import Network, _has_buffered
from losant_tokens._transports.httpx_pool import HttpxPool, _Body, _Connection
from losant_tokens._transports.mixed_up_responses import ResponseTimes
from losant_tokens._transports.socket_readiness import readiness
from tests.support.servers import ID, answer, respond, serve

ONCE = RetryPolicy(attempts=1)


@pytest.mark.parametrize("platform", [sys.platform, "win32"])
def test_readable(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket is readable if it has data or is closed, on each platform."""
    monkeypatch.setattr(sys, "platform", platform)
    ours, theirs = socket.socketpair()
    is_readable = readiness(ours)
    found = [is_readable()]
    theirs.send(b"x")
    found.append(is_readable())
    ours.close()
    theirs.close()
    found.append(is_readable())
    assert [False, True, True] == found


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (httpx.PoolTimeout("x"), httpx.PoolTimeout),
        (httpx.WriteTimeout("x"), httpx.ConnectTimeout),
        (TimeoutError(), httpx.ConnectTimeout),
        (httpx.RemoteProtocolError("my-secret"), httpx.ConnectError),
        (AttributeError("'NoneType' object has no attribute 'getpeername'"), httpx.ConnectError),
    ],
    ids=repr,
)
def test_failures_before_sending(raised: Exception, expected: type[Exception]) -> None:
    """Any exception before the request is sent is a failure to connect."""
    error = not_sent(raised)
    assert expected is type(error)
    assert "my-secret" not in str(error)


class Broken(httpcore.AsyncNetworkBackend):
    """Fails to connect like an event loop whose connection is reset at once."""

    async def connect_tcp(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise AttributeError("'NoneType' object has no attribute 'getpeername'")


async def test_an_event_loop_that_fails_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unusual error while connecting is a failure to connect, so a POST is retried."""

    async def broken(*_: object, **__: object) -> Any:
        raise AttributeError("'NoneType' object has no attribute 'getpeername'")

    monkeypatch.setattr(anyio, "connect_tcp", broken)
    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", broken)
    for pool in (HttpxPool(), aiohttp_transport()):
        async with AsyncClient("t", transport=pool, retry=ONCE) as client:
            with pytest.raises(errors.ConnectFailed) as caught:
                await client.user_api_token.get(ID)
            assert not caught.value.ambiguous


async def test_a_network_without_a_connection() -> None:
    """A network without a connection has no unread data, and can be closed."""
    network = Network(Broken(), ResponseTimes())
    assert (b"", False) == (await network.read_surplus(), network.has_buffered())
    assert (False, False) == (network.is_readable(), network.sent_nothing)
    await network.close()
    with pytest.raises(AttributeError):
        await network.connect_tcp("h", 1)
    assert network.sent_nothing


async def fetch(pool: httpx.AsyncBaseTransport, url: str) -> None:
    """Send a request, and read the response to its end."""
    response = await pool.handle_async_request(httpx.Request("DELETE", url))
    await response.aread()
    await response.aclose()


def innermost(connection: _Connection) -> Any:
    """Return httpcore's connection without its wrappers."""
    inner: Any = connection._pool.connections[0]
    while hasattr(inner, "_connection"):
        inner = inner._connection
    return inner


@pytest.mark.parametrize(
    ("holder", "name"),
    [
        (innermost, "_h11_state"),
        (lambda connection: connection.network._stream.inner, "_stream"),
        (lambda connection: connection.network._stream.inner._stream, "_protocol"),
    ],
    ids=["of httpcore", "of httpcore's stream", "of anyio"],
)
async def test_a_missing_private_attribute(
    holder: Callable[[_Connection], Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection is not reused if a private attribute is missing."""
    async with serve(respond) as url, HttpxPool() as pool:
        await fetch(pool, url)
        connection = pool._idle[0][0]
        found = [connection.unread()]
        with monkeypatch.context() as patch:
            patch.delattr(holder(connection), name)
            found.append(connection.unread())
        assert [b"", b" "] == found


async def test_a_connection_with_buffered_data_is_not_reused() -> None:
    """A connection is not reused if data is in a buffer above the kernel."""
    async with serve(respond) as url, HttpxPool() as pool:
        await fetch(pool, url)
        connection = pool._idle[0][0]
        connection.network._stream.inner._stream._protocol.read_queue.append(b"x")  # type: ignore[union-attr]
        assert connection.unread() == b" "


@pytest.mark.parametrize(("encrypted", "decrypted"), [(1, 0), (0, 1)])
@pytest.mark.parametrize("buffer", ["_read_bio", "_incoming"], ids=["anyio", "trio"])
def test_data_in_a_buffer_of_tls(buffer: str, encrypted: int, decrypted: int) -> None:
    """Data in a buffer of TLS counts, whether it is decrypted or not."""
    layer = SimpleNamespace(
        transport_stream=SimpleNamespace(socket=object()),
        _ssl_object=SimpleNamespace(pending=lambda: decrypted),
        **{buffer: SimpleNamespace(pending=encrypted)},
    )
    assert _has_buffered(SimpleNamespace(_stream=layer))


async def test_idle_connections_of_a_server_that_sends_too_much() -> None:
    """If a server sends surplus data on one connection, idle ones are not reused."""
    connections: set[int] = set()

    async def handle(stream: ByteStream, head: bytes) -> None:
        connections.add(id(stream))
        extra = answer() if head.startswith(b"DELETE /extra") else b""
        await anyio.sleep(0.01)
        await stream.send(answer() + extra)

    async with serve(handle) as url, HttpxPool() as pool:
        async with anyio.create_task_group() as tasks:
            for path in ("/", "/", "/extra"):
                tasks.start_soon(fetch, pool, url + path)
        await fetch(pool, url)
        assert (4, 0) == (len(connections), len(pool._idle))
        assert not pool.keeps_connections


async def test_a_cancelled_check_of_an_idle_connection() -> None:
    """A connection that is checked while its call is cancelled is closed."""
    async with serve(respond) as url, HttpxPool() as pool:
        await fetch(pool, url)
        connection = pool._idle[0][0]
        connection.network.is_readable = lambda: True
        with anyio.CancelScope() as scope:
            scope.cancel()
            await fetch(pool, url)
        assert ([], 0) == (connection._pool.connections, len(pool._idle))


async def test_a_body_that_is_closed_halfway() -> None:
    """A response that is closed before its end closes its connection."""

    async def handle(stream: ByteStream, head: bytes) -> None:
        await stream.send(answer(b"x" * 100_000, length=200_000))

    async with serve(handle) as url, HttpxPool() as pool:
        response = await pool.handle_async_request(httpx.Request("GET", url))
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        async for _ in stream:
            break
        await stream.aclose()
        assert 0 == len(pool._idle)


class Endless(httpx.AsyncByteStream):
    """A body without an end, such as that of a mock."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x"


@pytest.mark.parametrize("is_read", [False, True])
async def test_a_body_without_end_is_closed(is_read: bool) -> None:
    """A body without an end can be closed, whether it was read in part or not."""
    pool = HttpxPool()
    connection = _Connection(ssl.create_default_context(), None, pool.times)
    stream = _Body(Endless(), connection, pool, is_unverifiable=False)
    if is_read:
        async for _ in stream:
            break
    await stream.aclose()
    assert 0 == len(pool._idle)


class Parser:
    """A parser of aiohttp with a fixed result."""

    def __init__(self, end: Callable[[], object]) -> None:
        self.feed_eof = end


def refuse() -> None:
    raise BadStatusLine("junk")


@pytest.mark.parametrize(
    ("parser", "expected"),
    [
        (None, False),
        (Parser(lambda: None), False),
        (Parser(object), True),
        (Parser(refuse), True),
    ],
)
async def test_the_start_of_another_response(parser: Any, expected: bool) -> None:
    """A parser of aiohttp shows whether it holds the start of a surplus response."""
    protocol = Protocol(asyncio.get_running_loop(), HttpxPool())
    protocol._parser = parser
    assert expected is protocol._has_begun_another()


async def test_a_readable_socket_without_data() -> None:
    """A deletion is believed if a readable socket has no data."""
    pool = aiohttp_transport()
    async with serve(respond) as url:
        await fetch(pool, url)
        assert pool._session is not None
        connector: Any = pool._session.connector
        [(protocol, _)] = next(iter(connector._conns.values()))
        assert not await protocol.mixes_up_responses()
        await pool.aclose()


async def test_aiohttp_closed_under_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request over a session that was closed by another task is not sent."""
    async with serve(respond) as url:
        pool = aiohttp_transport()
        await fetch(pool, url)
        assert pool._session is not None
        await pool._session.close()
        with pytest.raises(httpx.ConnectError):
            await fetch(pool, url)


async def test_a_large_packet_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response with junk in a large packet fails, because it is not parsed again."""
    monkeypatch.setattr("losant_tokens._transports.aiohttp_unread_data._MAX_PARSED_AGAIN", 10)

    async def handle(stream: ByteStream, head: bytes) -> None:
        await stream.send(answer() + b"junk")

    async with (
        serve(handle) as url,
        AsyncClient("t", base_url=url, transport=aiohttp_transport(), retry=ONCE) as client,
    ):
        with pytest.raises(errors.TransportError):
            await client.user_api_token.get(ID)


async def test_a_connection_that_outlives_its_loop() -> None:
    """A connection can be closed after its event loop."""
    pool = aiohttp_transport()
    async with serve(respond) as url:
        await fetch(pool, url)
        session = pool._session
        assert session is not None
        connector: Any = session.connector
        [(protocol, _)] = next(iter(connector._conns.values()))
        transport, protocol.transport = protocol.transport, None
        protocol._abort_soon()
        protocol.transport = transport
        await pool.aclose()
        await asyncio.sleep(0)
        assert transport.is_closing()


async def test_a_packet_without_the_end_of_its_response() -> None:
    """A packet that ends before its response has no complete response."""
    protocol = Protocol(asyncio.get_running_loop(), HttpxPool())
    protocol.set_response_params(timer=None, skip_payload=False, read_until_eof=True)
    protocol._packets = 1
    assert not protocol._parse_response_of(b"HTTP/1.1 200 OK\r\n")


async def test_the_buffer_of_a_read_is_small() -> None:
    """A connection of aiohttp allocates 64 KiB for each read, not asyncio's 256 KiB."""
    async with serve(respond) as url:
        pool = aiohttp_transport()
        await fetch(pool, url)
        assert pool._session is not None
        connector: Any = pool._session.connector
        [(protocol, _)] = next(iter(connector._conns.values()))
        assert protocol.transport.max_size == 64 * 1024
        await pool.aclose()


async def test_a_line_end_after_a_response_is_harmless() -> None:
    """A line end after a response closes its connection of aiohttp, but no other connection."""
    pool = HttpxPool()
    protocol = Protocol(asyncio.get_running_loop(), pool)
    protocol._drop(b"\r\n")
    assert (protocol.has_surplus, pool.keeps_connections) == (False, True)


async def private_parts(url: str, verify: ssl.SSLContext) -> list[tuple[Any, str]]:
    """Return each private attribute that the default pool uses, with the object that has it."""
    async with HttpxPool(verify=verify) as pool:
        await fetch(pool, url)
        connection = pool._idle[0][0]
        assert connection.network._stream is not None
        stream: Any = connection.network._stream.inner
        layer = stream._stream
        below = layer.transport_stream
        is_anyio = hasattr(below, "_protocol")
        return [
            (httpx.URL(url), "_uri_reference"),
            (connection._pool, "_network_backend"),
            (innermost(connection), "_h11_state"),
            (stream, "_stream"),
            (layer, "_ssl_object"),
            (layer, "_read_bio" if is_anyio else "_incoming"),
            *([(below, "_protocol"), (below._protocol, "read_queue")] if is_anyio else []),
        ]


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_private_parts_of_httpx(loop: str, tls: Any) -> None:
    """The installed httpx, httpcore and anyio have the private attributes that the pool uses."""

    async def main() -> list[str]:
        async with serve(respond, tls.server) as url:
            parts = await private_parts(url, tls.client)
        return [f"{type(one).__name__}.{name}" for one, name in parts if not hasattr(one, name)]

    assert [] == anyio.run(main, backend=loop)


async def test_private_parts_of_aiohttp() -> None:
    """The installed aiohttp has the private attributes that the fast pool uses."""
    async with serve(respond) as url, aiohttp.ClientSession() as session:
        parts: list[tuple[object, str]] = [
            (session, "_retry_connection"),
            (session.connector, "_factory"),
        ]
        async with session.get(url) as response:
            parts.append((response, "_protocol"))
    assert [] == [name for holder, name in parts if not hasattr(holder, name)]
