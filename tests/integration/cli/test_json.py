"""The JSON of the command beside the JSON of the service."""

import json

import httpx

from losant_tokens.testing import FakeLosant
from tests.support.command import Command


def test_json_is_that_of_the_api(fake: FakeLosant, service: str, command: Command) -> None:
    """`list --json` writes the tokens as in the response of the API."""
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
    assert json.loads(out) == expected


def test_json_of_oauth_tokens(fake: FakeLosant, service: str, command: Command) -> None:
    """`list --json` writes OAuth tokens as in the response of the API."""
    fake.seed(5, owner="oauth")
    answer = httpx.get(
        f"{service}/me/oauth-tokens", headers={"Authorization": f"Bearer {fake.admin_token}"}
    )

    _, out, _ = command("list", "--json", "--owner", "oauth")

    expected = [
        {name: member for name, member in item.items() if name[0] != "_"}
        for item in answer.json()["items"]
    ]
    assert json.loads(out) == expected
