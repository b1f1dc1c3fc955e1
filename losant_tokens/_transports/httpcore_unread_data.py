"""The network layer below httpcore: tracks what was sent, and detects unread data.

The problem: a server may send more than the response to a request, for example a second response, a
line end, or junk. RFC 9112, 6.3 forbids using such data as the response to the next
request. httpcore reuses the connection, and h11 reads its buffer first, so that each later response
would belong to the request before.

The approach: a connection is reused only if no data is left in any buffer between the server and
httpcore: in h11, in TLS, in the event loop, and in the kernel. An idle connection does not read, so
data that arrives then stays in the kernel, and a connection with a readable socket is closed. Most
of these buffers are private attributes. If an attribute is missing, the connection counts as
unusable. So another version of a library costs connections, but never mixes up responses. Data that
arrives even later, while the next request is sent, differs from the response only by its time (see
`mixed_up_responses`). So once a server has sent surplus data, its pool uses each connection for one
request only.

Source: RFC 9112, 6.3, and measured with a server that sends surplus data at each possible time
(`tests/integration/test_unread_data.py`).

Rejected: a new connection for each request from the start, because each costs a TLS handshake.
"""

import math
import ssl
import time
from typing import TYPE_CHECKING, Any

import httpcore

from losant_tokens._transports.mixed_up_responses import ResponseTimes
from losant_tokens._transports.permanent_failures import invalid_host
from losant_tokens._transports.send_permission import (
    WITHDRAWN,
    AskAtEachStep,
    is_asked,
    is_withdrawn,
    limit_time_in_kernel,
)
from losant_tokens._transports.socket_readiness import readiness

if TYPE_CHECKING:
    from collections.abc import Callable

_READ_SIZE = 64 * 1024  # bytes
_SURPLUS_TIMEOUT = 0.05  # seconds to wait for surplus data if the socket is readable


def _nothing() -> None:
    """Do nothing."""


class Network(httpcore.AsyncNetworkBackend):
    """The network of a pool with a single connection.

    Args:
        backend: The network of httpcore.
        times: The response times of the server.

    Attributes:
        requests: The number of requests that were sent over the connection.
        is_sending: Whether a part of the current request was sent, so that it may have arrived.
        is_waiting: Whether the current request was sent and nothing of its response has arrived.
        is_readable: Returns whether the socket has data or has ended.
        on_sending: Called when the first part of a request is sent to the server.
    """

    def __init__(self, backend: httpcore.AsyncNetworkBackend, times: ResponseTimes) -> None:
        self._backend = backend
        self._times = times
        self._sent_at = self._waited = math.inf
        self._transport: _Stream | None = None
        self._stream: _Stream | None = None
        self.requests: int = 0
        self.is_sending: bool = False
        self.is_waiting: bool = False
        self._was_used = False
        self.on_sending = _nothing
        self.is_readable: Callable[[], bool] = bool

    @property
    def sent_nothing(self) -> bool:
        """Whether nothing of the current request was sent.

        It is false if this network was not used at all. respx replaces httpx's transport, so the
        network is not used then.
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
        """Record that a new request begins, and that nothing of it was sent yet."""
        self.is_sending = False

    def record_written(self, content: bytes) -> None:
        """Record that a part of a request was sent, except a CONNECT request to a proxy."""
        if not self.is_sending and content[:1].isalpha() and not content.startswith(b"CONNECT "):
            self.is_sending = self.is_waiting = True
            if self.requests:
                self._times.add(self._waited)
            self.requests += 1
            self._sent_at = time.monotonic()
            self.on_sending()

    def use_stream(self, stream: "_Stream") -> None:
        """Record that the connection uses TLS from now on."""
        self._stream = stream

    def has_buffered(self) -> bool:
        """Return whether there is data in a buffer between the kernel and httpcore.

        Raises:
            AttributeError: A private attribute is missing.
        """
        return self._stream is not None and _has_buffered(self._stream.inner)

    async def read_surplus(self) -> bytes:
        """Return data that arrived after a response; the connection cannot be used again."""
        if self._stream is None:
            return b""
        try:
            return await self._stream.read(_READ_SIZE, timeout=_SURPLUS_TIMEOUT)
        except (httpcore.NetworkError, httpcore.TimeoutException):
            return b""

    async def hold_back(self, stream: httpcore.AsyncNetworkStream, content: bytes) -> bytes:
        """Return the start of a response, together with later data if it has arrived too soon.

        Args:
            stream: The connection.
            content: The data that has arrived.
        """
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

    async def close(self) -> None:
        """Close the connection if it is still open."""
        stream, self._transport, self._stream = self._transport, None, None
        if stream is not None:
            await stream.aclose()


def _refusal() -> Exception:
    # httpcore would ignore a `WriteError`, and wait for a response.
    return httpcore.NetworkError(WITHDRAWN)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection, or the TLS on top of it, that tracks what is written and read."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, network: Network) -> None:
        self.inner = inner
        self._network = network

    async def aclose(self) -> None:
        await self.inner.aclose()

    def get_extra_info(self, info: str) -> Any:
        # httpcore checks this twice for each request. See `socket_readiness` for the gain.
        if info == "is_readable":
            return self._network.is_readable()
        return self.inner.get_extra_info(info)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        content = await self.inner.read(max_bytes, timeout)
        if self._network.is_waiting:
            # Some servers send a line end after a body, and it may arrive late. It is skipped.
            while content and not (content := content.lstrip(b"\r\n")):
                content = await self.inner.read(max_bytes, timeout)
            self._network.is_waiting = False
            return await self._network.hold_back(self.inner, content)
        return content

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if not is_asked():
            self._network.record_written(buffer)
            await self.inner.write(buffer, timeout)
            return
        limit_time_in_kernel(self.inner.get_extra_info("socket"))
        if is_withdrawn():
            raise _refusal()
        self._network.record_written(buffer)
        await AskAtEachStep(self.inner.write(buffer, timeout), _refusal)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 -- the signature of httpcore
    ) -> httpcore.AsyncNetworkStream:
        stream = _Stream(
            await self.inner.start_tls(ssl_context, server_hostname, timeout), self._network
        )
        self._network.use_stream(stream)
        return stream


def surplus_of(connection: Any) -> bytes | None:
    """Return the data that h11 has received after a response; `None` if the connection has ended.

    Raises:
        AttributeError: A private attribute is missing.
    """
    while (inner := getattr(connection, "_connection", None)) is not None:
        connection = inner
    # The state of h11 has no public name in httpcore, and unread data must be detected.
    surplus, has_ended = connection._h11_state.trailing_data  # noqa: SLF001
    return None if has_ended else surplus


def _has_buffered(stream: Any) -> bool:
    """Return whether a stream of httpcore has data in a buffer of TLS or of the event loop.

    Raises:
        AttributeError: A private attribute is missing.
    """
    # None of these buffers has a public name, and unread data must be detected.
    layer = stream._stream  # noqa: SLF001
    while (below := getattr(layer, "transport_stream", None)) is not None:
        # The first attribute is that of anyio's TLS, and the second one is that of trio's TLS.
        encrypted = layer._read_bio if hasattr(layer, "_read_bio") else layer._incoming  # noqa: SLF001
        if encrypted.pending or layer._ssl_object.pending():  # noqa: SLF001
            return True
        layer = below
    if hasattr(layer, "_protocol"):
        # This is a connection of anyio on asyncio.
        return bool(layer._protocol.read_queue)  # noqa: SLF001
    # A connection of trio has no buffer. Any other stream has no socket, and so raises.
    return layer.socket is None
