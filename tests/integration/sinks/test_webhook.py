"""`WebhookSink` and `SlackSink`: messages to a URL that is a secret."""

import json
import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from losant_tokens import RetryPolicy, Secret
from losant_tokens.errors import ValidationError
from losant_tokens.sinks import Message, SinkError, SlackSink, WebhookSink
from tests.support.traceback_secrets import frames_that_hold
from tests.support.wire import Peer, WireServer, response, run, serve

MESSAGE = Message(id="7", title="2 tokens", lines=["a"], data={"count": 2})
PATH = "/services/T0000/B0000/a-secret-path"
HEADER = "Bearer hunter2-hunter2"
FAST = RetryPolicy(base=0.001, deadline=5)


def responses(*contents: bytes) -> Callable[[Peer], None]:
    """Send one response to each request; the last one to all further requests."""
    left = list(contents)

    def play(peer: Peer) -> None:
        while peer.request():
            peer.send(left.pop(0) if len(left) > 1 else left[0])

    return play


def sink_of(server: WireServer, **settings: Any) -> WebhookSink:
    settings = {"headers": {"Authorization": HEADER}, "retry": FAST, **settings}
    return WebhookSink(server.url + PATH, **settings)


@pytest.mark.parametrize("stack", ["httpx-asyncio", "httpx-trio"])
def test_document(stack: str, caplog: pytest.LogCaptureFixture) -> None:
    """The document is posted once to the URL, and no log has the URL or the header."""
    caplog.set_level(logging.DEBUG)
    with serve(responses(response(b"ok"))) as server:
        run(stack, sink_of(server).deliver, MESSAGE)
        run(stack, SlackSink(server.url + PATH).deliver, MESSAGE)

    assert [(seen.method, seen.path) for seen in server.seen] == [("POST", PATH)] * 2
    assert json.loads(server.seen[0].content) == {
        "count": 2,
        "id": "7",
        "title": "2 tokens",
        "text": "2 tokens\n\na",
    }
    assert json.loads(server.seen[1].content)["text"] == "2 tokens"
    assert not [word for word in (PATH, HEADER) if word in caplog.text]


def test_retries() -> None:
    """A document is posted again after 429 and after a failure of the server."""
    busy = response(b"{}", "429 Too Many Requests", "Retry-After: 0\r\n")
    broken = response(b"{}", "503 Service Unavailable")
    with serve(responses(busy, broken, broken, response(b"ok"))) as server:
        anyio.run(sink_of(server).deliver, MESSAGE)

    assert len(server.seen) == 4
    assert len({seen.content for seen in server.seen}) == 1


@pytest.mark.parametrize(
    ("status", "body", "attempts", "ambiguous", "expected"),
    [
        (
            "404 Not Found",
            f"no_service {PATH} {HEADER}".encode(),
            *(1, False, "it responded with 404: no_service **** ****. There is no such webhook,"),
        ),
        ("400 Bad Request", b"", 1, False, "it responded with 400."),
        ("302 Found", b"", 1, False, "it responded with 302, a redirect. Use the URL to"),
        ("500 Internal Server Error", b"x" * 9999, 2, True, "it responded with 500: ...xxx"),
    ],
)
def test_refusals(status: str, body: bytes, attempts: int, ambiguous: bool, expected: str) -> None:
    """A refusal is final, and the error shows the response without the URL and the header."""
    headers = "Location: https://elsewhere.example/\r\n"
    with serve(responses(response(body, status, headers))) as server:
        sink = sink_of(server, retry=RetryPolicy(attempts=2, base=0.001))
        with pytest.raises(SinkError) as caught:
            run("httpx-trio", sink.deliver, MESSAGE)

    assert str(caught.value).startswith(
        f"The webhook at 127.0.0.1 did not accept the message: {expected}"
    )
    assert (len(server.seen), caught.value.ambiguous) == (attempts, ambiguous)
    assert not frames_that_hold(caught.value, "a-secret-path")
    assert not frames_that_hold(caught.value, "hunter2")


def test_no_response() -> None:
    """A server that does not respond in time, or not at all, may have the message."""
    with serve(lambda peer: peer.wait()) as server:
        sink = sink_of(server, timeout=0.05, retry=RetryPolicy(attempts=1))
        with pytest.raises(SinkError, match=r"no response within 0\.05 seconds") as slow:
            anyio.run(sink.deliver, MESSAGE)
    with pytest.raises(SinkError, match="could not connect: Connection refused") as gone:
        anyio.run(sink.deliver, MESSAGE)

    assert (slow.value.ambiguous, gone.value.ambiguous) == (True, False)
    assert not frames_that_hold(gone.value, "a-secret-path")


def test_certificate_is_checked(tls: Any) -> None:
    """A server whose certificate is not trusted gets nothing; one that is trusted gets it."""
    with serve(responses(response(b"ok")), tls.server) as server:
        with pytest.raises(SinkError, match="certificate"):
            anyio.run(sink_of(server).deliver, MESSAGE)
        assert not server.seen
        anyio.run(sink_of(server, verify=tls.client).deliver, MESSAGE)

    assert len(server.seen) == 1


@pytest.mark.parametrize("kind", [WebhookSink, SlackSink])
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("hunter2", "must start with https:// and a host"),
        ("https://", "must start with https:// and a host"),
        ("https://a:hunter2", "is not a URL"),
        ("http://example.com/hunter2", "must start with https://, because others could read it"),
        ("https://user:hunter2@example.com", "must not hold a user name or a password"),
        ("https://a..b/hunter2", "has a host or a port that is not valid"),
        (7, "must be a string"),
    ],
)
def test_url_is_checked(kind: Any, url: Any, problem: str) -> None:
    """Only HTTPS, or HTTP to this machine, is accepted, and the URL is never shown."""
    with pytest.raises(ValidationError, match=problem) as caught:
        kind(url)

    assert "hunter2" not in str(caught.value)
    assert not frames_that_hold(caught.value, "hunter2")


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"Authorization": "hunter2\n"}, "The header Authorization must be a string of printable"),
        ({"A b": "hunter2"}, "The name of a header must be a string of printable"),
    ],
)
def test_headers_are_checked(headers: dict[str, str], problem: str) -> None:
    """A header that cannot be sent is refused, and its value is not shown."""
    with pytest.raises(ValidationError, match=problem) as caught:
        WebhookSink("https://example.com", headers=headers)

    assert "hunter2" not in str(caught.value)


def test_repr() -> None:
    """The repr of a sink shows no secret."""
    sink = WebhookSink(f"http://localhost{PATH}", headers={"Authorization": Secret(HEADER)})

    assert not [word for word in (PATH, HEADER) if word in repr(sink)]
    assert (sink.host, SlackSink(f"https://example.com{PATH}").host) == ("localhost", "example.com")
