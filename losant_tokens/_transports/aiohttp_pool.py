"""aiohttp's pool as a transport of httpx.

aiohttp answers the same requests in a fraction of the time that httpx's own pool takes, and does
not lose connections to cancellation. In two points it is put right here:

- It sends a `DELETE` a second time by itself where a kept connection breaks, and nobody learns of
  it; here the retry table alone decides.
- Its errors become those of httpx that say whether the request may have arrived.
"""

import asyncio
import functools
import math
import ssl
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

from losant_tokens._eventloop import is_asyncio
from losant_tokens._secret import Secret
from losant_tokens._transports.aiohttp_connection import Protocol
from losant_tokens._transports.base import (
    KEEPALIVE,
    Pool,
    proves_little,
    shorten_connecting,
)
from losant_tokens._transports.configuration_problems import (
    certificate_failure,
    invalid_host,
    proxy_failure,
)
from losant_tokens._transports.failures import (
    INCOMPLETE_BODY,
    MIXED_UP,
    NO_RESPONSE,
    cause_without_frames,
)
from losant_tokens._transports.proxies import Proxy, naming
from losant_tokens._transports.tls import Verify
from losant_tokens.errors import ClientStateError

_NOT_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientProxyConnectionError,
)
_NOT_SENT = (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)


class _BrokenOff(aiohttp.ClientError):
    """A connection broke off before it was made, so the request was not sent."""


class _Connector(aiohttp.TCPConnector):
    """aiohttp's connector, which says of each failure to connect that it was one.

    aiohttp raises the same errors for a proxy that breaks off during CONNECT as for a server that
    breaks off during a request, which may have arrived. An event loop may raise anything.
    """

    def __init__(self, pool: Pool, **options: Any) -> None:
        super().__init__(**options)
        make: Any = functools.partial(Protocol, asyncio.get_running_loop(), pool)
        self._factory = make  # There is no public way to have another protocol.

    async def _create_connection(self, *args: Any) -> Any:
        try:
            return await super()._create_connection(*args)
        except (*_NOT_CONNECTED, *_NOT_SENT, aiohttp.ClientHttpProxyError, TimeoutError):
            raise
        except Exception as error:
            raise _BrokenOff from error


class AiohttpPool(Pool):
    """The pool of aiohttp, opened at the first request."""

    def __init__(
        self,
        *,
        max_connections: int,
        verify: Verify = None,
        proxy: str | Secret | None = None,
        trust_env: bool = True,
    ) -> None:
        proxy = Secret(proxy) if isinstance(proxy, str) else proxy
        super().__init__(
            max_connections=max_connections, verify=verify, proxy=proxy, trust_env=trust_env
        )
        self._session: aiohttp.ClientSession | None = None
        # What the latest request had, and the next one mostly has, too.
        self._timeouts: dict[str, float | None] = {}
        self._timeout = _NO_TIMEOUT
        self._raw_headers: list[tuple[bytes, bytes]] = []
        self._headers = CIMultiDict[str]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request, and hands back the head of the answer."""
        proxy = self._proxy_for(request.url)
        session = self._session
        if session is None:
            began = time.monotonic()
            session = self._open(await self._tls_context(request.url, proxy))
            shorten_connecting(request, began)
        content = getattr(request, "_content", None)
        if content is None:
            content = await request.aread()
        if session.closed:
            raise httpx.ConnectError("the pool is closed")
        try:
            response = await session.request(
                request.method,
                _url(request.url),
                headers=self._headers_of(request, proxy),
                data=content or None,
                allow_redirects=False,
                timeout=self._timeout_of(request),
                proxy=None if proxy is None else proxy.url,
                proxy_headers=None if proxy is None else _authorization(proxy),
                server_hostname=request.extensions.get("sni_hostname"),
            )
        except Exception as error:  # noqa: BLE001 -- an event loop may raise anything
            problem = naming(proxy, _translated(error))
        else:
            return _response(response, request)
        raise problem

    @staticmethod
    def unsupported(proxy: Proxy) -> str | None:
        """Return why this pool cannot use a proxy: aiohttp speaks no SOCKS."""
        if proxy.is_socks:
            return (
                f"{proxy.source} names a SOCKS proxy, which aiohttp_transport does not support: "
                "use httpx_transport, with pip install 'losant-tokens[socks]'"
            )
        return None

    async def __aenter__(self) -> Self:
        """Open the pool.

        Raises:
            ClientStateError: The event loop is trio's.
        """
        _check_event_loop()
        return self

    async def aclose(self) -> None:
        """Closes all connections."""
        session, self._session = self._session, None
        self._raw_headers, self._headers = [], CIMultiDict()
        if session is not None:
            await session.close()

    def _open(self, verify: ssl.SSLContext) -> aiohttp.ClientSession:
        _check_event_loop()
        if self._session is not None:  # opened by another request, while the context was made
            return self._session
        connector = _Connector(
            self, limit=self.max_connections, keepalive_timeout=KEEPALIVE, ssl=verify
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # the client decompresses within a limit
        )
        session._retry_connection = False  # noqa: SLF001 -- there is no public way to say so
        self._session = session
        return session

    def _headers_of(self, request: httpx.Request, proxy: Proxy | None) -> CIMultiDict[str]:
        """Return the headers of httpx as those of aiohttp, which does not change them.

        Plain http is not tunnelled, so the proxy reads its own header from each request.
        """
        raw = request.headers.raw
        if proxy is not None and request.url.scheme == "http":
            added = _authorization(proxy).items()
            raw = [*raw, *((name.encode(), value.encode()) for name, value in added)]
        if raw != self._raw_headers:
            self._raw_headers = raw
            self._headers = CIMultiDict(
                [(name.decode("ascii"), value.decode("latin-1")) for name, value in raw]
            )
        return self._headers

    def _timeout_of(self, request: httpx.Request) -> aiohttp.ClientTimeout:
        """The timeouts of httpx as one of aiohttp."""
        said = request.extensions.get("timeout", {})
        if said != self._timeouts:
            self._timeouts = dict(said)
            self._timeout = aiohttp.ClientTimeout(
                total=None,
                sock_connect=said.get("connect"),
                sock_read=said.get("read"),
                connect=said.get("pool"),
                # Without it, aiohttp rounds a timeout up to the next second.
                ceil_threshold=math.inf,
            )
        return self._timeout


def _check_event_loop() -> None:
    if not is_asyncio():
        raise ClientStateError(
            "aiohttp_transport needs asyncio, and the event loop is trio's: use httpx_transport."
        )


def _authorization(proxy: Proxy) -> dict[str, str]:
    value = proxy.authorization()
    return {} if value is None else {"Proxy-Authorization": value}


def _url(url: httpx.URL) -> URL:
    """The URL of httpx as one of aiohttp: of its parts, since to parse the whole takes longer."""
    path, _, query = url.raw_path.decode("ascii").partition("?")
    return URL.build(
        scheme=url.scheme,
        authority=url.netloc.decode("ascii"),
        path=path,
        query_string=query,
        encoded=True,
    )


def _response(response: aiohttp.ClientResponse, request: httpx.Request) -> httpx.Response:
    return httpx.Response(
        response.status,
        headers=list(response.raw_headers),
        stream=_Stream(response, request),
        request=request,
    )


class _Stream(httpx.AsyncByteStream):
    """The body of an answer; closed early, it takes its connection with it.

    Its own iterator: an asynchronous generator would have asyncio take it into a register.
    """

    def __init__(self, response: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._response = response
        self._protocol: Protocol | None = None
        if proves_little(request.method, response.status):
            protocol = response._protocol  # noqa: SLF001 -- the public way forgets it at the end
            assert isinstance(protocol, Protocol)  # noqa: S101 -- `_Connector` makes no others
            self._protocol = protocol

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            part = await self._response.content.readany()
        except Exception as error:  # noqa: BLE001 -- an event loop may raise anything
            problem = _translated(error)
        else:
            if part:
                return part
            protocol = self._protocol
            if (
                protocol is not None
                and protocol.may_mix_up_responses()
                and await protocol.mixes_up_responses()
            ):
                raise httpx.RemoteProtocolError(MIXED_UP)
            raise StopAsyncIteration
        raise problem

    async def aclose(self) -> None:
        self._response.release()
        await self._response.wait_for_close()


def _translated(error: Exception) -> httpx.TransportError:
    """Return the error of httpx that says whether the request may have arrived.

    The messages of aiohttp quote the server, so none is passed on. What the operating system says
    is, as the cause, without the frames below.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return certificate_failure(error.certificate_error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return proxy_failure(error.status)
    if isinstance(error.__cause__, UnicodeError):
        return invalid_host()
    problem = next(make for kind, make in _MEANINGS if isinstance(error, kind))()
    problem.__cause__ = cause_without_frames(error)
    return problem


_MEANINGS: tuple[
    tuple[type[Exception] | tuple[type[Exception], ...], Callable[[], httpx.TransportError]], ...
] = (
    ((*_NOT_CONNECTED, _BrokenOff), lambda: httpx.ConnectError("could not connect")),
    (_NOT_SENT, lambda: httpx.UnsupportedProtocol("the URL cannot be used")),
    (TimeoutError, lambda: httpx.ReadTimeout("no answer in time")),
    (aiohttp.ServerDisconnectedError, lambda: httpx.RemoteProtocolError(NO_RESPONSE)),
    (aiohttp.ClientPayloadError, lambda: httpx.RemoteProtocolError(INCOMPLETE_BODY)),
    (aiohttp.ClientResponseError, lambda: httpx.RemoteProtocolError("not valid HTTP")),
    (Exception, lambda: httpx.ReadError("the connection broke off")),
)
"""The first class that an error of aiohttp belongs to says what it means."""
