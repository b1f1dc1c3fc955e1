"""The pools: httpx's own, made safe to cancel, and aiohttp's, by name.

httpx's pool loses a connection for good when a request is cancelled at the wrong moment (before
it has connected, or while its answer is being closed), and spends more on each request the more
are in flight. Both come from one pool of many connections being shared. So here each connection
is a pool of its own, of size one: a *slot*. A request has a slot to itself; a slot whose request
did not come to a clean end is thrown away whole, whatever state it was in.
"""

import ssl
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx

from losant_tokens import _limits as limits

if TYPE_CHECKING:
    from losant_tokens._aiohttp import AiohttpPool

DEFAULT_MAX_CONNECTIONS = 20
KEEPALIVE = 30.0
"""How long a connection that nobody uses is kept, in seconds."""


def httpx_transport(
    *,
    max_connections: int = DEFAULT_MAX_CONNECTIONS,
    verify: ssl.SSLContext | None = None,
    proxy: str | None = None,
) -> "HttpxPool":
    """The default pool, for when it needs other settings: httpx's, made safe to cancel.

    Args:
        max_connections: How many connections an `AsyncClient` opens over it at the most.
        verify: How to verify the server, such as a context that knows your own authority.
            Default: the authorities that certifi lists, or those in `SSL_CERT_FILE`.
        proxy: The URL of a proxy. Default: none; the proxies of the environment are used by an
            `AsyncClient` without a `transport`.

    Raises:
        ValidationError: `max_connections` is not a whole number above 0.
    """
    return HttpxPool(max_connections=max_connections, verify=verify, proxy=proxy)


def aiohttp_transport(
    *, max_connections: int = 100, verify: ssl.SSLContext | None = None
) -> "AiohttpPool":
    """The fast pool: aiohttp's, behind httpx. Needs asyncio, and the extra `[aiohttp]`.

    `respx` does not see what goes through it.

    Args:
        max_connections: How many connections an `AsyncClient` opens over it at the most.
        verify: As for `httpx_transport`.

    Raises:
        ImportError: The extra is not installed.
        ValidationError: `max_connections` is not a whole number above 0.
    """
    try:
        from losant_tokens._aiohttp import AiohttpPool  # noqa: PLC0415 -- an extra, and slow
    except ImportError as error:
        raise ImportError(
            f"aiohttp_transport needs {error.name}: pip install 'losant-tokens[aiohttp]'"
        ) from None
    return AiohttpPool(max_connections=max_connections, verify=verify)


def environment_proxy(url: httpx.URL) -> str | None:
    """The proxy that the environment names for a URL (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`).

    None for plain http, which goes to this machine alone: a proxy would see the token.
    """
    if url.scheme != "https" or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    return proxies.get("https") or proxies.get("all")


def check_max_connections(number: int) -> int:
    """The number itself, where it is one that a pool can have.

    Raises:
        ValidationError: It is not a whole number above 0.
    """
    limits.check(limits.whole(least=1), "AsyncClient", "max_connections", number)
    return number


class Pool(httpx.AsyncBaseTransport):
    """What our pools have in common: a size, and a verifying TLS context made when needed.

    Attributes:
        max_connections: How many connections the client that uses the pool shall open.
    """

    def __init__(self, *, max_connections: int, verify: ssl.SSLContext | None) -> None:
        self.max_connections = check_max_connections(max_connections)
        self._verify = verify
        self._making = anyio.Lock()

    async def _tls_context(self, url: httpx.URL) -> ssl.SSLContext:
        if self._verify is not None:
            return self._verify
        if url.scheme == "http":  # to this machine: TLS is not spoken, and nothing is trusted
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with self._making:
            if self._verify is None:  # reads some hundred certificates: not on the event loop
                self._verify = await anyio.to_thread.run_sync(httpx.create_ssl_context)
        return self._verify


class HttpxPool(Pool):
    """Slots, each a pool of httpx with one connection; those out of use wait in a stack.

    It opens as many as are asked for at once: the bound is the limiter in front of it.
    """

    def __init__(
        self,
        *,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        verify: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> None:
        super().__init__(max_connections=max_connections, verify=verify)
        self._proxy = proxy
        # The one used last is used next, so that those not needed grow old at the left.
        self._idle: deque[tuple[httpx.AsyncHTTPTransport, float]] = deque()
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request over a slot of its own, and hands back the head of the answer."""
        await self._close_the_stale()
        slot = self._idle.pop()[0] if self._idle else await self._new_slot(request.url)
        try:
            response = await slot.handle_async_request(request)
        except BaseException:
            await discard(slot)
            raise
        response.stream = _SlotStream(response.stream, slot, self)
        return response

    async def give_back(self, slot: httpx.AsyncHTTPTransport) -> None:
        """Takes a slot back whose connection can be used again."""
        if self._closed:
            await discard(slot)
        else:
            self._idle.append((slot, time.monotonic()))

    async def aclose(self) -> None:
        """Closes the connections that are out of use; the others close with their requests."""
        self._closed = True
        while self._idle:
            await discard(self._idle.pop()[0])

    async def _close_the_stale(self) -> None:
        while self._idle and time.monotonic() - self._idle[0][1] > KEEPALIVE:
            await discard(self._idle.popleft()[0])

    async def _new_slot(self, url: httpx.URL) -> httpx.AsyncHTTPTransport:
        verify = await self._tls_context(url)
        one = httpx.Limits(
            max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE
        )
        return httpx.AsyncHTTPTransport(
            verify=verify, limits=one, proxy=self._proxy, trust_env=False
        )


class _SlotStream(httpx.AsyncByteStream):
    """The body of an answer; where it is read to its end, the slot can be used again."""

    def __init__(
        self,
        stream: httpx.AsyncByteStream | httpx.SyncByteStream,
        slot: httpx.AsyncHTTPTransport,
        pool: HttpxPool,
    ) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 -- it is an async transport
        self._stream = stream
        self._slot: httpx.AsyncHTTPTransport | None = slot
        self._pool = pool
        self._read_to_its_end = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part
        self._read_to_its_end = True

    async def aclose(self) -> None:
        slot, self._slot = self._slot, None
        if slot is None:
            return
        try:
            await self._stream.aclose()
        except BaseException:
            await discard(slot)
            raise
        if self._read_to_its_end:
            await self._pool.give_back(slot)
        else:
            await discard(slot)


async def discard(slot: httpx.AsyncHTTPTransport) -> None:
    """Closes a slot and what it holds, also while its request is being cancelled."""
    with anyio.CancelScope(shield=True):
        await slot.aclose()
