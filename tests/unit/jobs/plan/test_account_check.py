"""A plan is bound to the account of its tokens."""

import warnings
from pathlib import Path
from typing import Any

import attrs
import httpx
import jwt
import pytest

from losant_tokens import AsyncClient, Owner, errors, jobs
from losant_tokens._credentials.token_claims import same_account
from losant_tokens.jobs._plan.account_check import account_problem, other_account
from losant_tokens.jobs._types import Counts
from losant_tokens.testing import FakeLosant
from tests.support.jobs import USER, client_of, fake_with, on_virtual_time, planned
from tests.support.plans import HEADER

APPLICATION = Owner.application("575ec8687ae143cd83dc4a97")
OAUTH = Owner.user_oauth()
A, B = "a" * 24, "b" * 24
KEY = "k" * 32


def others_fake() -> FakeLosant:
    """Return a fake of another account."""
    fake = FakeLosant()
    fake._store.user_id = B
    fake.add_token("something else")
    return fake


@pytest.mark.parametrize(
    ("planned", "claimed", "expected"),
    [
        (f"userId {A}", f"userId {A}", True),
        (f"userId {A}", f"userId {B}", False),
        (f"userId {A}", f"ownerId {B}", None),
        (f"sub {A}", f"sub {A}", True),
        (f"sub {A}", f"sub {B}", None),
        (None, f"userId {A}", None),
        (f"userId {A}", None, None),
        (None, None, None),
    ],
)
def test_claims(planned: str | None, claimed: str | None, expected: bool | None) -> None:
    """Claims decide only if both tokens name their user in the same claim."""
    assert same_account(planned, claimed) is expected


def test_other_account() -> None:
    """An owner id that the plan does not have is that of another account."""
    assert other_account(USER, [A, B], [A]) is None
    assert other_account(USER, [A], []) is None
    problem = other_account(USER, [A], [B])
    assert problem is not None
    assert f"account {A} (user), but the token in use belongs to the account {B}" in problem


def test_claims_for_applications() -> None:
    """The claims do not matter for the tokens of an application."""
    header = attrs.evolve(HEADER, counts={APPLICATION: Counts(listed=2, selected=1)})

    assert account_problem(header, f"userId {B}") is None
    assert account_problem(HEADER, HEADER.account) is None
    assert account_problem(HEADER, f"userId {B}") is not None


def test_account_of_a_client() -> None:
    """The account of a client is a claim of its token, and `sub` only as the last choice."""

    def account(**claims: Any) -> str | None:
        return AsyncClient(jwt.encode(claims, KEY)).account

    assert account(sub=A, userId=B.upper()) == f"userId {B}"
    assert account(sub=A, jti=B) == f"sub {A}"
    assert account(sub="everybody", iss="api.losant.com") is None
    assert AsyncClient("opaque").account is None


async def test_plan_has_the_account(tmp_path: Path) -> None:
    """A plan has the ids of the owners of the listed tokens, and the claimed account."""
    fake = fake_with(2)
    fake.add_token("ci-app", owner=str(APPLICATION))
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, owners=[USER, APPLICATION, OAUTH])

    assert plan.header.owner_ids == {
        USER: (fake.user_id,),
        APPLICATION: (str(APPLICATION.id),),
        OAUTH: (),
    }
    assert plan.header.account is None
    assert jobs.Plan.read(plan.path).header == plan.header


async def test_same_account(tmp_path: Path) -> None:
    """A plan passes with its own token, and with another token of the same account."""
    fake = fake_with(2)
    fake.add_token("ci-app", owner=str(APPLICATION))
    other = fake.add_token("other", scope=["all.User"])
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, owners=[USER, APPLICATION])
        before = len(fake.requests)
        await jobs.check_account(client, plan)
    assert [request.method for request in fake.requests[before:]] == ["GET", "GET"]
    async with AsyncClient(
        other.secret, base_url="https://fake.example", transport=fake.transport()
    ) as client:
        await jobs.check_account(client, plan)


async def test_another_account(tmp_path: Path) -> None:
    """A plan of another account is refused, warned of or accepted, as `check` says."""
    async with client_of(fake_with(2)) as client:
        plan = await planned(client, tmp_path)
    async with client_of(others_fake()) as client:
        with pytest.raises(jobs.PlanRefused, match=f"in use belongs to the account {B}"):
            await jobs.check_account(client, plan)
        with pytest.warns(jobs.PlanWarning, match=f"in use belongs to the account {B}"):
            await jobs.check_account(client, plan, check="warn")
        await jobs.check_account(client, plan, check="off")
        with pytest.raises(errors.ValidationError, match="check must be one of"):
            await jobs.check_account(client, plan, check="maybe")  # type: ignore[arg-type]


async def test_another_account_by_claims(tmp_path: Path) -> None:
    """If both tokens claim a user, a difference is found without a request."""
    fake = fake_with(2)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
    header = attrs.evolve(plan.header, account=f"userId {A}")
    fake_requests = len(fake.requests)
    token = jwt.encode({"userId": B, "scope": ["all.User"]}, KEY)
    async with AsyncClient(
        token, base_url="https://fake.example", transport=fake.transport()
    ) as client:
        with pytest.raises(jobs.PlanRefused, match=f"userId {A}.*claims userId {B}"):
            await jobs.check_account(client, attrs.evolve(plan, header=header))
        assert len(fake.requests) == fake_requests
        same = attrs.evolve(plan.header, account=f"userId {B}")
        await jobs.check_account(client, attrs.evolve(plan, header=same))
        assert len(fake.requests) == fake_requests


async def test_oauth_tokens(tmp_path: Path) -> None:
    """The account of OAuth tokens is confirmed by reading one of them."""
    fake = FakeLosant()
    fake.add_token("ci-1", owner="oauth")
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, owners=OAUTH)
        await jobs.check_account(client, plan)
    async with client_of(others_fake()) as client:
        with pytest.raises(jobs.PlanRefused, match="may belong to another account"):
            await jobs.check_account(client, plan)


@pytest.mark.parametrize(("count", "reads"), [(3, 3), (5, 5), (9, 5)])
async def test_number_of_tokens_to_read(tmp_path: Path, count: int, reads: int) -> None:
    """At most five tokens of an owner are read to confirm the account."""
    fake = FakeLosant()
    for number in range(count):
        fake.add_token(f"ci-{number}", owner="oauth")
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, owners=OAUTH)
    others = others_fake()
    async with client_of(others) as client:
        with pytest.raises(jobs.PlanRefused, match="may belong to another account"):
            await jobs.check_account(client, plan)

    page, *single = others.requests
    assert (page.query["page"], page.query["perPage"], len(single)) == ("0", "1", reads)


async def test_user_confirms_oauth_tokens(tmp_path: Path) -> None:
    """If a plan has tokens of the user, its OAuth tokens need no further request."""
    fake = fake_with(1)
    fake.add_token("ci-1", owner="oauth")
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, owners=[OAUTH, USER])
        before = len(fake.requests)
        await jobs.check_account(client, plan)

    assert [request.path for request in fake.requests[before:]] == ["/me/tokens"]


async def test_token_that_cannot_list(tmp_path: Path) -> None:
    """A token that can read but not list confirms the account by reading a token."""
    fake = fake_with(2)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
    reader = fake.add_token("reader", scope=["userApiToken.get", "userApiToken.delete"])
    async with AsyncClient(
        reader.secret,
        base_url="https://fake.example",
        transport=fake.transport(),
        scope_check="off",
    ) as client:
        await jobs.check_account(client, plan)
    deleter = fake.add_token("deleter", scope=["userApiToken.delete"])
    for check in ("off", "enforce"):
        async with AsyncClient(
            deleter.secret,
            base_url="https://fake.example",
            transport=fake.transport(),
            scope_check=check,
        ) as client:
            with pytest.raises(jobs.PlanRefused, match="may belong to another account"):
                await jobs.check_account(client, plan)


@pytest.mark.parametrize(
    ("found", "is_confirmed"), [("5" * 24, True), ("6" * 24, False), ("4" * 24, False)]
)
async def test_api_without_owner_ids(tmp_path: Path, found: str, is_confirmed: bool) -> None:
    """Without owner ids, a token of the plan must be readable and have its own id."""
    there = {"id": "5" * 24, "name": "ci-1"}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/me/tokens":
            page = int(request.url.params["page"])
            return httpx.Response(200, json={"items": [] if page else [there], "totalCount": 1})
        return httpx.Response(200, json=there | {"id": found})

    transport = httpx.MockTransport(answer)
    async with AsyncClient("x", base_url="https://x.example", transport=transport) as client:
        plan = await planned(client, tmp_path)
        if is_confirmed:
            await jobs.check_account(client, plan)
            return
        with pytest.raises(errors.LosantError):
            await jobs.check_account(client, plan)


@pytest.mark.parametrize("path", ["/me/tokens", f"/me/tokens/{'5' * 24}"])
def test_error_that_is_not_from_the_api(tmp_path: Path, path: str) -> None:
    """A 403 from a proxy proves nothing about the account, so it is raised."""

    def answer(request: httpx.Request) -> httpx.Response:
        if is_blocked and request.url.path == path:
            return httpx.Response(403, text="<html>blocked</html>")
        page = int(request.url.params["page"])
        items = [] if page else [{"id": "5" * 24, "name": "ci-1"}]
        return httpx.Response(200, json={"items": items, "totalCount": 1})

    is_blocked = False

    async def job() -> None:
        nonlocal is_blocked
        transport = httpx.MockTransport(answer)
        async with AsyncClient("x", base_url="https://x.example", transport=transport) as client:
            plan = await planned(client, tmp_path)
            is_blocked = True
            await jobs.check_account(client, plan)

    with pytest.raises(errors.Forbidden):
        on_virtual_time(job)


async def test_empty_plan(tmp_path: Path) -> None:
    """A plan that changes no token needs no account."""
    async with client_of(fake_with(2)) as client:
        plan = await planned(client, tmp_path, select=jobs.no_tokens())
    others = others_fake()
    async with client_of(others) as client:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await jobs.check_account(client, plan)

    assert others.requests == ()
