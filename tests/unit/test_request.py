"""An operation and its arguments as an HTTP request."""

import json
import string
from typing import Any
from urllib.parse import parse_qsl

import attrs
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
    _operations,
)
from losant_tokens import _operations as operations
from losant_tokens._codec import codec
from losant_tokens._hosts import is_loopback
from losant_tokens._operations import OPERATIONS, Operation
from losant_tokens._options import RequestOptions, list_query
from losant_tokens._request import (
    Endpoint,
    Template,
    build_request,
    check_base_url,
    endpoint,
)
from losant_tokens.errors import ClientStateError, ValidationError
from tests.support.helpers import ROWS, frames_hold

A = "575ec7417ae143cd83dc4a95"
B = "575ec8687ae143cd83dc4a97"
TOKEN = "hunter2-hunter2.hunter2"
API = "https://api.losant.com"
FLAGS = {"_actions": "false", "_links": "true", "_embedded": "true"}


def to(base_url: str = API, **more: Any) -> Endpoint:
    settings = {"api_version": "^1.31.0", "user_agent": "tests/1", **more}
    return endpoint(base_url, Secret(TOKEN), **settings)


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
        "auth.authenticateUser",
        {},
        UserCredentials("a@b", "12345678", token_ttl=60),
        "POST",
        "/auth/user",
        {"email": "a@b", "password": "12345678", "tokenTTL": 60},
    ),
]
BY_NAME: dict[str, Operation[Any]] = {operation.name: operation for operation in OPERATIONS}


def test_all_of_them() -> None:
    """There is a test of the request of each operation."""
    assert [row.name for row in ROWS] == [name for name, *_ in REQUESTS]


@pytest.mark.parametrize(
    ("name", "ids", "body", "method", "path", "sent"), REQUESTS, ids=[it[0] for it in REQUESTS]
)
def test_request(
    name: str, ids: dict[str, str], body: Any, method: str, path: str, sent: Any
) -> None:
    """The request of each operation is exactly what the API wants: no more, no less."""
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
    """All three flags are sent always, with their defaults unless told otherwise."""
    request = build(_operations.USER_API_TOKENS_GET, **options)
    assert expected == dict(request.url.params)


@pytest.mark.parametrize("name", ["actions", "links", "embedded"])
@pytest.mark.parametrize(
    ("value", "shown"), [(1, "int"), ("true", "'true'"), (None, "NoneType"), (0, "int")]
)
def test_bad_flags(name: str, value: object, shown: str) -> None:
    """A flag is true or false, and nothing that is like it."""
    with pytest.raises(ValidationError) as caught:
        build(_operations.USER_API_TOKENS_GET, None, None, None, None, **{name: value})
    assert str(caught.value) == f"{name} must be True or False, but it is {shown}"


def test_query() -> None:
    """The parameters of a list follow the flags, escaped."""
    query = {"filter": "a b&c=d/ä+%00#", "page": "0"}
    request = build(_operations.USER_API_TOKENS_GET, query=query)
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
    """The domain is a header: that of the call, else that of the client."""
    request = build(_operations.USER_API_TOKENS_GET, target=to(losantdomain=of_client), **options)
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


@pytest.mark.parametrize(("value", "shown"), BAD_HEADERS)
def test_bad_headers(value: Any, shown: str) -> None:
    """What cannot stand in a header is refused, whether for all requests or for one."""
    expected = f"{NO_HEADER} {shown}"
    for name in ("losantdomain", "api_version"):
        with pytest.raises(ValidationError) as caught:
            to(**{name: value})
        assert f"{name} {expected}" == str(caught.value)
    with pytest.raises(ValidationError) as caught:
        build(_operations.USER_API_TOKENS_GET, losantdomain=value)
    assert f"losantdomain {expected}" == str(caught.value)


def test_no_losantdomain() -> None:
    """A client may have no domain, which a call says by leaving it out."""
    with pytest.raises(ValidationError, match=f"^losantdomain {NO_HEADER} NoneType$"):
        build(_operations.USER_API_TOKENS_GET, losantdomain=None)


@given(st.text())
@example("a\r\nAuthorization: Bearer other")
def test_any_losantdomain(text: str) -> None:
    """Any text is refused, or is the value of that one header, and adds no other one."""
    without = build(_operations.USER_API_TOKENS_GET)
    try:
        request = build(_operations.USER_API_TOKENS_GET, losantdomain=text)
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


@pytest.mark.parametrize(("value", "shown"), BAD_IDS)
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
def test_bad_ids(name: str, ids: dict[str, str], value: Any, shown: str) -> None:
    """What is no id is refused at each place, before anything else is looked at."""
    for place in ids:
        with pytest.raises(ValidationError) as caught:
            build(BY_NAME[name], {**ids, place: value})
        assert str(caught.value) == (
            f"{name}: {place} must be 24 hexadecimal digits, but it is {shown}"
        )
        assert frames_hold(caught.value, TOKEN) == []


@pytest.mark.parametrize("value", ["0" * 24, "a" * 24, "F" * 24, "0123456789abcdefABCDEF00"])
def test_good_ids(value: str) -> None:
    """Ids are 24 hexadecimal digits, large or small, and go into the path as they are."""
    request = build(_operations.USER_API_TOKEN_GET, {"apiTokenId": value})
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
    """Whatever is given for ids, the request goes to the path that was meant, or nowhere."""
    ids = {"applicationId": application, "apiTokenId": token}
    good = all(
        len(value) == 24 and all(digit in string.hexdigits for digit in value)
        for value in ids.values()
    )
    try:
        request = build(_operations.APPLICATION_API_TOKEN_DELETE, ids)
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
    """Whatever is given for a filter, it changes nothing else, and arrives as it is."""
    try:
        query = list_query(_operations.USER_API_TOKENS_GET, {"filter": text})
    except ValidationError:
        assert any("\ud800" <= character <= "\udfff" for character in text)
        return
    request = build(_operations.USER_API_TOKENS_GET, query=query)
    path, _, parameters = request.url.raw_path.decode().partition("?")
    assert path == "/me/tokens"
    assert request.url.fragment == ""
    assert [*FLAGS.items(), ("filter", text)] == parse_qsl(parameters, keep_blank_values=True)


def test_too_long() -> None:
    """A filter that no URL can hold is refused by our own error, which does not repeat it."""
    with pytest.raises(ValidationError) as caught:
        build(_operations.USER_API_TOKENS_GET, query={"filter": "x" * 100_000})
    assert str(caught.value) == (
        "userApiTokens.get: the parameters make the URL too long (100049 characters)"
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
    """A body of another class than the operation takes is refused, with both classes."""
    with pytest.raises(ValidationError) as caught:
        build(BY_NAME[name], ids, body=body)
    assert str(caught.value).startswith(f"{name}: the request body must be of {expected}")


def test_patch_of_an_oauth_token() -> None:
    """The patch of an OAuth token says nothing that another token's cannot."""
    request = build(_operations.USER_API_TOKEN_PATCH, TOKEN_ID, body=UserOauthTokenPatch(name="a"))
    assert request.read() == b'{"name":"a"}'


@pytest.mark.parametrize("name", ["userApiToken.get", "userApiToken.delete"])
def test_no_body(name: str) -> None:
    """An operation that takes no body sends none, whatever it is given."""
    request = build(BY_NAME[name], TOKEN_ID, body=ApiTokenPatch(name="a"))
    assert request.read() == b""
    assert "content-type" not in request.headers


# --- The endpoint ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (API, API),
        (f"{API}/", API),
        (f"{API}//", API),
        ("HTTPS://API.Losant.com", API),
        ("https://example.com:8443/losant/api/", "https://example.com:8443/losant/api"),
        ("https://example.com/a/../b", "https://example.com/b"),
        ("https://127.0.0.1", "https://127.0.0.1"),
        ("https://API.Losant.com.", API),
        ("https://example.com.:8443/api", "https://example.com:8443/api"),
        ("http://localhost.", "http://localhost"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://a_b.example", "https://a_b.example"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("http://localhost", "http://localhost"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://LOCALHOST:8080/api", "http://localhost:8080/api"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.255.255.254", "http://127.255.255.254"),
        ("http://[::1]", "http://[::1]"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[0:0:0:0:0:0:0:1]:8080", "http://[0:0:0:0:0:0:0:1]:8080"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_good_base_url(text: str, expected: str) -> None:
    """A base URL loses the slash at its end, and the dot at the end of its host."""
    assert expected == check_base_url(text)
    request = build(_operations.USER_API_TOKEN_GET, TOKEN_ID, target=to(text))
    assert f"{expected}/me/tokens/{A}" == str(request.url.copy_with(query=None))


NO_URL = "The base URL is no URL: "
PARTS = "The base URL may have a host, a port and a path, and nothing else"
SCHEME = "The base URL must begin with https://"
LOOKED_UP = "The base URL has a host that cannot be looked up: "
NO_HOST = "The base URL has no host: "

BAD_URLS: list[tuple[Any, str]] = [
    (None, f"{NO_URL}NoneType"),
    (1, f"{NO_URL}int"),
    (API.encode(), f"{NO_URL}bytes"),
    ("https://[::1", f"{NO_URL}'https://[::1'"),
    ("https://example.com:port", f"{NO_URL}'https://example.com:port'"),
    ("https://example.com:-1", "The base URL"),
    ("https://example.com:65536", "The base URL"),
    ("https://a\nb", f"{NO_URL}"),
    ("https://example.com/\x00", NO_URL),
    (f"https://example.com/{'x' * 70_000}", f"{NO_URL}a string of 70020 characters"),
    ("https://xn--a.example.com", "The base URL"),
    ("https://user:hunter2@xn--a.example.com", "The base URL"),
    ("https://user:hunter2@example.com:port", "The base URL"),
    ("https://user:hunter2@example.com", PARTS),
    ("https://user@example.com", PARTS),
    ("https://:hunter2@example.com", PARTS),
    ("https://api.losant.com@evil.com", PARTS),
    ("https://api.losant.com\\@evil.com", PARTS),
    ("http://localhost@evil.com", PARTS),
    ("http://localhost:80@evil.com", PARTS),
    ("https://example.com?a=1", PARTS),
    ("https://example.com/?", PARTS),
    ("https://example.com?", PARTS),
    ("https://example.com/api?", PARTS),
    ("https://example.com#top", PARTS),
    ("https://example.com#", PARTS),
    ("https://example.com/api#", PARTS),
    ("http://evil.com#@localhost", PARTS),
    ("ftp://localhost", SCHEME),
    ("file:///etc/passwd", SCHEME),
    ("javascript:alert(1)", SCHEME),
    ("api.losant.com", SCHEME),
    ("//api.losant.com", SCHEME),
    ("/api", SCHEME),
    ("", SCHEME),
    ("http://", NO_HOST),
    ("https://", NO_HOST),
    ("https:", NO_HOST),
    ("https:api.losant.com", NO_HOST),
    ("https:/api.losant.com", NO_HOST),
    ("https:///api.losant.com", NO_HOST),
    ("https://:443", NO_HOST),
    ("https://a..b", LOOKED_UP),
    ("https://.example.com", LOOKED_UP),
    ("https://example.com..", LOOKED_UP),
    ("https://.", LOOKED_UP),
    ("https://-a.example.com", LOOKED_UP),
    ("https://a b.example.com", LOOKED_UP),
    (f"https://{'a' * 64}.example.com", LOOKED_UP),
    (f"https://{'a.' * 126}com", LOOKED_UP),
    ("https://[::g]", NO_URL),
    ("https://a\u3002\u3002b", "The base URL"),
]


@pytest.mark.parametrize(("text", "expected"), BAD_URLS)
def test_bad_base_url(text: Any, expected: str) -> None:
    """Any other base URL is refused, so that no token goes where it should not."""
    with pytest.raises(ValidationError) as caught:
        to(text)
    assert str(caught.value).startswith(expected)
    assert "hunter2" not in str(caught.value)
    assert frames_hold(caught.value, TOKEN) == []


IN_THE_CLEAR = [
    "http://api.losant.com",
    "http://127.0.0.1.evil.com",
    "http://localhost.evil.com",
    "http://evil.com/localhost",
    "http://evil.com:80/127.0.0.1",
    "http://127.0.0.1evil.com",
    "http://0.0.0.0",
    "http://[::]",
    "http://10.0.0.1",
    "http://128.0.0.1",
    "http://127.1",
    "http://2130706433",
    "http://[::2]",
    "http://[fe80::1]",
    "http://losant-fake:8080",
    "http://localhost.localdomain",
    "HTTP://EXAMPLE.com",
]


@pytest.mark.parametrize("base_url", IN_THE_CLEAR)
async def test_a_token_in_the_clear(base_url: str) -> None:
    """A client for plain http to another host is made, but not opened: no token leaves."""
    transport = httpx.MockTransport(lambda _: httpx.Response(500))
    client = AsyncClient(TOKEN, base_url=base_url, transport=transport)
    with pytest.raises(ValidationError, match="anyone on the network") as caught:
        await client.__aenter__()
    for name in ("insecure_http=True", "LOSANT_INSECURE_HTTP=1", "Nothing was sent"):
        assert name in str(caught.value)
    with pytest.raises(ClientStateError, match="not open"):
        await client.user_api_token.get(A)
    assert frames_hold(caught.value, TOKEN) == []


@pytest.mark.parametrize("base_url", IN_THE_CLEAR)
async def test_a_token_in_the_clear_by_name(base_url: str) -> None:
    """With `insecure_http=True`, plain http to another host is used."""
    urls: list[httpx.URL] = []

    def respond(request: httpx.Request) -> httpx.Response:
        urls.append(request.url)
        return httpx.Response(200, json={"id": A})

    transport = httpx.MockTransport(respond)
    async with AsyncClient(
        TOKEN, base_url=base_url, transport=transport, insecure_http=True
    ) as client:
        assert A == (await client.user_api_token.get(A)).id
    assert ["http"] == [url.scheme for url in urls]


@pytest.mark.parametrize(
    ("value", "opens"),
    [
        *((word, True) for word in ("1", "true", "YES", " on ")),
        *((word, False) for word in ("", "0", "false", "No", "off")),
    ],
)
async def test_in_the_clear_by_the_environment(
    value: str, opens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`LOSANT_INSECURE_HTTP` allows plain http where the argument does not say."""
    monkeypatch.setenv("LOSANT_INSECURE_HTTP", value)
    opened = []
    for argument in (None, False, True):
        client = AsyncClient(TOKEN, base_url="http://losant-fake", insecure_http=argument)
        try:
            async with client:
                opened.append(True)
        except ValidationError:
            opened.append(False)
    assert opened == [opens, False, True]


def test_neither_on_nor_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch that is neither on nor off is refused, by the name of its argument or variable."""
    wrong: Any = "yes"
    with pytest.raises(ValidationError, match=r"AsyncClient.insecure_http must be True or False"):
        AsyncClient(TOKEN, insecure_http=wrong)
    monkeypatch.setenv("LOSANT_INSECURE_HTTP", "maybe")
    with pytest.raises(ValidationError, match="LOSANT_INSECURE_HTTP must be 1 or 0"):
        AsyncClient(TOKEN)


URLS = st.one_of(
    st.text(),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["https://", "http://", "https:", "HTTP://", "//", "ws://"]),
        st.sampled_from(["", "a@", "a:b@", "@", ":@"]),
        st.sampled_from(["localhost", "127.0.0.1", "[::1]", "example.com", "a.b:1", ""])
        | st.text("alocht127.:[]@\\/%", max_size=12),
        st.text("/?#.%2e;:@a", max_size=8) | st.text(max_size=5),
    ),
)


@given(URLS)
def test_any_base_url(text: str) -> None:
    """Whatever is given for a base URL, requests go to a path below it, or nowhere."""
    try:
        base = check_base_url(text)
    except ValidationError:
        return
    url = httpx.URL(base)
    assert url.scheme in {"http", "https"}
    request = build(_operations.USER_API_TOKEN_GET, TOKEN_ID, target=to(text))
    assert (url.scheme, url.host, url.port, b"") == (
        request.url.scheme,
        request.url.host,
        request.url.port,
        request.url.userinfo,
    )
    path, _, query = request.url.raw_path.partition(b"?")
    assert path.endswith(f"/me/tokens/{A}".encode())
    assert query == b"_actions=false&_links=true&_embedded=true"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("LOCALHOST", False),
        ("localhost.", False),
        ("127.0.0.1.", False),
        ("127.0.0.01", False),
        ("::", False),
        ("", False),
        ("example.com", False),
    ],
)
def test_is_loopback(host: str, expected: bool) -> None:
    """This machine is `localhost`, 127.0.0.0/8 and ::1, and nothing that looks like them."""
    assert expected is is_loopback(host)


def test_endpoint_is_veiled() -> None:
    """An endpoint does not show the token."""
    assert TOKEN not in repr(to())
    assert to().authorization == (("Authorization", f"Bearer {TOKEN}"),)


def test_no_token() -> None:
    """Without a token, no request carries one."""
    without = endpoint(API, None, api_version="^1.31.0", user_agent="tests/1")
    assert without == attrs.evolve(to(), authorization=())
    request = build(_operations.USER_API_TOKENS_GET, target=without)
    assert "authorization" not in request.headers


# --- What shows in errors --------------------------------------------------------------------


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
def test_errors_are_veiled(name: str, ids: dict[str, str], more: dict[str, Any]) -> None:
    """No refusal of a request shows the token, nor do the frames of its traceback."""
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
def test_client_errors_are_veiled(settings: dict[str, Any]) -> None:
    """No refusal of a client's settings shows its token, nor do the frames of its traceback."""
    with pytest.raises(ValidationError) as caught:
        AsyncClient(TOKEN, **settings)
    assert TOKEN not in f"{caught.value!r} {caught.value}"
    assert frames_hold(caught.value, TOKEN) == []


async def test_call_errors_are_veiled() -> None:
    """No refusal of a call shows the client's token, nor do the frames of its traceback."""
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
    """The look into tracebacks does see a secret in the frames of the package."""
    with pytest.raises(ValidationError) as caught:
        build(_operations.USER_API_TOKEN_GET, {"apiTokenId": "hunter2"})
    assert frames_hold(caught.value, "hunter2") == [
        "_request.py, build_request: ids",
        "_request.py, _path: ids",
        "_request.py, _path: value",
        "_request.py, _check_id: value",
    ]
    assert frames_hold(ExceptionGroup("", [caught.value]), "hunter2") == []


@pytest.mark.parametrize("base", ["https://api.losant.com", "https://h.example:8443/a%20b/"])
@pytest.mark.parametrize(
    ("name", "ids", "body", "method", "path"),
    [row[:5] for row in REQUESTS if row[4].endswith(A)],
)
def test_template(
    base: str, name: str, ids: dict[str, str], body: Any, method: str, path: str
) -> None:
    """A request that a template makes is the one that would be made alone."""
    operation = next(operation for operation in OPERATIONS if operation.name == name)
    target = to(base, losantdomain="example.com")
    *others, last = operation.ids
    template = Template.of(target, codec(), operation, {name: ids[name] for name in others}, body)

    request, alone = template.request(ids[last]), build(operation, ids, body=body, target=target)

    assert (request.method, request.url) == (alone.method, alone.url) == (method, alone.url)
    assert request.url.raw_path == alone.url.raw_path
    assert request.url.path.endswith(path)
    assert (request.headers.raw, request.content) == (alone.headers.raw, alone.content)


@pytest.mark.parametrize("bad", ["..", "", A + "/..", f" {A}", None, 5])
def test_template_checks_ids(bad: Any) -> None:
    """What is no id makes no request, and no frame of the error shows the token."""
    template = Template.of(to(), codec(), operations.USER_API_TOKEN_GET, {}, None)
    with pytest.raises(ValidationError, match="apiTokenId must be 24 hexadecimal digits") as caught:
        template.request(bad)
    assert TOKEN not in repr(template)
    assert frames_hold(caught.value, TOKEN) == []


@pytest.mark.parametrize(
    "base", ["https://api.losant.com", "https://h.example:8443/a/b", "http://[::1]:80/"]
)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_url_that_is_put_together(base: str, text: str) -> None:
    """A URL that is put together from its parts is the one that httpx would parse."""
    endpoint_ = endpoint(base, None, api_version="1", user_agent="x")
    query = list_query(operations.USER_API_TOKENS_GET, {"filter_field": "name", "filter": text})
    request = build_request(endpoint_, codec(), operations.USER_API_TOKENS_GET, {}, query, None, {})
    again = httpx.URL(str(request.url))
    assert (again, again.raw_path) == (request.url, request.url.raw_path)
    assert text == request.url.params["filter"]


async def test_the_iterator_of_a_body_is_its_own() -> None:
    """The iterator over the body of a request can be iterated over like the body."""
    request = build(operations.USER_API_TOKEN_GET, {"apiTokenId": "0" * 24})
    assert isinstance(request.stream, httpx.AsyncByteStream)
    parts = aiter(request.stream)
    assert [b""] == [part async for part in parts]
