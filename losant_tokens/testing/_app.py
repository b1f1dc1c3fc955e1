"""The ASGI application: the API in the middle, and around it all that can go wrong on the way."""

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
from losant_tokens.testing._contract import OPERATIONS, Operation
from losant_tokens.testing._faults import Fault, Faults, error_type, phrase
from losant_tokens.testing._rate_limit import RateLimit
from losant_tokens.testing._request_log import Entry, Journal
from losant_tokens.testing._service import Call, Service

_PROXY_PAGE = (
    "<html>\r\n<head><title>{status} {phrase}</title></head>\r\n<body>\r\n"
    "<center><h1>{status} {phrase}</h1></center>\r\n<hr><center>nginx</center>\r\n"
    "</body>\r\n</html>\r\n"
)
_GARBAGE = b'{"items": [{"id": "575ec7417ae143cd83dc'


@frozen
class Answer:
    """A whole answer, held back until it is known what becomes of it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class ConnectionClosed(Exception):  # noqa: N818  -- a fault on demand is no error
    """The connection is to be closed: at once, or after a part of an answer.

    Raised where there is no connection that could be closed, because the application is called in
    process.
    """

    def __init__(self, answer: Answer | None = None) -> None:
        super().__init__("the fake closed the connection, because of a fault")
        self.answer = answer
        """The part of the answer that is sent first; its content-length promises more."""


class _CallerGone(Exception):  # noqa: N818  -- callers may go
    """The caller hung up before all of the request had come."""


class _Json(JSONResponse):
    """JSON that can always be sent: half a surrogate pair, which UTF-8 lacks, as an escape."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        try:
            return super().render(content)
        except UnicodeEncodeError:
            return json.dumps(content).encode("ascii")


@frozen
class _Route:
    """A path of the API with the operations that it has, by method."""

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
    """Return the application that answers as Losant does."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        status: int
        body: dict[str, Any] | None
        headers: Mapping[str, str] = {}
        try:
            if request.method == "OPTIONS":  # a browser asks, and every path allows everything
                status, body = 204, None
            else:
                status, body = service.perform(await _call_of(request))
        except Problem as problem:
            status, body, headers = problem.status, problem.body(), problem.headers
        response = Response(status_code=status) if body is None else _Json(body, status, headers)
        await response(scope, receive, send)

    return Starlette(routes=[Mount("/", app=respond)])


async def _call_of(request: Request) -> Call:
    """Find the operation of a request, and take the request apart.

    Raises:
        Problem: A 405 if no operation has this path or this method. There is no 404: the framework
            answers `OPTIONS` for every path, so that every path exists.
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


def _query(request: Request) -> dict[str, str | list[str]]:
    """Return the query as the framework's parser does: `a=1&a=2` and `a[]=1` are lists."""
    query: dict[str, str | list[str]] = {}
    for given, value in request.query_params.multi_items():
        name, bracket, _ = given.partition("[")
        former = query.get(name)
        if former is None:
            query[name] = [value] if bracket else value
        else:
            query[name] = [*(former if isinstance(former, list) else [former]), value]
    return query


@define(eq=False)
class Front:
    """The layer between the caller and the API: the journal, the limits and the faults."""

    api: ASGIApp
    journal: Journal
    faults: Faults
    body_limit: int
    now: Callable[[], datetime]
    rate_limit: RateLimit | None = field(default=None, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP is none of ours."""
        if scope["type"] != "http":
            await self.api(scope, receive, send)
            return
        entry = self.journal.record(
            scope["method"], scope["path"], scope["query_string"], scope["headers"]
        )
        try:
            body = await _read_body(receive, self.body_limit)
        except _CallerGone:
            return
        if refusal := self._refuse_over_rate():
            await self._send(refusal, entry, send)
            return
        faults = self.faults.take(scope["method"], scope["path"])
        end = next((fault for fault in faults if fault.kind != "latency"), None)
        await _wait(faults, after_acting=False)
        answer = None
        # A truncated answer needs one that can be cut.
        if end is None or end.after_acting or end.kind == "truncate":
            answer = await self._act(scope, body)
        await _wait(faults, after_acting=True)
        match end:
            case Fault(kind="hang"):
                await _wait_until_gone(receive)
            case Fault(kind="drop"):
                await _close(scope, receive)
            case Fault(kind="truncate"):
                assert answer is not None  # noqa: S101  -- it acted, above
                half = _cut(self._dated(answer))
                entry.answered(half.status)
                await _send_half(half, scope, receive, send)
            case Fault():
                await self._send(_fault_answer(end), entry, send)
            case _:
                assert answer is not None  # noqa: S101  -- it acted, above
                await self._send(answer, entry, send)

    def _refuse_over_rate(self) -> Answer | None:
        with self.faults.lock:
            limit = self.rate_limit
            if limit is None or limit.admits():
                return None
        headers = {} if limit.retry_after is None else {"Retry-After": f"{limit.retry_after:g}"}
        error = {"type": error_type(429), "message": "Over rate limit, request throttled"}
        return _fault_answer(Fault(status=429, headers=headers, body=error))

    async def _act(self, scope: Scope, body: bytes | None) -> Answer:
        if body is None:
            return Answer(413, ((b"content-length", b"0"),), b"")
        return await _call(self.api, scope, body)

    async def _send(self, answer: Answer, entry: Entry, send: Send) -> None:
        entry.answered(answer.status)
        await send(_start(self._dated(answer)))
        await send({"type": "http.response.body", "body": answer.body})

    def _dated(self, answer: Answer) -> Answer:
        """Add the `Date` header, by the fake's own clock, unless a fault has given one."""
        if any(name == b"date" for name, _ in answer.headers):
            return answer
        date = format_datetime(self.now().astimezone(UTC), usegmt=True)
        return evolve(answer, headers=((b"date", date.encode()), *answer.headers))


async def _read_body(receive: Receive, limit: int) -> bytes | None:
    """Read the whole body; None: it is over the limit.

    Raises:
        _CallerGone: The rest will not come, and half a request is none.
    """
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _CallerGone
        body += message.get("body", b"")
        more = message.get("more_body", False) and len(body) <= limit
    return bytes(body) if len(body) <= limit else None


async def _call(app: ASGIApp, scope: Scope, body: bytes) -> Answer:
    """Call an application and hold its answer back."""
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
    return Answer(start["status"], tuple(start["headers"]), b"".join(chunks))


async def _wait(faults: tuple[Fault, ...], *, after_acting: bool) -> None:
    for fault in faults:
        if fault.kind == "latency" and fault.after_acting == after_acting:
            await anyio.sleep(fault.seconds)


async def _wait_until_gone(receive: Receive) -> None:
    """Wait until the caller hangs up. In process nobody does, and it takes a cancellation."""
    while (await receive())["type"] != "http.disconnect":
        pass  # pragma: no cover  -- the body has been read, so nothing else is left to come


async def _close(scope: Scope, receive: Receive) -> None:
    # The server of this package hands its connection's close function over in the state.
    close = scope.get("state", {}).get("close_connection")
    if close is None:
        raise ConnectionClosed
    close()
    # Coming back before the connection is lost would have the server answer 500 in our place.
    await _wait_until_gone(receive)


def _cut(answer: Answer) -> Answer:
    """Leave the first half of the body under a content-length that promises all of it."""
    length = max(1, len(answer.body))
    headers = [pair for pair in answer.headers if pair[0] != b"content-length"]
    return evolve(
        answer,
        headers=(*headers, (b"content-length", b"%d" % length)),
        body=answer.body[: len(answer.body) // 2],
    )


async def _send_half(half: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    if "close_connection" not in scope.get("state", {}):
        raise ConnectionClosed(half)
    await send(_start(half))
    await send({"type": "http.response.body", "body": half.body, "more_body": True})
    await _close(scope, receive)


def _start(answer: Answer) -> Message:
    return {
        "type": "http.response.start",
        "status": answer.status,
        "headers": list(answer.headers),
    }


def _fault_answer(fault: Fault) -> Answer:
    """Make the answer that a fault gives in place of the API's."""
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
    return Answer(status, tuple(headers.items()), body)
