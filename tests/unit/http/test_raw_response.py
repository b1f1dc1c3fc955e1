"""Check responses with their status, headers and timing."""

import copy
import inspect
import pickle
from datetime import timedelta
from typing import Any

import httpx
import pytest
import respx
import trio

from losant_tokens import (
    ApiToken,
    ApiTokenPost,
    AsyncClient,
    NewApiToken,
    OwnerTokens,
    RawResponse,
    RetryPolicy,
    Secret,
    Success,
    errors,
)
from losant_tokens._http.raw_response import request_id, safe_headers
from losant_tokens._resources.raw import RawMethod, RawOwnerTokens, RawResource
from losant_tokens.testing import FakeLosant

API = "https://api.losant.com"
ID = "575ec7417ae143cd83dc4a95"
TOKEN_URL = f"{API}/me/tokens/{ID}"
QUICK = RetryPolicy(base=0.001, cap=0.001)
SECRET = "hunter2-hunter2"
LEFT_OUT = {"iter", "snapshot", "count", "refusal"}  # they send no request, or many


def methods_of(kind: type) -> set[str]:
    """Return the names of the public methods of a class."""
    return {
        name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))
    }


def test_each_method_has_a_raw_form() -> None:
    """Each resource of a client has a raw form, with the function of the same method."""
    client = AsyncClient("t")
    pairs: list[tuple[type, Any]] = [
        (type(plain), getattr(client.with_raw_response, name))
        for name in dir(client)
        if type(plain := getattr(client, name)).__name__.endswith("Resource")
    ]
    pairs.append((OwnerTokens, client.with_raw_response.tokens("user")))
    assert len(pairs) == 17
    for plain, raw in pairs:
        methods = {
            name: value.method
            for name, value in vars(type(raw)).items()
            if isinstance(value, RawMethod)
        }
        expected = methods_of(plain) - LEFT_OUT
        if type(raw) is RawOwnerTokens:
            expected.remove("post")  # its overloads are written out
        assert methods == {name: vars(plain)[name] for name in expected}
        assert inspect.getdoc(type(raw)) is not None
        assert isinstance(raw, RawResource)


@respx.mock
async def test_successful_response() -> None:
    """A response has the status, the headers, the timing, the body and the typed result."""
    respx.get(TOKEN_URL).mock(
        side_effect=[
            httpx.Response(503),
            httpx.Response(
                200,
                json={"id": ID},
                headers={"X-Request-Id": "r-1", "Set-Cookie": "session=hunter2"},
            ),
        ]
    )
    async with AsyncClient("t", retry=QUICK) as client:
        response = await client.with_raw_response.user_api_token.get(ID)
    assert (response.status_code, response.attempts, response.request_id) == (200, 2, "r-1")
    assert response.operation == "userApiToken.get"
    assert timedelta(0) < response.elapsed < timedelta(seconds=30)
    assert (response.headers["x-request-id"], "set-cookie" in response.headers) == ("r-1", False)
    assert response.content == b'{"id":"%s"}' % ID.encode()
    assert response.parse() == ApiToken(id=ID)


@respx.mock
async def test_headers_that_repeat_the_request() -> None:
    """The headers of a success show neither the client's token nor a secret of the body."""
    respx.post(f"{API}/things").respond(
        200, json={}, headers={"x-debug": "hunter2 for an-opaque-token", "x-request-id": "hunter2"}
    )
    async with AsyncClient("an-opaque-token") as client:
        response = await client.with_raw_response.request(
            "POST", "/things", json={"password": Secret("hunter2")}
        )
    assert (response.headers["x-debug"], response.request_id) == ("**** for ****", "****")


@respx.mock
async def test_a_new_secret_does_not_show() -> None:
    """The response to the creation of a token shows no secret, and cannot be pickled or copied."""
    respx.post(f"{API}/me/tokens").respond(
        201, json={"id": ID, "token": SECRET}, headers={"x-echo": SECRET}
    )
    async with AsyncClient("t") as client:
        response = await client.with_raw_response.user_api_tokens.post(ApiTokenPost("ci"))
    created = response.parse()
    assert isinstance(created, NewApiToken)
    assert created.token.reveal() == SECRET
    assert SECRET not in f"{response!r} {response}"
    assert SECRET.encode() in response.content
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            copied(response)


@respx.mock
async def test_each_kind_of_method() -> None:
    """Lists, owners of any kind and audit logs have raw forms as well."""
    page = {"items": [{"id": ID}]}
    respx.get(f"{API}/me/tokens").respond(json=page)
    respx.get(f"{API}/orgs/{ID}/audit-logs").respond(json=page)
    respx.post(f"{API}/applications/{ID}/tokens").respond(201, json={"id": ID, "token": "s"})
    async with AsyncClient("t") as client:
        raw = client.with_raw_response
        tokens = await raw.user_api_tokens.get(per_page=1)
        log = await raw.audit_logs.get(ID)
        created = await raw.tokens(f"application:{ID}").post(ApiTokenPost("ci"))
    assert [tokens.parse().items[0].id, log.parse().items[0].id, created.parse().id] == [ID] * 3


@respx.mock
async def test_errors_are_raised() -> None:
    """An error status, and a success that cannot be read, raise their error in the call."""
    respx.get(TOKEN_URL).mock(
        side_effect=[
            httpx.Response(404, json={"type": "NotFound", "message": "no"}),
            httpx.Response(200, json=[], headers={"CF-Ray": "8a-CDG"}),
            httpx.Response(200, content=b"no gzip", headers={"Content-Encoding": "br", "A": "b"}),
        ]
    )
    async with AsyncClient("t", scope_check="enforce") as client:
        with pytest.raises(errors.NotFound):
            await client.with_raw_response.user_api_token.get(ID)
        with pytest.raises(errors.ResponseError) as malformed:
            await client.with_raw_response.user_api_token.get(ID)
        with pytest.raises(errors.ResponseError) as encoded:
            await client.with_raw_response.user_api_token.get(ID)
    assert malformed.value.request_id == "8a-CDG"
    assert encoded.value.headers["A"] == "b"


@respx.mock
async def test_a_delete_that_was_carried_out_before() -> None:
    """The status is the last one: a 404 after a broken connection is the success of a deletion."""
    respx.delete(TOKEN_URL).mock(
        side_effect=[
            httpx.ReadError("broken"),
            httpx.Response(404, json={"type": "NotFound", "message": "no"}),
        ]
    )
    async with AsyncClient("t", retry=QUICK) as client:
        response = await client.with_raw_response.user_api_token.delete(ID)
    assert (response.status_code, response.attempts, response.parse()) == (404, 2, Success())


async def test_checks_of_the_token() -> None:
    """A raw call checks the scopes of the token as any other."""
    async with AsyncClient("t", scopes=["all.Device"]) as client:
        with pytest.raises(errors.ScopeError):
            await client.with_raw_response.user_api_token.get(ID)


def test_under_trio() -> None:
    """Raw responses work on trio."""
    fake = FakeLosant()
    token = fake.add_token("ci")

    async def main() -> RawResponse[ApiToken]:
        async with AsyncClient(fake.admin_token, transport=fake.transport()) as client:
            return await client.with_raw_response.user_api_token.get(token.id)

    assert trio.run(main).parse().name == "ci"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://login.example:8443/a?b", "https://login.example:8443"),
        ("HTTPS://login.example?b", "HTTPS://login.example"),
        ("https://login.example", "https://login.example"),
        ("https://ada:hunter2@login.example/", ""),
        ("/login?token=hunter2", ""),
        ("", ""),
    ],
)
def test_location(location: str, expected: str) -> None:
    """Only the scheme and the host of a `Location` are kept."""
    assert expected == safe_headers(httpx.Headers({"Location": location}))["location"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-request-id": ""}, None),
        ({"CF-Ray": "c", "Request-Id": "b"}, "b"),
        ({"X-Correlation-Id": "d", "X-Request-Id": "a"}, "a"),
    ],
)
def test_request_id(headers: dict[str, str], expected: str | None) -> None:
    """The request id is the first header that usually has one."""
    assert expected == request_id(httpx.Headers(headers))
