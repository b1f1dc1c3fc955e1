"""A transport that calls the fake in process, for clients of httpx and of httpx2."""

import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, overload

import anyio
import httpx
from attrs import define
from starlette.types import ASGIApp

from losant_tokens.testing._app import BufferedResponse, ConnectionClosed

if TYPE_CHECKING:
    import httpx2

    class _Transport(httpx.AsyncBaseTransport, httpx2.AsyncBaseTransport):
        """For type checkers, the transport of the fake belongs to both libraries."""

        @overload
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response: ...
        @overload
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response: ...
        async def handle_async_request(self, request: Any) -> Any: ...
else:
    # httpx2 is not a dependency, and its client needs no base class.
    _Transport = httpx.AsyncBaseTransport


@define(eq=False)
class FakeTransport(_Transport):
    """A transport that sends requests to the fake in process and raises its faults as errors.

    It accepts requests of httpx and httpx2, and its responses and errors are of the same library.
    Unlike an `ASGITransport`, it applies the read timeout of a request. Without it, a fault that
    hangs would make a test hang. It works under asyncio and trio.
    """

    _app: ASGIApp

    @overload
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response: ...
    @overload
    async def handle_async_request(self, request: "httpx2.Request") -> "httpx2.Response": ...
    async def handle_async_request(self, request: Any) -> Any:
        """Send one request to the fake and return its response."""
        library = httpx if isinstance(request, httpx.Request) else sys.modules["httpx2"]
        timeout = request.extensions.get("timeout", {}).get("read")
        try:
            with anyio.fail_after(timeout):
                return await library.ASGITransport(self._app).handle_async_request(request)
        except TimeoutError:
            raise library.ReadTimeout("the fake did not respond in time", request=request) from None
        except ConnectionClosed as closed:
            if closed.partial is None:
                raise library.RemoteProtocolError(
                    "Server disconnected without sending a response.", request=request
                ) from None
            return _half_response(library, closed.partial)


def _half_response(library: Any, half: BufferedResponse) -> Any:
    """Return a response of httpx or httpx2 whose body ends before its content-length."""
    promised = int(dict(half.headers)[b"content-length"])

    class HalfBody(library.AsyncByteStream):  # type: ignore[misc] # the class is one of two
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield half.body
            raise library.RemoteProtocolError(
                "peer closed connection without sending complete message body "
                f"(received {len(half.body)} bytes, expected {promised})"
            )

    return library.Response(half.status, headers=list(half.headers), stream=HalfBody())
