"""The pages with the runs of a fleet, served on this machine only.

The pages show no secret, but names of accounts and tokens. So the server listens on a loopback
address, and responds only to requests for that address: a page of another site that leads its own
name to 127.0.0.1 (DNS rebinding) gets nothing. It responds to GET and HEAD, and changes nothing.
"""

import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import anyio
import uvicorn
from attrs import frozen

from losant_tokens import fleet
from losant_tokens.cli._errors import CommandError
from losant_tokens.errors import LosantError

HOST = "127.0.0.1"
MAX_RUNS = 500
_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_PORT = re.compile(r":[0-9]+$")
_RUN = re.compile(r"/runs/([A-Za-z0-9_.:-]{1,200})")
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
)

Scope = Mapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@frozen
class Response:
    """A response to a browser.

    Attributes:
        status: The status.
        body: The page, or a line of text.
        is_page: Whether the body is HTML.
        headers: Further headers.
    """

    status: int
    body: str
    is_page: bool = False
    headers: tuple[tuple[bytes, bytes], ...] = ()


@frozen
class RunsApp:
    """An ASGI application that serves the pages.

    Attributes:
        client: The open client of the fleet.
        store: The store, without its password.
    """

    client: fleet.FleetClient
    store: str

    async def __call__(self, scope: Scope, _: object, send: Send) -> None:
        """Respond to a request."""
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        response = await self.respond(
            scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers
        )
        body = response.body.encode()
        kind = b"text/html" if response.is_page else b"text/plain"
        sent = [
            (b"content-type", kind + b"; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            *_HEADERS,
            *response.headers,
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": sent})
        is_head = scope["method"] == "HEAD"
        await send({"type": "http.response.body", "body": b"" if is_head else body})

    async def respond(
        self, method: str, path: str, query: str, headers: Mapping[str, str]
    ) -> Response:
        """Return the response to a request.

        Args:
            method: The method.
            path: The path.
            query: The query.
            headers: The headers, with names in lower case.
        """
        if _PORT.sub("", headers.get("host", "")).lower() not in _HOSTS:
            return Response(421, "This server responds to requests for localhost only.\n")
        if method not in {"GET", "HEAD"}:
            allowed = ((b"allow", b"GET, HEAD"),)
            return Response(405, "This page is read-only.\n", headers=allowed)
        try:
            return await self._page(path, query)
        except fleet.RunNotFound as error:
            return Response(404, f"{error}\n")
        except LosantError as error:
            return Response(503, f"{error}\n")

    async def _page(self, path: str, query: str) -> Response:
        if path == "/":
            return await self._runs(parse_qs(query))
        if found := _RUN.fullmatch(path):
            return await self._run(found[1])
        return Response(404, "There is no such page.\n")

    async def _runs(self, query: Mapping[str, list[str]]) -> Response:
        found = [run async for run in self.client.runs(limit=MAX_RUNS + 1)]
        page = fleet.runs_page(
            found[:MAX_RUNS],
            now=datetime.now(UTC),
            store=self.store,
            state=query.get("state", [None])[0],
            account=query.get("account", [None])[0],
            has_more=len(found) > MAX_RUNS,
        )
        return Response(200, page, is_page=True)

    async def _run(self, name: str) -> Response:
        report = await self.client.report(name)
        run = report.run
        plan = await self.client.document(run.id) if run.plan.selected else None
        page = fleet.run_page(run, now=datetime.now(UTC), plan=plan, results=report.results)
        return Response(200, page, is_page=True)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the command has its own."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


@asynccontextmanager
async def serving(app: RunsApp, port: int) -> AsyncIterator[str]:
    """Serve the pages during the block, which gets the URL.

    Args:
        app: The application.
        port: The port; 0 for a free one.

    Raises:
        CommandError: Another program uses the port.
    """
    try:
        bound = socket.create_server((HOST, port))
    except OSError as error:
        # Python adds the address to the text of the error.
        problem = str(error.strerror).partition(" (while ")[0]
        raise CommandError(
            f"cannot listen on port {port}: {problem}", "pass another --port"
        ) from None
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)

    async def serve() -> None:
        # A server that is cancelled would leave its sockets open.
        with anyio.CancelScope(shield=True):
            await server.serve([bound])

    with bound:
        async with anyio.create_task_group() as group:
            group.start_soon(serve)
            try:
                yield f"http://{HOST}:{bound.getsockname()[1]}/"
            finally:
                server.should_exit = True
