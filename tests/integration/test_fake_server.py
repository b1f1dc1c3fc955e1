"""The fake on a real port."""

import asyncio
import contextlib
import gc
import logging
import socket
import threading
import time
import warnings
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
import trio
import uvicorn
from uvicorn.server import ServerState

from losant_tokens import ApiTokenPost, AsyncClient
from losant_tokens.testing import FakeLosant
from losant_tokens.testing._server import _bind, _Protocol


def fetch(base_url: str, fake: FakeLosant, timeout: float = 1.0) -> Any:
    """Request the list, and return the status or the class of the error."""
    headers = {"Authorization": f"Bearer {fake.admin_token}"}
    try:
        return httpx.get(f"{base_url}/me/tokens", headers=headers, timeout=timeout).status_code
    except httpx.TransportError as error:
        return type(error)


def server_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "fake-losant"]


def test_blocking(fake: FakeLosant) -> None:
    """A `with` block serves the fake to blocking clients, and leaves no thread and no port."""
    with fake.serve() as base_url:
        actual = fetch(base_url, fake)

    assert actual == 200
    assert server_threads() == []
    assert fetch(base_url, fake) is httpx.ConnectError


async def test_async(fake: FakeLosant) -> None:
    """An `async with` block serves the fake to many clients on the same loop."""
    fake.seed(3)
    headers = {"Authorization": f"Bearer {fake.admin_token}"}
    async with (
        fake.serve() as base_url,
        httpx.AsyncClient(base_url=base_url, headers=headers) as client,
    ):
        answers = await asyncio.gather(*(client.get("/me/tokens") for _ in range(20)))
        client_sees = {answer.json()["totalCount"] for answer in answers}

    assert client_sees == {3}
    assert len(fake.requests) == 20


@pytest.fixture
async def base_url(fake: FakeLosant) -> AsyncIterator[str]:
    async with fake.serve() as url:
        yield url


async def test_in_a_fixture(fake: FakeLosant, base_url: str) -> None:
    """A fixture can serve the fake, although its set-up and tear-down are different tasks."""
    assert await anyio.to_thread.run_sync(fetch, base_url, fake) == 200


def test_on_trio(fake: FakeLosant) -> None:
    """The fake can be served under trio."""

    async def main() -> Any:
        async with fake.serve() as base_url:
            return await anyio.to_thread.run_sync(fetch, base_url, fake)

    assert trio.run(main) == 200


def test_port(fake: FakeLosant) -> None:
    """A port can be chosen; a port in use is an error at once, and the fake is still usable."""
    serving = fake.serve()
    with serving as first:
        port = int(first.rpartition(":")[2])
        with pytest.raises(OSError, match=r"in use|Only one usage"), fake.serve(port):
            pass  # pragma: no cover
        with pytest.raises(RuntimeError, match="already in use"):
            serving.__enter__()
    with fake.serve(port) as second:
        actual = fetch(second, fake)

    assert (first, 200) == (second, actual)


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("localhost", "http://localhost:"),
        ("0.0.0.0", "http://127.0.0.1:"),
        ("::1", "http://[::1]:"),
        ("::", "http://[::1]:"),
    ],
)
def test_host(fake: FakeLosant, host: str, base_url: str) -> None:
    """The fake listens on any address of this machine, and its base URL has that address."""
    if ":" in host and not _has_ipv6():  # pragma: no cover  -- as in some containers
        pytest.skip("this machine has no IPv6")
    with fake.serve(host=host) as served:
        assert served.startswith(base_url)
        assert fetch(served, fake) == 200


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:  # pragma: no cover  -- as in some containers
        return False
    return True


def test_every_address(fake: FakeLosant) -> None:
    """A fake that listens on every address can be reached at other addresses too."""
    with fake.serve(host="0.0.0.0") as base_url:
        assert fetch(base_url.replace("127.0.0.1", "127.0.0.2"), fake) == 200


async def test_in_another_container(fake: FakeLosant) -> None:
    """A client that uses a container's host name can use its token and the tokens it creates."""
    options: Any = {"base_url": "http://losant-fake:8080", "insecure_http": True}
    async with AsyncClient(fake.admin_token, transport=fake.transport(), **options) as client:
        created = await client.user_api_tokens.post(ApiTokenPost("ci", scope=["all.User"]))
    async with AsyncClient(created.token, transport=fake.transport(), **options) as client:
        listed = await client.user_api_tokens.get()

    assert [created.id] == [token.id for token in listed.items]


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_address_of_another_machine(fake: FakeLosant, host: str) -> None:
    """An address that this machine does not have is an error at once."""
    with pytest.raises(OSError, match=r".+"), fake.serve(host=host):
        pass  # pragma: no cover


def test_one_date(fake: FakeLosant) -> None:
    """A response over a socket has one date, from the fake's clock."""
    fake.fail(status=503, headers={"Date": "Thu, 01 Jan 1970 00:00:00 GMT"}, skip=1)
    fake.fail("html")
    with fake.serve() as base_url:
        dates = [httpx.get(base_url).headers.get_list("date") for _ in range(3)]

    expected = "Sun, 01 Mar 2026 12:00:00 GMT"
    assert [[expected], ["Thu, 01 Jan 1970 00:00:00 GMT"], [expected]] == dates


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("drop", httpx.RemoteProtocolError),
        ("truncate", httpx.RemoteProtocolError),
        ("hang", httpx.ReadTimeout),
        ("latency", 200),
        ("status", 500),
    ],
)
def test_faults(
    fake: FakeLosant, caplog: pytest.LogCaptureFixture, kind: Any, expected: Any
) -> None:
    """A real client meets each fault, and the server logs nothing."""
    with fake.serve() as base_url:
        fake.fail(kind, seconds=0.01)
        actual = fetch(base_url, fake, timeout=0.2)
        after = fetch(base_url, fake)

    assert (actual, after) == (expected, 200)
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


def exchange(base_url: str, request: bytes) -> bytes:
    """Send bytes and read until the server closes the connection."""
    host, _, port = base_url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(4096):
            received += chunk
    return received


def test_bytes_on_the_wire(fake: FakeLosant) -> None:
    """A dropped response has no byte; a truncated one is shorter than its content-length."""
    request = (
        b"GET /me/tokens HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        + fake.admin_token.encode()
        + b"\r\n\r\n"
    )
    fake.seed(500)
    fake.fail("drop")
    fake.fail("truncate")
    with fake.serve() as base_url:
        dropped = exchange(base_url, request)
        head, _, body = exchange(base_url, request).partition(b"\r\n\r\n")

    promised = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert dropped == b""
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert len(body) == promised // 2


def test_half_a_request(fake: FakeLosant, caplog: pytest.LogCaptureFixture) -> None:
    """An incomplete request changes nothing, and is not in the request log."""
    with fake.serve() as base_url:
        host, _, port = base_url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(
                b"POST /me/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{}"
            )
            while not fake.requests:
                time.sleep(0.005)
        actual = fetch(base_url, fake)

    assert actual == 200
    assert [request.status for request in fake.requests] == [None, 200]
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


@pytest.mark.parametrize("fault", [{"kind": "hang"}, {"kind": "latency", "seconds": 60.0}])
def test_stops_promptly(
    fake: FakeLosant, caplog: pytest.LogCaptureFixture, fault: dict[str, Any]
) -> None:
    """The end of the block ends hanging requests at once, and logs nothing."""
    caplog.set_level(logging.DEBUG, logger="uvicorn")
    fake.fail(**fault)
    seen: list[Any] = []
    serving = fake.serve()
    with serving as base_url:
        caller = threading.Thread(target=lambda: seen.append(fetch(base_url, fake, timeout=5)))
        caller.start()
        while not fake.requests:
            time.sleep(0.005)
        started = time.monotonic()
    took = time.monotonic() - started
    caller.join()

    assert took < 0.5
    assert seen[0] in {httpx.ReadError, httpx.RemoteProtocolError}
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


async def test_stops_when_cancelled(fake: FakeLosant) -> None:
    """A cancelled block stops its server as well."""
    with anyio.move_on_after(0.05):
        async with fake.serve():
            await anyio.sleep_forever()

    assert server_threads() == []


async def test_connection_accepted_while_stopping() -> None:
    """A connection that is accepted while the server stops is closed, so the stop completes."""
    stop = asyncio.Event()
    stop.set()
    config = uvicorn.Config(FakeLosant().app, ws="none", lifespan="off", log_config=None)
    server = await asyncio.get_running_loop().create_server(
        lambda: _Protocol(stop, config=config, server_state=ServerState(), app_state={}),
        "127.0.0.1",
    )
    async with server:
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()


async def test_a_client_that_connects_as_the_server_stops(fake: FakeLosant) -> None:
    """A connection that is accepted in the iteration of the event loop that stops is closed."""
    serving, ready = fake.serve(), threading.Event()
    sock = _bind("127.0.0.1", 0)
    with warnings.catch_warnings(record=True) as caught, socket.socket() as client:
        warnings.simplefilter("always")
        server = asyncio.create_task(serving._serve(sock, ready))
        await asyncio.to_thread(ready.wait)
        client.connect(sock.getsockname())
        assert serving._stop is not None
        # This runs before the event loop accepts the connection, in the same iteration.
        asyncio.get_running_loop().call_soon(serving._stop.set)
        await server
        client.settimeout(2)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
        gc.collect()

    assert [str(warning.message) for warning in caught] == []


async def test_large_body_over_the_wire(fake: FakeLosant) -> None:
    """A body above 1 MiB is a 413, and the connection can be reused."""
    async with (
        fake.serve() as base_url,
        httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {fake.admin_token}"},
            limits=httpx.Limits(max_connections=1),
        ) as client,
    ):
        too_much = await client.post("/me/tokens", json={"name": "x" * 1024 * 1024})
        after = await client.get("/me/tokens")

    assert (too_much.status_code, too_much.content, after.status_code) == (413, b"", 200)


async def test_other_servers(fake: FakeLosant) -> None:
    """The application runs in any ASGI server, with its lifespan; a drop is an error there."""
    sent: list[Any] = []
    events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        return next(events)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await fake.app({"type": "lifespan", "state": {}}, receive, send)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(fake.app)) as client:
        status = (await client.get("http://fake/me/tokens")).status_code
        fake.fail("drop")
        with pytest.raises(Exception, match="the fake closed the connection"):
            await client.get("http://fake/me/tokens")

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert status == 403


@pytest.mark.slow
def test_many_threads(fake: FakeLosant) -> None:
    """Tokens can be added in one thread while the server responds in another."""
    with fake.serve() as base_url:
        threads = [threading.Thread(target=fake.seed, args=(50,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        statuses = {fetch(base_url, fake) for _ in range(10)}
        for thread in threads:
            thread.join()

    assert statuses == {200}
    assert len({token.id for token in fake.tokens()}) == 200
