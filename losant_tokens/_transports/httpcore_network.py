"""The network under httpcore: what was sent over a connection, and what is left unread on it.

Unread data. A server may send more than the response to a request: a second response, a stray
line end, junk. RFC 9112 (6.3) forbids to take such data for the response to the next request, but
httpcore keeps the connection, and h11 reads what is left in its buffer first. Every later
response would answer the request before. So a connection is used again only if nothing is unread
anywhere on the way: in h11's buffer, in that of TLS, in the event loop's, or in the kernel. These
buffers are private. If one is not where it is looked for, the connection counts as unfit, so that
another version of a library costs connections, and never mixes up responses. A connection that
waits for its next request does not read, so data that arrives then stays in the kernel, and
a connection whose socket is readable is dropped. What comes later still, while the next request
is sent, only its time can tell from the response to that one (`response_times`). So a pool whose
server has once sent too much gives each request a connection of its own. To do that always would
cost a TLS handshake each time.
"""

import math
import ssl
import time
from typing import TYPE_CHECKING, Any

import httpcore

from losant_tokens._transports.configuration_problems import invalid_host
from losant_tokens._transports.response_times import ResponseTimes
from losant_tokens._transports.socket_readiness import readiness

if TYPE_CHECKING:
    from collections.abc import Callable

_READ_SIZE = 64 * 1024
_LOOK = 0.05
"""How long to wait for surplus data that is known to be on its way, in seconds."""


def _nothing() -> None:
    """Do nothing."""


class Network(httpcore.AsyncNetworkBackend):
    """The network of a pool with one connection; it remembers that connection.

    Attributes:
        requests: How many requests were sent over the connection.
        is_sending: Whether the current request has been sent in part, so it may have arrived.
        is_waiting: Whether it was sent, and nothing of its response has come.
        is_readable: Says whether the kernel has data, or the end of the connection.
        on_sending: Called when the first part of a request is sent, past any proxy.
    """

    def __init__(self, backend: httpcore.AsyncNetworkBackend, times: ResponseTimes) -> None:
        self._backend = backend
        self._times = times
        self._sent_at = self._waited = math.inf
        self._transport: _Stream | None = None
        self._stream: _Stream | None = None
        self.requests = 0
        self.is_sending = False
        self.is_waiting = False
        self._was_used = False
        self.on_sending = _nothing
        self.is_readable: Callable[[], bool] = bool

    @property
    def sent_nothing(self) -> bool:
        """Whether nothing of the current request was sent; False if the network was bypassed.

        A mock in the place of httpx's transport, such as respx, bypasses it.
        """
        return self._was_used and not self.is_sending

    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        self.requests = 0
        self._was_used = True
        try:
            stream = await self._backend.connect_tcp(*args, **options)
        except UnicodeError:
            raise invalid_host() from None
        self._transport = self._stream = _Stream(stream, self)
        self.is_readable = readiness(stream.get_extra_info("socket"))
        return self._stream

    def begin(self) -> None:
        """Note that another request begins, of which nothing has been sent."""
        self.is_sending = False

    def note_written(self, content: bytes) -> None:
        """Note that a part of a request was sent, unless it only asks a proxy to connect."""
        if not self.is_sending and content[:1].isalpha() and not content.startswith(b"CONNECT "):
            self.is_sending = self.is_waiting = True
            if self.requests:
                self._times.proven(self._waited)
            self.requests += 1
            self._sent_at = time.monotonic()
            self.on_sending()

    def note_stream(self, stream: "_Stream") -> None:
        """Note that the connection speaks TLS from now on."""
        self._stream = stream

    def has_buffered(self) -> bool:
        """Return whether received data waits between the kernel and httpcore.

        Raises:
            AttributeError: A private attribute is not where it is looked for.
        """
        return self._stream is not None and _has_buffered(self._stream.inner)

    async def read_surplus(self) -> bytes:
        """Return what the server has sent after a response. The connection is of no use then."""
        if self._stream is None:
            return b""
        try:
            return await self._stream.read(_READ_SIZE, timeout=_LOOK)
        except (httpcore.NetworkError, httpcore.TimeoutException):
            return b""

    async def hold_back(self, stream: httpcore.AsyncNetworkStream, content: bytes) -> bytes:
        """Return the start of a response; if it came too soon, with what follows for a time."""
        now = time.monotonic()
        self._waited = now - self._sent_at
        held = self._times.hold(self._waited) if self.requests > 1 else 0.0
        if not held:
            return content
        until, parts = now + held, [content]
        while parts[-1] and (left := until - time.monotonic()) > 0:
            try:
                parts.append(await stream.read(_READ_SIZE, timeout=left))
            except (httpcore.NetworkError, httpcore.TimeoutException):
                break
        return b"".join(parts)

    async def forget(self) -> None:
        """Close the connection, if it is not closed already."""
        stream, self._transport, self._stream = self._transport, None, None
        if stream is not None:
            await stream.aclose()


class _Stream(httpcore.AsyncNetworkStream):
    """A connection, or its TLS, that notes what is written."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, network: Network) -> None:
        self.inner = inner
        self._network = network
        # Bound here, so that they take no step more.
        self.aclose = inner.aclose  # type: ignore[method-assign]

    def get_extra_info(self, info: str) -> Any:
        # httpcore asks this about a connection twice for each request.
        if info == "is_readable":
            return self._network.is_readable()
        return self.inner.get_extra_info(info)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        content = await self.inner.read(max_bytes, timeout)
        if self._network.is_waiting:
            # A line end that some servers send after a body may come late. It is no response.
            while content and not (content := content.lstrip(b"\r\n")):
                content = await self.inner.read(max_bytes, timeout)
            self._network.is_waiting = False
            return await self._network.hold_back(self.inner, content)
        return content

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._network.note_written(buffer)
        await self.inner.write(buffer, timeout)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore's own
    ) -> httpcore.AsyncNetworkStream:
        stream = _Stream(
            await self.inner.start_tls(ssl_context, server_hostname, timeout), self._network
        )
        self._network.note_stream(stream)
        return stream


def surplus_of(connection: Any) -> bytes | None:
    """Return what h11 has received after a response; None if the connection has ended.

    Raises:
        AttributeError: A private attribute is not where it is looked for.
    """
    while (inner := getattr(connection, "_connection", None)) is not None:
        connection = inner
    surplus, has_ended = connection._h11_state.trailing_data  # noqa: SLF001
    return None if has_ended else surplus


def _has_buffered(stream: Any) -> bool:
    """Return whether a stream of httpcore has data in a buffer of TLS or of the event loop."""
    layer = stream._stream  # noqa: SLF001
    while (below := getattr(layer, "transport_stream", None)) is not None:
        # anyio's TLS, or trio's.
        encrypted = layer._read_bio if hasattr(layer, "_read_bio") else layer._incoming  # noqa: SLF001
        if encrypted.pending or layer._ssl_object.pending():  # noqa: SLF001
            return True
        layer = below
    if hasattr(layer, "_protocol"):
        return bool(layer._protocol.read_queue)  # noqa: SLF001 -- of asyncio
    # trio's socket has no buffer of its own. Of any other stream nothing is known.
    return layer.socket is None
