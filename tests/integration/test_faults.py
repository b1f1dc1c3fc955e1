"""A server that fails at each stage of a response: each call ends as it should, and none is lost.

A call ends in the right result or in an error of ours, before its deadline; the client works
afterwards; and a POST that may have arrived is never sent again.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from losant_tokens import ApiTokenPatch, ApiTokenPost, AsyncClient, RetryPolicy, errors
from tests.support.wire import (
    ID,
    STACKS,
    Peer,
    chunked,
    good,
    response,
    run,
    serve,
    token,
    transport,
    until_close,
)

METHODS = ("GET", "PATCH", "DELETE", "POST")
TIMEOUT = 5.0  # seconds, which a busy machine does not need
SHORT = 0.3  # seconds, for requests that only a timeout ends
DEADLINE = 20.0
RETRY = RetryPolicy(attempts=3, base=0.001, deadline=DEADLINE)
FRAMES = {"length": response, "chunked": chunked, "until close": until_close}
SLOW = pytest.mark.slow
MOST_STACKS = (
    "httpx-asyncio",
    "httpx-trio",
    "aiohttp-uvloop",
    pytest.param("httpx-uvloop", marks=SLOW),
    pytest.param("aiohttp-asyncio", marks=SLOW),
)

Fault = Callable[[Peer], None]


class Faulty:
    """Fails the first request or connection, and then responds correctly."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._left = 1
        self._lock = threading.Lock()

    def __call__(self, peer: Peer) -> None:
        with self._lock:
            has_fault, self._left = self._left > 0, 0
        if has_fault:
            self._fault(peer)
            return
        answer_all(peer)


def answer_all(peer: Peer) -> None:
    """Respond to each request correctly."""
    while seen := peer.request():
        peer.send(response(good(seen)))


@attrs.frozen
class End:
    """The end of a call, and the requests that the server received."""

    error: Exception | None
    seconds: float
    requests: int
    is_usable: bool


async def call(client: AsyncClient, method: str) -> bool:
    """Call an operation with a method; return whether the result is correct."""
    api = client.user_api_token
    if method == "GET":
        return (await api.get(ID)).id == ID
    if method == "PATCH":
        return (await api.patch(ID, ApiTokenPatch(name="ci"))).id == ID
    if method == "DELETE":
        return (await api.delete(ID)).success is True
    return (await client.user_api_tokens.post(ApiTokenPost(name="ci"))).id == ID


def exercise(stack: str, method: str, fault: Fault, seconds: float = TIMEOUT) -> End:
    """Make a call that meets a fault, and another one after it."""

    async def main() -> End:
        pool = transport(stack, max_connections=1)
        async with AsyncClient(
            "t", base_url=server.url, transport=pool, timeout=seconds, retry=RETRY
        ) as client:
            began = time.monotonic()
            error: Exception | None = None
            try:
                assert await call(client, method)
            except errors.LosantError as raised:
                error = raised
            took = time.monotonic() - began
            requests = len(server.seen)
            is_usable = (await client.user_api_token.get(ID)).id == ID
            return End(error, took, requests, is_usable and client._session.in_flight == 0)

    with serve(Faulty(fault)) as server:
        end = run(stack, main)
    assert isinstance(end, End)
    return end


def check(
    stack: str,
    fault: Fault,
    *,
    methods: tuple[str, ...] = METHODS,
    kinds: tuple[type, ...] = (),
    seconds: float = TIMEOUT,
) -> None:
    """Check that a retry overcomes a fault with each method, except for a POST."""
    for method in methods:
        end = exercise(stack, method, fault, seconds)
        context = (stack, method, end)
        assert end.is_usable, context
        assert end.seconds < DEADLINE, context
        if method == "POST":
            assert end.requests <= 1 or isinstance(end.error, errors.ConnectFailed), context
        expected = kinds or ((errors.TransportError,) if method == "POST" else (type(None),))
        assert isinstance(end.error, expected), context


# --- Before a response ----------------------------------------------------------------------------


def reset_at_once(peer: Peer) -> None:
    peer.reset()


def close_at_once(peer: Peer) -> None:
    peer.close()


def reset_after_request(peer: Peer) -> None:
    peer.request()
    peer.reset()


def close_after_request(peer: Peer) -> None:
    peer.request()


def stall(peer: Peer) -> None:
    peer.wait()


BEFORE = (reset_at_once, close_at_once, reset_after_request, close_after_request, stall)


@pytest.mark.sweep(sample=8)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("fault", BEFORE, ids=lambda fault: fault.__name__)
def test_before_a_response(stack: str, fault: Fault) -> None:
    """A connection that is cut or silent before a response fails a POST, and nothing else.

    A cut at once may be seen before anything is sent. Then a POST is safe to send again.
    """
    if fault in (reset_at_once, close_at_once):
        for method in METHODS:
            end = exercise(stack, method, fault)
            assert (1, True) == (end.requests + (end.error is not None), end.is_usable), method
    else:
        check(stack, fault, seconds=SHORT if fault is stall else TIMEOUT)


@pytest.mark.parametrize("stack", STACKS)
def test_refused(stack: str) -> None:
    """A closed port is a failure to connect for each method, and not ambiguous."""
    with serve(stall) as server:
        pass

    async def main() -> list[errors.ConnectFailed]:
        found = []
        async with AsyncClient(
            "t", base_url=server.url, transport=transport(stack), retry=RETRY
        ) as client:
            for method in METHODS:
                with pytest.raises(errors.ConnectFailed) as caught:
                    await call(client, method)
                found.append(caught.value)
        return found

    found = run(stack, main)
    assert [(errors.ConnectFailed, False)] * 4 == [
        (type(error), error.ambiguous) for error in found
    ]


# --- Within a response ----------------------------------------------------------------------------


def cut(frame: str, at: float, how: str) -> Fault:
    """Return a fault that sends a part of a response, and then closes, resets or stalls."""

    def fault(peer: Peer) -> None:
        seen = peer.request()
        if not seen:
            return  # On a busy machine, a client may time out before it has sent its request.
        whole = FRAMES[frame](good(seen))
        peer.send(whole[: round(len(whole) * at) if type(at) is float else int(at)])
        if how == "reset":
            time.sleep(0.002)  # so that the data is read before the reset discards it
            peer.reset()
        elif how == "stall":
            peer.wait()

    return fault


STAGES = (2, 12, 16, 30, 0.6, 0.97, -1)
"""In the status line, after it, in the headers, in the body, before its last byte."""


@pytest.mark.sweep(sample=16)
@pytest.mark.parametrize(
    "stack",
    [
        "httpx-asyncio",
        "httpx-trio",
        "aiohttp-asyncio",
        *(pytest.param(stack, marks=SLOW) for stack in ("httpx-uvloop", "aiohttp-uvloop")),
    ],
)
@pytest.mark.parametrize("frame", ["length", pytest.param("chunked", marks=SLOW)])
@pytest.mark.parametrize("at", STAGES)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_cut(stack: str, frame: str, at: float, how: str) -> None:
    """A response that ends early is an ambiguous failure."""
    check(stack, cut(frame, at, how))


@pytest.mark.slow
@pytest.mark.parametrize("stack", ["httpx-asyncio", "httpx-trio", "aiohttp-asyncio"])
@pytest.mark.parametrize("frame", ["length", "chunked"])
@pytest.mark.parametrize("rest", range(4))
def test_cut_at_every_byte(stack: str, frame: str, rest: int) -> None:
    """The same is true for every byte at which a response may end.

    Each byte has a POST and one other method, and every eighth has a reset.
    """
    shortest = len(FRAMES[frame](b'{"success":true}'))
    for at in range(rest, shortest, 4):
        how = "reset" if at % 8 == 3 else "close"
        check(stack, cut(frame, at, how), methods=("POST", METHODS[at % 3]))


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize(
    "stack",
    [
        "httpx-trio",
        "aiohttp-asyncio",
        pytest.param("httpx-asyncio", marks=SLOW),
        pytest.param("httpx-uvloop", marks=SLOW),
        pytest.param("aiohttp-uvloop", marks=SLOW),
    ],
)
@pytest.mark.parametrize("frame", ["length", pytest.param("chunked", marks=SLOW)])
@pytest.mark.parametrize(
    "at", [0.9, *(pytest.param(at, marks=SLOW) for at in (2, 16, 30, 0.6, 0.97, -1))]
)
def test_stall(stack: str, frame: str, at: float) -> None:
    """A response that stalls leads to a timeout."""
    check(stack, cut(frame, at, "stall"), seconds=SHORT)


@pytest.mark.sweep(sample=2)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("how", ["close", "stall"])
def test_until_close(stack: str, how: str) -> None:
    """A body that ends with the connection is complete if the connection is closed."""
    fault = cut("until close", 1.0, how)
    kinds, seconds = ((), SHORT) if how == "stall" else ((type(None),), TIMEOUT)
    check(stack, fault, kinds=kinds, seconds=seconds)


@pytest.mark.parametrize("stack", STACKS)
def test_until_close_too_early(stack: str) -> None:
    """A body that ends with the connection in the middle of its JSON is an error."""
    check(stack, cut("until close", -2, "close"), kinds=(errors.ResponseError,))


# --- Slow, and wrong ------------------------------------------------------------------------------


def drip(peer: Peer) -> None:
    """Send a complete response, a few bytes at a time."""
    seen = peer.request()
    assert seen
    whole = response(good(seen))
    for at in range(0, len(whole), 8):
        peer.send(whole[at : at + 8])
        time.sleep(0.0005)
    answer_all(peer)


def drip_without_end(peer: Peer) -> None:
    """Send a header without an end, slowly, for longer than any timeout."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(1000):
        peer.send(b"x")
        time.sleep(0.01)


def early(peer: Peer) -> None:
    """Respond before the request, and close."""
    peer.send(response(b"{}", "503 Service Unavailable"))
    peer.request()


@pytest.mark.parametrize("stack", STACKS)
def test_drip(stack: str) -> None:
    """A slow response is read."""
    check(stack, drip, kinds=(type(None),))


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("stack", STACKS)
def test_drip_without_end(stack: str) -> None:
    """A response without an end leads to a timeout, even if data arrives all the time."""
    check(stack, drip_without_end, seconds=SHORT)


@pytest.mark.parametrize("stack", STACKS)
def test_early(stack: str) -> None:
    """A 503 before the request was read is retried, except for a POST."""
    for method in METHODS:
        end = exercise(stack, method, early)
        kind = errors.ServerError if method == "POST" else type(None)
        assert (True, kind) == (end.is_usable, type(end.error)), (stack, method, end)


def wrong(content: bytes) -> Fault:
    """Return a fault that sends invalid content and closes the connection."""

    def fault(peer: Peer) -> None:
        peer.request()
        peer.send(content)

    return fault


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TOKEN = token()
NOT_HTTP = {
    "no status line": b"nonsense\r\n\r\n",
    "another protocol": b"\x15\x03\x03\x00\x02\x02\x46",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18),
    "status without digits": b"HTTP/1.1 abc OK\r\n\r\n",
    "header without colon": HEAD + b"broken\r\n\r\n" + TOKEN,
    "NUL in a header": HEAD + b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "length too long": HEAD + b"Content-Length: 999\r\n\r\n" + TOKEN,
    "length no number": HEAD + b"Content-Length: x\r\n\r\n" + TOKEN,
    "length negative": HEAD + b"Content-Length: -5\r\n\r\n" + TOKEN,
    "two lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + TOKEN,
    "chunk size no number": HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "chunk too long": HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n{}\r\n0\r\n\r\n",
    "no last chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "a header too large": HEAD + b"X: " + b"x" * 200_000,
    "headers without end": HEAD + b"X: x\r\n" * 40_000,
}


@pytest.mark.sweep(sample=15)
@pytest.mark.parametrize("stack", MOST_STACKS)
@pytest.mark.parametrize("name", NOT_HTTP)
def test_not_http(stack: str, name: str) -> None:
    """Invalid HTTP is an ambiguous failure."""
    check(stack, wrong(NOT_HTTP[name]))


NOT_THE_API = {
    "length too short": HEAD + b"Content-Length: 9\r\n\r\n" + TOKEN,
    "an odd status": b"HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\n[]",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://h/\r\nContent-Length: 0\r\n\r\n",
    "a page": response(b"<html>"),
}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", NOT_THE_API)
def test_not_the_api(stack: str, name: str) -> None:
    """A response that the API cannot have sent is a `ResponseError`, and is not retried."""
    check(stack, wrong(NOT_THE_API[name]), kinds=(errors.ResponseError,))


@pytest.mark.parametrize("stack", STACKS)
def test_informational(stack: str) -> None:
    """Responses of class 1xx before the final one are skipped."""

    def fault(peer: Peer) -> None:
        seen = peer.request()
        assert seen
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n", hints, response(good(seen)))
        answer_all(peer)

    check(stack, fault, kinds=(type(None),))


# --- The messages of errors -----------------------------------------------------------------------

SECRET = "my-secret-token"
QUOTED = {
    "status line": f"{SECRET}\r\n\r\n",
    "status": f"HTTP/1.1 {SECRET}\r\n\r\n",
    "reason": f"HTTP/1.1 400 {SECRET}\r\nContent-Length: 0\r\n\r\n",
    "header": f"HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n",
    "header name": f"HTTP/1.1 200 OK\r\n({SECRET}): x\r\n\r\n",
    "header value": f"HTTP/1.1 200 OK\r\nX: \x00{SECRET}\r\n\r\n",
    "length": f"HTTP/1.1 200 OK\r\nContent-Length: {SECRET}\r\n\r\n",
    "coding": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {SECRET}\r\n\r\n",
    "chunk size": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n",
    "encoding": f"HTTP/1.1 200 OK\r\nContent-Encoding: {SECRET}\r\nContent-Length: 2\r\n\r\n[]",
    "type": f"HTTP/1.1 200 OK\r\nContent-Type: {SECRET}\r\nContent-Length: 2\r\n\r\n[]",
    "type with parameter": (
        f"HTTP/1.1 200 OK\r\nContent-Type: text/html; a={SECRET}\r\nContent-Length: 2\r\n\r\n[]"
    ),
    "location": f"HTTP/1.1 302 Found\r\nLocation: /{SECRET}\r\nContent-Length: 0\r\n\r\n",
    "retry-after": f"HTTP/1.1 429 No\r\nRetry-After: {SECRET}\r\nContent-Length: 0\r\n\r\n",
    "body": f"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n[{SECRET}]",
}


@pytest.mark.sweep(sample=15)
@pytest.mark.parametrize("stack", MOST_STACKS)
@pytest.mark.parametrize("place", QUOTED)
def test_nothing_is_quoted(stack: str, place: str, caplog: Any) -> None:
    """Neither an error nor the log quotes the server."""
    import pickle
    import traceback

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(QUOTED[place].encode())

    async def main() -> None:
        once = RetryPolicy(attempts=1)
        async with AsyncClient(
            "t", base_url=server.url, transport=transport(stack), retry=once, timeout=1
        ) as client:
            await client.user_api_token.get(ID)

    caplog.set_level("DEBUG", "losant_tokens")
    with serve(play) as server, pytest.raises(errors.LosantError) as caught:
        run(stack, main)
    error = caught.value
    shown = traceback.TracebackException.from_exception(error, capture_locals=False)
    for text in (str(error), repr(error), repr(error.args), "".join(shown.format()), caplog.text):
        assert SECRET not in text
    # The headers of a response are data for the caller, like a body. Nothing else quotes them.
    vars(error).pop("headers", None)
    assert SECRET.encode() not in pickle.dumps(error)
    assert SECRET not in repr(vars(error))
