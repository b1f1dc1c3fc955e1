"""A transport of httpx2 as one of httpx.

httpx2 continues httpx under another name, so its requests, responses and errors are other classes
with the same interface. This module translates them. It is imported only for a transport of httpx2,
so the client does not depend on httpx2.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import Self

import httpx
import httpx2

from losant_tokens._transports.failures import cause_without_frames


class Httpx2Adapter(httpx.AsyncBaseTransport):
    """A transport of httpx that sends its requests over a transport of httpx2.

    It waits for nothing itself, so a cancellation ends in the transport, which decides what happens
    to its connection.

    Args:
        transport: The transport of httpx2.
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return the response before its body is read."""
        content = await request.aread()
        translated = httpx2.Request(
            request.method,
            str(request.url),
            headers=request.headers.raw,
            content=content or None,
            extensions=request.extensions,
        )
        try:
            response = await self._transport.handle_async_request(translated)
        except httpx2.HTTPError as error:
            problem = _translated(error)
        else:
            return httpx.Response(
                response.status_code,
                headers=response.headers.raw,
                stream=_Body(response),
                extensions=response.extensions,
            )
        raise problem

    async def __aenter__(self) -> Self:
        self._transport = await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._transport.__aexit__(exc_type, exc_value, traceback)

    async def aclose(self) -> None:
        await self._transport.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of a response, one part after the other.

    It is its own iterator, and closes that of httpx2, which is often a generator. trio warns about
    a generator that is not finished.
    """

    def __init__(self, response: httpx2.Response) -> None:
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)  # noqa: S101 -- it is an async transport
        self._stream = stream
        self._parts: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._parts is None:
            self._parts = aiter(self._stream)
        return self

    async def __anext__(self) -> bytes:
        assert self._parts is not None  # noqa: S101 -- `__aiter__` is called first
        try:
            return await anext(self._parts)
        except httpx2.HTTPError as error:
            problem = _translated(error)
        raise problem

    async def aclose(self) -> None:
        try:
            if isinstance(self._parts, AsyncGenerator):
                await self._parts.aclose()
        finally:
            await self._stream.aclose()


def _translated(error: httpx2.HTTPError) -> httpx.HTTPError:
    """Return the error of httpx with the same name, or else that of the nearest base class.

    The error of the operating system or of OpenSSL becomes the cause, without its traceback.
    """
    name = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
    problem = _ERRORS[name](str(error))
    problem.__cause__ = cause_without_frames(error)
    return problem


_ERRORS: dict[str, type[httpx.HTTPError]] = {
    kind.__name__: kind
    for kind in (
        httpx.HTTPError,
        httpx.TransportError,
        httpx.TimeoutException,
        httpx.ConnectTimeout,
        httpx.ReadTimeout,
        httpx.WriteTimeout,
        httpx.PoolTimeout,
        httpx.NetworkError,
        httpx.ConnectError,
        httpx.ReadError,
        httpx.WriteError,
        httpx.CloseError,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
        httpx.ProtocolError,
        httpx.LocalProtocolError,
        httpx.RemoteProtocolError,
        httpx.DecodingError,
    )
}
