"""The operations, one request at a time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest

from losant_tokens.testing import FakeLosant
from tests.support.fake import NOW

APPLICATION = "5a" * 12
INSTANCE = "6b" * 12
OAUTH = {
    "client_id": "c" * 24,
    "redirect_uri": "https://example.com/callback",
    "code_challenge": "a" * 43,
    "code_challenge_method": "S256",
}
FAMILIES = {
    "user": ("/me/tokens", "apiTokenId", {"name": "x"}),
    "oauth": ("/me/oauth-tokens", "oauthTokenId", {"name": "x", "oauth": OAUTH}),
    f"application:{APPLICATION}": (
        f"/applications/{APPLICATION}/tokens",
        "apiTokenId",
        {"name": "x"},
    ),
    f"instance:{INSTANCE}": (f"/instances/{INSTANCE}/tokens", "apiTokenId", {"name": "x"}),
}
per_family = pytest.mark.parametrize(
    ("owner", "path", "id_name", "body"), [(owner, *rest) for owner, rest in FAMILIES.items()]
)
NOT_THERE = "0" * 24


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


@per_family
async def test_life_of_a_token(
    fake: FakeLosant,
    client: httpx.AsyncClient,
    owner: str,
    path: str,
    id_name: str,
    body: dict[str, Any],
) -> None:
    """A token is created, read, listed, patched and deleted, and then it is gone."""
    created = await client.post(path, json=body)
    id_ = created.json()["id"]
    one = f"{path}/{id_}"
    read = await client.get(one)
    listed = await client.get(path)
    patched = await client.patch(one, json={"name": "y", "status": "inactive"})
    deleted = await client.delete(one.upper().replace(one.upper(), f"{path}/{id_.upper()}"))
    again = await client.delete(one)

    assert [answer.status_code for answer in (created, read, listed, patched, deleted, again)] == [
        201,
        200,
        200,
        200,
        200,
        404,
    ]
    assert ("x", "active", id_) == (
        read.json()["name"],
        read.json()["status"],
        read.json()[id_name],
    )
    assert [id_] == [item["id"] for item in listed.json()["items"]]
    assert (patched.json()["name"], patched.json()["status"]) == ("y", "inactive")
    assert deleted.json() == {"success": True}
    assert again.json()["type"] == "NotFound"
    assert fake.tokens(owner) == ()


@per_family
async def test_secret_is_returned_once(
    fake: FakeLosant,
    client: httpx.AsyncClient,
    owner: str,
    path: str,
    id_name: str,
    body: dict[str, Any],
) -> None:
    """Only the creation returns the secret, and not that of an OAuth token."""
    created = await client.post(path, json=body)
    one = f"{path}/{created.json()['id']}"
    later = [
        (await client.get(one)).text,
        (await client.get(path)).text,
        (await client.patch(one, json={"name": "y"})).text,
    ]
    secret = fake.tokens(owner)[0].secret

    assert (None if owner == "oauth" else secret) == created.json().get("token")
    assert [secret in text or '"token"' in text for text in later] == [False] * 3


@per_family
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_unknown_id(
    client: httpx.AsyncClient, owner: str, path: str, id_name: str, body: Any, method: str
) -> None:
    """A token that does not exist is a 404 with Losant's message."""
    answer = await client.request(
        method, f"{path}/{NOT_THERE}", json={"name": "y"} if method == "PATCH" else None
    )

    what = "OAuth Token" if owner == "oauth" else "API Token"
    assert (404, {"type": "NotFound", "message": f"{what} was not found"}) == (
        answer.status_code,
        answer.json(),
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/me/tokens/not-hex", 400, "apiTokenId pattern mismatch"),
        ("GET", "/me/oauth-tokens/5", 400, "oauthTokenId pattern mismatch"),
        ("GET", "/me/tokens/..%2F..", 400, "apiTokenId pattern mismatch"),
        ("GET", f"/me/tokens/{'5' * 24}%0A", 400, "apiTokenId pattern mismatch"),
        ("GET", f"/me/tokens/{'5' * 101}", 405, "GET is not allowed"),
        ("DELETE", "/applications/5a/tokens", 405, "DELETE is not allowed"),
        ("GET", "/applications/5a/tokens", 400, "applicationId pattern mismatch"),
        ("GET", "/nowhere", 405, "GET is not allowed"),
        ("GET", "/", 405, "GET is not allowed"),
        ("PUT", "/me/tokens", 405, "PUT is not allowed"),
        ("PATCH", "/ME/tokens", 405, "PATCH is not allowed"),
    ],
)
async def test_bad_paths(
    client: httpx.AsyncClient, method: str, path: str, status: int, message: str
) -> None:
    """Malformed ids are a 400, unknown paths and methods a 405, with Losant's messages."""
    answer = await client.request(method, path)

    type_ = "Validation" if status == 400 else "MethodNotAllowed"
    assert (status, {"type": type_, "message": message}) == (answer.status_code, answer.json())


async def test_head_and_options(client: httpx.AsyncClient) -> None:
    """`HEAD` is not allowed anywhere, and `OPTIONS` is allowed everywhere, without a body."""
    head = await client.head("/me/tokens")
    options = [await client.options(path) for path in ("/me/tokens", "/nowhere")]

    assert (405, b"") == (head.status_code, head.content)
    assert [(204, b"")] * 2 == [(answer.status_code, answer.content) for answer in options]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/me/tokens", "OPTIONS, GET, POST"), ("/auth/user/", "OPTIONS, POST"), ("/", "OPTIONS")],
)
async def test_allowed_methods(client: httpx.AsyncClient, path: str, allowed: str) -> None:
    """The error for a method names the methods of the path."""
    answer = await client.put(path)

    assert (405, allowed) == (answer.status_code, answer.headers["allow"])


async def test_trailing_slash(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """A trailing slash in a path makes no difference."""
    token = fake.add_token()
    answers = [
        await client.get(path)
        for path in ("/me/tokens/", f"/me/tokens/{token.id}/", "/me/tokens//", "/me//tokens")
    ]

    assert [200, 200, 405, 405] == [answer.status_code for answer in answers]


@pytest.mark.parametrize(
    ("method", "path", "authorization", "content", "expected"),
    [
        ("GET", "/me/tokens/5", None, None, (400, "apiTokenId pattern mismatch")),
        ("POST", "/me/tokens", "Bearer x", b"{}", (400, "apiToken.name is required")),
        ("POST", "/me/tokens", "Bearer x", b"", (400, "apiToken is required")),
        ("POST", "/me/oauth-tokens", "Bearer x", b"", (400, "oauthToken is required")),
        ("POST", "/auth/user", "Bearer x", b"[]", (400, "credentials is the wrong type")),
        ("GET", f"/me/tokens/{NOT_THERE}", "Bearer x", None, (401, "Invalid access token")),
        ("POST", "/me/tokens", "Bearer x", b'{"name": "x"}', (401, "Invalid access token")),
        ("GET", f"/me/tokens/{NOT_THERE}", None, None, (403, "Access is forbidden")),
        ("GET", f"/me/tokens/{NOT_THERE}", "Basic abc", None, (403, "Access is forbidden")),
        ("GET", f"/me/tokens/{NOT_THERE}", "read", None, (403, "Access is forbidden")),
        ("DELETE", f"/me/tokens/{NOT_THERE}", "read", None, (403, "Access is forbidden")),
    ],
)
async def test_order_of_checks(
    fake: FakeLosant,
    method: str,
    path: str,
    authorization: str | None,
    content: bytes | None,
    expected: tuple[int, str],
) -> None:
    """The checks run in order: the request, the token, its scopes, and the resource."""
    if authorization == "read":
        authorization = f"Bearer {fake.access_token(['device.get'])}"
    headers = {} if authorization is None else {"Authorization": authorization}
    if content is not None:
        headers["Content-Type"] = "application/json"
    async with httpx.AsyncClient(transport=fake.transport(), base_url="http://fake") as client:
        answer = await client.request(method, path, content=content, headers=headers)

    assert expected == (answer.status_code, answer.json()["message"])


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b'{"name": NaN}', b"\xef\xbb\xbf{}"])
async def test_malformed_json(fake: FakeLosant, client: httpx.AsyncClient, content: bytes) -> None:
    """A body that is not JSON is an error with a code instead of a type."""
    answer = await client.post(
        "/me/tokens", content=content, headers={"Content-Type": "application/json"}
    )

    expected = {
        "code": "InvalidContent",
        "message": "Invalid JSON: the body cannot be parsed",
    }
    assert (400, expected, ()) == (answer.status_code, answer.json(), fake.tokens())


@pytest.mark.parametrize(
    ("content", "content_type", "problem"),
    [
        (b'{"name": "x"}', "text/plain", "is the wrong type"),
        (b'{"name": "x"}', "", "is the wrong type"),
        (b"{}", "application/json; charset=utf-8", ".name is required"),
        (b'"x"', "application/json", "is the wrong type"),
        (b"null", "application/json", "is the wrong type"),
        (b'{"name": "x", "scope": ["all.Galaxy"]}', "APPLICATION/JSON", ".scope.0 must be an enum"),
    ],
)
async def test_bad_bodies(
    fake: FakeLosant, client: httpx.AsyncClient, content: bytes, content_type: str, problem: str
) -> None:
    """A body of another content type or an invalid body is a 400, and nothing is changed."""
    answer = await client.post(
        "/me/tokens", content=content, headers={"Content-Type": content_type}
    )

    body = answer.json()
    assert (400, "Validation", {"type", "message"}) == (answer.status_code, body["type"], set(body))
    assert body["message"].startswith(f"apiToken{problem if problem[0] == '.' else f' {problem}'}")
    assert fake.tokens() == ()


@pytest.mark.parametrize(("size", "status"), [(200, 201), (201, 413)])
async def test_body_limit(size: int, status: int) -> None:
    """A body above the limit is a 413 without a body, and one at the limit is accepted."""
    fake = FakeLosant(body_limit=200)
    content = b'{"name": "x"}'.ljust(size)
    async with httpx.AsyncClient(transport=fake.transport(), base_url="http://fake") as client:
        answer = await client.post(
            "/me/tokens",
            content=content,
            headers={
                "Authorization": f"Bearer {fake.admin_token}",
                "Content-Type": "application/json",
            },
        )

    assert (status, status == 413) == (answer.status_code, answer.content == b"")


async def test_dates(client: httpx.AsyncClient) -> None:
    """Dates are in UTC with milliseconds, and a token that never expires has no such member."""
    lasting = await client.post("/me/tokens", json={"name": "x"})
    passing = await client.post(
        "/me/tokens", json={"name": "x", "expirationDate": "2026-06-13T06:00:00.5+02:00"}
    )

    assert (
        lasting.json()["creationDate"],
        lasting.json()["lastUpdated"],
        "expirationDate" in lasting.json(),
    ) == ("2026-03-01T12:00:00.123Z", "2026-03-01T12:00:00.123Z", False)
    assert passing.json()["expirationDate"] == "2026-06-13T04:00:00.500Z"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, NOW.replace(microsecond=123000) + timedelta(days=365)),
        ({"expirationDate": None}, None),
        (
            {"expirationDate": "2026-06-13T04:00:00Z"},
            datetime(2026, 6, 13, 4, tzinfo=UTC),
        ),
    ],
)
async def test_expiration_of_oauth_tokens(
    fake: FakeLosant,
    client: httpx.AsyncClient,
    given: dict[str, Any],
    expected: datetime | None,
) -> None:
    """An OAuth token expires in a year by default, and never with null."""
    answer = await client.post("/me/oauth-tokens", json={"name": "x", "oauth": OAUTH, **given})

    (token,) = fake.tokens("oauth")
    assert expected == token.expiration_date
    assert (expected is None) == ("expirationDate" not in answer.json())


async def test_members_of_tokens(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """A token of an application names its owner and creator; an OAuth token its client."""
    api = (
        await client.post(f"/applications/{APPLICATION.upper()}/tokens", json={"name": "x"})
    ).json()
    oauth = (
        await client.post(
            "/me/oauth-tokens", json={"name": "x", "oauth": OAUTH | {"resource": ["a:b"]}}
        )
    ).json()

    assert (APPLICATION, "application", fake.user_id, "user", ["all.Application"]) == tuple(
        api[name] for name in ("ownerId", "ownerType", "creatorId", "creatorType", "scope")
    )
    assert oauth["oauth"] == {
        "client_id": "c" * 24,
        "redirect_uri": "https://example.com/callback",
        "resource": ["a:b"],
        "client_name": "A client",
        "authorizationStatus": "pending",
    }


async def test_claims(fake: FakeLosant) -> None:
    """Tokens are JWTs with the claims of Losant's tokens."""
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    issued = {"iat": int(NOW.timestamp())}
    api = fake.add_token(scope=["a", "b"])
    oauth = fake.add_token(owner="oauth", scope=["a"], expiration_date=expires)

    assert {**issued, "jti": api.id, "scope": ["a", "b"]} == claims(api.secret)
    assert {
        **issued,
        "jti": oauth.id,
        "scope": ["a"],
        "exp": int(expires.timestamp()),
    } == {key: value for key, value in claims(oauth.secret).items() if key != "aud"}
    assert "aud" in claims(oauth.secret)


async def test_issuer(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """The issuer of a token is the host of the request that created it, also for a login."""
    fake.add_user("ada@example.com", "lovelace")
    created = (await client.post("/me/tokens", json={"name": "x"})).json()["token"]
    login = await client.post(
        "/auth/user", json={"email": "ada@example.com", "password": "lovelace"}
    )

    assert ["api.losant.com"] * 2 == [
        claims(token)["iss"] for token in (created, login.json()["token"])
    ]
    assert "iss" not in claims(fake.admin_token)


def test_given_issuer() -> None:
    """The argument `issuer` is in every token."""
    fake = FakeLosant(issuer="losant.example")

    assert ["losant.example"] * 2 == [
        claims(token)["iss"] for token in (fake.admin_token, fake.add_token().secret)
    ]


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("2026-06-13T04:00:00Z", "2026-06-13T04:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ("9999-12-31T23:59:59-05:00", "+010000-01-01T04:59:59.000Z"),
        ("9999-12-31T23:59:59-23:59", "+010000-01-01T23:58:59.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00+05:00", "0000-12-31T19:00:00.000Z"),
        ("0400-02-29T00:00:00+01:00", "0400-02-28T23:00:00.000Z"),
    ],
)
async def test_dates_at_the_edges(
    fake: FakeLosant, client: httpx.AsyncClient, sent: str, written: str
) -> None:
    """A date near the year 1 or 9999 is stored, sorted, and written as JavaScript does."""
    fake.add_token("never")
    created = await client.post("/me/tokens", json={"name": "x", "expirationDate": sent})
    listed = await client.get("/me/tokens", params={"sortField": "expirationDate"})

    assert (201, written) == (created.status_code, created.json()["expirationDate"])
    assert [None, written] == [item.get("expirationDate") for item in listed.json()["items"]]


async def test_times_at_the_edge() -> None:
    """A fake at the latest possible time creates tokens that expire then."""
    last = datetime.max.replace(tzinfo=UTC)
    fake = FakeLosant(now=lambda: last)
    async with httpx.AsyncClient(transport=fake.transport(), base_url="http://fake") as client:
        answer = await client.post(
            "/me/oauth-tokens",
            json={"name": "x", "oauth": OAUTH},
            headers={"Authorization": f"Bearer {fake.admin_token}"},
        )

    assert answer.json()["expirationDate"] == "9999-12-31T23:59:59.999Z"


@pytest.mark.parametrize(
    "text", [r"a\ud800b", r"\udc00", r"\ud800\ud800\udc00"], ids=["high", "low", "both"]
)
async def test_half_a_surrogate_pair(
    fake: FakeLosant, client: httpx.AsyncClient, text: str
) -> None:
    """Half a surrogate pair becomes the replacement character, and lists stay readable."""
    content = f'{{"name": "{text}", "orgRoles": [{{"orgId": "{text}"}}]}}'
    headers = {"Content-Type": "application/json"}
    refused = await client.post("/me/tokens", content=content, headers=headers)
    content = f'{{"name": "{text}", "description": "{text}"}}'
    created = await client.post("/me/tokens", content=content, headers=headers)
    listed = await client.get("/me/tokens")

    (token,) = fake.tokens()
    assert (400, 201, 200) == (refused.status_code, created.status_code, listed.status_code)
    assert "\N{REPLACEMENT CHARACTER}" in token.name
    assert token.name == listed.json()["items"][0]["name"] == token.description


async def test_half_a_surrogate_pair_from_python(
    fake: FakeLosant, client: httpx.AsyncClient
) -> None:
    """A token that a test adds with half a surrogate pair is sent with an escape."""
    fake.add_token("a\ud800")
    answer = await client.get("/me/tokens")

    assert (200, True) == (answer.status_code, rb'"a\ud800"' in answer.content)


async def test_owner_of_an_instances_token(client: httpx.AsyncClient) -> None:
    """Every response about a token of an instance names the instance."""
    path = f"/instances/{INSTANCE}/tokens"
    created = (await client.post(path, json={"name": "x"})).json()
    listed = (await client.get(path)).json()

    assert [("instance", INSTANCE)] * 3 == [
        (body["ownerType"], body["ownerId"]) for body in (created, listed, listed["items"][0])
    ]


async def test_operations_of_the_official_command_line(client: httpx.AsyncClient) -> None:
    """`losant login` finds no single sign-on, and the addresses of the application."""
    sso = await client.get("/auth/ssoDomain", params={"email": "ada@example.com"})
    label = await client.get("/whitelabels/domain")

    assert (204, b"") == (sso.status_code, sso.content)
    assert {"appUrl", "endpointDomain"} == set(label.json())


async def test_date_header(client: httpx.AsyncClient) -> None:
    """Every response has the date of the fake's own clock, refusals included."""
    answers = [await client.get(path) for path in ("/me/tokens", "/nowhere")]

    assert ["Sun, 01 Mar 2026 12:00:00 GMT"] * 2 == [answer.headers["date"] for answer in answers]


async def test_patch_moves_last_updated() -> None:
    """A patch changes the given members and the date of the last update."""
    times = iter(NOW + timedelta(seconds=second) for second in range(100))
    fake = FakeLosant(now=lambda: next(times))
    token = fake.add_token(description="old")
    async with httpx.AsyncClient(transport=fake.transport(), base_url="http://fake") as client:
        await client.patch(
            f"/me/tokens/{token.id}",
            json={"description": "new"},
            headers={"Authorization": f"bearer {fake.admin_token}"},
        )

    (patched,) = fake.tokens()
    assert ("My API Token", "new", token.creation_date) == (
        patched.name,
        patched.description,
        patched.creation_date,
    )
    assert patched.last_updated > token.last_updated


@pytest.mark.parametrize(
    ("query", "present"),
    [
        ({}, {"_type", "_etag", "_links", "_embedded", "_actions"}),
        ({"_actions": ""}, {"_type", "_etag", "_links", "_embedded", "_actions"}),
        ({"_links": "false", "_actions": "0"}, {"_type", "_etag", "_embedded"}),
        ({"_links": "null", "_embedded": "True"}, {"_type", "_etag", "_actions"}),
        (
            {"_actions": "true", "_embedded": "False", "_links": "yes"},
            {"_type", "_etag", "_links", "_actions"},
        ),
    ],
)
async def test_members_beyond_the_contract(
    fake: FakeLosant, client: httpx.AsyncClient, query: dict[str, str], present: set[str]
) -> None:
    """Responses have the optional members that a request asks for, and no others."""
    token = fake.add_token(
        description="d",
        default_role="view",
        org_roles=[{"orgId": "sandbox", "role": "view"}],
        creator_name="ada",
    )

    one = (await client.get(f"/me/tokens/{token.id}", params=query)).json()
    many = (await client.get("/me/tokens", params=query)).json()

    assert [present] * 3 == [
        {name for name in body if name.startswith("_")} for body in (one, many, many["items"][0])
    ]
    assert one["orgRoles"] == [{"orgId": "sandbox", "role": "view"}]
