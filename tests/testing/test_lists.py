"""Lists: pages, order and filters."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from losant_tokens.testing import FakeLosant
from tests.testing.conftest import NOW

DAY = {number: datetime(2026, 1, number, tzinfo=UTC) for number in range(1, 10)}


@pytest.fixture
def filled(fake: FakeLosant) -> FakeLosant:
    fake.add_token("b", id="3" * 24, creation_date=DAY[1], expiration_date=DAY[4])
    fake.add_token("a", id="1" * 24, creation_date=DAY[3], status="inactive")
    fake.add_token(
        "b", id="2" * 24, creation_date=DAY[2], last_updated=DAY[9], expiration_date=DAY[3]
    )
    return fake


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "132"),
        ({"sortDirection": "desc"}, "321"),
        ({"sortField": "id"}, "123"),
        ({"sortField": "status"}, "321"),
        ({"sortField": "creationDate"}, "321"),
        ({"sortField": "lastUpdated", "sortDirection": "desc"}, "213"),
        ({"sortField": "expirationDate"}, "123"),
        ({"sortField": "expirationDate", "sortDirection": "desc"}, "321"),
        ({"filterField": "status", "filter": "inactive"}, "1"),
        ({"filterField": "name", "filter": "b"}, "32"),
        ({"filterField": "name", "filter": ""}, "132"),
        ({"filter": "b"}, "132"),
        ({"perPage": "2"}, "13"),
        ({"perPage": "2", "page": "1"}, "2"),
        ({"perPage": "2", "page": "2"}, ""),
    ],
)
async def test_selection(
    filled: FakeLosant, client: httpx.AsyncClient, query: dict[str, str], expected: str
) -> None:
    """A list has the tokens that match, in order, and equal ones in the order of their coming."""
    body = (await client.get("/me/tokens", params=query)).json()

    assert expected == "".join(item["id"][0] for item in body["items"])
    assert len(expected) == body["count"]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("ci-*", ["ci-1", "ci-12"]),
        ("*1*", ["ci-1", "ci-12", "x[1].c"]),
        ("x[1].c", ["x[1].c"]),
        ("CI-*", []),
        ("*", ["ci-1", "ci-12", "x[1].c"]),
        ("c?-1", []),
    ],
)
async def test_globs(
    fake: FakeLosant, client: httpx.AsyncClient, glob: str, expected: list[str]
) -> None:
    """A star matches any run of characters, and all else matches itself."""
    for name in ("ci-1", "ci-12", "x[1].c"):
        fake.add_token(name)

    body = (await client.get("/me/tokens", params={"filterField": "name", "filter": glob})).json()

    assert expected == [item["name"] for item in body["items"]]
    assert len(expected) == body["totalCount"]


async def test_members_of_a_list(filled: FakeLosant, client: httpx.AsyncClient) -> None:
    """A list tells what it is a part of and how it was asked for."""
    body = (
        await client.get(
            "/me/tokens", params={"filterField": "name", "filter": "b", "perPage": "1", "page": "1"}
        )
    ).json()

    assert {
        "count": 1,
        "totalCount": 2,
        "perPage": 1,
        "page": 1,
        "sortField": "name",
        "sortDirection": "asc",
        "filterField": "name",
        "filter": "b",
        "ownerId": filled.user_id,
        "ownerType": "user",
    } == {name: body[name] for name in body if name != "items" and not name.startswith("_")}


async def test_lists_of_oauth_tokens_have_no_owner(client: httpx.AsyncClient) -> None:
    """Lists of OAuth tokens do not name their owner."""
    body = (await client.get("/me/oauth-tokens")).json()

    assert (body["totalCount"], body["perPage"], "ownerId" in body) == (0, 100, False)


@pytest.mark.parametrize(
    ("path", "query", "names"),
    [
        ("/me/tokens", {"page": "x"}, ["$.page"]),
        ("/me/tokens", {"page": "-1"}, ["$.page"]),
        ("/me/tokens", {"page": ""}, ["$.page"]),
        ("/me/tokens", {"page": "9" * 20}, ["$.page"]),
        ("/me/tokens", {"page": "\u0661"}, ["$.page"]),
        ("/me/tokens", {"perPage": "0", "page": "1.5"}, ["$.perPage", "$.page"]),
        ("/me/tokens", {"sortField": "creatorId"}, ["$.sortField"]),
        ("/me/tokens", {"sortDirection": "up"}, ["$.sortDirection"]),
        ("/me/tokens", {"filterField": "scope"}, ["$.filterField"]),
        ("/me/oauth-tokens", {"sortField": "expirationDate"}, ["$.sortField"]),
        ("/me/oauth-tokens", {"filterField": "status"}, ["$.filterField"]),
    ],
)
async def test_bad_queries(
    client: httpx.AsyncClient, path: str, query: dict[str, str], names: list[str]
) -> None:
    """A parameter that the contract does not allow is a 400 that names it."""
    answer = await client.get(path, params=query)

    assert (400, names) == (
        answer.status_code,
        [error["path"] for error in answer.json()["validationErrors"]],
    )


async def test_page_cap(filled: FakeLosant, client: httpx.AsyncClient) -> None:
    """The server may cap its pages, and tells so in the answer."""
    filled.page_cap = 2
    capped = (await client.get("/me/tokens", params={"perPage": "1000"})).json()
    filled.page_cap = None
    free = (await client.get("/me/tokens", params={"perPage": "1000"})).json()

    assert [(body["perPage"], body["count"], body["totalCount"]) for body in (capped, free)] == [
        (2, 2, 3),
        (1000, 3, 3),
    ]
    assert None is filled.page_cap


def test_page_cap_of_nothing(fake: FakeLosant) -> None:
    """A cap under one is refused."""
    with pytest.raises(ValueError, match="at least one token, not 0"):
        fake.page_cap = 0


async def test_families_are_apart(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """Each owner has a list of its own."""
    owners: dict[str, str] = {
        "user": "/me/tokens",
        "oauth": "/me/oauth-tokens",
        f"application:{'a' * 24}": f"/applications/{'a' * 24}/tokens",
        f"application:{'b' * 24}": f"/applications/{'b' * 24}/tokens",
        f"instance:{'a' * 24}": f"/instances/{'a' * 24}/tokens",
    }
    for owner in owners:
        fake.add_token(f"of {owner}", owner=owner)

    listed: dict[str, Any] = {
        owner: [item["name"] for item in (await client.get(path)).json()["items"]]
        for owner, path in owners.items()
    }

    assert {owner: [f"of {owner}"] for owner in owners} == listed
    assert NOW.replace(microsecond=123000) == fake.tokens()[0].creation_date
