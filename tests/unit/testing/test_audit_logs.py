"""The audit logs of the fake."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jsonschema
import pytest

from losant_tokens import ApiTokenPatch, ApiTokenPost, AsyncClient, AuditLogActor, AuditLogFilter
from losant_tokens.errors import BadRequest, Forbidden, NotFound, ResponseError
from losant_tokens.testing import FakeLosant
from tests.unit.testing.test_contract import OPENAPI, resolved

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ONE, OTHER, TARGET = "a" * 24, "b" * 24, "c" * 24
APPLICATION, INSTANCE = f"application:{ONE}", f"instance:{OTHER}"


@pytest.fixture
def fake() -> FakeLosant:
    return FakeLosant(now=lambda: NOW)


def client_of(fake: FakeLosant, token: str | None = None) -> AsyncClient:
    return AsyncClient(token or fake.admin_token, transport=fake.transport())


def ids_of(page: Any) -> list[str]:
    return [entry.actor_id for entry in page.items]


@pytest.mark.parametrize(
    ("owner", "primary", "secondary"),
    [
        ("user", None, "ApiToken"),
        (APPLICATION, "Application", "ApiToken"),
        (INSTANCE, "ApiToken", None),
    ],
)
async def test_changes_are_recorded(
    fake: FakeLosant, owner: str, primary: str | None, secondary: str | None
) -> None:
    """A token that creates, patches or deletes a token is in the audit log; reading is not."""
    scopes = {"user": "all.User", APPLICATION: "all.Application", INSTANCE: "all.Instance"}
    actor = fake.add_token("actor", owner=owner, scope=[scopes[owner]])
    async with client_of(fake, actor.secret) as client:
        tokens = client.tokens(owner)
        new = await tokens.post(ApiTokenPost("new"))
        await tokens.get(new.id)
        await tokens.patch(new.id, ApiTokenPatch(description="x"))
        await tokens.delete(new.id)
        with pytest.raises(NotFound):
            await tokens.delete(new.id)

    source = INSTANCE if owner == INSTANCE else f"org:{fake.organization_id}"
    log = fake.audit_logs(source)
    assert log == fake.audit_logs()
    assert [entry.request_action for entry in log] == ["post", "patch", "delete"]
    for entry in log:
        assert (entry.actor_id, entry.actor_type, entry.actor_name) == (
            actor.id,
            "ApiToken",
            "actor",
        )
        assert (entry.primary_target_type, entry.secondary_target_type) == (primary, secondary)
        assert new.id in {entry.primary_target_id, entry.secondary_target_id}
        assert entry.creation_date == NOW
    assert (log[0].response_status, log[0].request_body) == (201, {"name": "new"})


async def test_user_is_the_actor(fake: FakeLosant) -> None:
    """A bearer token that is in no list acts as the user."""
    async with client_of(fake) as client:
        await client.user_api_tokens.post(ApiTokenPost("new"))
    (entry,) = fake.audit_logs()
    assert (fake.user_id, "User") == (entry.actor_id, entry.actor_type)


async def test_query(fake: FakeLosant) -> None:
    """A log is sorted, paged, and limited to a period and to the items of a filter."""
    for hours, actor in enumerate((ONE, OTHER, ONE, TARGET)):
        fake.add_audit_log(
            actor,
            creation_date=NOW - timedelta(hours=hours),
            actor_type="User" if actor == TARGET else "ApiToken",
            actor_name=actor[0],
            response_status=200 + hours,
            request_action="post" if hours else "patch",
        )
    org = fake.organization_id
    async with client_of(fake) as client:
        logs = client.audit_logs
        assert ids_of(await logs.get(org)) == [ONE, OTHER, ONE, TARGET]
        assert ids_of(await logs.get(org, sort_direction="asc", per_page=1, page=1)) == [ONE]
        assert ids_of(await logs.get(org, sort_field="actorName")) == [TARGET, OTHER, ONE, ONE]
        hour = NOW - timedelta(hours=1)
        assert ids_of(await logs.get(org, start=hour)) == [ONE, OTHER]
        assert ids_of(await logs.get(org, end=hour)) == [OTHER, ONE, TARGET]
        cases: list[tuple[dict[str, Any], int]] = [
            ({"actor": [AuditLogActor(type="ApiToken")]}, 3),
            ({"actor": [AuditLogActor(id=ONE.upper())]}, 2),
            ({"actor": [AuditLogActor(id=ONE, type="User")]}, 0),
            ({"actor": [AuditLogActor(id=OTHER), AuditLogActor(name="c")]}, 2),
            ({"response_code": [200, 203]}, 2),
        ]
        for members, expected in cases:
            page = await logs.get(org, filter=AuditLogFilter(**members))
            assert page.total_count == expected
        everything = [entry async for entry in logs.iter(org, per_page=3)]
        assert len(everything) == 4
        found = await client.audit_log.get(org, everything[0].id.upper())
        assert found == everything[0]
        fake.page_cap = 2
        assert (await logs.get(org)).per_page == 2


async def test_not_found(fake: FakeLosant) -> None:
    """There are no logs of unknown organizations; an instance has an empty log."""
    fake.add_audit_log(ONE, source=f"org:{OTHER.upper()}")
    async with client_of(fake) as client:
        for call in (
            client.audit_logs.get(ONE),
            client.audit_log.get(OTHER, ONE),
            client.audit_log.get(ONE, ONE),
            client.instance_audit_log.get(ONE, ONE),
        ):
            with pytest.raises(NotFound):
                await call
        assert ids_of(await client.audit_logs.get(OTHER)) == [ONE]
        assert (await client.instance_audit_logs.get(ONE)).items == ()
        assert [entry async for entry in client.instance_audit_logs.iter(ONE)] == []


async def test_entry_with_another_id() -> None:
    """An entry with another id than the requested one is refused."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"id": OTHER}))
    async with AsyncClient("t", transport=transport) as client:
        with pytest.raises(ResponseError, match=r"\$\.id .* is not the id of the requested entry"):
            await client.audit_log.get(ONE, TARGET)


async def test_token_of_another_owner(fake: FakeLosant) -> None:
    """The token of an instance can read the log of that instance only."""
    token = fake.access_token(["all.Instance", "all.User"], owner=INSTANCE)
    async with client_of(fake, token) as client:
        await client.instance_audit_logs.get(OTHER)
        with pytest.raises(Forbidden):
            await client.instance_audit_logs.get(ONE)
        with pytest.raises(Forbidden):
            await client.audit_logs.get(fake.organization_id)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("auditLogFilter[actor][0][type]=Robot", "auditLogFilter.actor.0.type must be an enum"),
        ("auditLogFilter[actor][0][id]=1", "auditLogFilter.actor.0.id is the wrong type"),
        ("auditLogFilter[actor]=x", "auditLogFilter.actor is the wrong type"),
        ("auditLogFilter=x", "auditLogFilter is the wrong type"),
        ("auditLogFilter[a]=x&auditLogFilter[a][b]=x", "auditLogFilter is the wrong type"),
        ("auditLogFilter[robot][0]=x", "auditLogFilter has additional properties"),
        ("auditLogFilter[responseCode][0]=700", "responseCode.0 is more than maximum"),
        ("start=yesterday", "start pattern mismatch"),
        ("sortField=name", "sortField must be an enum value"),
    ],
)
async def test_malformed_query(fake: FakeLosant, query: str, expected: str) -> None:
    """A query that the contract does not allow is refused."""
    async with httpx.AsyncClient(transport=fake.transport(), base_url="https://fake") as client:
        response = await client.get(
            f"/orgs/{fake.organization_id}/audit-logs?{query}",
            headers={"Authorization": f"Bearer {fake.admin_token}"},
        )
    assert (response.status_code, response.json()["type"]) == (400, "Validation")
    assert expected in response.json()["message"]


async def test_instance_filter_has_fewer_actors(fake: FakeLosant) -> None:
    """The filter of an instance knows only users and tokens as actors."""
    async with client_of(fake) as client:
        device = AuditLogFilter(actor=[AuditLogActor(type="Device")])
        with pytest.raises(BadRequest, match="must be an enum value"):
            await client.instance_audit_logs.get(ONE, filter=device)


async def test_responses_are_in_the_contract(fake: FakeLosant) -> None:
    """The entries and pages of both logs have the form of the contract."""
    token = fake.add_token(scope=["all.Application"], owner=APPLICATION)
    async with client_of(fake, token.secret) as client:
        await client.tokens(APPLICATION).post(ApiTokenPost("new"))
    fake.add_audit_log(ONE, source=INSTANCE, request_body={"a": 1}, response_body={"b": 2})
    schemas = OPENAPI["components"]["schemas"]
    async with httpx.AsyncClient(
        transport=fake.transport(),
        base_url="https://fake",
        headers={"Authorization": f"Bearer {fake.admin_token}"},
    ) as client:
        for path, name in (
            (f"/orgs/{fake.organization_id}/audit-logs", "auditLog"),
            (f"/instance/{OTHER}/audit-logs", "instanceAuditLog"),
        ):
            page = (await client.get(path)).json()
            (entry,) = page["items"]
            one = (await client.get(f"{path}/{entry['id']}")).json()
            for found in (entry, one):
                jsonschema.validate(found, resolved(schemas[name]))
                assert found["responseBody"]
            listed = schemas[f"{name}s"]["properties"]
            listed = {name: schema for name, schema in listed.items() if name != "items"}
            jsonschema.validate(page, {"properties": listed})


def test_malformed_source(fake: FakeLosant) -> None:
    """Only an organization or an instance has an audit log."""
    for source in ("user", "org:1", APPLICATION):
        with pytest.raises(ValueError, match="source must be"):
            fake.add_audit_log(ONE, source=source)


def test_seeded_account(fake: FakeLosant) -> None:
    """A seeded account has audit logs, in the order of time, of tokens that exist."""
    fake.seed_account(100)
    owners = ("user", "application:575ec8687ae143cd83dc4a97", "instance:59f0b3a27e1c4d0006aa41d8")
    tokens = {token.id for owner in owners for token in fake.tokens(owner)}
    for source in (f"org:{fake.organization_id}", "instance:59f0b3a27e1c4d0006aa41d8"):
        log = fake.audit_logs(source)
        dates = [entry.creation_date for entry in log]
        assert dates == sorted(dates)
        assert NOW - dates[0] > timedelta(days=365)
        assert tokens & {entry.actor_id for entry in log}
    empty = FakeLosant()
    empty.seed_account(0)
    assert empty.audit_logs() == ()
