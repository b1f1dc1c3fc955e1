"""The server's time, and the decisions that depend on it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import AsyncClient, RetryPolicy, errors
from losant_tokens._http.server_clock import ServerClock, parse_http_date
from tests.support.helpers import jwt
from tests.support.servers import ID

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def dated(date: datetime, **others: str) -> httpx.Headers:
    return httpx.Headers({"date": format_datetime(date, usegmt=True), **others})


def observed(*dates: httpx.Headers, round_trip: float = 0.0) -> ServerClock:
    clock = ServerClock()
    with time_machine.travel(NOW, tick=False):
        for headers in dates:
            clock.observe(headers, round_trip)
    return clock


def test_unknown() -> None:
    """Before a response, there is no skew, and the local time is used."""
    clock = ServerClock()
    assert (clock.skew, clock.error, clock.has_response) == (None, None, False)
    with time_machine.travel(NOW, tick=False):
        assert clock.now() == NOW


@pytest.mark.parametrize("days", [-3650, -10, 0, 10, 3650])
def test_skew(days: int) -> None:
    """The skew is the local time minus the server's time, within its error."""
    clock = observed(dated(NOW - timedelta(days=days)), round_trip=0.5)
    assert clock.skew is not None
    assert clock.error == timedelta(seconds=0.75)
    assert abs(clock.skew - timedelta(days=days)) <= clock.error


def test_now() -> None:
    """Once a response was seen, the time is the server's."""
    clock = observed(dated(NOW - timedelta(days=10)))
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        assert abs(clock.now() - (NOW - timedelta(days=10, hours=-1))) <= SECOND


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"date": ""},
        {"date": "yesterday"},
        {"date": "Thu, 32 Jan 2026 12:00:00 GMT"},
        {"date": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"date": "Thu, 01 Jan 9999 00:00:00 GMT"},
        {"date": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"},
        {"date": "Thu, 01 Jan 2026 12:00:00 GMT", "age": "86400"},
    ],
    ids=str,
)
def test_ignored(headers: dict[str, str]) -> None:
    """A date that is missing, invalid, implausible or from a cache is ignored."""
    clock = observed(httpx.Headers(headers))
    assert (clock.skew, clock.has_response) == (None, True)


def test_a_slow_response_does_not_add_error() -> None:
    """A slow response does not make the skew less exact."""
    clock = observed(dated(NOW))
    with time_machine.travel(NOW + SECOND, tick=False):
        clock.observe(dated(NOW - 10 * SECOND), 30.0)
    assert clock.error is not None
    assert clock.error <= timedelta(seconds=0.5)
    assert clock.skew is not None
    assert abs(clock.skew) <= SECOND


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_set(days: int) -> None:
    """When one of the clocks is set, the next response shows the new skew."""
    clock = observed(dated(NOW), dated(NOW - timedelta(days=days)))
    assert clock.skew is not None
    assert abs(clock.skew - timedelta(days=days)) <= SECOND


@given(
    ahead=st.floats(-1e8, 1e8),
    round_trips=st.lists(st.floats(0, 100), min_size=1, max_size=5),
    share=st.floats(0, 1),
)
def test_any_skew(ahead: float, round_trips: list[float], share: float) -> None:
    """The true skew is always within the error of the one that is reported."""
    clock, local = ServerClock(), NOW
    for round_trip in round_trips:
        made = local + timedelta(seconds=round_trip * share - ahead)
        local += timedelta(seconds=round_trip)
        with time_machine.travel(local, tick=False):
            clock.observe(dated(made), round_trip)
        local += timedelta(seconds=2)
    assert clock.skew is not None
    assert clock.error is not None
    assert abs(clock.skew.total_seconds() - ahead) <= clock.error.total_seconds() + 0.001


@pytest.mark.parametrize(
    "text",
    [
        "Thu, 01 Jan 2026 12:00:00 GMT",
        "Thursday, 01-Jan-26 12:00:00 GMT",
        "Thu Jan  1 12:00:00 2026",
    ],
)
def test_forms_of_a_date(text: str) -> None:
    """All three forms of an HTTP date are read as UTC."""
    assert parse_http_date(text) == NOW


# --- A client ---------------------------------------------------------------------------------


def service(
    ahead: timedelta | None, seen: list[httpx.Request] | None = None
) -> Callable[[httpx.Request], httpx.Response]:
    """Return a service while the local clock is ahead; `None` means that it sends no `Date`."""

    def respond(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        headers = httpx.Headers() if ahead is None else dated(datetime.now(UTC) - ahead)
        return httpx.Response(200, json={"id": ID, "success": True}, headers=headers)

    return respond


def client_of(handler: Any, token: str = "t", **settings: Any) -> AsyncClient:
    transport = httpx.MockTransport(handler)
    return AsyncClient(token, base_url="https://h", transport=transport, **settings)


def expiring(after: timedelta) -> str:
    return jwt({"exp": (datetime.now(UTC) + after).timestamp(), "scope": ["all.User"]})


async def test_client_learns_the_time() -> None:
    """A client has neither skew nor server time before a response, and both after one."""
    ahead = timedelta(days=10)
    async with client_of(service(ahead)) as client:
        assert (client.clock_skew, client.server_time()) == (None, None)
        await client.user_api_token.get(ID)
        skew, at = client.clock_skew, client.server_time()
        assert skew is not None
        assert at is not None
        assert abs(skew - ahead) < 2 * SECOND
        assert abs(datetime.now(UTC) - ahead - at) < 2 * SECOND


async def test_client_learns_the_time_of_an_error() -> None:
    """An error response shows the server's time as well."""
    async with client_of(lambda _: httpx.Response(403, headers=dated(datetime.now(UTC)))) as client:
        with pytest.raises(errors.Forbidden):
            await client.user_api_token.get(ID)
        assert client.clock_skew is not None


async def test_a_wrong_local_clock_does_not_expire_a_token() -> None:
    """A token that is valid by the server's clock is sent, with any local clock."""
    seen: list[httpx.Request] = []
    token = expiring(timedelta(days=-5))  # by the local clock, which is ten days ahead
    async with client_of(service(timedelta(days=10), seen), token) as client:
        assert (await client.user_api_token.get(ID)).id == ID
    asked, *others = seen
    assert (asked.method, asked.headers.get("authorization")) == ("HEAD", None)
    assert [request.url.path for request in others] == [f"/me/tokens/{ID}"]


async def test_the_time_is_asked_for_once() -> None:
    """Only the first call of a client asks for the time, and only if a token looks expired."""
    seen: list[httpx.Request] = []
    async with client_of(service(timedelta(days=10), seen), expiring(timedelta(days=-5))) as client:
        await client.user_api_token.get(ID)
        await client.user_api_token.get(ID)
    assert [request.method for request in seen] == ["HEAD", "GET", "GET"]
    seen.clear()
    async with client_of(service(timedelta(0), seen), expiring(timedelta(days=5))) as client:
        await client.user_api_token.get(ID)
    assert [request.method for request in seen] == ["GET"]


@pytest.mark.parametrize("ahead", [timedelta(0), None], ids=["dated", "without a date"])
async def test_an_expired_token_is_not_sent(ahead: timedelta | None) -> None:
    """A token that is expired by the server's clock, or by the only clock, is not sent."""
    seen: list[httpx.Request] = []
    async with client_of(service(ahead, seen), expiring(timedelta(days=-5))) as client:
        with pytest.raises(errors.TokenExpired, match="Nothing was sent"):
            await client.user_api_token.get(ID)
    assert [request.headers.get("authorization") for request in seen] == [None]


async def test_a_token_expires_by_the_servers_clock() -> None:
    """A token that is expired by the server's clock is not sent, with any local clock."""
    token = expiring(timedelta(days=5))  # by the local clock, which is ten days behind
    async with client_of(service(timedelta(days=-10)), token) as client:
        await client.user_api_token.get(ID)  # before this, nothing was known
        with pytest.raises(errors.TokenExpired):
            await client.user_api_token.get(ID)


async def test_a_token_expires_while_a_list_is_read() -> None:
    """A token that has expired by the time of the next page is not sent again."""
    seen: list[httpx.Request] = []

    def page(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        items = [{"id": f"{len(seen):024x}"}]
        body = {"items": items, "totalCount": 9, "perPage": 1}
        return httpx.Response(200, json=body, headers=dated(NOW))

    token = jwt({"exp": (NOW - timedelta(days=1)).timestamp()})
    with time_machine.travel(NOW - timedelta(days=10)):
        async with client_of(page, token) as client:
            tokens = client.user_api_tokens.iter(per_page=1)
            await anext(tokens)
            with pytest.raises(errors.TokenExpired):
                await anext(tokens)
    assert len(seen) == 1


async def test_the_server_cannot_be_asked() -> None:
    """If the server cannot be asked for the time, the local clock decides."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async with client_of(fail, expiring(timedelta(days=-5))) as client:
        with pytest.raises(errors.TokenExpired):
            await client.user_api_token.get(ID)


async def test_an_expiry_that_only_warns() -> None:
    """With `scope_check="warn"`, an expired token is sent, and the warning says so."""
    token = expiring(timedelta(days=-5))
    async with client_of(service(None), token, scope_check="warn") as client:
        with pytest.warns(errors.ScopeWarning, match="The request is sent anyway") as caught:
            await client.user_api_token.get(ID)
    assert [one.filename for one in caught] == [__file__]


async def test_an_expiry_that_is_not_checked() -> None:
    """With `scope_check="off"`, nothing but the request itself is sent."""
    seen: list[httpx.Request] = []
    token = expiring(timedelta(days=-5))
    async with client_of(service(None, seen), token, scope_check="off") as client:
        await client.user_api_token.get(ID)
    assert [request.method for request in seen] == ["GET"]


@pytest.mark.parametrize(
    ("status", "error"), [(429, errors.TooManyRequests), (503, errors.ServerError)]
)
async def test_a_retry_after_date_is_relative(status: int, error: type[errors.StatusError]) -> None:
    """A date in `Retry-After` is compared with the `Date` of the response."""
    later = format_datetime(NOW + 30 * SECOND, usegmt=True)

    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=dated(NOW, **{"retry-after": later}))

    async with client_of(refuse, retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(error) as caught:
            await client.user_api_token.get(ID)
    assert caught.value.retry_after == 30.0


def test_the_clock_shows_no_header() -> None:
    """The repr of the clock does not show the `Date` header, which may be secret."""
    clock = ServerClock()
    clock.observe(httpx.Headers({"date": "a-secret"}), 0.0)
    assert "a-secret" not in repr(clock)
