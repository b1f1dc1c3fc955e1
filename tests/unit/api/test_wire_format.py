"""Check models as JSON, with the names of the API."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from losant_tokens import (
    ApiToken,
    ApiTokens,
    AsyncClient,
    AuditLogs,
    NewApiToken,
    OauthDetails,
    Secret,
    Success,
    UserOauthToken,
    jobs,
    policy,
)
from losant_tokens._api.codec import codec
from losant_tokens._api.response_models import RESPONSE_MODELS
from losant_tokens._api.wire_format import WireModel
from losant_tokens.testing import FakeLosant
from tests.support.helpers import result_of

ID = "575ec7417ae143cd83dc4a95"
TOKEN = {
    "id": ID,
    "apiTokenId": ID,
    "name": "ci",
    "status": "active",
    "scope": ["all.User.read"],
    "creationDate": "2016-06-13T04:00:00.000Z",
    "orgRoles": [
        {"orgId": ID, "role": "view", "applicationRoles": [{"resourceId": ID, "role": "view"}]}
    ],
    "newMember": {"a": [1, None, 0.5, True]},
    "_type": "apiToken",
}


def decode(data: object, kind: type) -> Any:
    """Read JSON as a model."""
    return result_of(codec().decode(json.dumps(data).encode(), kind))


def test_token() -> None:
    """A token has the names and values of the API, and the members that it has no attribute for."""
    token = decode(TOKEN, ApiToken)
    assert token.to_dict() == TOKEN
    assert json.loads(token.to_json()) == TOKEN
    assert token.to_json(indent=2).startswith('{\n  "id": "575')


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (TOKEN | {"expirationDate": "+010000-01-01T04:59:59.000Z", "name": 7}, ApiToken),
        (TOKEN | {"oauth": {"client_id": "a", "authorizationStatus": "b", "x": 1}}, UserOauthToken),
        ({"items": [TOKEN, {"name": "no id"}], "totalCount": 2, "perPage": 5}, ApiTokens),
        ({"items": [{"id": ID, "actorName": "Ada"}, {}], "count": 2}, AuditLogs),
        ({"success": True}, Success),
    ],
)
def test_round_trip(data: dict[str, Any], kind: type[WireModel]) -> None:
    """A model that is written and read again is the same, also with members that are unreadable."""
    model = decode(data, kind)
    again = decode(model.to_dict(), kind)
    assert (again, again.to_dict()) == (model, model.to_dict())


async def test_real_tokens() -> None:
    """The tokens of a whole account are read again as they were written."""
    fake = FakeLosant()
    fake.seed(20)
    async with AsyncClient(fake.admin_token, transport=fake.transport()) as client:
        page = await client.user_api_tokens.get()
    written = json.loads(page.to_json())["items"]
    assert [await codec().decode(json.dumps(one).encode(), ApiToken) for one in written] == [
        *page.items
    ]


def test_secrets() -> None:
    """A secret is masked, in `extra` too, unless its value is asked for."""
    token = NewApiToken(id=ID, token=Secret("hunter2"), extra={"old": [Secret("hunter2")]})
    assert token.to_dict() == {"id": ID, "name": "", "scope": [], "token": "****", "old": ["****"]}
    assert "hunter2" not in token.to_json()
    assert token.to_dict(reveal_secrets=True)["token"] == "hunter2"
    assert json.loads(token.to_json(reveal_secrets=True))["old"] == ["hunter2"]


def test_values_that_json_cannot_hold() -> None:
    """Infinity, values nested too deeply and other objects become `null`."""
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    written = OauthDetails(extra={"a": float("inf"), "b": deep, "c": object()}).to_dict()
    assert (written["a"], written["c"]) == (None, None)
    assert json.dumps(written["b"]).count("[") == 101


def test_datetime() -> None:
    """A datetime is written in the format of the API."""
    assert ApiToken(id=ID, last_updated=datetime(2026, 1, 1, tzinfo=UTC)).to_dict()[
        "lastUpdated"
    ] == ("2026-01-01T00:00:00.000Z")


def test_each_model() -> None:
    """Every model of a response can be written."""
    assert [model for model in RESPONSE_MODELS if not issubclass(model, WireModel)] == []


def test_enumerations() -> None:
    """A member of an enumeration prints as its value, and its repr is its name."""
    for one, text in (
        (jobs.Outcome.DONE, "done"),
        (jobs.RotationStage.LEFT, "left"),
        (policy.Severity.HIGH, "high"),
    ):
        assert (str(one), f"{one:>5}") == (text, f"{text:>5}")
        assert repr(one) == f"{type(one).__name__}.{one.name}"


def test_counts() -> None:
    """Counts print as a phrase."""
    counts = jobs.Counts(listed=1200, selected=30, protected=1)
    assert str(counts) == "1,200 tokens listed, 30 selected, 1 protected"
    assert repr(counts) == "Counts(listed=1200, selected=30, protected=1)"
