"""The operations, one request at a time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest

from losant_tokens.testing import FakeLosant
from tests.testing.conftest import NOW

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
    """A token is created, read, listed, patched and deleted, and gone thereafter."""
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
async def test_the_secret_is_told_once(
    fake: FakeLosant,
    client: httpx.AsyncClient,
    owner: str,
    path: str,
    id_name: str,
    body: dict[str, Any],
) -> None:
    """Only creating tells the secret; an OAuth token's is not told at all, as its flow tells it."""
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
    """A token that is not there is a 404 in Losant's words."""
    answer = await client.request(
        method, f"{path}/{NOT_THERE}", json={"name": "y"} if method == "PATCH" else None
    )

    what = "OAuth Token" if owner == "oauth" else "API Token"
    assert (404, {"type": "NotFound", "message": f"{what} was not found"}) == (
        answer.status_code,
        answer.json(),
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "type_"),
    [
        ("GET", "/me/tokens/not-hex", 400, "Validation"),
        ("DELETE", "/applications/5a/tokens", 405, "MethodNotAllowed"),
        ("GET", "/applications/5a/tokens", 400, "Validation"),
        ("GET", "/nowhere", 404, "NotFound"),
        ("PUT", "/me/tokens", 405, "MethodNotAllowed"),
    ],
)
async def test_bad_paths(
    client: httpx.AsyncClient, method: str, path: str, status: int, type_: str
) -> None:
    """Malformed ids, unknown paths and unknown methods are refused as JSON."""
    answer = await client.request(method, path)

    assert (status, type_) == (answer.status_code, answer.json()["type"])


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"{", "application/json"),
        (b"\xff", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"name": "x"}', "text/plain"),
        (b'{"name": "x"}', ""),
        (b"{}", "application/json; charset=utf-8"),
        (b'"x"', "application/json"),
    ],
)
async def test_bad_bodies(
    fake: FakeLosant, client: httpx.AsyncClient, content: bytes, content_type: str
) -> None:
    """A body that is no JSON, is not called JSON or does not fit is a 400, and nothing happens."""
    answer = await client.post(
        "/me/tokens", content=content, headers={"Content-Type": content_type}
    )

    assert (
        answer.status_code,
        answer.json()["type"],
        len(answer.json()["validationErrors"]),
    ) == (400, "Validation", 1)
    assert fake.tokens() == ()


@pytest.mark.parametrize(("size", "status"), [(200, 201), (201, 413)])
async def test_body_limit(size: int, status: int) -> None:
    """A body over the limit is a 413 without a body, and one at the limit passes."""
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
    """An OAuth token lasts a year unless told otherwise, and null is for ever."""
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
    """Tokens are JWTs with the claims that Losant's are seen to have."""
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    api = fake.add_token(scope=["a", "b"])
    oauth = fake.add_token(owner="oauth", scope=["a"], expiration_date=expires)

    assert {"iss": "api.losant.com", "jti": api.id, "scope": ["a", "b"]} == claims(api.secret)
    assert {
        "iss": "api.losant.com",
        "jti": oauth.id,
        "scope": ["a"],
        "exp": int(expires.timestamp()),
    } == {key: value for key, value in claims(oauth.secret).items() if key != "aud"}
    assert "aud" in claims(oauth.secret)


async def test_patch_moves_last_updated() -> None:
    """Patching changes what is named, and the date of the last update."""
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
        ({}, {"_type", "_etag", "_links", "_embedded"}),
        ({"_links": "false"}, {"_type", "_etag", "_embedded"}),
        ({"_actions": "true", "_embedded": "False"}, {"_type", "_etag", "_links", "_actions"}),
    ],
)
async def test_members_beyond_the_contract(
    fake: FakeLosant, client: httpx.AsyncClient, query: dict[str, str], present: set[str]
) -> None:
    """Answers carry what official clients ask for, and leave out what is not asked for."""
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
