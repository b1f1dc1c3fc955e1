"""Tokens as JSON."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from losant_tokens import ApiToken, OauthDetails, OrgRole, ResourceRole, Secret, UserOauthToken
from losant_tokens.cli._tokens.json import as_json, as_wire

DATETIME = datetime(2030, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)


def test_names_of_members() -> None:
    """Members have the names of the API; missing and secret ones and metadata are left out."""
    token = ApiToken(
        id="1",
        name="ci",
        expiration_date=DATETIME,
        org_roles=(OrgRole("2", "none", application_roles=(ResourceRole("3", "view"),)),),
        token=Secret("hunter2"),
        extra={"_type": "apiToken", "region": "eu"},
    )

    expected = {
        "id": "1",
        "name": "ci",
        "scope": [],
        "expirationDate": "2030-01-01T12:30:15.123Z",
        "orgRoles": [
            {
                "orgId": "2",
                "role": "none",
                "applicationRoles": [{"resourceId": "3", "role": "view"}],
            }
        ],
        "region": "eu",
    }
    assert as_wire(token) == expected


def test_unreadable_members() -> None:
    """Unreadable members have their raw value, without secrets."""
    token = ApiToken(
        id="1",
        unreadable=frozenset({"name", "expiration_date", "token"}),
        extra={
            "name": 5,
            "expirationDate": "+010000-01-01T04:59:59.000Z",
            "token": Secret("hunter2"),
            "limits": [math.inf, 10**30, {"low": -math.inf, "ratio": math.nan, "x": 1.5}],
        },
    )

    expected = {
        "id": "1",
        "name": 5,
        "scope": [],
        "expirationDate": "+010000-01-01T04:59:59.000Z",
        "limits": [None, 10**30, {"low": None, "ratio": None, "x": 1.5}],
    }
    assert as_wire(token) == expected


def test_deep_nesting() -> None:
    """Values nested too deeply are replaced with null."""
    deep: Any = []
    for _ in range(5000):
        deep = [deep]

    written = as_json(as_wire(ApiToken(id="1", extra={"deep": deep})))

    assert written.count("[") - 1 == 101  # of `scope`


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (datetime.min.replace(tzinfo=UTC), "0001-01-01T00:00:00.000+14:00"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T09:59:59.999Z"),
    ],
)
def test_dates_outside_the_range_of_utc(date: datetime, expected: str) -> None:
    """A date outside the range of UTC is written with its own offset."""
    zone = timezone(timedelta(hours=14))
    assert as_wire(date.replace(tzinfo=zone)) == expected


def test_oauth_members() -> None:
    """The details of an OAuth token have the names of the API, most of them in snake case."""
    token = UserOauthToken(
        id="1", oauth=OauthDetails(client_id="c", authorization_status="authorized")
    )

    expected = {"client_id": "c", "authorizationStatus": "authorized"}
    assert as_wire(token)["oauth"] == expected


def test_ascii() -> None:
    """JSON is ASCII, so that it has no control characters."""
    assert as_json("\x9b\u202e\x7f") == '"\\u009b\\u202e\\u007f"\n'
