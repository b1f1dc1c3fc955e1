"""aiohttp's pool behind httpx, put right in three points.

- aiohttp sends a `DELETE` a second time by itself where a kept connection breaks, and nobody
  learns of it; here the retry table alone decides.
- `httpx_aiohttp` reports a connection that breaks after the request was sent as one that could
  not be made; taken at its word, a `POST` would be sent again, and a token created twice.
- Some of aiohttp's errors pass through it as they are.
"""

import ssl
from collections.abc import AsyncIterator

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from losant_tokens._pool import KEEPALIVE, Pool

_NOT_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientProxyConnectionError,
)


class AiohttpPool(Pool):
    """The pool of aiohttp, opened at the first request."""

    def __init__(self, *, max_connections: int, verify: ssl.SSLContext | None = None) -> None:
        super().__init__(max_connections=max_connections, verify=verify)
        self._pool: AiohttpTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request, and hands back the head of the answer."""
        pool = self._pool or self._open(await self._tls_context(request.url))
        try:
            response = await pool.handle_async_request(request)
        except (httpx.TransportError, aiohttp.ClientError) as error:
            problem = _translated(error)
        else:
            response.stream = _Stream(response.stream)
            return response
        raise problem

    async def aclose(self) -> None:
        """Closes all connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    def _open(self, verify: ssl.SSLContext) -> AiohttpTransport:
        if self._pool is not None:  # opened by another request, while the context was made
            return self._pool
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self.max_connections, keepalive_timeout=KEEPALIVE, ssl=verify
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        session._retry_connection = False  # noqa: SLF001 -- there is no public way to say so
        self._pool = AiohttpTransport(verify=verify, client=session)
        return self._pool


class _Stream(httpx.AsyncByteStream):
    """The body of an answer, whose errors are httpx's."""

    def __init__(self, stream: httpx.AsyncByteStream | httpx.SyncByteStream) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 -- it is an async transport
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except (httpx.TransportError, aiohttp.ClientError) as error:
            problem = _translated(error)
        else:
            return
        raise problem

    async def aclose(self) -> None:
        await self._stream.aclose()


def _translated(error: Exception) -> httpx.TransportError:
    """The error of httpx that says what happened: whether the request may have arrived."""
    cause = error.__cause__ or error
    message = str(error) or type(cause).__name__
    if isinstance(cause, _NOT_CONNECTED):
        return httpx.ConnectError(message)
    if isinstance(error, httpx.TimeoutException) and isinstance(cause, TimeoutError):
        return httpx.ReadTimeout(message)
    return httpx.RemoteProtocolError(message)
