"""A server whose responses a test specifies byte by byte.

It runs in threads with blocking sockets, so it is the same for every event loop of the client.
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Self

import anyio
import attrs
import httpx2

from losant_tokens import Transport, aiohttp_transport, httpx_transport

ID = "575ec7417ae143cd83dc4a95"
_PATIENCE = 10.0  # seconds that no test takes
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


@attrs.frozen
class Seen:
    """A request that the server has read."""

    method: str
    path: str
    content: bytes = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(factory=dict, repr=False)

    @property
    def last_id(self) -> str:
        """The id at the end of the path."""
        return self.path.partition("?")[0].rpartition("/")[2]


class Peer:
    """One connection, from the server's side."""

    def __init__(self, connection: socket.socket, server: "WireServer") -> None:
        self._connection = connection
        self._server = server
        self._buffer = b""

    def request(self) -> Seen | None:
        """Read a request; None if the client hangs up."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._receive():
                return None
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}
        length = int(headers.get("content-length", 0))
        self._buffer = rest
        while len(self._buffer) < length:
            if not self._receive():
                return None
        content, self._buffer = self._buffer[:length], self._buffer[length:]
        method, path, _ = first.split(" ")
        seen = Seen(method, path, content, headers)
        self._server.seen.append(seen)
        return seen

    def _receive(self) -> bool:
        part = self._connection.recv(65536)
        self._buffer += part
        return bool(part)

    def send(self, *parts: bytes) -> None:
        """Send each part in its own packet, as far as the kernel allows."""
        for part in parts:
            self._connection.sendall(part)

    def reset(self) -> None:
        """Close with a reset, as a crashed server does."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._connection.close()

    def close(self) -> None:
        """Close the connection normally."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def wait(self) -> None:
        """Send nothing until the client disconnects."""
        while self._receive():
            pass


class WireServer:
    """Serves connections on a loopback port, each in a thread.

    Attributes:
        seen: The requests that came, in order.
        connections: How many connections came.
    """

    def __init__(self, play: Callable[[Peer], None], tls: ssl.SSLContext | None = None) -> None:
        self._play = play
        self._tls = tls
        self.seen: list[Seen] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for connection in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(_PATIENCE)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(_PATIENCE)
                self.connections += 1
                self._open.append(connection)
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            peer = Peer(connection, self)
            self._play(peer)
            peer.close()


def token(token_id: str = ID, **members: str) -> bytes:
    """A token as JSON."""
    text = "".join(f',"{name}":"{value}"' for name, value in members.items())
    return f'{{"id":"{token_id}","name":"ci","status":"active"{text}}}'.encode()


def response(content: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """A response with a Content-Length."""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}"
        f"Content-Length: {len(content)}\r\n\r\n"
    ).encode() + content


def chunked(content: bytes, status: str = "200 OK") -> bytes:
    """A response in two chunks."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    half = len(content) // 2
    parts = (content[:half], content[half:], b"")
    return f"{head}\r\n".encode() + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


def until_close(content: bytes, status: str = "200 OK") -> bytes:
    """A response whose body ends with the connection."""
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\r\n".encode() + content


def good(seen: Seen) -> bytes:
    """Return the content of the correct response to a request."""
    if seen.method == "DELETE":
        return b'{"success":true}'
    return token(token="new-secret") if seen.method == "POST" else token(seen.last_id)


# --- Stacks: a pool and an event loop -------------------------------------------------------------

STACKS = ("httpx-asyncio", "httpx-uvloop", "httpx-trio", "aiohttp-asyncio", "aiohttp-uvloop")


def transport(stack: str, **options: Any) -> Transport:
    """Return the pool of a stack."""
    if stack.startswith("httpx2"):
        return httpx2.AsyncHTTPTransport(**options)
    make = aiohttp_transport if stack.startswith("aiohttp") else httpx_transport
    return make(**options)


def run(stack: str, main: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Run a coroutine function in the event loop of a stack."""
    loop = stack.partition("-")[2]
    if loop == "trio":
        return anyio.run(main, *args, backend="trio")
    return anyio.run(main, *args, backend_options={"use_uvloop": loop == "uvloop"})


@contextlib.contextmanager
def serve(play: Callable[[Peer], None], tls: ssl.SSLContext | None = None) -> Iterator[WireServer]:
    """Serve until the block ends."""
    with WireServer(play, tls) as server:
        yield server
