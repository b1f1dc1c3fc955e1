"""A scripted API for jobs: it can be wrong, move tokens and refuse requests.

Unlike `FakeLosant`, it is not faithful. A test says for each request how the service differs from
the API. In the end, the test compares the requests and the changes with the plan.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

import anyio
import attrs
import httpx
from anyio.abc import ByteStream, SocketAttribute

from losant_tokens.jobs import Outcome, Plan, Report

USER_ID = "5" * 24
LONG_AGO = datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
Json = dict[str, Any]


@attrs.frozen
class Ask:
    """A request.

    Attributes:
        method: The HTTP method.
        id: The id of the token, or "" for a list.
        query: The parameters of the URL.
        body: The request body.
        number: The number of requests before it.
        at: The time when it arrived.
    """

    method: str
    id: str
    query: dict[str, str] = attrs.field(factory=dict)
    body: Json = attrs.field(factory=dict)
    number: int = 0
    at: float = 0.0

    @property
    def changes(self) -> bool:
        """Whether it changes a token."""
        return self.method in {"DELETE", "PATCH"}


@attrs.frozen
class Reply:
    """A response.

    Attributes:
        status: The HTTP status.
        content: The body; anything except bytes is sent as JSON.
        headers: The headers, without those that every response has.
        seconds: The latency.
        is_dropped: Whether the connection is closed instead.
    """

    status: int = 200
    content: Any = b""
    headers: dict[str, str] = attrs.field(factory=dict)
    seconds: float = 0.0
    is_dropped: bool = False

    @property
    def body(self) -> bytes:
        """The body as bytes."""
        content = self.content
        return content if isinstance(content, bytes) else json.dumps(content).encode()


def problem(status: int, kind: str, **headers: str) -> Reply:
    """Return an error in the form of the API."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"type": kind, "message": f"{kind}."}, named)


def html(status: int, **headers: str) -> Reply:
    """Return the response of a proxy or a captive portal."""
    page = b"<!doctype html><html><body>Sign in to the network</body></html>"
    return Reply(status, page, {"Content-Type": "text/html", **headers})


@attrs.frozen
class Seen:
    """A request and its outcome.

    Attributes:
        ask: The request.
        has_acted: Whether it has changed a token.
        status: The status of the response.
    """

    ask: Ask
    has_acted: bool
    status: int


def as_api_time(time: datetime) -> str:
    """Return a time in the format of the API."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@attrs.define(eq=False)
class Service:
    """The API, with the tokens of one user.

    Attributes:
        tokens: The tokens by id, in the order of their creation.
        seen: Each request and its outcome.
        before: May respond to a request instead of carrying it out.
        after: May replace the response to a request.
        is_cut_off: Whether all requests are lost.
        port: The port, even after a restart.
        now: The clock that requests are noted with.
    """

    tokens: dict[str, Json] = attrs.field(factory=dict)
    seen: list[Seen] = attrs.field(factory=list)
    before: Callable[[Ask], Reply | None] = lambda _: None
    after: Callable[[Ask, Reply], Reply] = lambda _, reply: reply
    is_cut_off: bool = False
    port: int = 0
    now: Callable[[], float] = anyio.current_time
    _updates: int = 0
    _asked: int = 0

    @classmethod
    def of(cls, doomed: int, kept: int = 0) -> "Service":
        """Return a service with tokens named `ci-…`, and others named `keep-…`."""
        service = cls()
        for number in range(doomed):
            service.add(f"ci-{number}")
        for number in range(kept):
            service.add(f"keep-{number}")
        return service

    def add(self, name: str, **members: Any) -> str:
        """Create a token, and return its id."""
        number = len(self.tokens) + len(self.seen) + self._updates
        self._updates += 1
        created = LONG_AGO + timedelta(seconds=number)
        id_ = f"{int(created.timestamp()):08x}{number:016x}"
        when = as_api_time(created)
        self.tokens[id_] = {
            "id": id_,
            "apiTokenId": id_,
            "name": name,
            "status": "active",
            "scope": ["all.User"],
            "creationDate": when,
            "lastUpdated": when,
            "ownerId": USER_ID,
            "ownerType": "user",
            "creatorId": USER_ID,
            "creatorType": "user",
            **members,
        }
        return id_

    def touch(self, id_: str, **members: Any) -> None:
        """Change a token as another user."""
        self._updates += 1
        updated = as_api_time(datetime.now(UTC) + timedelta(milliseconds=self._updates))
        self.tokens[id_] = {**self.tokens[id_], **members, "lastUpdated": updated}

    def id_of(self, name: str) -> str:
        """Return the id of a token."""
        return next(id_ for id_, token in self.tokens.items() if token["name"] == name)

    # --- Responses ---------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: str, content: bytes) -> Reply:
        """Carry out a request, unless the test scripts another response."""
        id_ = path.removeprefix("/me/tokens").strip("/")
        body = json.loads(content) if content else {}
        ask = Ask(method, id_, dict(parse_qsl(query)), body, self._asked, self.now())
        self._asked += 1
        if self.is_cut_off:
            return Reply(is_dropped=True)
        reply, has_acted = self.before(ask), False
        if reply is None:
            reply = self._carry_out(ask)
            has_acted = ask.changes and reply.status == 200
            reply = self.after(ask, reply)
        self.seen.append(Seen(ask, has_acted, reply.status))
        return reply

    def _carry_out(self, ask: Ask) -> Reply:
        if not ask.id:
            return Reply(content=self.page(ask, list(self.tokens.values())))
        token = self.tokens.get(ask.id)
        if token is None:
            return problem(404, "NotFound")
        if ask.method == "DELETE":
            del self.tokens[ask.id]
            return Reply(content={"success": True})
        if ask.method == "PATCH":
            self.touch(ask.id, **ask.body)
        return Reply(content=self.tokens[ask.id])

    def page(self, ask: Ask, tokens: list[Json]) -> Json:
        """Return a page of a list of tokens."""
        field = ask.query.get("sortField", "name")
        direction = ask.query.get("sortDirection", "asc")
        number, size = int(ask.query.get("page", 0)), int(ask.query.get("perPage", 100))
        tokens = sorted(
            tokens, key=lambda token: str(token.get(field, "")), reverse=direction == "desc"
        )
        items = tokens[number * size : (number + 1) * size]
        return {
            "items": items,
            "count": len(items),
            "totalCount": len(tokens),
            "page": number,
            "perPage": size,
            "sortField": field,
            "sortDirection": direction,
            "ownerId": USER_ID,
            "ownerType": "user",
        }

    # --- Results -----------------------------------------------------------------------------

    @property
    def changed(self) -> list[str]:
        """The ids of changed tokens, one for each change."""
        return [seen.ask.id for seen in self.seen if seen.has_acted]

    @property
    def asked_to_change(self) -> list[str]:
        """The ids of the tokens in all requests for a change."""
        return [seen.ask.id for seen in self.seen if seen.ask.changes]

    def statuses(self) -> Iterator[int]:
        """The status of each response."""
        return (seen.status for seen in self.seen)


class InProcess(httpx.AsyncBaseTransport):
    """A transport to a service without a socket, so that only the event loop's clock is used."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        if self._service.is_cut_off:
            await anyio.sleep(0.01)
            raise httpx.ReadError("cut off")
        reply = self._service.answer(
            request.method, request.url.path, request.url.query.decode(), request.content
        )
        await anyio.sleep(reply.seconds)
        if reply.is_dropped:
            raise httpx.ReadError("dropped")
        return httpx.Response(reply.status, headers=_headers(reply), content=reply.body)


def _headers(reply: Reply) -> dict[str, str]:
    return {
        "Date": format_datetime(datetime.now(UTC), usegmt=True),
        "Content-Type": "application/json",
        **reply.headers,
    }


@asynccontextmanager
async def listening(service: Service) -> Any:
    """Serve on a loopback port, and yield the base URL."""

    async def connected(stream: ByteStream) -> None:
        async with stream:
            # The client may leave at any time.
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                await _converse(service, stream)

    async with await anyio.create_tcp_listener(
        local_host="127.0.0.1", local_port=service.port
    ) as listener:
        service.port = port = listener.extra(SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, connected)
            yield f"http://127.0.0.1:{port}"
            tasks.cancel_scope.cancel()


async def _converse(service: Service, stream: ByteStream) -> None:
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            buffer += await stream.receive()
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        length = int(headers.get("content-length", 0))
        while len(buffer) < length:
            buffer += await stream.receive()
        content, buffer = buffer[:length], buffer[length:]
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        reply = service.answer(method, path, query, content)
        await anyio.sleep(reply.seconds)
        if reply.is_dropped:
            return
        named = {**_headers(reply), "Content-Length": str(len(reply.body))}
        written = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        await stream.send(f"HTTP/1.1 {reply.status} x\r\n{written}\r\n".encode() + reply.body)


# --- Checks --------------------------------------------------------------------------------------


def check(service: Service, plan: Plan, report: Report | None) -> None:
    """Compare the changes of the service with the plan and with the report.

    Nothing outside the plan was touched, each token that is reported as done was changed, each
    one that is reported as gone is gone, and the outcomes add up.
    """
    planned = {entry.id: entry for entry in plan.entries()}
    outside = set(service.asked_to_change) - planned.keys()
    assert outside == set(), f"asked to change what the plan does not list: {outside}"
    protected = {id_ for id_, entry in planned.items() if entry.protected}
    assert protected.isdisjoint(service.asked_to_change)
    if report is None:
        return
    results = list(report.results())
    assert [result.entry.id for result in results] == list(planned)
    counted = dict.fromkeys(Outcome, 0)
    for result in results:
        if result.outcome is not None:
            counted[result.outcome] += 1
        there = service.tokens.get(result.entry.id)
        if result.outcome is Outcome.GONE:
            assert there is None, f"{result.entry.id} is reported as gone, but exists"
        if result.outcome is Outcome.DONE:
            assert result.entry.id in service.changed, f"{result.entry.id} was not changed by us"
            if plan.header.action == "delete":
                assert there is None, f"{result.entry.id} is reported as done, but exists"
    assert counted == dict(report.counts)
    assert report.pending == sum(result.outcome is None for result in results)
