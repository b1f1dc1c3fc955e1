"""Check the HTTP request for each operation and its arguments."""

import json
import string
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from losant_tokens import (
    NEVER,
    ApiTokenPatch,
    ApiTokenPost,
    AsyncClient,
    OauthRequest,
    Secret,
    UserCredentials,
    UserOauthTokenPatch,
    UserOauthTokenPost,
)
from losant_tokens._api import operations
from losant_tokens._api.codec import codec
from losant_tokens._api.operations import Operation
from losant_tokens._http.call_options import RequestOptions, list_query
from losant_tokens._http.endpoint import Endpoint
from losant_tokens._http.request_builder import build_request
from losant_tokens.errors import ValidationError
from tests.support.helpers import OPERATIONS, ROWS, frames_hold

A = "575ec7417ae143cd83dc4a95"
B = "575ec8687ae143cd83dc4a97"
TOKEN = "hunter2-hunter2.hunter2"
API = "https://api.losant.com"
FLAGS = {"_actions": "false", "_links": "true", "_embedded": "true"}


def to(base_url: str = API, **more: Any) -> Endpoint:
    settings = {"api_version": "^1.31.0", "user_agent": "tests/1", **more}
    return Endpoint.create(base_url, Secret(TOKEN), **settings)


def build(
    operation: Operation[Any],
    ids: Any = None,
    query: dict[str, str] | None = None,
    body: Any = None,
    target: Endpoint | None = None,
    **options: Any,
) -> httpx.Request:
    known: RequestOptions = options  # type: ignore[assignment]  # or unknown, or of wrong types
    return build_request(target or to(), codec(), operation, ids or {}, query or {}, body, known)


OAUTH = OauthRequest("c" * 24, "https://example.com/back", "c" * 43)
OAUTH_JSON = {
    "client_id": "c" * 24,
    "redirect_uri": "https://example.com/back",
    "code_challenge": "c" * 43,
    "code_challenge_method": "S256",
}
OF_APPLICATION, OF_INSTANCE = f"/applications/{B}/tokens", f"/instances/{B}/tokens"
TOKEN_ID, OAUTH_ID = {"apiTokenId": A}, {"oauthTokenId": A}
APPLICATION_ID, INSTANCE_ID = {"applicationId": B}, {"instanceId": B}
OFF, OFF_JSON = ApiTokenPatch(status="inactive"), {"status": "inactive"}

# name in the API, ids, body; method, path, JSON
REQUESTS: list[tuple[str, dict[str, str], Any, str, str, Any]] = [
    ("userApiToken.get", TOKEN_ID, None, "GET", f"/me/tokens/{A}", None),
    ("userApiToken.patch", TOKEN_ID, OFF, "PATCH", f"/me/tokens/{A}", OFF_JSON),
    ("userApiToken.delete", TOKEN_ID, None, "DELETE", f"/me/tokens/{A}", None),
    ("userApiTokens.get", {}, None, "GET", "/me/tokens", None),
    ("userApiTokens.post", {}, ApiTokenPost("ci"), "POST", "/me/tokens", {"name": "ci"}),
    ("userOauthToken.get", OAUTH_ID, None, "GET", f"/me/oauth-tokens/{A}", None),
    (
        "userOauthToken.patch",
        OAUTH_ID,
        UserOauthTokenPatch(name="b"),
        "PATCH",
        f"/me/oauth-tokens/{A}",
        {"name": "b"},
    ),
    ("userOauthToken.delete", OAUTH_ID, None, "DELETE", f"/me/oauth-tokens/{A}", None),
    ("userOauthTokens.get", {}, None, "GET", "/me/oauth-tokens", None),
    (
        "userOauthTokens.post",
        {},
        UserOauthTokenPost("ci", OAUTH, expiration_date=NEVER),
        "POST",
        "/me/oauth-tokens",
        {"name": "ci", "oauth": OAUTH_JSON, "expirationDate": None},
    ),
    (
        "applicationApiToken.get",
        APPLICATION_ID | TOKEN_ID,
        None,
        "GET",
        f"{OF_APPLICATION}/{A}",
        None,
    ),
    (
        "applicationApiToken.patch",
        APPLICATION_ID | TOKEN_ID,
        ApiTokenPatch(),
        "PATCH",
        f"{OF_APPLICATION}/{A}",
        {},
    ),
    (
        "applicationApiToken.delete",
        APPLICATION_ID | TOKEN_ID,
        None,
        "DELETE",
        f"{OF_APPLICATION}/{A}",
        None,
    ),
    ("applicationApiTokens.get", APPLICATION_ID, None, "GET", OF_APPLICATION, None),
    (
        "applicationApiTokens.post",
        APPLICATION_ID,
        ApiTokenPost("ci", scope=("all.Application",)),
        "POST",
        OF_APPLICATION,
        {"name": "ci", "scope": ["all.Application"]},
    ),
    ("instanceApiToken.get", INSTANCE_ID | TOKEN_ID, None, "GET", f"{OF_INSTANCE}/{A}", None),
    (
        "instanceApiToken.patch",
        INSTANCE_ID | TOKEN_ID,
        OFF,
        "PATCH",
        f"{OF_INSTANCE}/{A}",
        OFF_JSON,
    ),
    ("instanceApiToken.delete", INSTANCE_ID | TOKEN_ID, None, "DELETE", f"{OF_INSTANCE}/{A}", None),
    ("instanceApiTokens.get", INSTANCE_ID, None, "GET", OF_INSTANCE, None),
    (
        "instanceApiTokens.post",
        INSTANCE_ID,
        ApiTokenPost("ci", default_role="view"),
        "POST",
        OF_INSTANCE,
        {"name": "ci", "defaultRole": "view"},
    ),
    (
        "auditLog.get",
        {"orgId": B, "auditLogId": A},
        None,
        "GET",
        f"/orgs/{B}/audit-logs/{A}",
        None,
    ),
    ("auditLogs.get", {"orgId": B}, None, "GET", f"/orgs/{B}/audit-logs", None),
    (
        "instanceAuditLog.get",
        INSTANCE_ID | {"instanceAuditLogId": A},
        None,
        "GET",
        f"/instance/{B}/audit-logs/{A}",
        None,
    ),
    ("instanceAuditLogs.get", INSTANCE_ID, None, "GET", f"/instance/{B}/audit-logs", None),
    ("applications.get", {}, None, "GET", "/applications", None),
    ("instances.get", {}, None, "GET", "/instances", None),
    ("orgs.get", {}, None, "GET", "/orgs", None),
    (
        "auth.authenticateUser",
        {},
        UserCredentials("a@b", "12345678", token_ttl=60),
        "POST",
        "/auth/user",
        {"email": "a@b", "password": "12345678", "tokenTTL": 60},
    ),
]
BY_NAME: dict[str, Operation[Any]] = {operation.name: operation for operation in OPERATIONS}


def test_every_operation() -> None:
    """The request of each operation is tested."""
    assert [row.name for row in ROWS] == [name for name, *_ in REQUESTS]


@pytest.mark.parametrize(
    ("name", "ids", "body", "method", "path", "sent"), REQUESTS, ids=[it[0] for it in REQUESTS]
)
def test_request(
    name: str, ids: dict[str, str], body: Any, method: str, path: str, sent: Any
) -> None:
    """The request of each operation is exactly as in the contract."""
    request = build(BY_NAME[name], ids, body=body)
    content = request.read()
    headers = {
        "host": "api.losant.com",
        "accept": "application/json",
        "accept-version": "^1.31.0",
        "accept-encoding": "gzip",
        "user-agent": "tests/1",
    }
    if name != "auth.authenticateUser":
        headers["authorization"] = f"Bearer {TOKEN}"
    if sent is not None:
        headers |= {"content-type": "application/json", "content-length": str(len(content))}
    assert method == request.method
    assert f"{API}{path}?_actions=false&_links=true&_embedded=true" == str(request.url)
    assert headers == dict(request.headers)
    assert sent == (json.loads(content) if content else None)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, FLAGS),
        ({"actions": True}, {**FLAGS, "_actions": "true"}),
        ({"links": False}, {**FLAGS, "_links": "false"}),
        ({"embedded": False}, {**FLAGS, "_embedded": "false"}),
        (
            {"actions": False, "links": True, "embedded": True, "timeout": 1.0},
            FLAGS,
        ),
    ],
)
def test_flags(options: dict[str, Any], expected: dict[str, str]) -> None:
    """All three flags are always sent, with their defaults if they are not given."""
    request = build(operations.USER_API_TOKENS_GET, **options)
    assert expected == dict(request.url.params)


@pytest.mark.parametrize("name", ["actions", "links", "embedded"])
@pytest.mark.parametrize(
    ("value", "described"), [(1, "int"), ("true", "'true'"), (None, "NoneType"), (0, "int")]
)
def test_bad_flags(name: str, value: object, described: str) -> None:
    """A flag that is not a boolean is refused."""
    with pytest.raises(ValidationError) as caught:
        build(operations.USER_API_TOKENS_GET, None, None, None, None, **{name: value})
    assert str(caught.value) == f"{name} must be True or False, but it is {described}"


def test_query() -> None:
    """The parameters of a list follow the flags, percent-encoded."""
    query = {"filter": "a b&c=d/ä+%00#", "page": "0"}
    request = build(operations.USER_API_TOKENS_GET, query=query)
    expected = (
        b"/me/tokens?_actions=false&_links=true&_embedded=true"
        b"&filter=a%20b%26c%3Dd%2F%C3%A4%2B%2500%23&page=0"
    )
    assert expected == request.url.raw_path


@pytest.mark.parametrize(
    ("of_client", "options", "expected"),
    [
        (None, {}, None),
        ("example.com", {}, "example.com"),
        (None, {"losantdomain": "example.com"}, "example.com"),
        ("example.com", {"losantdomain": "other.example.com"}, "other.example.com"),
    ],
)
def test_losantdomain(of_client: str | None, options: dict[str, Any], expected: str | None) -> None:
    """The domain of the call is sent as a header, or that of the client."""
    request = build(operations.USER_API_TOKENS_GET, target=to(losantdomain=of_client), **options)
    assert expected == request.headers.get("losantdomain")


BAD_HEADERS: list[tuple[Any, str]] = [
    ("", "''"),
    ("a b", "'a b'"),
    ("a\r\nX-Evil: 1", r"'a\r\nX-Evil: 1'"),
    ("a\n", r"'a\n'"),
    ("ä", "'ä'"),
    ("\x7f", r"'\x7f'"),
    ("\x00", r"'\x00'"),
    (f"{'x' * 50}\n", "a string of 51 characters"),
    (b"a", "bytes"),
    (1, "int"),
]
NO_HEADER = "must be a string of printable ASCII characters without spaces, but it is"


@pytest.mark.parametrize(("value", "described"), BAD_HEADERS)
def test_bad_headers(value: Any, described: str) -> None:
    """A value that a header cannot have is refused, for all requests and for one."""
    expected = f"{NO_HEADER} {described}"
    for name in ("losantdomain", "api_version"):
        with pytest.raises(ValidationError) as caught:
            to(**{name: value})
        assert f"{name} {expected}" == str(caught.value)
    with pytest.raises(ValidationError) as caught:
        build(operations.USER_API_TOKENS_GET, losantdomain=value)
    assert f"losantdomain {expected}" == str(caught.value)


def test_no_losantdomain() -> None:
    """`losantdomain=None` is refused for a call; leave the option out instead."""
    with pytest.raises(ValidationError, match=f"^losantdomain {NO_HEADER} NoneType$"):
        build(operations.USER_API_TOKENS_GET, losantdomain=None)


@given(st.text())
@example("a\r\nAuthorization: Bearer other")
def test_any_losantdomain(text: str) -> None:
    """Any string is refused, or is the value of the header, and adds no other header."""
    without = build(operations.USER_API_TOKENS_GET)
    try:
        request = build(operations.USER_API_TOKENS_GET, losantdomain=text)
    except ValidationError:
        assert not text or not all("!" <= character <= "~" for character in text)
    else:
        expected = [*without.headers.raw, (b"losantdomain", text.encode())]
        assert sorted(expected) == sorted(request.headers.raw)


# --- Ids -------------------------------------------------------------------------------------

BAD_IDS: list[tuple[Any, str]] = [
    ("", "''"),
    (".", "'.'"),
    ("..", "'..'"),
    ("../..", "'../..'"),
    (f"{A}/..", "'575ec7417ae143cd83dc4a95/..'"),
    (f"{A}\n", r"'575ec7417ae143cd83dc4a95\n'"),
    (f" {A}", "' 575ec7417ae143cd83dc4a95'"),
    (A[:-1], "'575ec7417ae143cd83dc4a9'"),
    (f"{A}0", "'575ec7417ae143cd83dc4a950'"),
    (f"{A[:-1]}g", "'575ec7417ae143cd83dc4a9g'"),
    (f"{A[:-3]}%2e", "'575ec7417ae143cd83dc4%2e'"),
    (f"{A[:-1]}\u0665", "'575ec7417ae143cd83dc4a9\u0665'"),
    (f"{A[:-1]}\uff15", "'575ec7417ae143cd83dc4a9\uff15'"),
    ("a" * 48, "a string of 48 characters"),
    ("{apiTokenId}", "'{apiTokenId}'"),
    (None, "NoneType"),
    (int("5" * 24), "int"),
    (A.encode(), "bytes"),
    ([A], "list"),
]


@pytest.mark.parametrize(("value", "described"), BAD_IDS)
@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("userApiToken.delete", TOKEN_ID),
        ("userOauthToken.delete", OAUTH_ID),
        ("applicationApiToken.delete", APPLICATION_ID | TOKEN_ID),
        ("applicationApiTokens.get", APPLICATION_ID),
        ("instanceApiToken.delete", INSTANCE_ID | TOKEN_ID),
        ("instanceApiTokens.get", INSTANCE_ID),
    ],
)
def test_bad_ids(name: str, ids: dict[str, str], value: Any, described: str) -> None:
    """A malformed id is refused, for each id in the path."""
    for place in ids:
        with pytest.raises(ValidationError) as caught:
            build(BY_NAME[name], {**ids, place: value})
        assert str(caught.value) == (
            f"{name}: {place} must be 24 hexadecimal digits, but it is {described}"
        )
        assert frames_hold(caught.value, TOKEN) == []


@pytest.mark.parametrize("value", ["0" * 24, "a" * 24, "F" * 24, "0123456789abcdefABCDEF00"])
def test_good_ids(value: str) -> None:
    """An id of 24 hexadecimal digits is in the path unchanged, in either case."""
    request = build(operations.USER_API_TOKEN_GET, {"apiTokenId": value})
    assert f"/me/tokens/{value}" == request.url.path


HOSTILE = st.one_of(
    st.text(),
    st.text("0123456789abcdefABCDEF", min_size=23, max_size=25),
    st.text("./\\%2eE?#&;\n\r {}a0", max_size=30),
    st.text("0123456789abcdef/.%\n", min_size=24, max_size=24),
)


@given(HOSTILE, HOSTILE)
@example(A, "..")
@example(f"{A}\n", A)
def test_any_ids(application: str, token: str) -> None:
    """Any ids are refused, or the request goes to the path of the operation."""
    ids = {"applicationId": application, "apiTokenId": token}
    good = all(
        len(value) == 24 and all(digit in string.hexdigits for digit in value)
        for value in ids.values()
    )
    try:
        request = build(operations.APPLICATION_API_TOKEN_DELETE, ids)
    except ValidationError:
        assert not good
    else:
        expected = f"/applications/{application}/tokens/{token}?_actions=false&_links=true"
        assert good
        assert f"{expected}&_embedded=true".encode() == request.url.raw_path


@given(HOSTILE)
@example("\x00\r\n")
@example("a&_actions=true")
@example("#/../..?")
def test_any_filter(text: str) -> None:
    """Any filter is sent unchanged, and changes no other part of the URL."""
    try:
        query = list_query(operations.USER_API_TOKENS_GET, {"filter": text})
    except ValidationError:
        assert any("\ud800" <= character <= "\udfff" for character in text)
        return
    request = build(operations.USER_API_TOKENS_GET, query=query)
    path, _, parameters = request.url.raw_path.decode().partition("?")
    assert path == "/me/tokens"
    assert request.url.fragment == ""
    assert [*FLAGS.items(), ("filter", text)] == parse_qsl(parameters, keep_blank_values=True)


def test_too_long() -> None:
    """A filter that is too long for a URL is refused, and the message does not repeat it."""
    with pytest.raises(ValidationError) as caught:
        build(operations.USER_API_TOKENS_GET, query={"filter": "x" * 100_000})
    assert (
        str(caught.value)
        == "userApiTokens.get: the URL is too long (100082 characters). Shorten the filter."
    )
    assert frames_hold(caught.value, TOKEN) == []


# --- Bodies ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ids", "body", "expected"),
    [
        ("userApiTokens.post", {}, None, "ApiTokenPost, but it is NoneType"),
        ("userApiTokens.post", {}, {"name": "ci"}, "ApiTokenPost, but it is dict"),
        ("userApiTokens.post", {}, ApiTokenPatch(), "ApiTokenPost, but it is ApiTokenPatch"),
        ("userApiToken.patch", TOKEN_ID, ApiTokenPost("a"), "ApiTokenPatch, but it is ApiTokenP"),
        (
            "userOauthToken.patch",
            OAUTH_ID,
            ApiTokenPatch(),
            "UserOauthTokenPatch, but it is ApiTokenPatch",
        ),
        ("userOauthTokens.post", {}, ApiTokenPost("a"), "UserOauthTokenPost, but it is ApiTokenP"),
        ("auth.authenticateUser", {}, "hunter2-hunter2", "UserCredentials, but it is 'hunter2-hu"),
        ("auth.authenticateUser", {}, "x" * 41, "UserCredentials, but it is a string of 41 charac"),
    ],
)
def test_bad_bodies(name: str, ids: dict[str, str], body: Any, expected: str) -> None:
    """A body of the wrong class is refused, with both classes in the message."""
    with pytest.raises(ValidationError) as caught:
        build(BY_NAME[name], ids, body=body)
    assert str(caught.value).startswith(f"{name}: the request body must be of type {expected}")


def test_patch_of_an_oauth_token() -> None:
    """The patch of an OAuth token is sent as its own class."""
    request = build(operations.USER_API_TOKEN_PATCH, TOKEN_ID, body=UserOauthTokenPatch(name="a"))
    assert request.read() == b'{"name":"a"}'


@pytest.mark.parametrize("name", ["userApiToken.get", "userApiToken.delete"])
def test_no_body(name: str) -> None:
    """An operation without a body sends none."""
    request = build(BY_NAME[name], TOKEN_ID, body=ApiTokenPatch(name="a"))
    assert request.read() == b""
    assert "content-type" not in request.headers


# --- No secrets in errors ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ids", "more"),
    [
        ("userApiToken.get", {"apiTokenId": ".."}, {}),
        ("userApiTokens.get", {}, {"links": 1}),
        ("userApiTokens.get", {}, {"losantdomain": "a b"}),
        ("userApiTokens.get", {}, {"query": {"filter": "x" * 100_000}}),
        ("userApiTokens.post", {}, {"body": 1}),
    ],
)
def test_errors_hide_the_token(name: str, ids: dict[str, str], more: dict[str, Any]) -> None:
    """The error of a request, and the frames of its traceback, do not show the token."""
    with pytest.raises(ValidationError) as caught:
        build(BY_NAME[name], ids, **more)
    assert TOKEN not in f"{caught.value!r} {caught.value}"
    assert frames_hold(caught.value, TOKEN) == []


@pytest.mark.parametrize(
    "settings",
    [
        *({"base_url": text} for text in ("https://[::1", "https://a@b", "https://a..b")),
        {"losantdomain": "a b"},
        {"api_version": ""},
        {"scopes": "all.User"},
        {"timeout": 0},
        {"scope_check": "maybe"},
        {"max_connections": 0},
    ],
    ids=str,
)
def test_client_errors_hide_the_token(settings: dict[str, Any]) -> None:
    """The error of a setting, and the frames of its traceback, do not show the token."""
    with pytest.raises(ValidationError) as caught:
        AsyncClient(TOKEN, **settings)
    assert TOKEN not in f"{caught.value!r} {caught.value}"
    assert frames_hold(caught.value, TOKEN) == []


async def test_call_errors_hide_the_token() -> None:
    """The error of a call, and the frames of its traceback, do not show the token."""
    transport = httpx.MockTransport(lambda _: httpx.Response(500))
    async with AsyncClient(TOKEN, base_url=API, transport=transport) as client:
        for call in (
            client.user_api_token.get(".."),
            client.user_api_tokens.get(page=-1),
            client.user_api_tokens.get(timeout=0),
            client.user_api_tokens.post(None),  # type: ignore[arg-type]
        ):
            with pytest.raises(ValidationError) as caught:
                await call
            assert TOKEN not in f"{caught.value!r} {caught.value}"
            assert frames_hold(caught.value, TOKEN) == []


def test_frames_that_hold() -> None:
    """`frames_hold` finds a secret in the frames of the package."""
    with pytest.raises(ValidationError) as caught:
        build(operations.USER_API_TOKEN_GET, {"apiTokenId": "hunter2"})
    assert frames_hold(caught.value, "hunter2") == [
        "request_builder.py, build_request: ids",
        "request_builder.py, _path: ids",
        "request_builder.py, _path: value",
    ]
    assert frames_hold(ExceptionGroup("", [caught.value]), "hunter2") == []


@pytest.mark.parametrize(
    "base", ["https://api.losant.com", "https://h.example:8443/a/b", "http://[::1]:80/"]
)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_filter_in_any_url(base: str, text: str) -> None:
    """A filter is percent-encoded, so that the URL holds it unchanged below any base URL."""
    endpoint = Endpoint.create(base, None, api_version="1", user_agent="x")
    query = list_query(operations.USER_API_TOKENS_GET, {"filter_field": "name", "filter": text})
    request = build_request(endpoint, codec(), operations.USER_API_TOKENS_GET, {}, query, None, {})
    again = httpx.URL(str(request.url))
    assert (again, again.raw_path) == (request.url, request.url.raw_path)
    assert text == request.url.params["filter"]


async def test_iterator_of_a_body() -> None:
    """The iterator over the body of a request is not an asynchronous generator."""
    request = build(operations.USER_API_TOKEN_GET, {"apiTokenId": "0" * 24})
    assert isinstance(request.stream, httpx.AsyncByteStream)
    parts = aiter(request.stream)
    assert not isinstance(parts, AsyncGenerator)
    assert [b""] == [part async for part in aiter(parts)]
