"""The way into the fake without a network, for httpx."""

from collections.abc import AsyncIterator

import anyio
import httpx
from attrs import define, field, frozen
from starlette.types import ASGIApp

from losant_tokens.testing._app import Answer, ConnectionClosed


@frozen
class _HalfBody(httpx.AsyncByteStream):
    """A body that breaks off."""

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
    """Hands httpx's requests to the fake in process, and its faults back as httpx's errors.

    Unlike `httpx.ASGITransport` it keeps the read timeout of a request, without which a server that
    hangs would have a test hang. It works on asyncio and on trio.
    """

    _app: ASGIApp
    _asgi: httpx.ASGITransport = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._asgi = httpx.ASGITransport(self._app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        timeout = request.extensions.get("timeout", {}).get("read")
        try:
            with anyio.fail_after(timeout):
                return await self._asgi.handle_async_request(request)
        except TimeoutError:
            raise httpx.ReadTimeout("the fake did not answer in time", request=request) from None
        except ConnectionClosed as closed:
            if closed.answer is None:
                raise httpx.RemoteProtocolError(
                    "Server disconnected without sending a response.", request=request
                ) from None
            return _half_response(closed.answer)


def _half_response(answer: Answer) -> httpx.Response:
    promised = int(dict(answer.headers)[b"content-length"])
    return httpx.Response(
        answer.status, headers=list(answer.headers), stream=_HalfBody(answer.body, promised)
    )
