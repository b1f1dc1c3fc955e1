"""Lists: pages, order and filters."""

import re
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens.testing import FakeLosant
from losant_tokens.testing._listing import glob
from tests.support.fake import NOW

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
    """A list has the matching tokens in order; equal ones keep the order of their addition."""
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
    """`*` matches any characters, and every other character matches itself."""
    for name in ("ci-1", "ci-12", "x[1].c"):
        fake.add_token(name)

    body = (await client.get("/me/tokens", params={"filterField": "name", "filter": glob})).json()

    assert expected == [item["name"] for item in body["items"]]
    assert len(expected) == body["totalCount"]


async def test_members_of_a_list(filled: FakeLosant, client: httpx.AsyncClient) -> None:
    """A list states its owner and the parameters of the request."""
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
    ("path", "query", "message"),
    [
        ("/me/tokens", {"page": "x"}, "page pattern mismatch"),
        ("/me/tokens", {"page": "-1"}, "page pattern mismatch"),
        ("/me/tokens", {"page": ""}, "page pattern mismatch"),
        ("/me/tokens", {"page": "\u0661"}, "page pattern mismatch"),
        ("/me/tokens", {"page": "1\n"}, "page pattern mismatch"),
        ("/me/tokens", {"perPage": "0", "page": "1.5"}, "page pattern mismatch"),
        ("/me/tokens", {"perPage": "0"}, "perPage pattern mismatch"),
        ("/me/tokens", {"perPage": "010"}, "perPage pattern mismatch"),
        ("/me/tokens", {"sortField": "creatorId"}, "sortField must be an enum value"),
        ("/me/tokens", {"sortDirection": "up"}, "sortDirection must be an enum value"),
        ("/me/tokens", {"filterField": "scope"}, "filterField must be an enum value"),
        ("/me/tokens", {"filterField": ""}, "filterField must be an enum value"),
        ("/me/oauth-tokens", {"sortField": "expirationDate"}, "sortField must be an enum value"),
        ("/me/oauth-tokens", {"filterField": "status"}, "filterField must be an enum value"),
        ("/me/tokens", {"page": ["0", "0"]}, "page is the wrong type"),
        ("/me/tokens", {"filter": ["a", "b", "c"]}, "filter is the wrong type"),
        ("/me/tokens", {"_links": ["true", "true"]}, "_links is the wrong type"),
        ("/me/tokens", {"perPage[]": "1"}, "perPage is the wrong type"),
    ],
)
async def test_bad_queries(
    client: httpx.AsyncClient, path: str, query: dict[str, Any], message: str
) -> None:
    """A parameter that the contract does not allow is a 400 that names it."""
    answer = await client.get(path, params=query)

    assert (400, {"type": "Validation", "message": message}) == (answer.status_code, answer.json())


async def test_unknown_parameters(filled: FakeLosant, client: httpx.AsyncClient) -> None:
    """A parameter that the contract does not know is ignored, even if it is given twice."""
    answer = await client.get("/me/tokens", params={"colour": ["red", "blue"], "x[y]": "z"})

    assert (200, 3) == (answer.status_code, answer.json()["count"])


async def test_huge_numbers(filled: FakeLosant, client: httpx.AsyncClient) -> None:
    """A number of any length is read: a huge page number is empty, a huge size has all tokens."""
    empty = await client.get("/me/tokens", params={"page": "9" * 5000})
    everything = await client.get("/me/tokens", params={"perPage": "9" * 5000})

    assert (0, 3) == (empty.json()["count"], everything.json()["count"])


async def test_filter_with_many_stars(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """A filter with many stars is fast, even if its parts occur often in a name."""
    for _ in range(100):
        fake.add_token("a" * 255)
    started = time.monotonic()
    for stars in (8, 100):
        pattern = "*a" * stars + "*b*"
        await client.get("/me/tokens", params={"filterField": "name", "filter": pattern})

    assert time.monotonic() - started < 1


@given(st.text("ab*", max_size=8), st.text("ab*\n", max_size=12))
def test_any_glob(pattern: str, text: str) -> None:
    """The matcher gives the same result as a regular expression that backtracks."""
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL)

    assert bool(expected) is glob(pattern)(text)


async def test_page_cap(filled: FakeLosant, client: httpx.AsyncClient) -> None:
    """The server may cap the page size, and states this in the response."""
    filled.page_cap = 2
    capped = (await client.get("/me/tokens", params={"perPage": "1000"})).json()
    filled.page_cap = None
    free = (await client.get("/me/tokens", params={"perPage": "1000"})).json()

    assert [(body["perPage"], body["count"], body["totalCount"]) for body in (capped, free)] == [
        (2, 2, 3),
        (1000, 3, 3),
    ]
    assert None is filled.page_cap


def test_page_cap_of_zero(fake: FakeLosant) -> None:
    """A cap below one is refused."""
    with pytest.raises(ValueError, match="page_cap must be at least 1, or None, not 0"):
        fake.page_cap = 0


async def test_lists_of_owners_are_separate(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """Each owner has its own list."""
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
