"""A transport of httpx2 in a client of httpx: requests, responses, errors and the life cycle."""

import ssl
import sys
from collections.abc import AsyncIterator
from typing import Any, Self

import httpx
import httpx2
import pytest
import trio

from losant_tokens import (
    ApiTokenPatch,
    ApiTokenPost,
    AsyncClient,
    RetryPolicy,
    UserCredentials,
    errors,
    httpx_transport,
)
from tests.support.servers import ID, TOKEN
from tests.support.traceback_secrets import frames_that_hold

pytestmark = pytest.mark.skipif(
    httpx.__name__ == "httpx2", reason="httpx2 is in the place of httpx, so nothing is adapted"
)

SECRET = "my-bearer-token"
ONCE = RetryPolicy(attempts=1)


def client(transport: Any, **settings: Any) -> AsyncClient:
    return AsyncClient(SECRET, transport=transport, **{"retry": ONCE, **settings})


async def requests_over(library: Any) -> list[tuple[object, ...]]:
    """Return the requests of some calls, as a transport of a library gets them."""
    seen: list[tuple[object, ...]] = []

    async def handle(request: Any) -> Any:
        timeout = request.extensions["timeout"]
        content = await request.aread()
        headers = sorted((name.lower(), value) for name, value in request.headers.raw)
        seen.append((request.method, str(request.url), headers, content, timeout))
        return library.Response(
            200, json={"id": ID, "items": [], "success": True, "userId": ID, "token": "t"}
        )

    base_url = "https://losant.example:8443/api"
    async with client(library.MockTransport(handle), base_url=base_url, timeout=7) as losant:
        await losant.user_api_token.get(ID, losantdomain="a.example")
        await losant.user_api_tokens.get(filter_field="name", filter="ci ü*")
        await losant.user_api_tokens.post(ApiTokenPost("ci-ü"))
        await losant.user_api_token.patch(ID, ApiTokenPatch(name="ci"))
        await losant.user_api_token.delete(ID)
        await losant.auth.authenticate_user(UserCredentials("a@b.c", "password"))
    return seen


async def test_requests() -> None:
    """A transport of httpx2 gets the same requests as one of httpx."""
    over_httpx, over_httpx2 = [await requests_over(library) for library in (httpx, httpx2)]
    assert over_httpx == over_httpx2
    assert ["GET", "GET", "POST", "PATCH", "DELETE", "POST"] == [line[0] for line in over_httpx2]


@pytest.mark.parametrize("status", [200, 404, 429, 302, 407])
async def test_responses(status: int) -> None:
    """A response over httpx2 has the same result or error as one over httpx."""

    async def outcome(library: Any) -> tuple[object, ...]:
        def handle(request: Any) -> Any:
            headers = {"Retry-After": "3", "Location": "https://evil.example"}
            return library.Response(status, content=TOKEN, headers=headers)

        async with client(library.MockTransport(handle)) as losant:
            try:
                return (await losant.user_api_token.get(ID),)
            except errors.LosantError as error:
                return type(error), str(error), getattr(error, "retry_after", None)

    assert await outcome(httpx) == await outcome(httpx2)


class Unheard(httpx2.ReadError):
    """An error that httpx does not have."""


NAMES = sorted(
    name
    for name, kind in vars(httpx).items()
    if isinstance(kind, type) and issubclass(kind, httpx.TransportError)
)


@pytest.mark.parametrize("name", NAMES)
async def test_errors(name: str) -> None:
    """Each transport error of httpx2 has the same meaning as the one of httpx with its name."""

    async def outcome(library: Any) -> tuple[object, ...]:
        def handle(request: Any) -> Any:
            raise getattr(library, name)(SECRET)

        async with client(library.MockTransport(handle)) as losant:
            with pytest.raises(errors.TransportError) as caught:
                await losant.user_api_token.get(ID)
        error = caught.value
        assert [] == frames_that_hold(error, SECRET)
        return type(error), error.ambiguous, str(error)

    assert await outcome(httpx) == await outcome(httpx2)


@pytest.mark.parametrize(
    ("raised", "kind", "ambiguous", "words"),
    [
        (Unheard(SECRET), errors.TransportError, True, "the response could not be read"),
        (httpx2.HTTPError(SECRET), errors.TransportError, True, "the connection broke"),
        (httpx2.StreamClosed(), errors.TransportError, True, "transport failed: StreamClosed"),
        (httpx2.ProxyError("407 Required"), errors.ConfigurationError, False, "(status 407)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_other_errors(
    raised: Exception, kind: type[Exception], ambiguous: bool, words: str
) -> None:
    """An error that only httpx2 has counts as the nearest one of httpx."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        raise raised

    async with client(httpx2.MockTransport(handle)) as losant:
        with pytest.raises(errors.TransportError, match=r".") as caught:
            await losant.user_api_token.get(ID)
    assert (kind, ambiguous) == (type(caught.value), caught.value.ambiguous)
    assert words in str(caught.value)


async def test_an_untrusted_certificate() -> None:
    """An untrusted certificate is a wrong setting over httpx2, too, and nothing is retried."""
    attempts = 0

    def handle(request: httpx2.Request) -> httpx2.Response:
        nonlocal attempts
        attempts += 1
        error = ssl.SSLCertVerificationError(1, "bad")
        error.verify_message = "self-signed certificate"
        raise httpx2.ConnectError("bad") from error

    async with client(httpx2.MockTransport(handle), retry=RetryPolicy(base=0.001)) as losant:
        with pytest.raises(errors.ConfigurationError, match="failed: self-signed certificate"):
            await losant.user_api_token.get(ID)
    assert 1 == attempts


class Parts(httpx2.AsyncByteStream):
    """A body that comes in parts, and records whether it was left in order."""

    def __init__(self, parts: list[bytes], error: Exception | None = None) -> None:
        self.parts = parts
        self.error = error
        self.read: list[bytes] = []
        self.events: list[str] = []

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for part in self.parts:
                self.read.append(part)
                yield part
            if self.error is not None:
                raise self.error
        finally:
            self.events.append("generator")

    async def aclose(self) -> None:
        self.events.append("stream")


@pytest.mark.parametrize("run", ["asyncio", "trio"])
@pytest.mark.parametrize(
    ("body", "expected", "read"),
    [
        (Parts([TOKEN[:10], TOKEN[10:]]), "ci", 2),
        (Parts([TOKEN[:10]], httpx2.ReadError(SECRET)), errors.TransportError, 1),
        (Parts([TOKEN[:10]], httpx2.ReadTimeout(SECRET)), errors.RequestTimeout, 1),
        (Parts([b"x" * 5_000_000, b"x"]), errors.ResponseError, 1),
    ],
    ids=["whole", "broken", "timeout", "too large"],
)
async def test_bodies(body: Parts, expected: object, read: int, run: str) -> None:
    """A body is read in parts, and closed in order if it is broken or too large."""
    body.read, body.events = [], []

    def handle(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=body)

    async def call() -> object:
        async with client(httpx2.MockTransport(handle)) as losant:
            try:
                return (await losant.user_api_token.get(ID)).name
            except errors.LosantError as error:
                return [] if frames_that_hold(error, SECRET) else type(error)

    found = await call() if run == "asyncio" else trio.run(call)
    assert (expected, read, ["generator", "stream"]) == (found, len(body.read), body.events)


async def test_a_body_that_nobody_reads() -> None:
    """A body that is not read is closed, for example that of a refusal by a proxy."""
    body = Parts([TOKEN])

    def handle(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(407, stream=body)

    async with client(httpx2.MockTransport(handle)) as losant:
        with pytest.raises(errors.ConfigurationError):
            await losant.user_api_token.get(ID)
    assert ([], ["stream"]) == (body.read, body.events)


class Recorded(httpx2.AsyncBaseTransport):
    """Records when it is opened and closed."""

    max_connections = 3

    def __init__(self) -> None:
        self.events: list[str] = []

    async def __aenter__(self) -> Self:
        self.events.append("opened")
        return self

    async def aclose(self) -> None:
        self.events.append("closed")


async def test_the_life_cycle() -> None:
    """The client opens and closes the transport once, and uses its number of connections."""
    transport = Recorded()
    async with client(transport) as losant:
        assert (["opened"], 3) == (transport.events, losant.max_connections)
    await losant.aclose()
    assert ["opened", "closed"] == transport.events


async def test_an_adapter_in_an_httpx_client() -> None:
    """An adapter is a transport like any other, so a client of httpx can close it."""
    from losant_tokens._transports.httpx2_adapter import Httpx2Adapter

    transport = Recorded()
    await Httpx2Adapter(transport).aclose()
    assert ["closed"] == transport.events


@pytest.mark.parametrize(
    ("transport", "described"),
    [
        (httpx2.HTTPTransport, "HTTPTransport"),
        (httpx.HTTPTransport, "HTTPTransport"),
        (httpx2.AsyncClient, "AsyncClient"),
        (lambda: "https://losant.example", "'https://losant.example'"),
    ],
)
def test_a_wrong_transport(transport: Any, described: str) -> None:
    """Only asynchronous transports of httpx and httpx2 are accepted."""
    words = f"must be an asynchronous transport of httpx or httpx2, but it is {described}$"
    with pytest.raises(errors.ValidationError, match=words):
        AsyncClient("t", transport=transport())


def test_without_httpx2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without httpx2, a transport of httpx is used as it is, and any other object is refused."""
    monkeypatch.delitem(sys.modules, "httpx2")
    pool = httpx_transport()
    assert pool is AsyncClient("t", transport=pool)._transport
    with pytest.raises(errors.ValidationError, match="but it is object"):
        AsyncClient("t", transport=object())  # type: ignore[arg-type]
