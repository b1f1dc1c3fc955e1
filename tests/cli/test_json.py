"""Tokens as JSON."""

import json
from datetime import UTC, datetime

import httpx

from losant_tokens import ApiToken, OauthDetails, OrgRole, ResourceRole, Secret, UserOauthToken
from losant_tokens.cli._json import as_json, as_wire
from losant_tokens.testing import FakeLosant

from .conftest import Command

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


def test_oauth_members() -> None:
    """The details of an OAuth token are in snake case, all but one, as on the wire."""
    token = UserOauthToken(
        id="1", oauth=OauthDetails(client_id="c", authorization_status="authorized")
    )

    expected = {"client_id": "c", "authorizationStatus": "authorized"}
    assert expected == as_wire(token)["oauth"]


def test_the_same_as_the_service(fake: FakeLosant, service: str, command: Command) -> None:
    """What `list --json` writes is what the service answers with."""
    fake.seed(30)
    fake.add_token("roles", org_roles=[{"orgId": "a" * 24, "role": "admin"}], default_role="view")
    answer = httpx.get(
        f"{service}/me/tokens", headers={"Authorization": f"Bearer {fake.admin_token}"}
    )

    _, out, _ = command("list", "--json")

    expected = [
        {name: member for name, member in item.items() if name[0] != "_"}
        for item in answer.json()["items"]
    ]
    assert expected == json.loads(out)


def test_oauth_tokens_the_same(fake: FakeLosant, service: str, command: Command) -> None:
    """So it is for OAuth tokens."""
    fake.seed(5, owner="oauth")
    answer = httpx.get(
        f"{service}/me/oauth-tokens", headers={"Authorization": f"Bearer {fake.admin_token}"}
    )

    _, out, _ = command("list", "--json", "--owner", "oauth")

    expected = [
        {name: member for name, member in item.items() if name[0] != "_"}
        for item in answer.json()["items"]
    ]
    assert expected == json.loads(out)


def test_ascii() -> None:
    """JSON is ASCII, so that no terminal can obey it."""
    assert '"\\u009b\\u202e\\u007f"\n' == as_json("\x9b\u202e\x7f")
