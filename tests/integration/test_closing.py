"""Check closing a client: in use, cancelled, drained, twice, early, never, and elsewhere."""

import asyncio
import gc
import inspect
import threading
import warnings
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Self

import anyio
import httpx
import pytest
import trio
from anyio.abc import ByteStream

from losant_tokens import AsyncClient, RetryPolicy, aiohttp_transport, errors, httpx_transport
from losant_tokens.errors import ClientStateError, ValidationError
from tests.support.cancellation import Sweep, Way
from tests.support.servers import ID, answer, respond, serve

POOLS: dict[str, Callable[..., httpx.AsyncBaseTransport]] = {
    "httpx": httpx_transport,
    "aiohttp": aiohttp_transport,
}


async def outcome(call: Awaitable[object]) -> Any:
    try:
        return type(await call)
    except (errors.LosantError, asyncio.CancelledError) as error:
        return error


def mock(handler: Any, **settings: Any) -> AsyncClient:
    transport = httpx.MockTransport(handler)
    return AsyncClient("t", base_url="https://h", transport=transport, **settings)


class Connections:
    """Counts the open connections of a server.

    Attributes:
        open: The number of open connections.
    """

    def __init__(self) -> None:
        self.open = 0
        self._known: set[int] = set()

    async def __call__(self, stream: ByteStream, head: bytes) -> None:
        await respond(stream, head)
        if id(stream) not in self._known:
            self._known.add(id(stream))
            self.open += 1
            try:
                async for _ in stream:
                    await respond(stream, head)
            finally:
                self.open -= 1

    async def are_closed(self) -> bool:
        for _ in range(200):
            if not self.open:
                return True
            await anyio.sleep(0.01)
        return False


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("way", ["task", "task, with the result", "scope"])
async def test_cancelled_at_every_point(pool: str, way: Way) -> None:
    """If closing is cancelled at any point, no connection stays open."""
    for at in range(1, 50):
        connections = Connections()
        async with serve(connections) as url:
            client = AsyncClient("t", base_url=url, transport=POOLS[pool](max_connections=3))
            await client.open()
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(client.user_api_token.get, ID)
            run = Sweep(way, at)
            await run.run(client.aclose())
            with anyio.fail_after(1):
                await client.aclose()
            assert await connections.are_closed()
        if not run.has_cancelled:
            return
    raise AssertionError("closing never came to its end")


def test_cancelled_under_trio() -> None:
    """A cancellation on trio does not end the closing early."""

    async def main() -> None:
        connections = Connections()
        async with serve(connections) as url:
            client = AsyncClient("t", base_url=url)
            await client.open()
            await client.user_api_token.get(ID)
            with anyio.CancelScope() as scope:
                scope.cancel()
                await client.aclose()
            assert await connections.are_closed()

    trio.run(main)


async def test_a_pool_that_does_not_close() -> None:
    """Closing ends after a limit if the pool never closes."""

    class Stuck(httpx.MockTransport):
        async def aclose(self) -> None:
            await anyio.sleep_forever()

    client = AsyncClient("t", transport=Stuck(lambda _: httpx.Response(200)))
    await client.open()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("losant_tokens._calls.session._MAX_CLOSING", 0.05)
        with anyio.fail_after(10):
            await client.aclose()


@pytest.mark.parametrize("pool", POOLS)
async def test_in_flight(pool: str) -> None:
    """A deletion in flight succeeds or is an ambiguous error."""
    arrived = anyio.Event()

    async def slowly(stream: ByteStream, head: bytes) -> None:
        arrived.set()
        await anyio.sleep(0.2)
        await stream.send(answer(b'{"success":true}'))

    found: list[Any] = []

    async def delete(client: AsyncClient) -> None:
        found.append(await outcome(client.user_api_token.delete(ID)))

    async with serve(slowly) as url, anyio.create_task_group() as tasks:
        client = AsyncClient("t", base_url=url, transport=POOLS[pool](max_connections=1))
        await client.open()
        tasks.start_soon(delete, client)
        await arrived.wait()
        tasks.start_soon(delete, client)
        await anyio.sleep(0.01)
        await client.aclose()
    waiting, sent = sorted(found, key=lambda one: not isinstance(one, ClientStateError))
    assert isinstance(waiting, ClientStateError)
    assert getattr(sent, "ambiguous", True)
    assert not isinstance(sent, ClientStateError)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (httpx.ReadError("cut"), errors.TransportError),
        (503, errors.ServerError),
        (httpx.ConnectError("no"), errors.ConnectFailed),
        (429, errors.TooManyRequests),
    ],
    ids=str,
)
async def test_closed_during_an_attempt(failure: Any, expected: type[Exception]) -> None:
    """If an attempt fails after the client was closed, its error is raised without a retry."""
    arrived, release = anyio.Event(), anyio.Event()

    async def handle(request: httpx.Request) -> httpx.Response:
        arrived.set()
        await release.wait()
        if isinstance(failure, Exception):
            raise failure
        return httpx.Response(failure)

    client = mock(handle)
    await client.open()
    task = asyncio.ensure_future(outcome(client.user_api_token.delete(ID)))
    await arrived.wait()
    await client.aclose()
    release.set()
    assert type(await task) is expected


@pytest.mark.parametrize(
    ("failure", "expected"),
    [(httpx.ReadError("cut"), errors.TransportError), (httpx.ConnectError("no"), ClientStateError)],
    ids=str,
)
async def test_closed_during_a_backoff(failure: Exception, expected: type[Exception]) -> None:
    """A call that waits for a retry ends at once; an ambiguous failure is raised."""

    def handle(request: httpx.Request) -> httpx.Response:
        raise failure

    client = mock(handle, retry=RetryPolicy(base=20, cap=20))
    await client.open()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("losant_tokens._calls.call.random.random", lambda: 1.0)
        task = asyncio.ensure_future(outcome(client.user_api_token.delete(ID)))
        await asyncio.sleep(0.05)
        await client.aclose()
        with anyio.fail_after(10):
            assert type(await task) is expected


async def test_closed_while_rate_limited() -> None:
    """Calls that wait for the rate limiter end at once, with the error of a closed client."""
    client = mock(lambda _: httpx.Response(429, headers={"retry-after": "30"}))
    await client.open()
    calls = [asyncio.ensure_future(outcome(client.user_api_token.get(ID))) for _ in range(3)]
    await asyncio.sleep(0.05)
    later = asyncio.ensure_future(outcome(client.user_api_token.get(ID)))
    await asyncio.sleep(0)
    await client.aclose()
    with anyio.fail_after(10):
        assert [type(await call) for call in (later, *calls)] == [ClientStateError] * 4


@pytest.mark.parametrize(
    ("failure", "expected"),
    [(httpx.ReadError("cut"), errors.TransportError), (httpx.ConnectError("no"), ClientStateError)],
    ids=str,
)
async def test_closed_while_a_retry_waits_for_a_connection(
    failure: Exception, expected: type[Exception]
) -> None:
    """A retry that waits for a connection ends at once, as one in its backoff does."""
    requests = 0

    async def handle(request: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        if requests == 1:
            await asyncio.sleep(0.01)
            raise failure
        await anyio.sleep_forever()
        raise AssertionError

    client = mock(handle, max_connections=1, retry=RetryPolicy(base=1e-6))
    await client.open()
    first = asyncio.ensure_future(outcome(client.user_api_token.delete(ID)))
    second = asyncio.ensure_future(outcome(client.user_api_token.delete(ID)))
    await asyncio.sleep(0.1)
    await client.aclose()
    with anyio.fail_after(10):
        assert type(await first) is expected
    second.cancel()


@pytest.mark.parametrize("when", ["before the page is asked for", "while it is read"])
async def test_the_reader_of_a_list(when: str) -> None:
    """The reader of a list gets an error, and no cancellation."""

    async def page(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["page"])
        if number:
            await anyio.sleep_forever()
        items = [{"id": f"{number:024x}"}]
        return httpx.Response(200, json={"items": items, "totalCount": 9, "perPage": 1})

    client = mock(page)
    await client.open()
    tokens = client.user_api_tokens.iter(per_page=1)
    assert (await anext(tokens)).id == "0" * 24
    if when == "while it is read":
        reader = asyncio.ensure_future(outcome(anext(tokens)))
        await asyncio.sleep(0.01)
        await client.aclose()
    else:
        await client.aclose()
        reader = asyncio.ensure_future(outcome(anext(tokens)))
    assert type(await reader) is ClientStateError


async def test_closed_while_it_is_opened() -> None:
    """If a client is closed while its pool opens, the pool is closed as well."""
    release, events = anyio.Event(), []

    class Slow(httpx.MockTransport):
        async def __aenter__(self) -> Self:
            await release.wait()
            return self

        async def aclose(self) -> None:
            events.append("closed")

    client = AsyncClient("t", transport=Slow(lambda _: httpx.Response(200)))
    opening = asyncio.ensure_future(client.open())
    await asyncio.sleep(0)
    with pytest.raises(ClientStateError, match="is being opened, and it can be opened only once"):
        await client.open()
    await client.aclose()
    release.set()
    with pytest.raises(ClientStateError, match="closed while it was being opened"):
        await opening
    assert events == ["closed"]


async def test_a_pool_that_does_not_open() -> None:
    """A client whose pool failed to open can be opened again."""
    failures: list[Exception] = [OSError("no")]

    class Shy(httpx.MockTransport):
        async def __aenter__(self) -> Self:
            if failures:
                raise failures.pop()
            return self

    client = AsyncClient("t", transport=Shy(lambda _: httpx.Response(200, json={"id": ID})))
    with pytest.raises(OSError, match="no"):
        await client.open()
    async with client:
        assert (await client.user_api_token.get(ID)).id == ID


async def test_closed_before_it_is_opened() -> None:
    """A client that was closed before it was opened cannot be opened."""
    client = AsyncClient("t")
    await client.aclose()
    with pytest.raises(ClientStateError, match="is closed, and it can be opened only once"):
        await client.open()


@pytest.mark.parametrize("elsewhere", [asyncio.run, trio.run])
async def test_closed_from_another_loop(elsewhere: Callable[..., Any]) -> None:
    """Closing from another event loop is an error, and the client remains usable."""
    async with serve(respond) as url, AsyncClient("t", base_url=url) as client:
        await client.user_api_token.get(ID)
        close = client.aclose() if elsewhere is asyncio.run else client.aclose
        caught: list[BaseException] = []

        def run() -> None:
            try:
                elsewhere(close)
            except ClientStateError as error:
                caught.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        await anyio.to_thread.run_sync(partial(thread.join, 5))
        assert [type(error) for error in caught] == [ClientStateError]
        assert "another event loop" in str(caught[0])
        assert (await client.user_api_token.get(ID)).id == ID


async def test_closed_without_a_loop() -> None:
    """Closing in a thread without an event loop is an error."""
    async with AsyncClient("t") as client:

        def step() -> None:
            with pytest.raises(ClientStateError, match="another event loop"):
                client.aclose().send(None)

        await anyio.to_thread.run_sync(step)


# --- Draining ----------------------------------------------------------------------------------


def slow_pool(seconds: float, *statuses: int) -> tuple[AsyncClient, list[int]]:
    """Return a client whose responses take some time, and the statuses that it was sent."""
    sent: list[int] = []

    async def handle(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(seconds)
        sent.append(statuses[min(len(sent), len(statuses) - 1)])
        return httpx.Response(sent[-1], json={"success": True})

    return mock(handle, retry=RetryPolicy(base=1e-6)), sent


@pytest.mark.parametrize("statuses", [[200], [503, 503, 200]], ids=str)
async def test_calls_may_end_during_a_drain(statuses: list[int]) -> None:
    """A drain waits for calls that have begun, with their retries."""
    client, sent = slow_pool(0.01, *statuses)
    await client.open()
    call = asyncio.ensure_future(client.user_api_token.delete(ID))
    await asyncio.sleep(0)

    await client.aclose(drain=60)

    assert call.done()
    assert (await call).success
    assert sent == statuses


async def test_new_calls_are_refused_during_a_drain() -> None:
    """A drain refuses new calls at once."""
    client, sent = slow_pool(0.02, 200)
    await client.open()
    call = asyncio.ensure_future(client.user_api_token.delete(ID))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(client.aclose(drain=60))
    await asyncio.sleep(0)

    with pytest.raises(ClientStateError):
        await client.user_api_token.delete(ID)

    await closing
    assert (await call).success
    assert len(sent) == 1


@pytest.mark.parametrize("end", ["time", "cancellation", "another aclose"])
async def test_a_drain_ends(end: str) -> None:
    """After its time, a cancellation or another `aclose`, a drain closes the pool at once."""
    client, sent = slow_pool(60, 200)
    await client.open()
    calls = [asyncio.ensure_future(outcome(client.user_api_token.get(ID))) for _ in range(30)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(client.aclose(drain=0.01 if end == "time" else 60))
    await asyncio.sleep(0)
    if end == "cancellation":
        closing.cancel()
    elif end == "another aclose":
        await client.aclose()

    with anyio.fail_after(10):
        waiting = [await call for call in calls[20:]]

    assert {type(error) for error in waiting} == {ClientStateError}
    assert not sent
    if end == "another aclose":
        for call in calls[:20]:
            call.cancel()
    await asyncio.wait([closing, *calls])
    in_flight = {type(await call) for call in calls[:20]}
    expected = asyncio.CancelledError if end == "another aclose" else errors.TransportError
    assert in_flight == {expected}
    assert closing.cancelled() is (end == "cancellation")


@pytest.mark.parametrize("pool", POOLS)
async def test_a_drain_breaks_off_requests(pool: str) -> None:
    """After its time, a drain breaks off the requests in flight, and closes their connections."""
    arrived, closed = anyio.Event(), anyio.Event()

    async def never(stream: ByteStream, head: bytes) -> None:
        arrived.set()
        async for _ in stream:
            raise AssertionError
        closed.set()

    async with serve(never) as url:
        client = AsyncClient("t", base_url=url, transport=POOLS[pool]())
        await client.open()
        call = asyncio.ensure_future(outcome(client.user_api_token.delete(ID)))
        await arrived.wait()
        await client.aclose(drain=0.01)

        assert call.done()
        with anyio.fail_after(10):
            await closed.wait()
    error = await call
    assert isinstance(error, errors.TransportError)
    assert error.ambiguous
    assert "no response before the client was closed" in str(error)


def test_a_drain_breaks_off_requests_under_trio() -> None:
    """A request that is broken off is not a cancellation of the task that sent it."""

    async def handle(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    async def main() -> None:
        client = mock(handle)
        await client.open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(get, client)
            await anyio.sleep(0.01)
            await client.aclose(drain=0.01)

    async def get(client: AsyncClient) -> None:
        with pytest.raises(errors.TransportError, match="client was closed"):
            await client.user_api_token.get(ID)

    trio.run(main)


async def test_two_drains() -> None:
    """Two drains at once both wait for the calls that have begun."""
    client, _ = slow_pool(0.01, 200)
    await client.open()
    call = asyncio.ensure_future(client.user_api_token.delete(ID))
    await asyncio.sleep(0)

    async with anyio.create_task_group() as drains:
        for _ in range(2):
            drains.start_soon(partial(client.aclose, drain=60))

    assert (await call).success


async def test_a_drain_without_calls() -> None:
    """A drain does not wait if no call has begun."""
    client, _ = slow_pool(0, 200)
    await client.open()

    with anyio.fail_after(10):
        await client.aclose(drain=60)

    with pytest.raises(ClientStateError):
        await client.user_api_token.get(ID)


@pytest.mark.parametrize("drain", [0, -1, True, "5"])
async def test_a_wrong_drain(drain: Any) -> None:
    """`drain` must be a number above 0."""
    client, _ = slow_pool(0, 200)

    with pytest.raises(ValidationError, match=r"aclose\.drain must be a number above 0"):
        await client.aclose(drain=drain)


# --- Clients that are never closed -------------------------------------------------------------


async def test_a_client_that_is_never_closed() -> None:
    """A client that is never closed warns once, with the line where it was opened."""
    client = mock(lambda _: httpx.Response(200))
    await client.open()
    resource = client.user_api_token
    del client
    gc.collect()  # no warning: the resource can still be used
    line = inspect.getsourcelines(test_a_client_that_is_never_closed)[1] + 3

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del resource
        gc.collect()

    expected = (
        f"An AsyncClient of https://h was never closed. It was opened at {__file__}:{line}. "
        f"Use `async with`, or call `aclose()`."
    )
    found = [(warning.category, str(warning.message)) for warning in caught]
    assert found == [(ResourceWarning, expected)]


async def test_clients_that_do_not_warn() -> None:
    """A client that was never opened, was closed, or has wrong arguments does not warn."""
    mock(lambda _: httpx.Response(200))
    closed = await mock(lambda _: httpx.Response(200)).open()
    await closed.aclose()
    with pytest.raises(ValidationError):
        AsyncClient("t", timeout=-1)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del closed
        gc.collect()

    assert not caught
