"""The ASGI application: the API, and around it the request log, the limits and the faults."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote, unquote

import anyio
from attrs import define, evolve, field, frozen
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from losant_tokens.testing._api_errors import Problem
from losant_tokens.testing._audit_logs import FILTER, nested_filter
from losant_tokens.testing._faults import Fault, Faults, error_type, phrase
from losant_tokens.testing._operations import OPERATIONS, Operation
from losant_tokens.testing._rate_limit import RateLimit
from losant_tokens.testing._request_log import Entry, RequestLog
from losant_tokens.testing._service import Call, Service

_PROXY_PAGE = (
    "<html>\r\n<head><title>{status} {phrase}</title></head>\r\n<body>\r\n"
    "<center><h1>{status} {phrase}</h1></center>\r\n<hr><center>nginx</center>\r\n"
    "</body>\r\n</html>\r\n"
)
_GARBAGE = b'{"items": [{"id": "575ec7417ae143cd83dc'


@frozen
class BufferedResponse:
    """A complete response that has not been sent yet, because a fault may change it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class ConnectionClosed(Exception):  # noqa: N818  -- a fault on demand is not an error
    """The connection must be closed: immediately, or after a part of a response.

    Raised if the application is called in process, because then it has no connection to close.
    """

    def __init__(self, partial: BufferedResponse | None = None) -> None:
        super().__init__("the fake closed the connection, because of a fault")
        self.partial = partial
        """The part of the response that is sent first, under the content-length of all of it."""


class _CallerDisconnected(Exception):  # noqa: N818  -- a caller may disconnect
    """The caller disconnected before the request was complete."""


class _Json(JSONResponse):
    """A JSON response that escapes unpaired surrogates, which UTF-8 cannot encode."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        try:
            return super().render(content)
        except UnicodeEncodeError:
            return json.dumps(content).encode("ascii")


@frozen
class _Route:
    """A path of the API, with its operations by method."""

    pattern: re.Pattern[str]
    names: tuple[str, ...]
    operations: Mapping[str, Operation]

    def ids(self, path: str) -> dict[str, str] | None:
        """Return the ids in a path by their names, or `None` if it is another path."""
        match = self.pattern.fullmatch(path)
        return match and dict(zip(self.names, map(unquote, match.groups()), strict=True))


def _routes() -> tuple[_Route, ...]:
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return tuple(
        _Route(
            re.compile(re.sub(r"{\w+}", _ID, path)), tuple(re.findall(r"{(\w+)}", path)), operations
        )
        for path, operations in by_path.items()
    )


_ID = "([^/]{1,100})"
_ROUTES = _routes()


def api(service: Service) -> ASGIApp:
    """Return the application that responds as Losant does."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        status: int
        body: dict[str, Any] | None
        headers: Mapping[str, str] = {}
        try:
            if request.method == "OPTIONS":  # a browser's preflight: every path allows it
                status, body = 204, None
            else:
                status, body = service.perform(await _call_of(request))
        except Problem as problem:
            status, body, headers = problem.status, problem.body(), problem.headers
        response = Response(status_code=status) if body is None else _Json(body, status, headers)
        await response(scope, receive, send)

    return Starlette(routes=[Mount("/", app=respond)])


async def _call_of(request: Request) -> Call:
    """Return the operation of a request with its arguments.

    Raises:
        Problem: A 405 if no operation has this path or this method. It is never a 404, because
            the framework responds to `OPTIONS` for every path, so every path exists.
    """
    raw: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    path = raw.decode("latin-1").removesuffix("/")
    allowed = ["OPTIONS"]
    for route in _ROUTES:
        ids = route.ids(path)
        if ids is None:
            continue
        allowed += route.operations
        if request.method in route.operations:
            return Call(
                operation=route.operations[request.method],
                path=ids,
                query=_query(request),
                authorization=request.headers.get("authorization", ""),
                host=request.headers.get("host", ""),
                content_type=request.headers.get("content-type", ""),
                body=await request.body(),
            )
    raise Problem.not_allowed(request.method, allowed)


def _query(request: Request) -> dict[str, Any]:
    """Return the query as the framework's parser does: `a=1&a=2` and `a[]=1` are lists.

    The filter of an audit log is a nested object.
    """
    query: dict[str, Any] = {}
    pairs = request.query_params.multi_items()
    if (nested := nested_filter(pairs)) is not None:
        query[FILTER] = nested
    for given, value in pairs:
        name, bracket, _ = given.partition("[")
        if name == FILTER:
            continue
        former = query.get(name)
        if former is None:
            query[name] = [value] if bracket else value
        else:
            query[name] = [*(former if isinstance(former, list) else [former]), value]
    return query


@define(eq=False)
class Front:
    """The layer between the caller and the API: the request log, the limits and the faults."""

    api: ASGIApp
    request_log: RequestLog
    faults: Faults
    body_limit: int
    now: Callable[[], datetime]
    rate_limit: RateLimit | None = field(default=None, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one HTTP request; pass other connections to the API."""
        if scope["type"] != "http":
            await self.api(scope, receive, send)
            return
        entry = self.request_log.record(
            scope["method"], scope["path"], scope["query_string"], scope["headers"]
        )
        try:
            body = await _read_body(receive, self.body_limit)
        except _CallerDisconnected:
            return
        if refusal := self._refuse_over_rate():
            await self._send(refusal, entry, send)
            return
        faults = self.faults.take(scope["method"], scope["path"])
        end = next((fault for fault in faults if fault.kind != "latency"), None)
        await self._wait(faults, after_acting=False)
        response = None
        # To truncate a response, there must be one.
        if end is None or end.after_acting or end.kind == "truncate":
            response = await self._act(scope, body)
        await self._wait(faults, after_acting=True)
        match end:
            case Fault(kind="hang"):
                await _wait_for_disconnect(receive)
            case Fault(kind="drop"):
                await _close(scope, receive)
            case Fault(kind="truncate"):
                assert response is not None  # noqa: S101  -- set above
                half = _cut(self._dated(response))
                entry.record_status(half.status)
                await _send_half(half, scope, receive, send)
            case Fault():
                await self._send(_fault_response(end), entry, send)
            case _:
                assert response is not None  # noqa: S101  -- set above
                await self._send(response, entry, send)

    async def _wait(self, faults: tuple[Fault, ...], *, after_acting: bool) -> None:
        for fault in faults:
            if fault.kind == "latency" and fault.after_acting == after_acting:
                await anyio.sleep(self.faults.delay(fault))

    def _refuse_over_rate(self) -> BufferedResponse | None:
        with self.faults.lock:
            limit = self.rate_limit
            if limit is None or limit.admits():
                return None
        headers = {} if limit.retry_after is None else {"Retry-After": f"{limit.retry_after:g}"}
        error = {"type": error_type(429), "message": "Over rate limit, request throttled"}
        return _fault_response(Fault(status=429, headers=headers, body=error))

    async def _act(self, scope: Scope, body: bytes | None) -> BufferedResponse:
        if body is None:
            return BufferedResponse(413, ((b"content-length", b"0"),), b"")
        return await _call(self.api, scope, body)

    async def _send(self, response: BufferedResponse, entry: Entry, send: Send) -> None:
        entry.record_status(response.status)
        await send(_start(self._dated(response)))
        await send({"type": "http.response.body", "body": response.body})

    def _dated(self, response: BufferedResponse) -> BufferedResponse:
        """Add a `Date` header from the fake's clock, unless a fault has set one."""
        if any(name == b"date" for name, _ in response.headers):
            return response
        date = format_datetime(self.now().astimezone(UTC), usegmt=True)
        return evolve(response, headers=((b"date", date.encode()), *response.headers))


async def _read_body(receive: Receive, limit: int) -> bytes | None:
    """Read the whole body, and return `None` if it is larger than the limit in bytes.

    Raises:
        _CallerDisconnected: The request is incomplete.
    """
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _CallerDisconnected
        body += message.get("body", b"")
        more = message.get("more_body", False) and len(body) <= limit
    return bytes(body) if len(body) <= limit else None


async def _call(app: ASGIApp, scope: Scope, body: bytes) -> BufferedResponse:
    """Call an application and return its complete response."""
    start: Message = {}
    chunks: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            chunks.append(message.get("body", b""))

    await app(scope, receive, send)
    return BufferedResponse(start["status"], tuple(start["headers"]), b"".join(chunks))


async def _wait_for_disconnect(receive: Receive) -> None:
    """Wait until the caller disconnects, or in process, until this task is cancelled."""
    while (await receive())["type"] != "http.disconnect":
        pass  # pragma: no cover  -- the body was read, so no other message follows


async def _close(scope: Scope, receive: Receive) -> None:
    # The server of this package puts the function that closes its connection in the state.
    close = scope.get("state", {}).get("close_connection")
    if close is None:
        raise ConnectionClosed
    close()
    # If this returned before the connection is closed, the server would respond with a 500.
    await _wait_for_disconnect(receive)


def _cut(response: BufferedResponse) -> BufferedResponse:
    """Return a response with half of its body, under the content-length of all of it."""
    length = max(1, len(response.body))
    headers = [pair for pair in response.headers if pair[0] != b"content-length"]
    return evolve(
        response,
        headers=(*headers, (b"content-length", b"%d" % length)),
        body=response.body[: len(response.body) // 2],
    )


async def _send_half(half: BufferedResponse, scope: Scope, receive: Receive, send: Send) -> None:
    if "close_connection" not in scope.get("state", {}):
        raise ConnectionClosed(half)
    await send(_start(half))
    await send({"type": "http.response.body", "body": half.body, "more_body": True})
    await _close(scope, receive)


def _start(response: BufferedResponse) -> Message:
    return {
        "type": "http.response.start",
        "status": response.status,
        "headers": list(response.headers),
    }


def _fault_response(fault: Fault) -> BufferedResponse:
    """Return the response of a fault, which replaces the response of the API."""
    match fault.kind:
        case "html":
            status, media_type = fault.status or 502, b"text/html"
            body = _PROXY_PAGE.format(status=status, phrase=phrase(status)).encode()
        case "garbage":
            status, media_type, body = fault.status or 200, b"application/json", _GARBAGE
        case _:
            status, media_type = fault.status or 500, b"application/json"
            error = {"type": error_type(status), "message": "A fault of the fake"}
            body = json.dumps(error).encode()
    match fault.body:
        case None:
            pass
        case bytes() | bytearray():
            body = bytes(fault.body)
        case str():
            body = fault.body.encode()
        case _:
            body = json.dumps(fault.body).encode()
    headers = {b"content-type": media_type, b"content-length": b"%d" % len(body)}
    headers |= {name.lower().encode(): value.encode() for name, value in fault.headers}
    return BufferedResponse(status, tuple(headers.items()), body)
