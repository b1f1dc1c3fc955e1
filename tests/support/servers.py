"""Servers on real sockets that send the bytes that a test specifies, under asyncio and trio."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

ID = "575ec7417ae143cd83dc4a95"
TOKEN = b'{"id":"575ec7417ae143cd83dc4a95","name":"ci","status":"active"}'

Handler = Callable[[ByteStream, bytes], Awaitable[None]]


def answer(
    content: bytes = TOKEN, status: str = "200 OK", headers: str = "", length: int | None = None
) -> bytes:
    """Return an HTTP response as bytes; `length` is a wrong content-length."""
    size = len(content) if length is None else length
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n"
    return f"{head}{headers}\r\n".encode() + content


async def read_request(stream: ByteStream, buffer: bytearray) -> bytes | None:
    """Read the next request and return its head, or `None` if the client has disconnected."""
    try:
        while b"\r\n\r\n" not in buffer:
            buffer += await stream.receive()
        head, _, rest = bytes(buffer).partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        while len(rest) < length:
            rest += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return None
    buffer[:] = rest[length:]
    return head


@asynccontextmanager
async def serve(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve on a loopback port during the block, which gets the base URL."""

    async def connected(stream: ByteStream) -> None:
        if tls is not None:
            try:
                stream = await TLSStream.wrap(
                    stream, ssl_context=tls, server_side=True, standard_compatible=False
                )
            except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
                await anyio.aclose_forcefully(stream)
                return  # the client disconnected during the handshake, or does not trust the server
            except BaseException:  # the test is over
                await anyio.aclose_forcefully(stream)
                raise
        buffer = bytearray()
        async with stream:
            try:
                while (head := await read_request(stream, buffer)) is not None:
                    await handler(stream, head)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # the client has disconnected, as many tests intend

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        scheme = "http" if tls is None else "https"
        port = listener.extra(SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, connected)
            yield f"{scheme}://127.0.0.1:{port}"
            tasks.cancel_scope.cancel()


async def respond(stream: ByteStream, head: bytes) -> None:
    """Respond to each request with a token."""
    await stream.send(answer())
