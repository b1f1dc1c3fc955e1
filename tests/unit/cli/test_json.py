"""Tokens as JSON."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from losant_tokens import ApiToken, OauthDetails, OrgRole, ResourceRole, Secret, UserOauthToken
from losant_tokens.cli._json import as_json, as_wire

MOMENT = datetime(2030, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)


def test_members() -> None:
    """Members are named as on the wire, without what is missing, secret or about the answer."""
    token = ApiToken(
        id="1",
        name="ci",
        expiration_date=MOMENT,
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
    assert expected == as_wire(token)


def test_unreadable_members() -> None:
    """Members that could not be read are written as they came, without secrets."""
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
    assert expected == as_wire(token)


def test_deep_members() -> None:
    """Nesting far beyond what people read is cut off."""
    deep: Any = []
    for _ in range(5000):
        deep = [deep]

    written = as_json(as_wire(ApiToken(id="1", extra={"deep": deep})))

    assert 101 == written.count("[") - 1  # of `scope`


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (datetime.min.replace(tzinfo=UTC), "0001-01-01T00:00:00.000+14:00"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T09:59:59.999Z"),
    ],
)
def test_dates_at_the_edges_of_time(date: datetime, expected: str) -> None:
    """A date that UTC cannot express is written with its own offset."""
    zone = timezone(timedelta(hours=14))
    assert expected == as_wire(date.replace(tzinfo=zone))


def test_oauth_members() -> None:
    """The details of an OAuth token are in snake case, all but one, as on the wire."""
    token = UserOauthToken(
        id="1", oauth=OauthDetails(client_id="c", authorization_status="authorized")
    )

    expected = {"client_id": "c", "authorizationStatus": "authorized"}
    assert expected == as_wire(token)["oauth"]


def test_ascii() -> None:
    """JSON is ASCII, so that no terminal can obey it."""
    assert '"\\u009b\\u202e\\u007f"\n' == as_json("\x9b\u202e\x7f")
