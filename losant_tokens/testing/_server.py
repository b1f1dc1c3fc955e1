"""Serving the fake on a port, for clients that need a real connection."""

import asyncio
import contextlib
import os
import socket
import threading
from types import TracebackType
from typing import Any

import anyio
import uvicorn
from attrs import define, field
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

_BACKLOG = 2048
_KEEP_ALIVE = 300


class _Protocol(H11Protocol):
    """A connection of uvicorn that the application can close."""

    def __init__(self, stop: asyncio.Event, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stop = stop
        # The setting of uvicorn's Config would also silence the log of other servers in the
        # process.
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # so does uvicorn
        super().connection_made(transport)
        # Closing, unlike aborting, sends the data that was written, so half a response arrives.
        self.app_state = {**self.app_state, "close_connection": transport.close}
        if self._stop.is_set():
            # The server accepted this connection while it stopped. It waits for its connections,
            # and nothing else would close this one.
            transport.abort()


@define(eq=False)
class Serving:
    """A server for the fake that runs during a `with` or `async with` block.

    The block gets the base URL. The server has its own thread and event loop, so the block can run
    under asyncio, trio or no event loop, can block its loop, and can be entered and left in
    different tasks, as fixtures are.
    """

    _app: ASGIApp
    _port: int = 0
    _host: str = "127.0.0.1"
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _stop: asyncio.Event | None = field(default=None, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def __enter__(self) -> str:
        if self._thread is not None:
            raise RuntimeError("this Serving is already in use: call serve() again for another one")
        # Bind the port here and not in the thread, so that the caller gets the error if another
        # program uses it.
        sock = _bind(self._host, self._port)
        base_url = _base_url(self._host, sock.getsockname()[1])
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(sock, ready)), name="fake-losant", daemon=True
        )
        self._thread.start()
        ready.wait()
        return base_url

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._loop is not None  # noqa: S101  -- entering set all three
        assert self._stop is not None  # noqa: S101
        assert self._thread is not None  # noqa: S101
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = None

    async def __aenter__(self) -> str:
        return await anyio.to_thread.run_sync(self.__enter__)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Shielded, because a cancelled block must stop its server too.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.__exit__, exc_type, exc, traceback)

    async def _serve(self, sock: socket.socket, ready: threading.Event) -> None:
        """Run the server until `_stop` is set.

        uvicorn's own `Server` handles signals, polls for its end ten times per second and waits
        for requests in flight. The fake must stop immediately, even if requests hang.
        """
        self._loop = asyncio.get_running_loop()
        self._stop = stop = asyncio.Event()
        config = uvicorn.Config(
            _without_cancellation(self._app),
            ws="none",
            lifespan="off",
            log_config=None,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        config.load()
        state = ServerState()
        server = await self._loop.create_server(
            lambda: _Protocol(stop, config=config, server_state=state, app_state={}),
            sock=sock,
            backlog=_BACKLOG,
        )
        ready.set()
        await stop.wait()
        # The event loop opens an accepted connection in its next iteration, and reports it in the
        # one after that. If the server is closed before that, the socket is never closed.
        self._loop.remove_reader(sock)
        for _ in range(2):
            await asyncio.sleep(0)
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        # The connections notice this in the next iteration of the event loop. Before that, their
        # tasks must not end without a response.
        await asyncio.sleep(0)
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def _bind(host: str, port: int) -> socket.socket:
    # asyncio disables Nagle's algorithm only on sockets whose protocol is given as TCP, which
    # socket.create_server does not do. With that algorithm, each response takes 40 ms.
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, socket.IPPROTO_TCP)
    try:
        # On Windows this option would let two servers use one port. Elsewhere it only makes a
        # port available again immediately.
        if os.name != "nt":  # pragma: no branch
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _base_url(host: str, port: int) -> str:
    """Return the base URL for a client on this machine, with loopback for a wildcard address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _without_cancellation(app: ASGIApp) -> ASGIApp:
    """Wrap an app to end quietly when the server stops; uvicorn would log each request."""

    async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return quiet
