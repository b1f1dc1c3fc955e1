"""The JSON of the command beside the JSON of the service."""

import json

import httpx

from losant_tokens.testing import FakeLosant
from tests.support.command import Command


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
