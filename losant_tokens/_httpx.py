"""httpx's pool, made safe to cancel.

As it comes, it loses a connection for good when a request is cancelled at the wrong moment
(before it has connected, or while its answer is being closed), and spends more on each request
the more are in flight. Both come from one pool of many connections being shared. So here each
connection is a pool of its own, of size one: a *slot*. A request has a slot to itself; a slot
whose request did not come to a clean end is thrown away whole, whatever state it was in.
"""

import ssl
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpcore
import httpx

from losant_tokens._pool import DEFAULT_MAX_CONNECTIONS, KEEPALIVE, Pool


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
        self._idle: deque[tuple[_Slot, float]] = deque()
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

    async def give_back(self, slot: "_Slot") -> None:
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

    async def _new_slot(self, url: httpx.URL) -> "_Slot":
        verify = await self._tls_context(url)
        return _Slot(verify, self._proxy)


class _Slot(httpx.AsyncHTTPTransport):
    """httpx's transport with room for one connection, which `aclose` closes in any state.

    httpcore forgets a connection that is cancelled while it shakes hands for TLS: nothing closes
    it, and the event loop keeps it for as long as the server does. So each is remembered here.
    """

    def __init__(self, verify: ssl.SSLContext, proxy: str | None) -> None:
        one = httpx.Limits(
            max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE
        )
        super().__init__(verify=verify, limits=one, proxy=proxy, trust_env=False)
        self._network = _RememberingBackend(self._pool._network_backend)  # noqa: SLF001
        self._pool._network_backend = self._network  # noqa: SLF001 -- httpx takes none to pass on

    async def aclose(self) -> None:
        await super().aclose()
        await self._network.forget()


class _RememberingBackend(httpcore.AsyncNetworkBackend):
    """A network backend that remembers the latest connection it made."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self._backend = backend
        self._latest: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        self._latest = await self._backend.connect_tcp(*args, **options)
        return self._latest

    async def forget(self) -> None:
        """Closes the connection, if it is not closed already."""
        stream, self._latest = self._latest, None
        if stream is not None:
            await stream.aclose()


class _SlotStream(httpx.AsyncByteStream):
    """The body of an answer; where it is read to its end, the slot can be used again."""

    def __init__(
        self,
        stream: httpx.AsyncByteStream | httpx.SyncByteStream,
        slot: _Slot,
        pool: HttpxPool,
    ) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 -- it is an async transport
        self._stream = stream
        self._slot: _Slot | None = slot
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


async def discard(slot: "_Slot") -> None:
    """Closes a slot and what it holds, also while its request is being cancelled."""
    with anyio.CancelScope(shield=True):
        await slot.aclose()
