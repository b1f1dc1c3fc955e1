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
    """uvicorn's connection, which lets the application close it."""

    def __init__(self, stop: asyncio.Event, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stop = stop
        # Not by the setting of uvicorn's Config, which would silence the log of a server of the
        # user's as well.
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # so does uvicorn
        super().connection_made(transport)
        # Closing, unlike aborting, sends what was written, so that half an answer arrives.
        self.app_state = {**self.app_state, "close_connection": transport.close}
        if self._stop.is_set():
            # Accepted while the server stopped: nobody else would end it, and the end waits for it.
            transport.abort()


@define(eq=False)
class Serving:
    """A fake that is served while a `with` or an `async with` block runs; both give the base URL.

    The server has a thread and an event loop of its own. So it does not matter which event loop the
    block is in, asyncio's or trio's or none, whether that loop is blocked, and whether a fixture is
    set up and torn down in different tasks.
    """

    _app: ASGIApp
    _port: int = 0
    _host: str = "127.0.0.1"
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _stop: asyncio.Event | None = field(default=None, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def __enter__(self) -> str:
        if self._thread is not None:
            raise RuntimeError("the fake is being served by this object already")
        # Bound here and not in the thread, so that a port that is taken is an error where it is
        # asked for.
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

        uvicorn's own `Server` takes signals, looks for its end every tenth of a second and waits
        for answers under way; a fake is to be gone at once, hanging requests or not.
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
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        # The connections hear of it in the next turn; only then may their tasks end without an
        # answer.
        await asyncio.sleep(0)
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def _bind(host: str, port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only where TCP is named as the protocol, which
    # socket.create_server does not do; with it on, each answer takes 40 ms.
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, socket.IPPROTO_TCP)
    try:
        # On Windows the option would let two servers have one port; elsewhere it only lets a port
        # be used again at once.
        if os.name != "nt":  # pragma: no branch
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _base_url(host: str, port: int) -> str:
    """Return the base URL for a client on this machine: a wildcard address is no destination."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _without_cancellation(app: ASGIApp) -> ASGIApp:
    """Have requests end quietly when the server stops: uvicorn would log them as errors."""

    async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return quiet
