"""An httpx transport that calls the fake in process."""

from collections.abc import AsyncIterator

import anyio
import httpx
from attrs import define, field, frozen
from starlette.types import ASGIApp

from losant_tokens.testing._app import BufferedResponse, ConnectionClosed


@frozen
class _HalfBody(httpx.AsyncByteStream):
    """A response body that ends before its content-length."""

    body: bytes
    promised: int

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body
        raise httpx.RemoteProtocolError(
            "peer closed connection without sending complete message body "
            f"(received {len(self.body)} bytes, expected {self.promised})"
        )


@define(eq=False)
class FakeTransport(httpx.AsyncBaseTransport):
    """A transport that sends requests to the fake in process and raises its faults as errors.

    Unlike `httpx.ASGITransport`, it applies the read timeout of a request. Without it, a fault that
    hangs would make a test hang. It works under asyncio and trio.
    """

    _app: ASGIApp
    _asgi: httpx.ASGITransport = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._asgi = httpx.ASGITransport(self._app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request to the fake and return its response."""
        timeout = request.extensions.get("timeout", {}).get("read")
        try:
            with anyio.fail_after(timeout):
                return await self._asgi.handle_async_request(request)
        except TimeoutError:
            raise httpx.ReadTimeout("the fake did not respond in time", request=request) from None
        except ConnectionClosed as closed:
            if closed.partial is None:
                raise httpx.RemoteProtocolError(
                    "Server disconnected without sending a response.", request=request
                ) from None
            return _half_response(closed.partial)


def _half_response(half: BufferedResponse) -> httpx.Response:
    promised = int(dict(half.headers)[b"content-length"])
    return httpx.Response(
        half.status, headers=list(half.headers), stream=_HalfBody(half.body, promised)
    )
