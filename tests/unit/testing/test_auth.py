"""Authentication and authorization of the fake."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from losant_tokens.testing import FakeLosant
from tests.support.fake import NOW

APPLICATION = "a" * 24
OTHER = "b" * 24


async def ask(
    client: httpx.AsyncClient, bearer: str, method: str = "GET", path: str = "/me/tokens"
) -> tuple[int, str | None]:
    """Send a request with a bearer token, and return the status and the type of the error."""
    answer = await client.request(
        method,
        path,
        headers={"Authorization": f"Bearer {bearer}"},
        json={"name": "x"} if method in {"POST", "PATCH"} else None,
    )
    return answer.status_code, answer.json().get("type")


FORBIDDEN = (403, {"type": "Forbidden", "message": "Access is forbidden"})
UNKNOWN = (401, {"type": "Unauthorized", "message": "Invalid access token"})
EXPIRED = (401, {"type": "Unauthorized", "message": "Access token has expired"})


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", FORBIDDEN),
        ("Bearer", FORBIDDEN),
        ("Bearer ", FORBIDDEN),
        ("Basic abc", FORBIDDEN),
        ("abc", FORBIDDEN),
        ("Bearer nonsense", UNKNOWN),
        ("jwt nonsense", UNKNOWN),
    ],
)
async def test_unknown_tokens(client: httpx.AsyncClient, header: str, expected: Any) -> None:
    """A request without a token gets a 403, and one with an unknown token a 401."""
    answer = await client.get("/me/tokens", headers={"Authorization": header})

    assert expected == (answer.status_code, answer.json())


async def test_expired(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """An expired token is refused with its own message."""
    bearer = fake.access_token(expires=NOW)
    answer = await client.get("/me/tokens", headers={"Authorization": f"Bearer {bearer}"})

    assert EXPIRED == (answer.status_code, answer.json())


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, (200, None)),
        ({"status": "inactive"}, (401, "Unauthorized")),
        ({"expiration_date": NOW}, (401, "Unauthorized")),
        ({"expiration_date": NOW + timedelta(seconds=1)}, (200, None)),
        ({"scope": ["devices.get"]}, (403, "Forbidden")),
        ({"scope": []}, (403, "Forbidden")),
    ],
)
async def test_listed_tokens_work(
    fake: FakeLosant,
    client: httpx.AsyncClient,
    members: dict[str, Any],
    expected: tuple[int, str | None],
) -> None:
    """A listed token works as a bearer token while it is active and not expired."""
    token = fake.add_token(**members)

    assert await ask(client, token.secret) == expected


async def test_created_tokens_work_until_they_are_deleted(
    fake: FakeLosant, client: httpx.AsyncClient
) -> None:
    """A new token works, is the creator of its tokens, and stops working once deleted."""
    created = (
        await client.post("/me/tokens", json={"name": "parent", "scope": ["all.User"]})
    ).json()
    statuses = [await ask(client, created["token"], "POST")]
    await client.patch(f"/me/tokens/{created['id']}", json={"status": "inactive"})
    statuses.append(await ask(client, created["token"]))
    await client.patch(f"/me/tokens/{created['id']}", json={"status": "active"})
    statuses.append(await ask(client, created["token"]))
    await client.delete(f"/me/tokens/{created['id']}")
    statuses.append(await ask(client, created["token"]))

    (child,) = fake.tokens()
    assert statuses == [(201, None), (401, "Unauthorized"), (200, None), (401, "Unauthorized")]
    assert (child.creator_id, child.creator_type, child.creator_name) == (
        created["id"],
        "apiToken",
        "parent",
    )


@pytest.mark.parametrize(
    ("scopes", "method", "path", "status"),
    [
        (["all.User.read"], "GET", "/me/tokens", 200),
        (["all.User.read"], "POST", "/me/tokens", 403),
        (["all.User.bounded"], "POST", "/me/tokens", 403),
        (["userApiTokens.*"], "POST", "/me/tokens", 201),
        (["userApiTokens.post"], "POST", "/me/tokens", 201),
        (["userApiTokens.post"], "GET", "/me/tokens", 403),
        (["userApiToken.*"], "GET", "/me/tokens", 403),
        (["only.User"], "GET", f"/applications/{APPLICATION}/tokens", 403),
        (["all.Organization"], "POST", f"/applications/{APPLICATION}/tokens", 201),
        (["all.Application"], "GET", f"/instances/{APPLICATION}/tokens", 403),
        (["x", "all.Instance"], "GET", f"/instances/{APPLICATION}/tokens", 200),
    ],
)
async def test_scopes(
    fake: FakeLosant,
    client: httpx.AsyncClient,
    scopes: list[str],
    method: str,
    path: str,
    status: int,
) -> None:
    """An operation accepts the scopes of the contract and no others."""
    assert (await ask(client, fake.access_token(scopes), method, path))[0] == status


@pytest.mark.parametrize(
    ("scope", "allow", "status"),
    [
        ("me", True, 201),
        ("me", False, 403),
        ("all.User.cli", True, 403),
        ("all.Application.cli", True, 403),
        ("all.Galaxy", True, 403),
    ],
)
async def test_unpublished_scopes(scope: str, allow: bool, status: int) -> None:
    """Deprecated scopes allow everything, or nothing if set so; other unknown scopes nothing."""
    fake = FakeLosant(unpublished_scopes_allow=allow)
    async with httpx.AsyncClient(transport=fake.transport(), base_url="http://fake") as client:
        actual = await ask(client, fake.access_token([scope]), "POST")

    assert actual[0] == status


async def test_log_in_with_a_bad_token(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """Logging in needs no token, but an unknown token is still refused."""
    fake.add_user("ada@example.com", "lovelace")
    answer = await client.post("/auth/user", json=LOGIN, headers={"Authorization": "Bearer x"})

    assert UNKNOWN == (answer.status_code, answer.json())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/me/tokens", 200),
        ("POST", "/me/tokens", 403),
        ("PATCH", f"/me/oauth-tokens/{APPLICATION}", 403),
        ("DELETE", f"/me/tokens/{APPLICATION}", 403),
        ("POST", f"/applications/{APPLICATION}/tokens", 201),
    ],
)
async def test_oauth_tokens(
    fake: FakeLosant, client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    """OAuth tokens may not change a user's tokens, regardless of their scopes."""
    minted = fake.access_token(oauth=True)
    listed = fake.add_token(owner="oauth", scope=["all.User"]).secret

    assert [(await ask(client, bearer, method, path))[0] for bearer in (minted, listed)] == [
        status,
        status,
    ]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/applications/{APPLICATION}/tokens", 200),
        (f"/applications/{OTHER}/tokens", 403),
        ("/me/tokens", 403),
    ],
)
async def test_access_of_application_tokens(
    fake: FakeLosant, client: httpx.AsyncClient, path: str, status: int
) -> None:
    """A token of an application can access only the tokens of that application."""
    owner = f"application:{APPLICATION}"
    listed = fake.add_token(owner=owner, scope=["all.User"]).secret
    minted = fake.access_token(owner=owner)

    assert [(await ask(client, bearer, path=path))[0] for bearer in (listed, minted)] == [
        status,
        status,
    ]


async def test_access_tokens(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """An access token is in no list, is unique, and expires at the given time."""
    one, other = fake.access_token(), fake.access_token()
    expired = fake.access_token(expires=NOW)

    assert one != other
    assert [await ask(client, bearer) for bearer in (one, other, expired)] == [
        (200, None),
        (200, None),
        (401, "Unauthorized"),
    ]
    assert fake.tokens() == ()


LOGIN = {"email": "Ada@example.com", "password": "lovelace"}


@pytest.mark.parametrize(
    ("credentials", "status"),
    [
        (LOGIN, 200),
        (LOGIN | {"password": "wrong password"}, 401),
        (LOGIN | {"email": "bob@example.com"}, 401),
        (LOGIN | {"password": "short"}, 400),
        ({"email": "eve@example.com", "password": "12345678"}, 401),
        ({"email": "eve@example.com", "password": "12345678", "twoFactorCode": "1"}, 401),
        ({"email": "eve@example.com", "password": "12345678", "twoFactorCode": "123456"}, 200),
    ],
)
async def test_log_in(fake: FakeLosant, credentials: dict[str, str], status: int) -> None:
    """A known user logs in without a token, and gets a token that works."""
    users = {
        user.email: user
        for user in (
            fake.add_user("ada@example.com", "lovelace"),
            fake.add_user("eve@example.com", "12345678", "123456"),
        )
    }
    async with httpx.AsyncClient(transport=fake.transport(), base_url="http://fake") as client:
        answer = await client.post("/auth/user", json=credentials)
        body = answer.json()
        works = await ask(client, body.get("token", "nonsense"))

    user = users.get(credentials["email"].lower())
    assert answer.status_code == status
    assert (body.get("userId"), works[0]) == (
        (user.id, 200) if user and status == 200 else (None, 401)
    )


async def test_log_in_with_fewer_scopes() -> None:
    """A login may request fewer scopes and a shorter lifetime."""
    times = [NOW]
    fake = FakeLosant(now=lambda: times[-1])
    fake.add_user("ada@example.com", "lovelace")
    async with httpx.AsyncClient(transport=fake.transport(), base_url="http://fake") as client:
        answer = await client.post(
            "/auth/user", json=LOGIN | {"requestedScopes": ["all.User.read"], "tokenTTL": 60}
        )
        token = answer.json()["token"]
        before = [await ask(client, token), await ask(client, token, "POST")]
        times.append(NOW + timedelta(seconds=61))
        after = await ask(client, token)

    assert before == [(200, None), (403, "Forbidden")]
    assert after == (401, "Unauthorized")
