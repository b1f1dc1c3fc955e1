"""Check the rules for base URLs, and the headers that all requests share."""

import copy
import pickle
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import AsyncClient, RequestOptions, Secret
from losant_tokens._api import operations
from losant_tokens._api.codec import codec
from losant_tokens._http.base_url import check_base_url
from losant_tokens._http.endpoint import Endpoint
from losant_tokens._http.request_builder import build_request
from losant_tokens.errors import ClientStateError, ValidationError
from tests.support.helpers import frames_hold

A = "575ec7417ae143cd83dc4a95"
TOKEN = "hunter2-hunter2.hunter2"
API = "https://api.losant.com"


def endpoint(base_url: str = API) -> Endpoint:
    return Endpoint.create(base_url, Secret(TOKEN), api_version="^1.31.0", user_agent="tests/1")


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
    """The slash at the end of a base URL and the dot at the end of its host are removed."""
    assert expected == check_base_url(text)
    assert f"{expected}/me/tokens" == str(httpx.URL(endpoint(text).url_for("/me/tokens")))


NO_URL = "The base URL is not a URL such as https://api.losant.com: "
PARTS = "The base URL must have only a host, a port and a path"
SCHEME = "The base URL must start with https://"
LOOKED_UP = "The base URL has a host that cannot be looked up: "
NO_HOST = "The base URL has no host: "

DECODES = pytest.mark.skipif(
    httpx.__name__ == "httpx2", reason="httpx2 keeps a name that it cannot decode"
)
BAD_URLS: list[Any] = [
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
    pytest.param("https://xn--a.example.com", "The base URL", marks=DECODES),
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
    """An invalid base URL is refused, so that no token is sent to the wrong host."""
    with pytest.raises(ValidationError) as caught:
        endpoint(text)
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
    """A client for plain http to another host cannot be opened."""
    transport = httpx.MockTransport(lambda _: httpx.Response(500))
    client = AsyncClient(TOKEN, base_url=base_url, transport=transport)
    with pytest.raises(ValidationError, match="anyone on the network") as caught:
        await client.open()
    for name in ("insecure_http=True", "LOSANT_INSECURE_HTTP=1", "Nothing was sent"):
        assert name in str(caught.value)
    with pytest.raises(ClientStateError, match="not open"):
        await client.user_api_token.get(A)
    assert frames_hold(caught.value, TOKEN) == []


@pytest.mark.parametrize("base_url", IN_THE_CLEAR)
async def test_insecure_http_argument(base_url: str) -> None:
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
async def test_insecure_http_variable(
    value: str, opens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`LOSANT_INSECURE_HTTP` is used if the argument is not given."""
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


def test_invalid_insecure_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid value is refused with the name of the argument or the variable."""
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
    """Any base URL is refused, or requests go to a path below it."""
    try:
        base = check_base_url(text)
    except ValidationError:
        return
    url = httpx.URL(base)
    assert url.scheme in {"http", "https"}
    ids = {"apiTokenId": A}
    request = build_request(
        endpoint(text), codec(), operations.USER_API_TOKEN_GET, ids, {}, None, {}
    )
    assert (url.scheme, url.host, url.port, b"") == (
        request.url.scheme,
        request.url.host,
        request.url.port,
        request.url.userinfo,
    )
    path, _, query = request.url.raw_path.partition(b"?")
    assert path.endswith(f"/me/tokens/{A}".encode())
    assert query == b"_actions=false&_links=true&_embedded=true"


def test_repr() -> None:
    """The repr of an endpoint does not show the token."""
    assert TOKEN not in repr(endpoint())


def test_signed_headers() -> None:
    """Only the headers of an operation that needs a token have it."""
    headers = endpoint().headers_for(operations.USER_API_TOKENS_GET)
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert "authorization" not in endpoint().headers_for(operations.AUTHENTICATE_USER)


def test_no_token() -> None:
    """Without a token, no headers have one."""
    without = Endpoint.create(API, None, api_version="^1.31.0", user_agent="tests/1")
    assert without.signed_headers == without.headers == endpoint().headers


def test_headers_are_shared() -> None:
    """The headers of one request do not change those of the next one."""
    same = endpoint()
    operation, options = operations.USER_API_TOKENS_GET, RequestOptions(losantdomain="b.example")
    request = build_request(same, codec(), operation, {}, {}, None, options)
    assert "losantdomain" in request.headers
    assert "losantdomain" not in same.headers_for(operation)


BASES = ["https://api.losant.com", "https://h.example:8443/a/b", "http://[::1]:80/"]
SENT_PARTS = ("scheme", "raw_scheme", "raw_host", "port", "netloc", "raw_path")
OTHER_PARTS = ("host", "path", "query", "params", "userinfo", "fragment", "is_absolute_url")


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("parameters", ["", "_actions=false&filter=a%20b%2F%3F"])
def test_parts_of_a_url(base: str, parameters: str) -> None:
    """A URL of the API has the same parts as httpx finds in its string."""
    url = endpoint(base).url_for(f"/me/tokens/{A}", parameters)
    parsed = httpx.URL(str(url))
    for part in (*SENT_PARTS, *OTHER_PARTS):
        assert getattr(url, part) == getattr(parsed, part)


def test_url_that_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL of the API is not parsed to send a request, and only once for other purposes."""
    parsed = []
    parse = httpx.URL.__init__

    def count(url: httpx.URL, text: str) -> None:
        parsed.append(text)
        parse(url, text)

    url = endpoint("https://h.example/a").url_for("/me/tokens", "page=0")
    monkeypatch.setattr(httpx.URL, "__init__", count)
    assert "https://h.example/a/me/tokens?page=0" == str(url)
    for part in SENT_PARTS:
        getattr(url, part)
    assert [] == parsed
    assert ("/a/me/tokens", b"page=0") == (url.path, url.query)
    assert ["https://h.example/a/me/tokens?page=0"] == parsed


def test_url_is_a_url_of_httpx() -> None:
    """A URL of the API can be compared, hashed, changed, copied and pickled as any of httpx."""
    url = endpoint().url_for("/me/tokens", "page=0")
    same = httpx.URL(f"{API}/me/tokens?page=0")
    assert (same, hash(same)) == (url, hash(url))
    assert same == httpx.URL(url) == copy.copy(url) == pickle.loads(pickle.dumps(url))
    assert f"{API}/x?page=0" == url.copy_with(path="/x")
    assert not hasattr(url, "pages")
