"""Asking the API about a leaked secret."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import httpx
import pytest
from attrs import evolve

from losant_tokens import AsyncClient, Owner, RetryPolicy, Secret
from losant_tokens.errors import Forbidden, ValidationError
from losant_tokens.leaks import check_secret, deactivate, investigate, read_claims
from losant_tokens.testing import FakeLosant

Connect = Callable[[str], Awaitable[AsyncClient]]
APPLICATION = Owner.application("575ec8687ae143cd83dc4a97")


@pytest.fixture
def fake() -> FakeLosant:
    """A fake whose tokens have no id in their claims, as real tokens may."""
    return FakeLosant(id_claim=False, issuer="api.losant.com")


@pytest.fixture
async def connect(fake: FakeLosant) -> AsyncIterator[Connect]:
    """Return open clients for secrets, without a check of their scopes."""
    async with AsyncExitStack() as stack:

        async def connect(secret: str) -> AsyncClient:
            client = AsyncClient(
                secret,
                transport=fake.transport(),
                scope_check="off",
                retry=RetryPolicy(attempts=1),
            )
            return await stack.enter_async_context(client)

        yield connect


def paths(fake: FakeLosant) -> list[str]:
    return [f"{request.method} {request.path}" for request in fake.requests]


async def test_secret_that_works(fake: FakeLosant, connect: Connect) -> None:
    """A secret that works is identified by listing with it, with all that it created."""
    leaked = fake.add_token("ci", scope=["all.User"])
    fake.add_token("old", creation_date=leaked.creation_date - timedelta(days=1))
    child = fake.add_token("child", creator_id=leaked.id, creator_type="apiToken")
    grandchild = fake.add_token("grandchild", creator_id=child.id, creator_type="apiToken")
    claims, client = read_claims(Secret(leaked.secret)), await connect(leaked.secret)

    found = await investigate(claims, client)

    assert ("works", "times") == (found.check.state, found.match.by)
    assert found.match.token is not None
    assert (leaked.id, frozenset({"secret"})) == (found.match.token.token.id, found.match.token.via)
    assert [child.id, grandchild.id] == [one.token.id for one in found.created]
    assert found.not_listed == {}

    after = await deactivate(found.match.token, claims, client)

    assert "dead" == after.state
    assert {"old", "child", "grandchild"} == {
        token.name for token in fake.tokens() if token.status == "active"
    }


async def test_dead_secret(fake: FakeLosant, connect: Connect) -> None:
    """A secret that the API refuses is dead. The operator's list may still say which it was."""
    leaked = fake.add_token("ci", status="inactive")
    claims = read_claims(Secret(leaked.secret))

    found = await investigate(claims, await connect(leaked.secret), await connect(fake.admin_token))

    assert "dead" == found.check.state
    assert "the API refuses it: " in found.check.reason
    assert found.match.token is not None
    assert (leaked.id, frozenset({"operator"})) == (
        found.match.token.token.id,
        found.match.token.via,
    )


async def test_secret_of_another_host(fake: FakeLosant, connect: Connect) -> None:
    """A secret that names another host is sent nowhere, because it may be forged."""
    secret = FakeLosant(issuer="evil.example.com").admin_token

    found = await investigate(read_claims(Secret(secret)), await connect(secret))

    assert ("unknown", ()) == (found.check.state, fake.requests)
    assert found.check.reason == (
        "it was issued by evil.example.com, and it is not sent to api.losant.com: check it with a "
        "client of its API if you trust that"
    )


@pytest.mark.parametrize("status", [401, 403])
async def test_refusal_by_a_proxy(status: int) -> None:
    """A refusal that does not come from the API proves nothing, so no token is identified."""
    fake = FakeLosant(issuer="api.losant.com")
    token = fake.add_token("in-use")
    claims = read_claims(Secret(token.secret))

    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, html="<h1>Blocked by the proxy</h1>")

    async with AsyncClient(token.secret, transport=httpx.MockTransport(refuse)) as client:
        check = await check_secret(claims, client)

    assert "unknown" == check.state
    assert "a proxy or another service may have responded" in check.reason


async def test_secret_that_may_not_list(fake: FakeLosant, connect: Connect) -> None:
    """A refusal because of the scopes proves that a secret works; the operator identifies it."""
    leaked = fake.add_token("ci", owner=str(APPLICATION), scope=["device.get"])
    fake.add_token("other", owner=str(APPLICATION), scope=["data.export"])
    claims = read_claims(Secret(leaked.secret))
    client, operator = await connect(leaked.secret), await connect(fake.admin_token)

    found = await investigate(claims, client, operator, [Owner.user(), APPLICATION])

    assert "works" == found.check.state
    assert "the API accepts it, but it may not list tokens" == found.check.reason
    assert found.match.token is not None
    assert (leaked.id, APPLICATION) == (found.match.token.token.id, found.match.token.owner)
    assert paths(fake).count(f"GET /applications/{APPLICATION.id}/tokens") == 1


async def test_secret_of_several_candidates(fake: FakeLosant, connect: Connect) -> None:
    """Two tokens with the same dates and scopes are candidates, and neither is chosen."""
    leaked = fake.add_token("ci")
    fake.add_token("twin", creation_date=leaked.creation_date)

    found = await investigate(read_claims(Secret(leaked.secret)), await connect(leaked.secret))

    assert (2, None, ()) == (len(found.match.candidates), found.match.token, found.created)


async def test_wrong_match(fake: FakeLosant, connect: Connect) -> None:
    """If a secret works after its token was deactivated, it belongs to another token."""
    secret = fake.access_token(["all.User.read"])
    fake.add_token("looks alike", scope=["all.User.read"])
    claims, client = read_claims(Secret(secret)), await connect(secret)
    operator = await connect(fake.admin_token)

    found = await investigate(claims, client, operator)
    assert found.match.token is not None
    after = await deactivate(found.match.token, claims, client, operator)

    assert "works" == after.state


async def test_oauth_token(fake: FakeLosant, connect: Connect) -> None:
    """An OAuth token is looked for among the OAuth tokens of its user."""
    leaked = fake.add_token("app", owner="oauth", scope=["all.User.read"])

    found = await investigate(read_claims(Secret(leaked.secret)), await connect(leaked.secret))

    assert found.match.token is not None
    assert (leaked.id, Owner.user_oauth()) == (
        found.match.token.token.id,
        found.match.token.owner,
    )


async def test_list_that_fails(fake: FakeLosant, connect: Connect) -> None:
    """An owner whose list fails, or is not complete, is named with the reason."""
    leaked = fake.add_token("ci")
    fake.fail(status=500, path="/applications/*", times=None)
    drifting = {"items": [{}], "count": 1, "totalCount": 1}
    fake.fail(status=200, body=drifting, path="/instances/*", times=None)
    instance = Owner.instance("575ec8687ae143cd83dc4a98")

    found = await investigate(
        read_claims(Secret(leaked.secret)),
        await connect(leaked.secret),
        await connect(fake.admin_token),
        [APPLICATION, instance],
    )

    assert {APPLICATION, instance} == set(found.not_listed)
    assert found.match.token is not None


async def test_outage(fake: FakeLosant, connect: Connect) -> None:
    """Without a response, or with a part of the secret, it is unknown whether it works."""
    secret = fake.access_token()
    claims = read_claims(Secret(secret))
    fake.fail(status=500)
    check = await check_secret(claims, await connect(secret))
    assert "unknown" == check.state
    assert check.reason.startswith("the API did not say so: userApiTokens.get (/me/tokens): 500 ")

    cut_off = secret[:-1]
    check = await check_secret(read_claims(Secret(cut_off)), await connect(cut_off))
    assert ("unknown", "its signature is not complete") == (check.state, check.reason)


async def test_operator_that_cannot_deactivate(fake: FakeLosant, connect: Connect) -> None:
    """The secret deactivates its own token if the operator may not."""
    leaked = fake.add_token("ci", scope=["all.User"])
    claims, client = read_claims(Secret(leaked.secret)), await connect(leaked.secret)
    operator = await connect(fake.access_token(["all.User.read"]))

    found = await investigate(claims, client, operator)
    assert found.match.token is not None
    assert frozenset({"operator", "secret"}) == found.match.token.via
    after = await deactivate(found.match.token, claims, client, operator)

    assert "dead" == after.state


async def test_nobody_can_deactivate(fake: FakeLosant, connect: Connect) -> None:
    """The last refusal is raised if no credential may deactivate the token."""
    leaked = fake.add_token("ci", scope=["all.User.read"])
    claims, client = read_claims(Secret(leaked.secret)), await connect(leaked.secret)
    found = await investigate(claims, client)
    assert found.match.token is not None

    with pytest.raises(Forbidden):
        await deactivate(found.match.token, claims, client)

    only_operator = evolve(found.match.token, via=frozenset({"operator"}))
    with pytest.raises(ValidationError, match="pass operator"):
        await deactivate(only_operator, claims, client)
