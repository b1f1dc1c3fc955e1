"""httpx's pool, made safe to cancel.

As it comes, it loses a connection for good when a request is cancelled at the wrong moment
(before it has connected, or while its answer is being closed), and spends more on each request
the more are in flight. Both come from one pool of many connections being shared. So here each
connection is a pool of its own, of size one: a *slot*. A request has a slot to itself; a slot
whose request did not come to a clean end is thrown away whole, whatever state it was in.
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

from losant_tokens._secret import Secret
from losant_tokens._transports.base import (
    DEFAULT_MAX_CONNECTIONS,
    KEEPALIVE,
    Pool,
    proves_little,
    shorten_connecting,
)
from losant_tokens._transports.failures import MIXED_UP, NO_RESPONSE, not_sent
from losant_tokens._transports.httpcore_network import Network, surplus_of
from losant_tokens._transports.proxies import Proxy, naming
from losant_tokens._transports.response_times import ResponseTimes
from losant_tokens._transports.tls import Verify

_BUFFERED_PARTS = 1000
"""More parts of a body than httpcore can have read from a connection that is closed."""


class HttpxPool(Pool):
    """Slots, each a pool of httpx with one connection; those out of use wait in a stack.

    It opens as many as are asked for at once: the bound is the limiter in front of it.
    """

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
        # The one used last is used next, so that those not needed grow old at the left.
        self._idle: deque[tuple[_Slot, float]] = deque()
        self._closed = False

    @staticmethod
    def unsupported(proxy: Proxy) -> str | None:
        """Return why this pool cannot use a proxy: a SOCKS proxy needs a package of its own."""
        if proxy.is_socks and find_spec("socksio") is None:
            return (
                f"{proxy.source} names a SOCKS proxy, which needs the package socksio: "
                "pip install 'losant-tokens[socks]'"
            )
        return None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request over a slot of its own, and hands back the head of the answer."""
        await self._close_the_stale()
        began = time.monotonic()
        slot = await self._slot_for(request.url)
        if not slot.network.requests:
            shorten_connecting(request, began)
        slot.network.begin()
        try:
            response = await slot.handle_async_request(request)
        except BaseException as error:
            await discard(slot)
            if slot.network.requests > 1 and _is_not_http(error):
                # Perhaps junk after an earlier response, which came late.
                self.keeps_connections = False
            if not slot.network.sent_nothing or not isinstance(error, Exception):
                raise
            problem = naming(slot.proxy, not_sent(error))
        else:
            little = proves_little(request.method, response.status_code)
            response.stream = _SlotStream(response.stream, slot, self, proves_little=little)
            return response
        raise problem

    async def give_back(self, slot: "_Slot") -> None:
        """Takes a slot back whose connection can be used again."""
        if self._closed or not self.keeps_connections:
            await discard(slot)
        else:
            self._idle.append((slot, time.monotonic()))

    async def aclose(self) -> None:
        """Closes the connections that are out of use; the others close with their requests."""
        self._closed = True
        cancelled: BaseException | None = None
        while self._idle:
            try:
                await discard(self._idle.pop()[0])
            except BaseException as error:  # noqa: BLE001 -- raised when all are closed
                cancelled = error
        if cancelled is not None:
            raise cancelled

    async def _close_the_stale(self) -> None:
        while self._idle and time.monotonic() - self._idle[0][1] > KEEPALIVE:
            await discard(self._idle.popleft()[0])

    async def _slot_for(self, url: httpx.URL) -> "_Slot":
        """Return a slot out of use, or a new one, that connects as the URL asks for."""
        proxy = self._proxy_for(url)
        while self._idle:
            slot = self._idle.pop()[0]
            try:
                # Another proxy leads to another host.
                if slot.proxy == proxy and await self._is_quiet(slot):
                    return slot
            except BaseException:
                await discard(slot)
                raise
            await discard(slot)
        return _Slot(await self._tls_context(url, proxy), proxy, self.times)

    async def _is_quiet(self, slot: "_Slot") -> bool:
        """Return whether nothing has come over an idle connection, not even its end."""
        if self.keeps_connections and not slot.is_readable():
            return True
        self.note_surplus(await slot.network.read_surplus())
        return False

    def note_surplus(self, surplus: bytes) -> None:
        """Keep no more connections if a server has sent more than line ends beyond a response."""
        if surplus.strip():
            self.keeps_connections = False


def _is_not_http(error: BaseException) -> bool:
    """Return whether a server sent something else than a response, or the end of one."""
    return isinstance(error, httpx.RemoteProtocolError) and str(error) != NO_RESPONSE


class _Slot(httpx.AsyncHTTPTransport):
    """httpx's transport with room for one connection, which `aclose` closes in any state.

    httpcore forgets a connection that is cancelled while it shakes hands for TLS: nothing closes
    it, and the event loop keeps it for as long as the server does. So each is remembered here.
    """

    def __init__(self, verify: ssl.SSLContext, proxy: Proxy | None, times: ResponseTimes) -> None:
        self.proxy = proxy
        one = httpx.Limits(
            max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE
        )
        super().__init__(verify=verify, limits=one, proxy=_spoken(proxy, verify), trust_env=False)
        self.network = Network(self._pool._network_backend, times)  # noqa: SLF001
        self._pool._network_backend = self.network  # noqa: SLF001 -- httpx takes none to pass on

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. A proxy that does not connect in time is a failure to connect.

        httpcore bounds each of the steps on the way to the server, but not that a proxy is silent.
        """
        if self.proxy is None or self.network.requests:
            return await super().handle_async_request(request)
        limit = request.extensions.get("timeout", {}).get("connect")
        with anyio.move_on_after(limit) as scope:
            self.network.on_sending = partial(setattr, scope, "deadline", math.inf)
            return await super().handle_async_request(request)
        raise httpx.ConnectTimeout("the proxy did not connect in time")

    def is_readable(self) -> bool:
        """Return whether there is a connection whose socket has data, or has ended."""
        return bool(self._pool.connections) and self.network.is_readable()

    def unread(self) -> bytes:
        """Return what was received after the response, as far as it is known; empty if nothing.

        A single byte, a blank, means that the connection is of no use for another reason.
        """
        try:
            for connection in self._pool.connections:
                surplus = surplus_of(connection)
                if surplus is None or self.network.has_buffered():
                    return surplus or b" "
                return surplus
        except AttributeError:
            return b" "
        return b""

    async def mixes_up_responses(self) -> bytes:
        """Return another response than the latest, which may belong to the latest request.

        A connection that was used before may have brought a late second response to an earlier
        request, which was taken for this one's. Then this one's own response is still to be read.
        """
        if self.network.requests < 2:  # noqa: PLR2004 -- the first cannot be mixed up
            return b""
        surplus = self.unread().strip()
        if not surplus and self.is_readable():
            surplus = (await self.network.read_surplus()).strip()
        return surplus

    async def aclose(self) -> None:
        try:
            await super().aclose()
        finally:
            await self.network.forget()

    def __reduce__(self) -> Never:
        raise TypeError("A connection cannot be pickled: it may hold the password of a proxy.")


def _spoken(proxy: Proxy | None, verify: ssl.SSLContext) -> httpx.Proxy | None:
    """Return a proxy as httpx takes it."""
    if proxy is None:
        return None
    return httpx.Proxy(
        proxy.url,
        ssl_context=verify if proxy.scheme == "https" else None,
        auth=(proxy.username.reveal(), proxy.password.reveal()) if proxy.username else None,
    )


class _SlotStream(httpx.AsyncByteStream):
    """The body of a response; if it is read to its end, the slot can be used again.

    It is its own iterator. The generators of httpcore below it are always driven to their end,
    because trio warns of one that is dropped halfway.
    """

    def __init__(
        self,
        stream: httpx.AsyncByteStream | httpx.SyncByteStream,
        slot: _Slot,
        pool: HttpxPool,
        *,
        proves_little: bool,
    ) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 -- it is an async transport
        self._stream = stream
        self._next: Callable[[], Awaitable[bytes]] | None = None
        self._slot: _Slot | None = slot
        self._pool = pool
        self._proves_little = proves_little
        self._has_ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._next is None:
            self._next = self._stream.__aiter__().__anext__
        return self

    async def __anext__(self) -> bytes:
        assert self._next is not None  # noqa: S101 -- `__aiter__` comes first
        try:
            return await self._next()
        except StopAsyncIteration:
            pass
        if self._proves_little and self._slot:
            surplus = await self._slot.mixes_up_responses()
            if surplus:
                self._pool.note_surplus(surplus)
                raise httpx.RemoteProtocolError(MIXED_UP)
        self._has_ended = True
        raise StopAsyncIteration

    async def aclose(self) -> None:
        slot, self._slot = self._slot, None
        if slot is None:
            return
        if not self._has_ended:
            await discard(slot)
            if self._next is not None:
                with anyio.CancelScope(shield=True), suppress(Exception):
                    for _ in range(_BUFFERED_PARTS):
                        await self._next()
            return
        try:
            await self._stream.aclose()
        except BaseException:
            await discard(slot)
            raise
        if unread := slot.unread():
            self._pool.note_surplus(unread)
            await discard(slot)
        else:
            await self._pool.give_back(slot)


async def discard(slot: "_Slot") -> None:
    """Close a slot and what it holds, also while its request is being cancelled.

    An error while closing is no news: the slot is not used again.
    """
    with anyio.CancelScope(shield=True), suppress(Exception):
        await slot.aclose()
