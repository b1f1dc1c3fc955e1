"""The connection pools: connections, certificate authorities and proxies."""

import asyncio
import copy
import gc
import pickle
import ssl
import weakref
from collections.abc import AsyncIterator
from typing import Any, Never, Self

import aiohttp
import anyio
import httpx
import pytest
import trio
from anyio.abc import ByteStream

from losant_tokens import (
    AsyncClient,
    RetryPolicy,
    _transports,
    aiohttp_transport,
    errors,
    httpx_transport,
)
from losant_tokens._http.endpoint import Endpoint
from losant_tokens._transports import aiohttp_pool, httpx_pool
from losant_tokens._transports.httpx_pool import HttpxPool
from losant_tokens._transports.mixed_up_responses import ResponseTimes
from losant_tokens._utils.secret import Secret
from tests.support.servers import ID, answer, respond, serve

ONCE = RetryPolicy(attempts=1)


class Connections:
    """Responds after a short time, and counts the connections."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seen: set[int] = set()
        self._seconds = seconds

    async def __call__(self, stream: ByteStream, head: bytes) -> None:
        self.seen.add(id(stream))
        await anyio.sleep(self._seconds)
        await stream.send(answer())


@pytest.mark.parametrize("make", [httpx_transport, aiohttp_transport])
async def test_connections_are_shared(make: Any) -> None:
    """Twenty calls at once over three connections open three, and a later call no more."""
    connections = Connections(0.01)
    async with (
        serve(connections) as url,
        AsyncClient("t", base_url=url, transport=make(max_connections=3)) as client,
    ):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(client.user_api_token.get, ID)
        await client.user_api_token.get(ID)
    assert 3 == len(connections.seen)


async def test_connections_that_nobody_uses_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that are idle for too long are closed by a later call."""
    pool = HttpxPool(max_connections=5)
    async with (
        serve(Connections(0.01)) as url,
        AsyncClient("t", base_url=url, transport=pool) as client,
    ):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(client.user_api_token.get, ID)
        kept = [len(pool._idle)]
        monkeypatch.setattr("losant_tokens._transports.httpx_pool.KEEPALIVE", -1.0)
        await client.user_api_token.get(ID)
        kept.append(len(pool._idle))
    assert [5, 1] == kept


async def test_a_call_that_ends_after_the_pool_has_closed() -> None:
    """A connection in use while the pool is closed is closed after its response."""
    release = anyio.Event()
    pool = HttpxPool()
    found: list[str] = []

    async def held(stream: ByteStream, head: bytes) -> None:
        await release.wait()
        await respond(stream, head)

    async def call(client: AsyncClient) -> None:
        found.append((await client.user_api_token.get(ID)).id)

    async with (
        serve(held) as url,
        AsyncClient("t", base_url=url, transport=pool) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(call, client)
        await anyio.sleep(0.05)
        await client.aclose()
        release.set()
    assert ([ID], 0) == (found, len(pool._idle))


@pytest.mark.parametrize("make", [httpx_transport, aiohttp_transport])
async def test_tls_to_whom_we_trust(make: Any, tls: Any) -> None:
    """A server with a trusted certificate is used."""
    async with (
        serve(respond, tls.server) as url,
        AsyncClient("t", base_url=url, transport=make(verify=tls.client)) as client,
    ):
        assert ID == (await client.user_api_token.get(ID)).id


@pytest.mark.parametrize("make", [httpx_transport, aiohttp_transport])
async def test_untrusted_server(make: Any, tls: Any) -> None:
    """A server with an untrusted certificate gets no token."""
    heads: list[bytes] = []

    async def handle(stream: ByteStream, head: bytes) -> None:
        heads.append(head)

    async with (
        serve(handle, tls.server) as url,
        AsyncClient("t", base_url=url, transport=make(), retry=ONCE) as client,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(2):  # at once: the authorities are read once
            tasks.start_soon(refused, client)
    assert [] == heads


async def refused(client: AsyncClient) -> None:
    """Call, and expect the error for an untrusted certificate."""
    with pytest.raises(errors.ConnectFailed, match=r"(?i)certificate.verify.failed"):
        await client.user_api_token.get(ID)


async def test_the_authorities_of_the_environment(
    tls: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An authority in `SSL_CERT_FILE` is trusted."""
    bundle = tmp_path / "authority.pem"
    bundle.write_text(
        "".join(map(ssl.DER_cert_to_PEM_cert, tls.client.get_ca_certs(binary_form=True)))
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    async with serve(respond, tls.server) as url, AsyncClient("t", base_url=url) as client:
        assert ID == (await client.user_api_token.get(ID)).id


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://u:hunter2@p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "losant.com"}, None),
    ],
)
def test_the_proxy_of_the_environment(
    environment: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`environment_proxy` returns the proxy of the environment without its password."""
    for name in ("https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert expected == _transports.environment_proxy(httpx.URL("https://api.losant.com"))


def test_a_proxy_of_the_environment_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """`environment_proxy` raises a `ConfigurationError` for an invalid variable."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:notaport")
    with pytest.raises(
        errors.ConfigurationError, match=r"https_proxy \(.* is not a valid proxy URL"
    ):
        _transports.environment_proxy(httpx.URL("https://api.losant.com"))


async def test_through_a_proxy(tls: Any) -> None:
    """A proxy sees a CONNECT request, but not the token, which is sent over TLS."""
    heads: list[bytes] = []

    async def proxy(stream: ByteStream, head: bytes) -> None:
        heads.append(head)
        await stream.send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")

    async with serve(proxy) as url:
        transport = httpx_transport(proxy=url)
        async with AsyncClient("my-secret", transport=transport, retry=ONCE) as client:
            with pytest.raises(errors.ConnectFailed, match="403"):
                await client.user_api_token.get(ID)
    assert [b"CONNECT api.losant.com:443 HTTP/1.1"] == [head.split(b"\r\n")[0] for head in heads]
    assert b"my-secret" not in b"".join(heads)


@pytest.mark.parametrize("number", [0, -1, 1.5, "20", None, True])
def test_a_number_of_connections_that_is_none(number: Any) -> None:
    """An invalid number of connections is refused by name."""
    for make in (httpx_transport, aiohttp_transport):
        with pytest.raises(errors.ValidationError, match="max_connections must be an integer"):
            make(max_connections=number)
    if number is not None:
        with pytest.raises(errors.ValidationError, match="max_connections must be an integer"):
            AsyncClient("t", max_connections=number)


def test_the_size_of_the_pool_is_that_of_the_client() -> None:
    """The number of requests in flight is that of the client, of its transport, or 20."""
    sizes = [
        AsyncClient("t"),
        AsyncClient("t", max_connections=7),
        AsyncClient("t", transport=aiohttp_transport()),
        AsyncClient("t", transport=httpx_transport(max_connections=50)),
        AsyncClient("t", transport=aiohttp_transport(max_connections=50), max_connections=5),
        AsyncClient("t", transport=httpx.MockTransport(lambda request: httpx.Response(200))),
    ]
    assert [20, 7, 100, 50, 5, 20] == [client._session.max_connections for client in sizes]


def test_without_aiohttp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without aiohttp, the error of `aiohttp_transport` says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "losant_tokens._transports.aiohttp_pool", None)
    with pytest.raises(ImportError, match=r"pip install 'losant-tokens\[aiohttp\]'"):
        aiohttp_transport()


async def test_a_pool_that_was_never_used() -> None:
    """A client without any call can be closed, with both pools."""
    for transport in (httpx_transport(), aiohttp_transport()):
        async with AsyncClient("t", transport=transport) as client:
            pass
        assert "closed" in repr(client)


def test_repr_of_a_client() -> None:
    """The repr of a client shows its base URL and its number of connections."""
    client = AsyncClient("a-token", base_url="https://h.example/", max_connections=7)
    assert ("https://h.example", 7) == (client.base_url, client.max_connections)
    assert not client.uses_token(ID)


@pytest.mark.parametrize("make", [httpx_transport, aiohttp_transport])
async def test_a_pool_by_itself(make: Any) -> None:
    """A pool works in a client of httpx, with httpx's timeouts and errors."""

    async def silence(stream: ByteStream, head: bytes) -> None:
        await anyio.sleep_forever()

    async with (
        serve(silence) as url,
        httpx.AsyncClient(transport=make(), timeout=httpx.Timeout(5, read=0.05)) as client,
    ):
        with pytest.raises(httpx.ReadTimeout):
            await client.get(url)


async def test_response_closed_twice() -> None:
    """A response can be closed twice, and its connection is returned once."""
    pool = HttpxPool()
    async with serve(respond) as url, pool:
        response = await pool.handle_async_request(httpx.Request("GET", url))
        await response.aread()
        assert isinstance(response.stream, httpx.AsyncByteStream)
        await response.stream.aclose()
        await response.stream.aclose()
        assert 1 == len(pool._idle)


async def test_authorities_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that are opened at the same time load the authorities once."""
    made: list[ssl.SSLContext] = []

    def create(environ: object) -> ssl.SSLContext:
        made.append(ssl.create_default_context())
        return made[-1]

    monkeypatch.setattr("losant_tokens._transports.base_pool.default_context", create)
    pool = HttpxPool()
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(pool._tls_context, httpx.URL("https://h.example"))
    assert made == [await pool._tls_context(httpx.URL("https://h.example"))]


# --- aiohttp ---------------------------------------------------------------------------------


async def test_a_url_that_aiohttp_does_not_know() -> None:
    """A URL that aiohttp cannot use raises `UnsupportedProtocol`."""
    async with aiohttp_transport() as pool:
        for url in ("ftp://127.0.0.1/", "http:///path"):
            with pytest.raises(httpx.UnsupportedProtocol):
                await pool.handle_async_request(httpx.Request("GET", url))


async def test_a_body_that_is_streamed() -> None:
    """A streamed request body is sent completely."""
    heads: list[bytes] = []

    async def parts() -> AsyncIterator[bytes]:
        yield b'{"name":'
        yield b'"ci"}'

    async def handle(stream: ByteStream, head: bytes) -> None:
        heads.append(head)
        await stream.send(answer())

    async with serve(handle) as url, httpx.AsyncClient(transport=aiohttp_transport()) as client:
        response = await client.post(url, content=parts())

    assert ID == response.json()["id"]
    assert heads[0].startswith(b"POST / HTTP/1.1")


def test_timeouts_are_those_of_httpx() -> None:
    """Each timeout of httpx becomes the timeout of aiohttp with the same meaning."""
    timeouts = httpx.Timeout(connect=1, read=2, write=3, pool=4).as_dict()
    requests = [
        httpx.Request("GET", "http://h", extensions={"timeout": extension})
        for extension in (timeouts, {})
    ]

    some, none = (aiohttp_pool._timeout(request) for request in requests)

    assert (1, 2, 4, None) == (some.sock_connect, some.sock_read, some.connect, some.total)
    assert (None, None, None, None) == (
        none.sock_connect,
        none.sock_read,
        none.connect,
        none.total,
    )


class Opened(httpx.MockTransport):
    """Records when it is opened and closed."""

    def __init__(self) -> None:
        super().__init__(lambda _: httpx.Response(200, json={"id": ID}))
        self.events: list[str] = []

    async def __aenter__(self) -> Self:
        self.events.append("opened")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.events.append("closed")


async def test_a_transport_of_the_user_is_opened_and_closed() -> None:
    """A transport of the user is opened once and closed once."""
    transport = Opened()
    async with AsyncClient("t", transport=transport) as client:
        assert ID == (await client.user_api_token.get(ID)).id
        await client.aclose()
    assert ["opened", "closed"] == transport.events


async def test_response_leaves_no_reference_cycle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A response of aiohttp's pool leaves no reference cycle."""
    made: list[weakref.ref[object]] = []

    class Remembered(aiohttp_pool._Stream):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(weakref.ref(self))

    monkeypatch.setattr(aiohttp_pool, "_Stream", Remembered)
    async with (
        serve(Connections()) as url,
        AsyncClient("t", base_url=url, transport=aiohttp_transport()) as client,
    ):
        gc.disable()
        try:
            await client.user_api_token.get(ID)
            assert [reference() for reference in made] == [None]
        finally:
            gc.enable()


@pytest.mark.parametrize(
    "make",
    [
        lambda: httpx_transport(proxy="http://user:my-password@h:1"),
        aiohttp_transport,
        lambda: httpx_pool._Connection(ssl.create_default_context(), None, ResponseTimes()),
        lambda: Endpoint.create("https://h", Secret("my-bearer"), api_version="1", user_agent="a"),
    ],
    ids=["httpx", "aiohttp", "slot", "endpoint"],
)
def test_holders_of_secrets_are_not_pickled(make: Any) -> None:
    """A pool, a connection and an endpoint can be neither pickled nor copied."""
    for dump in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            dump(make())


def test_a_pool_shows_no_password() -> None:
    """The repr of a pool does not show the password of its proxy."""
    pool = httpx_transport(proxy="http://user:my-password@h:1")
    assert "my-password" not in repr(pool) + str(pool) + f"{pool}"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_closing_that_is_cancelled(backend: str) -> None:
    """A pool closes all connections even if its closing is cancelled."""

    async def main() -> None:
        ended = anyio.Semaphore(0)

        async def handle(stream: ByteStream, head: bytes) -> None:
            await anyio.sleep(0.05)
            await stream.send(answer())
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
            ended.release()

        pool = HttpxPool()
        async with serve(handle) as url:
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(get_over, pool, url)
            with anyio.CancelScope() as scope:
                scope.cancel()
                await pool.aclose()
            with anyio.fail_after(5):
                for _ in range(3):
                    await ended.acquire()

    anyio.run(main, backend=backend)


async def get_over(pool: HttpxPool, url: str) -> None:
    """Send a request, and read the response to its end."""
    response = await pool.handle_async_request(httpx.Request("GET", url))
    await response.aread()
    await response.aclose()


async def test_task_cancelled_while_closing() -> None:
    """A task that is cancelled while it closes a pool still closes all connections."""
    pool = HttpxPool()
    async with serve(Connections(0.02)) as url:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(get_over, pool, url)
        slots = [slot for slot, _ in pool._idle]
        closing = asyncio.ensure_future(pool.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert [[], [], []] == [slot._pool.connections for slot in slots]
        await pool.aclose()


def test_aiohttp_under_trio() -> None:
    """aiohttp's pool refuses trio when it is opened."""

    async def main() -> None:
        with pytest.raises(errors.ClientStateError, match="needs asyncio"):
            async with AsyncClient("t", transport=aiohttp_transport()):
                pass
        with pytest.raises(errors.ClientStateError, match="needs asyncio"):
            await aiohttp_transport().handle_async_request(httpx.Request("GET", "http://h"))

    trio.run(main)


async def test_a_host_that_is_no_name() -> None:
    """A host that cannot be looked up is a failure to connect, over both pools."""
    for make in (httpx_transport, aiohttp_transport):
        async with make() as pool:
            with pytest.raises(httpx.ConnectError):
                await pool.handle_async_request(httpx.Request("GET", "https://a..b"))


async def test_a_host_that_asyncio_cannot_encode(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid host name is a configuration error, which is not retried."""

    async def refuse(*_: object, **__: object) -> Never:
        raise UnicodeError("label empty or too long")

    monkeypatch.setattr(anyio, "connect_tcp", refuse)
    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", refuse)
    for make in (httpx_transport, aiohttp_transport):
        async with AsyncClient("t", transport=make()) as client:
            with pytest.raises(errors.ConfigurationError, match="the host name is not valid"):
                await client.user_api_token.get(ID)
