"""aiohttp's pool as a transport for httpx.

aiohttp sends a request in a fraction of the CPU time of httpx's own pool, and does not lose
connections if a request is cancelled. Two things are changed:

- aiohttp sends a `DELETE` again if a reused connection breaks, and does not report that. Here, only
  the retry table decides about retries.
- aiohttp's errors are translated to those errors of httpx that say whether the request may have
  arrived.
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

from losant_tokens._transports.aiohttp_unread_data import Protocol
from losant_tokens._transports.base_pool import (
    KEEPALIVE,
    Pool,
    deduct_from_connect_timeout,
    is_unverifiable,
)
from losant_tokens._transports.failures import (
    INCOMPLETE_BODY,
    MIXED_UP,
    NO_RESPONSE,
    cause_without_frames,
)
from losant_tokens._transports.permanent_failures import (
    certificate_failure,
    invalid_host,
    proxy_failure,
)
from losant_tokens._transports.proxies import Proxy, name_proxy
from losant_tokens._transports.send_permission import WITHDRAWN, is_withdrawn
from losant_tokens._transports.tls import Verify
from losant_tokens._utils.event_loop import is_asyncio
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ClientStateError

_NOT_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientProxyConnectionError,
)
_NOT_SENT = (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)


class _BrokenWhileConnecting(aiohttp.ClientError):
    """A connection broke before it was ready, so the request was not sent."""


class _Connector(aiohttp.TCPConnector):
    """aiohttp's connector, which raises a distinct error for each failure to connect.

    aiohttp raises the same errors for a proxy that fails during CONNECT and for a server that fails
    during a request, which may have arrived. An event loop may raise any exception.
    """

    def __init__(self, pool: Pool, **options: Any) -> None:
        super().__init__(**options)
        make: Any = functools.partial(Protocol, asyncio.get_running_loop(), pool)
        # The protocol must be our own, because it detects unread data. There is no public way to
        # set it.
        self._factory = make

    async def _create_connection(self, *args: Any) -> Any:
        try:
            return await super()._create_connection(*args)
        except (*_NOT_CONNECTED, *_NOT_SENT, aiohttp.ClientHttpProxyError, TimeoutError):
            raise
        except Exception as error:
            raise _BrokenWhileConnecting from error


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

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return the response before its body is read."""
        proxy = self._proxy_for(request.url)
        session = self._session
        if session is None:
            began = time.monotonic()
            session = self._open(await self._tls_context(request.url, proxy))
            deduct_from_connect_timeout(request, began)
        content = await request.aread()
        if session.closed:
            raise httpx.ConnectError("the pool is closed")
        if is_withdrawn():
            raise httpx.ConnectError(WITHDRAWN)
        try:
            response = await session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=_headers(request, proxy),
                data=content or None,
                allow_redirects=False,
                timeout=_timeout(request),
                proxy=None if proxy is None else proxy.url,
                proxy_headers=None if proxy is None else _authorization(proxy),
                server_hostname=request.extensions.get("sni_hostname"),
            )
        except Exception as error:  # noqa: BLE001 -- an event loop may raise anything
            problem = name_proxy(proxy, _translated(error))
        else:
            return _response(response, request)
        raise problem

    @staticmethod
    def unsupported(proxy: Proxy) -> str | None:
        """Return why this pool cannot use a proxy: aiohttp speaks no SOCKS."""
        if proxy.is_socks:
            return (
                f"{proxy.source} names the SOCKS proxy {proxy.url}, which aiohttp_transport does "
                "not support: use httpx_transport, with pip install 'losant-tokens[socks]'"
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
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self, verify: ssl.SSLContext) -> aiohttp.ClientSession:
        _check_event_loop()
        if self._session is not None:
            # Another request has opened it while the TLS context was loaded.
            return self._session
        connector = _Connector(
            self, limit=self.max_connections, keepalive_timeout=KEEPALIVE, ssl=verify
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # The client decompresses the body itself, within a limit.
        )
        # A DELETE must not be sent again without the client's knowledge. There is no public way to
        # set this.
        session._retry_connection = False  # noqa: SLF001
        self._session = session
        return session


def _headers(request: httpx.Request, proxy: Proxy | None) -> CIMultiDict[str]:
    """Return the headers of a request in aiohttp's form.

    A request with plain http is not tunnelled, so it carries the user name for the proxy.
    """
    headers = CIMultiDict(
        [(name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers.raw]
    )
    if proxy is not None and request.url.scheme == "http":
        headers.extend(_authorization(proxy))
    return headers


def _timeout(request: httpx.Request) -> aiohttp.ClientTimeout:
    """Return the timeouts of a request in aiohttp's form."""
    timeouts = request.extensions.get("timeout", {})
    return aiohttp.ClientTimeout(
        total=None,
        sock_connect=timeouts.get("connect"),
        sock_read=timeouts.get("read"),
        connect=timeouts.get("pool"),
        # By default, aiohttp rounds a timeout up to the next second.
        ceil_threshold=math.inf,
    )


def _check_event_loop() -> None:
    """Refuse trio's event loop.

    Raises:
        ClientStateError: The event loop is trio's.
    """
    if not is_asyncio():
        raise ClientStateError(
            "aiohttp_transport needs asyncio, but the event loop is trio's. Use httpx_transport."
        )


def _authorization(proxy: Proxy) -> dict[str, str]:
    """Return the header with the user name and password for a proxy, if it needs them."""
    value = proxy.authorization()
    return {} if value is None else {"Proxy-Authorization": value}


def _response(response: aiohttp.ClientResponse, request: httpx.Request) -> httpx.Response:
    """Return a response of aiohttp as one of httpx, before its body is read."""
    return httpx.Response(
        response.status,
        headers=list(response.raw_headers),
        stream=_Stream(response, request),
        request=request,
    )


class _Stream(httpx.AsyncByteStream):
    """The body of a response. If it is closed early, its connection is closed as well.

    It is its own iterator, so that no asynchronous generator is left unfinished.
    """

    def __init__(self, response: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._response = response
        self._protocol: Protocol | None = None
        if is_unverifiable(request.method, response.status):
            # The protocol detects mixed-up responses. The public attribute is empty at the end.
            protocol = response._protocol  # noqa: SLF001
            assert isinstance(protocol, Protocol)  # noqa: S101 -- `_Connector` makes it
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

    The messages of aiohttp quote the server, so none of them is passed on. The error of the
    operating system becomes the cause, without its traceback.
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
    ((*_NOT_CONNECTED, _BrokenWhileConnecting), lambda: httpx.ConnectError("could not connect")),
    (_NOT_SENT, lambda: httpx.UnsupportedProtocol("the URL cannot be used")),
    (TimeoutError, lambda: httpx.ReadTimeout("no response in time")),
    (aiohttp.ServerDisconnectedError, lambda: httpx.RemoteProtocolError(NO_RESPONSE)),
    (aiohttp.ClientPayloadError, lambda: httpx.RemoteProtocolError(INCOMPLETE_BODY)),
    (aiohttp.ClientResponseError, lambda: httpx.RemoteProtocolError("not valid HTTP")),
    (Exception, lambda: httpx.ReadError("the connection broke")),
)
"""The meaning of each error of aiohttp. The first class that matches is used."""
