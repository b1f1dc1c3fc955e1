"""Check operations without a method: `client.request`."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
import trio

from losant_tokens import (
    ApiToken,
    Application,
    Applications,
    AsyncClient,
    RetryPolicy,
    Secret,
    Success,
    errors,
)
from losant_tokens._api.custom_operation import custom_operation, custom_query, json_body
from losant_tokens.testing import FakeLosant

API = "https://api.losant.com"
ID = "575ec7417ae143cd83dc4a95"
QUICK = RetryPolicy(base=0.001, cap=0.001)
SECRET = "hunter2-hunter2"
GONE = {"type": "NotFound", "message": "no"}


def path_of(path: str, **values: Any) -> str:
    """Return the path of a request."""
    return custom_operation("GET", path, values, None).path


@pytest.mark.parametrize(
    ("path", "values", "expected"),
    [
        ("/applications", {}, "/applications"),
        ("/a-b/c_d.e/f:g@h", {}, "/a-b/c_d.e/f:g@h"),
        ("/things/{id}/parts", {"id": ID}, f"/things/{ID}/parts"),
        ("/things/{id}", {"id": "a/../b?c#d%2e é"}, "/things/a%2F..%2Fb%3Fc%23d%252e%20%C3%A9"),
        ("/things/{id}", {"id": "{id}"}, "/things/%7Bid%7D"),
        ("/things/{id}/{id}", {"id": 7}, "/things/7/7"),
        ("/things/{id}", {"id": "\ud800"}, "/things/%ED%A0%80"),
    ],
)
def test_path(path: str, values: dict[str, Any], expected: str) -> None:
    """The values of placeholders are percent-encoded, so that each stays one part of the path."""
    assert expected == path_of(path, **values)


@pytest.mark.parametrize(
    ("path", "values", "problem"),
    [
        ("https://evil.example/a", {}, "must begin with a slash"),
        ("applications", {}, "must begin with a slash"),
        ("", {}, "must begin with a slash"),
        (None, {}, "must begin with a slash"),
        ("/a?b=c", {}, "must have no query"),
        ("//evil.example/a", {}, "could lead to another path"),
        ("/", {}, "could lead to another path"),
        ("/a/", {}, "could lead to another path"),
        ("/a/../b", {}, "could lead to another path"),
        ("/a/./b", {}, "could lead to another path"),
        ("/a%2F..%2Fb", {}, "could lead to another path"),
        ("/a\\b", {}, "could lead to another path"),
        ("/a#b", {}, "could lead to another path"),
        ("/a b", {}, "could lead to another path"),
        ("/a\r\nb", {}, "could lead to another path"),
        ("/é", {}, "could lead to another path"),
        ("/a{id}", {"id": "b"}, "could lead to another path"),
        ("/{a-b}", {}, "could lead to another path"),
        ("/{id}", {}, "must have the placeholders of the path (id), but it has none"),
        ("/a", {"id": "b"}, "must have the placeholders of the path (none), but it has id"),
        ("/{id}", {"id": ".."}, "neither empty nor dots"),
        ("/{id}", {"id": "."}, "neither empty nor dots"),
        ("/{id}", {"id": ""}, "neither empty nor dots"),
        ("/{id}", {"id": None}, "neither empty nor dots, but it is NoneType"),
        ("/{id}", {"id": True}, "neither empty nor dots, but it is bool"),
    ],
)
def test_refused_path(path: str, values: dict[str, Any], problem: str) -> None:
    """A path that could lead to another host or path is refused."""
    with pytest.raises(errors.ValidationError) as caught:
        path_of(path, **values)
    assert problem in str(caught.value)


def test_path_params_are_a_dict() -> None:
    """Values that have no names are an error."""
    with pytest.raises(errors.ValidationError, match="path_params must be a dict, but it is tuple"):
        custom_operation("GET", "/things/{id}", ("id",), None)  # type: ignore[arg-type]


def test_query() -> None:
    """Parameters are written as the API expects them, and `None` leaves one out."""
    params = {"page": 0, "ratio": 0.5, "all": True, "none": None, "name": "a&b", "any": False}
    expected = {"page": "0", "ratio": "0.5", "all": "true", "name": "a&b", "any": "false"}
    assert expected == custom_query(params)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"_actions": True}, "must not have _actions. Pass actions=True or False"),
        ({"a": ["b"]}, "params['a'] must be a string, a finite number"),
        ({"a": float("nan")}, "a finite number, True, False or None, but it is nan"),
        ([("a", "b")], "request.params must be a dict, but it is list"),
        ({"a": datetime(2026, 1, 1, tzinfo=UTC)}, "but it is datetime"),
        ({"": "b"}, "request.params"),
        ({1: "b"}, "request.params"),
    ],
)
def test_refused_query(params: Any, problem: str) -> None:
    """A parameter that the API would refuse or misunderstand is an error."""
    with pytest.raises(errors.ValidationError) as caught:
        custom_query(params)
    assert problem in str(caught.value)


def test_body() -> None:
    """A body is JSON, in which secrets and datetimes are strings, and its repr shows nothing."""
    body = json_body("POST", {"key": Secret(SECRET), "at": datetime(2026, 1, 1, tzinfo=UTC)})
    assert body is not None
    assert json.loads(body.content) == {"key": SECRET, "at": "2026-01-01T00:00:00.000Z"}
    assert body.members == {"key", "at"}
    assert body.secrets == (Secret(SECRET),)
    assert SECRET not in repr(body)
    lists, empty = json_body("PATCH", [1]), json_body("PUT", None)
    assert lists is not None
    assert empty is not None
    assert (lists.content, lists.members, empty.content) == (b"[1]", frozenset(), b"")
    assert json_body("GET", None) is None


LOOP: list[Any] = []
LOOP.append(LOOP)


NAIVE = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@pytest.mark.parametrize("value", [object(), float("nan"), NAIVE, LOOP, {"a": b"hunter2"}, {(): 1}])
def test_refused_body(value: Any) -> None:
    """A value that is not JSON is an error that shows no part of it."""
    with pytest.raises(errors.ValidationError, match=r"request\.json must consist of") as caught:
        json_body("POST", value)
    assert caught.value.__context__ is None
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "cast_to", "problem"),
    [
        ("get", None, "request.method"),
        ("HEAD", None, "request.method"),
        ("GET", dict, "request.cast_to must be a model of losant_tokens"),
        ("DELETE", ApiToken, "request.cast_to must be Success or None"),
    ],
)
def test_refused_operation(method: str, cast_to: Any, problem: str) -> None:
    """An unknown method, and a class that is not a model, are refused."""
    with pytest.raises(errors.ValidationError) as caught:
        custom_operation(method, "/a", {}, cast_to)
    assert problem in str(caught.value)


async def test_body_of_a_get() -> None:
    """A GET and a DELETE have no body."""
    async with AsyncClient("t") as client:
        with pytest.raises(errors.ValidationError, match="must be None for the method GET"):
            await client.request("GET", "/a", json={})


# --- Requests --------------------------------------------------------------------------------


@respx.mock
async def test_request() -> None:
    """A request has the token, the headers and the options of every call."""
    route = respx.patch(f"{API}/things/{ID}").respond(json=[1, {"a": None}])
    async with AsyncClient("t") as client:
        result = await client.request(
            "PATCH",
            "/things/{id}",
            path_params={"id": ID},
            params={"a": "b c"},
            json={"c": 1},
            links=False,
        )
    request = route.calls.last.request
    assert result == [1, {"a": None}]
    assert request.url.query == b"_actions=false&_links=false&_embedded=true&a=b%20c"
    assert (request.content, request.headers["content-type"]) == (b'{"c":1}', "application/json")
    assert (request.headers["authorization"], request.headers["accept-version"]) == (
        "Bearer t",
        "^1.31.0",
    )


@respx.mock
async def test_result() -> None:
    """The result is plain JSON, a model, or `None` for an empty body."""
    respx.get(f"{API}/applications/{ID}").respond(json={"id": ID, "name": "a"})
    respx.get(f"{API}/latest").respond(json={"id": ID, "name": "b"})
    respx.get(f"{API}/other").respond(json={"items": [{"id": ID}]})
    respx.post(f"{API}/empty").respond(202)
    respx.delete(f"{API}/things/1").respond(json={"success": True})
    async with AsyncClient("t") as client:
        assert await client.request("GET", f"/applications/{ID}") == {"id": ID, "name": "a"}
        application = await client.request("GET", f"/applications/{ID}", cast_to=Application)
        assert application == Application(id=ID, name="a")
        assert (await client.request("GET", "/latest", cast_to=ApiToken)).name == "b"
        page = await client.request("GET", "/other", cast_to=Applications)
        assert page.items == (Application(id=ID),)
        assert await client.request("POST", "/empty") is None
        assert await client.request("DELETE", "/things/1", cast_to=Success) == Success()
        raw = await client.with_raw_response.request("GET", "/latest", cast_to=ApiToken)
    assert (raw.operation, raw.status_code, raw.parse().name) == ("GET /latest", 200, "b")


@respx.mock
@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (httpx.Response(200, content=b"<p>", headers={"content-type": "text/html"}), "not JSON"),
        (httpx.Response(200, headers={"content-type": "text/html"}), "not JSON"),
        (httpx.Response(302, headers={"location": "https://evil.example"}), "is a redirect"),
        (httpx.Response(200, json=["x" * 2000]), "is larger than 1,024 bytes"),
        (httpx.Response(404, json=GONE), "GET /things/{id} (/things/1): 404 NotFound - no"),
    ],
)
async def test_failed_request(response: httpx.Response, expected: str) -> None:
    """A failure is the typed error of any call, with the path in place of the operation's name."""
    route = respx.get(f"{API}/things/1").mock(return_value=response)
    async with AsyncClient("t", max_response_size=1024) as client:
        with pytest.raises(errors.LosantError) as caught:
            await client.request("GET", "/things/{id}", path_params={"id": 1})
    assert isinstance(caught.value, errors.ResponseError | errors.StatusError)
    assert expected in str(caught.value)
    assert caught.value.operation == "GET /things/{id}"
    assert route.call_count == 1


@respx.mock
async def test_another_id() -> None:
    """A model with another id than the requested one is an error, as for a method."""
    respx.get(f"{API}/x/{ID}").respond(json={"id": "f" * 24})
    async with AsyncClient("t") as client:
        with pytest.raises(errors.ResponseError, match="not the id of the requested token"):
            await client.request("GET", f"/x/{ID}", cast_to=ApiToken)


@respx.mock
async def test_retries() -> None:
    """A GET is sent again after a failure; a POST is not, because it may have been carried out."""
    get = respx.get(f"{API}/a").mock(side_effect=[httpx.Response(502), httpx.Response(200, json=1)])
    post = respx.post(f"{API}/a").mock(side_effect=[httpx.ReadError("broken")])
    async with AsyncClient("t", retry=QUICK) as client:
        assert await client.request("GET", "/a") == 1
        with pytest.raises(errors.TransportError) as caught:
            await client.request("POST", "/a", json={})
    assert caught.value.ambiguous
    assert (get.call_count, post.call_count) == (2, 1)


@respx.mock
@pytest.mark.parametrize(("cast_to", "expected"), [(None, {"success": True}), (Success, Success())])
async def test_a_delete_that_was_carried_out_before(cast_to: Any, expected: object) -> None:
    """A DELETE that the API no longer finds after a broken connection is a success."""
    respx.delete(f"{API}/a").mock(
        side_effect=[httpx.ReadError("broken"), httpx.Response(404, json=GONE)]
    )
    async with AsyncClient("t", retry=QUICK) as client:
        assert expected == await client.request("DELETE", "/a", cast_to=cast_to)


@respx.mock
async def test_secrets_of_a_request() -> None:
    """A secret in the body does not show in an error that repeats it."""
    respx.post(f"{API}/a").respond(400, json={"type": "Invalid", "message": f"bad {SECRET}"})
    async with AsyncClient("t") as client:
        with pytest.raises(errors.BadRequest) as caught:
            await client.request("POST", "/a", json={"key": Secret(SECRET)})
    assert caught.value.message == "bad ****"


@respx.mock
async def test_checks_of_the_token() -> None:
    """Scopes are not checked, because they are not known. An expired token is still refused."""
    route = respx.get(f"{API}/a").respond(json=1)
    async with AsyncClient("t", scopes=["all.Device"]) as client:
        assert await client.request("GET", "/a") == 1
    async with AsyncClient() as client:
        with pytest.raises(errors.ClientStateError, match="GET /a needs an API token"):
            await client.request("GET", "/a")
    assert route.call_count == 1


@respx.mock
@pytest.mark.parametrize(
    ("method", "path", "body", "warns"),
    [
        ("DELETE", f"/me/tokens/{ID}", None, True),
        ("PATCH", f"/me/tokens/{ID}", {"name": "b"}, True),
        ("PATCH", f"/me/tokens/{ID}", {"description": "b"}, False),
        ("PATCH", f"/me/tokens/{ID}", [], False),
        ("DELETE", f"/things/{ID}", None, False),
    ],
)
async def test_changes_of_a_list(method: Any, path: str, body: Any, warns: bool) -> None:
    """A request that changes a list is noticed by a listing of it."""
    pages = [
        {"items": [{"id": f"{page}" * 24}], "perPage": 1, "totalCount": 3} for page in range(3)
    ]
    respx.get(f"{API}/me/tokens").mock(
        side_effect=[httpx.Response(200, json=page) for page in pages]
    )
    respx.route(method=method, path=path).respond(json={"success": True})
    async with AsyncClient("t") as client:
        listing = client.user_api_tokens.iter(per_page=1)
        listing.warns = False
        await anext(listing)
        await client.request(method, path, json=body)
        assert len([token async for token in listing]) == 2
    assert warns == bool(listing.progress.problems)


def test_under_trio() -> None:
    """A request works on trio, against the fake."""
    fake = FakeLosant()
    fake.add_token("ci")

    async def main() -> Any:
        async with AsyncClient(fake.admin_token, transport=fake.transport()) as client:
            return await client.request("GET", "/me/tokens", params={"perPage": 1})

    assert trio.run(main)["items"][0]["name"] == "ci"
