"""Faults and limits, in process."""

import threading
import time
from typing import Any

import anyio
import httpx
import httpx2
import pytest
import trio

from losant_tokens.testing import FakeLosant, Fault
from losant_tokens.testing._faults import Faults
from losant_tokens.testing._rate_limit import RateLimit


async def outcome(client: httpx.AsyncClient, method: str, path: str) -> Any:
    """Return the status of a response, or the class of the error."""
    try:
        return (await client.request(method, path)).status_code
    except httpx.TransportError as error:
        return type(error)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(), (500, "application/json", "InternalServerError")),
        (Fault(status=503), (503, "application/json", "ServiceUnavailable")),
        (Fault(status=429), (429, "application/json", "TooManyRequests")),
        (Fault(status=599), (599, "application/json", "Error")),
        (Fault(body={"a": 1}), (500, "application/json", '{"a": 1}')),
        (Fault(body="text", headers={"Content-Type": "a/b"}), (500, "a/b", "text")),
        (Fault(status=413, body=b""), (413, "application/json", "")),
        (Fault(kind="html"), (502, "text/html", "<h1>502 Bad Gateway</h1>")),
        (Fault(kind="html", status=504), (504, "text/html", "504 Gateway Timeout")),
        (Fault(kind="garbage"), (200, "application/json", '{"items": [')),
    ],
)
async def test_responses(
    fake: FakeLosant, client: httpx.AsyncClient, fault: Fault, expected: tuple[int, str, str]
) -> None:
    """A fault with a response sends its status, type and body, once."""
    fake.add_fault(fault)
    answer = await client.get("/me/tokens")
    after = await client.get("/me/tokens")

    status, media_type, part = expected
    assert (answer.status_code, answer.headers["content-type"], part in answer.text) == (
        status,
        media_type,
        True,
    )
    assert after.status_code == 200


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
async def test_both_libraries(fake: FakeLosant, library: Any) -> None:
    """One transport serves clients of httpx and httpx2, with responses and errors of their own."""
    transport = fake.transport()
    headers = {"Authorization": f"Bearer {fake.admin_token}"}
    async with library.AsyncClient(
        transport=transport, base_url="http://fake", headers=headers
    ) as client:
        created = await client.post("/me/tokens", json={"name": "ci"})
        fake.fail(status=503)
        refused = await client.get("/me/tokens")
        failures = []
        for kind in ("drop", "truncate", "hang"):
            fake.fail(kind)
            with pytest.raises(library.TransportError) as caught:
                await client.get("/me/tokens", timeout=0.01 if kind == "hang" else None)
            failures.append(caught.type)
    assert (["ci"], 503) == ([token.name for token in fake.tokens()], refused.status_code)
    assert isinstance(created, library.Response)
    protocol = library.RemoteProtocolError
    assert [protocol, protocol, library.ReadTimeout] == failures


async def test_headers_and_garbage(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """The headers of a fault are sent, and garbage is not JSON."""
    fake.fail(status=503, headers={"Retry-After": "7"})
    fake.fail("garbage")
    busy, garbage = await client.get("/me/tokens"), await client.get("/me/tokens")

    assert busy.headers["retry-after"] == "7"
    with pytest.raises(ValueError, match="Unterminated"):
        garbage.json()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(kind="hang"), httpx.ReadTimeout),
        (Fault(kind="drop"), httpx.RemoteProtocolError),
        (Fault(kind="truncate"), httpx.RemoteProtocolError),
        (Fault(), 500),
        (Fault(kind="latency", seconds=0.01), 200),
    ],
)
@pytest.mark.parametrize("after_acting", [False, True])
async def test_before_and_after_acting(
    fake: FakeLosant, fault: Fault, expected: Any, after_acting: bool
) -> None:
    """A fault occurs before the operation is performed, or after it, as requested."""
    token = fake.add_token()
    fake.fail(fault.kind, seconds=fault.seconds, after_acting=after_acting, method="DELETE")
    async with httpx.AsyncClient(
        transport=fake.transport(), base_url="http://fake", timeout=0.05
    ) as client:
        client.headers["Authorization"] = f"Bearer {fake.admin_token}"
        actual = await outcome(client, "DELETE", f"/me/tokens/{token.id}")

    acts = after_acting or fault.kind in {"latency", "truncate"}
    assert (actual, len(fake.tokens())) == (expected, 0 if acts else 1)


async def test_truncated_body(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """A truncated response has its headers and half of its body."""
    fake.fail("truncate")
    async with client.stream("GET", "/me/tokens") as answer:
        promised = int(answer.headers["content-length"])
        with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
            await answer.aread()

    assert (answer.status_code, answer.num_bytes_downloaded) == (200, promised // 2)


async def test_truncating_nothing() -> None:
    """A truncated response without a body states a content-length above zero."""
    fake = FakeLosant(body_limit=1)
    fake.fail("truncate")
    async with httpx.AsyncClient(transport=fake.transport(), base_url="http://fake") as client:
        with pytest.raises(httpx.RemoteProtocolError, match="received 0 bytes, expected 1"):
            await client.post("/me/tokens", content=b"xx")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(), [500, 200, 200]),
        (Fault(times=2), [500, 500, 200]),
        (Fault(times=None), [500, 500, 500]),
        (Fault(skip=1), [200, 500, 200]),
        (Fault(method="DELETE"), [200, 200, 200]),
        (Fault(method="GET", path="/me/*"), [500, 200, 200]),
        (Fault(path="/applications/*"), [200, 200, 200]),
    ],
)
async def test_affected_requests(
    fake: FakeLosant, client: httpx.AsyncClient, fault: Fault, expected: list[int]
) -> None:
    """A fault affects the requested number of matching requests."""
    fake.add_fault(fault)

    assert [await outcome(client, "GET", "/me/tokens") for _ in range(3)] == expected


async def test_queue(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """Faults apply in order, one for each request; a latency applies with the next fault."""
    fake.fail("latency", seconds=0.05, times=2)
    fake.fail(status=500)
    fake.fail(status=503)
    started = time.monotonic()
    actual = [await outcome(client, "GET", "/me/tokens") for _ in range(3)]

    assert actual == [500, 503, 200]
    assert time.monotonic() - started >= 0.1


async def test_clear_faults(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """Faults that were cleared affect no request."""
    returned = fake.fail(times=None)
    fake.clear_faults()

    assert returned == Fault(times=None)
    assert await outcome(client, "GET", "/me/tokens") == 200


@pytest.mark.parametrize(
    "members",
    [{"kind": "fire"}, {"times": 0}, {"skip": -1}, {"status": 99}, {"seconds": -1.0}],
)
def test_impossible_faults(members: dict[str, Any]) -> None:
    """An invalid fault is refused when it is created."""
    with pytest.raises(ValueError, match=r".+"):
        Fault(**members)


async def test_hanging_requests_can_be_cancelled(fake: FakeLosant) -> None:
    """A request that hangs without a timeout can be cancelled."""
    fake.fail("hang")
    async with httpx.AsyncClient(transport=fake.transport(), timeout=None) as client:
        with anyio.move_on_after(0.05) as scope:
            await client.get("http://fake/me/tokens")

    assert scope.cancelled_caught
    assert [request.status for request in fake.requests] == [None]


def test_on_trio(fake: FakeLosant) -> None:
    """The transport works under trio, faults included."""

    async def main() -> list[Any]:
        async with httpx.AsyncClient(
            transport=fake.transport(), base_url="http://fake", timeout=0.05
        ) as client:
            client.headers["Authorization"] = f"Bearer {fake.admin_token}"
            return [await outcome(client, "GET", "/me/tokens") for _ in range(4)]

    for fault in (Fault(kind="hang"), Fault(kind="drop"), Fault(kind="latency", seconds=0.01)):
        fake.add_fault(fault)

    assert trio.run(main) == [httpx.ReadTimeout, httpx.RemoteProtocolError, 200, 200]


@pytest.mark.parametrize(("retry_after", "header"), [(None, None), (2, "2"), (0.5, "0.5")])
async def test_rate_limit(
    fake: FakeLosant, client: httpx.AsyncClient, retry_after: float | None, header: str | None
) -> None:
    """A request above the limit gets a 429, with Retry-After if set, and uses up no fault."""
    fake.rate_limit(2, retry_after=retry_after)
    fake.fail(skip=2)
    answers = [await client.get("/me/tokens") for _ in range(3)]
    fake.rate_limit(None)
    after = await client.get("/me/tokens")

    assert [answer.status_code for answer in (*answers, after)] == [200, 200, 429, 500]
    assert answers[2].json()["type"] == "TooManyRequests"
    assert answers[2].headers.get("retry-after") == header


@pytest.mark.parametrize(
    ("per_second", "arrivals", "expected"),
    [
        (2, [0, 0, 0, 0.9, 1.0, 1.0, 1.0], "yynnyyn"),
        (0.5, [0, 1, 2, 3, 4], "ynyny"),
        (2.5, [0, 0, 0, 0.8], "yyny"),
    ],
)
def test_window(per_second: float, arrivals: list[float], expected: str) -> None:
    """The window admits its maximum in any period, and refused requests do not count."""
    clock = iter(arrivals)
    limit = RateLimit(per_second, clock=lambda: next(clock))

    assert "".join("y" if limit.admits() else "n" for _ in arrivals) == expected


@pytest.mark.parametrize("rate", [0, -1.0])
def test_rate_of_zero(fake: FakeLosant, rate: float) -> None:
    """A limit of zero is refused."""
    with pytest.raises(ValueError, match="per_second must be more than 0, or None, not "):
        fake.rate_limit(rate)


async def test_requests_are_recorded(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """The request log has each request, without the secret."""
    fake.fail("drop", method="DELETE")
    await client.get("/me/tokens", params={"page": "1", "filter": ""}, headers={"X-Y": "z"})
    await outcome(client, "DELETE", "/me/tokens/x")
    await client.get("/me/tokens", headers={"Authorization": "secret"})
    first, second, third = fake.requests
    fake.clear_requests()

    assert (first.method, first.path, dict(first.query), first.status) == (
        "GET",
        "/me/tokens",
        {"page": "1", "filter": ""},
        200,
    )
    assert (first.headers["x-y"], first.headers["authorization"]) == ("z", "Bearer ****")
    assert (second.method, second.status) == ("DELETE", None)
    assert (third.headers["authorization"], third.status) == ("****", 403)
    assert fake.requests == ()


async def test_share(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """A fault can affect a share of the requests at random, the same requests in each run."""

    async def statuses(fake: FakeLosant) -> list[int]:
        fake.fail(status=503, share=0.25, times=None)
        async with httpx.AsyncClient(
            transport=fake.transport(), base_url="http://fake", headers=client.headers
        ) as own:
            own.headers["Authorization"] = f"Bearer {fake.admin_token}"
            return [(await own.get("/me/tokens")).status_code for _ in range(200)]

    first, second = await statuses(fake), await statuses(FakeLosant())

    assert first == second
    assert 30 < first.count(503) < 70
    assert first.count(200) == 200 - first.count(503)


async def test_share_and_times(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """A request that a fault spares does not use it up."""
    fake.fail(status=503, share=0.25)
    statuses = [(await client.get("/me/tokens")).status_code for _ in range(50)]

    assert statuses.count(503) == 1


def test_random_latency() -> None:
    """A latency with a maximum is between both numbers, and differs from request to request."""
    faults = Faults(threading.RLock())
    fault = Fault(kind="latency", seconds=0.02, max_seconds=0.2)
    delays = [faults.delay(fault) for _ in range(100)]

    assert 0.02 <= min(delays) < 0.05
    assert 0.15 < max(delays) <= 0.2
    assert faults.delay(Fault(kind="latency", seconds=0.3)) == 0.3


@pytest.mark.parametrize(
    "members", [{"share": 0.0}, {"share": 1.1}, {"seconds": 0.2, "max_seconds": 0.1}]
)
def test_impossible_shares_and_ranges(members: dict[str, Any]) -> None:
    """A share must be above 0 and at most 1, and a maximum above the minimum."""
    with pytest.raises(ValueError, match=f"^{list(members)[-1]} must be "):
        Fault(**members)
