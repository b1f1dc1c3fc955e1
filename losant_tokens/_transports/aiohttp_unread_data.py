"""Connections of aiohttp that are never reused while they hold unread data.

The problem: aiohttp returns a connection to its pool as soon as a response is complete. It also
parses data that arrives later, while the connection is idle, and delivers the result as the
response to the next request. RFC 9112, 6.3 forbids that.

The approach: a connection knows whether a response is due. Data that arrives while none is due
marks the connection as unusable. So does a socket that is readable, because it has data that the
event loop has not read yet. If a response and surplus data arrive in one packet, aiohttp's parser
fails and loses the response. That packet is parsed a second time, byte by byte, up to the end of
the response.

Source: RFC 9112, 6.3, and measured with a server that sends surplus data at each possible time
(`tests/integration/test_unread_data.py`).

Rejected: closing each connection after its response, because that costs a TLS handshake for each
request.

A connection also asks for the permission to send directly before each write: see
`send_permission`. Between the call of aiohttp and its write, a connection may be opened, and a
request with a body is written by another task.
"""

import asyncio
import math
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from losant_tokens._transports.base_pool import Pool
from losant_tokens._transports.send_permission import (
    WITHDRAWN,
    is_asked,
    is_withdrawn,
    limit_time_in_kernel,
)
from losant_tokens._transports.socket_readiness import readiness

_SUCCESS = 200  # the first status of a final response
_READ_SIZE = 64 * 1024  # bytes
_MAX_PARSED_AGAIN = 64 * 1024  # bytes of one packet that are parsed a second time
_ITERATIONS = 3  # iterations of the event loop in which it reads the data that the kernel has


class _AskingTransport:
    """A transport that asks for the permission to send before it writes.

    Args:
        transport: The transport of the event loop, which writes to the kernel at once, also through
            TLS.
    """

    __slots__ = ("_transport",)

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: Any) -> None:
        """Write data to the connection.

        Raises:
            ConnectionAbortedError: The permission is gone.
        """
        self._ask()
        self._transport.write(data)

    def writelines(self, parts: Any) -> None:
        """Write several parts to the connection.

        Raises:
            ConnectionAbortedError: The permission is gone.
        """
        self._ask()
        self._transport.writelines(parts)

    def _ask(self) -> None:
        if is_asked():
            limit_time_in_kernel(self._transport.get_extra_info("socket"))
            if is_withdrawn():
                raise ConnectionAbortedError(WITHDRAWN)


class Protocol(ResponseHandler):
    """A connection of aiohttp that knows whether a response is due.

    Args:
        loop: The event loop.
        pool: The pool of the connection.

    Attributes:
        requests: The number of requests that were sent over it.
        has_surplus: Whether more data has arrived than the responses that were due.
    """

    requests = 0
    has_surplus = False
    # The body of the latest response, once its headers have arrived.
    _payload_due: Any = None
    _parameters: dict[str, Any] | None = None
    _packets = 0
    _failure: tuple[BaseException, BaseException] | None = None
    _sent_at = _waited = math.inf
    # The data of a response that has arrived too soon, while it is held back.
    _held: list[bytes] | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: Pool) -> None:
        super().__init__(loop)
        self._pool = pool

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start watching the socket for unread data."""
        asking: Any = _AskingTransport(transport)
        super().connection_made(asking)
        # asyncio allocates a buffer for each read, by default of 256 KiB. glibc requests such large
        # blocks from the system each time, which takes 7% of the CPU time of a request (benchmark
        # row "CPU per request, 100 in flight"). Other event loops have no such attribute.
        with suppress(AttributeError):
            transport.max_size = _READ_SIZE  # type: ignore[attr-defined]
        self._is_readable = readiness(transport.get_extra_info("socket"))

    def set_response_params(self, **parameters: Any) -> None:
        """Expect the response to the request that is sent next."""
        if self.requests:
            self._pool.times.add(self._waited)
        self.requests += 1
        self._sent_at = self._loop.time()
        self._payload_due, self._packets, self._parameters = None, 0, parameters
        super().set_response_params(**parameters)

    def is_connected(self) -> bool:
        """Return whether the connection can be used for a request."""
        return (
            super().is_connected()
            and self._pool.keeps_connections
            and not self._should_close
            and not self._is_readable()
            and not self._has_begun_another()
        )

    @property
    def should_close(self) -> bool:
        """Whether the connection is closed after its response."""
        return super().should_close or not self._pool.keeps_connections

    def close(self) -> None:
        """Close the connection immediately, without sending the rest of a request.

        A server that neither reads the rest nor confirms the end of TLS would keep the socket open.
        """
        self._abort_soon()
        super().close()

    def data_received(self, data: bytes) -> None:
        """Parse data if a response is due; mark the connection as unusable if none is."""
        if data and self._is_complete():
            self._drop(data)
            return
        if data:
            if self._held is not None:
                self._held.append(data)
                return
            if not self._packets:
                self._waited = self._loop.time() - self._sent_at
                held = self._pool.times.hold(self._waited) if self.requests > 1 else 0.0
                if held:
                    self._held = [data]
                    self._loop.call_later(held, self._parse_held)
                    return
        self._parse(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Parse data that is held back, and end the connection."""
        self._parse_held()
        super().connection_lost(exc)

    def _parse_held(self) -> None:
        """Parse the data that is held back."""
        held, self._held = self._held, None
        if held is not None and self.transport is not None:
            self._parse(b"".join(held))

    def _parse(self, data: bytes) -> None:
        """Parse data; if that fails, look for a complete response before the surplus data."""
        self._packets += bool(data)
        super().data_received(data)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            if self.requests > 1:
                # This may be late surplus data after an earlier response.
                self._pool.keeps_connections = False
            if not self._parse_response_of(data):
                super().set_exception(*failure)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Pass on the headers of a response if it is due."""
        if self._payload_due is not None:
            self._drop(b"HTTP")
            return
        message, payload = data
        is_final = message.code >= _SUCCESS or message.code == HTTPStatus.SWITCHING_PROTOCOLS
        if is_final:
            self._payload_due = payload
        super().feed_data(data, size)

    def set_exception(self, exc: Any, exc_cause: Any = None) -> None:
        """Pass on an error, except one of the parser, which `_parse` handles."""
        if isinstance(exc, HttpProcessingError):
            self._failure = exc, exc_cause
            return
        super().set_exception(exc, *(() if exc_cause is None else (exc_cause,)))

    def may_mix_up_responses(self) -> bool:
        """Return whether `mixes_up_responses` has to be called."""
        return self.requests > 1 and (
            self.has_surplus or (self.transport is not None and self._is_readable())
        )

    async def mixes_up_responses(self) -> bool:
        """Return whether the latest response may belong to an earlier request.

        A late second response to an earlier request may have been delivered as the response to
        this request. The response to this request then arrives as surplus data.
        """
        for _ in range(_ITERATIONS):
            if self.has_surplus or self.transport is None:
                break
            await asyncio.sleep(0)
        return self.has_surplus

    def _is_complete(self) -> bool:
        payload = self._payload_due
        return payload is not None and payload.is_eof()

    def _has_begun_another(self) -> bool:
        """Return whether the parser holds the start of a response that is not due."""
        if self._parser is None:
            return False
        try:
            return self._parser.feed_eof() is not None
        except HttpProcessingError:
            return True

    def _drop(self, data: bytes) -> None:
        """Mark the connection as unusable because of surplus data; line ends are harmless."""
        if data.strip():
            self.has_surplus, self._pool.keeps_connections = True, False
        self.force_close()
        self._abort_soon()

    def _abort_soon(self) -> None:
        """Abort the connection in the next iteration, because uvloop may be reading right now."""
        if self.transport is not None and not self._loop.is_closed():
            self._loop.call_soon(self.transport.abort)

    def _parse_response_of(self, data: bytes) -> bool:
        """Parse a packet byte by byte; return whether it starts with a complete response."""
        if self._packets != 1 or len(data) > _MAX_PARSED_AGAIN or self._parameters is None:
            return False
        self._payload_due, self._payload = None, None
        super().set_response_params(**self._parameters)
        for at in range(len(data)):
            super().data_received(data[at : at + 1])
            if self._failure is not None:
                break
            if self._is_complete():
                self._drop(data[at + 1 :])
                return True
        self._failure = None
        return False
