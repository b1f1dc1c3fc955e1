"""Discovery of the owners that the API lists, against the fake."""

import pytest

from losant_tokens import AsyncClient, Owner
from losant_tokens.accounts import DiscoveredOwners, discover_owners
from losant_tokens.errors import ValidationError
from losant_tokens.testing import FakeLosant

ONE, OTHER, THIRD = "a" * 24, "b" * 24, "c" * 24


@pytest.fixture
def fake() -> FakeLosant:
    fake = FakeLosant()
    fake.add_owner(f"application:{ONE}", "Greenhouse")
    fake.add_owner(f"application:{OTHER}", "")
    fake.add_token("ci", owner=f"instance:{THIRD}")
    return fake


def client_of(fake: FakeLosant, *scopes: str) -> AsyncClient:
    token = fake.access_token(list(scopes)) if scopes else fake.admin_token
    return AsyncClient(token, transport=fake.transport())


async def test_all_owners(fake: FakeLosant) -> None:
    """All applications and instances are found, with their names."""
    async with client_of(fake) as client:
        found = await discover_owners(client)

    assert found == DiscoveredOwners(
        owners=(Owner.application(OTHER), Owner.application(ONE), Owner.instance(THIRD)),
        names={
            Owner.application(ONE): "Greenhouse",
            Owner.instance(THIRD): f"instance:{THIRD}",
        },
    )
    assert list(found) == list(found.owners)


async def test_applications_of_an_organization(fake: FakeLosant) -> None:
    """The applications of one organization are found, and those of another are not."""
    async with client_of(fake) as client:
        lists = [f"applications:{fake.organization_id}", f"applications:{ONE}"]
        found = [await discover_owners(client, [one]) for one in lists]

    assert [len(one.owners) for one in found] == [2, 0]


async def test_a_list_that_cannot_be_read(fake: FakeLosant) -> None:
    """A list that the token may not read is reported, and the others are read."""
    async with client_of(fake, "applications.get") as client:
        found = await discover_owners(client)

    assert (len(found.owners), list(found.problems)) == (2, ["instances"])
    assert "instances.get" in found.problems["instances"]


async def test_a_list_that_fails(fake: FakeLosant) -> None:
    """A list that the server cannot return is reported."""
    fake.fail(status=400)
    async with client_of(fake) as client:
        found = await discover_owners(client, ["applications"])

    assert list(found.problems) == ["applications"]


async def test_a_list_that_contradicts_itself(fake: FakeLosant) -> None:
    """A list with another number of items than it states is reported: an owner may be missing."""
    item = {"id": ONE, "name": "Greenhouse"}
    fake.fail(status=200, body={"items": [item], "count": 1, "totalCount": 5, "perPage": 1000})
    async with client_of(fake) as client:
        found = await discover_owners(client, ["applications"])

    assert (found.owners, list(found.problems)) == ((Owner.application(ONE),), ["applications"])


async def test_unknown_list(fake: FakeLosant) -> None:
    """A list that does not exist is refused before anything is sent."""
    async with client_of(fake) as client:
        with pytest.raises(ValidationError, match="must be applications, applications:ORG_ID or"):
            await discover_owners(client, ["devices"])
    assert len(fake.requests) == 0


async def test_lists(fake: FakeLosant) -> None:
    """The lists are sorted, filtered and paged, and the organization is listed."""
    async with client_of(fake) as client:
        page = await client.applications.get(filter_field="name", filter="Green*", org_id="")
        assert page.items == ()
        page = await client.applications.get(filter_field="name", filter="Green*")
        assert [one.name for one in page.items] == ["Greenhouse"]
        assert page.items[0].owner_id == fake.organization_id
        ids = [one.id async for one in client.applications.iter(sort_field="id", per_page=1)]
        assert ids == [ONE, OTHER]
        assert [one.id async for one in client.orgs.iter()] == [fake.organization_id]
        assert (await client.instances.get(sort_direction="desc")).total_count == 1
        assert (await client.orgs.get()).items[0].name == "An organization"
        with pytest.raises(ValidationError, match="org_id"):
            await client.applications.get(org_id="x")


async def test_token_of_an_application(fake: FakeLosant) -> None:
    """The token of an application cannot list other owners."""
    token = fake.add_token("x", owner=f"application:{ONE}", scope=["applications.get"])
    async with AsyncClient(token.secret, transport=fake.transport()) as client:
        found = await discover_owners(client, ["applications"])
    assert "403" in found.problems["applications"]
