"""httpx's connections, in a pool that is safe to cancel.

The problem: httpx's own pool loses a place permanently if a request is cancelled before it has
connected, or while its response is being closed. With enough cancellations, every later request
fails with `PoolTimeout`. Its CPU time per request also grows with the number of requests in flight,
because it searches all requests and connections at each step.

The approach: both follow from one pool that many requests share. So each connection here is an
httpx transport with a pool of size one. A request has such a transport to itself. If the request
does not end cleanly, the whole transport is discarded, in any state. Otherwise it goes back to a
stack of idle transports. The number of connections is limited by the client's limiter.

Source: encode/httpcore issues 1093, 830 and 961. Measured with 10 connections and 20 tasks of which
70% were cancelled: httpx's own pool lost all places in each of 5 runs. The tests cancel requests at
each await point (`tests/integration/test_cancellation.py`).

Rejected: only a limiter in front of httpx's pool, because it loses places even then; to repair the
state of httpx's pool after a cancellation, because that state is private and differs between
versions; to shield requests from cancellation, because a call must end at its deadline.
"""

import math
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from typing import Never

import anyio
import httpx

from losant_tokens._transports.base_pool import (
    DEFAULT_MAX_CONNECTIONS,
    KEEPALIVE,
    Pool,
    deduct_from_connect_timeout,
    is_unverifiable,
)
from losant_tokens._transports.failures import MIXED_UP, NO_RESPONSE, not_sent
from losant_tokens._transports.httpcore_unread_data import Network, surplus_of
from losant_tokens._transports.mixed_up_responses import ResponseTimes
from losant_tokens._transports.proxies import Proxy, name_proxy
from losant_tokens._transports.tls import Verify
from losant_tokens._utils.secret import Secret

_MAX_BUFFERED_PARTS = 1000
"""More parts of a body than httpcore can have in its buffers after a connection was closed."""


class HttpxPool(Pool):
    """A stack of idle connections, each of them an httpx transport of its own.

    It opens a connection for each request that finds no idle one. Only the client's limiter limits
    their number.
    """

    keeps_connections: bool

    def __init__(
        self,
        *,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        verify: Verify = None,
        proxy: str | Secret | None = None,
        trust_env: bool = True,
    ) -> None:
        proxy = Secret(proxy) if isinstance(proxy, str) else proxy
        super().__init__(
            max_connections=max_connections, verify=verify, proxy=proxy, trust_env=trust_env
        )
        # The connection that was used last is used next, so that the first one is the oldest. The
        # number is the time at which it became idle.
        self._idle: deque[tuple[_Connection, float]] = deque()
        self._closed = False

    @staticmethod
    def unsupported(proxy: Proxy) -> str | None:
        """Return why this pool cannot use a proxy: SOCKS needs another package."""
        if proxy.is_socks and find_spec("socksio") is None:
            return (
                f"{proxy.source} names the SOCKS proxy {proxy.url}, which needs the package "
                "socksio. Install it: pip install 'losant-tokens[socks]'"
            )
        return None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return the response before its body is read."""
        await self._close_stale()
        began = time.monotonic()
        connection = await self._connection_for(request.url)
        if not connection.network.requests:
            deduct_from_connect_timeout(request, began)
        connection.network.begin()
        try:
            response = await connection.handle_async_request(request)
        except BaseException as error:
            await discard(connection)
            if connection.network.requests > 1 and _is_not_http(error):
                # This may be late surplus data after an earlier response.
                self.keeps_connections = False
            if not connection.network.sent_nothing or not isinstance(error, Exception):
                raise
            problem = name_proxy(connection.proxy, not_sent(error))
        else:
            unverifiable = is_unverifiable(request.method, response.status_code)
            response.stream = _Body(response.stream, connection, self, is_unverifiable=unverifiable)
            return response
        raise problem

    async def release(self, connection: "_Connection") -> None:
        """Make a connection available to other requests."""
        if self._closed or not self.keeps_connections:
            await discard(connection)
        else:
            self._idle.append((connection, time.monotonic()))

    async def aclose(self) -> None:
        """Close the idle connections. Each other connection is closed after its request."""
        self._closed = True
        cancelled: BaseException | None = None
        while self._idle:
            try:
                await discard(self._idle.pop()[0])
            except BaseException as error:  # noqa: BLE001 -- raised when all connections are closed
                cancelled = error
        if cancelled is not None:
            raise cancelled

    async def _close_stale(self) -> None:
        """Close connections that have been idle for too long."""
        while self._idle and time.monotonic() - self._idle[0][1] > KEEPALIVE:
            await discard(self._idle.popleft()[0])

    async def _connection_for(self, url: httpx.URL) -> "_Connection":
        """Return an idle connection for a URL, or a new one.

        Raises:
            Misconfigured: The environment has an unusable proxy or authority.
        """
        proxy = self._proxy_for(url)
        while self._idle:
            connection = self._idle.pop()[0]
            try:
                # A connection through another proxy cannot serve this request.
                if connection.proxy == proxy and await self._is_quiet(connection):
                    return connection
            except BaseException:
                await discard(connection)
                raise
            await discard(connection)
        return _Connection(await self._tls_context(url, proxy), proxy, self.times)

    async def _is_quiet(self, connection: "_Connection") -> bool:
        """Return whether no data has arrived on an idle connection, nor its end."""
        if self.keeps_connections and not connection.is_readable():
            return True
        self.record_surplus(await connection.network.read_surplus())
        return False

    def record_surplus(self, surplus: bytes) -> None:
        """Stop reusing connections if a server has sent more than line ends after a response."""
        if surplus.strip():
            self.keeps_connections = False


def _is_not_http(error: BaseException) -> bool:
    """Return whether a server has sent data that is not HTTP."""
    return isinstance(error, httpx.RemoteProtocolError) and str(error) != NO_RESPONSE


class _Connection(httpx.AsyncHTTPTransport):
    """An httpx transport with a single connection, which `aclose` closes in any state.

    httpcore loses track of a connection that is cancelled during the TLS handshake, so nothing
    closes its socket. `Network` keeps track of it.

    Args:
        verify: The TLS context.
        proxy: The proxy, if there is one.
        times: The response times of the server.
    """

    def __init__(self, verify: ssl.SSLContext, proxy: Proxy | None, times: ResponseTimes) -> None:
        self.proxy = proxy
        one = httpx.Limits(
            max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE
        )
        super().__init__(
            verify=verify, limits=one, proxy=_httpx_proxy(proxy, verify), trust_env=False
        )
        # Whether a request was sent, and whether data is unread, can be seen only here. httpx has
        # no public way to set the network of its pool.
        self.network: Network = Network(self._pool._network_backend, times)  # noqa: SLF001
        self._pool._network_backend = self.network  # noqa: SLF001

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raise `ConnectTimeout` if a proxy does not connect in time.

        httpcore has a timeout for each step of a connection, but none for a silent proxy.
        """
        if self.proxy is None or self.network.requests:
            return await super().handle_async_request(request)
        limit = request.extensions.get("timeout", {}).get("connect")
        with anyio.move_on_after(limit) as scope:
            self.network.on_sending = partial(setattr, scope, "deadline", math.inf)
            return await super().handle_async_request(request)
        raise httpx.ConnectTimeout("the proxy did not connect in time")

    def is_readable(self) -> bool:
        """Return whether there is a connection whose socket has data or has ended."""
        return bool(self._pool.connections) and self.network.is_readable()

    def unread(self) -> bytes:
        """Return the data that was received after a response; empty if the connection is usable.

        A single space means that the connection is not usable for another reason.
        """
        try:
            connection = next(iter(self._pool.connections), None)
            if connection is None:
                return b""
            surplus = surplus_of(connection)
            if surplus is None or self.network.has_buffered():
                return surplus or b" "
        except AttributeError:  # Another version of httpcore has other attributes.
            return b" "
        return surplus

    async def mixes_up_responses(self) -> bytes:
        """Return surplus data if the latest response may belong to an earlier request.

        A late second response to an earlier request may have been delivered as the response to
        this request. The response to this request then arrives as surplus data.
        """
        if self.network.requests < 2:  # noqa: PLR2004 -- there is no earlier request
            return b""
        surplus = self.unread().strip()
        if not surplus and self.is_readable():
            surplus = (await self.network.read_surplus()).strip()
        return surplus

    async def aclose(self) -> None:
        try:
            await super().aclose()
        finally:
            await self.network.close()

    def __reduce__(self) -> Never:
        raise TypeError("A connection cannot be pickled: it may hold the password of a proxy.")


def _httpx_proxy(proxy: Proxy | None, verify: ssl.SSLContext) -> httpx.Proxy | None:
    """Return a proxy in httpx's form."""
    if proxy is None:
        return None
    return httpx.Proxy(
        proxy.url,
        ssl_context=verify if proxy.scheme == "https" else None,
        auth=(proxy.username.reveal(), proxy.password.reveal()) if proxy.username else None,
    )


class _Body(httpx.AsyncByteStream):
    """The body of a response. If it is read to its end, the connection can be reused.

    It is its own iterator. The generators of httpcore below it are always run to their end, because
    trio warns about a generator that is not finished.
    """

    def __init__(
        self,
        stream: httpx.AsyncByteStream | httpx.SyncByteStream,
        connection: _Connection,
        pool: HttpxPool,
        *,
        is_unverifiable: bool,
    ) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 -- it is an async transport
        self._stream = stream
        self._next: Callable[[], Awaitable[bytes]] | None = None
        self._connection: _Connection | None = connection
        self._pool = pool
        self._is_unverifiable = is_unverifiable
        self._has_ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._next is None:
            self._next = self._stream.__aiter__().__anext__
        return self

    async def __anext__(self) -> bytes:
        assert self._next is not None  # noqa: S101 -- `__aiter__` is called first
        try:
            return await self._next()
        except StopAsyncIteration:
            pass
        if self._is_unverifiable and self._connection:
            surplus = await self._connection.mixes_up_responses()
            if surplus:
                self._pool.record_surplus(surplus)
                raise httpx.RemoteProtocolError(MIXED_UP)
        self._has_ended = True
        raise StopAsyncIteration

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if not self._has_ended:
            await discard(connection)
            if self._next is not None:
                with anyio.CancelScope(shield=True), suppress(Exception):
                    for _ in range(_MAX_BUFFERED_PARTS):
                        await self._next()
            return
        try:
            await self._stream.aclose()
        except BaseException:
            await discard(connection)
            raise
        if unread := connection.unread():
            self._pool.record_surplus(unread)
            await discard(connection)
        else:
            await self._pool.release(connection)


async def discard(connection: "_Connection") -> None:
    """Close a connection, even while its request is being cancelled, and ignore errors."""
    with anyio.CancelScope(shield=True), suppress(Exception):
        await connection.aclose()
