"""aiohttp's connections, kept only while nothing is unread on them.

aiohttp gives a connection back as soon as a response is complete, and goes on parsing what else
has come, or comes while the connection is idle. It would take the result for the response to the
next request (RFC 9112, 6.3, forbids that). So here a connection knows whether a response is due.
What comes when none is due marks it, and a marked connection is not used again; nor is one whose
socket is readable, with data that the event loop has not seen. The alternative, to close each
connection after its response, costs a TLS handshake for each request.

A response and junk in the same packet make aiohttp's parser fail as a whole, and lose the good
response. Then the packet is parsed once more, byte by byte, up to the end of the response.
"""

import asyncio
import math
from typing import Any

from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from losant_tokens._transports.base import Pool
from losant_tokens._transports.socket_readiness import readiness

_SUCCESS = 200  # The first status of a final response.
_PARSED_AGAIN = 64 * 1024
"""The most bytes of one packet that are parsed a second time."""
_TURNS = 3
"""How many turns of the event loop it takes to read what the kernel has."""


class Protocol(ResponseHandler):
    """A connection of aiohttp that knows whether a response is due.

    Attributes:
        requests: How many requests were sent over it.
        has_surplus: Whether more has come than the responses that were due.
    """

    requests = 0
    has_surplus = False
    _payload_due: Any = None  # The body of the latest response, once its head has come.
    _parameters: dict[str, Any] | None = None
    _packets = 0
    _failure: tuple[BaseException, BaseException] | None = None
    _sent_at = _waited = math.inf
    _held: list[bytes] | None = None  # of a response that came too soon

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: Pool) -> None:
        super().__init__(loop)
        self._pool = pool

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember how to look whether the kernel has data, or the end of the connection."""
        super().connection_made(transport)
        self._is_readable = readiness(transport.get_extra_info("socket"))

    def set_response_params(self, **parameters: Any) -> None:
        """Expect the response to a request, which is sent next."""
        if self.requests:
            self._pool.times.proven(self._waited)
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
        """Whether the connection is of no use after its response."""
        return super().should_close or not self._pool.keeps_connections

    def close(self) -> None:
        """Close the connection at once.

        What is left to send is of no use. To wait until a server has read it, or has agreed to the
        end of TLS, would keep the socket open for as long as the server likes.
        """
        self._abort_soon()
        super().close()

    def data_received(self, data: bytes) -> None:
        """Parse what has come, if a response is due."""
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
                    self._loop.call_later(held, self._let_pass)
                    return
        self._parse(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Parse what is held back, and end."""
        self._let_pass()
        super().connection_lost(exc)

    def _let_pass(self) -> None:
        """Parse what was held back."""
        held, self._held = self._held, None
        if held is not None and self.transport is not None:
            self._parse(b"".join(held))

    def _parse(self, data: bytes) -> None:
        self._packets += bool(data)
        super().data_received(data)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            if self.requests > 1:
                # Perhaps junk after an earlier response, which came late.
                self._pool.keeps_connections = False
            if not self._parse_response_of(data):
                super().set_exception(*failure)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Hand on the head of a response, if it is due."""
        if self._payload_due is not None:
            self._drop(b"HTTP")
            return
        message, payload = data
        if message.code >= _SUCCESS or message.code == 101:  # noqa: PLR2004 -- a final one, too
            self._payload_due = payload
        super().feed_data(data, size)

    def set_exception(self, exc: Any, exc_cause: Any = None) -> None:
        """Pass on an error; hold back one of the parser until it is known what is lost by it."""
        if isinstance(exc, HttpProcessingError):  # which only the parser raises
            self._failure = exc, exc_cause
            return
        super().set_exception(exc, *(() if exc_cause is None else (exc_cause,)))

    def may_mix_up_responses(self) -> bool:
        """Return whether `mixes_up_responses` has anything to look at."""
        return self.requests > 1 and (
            self.has_surplus or (self.transport is not None and self._is_readable())
        )

    async def mixes_up_responses(self) -> bool:
        """Return whether another response than the latest may belong to the latest request.

        A connection that was used before may have brought a late second response to an earlier
        request, which was taken for this one's. Then this one's own response is still to be read.
        """
        for _ in range(_TURNS):
            if self.has_surplus or self.transport is None:
                break
            await asyncio.sleep(0)
        return self.has_surplus

    def _is_complete(self) -> bool:
        payload = self._payload_due
        return payload is not None and payload.is_eof()

    def _has_begun_another(self) -> bool:
        """Return whether the parser has the start of a response that is not due."""
        if self._parser is None:
            return False
        try:
            return self._parser.feed_eof() is not None
        except HttpProcessingError:
            return True

    def _drop(self, data: bytes) -> None:
        """Note that more has come than was due; line ends are no sign of another response."""
        if data.strip():
            self.has_surplus, self._pool.keeps_connections = True, False
        self.force_close()
        self._abort_soon()

    def _abort_soon(self) -> None:
        """Abort the connection in the next turn; uvloop's TLS may be in the middle of a read."""
        if self.transport is not None and not self._loop.is_closed():
            self._loop.call_soon(self.transport.abort)

    def _parse_response_of(self, data: bytes) -> bool:
        """Parse a packet up to the end of its response. Return whether it has a whole one."""
        if self._packets != 1 or len(data) > _PARSED_AGAIN or self._parameters is None:
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
