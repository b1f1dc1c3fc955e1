"""Proxies on real sockets: the requests of each pool, and its handling of the responses."""

import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
import httpx
import pytest
from anyio.abc import ByteStream

from losant_tokens import (
    ApiTokenPost,
    AsyncClient,
    RetryPolicy,
    Secret,
    aiohttp_transport,
    errors,
    httpx_transport,
)
from losant_tokens.accounts import Account, EnvironmentToken
from tests.support.helpers import frames_hold
from tests.support.servers import ID, answer, respond, serve

FAST = RetryPolicy(attempts=3, base=0.001)
POOLS = [httpx_transport, aiohttp_transport]
VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
PASSWORD = "hunter2"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the proxy variables of this machine."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=POOLS, ids=["httpx", "aiohttp"])
def make(request: pytest.FixtureRequest) -> Any:
    """Return a function that creates a pool of one kind."""
    return request.param


@attrs.define
class Proxied:
    """A proxy that records its requests, and whose response to CONNECT a test can set.

    Attributes:
        refusal: The response, after which it closes the connection; `None` to connect.
        heads: The head of each request that came.
    """

    refusal: bytes | None = None
    heads: list[bytes] = attrs.field(factory=list)

    async def __call__(self, stream: ByteStream, head: bytes) -> None:
        self.heads.append(head)
        if self.refusal is not None:
            if self.refusal:
                await stream.send(self.refusal)
            await stream.aclose()
        elif head.startswith(b"CONNECT "):
            host, _, port = head.split(b" ")[1].decode().rpartition(":")
            await stream.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await join(stream, host.strip("[]"), int(port))
            await stream.aclose()
        else:
            await stream.send(answer())

    @property
    def lines(self) -> list[bytes]:
        """Return the first line of each request."""
        return [head.split(b"\r\n")[0] for head in self.heads]

    def header(self, name: bytes) -> list[bytes]:
        """Return the value of a header in each request, or `b""`."""
        return [
            next(
                (
                    line.partition(b":")[2].strip()
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(name + b":")
                ),
                b"",
            )
            for head in self.heads
        ]


async def join(stream: ByteStream, host: str, port: int) -> None:
    """Connect a stream to a server until one of them disconnects."""
    async with (
        await anyio.connect_tcp(host, port) as server,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(pump, stream, server, tasks.cancel_scope)
        tasks.start_soon(pump, server, stream, tasks.cancel_scope)


async def pump(source: ByteStream, target: ByteStream, scope: anyio.CancelScope) -> None:
    try:
        async for part in source:
            await target.send(part)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass
    scope.cancel()


def with_credentials(url: str) -> str:
    """Return a proxy URL with a user name and a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://us%C3%A9r:{PASSWORD}@{rest}"


BASIC = b"Basic " + base64.b64encode(f"usér:{PASSWORD}".encode())


@pytest.mark.parametrize("by_environment", [True, False])
async def test_through_a_tunnel(
    make: Any, by_environment: bool, tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two calls use one tunnel, and the proxy sees its password, but never the token."""
    proxy = Proxied()
    async with serve(respond, tls.server) as url, serve(proxy) as proxy_url:
        if by_environment:
            monkeypatch.setenv("HTTPS_PROXY", with_credentials(proxy_url))
            transport = make(verify=tls.client)
        else:
            transport = make(verify=tls.client, proxy=Secret(with_credentials(proxy_url)))
        async with AsyncClient("my-secret", base_url=url, transport=transport) as client:
            found = [(await client.user_api_token.get(ID)).id for _ in range(2)]
    assert [ID, ID] == found
    target = url.removeprefix("https://").encode()
    assert [b"CONNECT " + target + b" HTTP/1.1"] == proxy.lines
    assert [BASIC] == proxy.header(b"proxy-authorization")
    assert b"my-secret" not in b"".join(proxy.heads)


@pytest.mark.parametrize("has_account", [True, False])
async def test_the_settings_of_a_client(
    has_account: bool, tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client passes its own `proxy`, `verify` and `trust_env` to the default pool."""
    proxy = Proxied()
    async with serve(respond, tls.server) as url, serve(proxy) as proxy_url:
        settings: Any = {
            "proxy": with_credentials(proxy_url),
            "verify": tls.client,
            "trust_env": False,
            "max_connections": 3,
        }
        if has_account:
            monkeypatch.setenv("LOSANT_TEST", "t")
            account = Account(name="prod", base_url=url, token=EnvironmentToken("LOSANT_TEST"))
            opening: Any = AsyncClient.for_account(account, **settings)
        else:
            opening = AsyncClient("t", base_url=url, **settings)
        async with opening as client:
            assert ID == (await client.user_api_token.get(ID)).id
    assert [BASIC] == proxy.header(b"proxy-authorization")
    assert 3 == client.max_connections


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"proxy": f"http://u:{PASSWORD}@proxy.example"}, "httpx_transport(proxy=...) or "),
        (
            {"verify": "ca.pem", "trust_env": False},
            "got verify and trust_env as well as transport, but they are settings of the default ",
        ),
    ],
)
def test_settings_of_the_default_pool_and_another_pool(
    make: Any, settings: dict[str, Any], words: str
) -> None:
    """Settings of the default pool are refused with a transport, which would ignore them."""
    with pytest.raises(errors.ValidationError) as caught:
        AsyncClient("t", transport=make(), **settings)
    assert words in str(caught.value)
    caught.value.__traceback__ = caught.tb.tb_next  # Without the frame of this test.
    assert frames_hold(caught.value, PASSWORD) == []


async def test_a_proxy_that_speaks_tls(make: Any, tls: Any) -> None:
    """A proxy can be used over TLS."""
    proxy = Proxied()
    async with serve(respond, tls.server) as url, serve(proxy, tls.server) as proxy_url:
        transport = make(verify=tls.client, proxy=proxy_url)
        async with AsyncClient("t", base_url=url, transport=transport) as client:
            assert ID == (await client.user_api_token.get(ID)).id
    assert 1 == len(proxy.lines)


async def test_plain_http_through_a_proxy(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each plain http request to another host goes through `HTTP_PROXY`."""
    proxy = Proxied()
    async with serve(proxy) as proxy_url:
        monkeypatch.setenv("HTTP_PROXY", with_credentials(proxy_url))
        async with AsyncClient(
            "t", base_url="http://losant-fake:8080", transport=make(), insecure_http=True
        ) as client:
            for _ in range(2):
                await client.user_api_token.get(ID)
    start = f"GET http://losant-fake:8080/me/tokens/{ID}?".encode()
    assert [line.startswith(start) for line in proxy.lines] == [True, True]
    assert [BASIC, BASIC] == proxy.header(b"proxy-authorization")


@pytest.mark.parametrize(
    ("variable", "value", "direct"),
    [
        ("NO_PROXY", "127.0.0.0/8", True),
        ("no_proxy", "*", True),
        ("NO_PROXY", "128.0.0.0/8", False),
    ],
)
async def test_hosts_without_proxy(
    make: Any,
    variable: str,
    value: str,
    direct: bool,
    tls: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Requests to a host in `NO_PROXY` go to it directly, over both pools."""
    proxy = Proxied()
    async with serve(respond, tls.server) as url, serve(proxy) as proxy_url:
        monkeypatch.setenv("HTTPS_PROXY", proxy_url)
        monkeypatch.setenv(variable, value)
        async with AsyncClient("t", base_url=url, transport=make(verify=tls.client)) as client:
            await client.user_api_token.get(ID)
    assert direct is (proxy.lines == [])


async def test_an_environment_that_is_not_trusted(
    make: Any, tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `trust_env=False`, the variables are not read, not even invalid ones."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "http://127.0.0.1:notaport")
    transport = make(verify=tls.client, trust_env=False)
    async with (
        serve(respond, tls.server) as url,
        AsyncClient("t", base_url=url, transport=transport) as client,
    ):
        assert ID == (await client.user_api_token.get(ID)).id


async def test_authorities_that_are_not_trusted(
    make: Any, tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `trust_env=False`, `SSL_CERT_FILE` is not read."""
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    async with (
        serve(respond, tls.server) as url,
        AsyncClient("t", base_url=url, transport=make(trust_env=False)) as client,
    ):
        with pytest.raises(errors.ConfigurationError, match="certificate verify failed"):
            await client.user_api_token.get(ID)


def refusal(status: str, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n{headers}\r\n".encode()


@pytest.mark.parametrize(
    ("answered", "kind", "attempts", "words"),
    [
        (refusal("403 my-secret"), errors.ConfigurationError, 1, "(status 403)"),
        (
            refusal("407 my-secret", 'Proxy-Authenticate: Basic realm="my-secret"\r\n'),
            errors.ConfigurationError,
            1,
            "requires a user name and password (status 407)",
        ),
        (refusal("502 my-secret"), errors.ConnectFailed, 3, "could not connect"),
        (refusal("503 my-secret"), errors.ConnectFailed, 3, "could not connect"),
        (b"", errors.ConnectFailed, 3, "could not connect"),
        (b"HTTP/1.1 2", errors.ConnectFailed, 3, "could not connect"),
        (b"SSH-2.0-my-secret\r\n", errors.ConnectFailed, 3, "could not connect"),
    ],
    ids=["403", "407", "502", "503", "closed", "cut", "garbage"],
)
async def test_a_proxy_that_refuses(
    make: Any, answered: bytes, kind: type[Exception], attempts: int, words: str
) -> None:
    """A refusal of a proxy is not ambiguous, and is retried only if it is transient."""
    proxy = Proxied(refusal=answered)
    async with serve(proxy) as proxy_url:
        transport = make(proxy=with_credentials(proxy_url))
        async with AsyncClient("my-secret", transport=transport, retry=FAST) as client:
            with pytest.raises(errors.ConnectFailed) as caught:
                await client.user_api_tokens.post(ApiTokenPost("ci"))
    error = caught.value
    assert (kind, False, attempts) == (type(error), error.ambiguous, len(proxy.lines))
    assert words in str(error)
    assert f"{proxy_url} (proxy)" in str(error)
    assert "my-secret" not in f"{error!r}"
    assert PASSWORD not in f"{error!r}"
    assert frames_hold(error, PASSWORD) == []


async def test_a_proxy_that_is_silent(make: Any, tls: Any) -> None:
    """If a proxy does not respond to CONNECT in time, the request was not sent."""

    async def silence(stream: ByteStream, head: bytes) -> None:
        await anyio.sleep_forever()

    once = RetryPolicy(attempts=1)
    async with serve(silence) as proxy_url:
        transport = make(proxy=proxy_url, verify=tls.client)
        async with AsyncClient("t", transport=transport, retry=once, timeout=0.5) as client:
            with pytest.raises(errors.ConnectFailed) as caught:
                await client.user_api_tokens.post(ApiTokenPost("ci"))
    assert (errors.ConnectFailed, False) == (type(caught.value), caught.value.ambiguous)


async def test_a_silent_proxy_and_slow_authorities(
    make: Any, tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time to load the authorities counts for the timeout for connecting."""

    def create(environ: object) -> Any:
        time.sleep(0.2)
        return tls.client

    async def silence(stream: ByteStream, head: bytes) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr("losant_tokens._transports.base_pool.default_context", create)
    once = RetryPolicy(attempts=1)
    async with serve(silence) as proxy_url:
        transport = make(proxy=proxy_url)
        async with AsyncClient("t", transport=transport, retry=once, timeout=0.6) as client:
            with pytest.raises(errors.ConnectFailed) as caught:
                await client.user_api_tokens.post(ApiTokenPost("ci"))
    assert not caught.value.ambiguous


async def test_unreachable_proxy(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for an unreachable proxy names the proxy and its variable."""
    async with serve(respond) as proxy_url:
        pass
    monkeypatch.setenv("HTTPS_PROXY", with_credentials(proxy_url))
    async with AsyncClient("t", transport=make(), retry=FAST) as client:
        with pytest.raises(errors.ConnectFailed) as caught:
            await client.user_api_token.get(ID)
    assert (errors.ConnectFailed, False) == (type(caught.value), caught.value.ambiguous)
    words = f"could not connect through the proxy {proxy_url} (HTTPS_PROXY): Connection refused"
    assert words in str(caught.value)


async def test_broken_connection_behind_a_proxy(make: Any, tls: Any) -> None:
    """A request that fails inside the tunnel may have arrived."""

    async def hang_up(stream: ByteStream, head: bytes) -> None:
        await stream.aclose()

    async with serve(hang_up, tls.server) as url, serve(Proxied()) as proxy_url:
        transport = make(verify=tls.client, proxy=proxy_url)
        async with AsyncClient("t", base_url=url, transport=transport, retry=FAST) as client:
            with pytest.raises(errors.TransportError) as caught:
                await client.user_api_tokens.post(ApiTokenPost("ci"))
    assert (errors.TransportError, True) == (type(caught.value), caught.value.ambiguous)


async def test_a_server_that_is_silent_behind_a_proxy(make: Any, tls: Any) -> None:
    """A silent server behind a tunnel is a timeout, which is ambiguous."""

    async def silence(stream: ByteStream, head: bytes) -> None:
        await anyio.sleep_forever()

    once = RetryPolicy(attempts=1)
    async with serve(silence, tls.server) as url, serve(Proxied()) as proxy_url:
        transport = make(verify=tls.client, proxy=proxy_url)
        async with AsyncClient(
            "t", base_url=url, transport=transport, retry=once, timeout=0.5
        ) as client:
            with pytest.raises(errors.RequestTimeout) as caught:
                await client.user_api_tokens.post(ApiTokenPost("ci"))
    assert caught.value.ambiguous


async def test_a_certificate_behind_a_proxy(make: Any, tls: Any) -> None:
    """An untrusted certificate behind a proxy is refused and not retried."""
    proxy = Proxied()
    async with serve(respond, tls.server) as url, serve(proxy) as proxy_url:
        transport = make(proxy=proxy_url)
        async with AsyncClient("t", base_url=url, transport=transport, retry=FAST) as client:
            with pytest.raises(errors.ConfigurationError, match="certificate verify failed"):
                await client.user_api_token.get(ID)
    assert 1 == len(proxy.lines)


async def test_plain_http_that_a_proxy_refuses(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 407 in response to a request itself is a configuration error."""
    proxy = Proxied(refusal=refusal("407 Proxy Authentication Required"))
    async with serve(proxy) as proxy_url:
        monkeypatch.setenv("HTTP_PROXY", proxy_url)
        async with AsyncClient(
            "t", base_url="http://fake", transport=make(), insecure_http=True, retry=FAST
        ) as client:
            with pytest.raises(errors.ConfigurationError, match="status 407"):
                await client.user_api_token.get(ID)
    assert 1 == len(proxy.lines)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", f"http://u:{PASSWORD}@127.0.0.1:notaport"),
        ("ALL_PROXY", f"http://u:{PASSWORD}@127.0.0.1:0"),
        ("https_proxy", f"socks4://u:{PASSWORD}@127.0.0.1"),
    ],
)
async def test_a_wrong_variable(
    make: Any, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error for an invalid variable names it without its password."""
    monkeypatch.setenv(variable, value)
    async with AsyncClient("my-secret", transport=make(), retry=FAST) as client:
        with pytest.raises(errors.ConfigurationError, match=variable) as caught:
            await client.user_api_token.get(ID)
    error = caught.value
    assert ("userApiToken.get", False) == (error.operation, error.ambiguous)
    assert PASSWORD not in f"{error!r}"
    assert [*frames_hold(error, PASSWORD), *frames_hold(error, "my-secret")] == []


async def test_a_wrong_list_of_exceptions(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for an invalid entry of `NO_PROXY` names the variable."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/99")
    async with AsyncClient("t", transport=make()) as client:
        with pytest.raises(errors.ConfigurationError, match=r"NO_PROXY: '10\.0\.0\.0/99'"):
            await client.user_api_token.get(ID)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_a_wrong_file_of_authorities(
    make: Any, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error for a missing file of authorities names the variable."""
    monkeypatch.setenv(variable, "/no/such/file")
    async with AsyncClient("t", transport=make(), retry=FAST) as client:
        for _ in range(2):
            with pytest.raises(errors.ConfigurationError, match=f"{variable} names '/no/such"):
                await client.user_api_token.get(ID)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"proxy": f"http://u:{PASSWORD}@127.0.0.1:notaport"},
            "proxy ('http://***@127.0.0.1:***') is not a valid proxy URL",
        ),
        (
            {"proxy": Secret(f"ftp://u:{PASSWORD}@127.0.0.1")},
            "proxy ('ftp://***@127.0.0.1') names a proxy with an unsup",
        ),
        ({"proxy": ""}, "proxy ('http://') names an invalid proxy host"),
        ({"proxy": httpx.URL("http://127.0.0.1")}, "proxy must be a URL as a string"),
        ({"proxy": False}, "proxy must be a URL as a string, but it is bool"),
        ({"verify": False}, "verify=False is refused"),
        ({"verify": "/no/such/file"}, "verify names '/no/such/file'"),
        ({"trust_env": 1}, "trust_env must be True or False"),
        ({"max_connections": 0}, "max_connections"),
    ],
    ids=str,
)
def test_wrong_arguments(make: Any, settings: dict[str, Any], words: str) -> None:
    """The arguments of a transport are checked before any call, even if a client passes them."""
    with pytest.raises(errors.ValidationError) as caught:
        make(**settings)
    check_wrong_argument(caught, words)
    with pytest.raises(errors.ValidationError) as caught:
        AsyncClient("t", **settings)
    check_wrong_argument(caught, words)


def check_wrong_argument(caught: pytest.ExceptionInfo[errors.ValidationError], words: str) -> None:
    """Check the message of an error, and that its traceback does not show the password."""
    assert words in str(caught.value)
    assert PASSWORD not in f"{caught.value!r}"
    frames = caught.tb.tb_next  # Without the frame of this test.
    assert frames is not None
    caught.value.__traceback__ = frames
    assert frames_hold(caught.value, PASSWORD) == []


async def test_one_pool_for_several_hosts(tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool reuses a connection only for hosts behind the same proxy."""
    proxy = Proxied()
    async with (
        serve(respond, tls.server) as url,
        serve(respond) as plain_url,
        serve(proxy) as proxy_url,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy_url)
        async with httpx.AsyncClient(transport=httpx_transport(verify=tls.client)) as client:
            for target in (url, plain_url, url, url):
                assert 200 == (await client.get(target)).status_code
    assert 2 == len(proxy.lines)


# --- SOCKS -----------------------------------------------------------------------------------


@asynccontextmanager
async def socks_server(works: bool = True) -> AsyncIterator[str]:
    """Run a SOCKS5 proxy without a password on a loopback port."""

    async def handle(stream: Any) -> None:
        async with stream:
            await stream.receive(3)
            await stream.send(b"\x05\x00")
            request = await stream.receive()
            if not works:
                await stream.send(b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")
                return
            port = int.from_bytes(request[-2:], "big")
            await stream.send(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            await join(stream, "127.0.0.1", port)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, handle)
            yield f"socks5://127.0.0.1:{port}"
            tasks.cancel_scope.cancel()


async def test_through_socks(tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default pool can use a SOCKS proxy."""
    pytest.importorskip("socksio")
    async with serve(respond, tls.server) as url, socks_server() as proxy_url:
        monkeypatch.setenv("ALL_PROXY", proxy_url)
        transport = httpx_transport(verify=tls.client)
        async with AsyncClient("t", base_url=url, transport=transport) as client:
            assert ID == (await client.user_api_token.get(ID)).id


async def test_a_socks_proxy_that_refuses() -> None:
    """A SOCKS proxy that cannot connect is a transient failure, which is not ambiguous."""
    pytest.importorskip("socksio")
    async with socks_server(works=False) as proxy_url:
        transport = httpx_transport(proxy=proxy_url)
        async with AsyncClient("t", transport=transport, retry=FAST) as client:
            with pytest.raises(errors.ConnectFailed) as caught:
                await client.user_api_tokens.post(ApiTokenPost("ci"))
    assert (errors.ConnectFailed, False) == (type(caught.value), caught.value.ambiguous)


async def test_socks_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without socksio, the error names the package to install and the setting."""
    monkeypatch.setattr("losant_tokens._transports.httpx_pool.find_spec", lambda name: None)
    extra = r"needs the package socksio. Install it: pip install 'losant-tokens\[socks\]'"
    with pytest.raises(
        errors.ValidationError, match=f"proxy names the SOCKS proxy .*, which {extra}"
    ):
        httpx_transport(proxy="socks5://127.0.0.1:1080")
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    async with AsyncClient("t") as client:
        with pytest.raises(errors.ConfigurationError, match=f"HTTPS_PROXY names.*{extra}"):
            await client.user_api_token.get(ID)


async def test_socks_over_aiohttp(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiohttp's pool refuses a SOCKS proxy, and names the alternative."""
    words = (
        "names the SOCKS proxy .*, which aiohttp_transport does not support: use httpx_transport"
    )
    with pytest.raises(errors.ValidationError, match=f"proxy {words}"):
        aiohttp_transport(proxy="socks5h://127.0.0.1:1080")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    async with AsyncClient("t", transport=aiohttp_transport()) as client:
        with pytest.raises(errors.ConfigurationError, match=f"ALL_PROXY {words}"):
            await client.user_api_token.get(ID)
