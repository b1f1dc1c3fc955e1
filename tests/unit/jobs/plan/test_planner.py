"""Making plans: selection, guards, and collections that change while they are listed."""

import asyncio
import gc
import pickle
import tempfile
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from losant_tokens import ApiToken, AsyncClient, Owner, errors, jobs
from losant_tokens.jobs import Counts, PlanWarning
from losant_tokens.testing import FakeLosant
from tests.support.cancellation import Sweep, Way
from tests.support.jobs import LONG_AGO, USER, client_of, fake_with, planned, sent

APPLICATION = Owner.application("575ec8687ae143cd83dc4a97")


def files_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def test_plan_of_a_selected_token(tmp_path: Path) -> None:
    """A plan has a line for each selected token, with its state and the reason."""
    fake = fake_with(1, kept=1)
    token = fake.tokens()[0]
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, action="deactivate")

    (entry,) = plan.entries()
    assert entry == jobs.Entry(
        owner=USER,
        id=token.id,
        name="ci-0",
        status="active",
        last_updated=LONG_AGO,
        creation_date=LONG_AGO,
        expiration_date=None,
        reason="named 'ci-*'",
        scope=token.scope,
        creator_id=token.creator_id,
        creator_name=token.creator_name,
    )
    assert plan == jobs.Plan.read(tmp_path / "plan.jsonl")
    assert plan.header.counts == {USER: Counts(listed=2, selected=1)}
    assert (plan.header.rule, plan.header.action) == ("named 'ci-*'", "deactivate")
    assert plan.header.base_url == "https://fake.example"
    assert datetime.now(UTC) - plan.header.created_at < timedelta(minutes=1)


async def test_planning_only_reads(tmp_path: Path) -> None:
    """Making a plan sends only GET requests."""
    fake = fake_with(250, kept=10)
    async with client_of(fake) as client:
        await planned(client, tmp_path)

    assert {request.method for request in fake.requests} == {"GET"}


async def test_newest_token_is_requested_first(tmp_path: Path) -> None:
    """The first request of a plan is a page with only the newest token."""
    fake = fake_with(3)
    async with client_of(fake) as client:
        await planned(client, tmp_path)

    expected = {"sortField": "id", "sortDirection": "desc", "page": "0", "perPage": "1"}
    assert expected.items() <= fake.requests[0].query.items()


async def test_file_has_no_secret(tmp_path: Path) -> None:
    """The file holds neither a secret of a token nor the access token of the client."""
    fake = fake_with(3)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)

    content = plan.path.read_text()
    secrets = [token.secret for token in fake.tokens()] + [fake.admin_token]
    assert [secret for secret in secrets if secret in content] == []


async def test_owners(tmp_path: Path) -> None:
    """A plan lists each owner once, and the case of ids does not matter."""
    fake = fake_with(1)
    fake.add_token("ci-app", owner=str(APPLICATION))
    capitals = Owner.application(str(APPLICATION.id).upper())
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, owners=[USER, APPLICATION, USER, capitals])

    assert list(plan.header.counts) == [USER, APPLICATION]
    assert [entry.name for entry in plan.entries()] == ["ci-0", "ci-app"]


@pytest.mark.parametrize(
    ("action", "names"),
    [("delete", ["ci-on", "ci-off"]), ("deactivate", ["ci-on"]), ("activate", ["ci-off"])],
)
async def test_tokens_that_need_no_change(tmp_path: Path, action: str, names: list[str]) -> None:
    """A token that already has the status that the action would set is not selected."""
    fake = FakeLosant()
    fake.add_token("ci-on")
    fake.add_token("ci-off", status="inactive")
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, action=action)

    assert [entry.name for entry in plan.entries()] == names


async def test_default_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path, the file is in a temporary folder that is removed with the plan."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with client_of(fake_with(1)) as client:
        plans = [await planned(client, tmp_path, path=None) for _ in range(2)]

    assert files_in(tmp_path) == sorted(plan.path.parent.name for plan in plans)
    assert [len(list(plan.entries())) for plan in plans] == [1, 1]
    plans.clear()
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"select": "expired"}, "select must be of type Rule"),
        ({"action": "explode"}, "action must be"),
        ({"owners": "user"}, "owners must be of type Owner"),
        ({"owners": [USER, None]}, "owners must be of type Owner"),
        ({"protect": [1]}, "protect must be of type str"),
        ({"max_changes": -1}, "max_changes must be"),
        ({"patience": -1.0}, "patience must be a number above 0"),
        ({"page_size": 0}, "page_size must be an integer, at least 1"),
        ({"now": datetime(2026, 1, 1)}, "must have a time zone"),  # noqa: DTZ001
    ],
)
async def test_wrong_arguments(tmp_path: Path, options: dict[str, Any], problem: str) -> None:
    """An invalid argument is refused before anything is sent."""
    fake = fake_with(1)
    async with client_of(fake) as client:
        with pytest.raises(errors.ValidationError, match=problem):
            await planned(client, tmp_path, **options)

    assert (fake.requests, files_in(tmp_path)) == ((), [])


async def test_smallest_arguments(tmp_path: Path) -> None:
    """The smallest numbers are accepted: zero changes, zero patience, pages of one."""
    async with client_of(fake_with(0, kept=1)) as client:
        plan = await planned(client, tmp_path, patience=0, max_changes=0, page_size=1)

    assert plan.header.total == Counts(listed=1)


# --- Guards ----------------------------------------------------------------------------------


async def test_token_in_use_is_protected(tmp_path: Path) -> None:
    """The token of the client is protected, and there is no warning."""
    fake = fake_with(2)
    own = fake.add_token("ci-own", scope=["all.User"])
    async with AsyncClient(
        own.secret, base_url="https://fake.example", transport=fake.transport()
    ) as client:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plan = await jobs.plan(
                client,
                USER,
                select=jobs.named("ci-*"),
                path=tmp_path / "plan",
                allow_majority=True,
            )

    assert {entry.name: entry.protected for entry in plan.entries()} == {
        "ci-0": None,
        "ci-1": None,
        "ci-own": "the token in use",
    }
    assert plan.header.token_in_use == own.id
    assert plan.header.total == Counts(listed=3, selected=2, protected=1)


async def test_unknown_token_in_use(tmp_path: Path) -> None:
    """A plan that may select the token in use issues a warning."""
    async with client_of(fake_with(1, kept=2)) as client:
        with pytest.warns(PlanWarning, match="Cannot determine which token this client uses"):
            await jobs.plan(client, USER, select=jobs.named("ci-*"), path=tmp_path / "plan")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await jobs.plan(client, USER, select=jobs.no_tokens(), path=tmp_path / "other")


async def test_protect(tmp_path: Path) -> None:
    """Tokens are protected by their ids, in any case, and by globs for their names."""
    fake = fake_with(4)
    by_id = fake.tokens()[0].id.upper()
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, protect=[by_id, "ci-[12]", "CI-3"])

    assert {entry.name: entry.protected for entry in plan.entries()} == {
        "ci-0": f"protected by {by_id!r}",
        "ci-1": "protected by 'ci-[12]'",
        "ci-2": "protected by 'ci-[12]'",
        "ci-3": None,
    }
    assert plan.header.protected == (by_id, "ci-[12]", "CI-3")


async def test_protect_with_a_string(tmp_path: Path) -> None:
    """A string is one pattern, and not one pattern for each of its letters."""
    async with client_of(fake_with(2)) as client:
        plan = await planned(client, tmp_path, protect="ci-1")

    assert plan.header.protected == ("ci-1",)


@pytest.mark.parametrize(("doomed", "kept", "is_refused"), [(2, 2, False), (3, 2, True)])
async def test_majority(tmp_path: Path, doomed: int, kept: int, is_refused: bool) -> None:
    """A plan of more than half of an owner's tokens is refused; a plan of half is not."""
    async with client_of(fake_with(doomed, kept)) as client:
        if not is_refused:
            await planned(client, tmp_path, allow_majority=False)
            return
        with pytest.raises(jobs.GuardRefused, match=r"3 of the 5 tokens of user.*more than half"):
            await planned(client, tmp_path, allow_majority=False)

    assert files_in(tmp_path) == []


async def test_majority_is_refused_by_default(tmp_path: Path) -> None:
    """By default, a plan must not select the majority."""
    async with client_of(fake_with(2, kept=1)) as client:
        with pytest.raises(jobs.GuardRefused, match="allow_majority=True"):
            await jobs.plan(client, USER, select=jobs.named("ci-*"), path=tmp_path / "plan")


async def test_majority_of_one_owner(tmp_path: Path) -> None:
    """The majority is counted for each owner."""
    fake = fake_with(0, kept=100)
    fake.add_token("ci-app", owner=str(APPLICATION))
    async with client_of(fake) as client:
        with pytest.raises(jobs.GuardRefused, match="1 of the 1 token of application:"):
            await planned(client, tmp_path, owners=[USER, APPLICATION], allow_majority=False)


async def test_max_changes(tmp_path: Path) -> None:
    """`max_changes` limits the selected tokens of all owners together."""
    fake = fake_with(3)
    fake.add_token("ci-app", owner=str(APPLICATION))
    async with client_of(fake) as client:
        await planned(client, tmp_path, owners=[USER, APPLICATION], max_changes=4)
        with pytest.raises(jobs.GuardRefused, match="4 tokens were selected, which is more than 3"):
            await planned(
                client,
                tmp_path,
                owners=[USER, APPLICATION],
                max_changes=3,
                path=tmp_path / "other",
            )


async def test_refused_plan(tmp_path: Path) -> None:
    """The error of a guard has the plan for a review, with the tokens of all owners."""
    fake = fake_with(3)
    fake.add_token("ci-app", owner=str(APPLICATION))
    owners = [USER, APPLICATION]
    async with client_of(fake) as client:
        with pytest.raises(jobs.GuardRefused) as caught:
            await planned(client, tmp_path, owners=owners, allow_majority=False, max_changes=1)

    plan = caught.value.plan
    assert plan is not None
    assert [entry.name for entry in plan.entries()] == ["ci-0", "ci-1", "ci-2", "ci-app"]
    assert " ".join(plan.header.refused) == str(caught.value)
    assert len(plan.header.refused) == 3
    assert files_in(tmp_path) == []


async def test_refused_plan_cannot_be_applied(tmp_path: Path) -> None:
    """A refused plan is refused again when it is applied, and nothing is changed."""
    fake = fake_with(3)
    async with client_of(fake) as client:
        with pytest.raises(jobs.GuardRefused) as caught:
            await planned(client, tmp_path, max_changes=1)
        assert caught.value.plan is not None
        with pytest.raises(jobs.PlanRefused, match="because a guard refused it: 3 tokens were"):
            await jobs.apply(client, caught.value.plan)

    assert len(fake.tokens()) == 3


async def test_file_of_a_refused_plan(tmp_path: Path) -> None:
    """The file of a refused plan is removed with the error."""
    async with client_of(fake_with(3)) as client:
        with pytest.raises(jobs.GuardRefused) as caught:
            await planned(client, tmp_path, max_changes=1)
    assert caught.value.plan is not None
    path = caught.value.plan.path
    assert path.exists()

    del caught
    gc.collect()

    assert not path.exists()


async def test_refused_plan_that_cannot_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a refused plan cannot be saved for a review, the error has no plan."""
    async with client_of(fake_with(3)) as client:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        with pytest.raises(jobs.GuardRefused, match="3 tokens were selected") as caught:
            await planned(client, tmp_path, max_changes=1)

    assert caught.value.plan is None


async def test_error_with_a_refused_plan_can_be_pickled(tmp_path: Path) -> None:
    """The error of a guard can be pickled, with its plan and without."""
    async with client_of(fake_with(3)) as client:
        with pytest.raises(jobs.GuardRefused) as caught:
            await planned(client, tmp_path, max_changes=1)

    for error in (caught.value, jobs.GuardRefused("no")):
        copy = pickle.loads(pickle.dumps(error))
        assert (str(copy), copy.plan) == (str(error), error.plan)


# --- The token that plans --------------------------------------------------------------------


async def header_with(
    fake: FakeLosant, token: str, folder: Path, **options: Any
) -> tuple[jobs.Header, list[str]]:
    """Make a plan with a token; return its header and the warnings about the token."""
    settings: dict[str, Any] = {"select": jobs.named("ci-*"), "protect": "keep-*", **options}
    async with AsyncClient(
        token,
        base_url="https://fake.example",
        transport=fake.transport(),
        scope_check=settings.pop("scope_check", "enforce"),
    ) as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            plan = await jobs.plan(client, USER, path=folder / "plan", **settings)
    return plan.header, [str(one.message) for one in caught if one.category is PlanWarning]


@pytest.mark.parametrize(
    ("action", "operation"),
    [("delete", "userApiToken.delete"), ("deactivate", "userApiToken.patch")],
)
async def test_token_that_cannot_apply_the_plan(
    tmp_path: Path, action: str, operation: str
) -> None:
    """A plan states, and warns, that the token in use has no scope for the action."""
    fake = fake_with(1, kept=2)
    token = fake.access_token(["all.User.read"])

    header, (warning,) = await header_with(fake, token, tmp_path, action=action)

    (problem,) = header.cannot_apply
    assert problem.startswith(f"{operation} needs a token with one of the scopes ")
    assert problem.endswith("; this token has all.User.read")
    assert warning == (
        f"The token that this client uses cannot apply the plan: {problem}. Apply the plan with "
        f"another token of the same account."
    )


async def test_token_that_cannot_verify(tmp_path: Path) -> None:
    """A plan states that the token in use cannot read each token before its change."""
    fake = fake_with(1, kept=2)
    token = fake.access_token(["userApiTokens.get", "userApiToken.delete"])

    header, _ = await header_with(fake, token, tmp_path)

    (problem,) = header.cannot_apply
    assert problem.startswith("userApiToken.get needs a token")


async def test_oauth_token_that_plans(tmp_path: Path) -> None:
    """A plan states that the API refuses the action to OAuth tokens."""
    fake = fake_with(1, kept=2)
    token = fake.access_token(["all.User"], oauth=True)

    header, _ = await header_with(fake, token, tmp_path)

    assert header.cannot_apply == (
        "userApiToken.delete does not accept an OAuth token; use an API token",
    )


async def test_scopes_are_not_checked_for_a_plan(tmp_path: Path) -> None:
    """With `scope_check="off"`, a plan does not state what its token cannot do."""
    fake = fake_with(1, kept=2)
    token = fake.access_token(["all.User.read"])

    header, found = await header_with(fake, token, tmp_path, scope_check="off")

    assert (header.cannot_apply, found) == ((), [])


async def test_empty_plan_of_a_token_that_cannot_apply_it(tmp_path: Path) -> None:
    """A plan without a change issues no warning about the token in use."""
    fake = fake_with(1, kept=2)
    token = fake.access_token(["all.User.read"])

    _, found = await header_with(fake, token, tmp_path, select=jobs.no_tokens(), protect=())

    assert found == []


async def test_token_that_expires_before_the_plan(tmp_path: Path) -> None:
    """A plan states, and warns, that the token in use expires before the plan is too old."""
    fake = fake_with(1, kept=2)
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    token = fake.access_token(["all.User"], expires=expires)

    header, (warning,) = await header_with(fake, token, tmp_path)

    assert header.token_expires_at == expires
    assert warning.startswith(f"The token that this client uses expires at {expires.date()} ")


async def test_token_that_expires_after_the_plan(tmp_path: Path) -> None:
    """There is no warning if the token in use expires after the plan is too old."""
    fake = fake_with(1, kept=2)
    token = fake.access_token(["all.User"], expires=datetime.now(UTC) + timedelta(hours=25))

    _, found = await header_with(fake, token, tmp_path)

    assert found == []


# --- Collections that change -----------------------------------------------------------------


class Moving(httpx.AsyncBaseTransport):
    """Changes the fake after some of the pages."""

    def __init__(self, fake: FakeLosant, then: Mapping[int, Callable[[], object]]) -> None:
        self._to_fake = fake.transport()
        self._then = then
        self._page = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._to_fake.handle_async_request(request)
        self._then.get(self._page, lambda: None)()
        self._page += 1
        return response


def remove(fake: FakeLosant, name: str) -> None:
    (token,) = [token for token in fake.tokens() if token.name == name]
    fake._store.remove(token)


async def test_deletion_while_listing(tmp_path: Path) -> None:
    """If a token is deleted meanwhile, no other token is missing."""
    fake = fake_with(50)
    fake.page_cap = 10
    moving = Moving(fake, {1: lambda: remove(fake, "ci-3")})
    async with client_of(fake, transport=moving) as client:
        plan = await planned(client, tmp_path)

    assert [e.name for e in plan.entries()] == [f"ci-{n}" for n in range(50) if n != 3]
    assert plan.header.counts == {USER: Counts(listed=49, selected=49)}
    assert plan.header.drifted is False


async def test_insertion_while_listing(tmp_path: Path) -> None:
    """If a token with a lower id is created meanwhile, no token is planned twice."""
    fake = fake_with(50)
    fake.page_cap = 10
    moving = Moving(fake, {1: lambda: fake.add_token("ci-new", id="0" * 24)})
    async with client_of(fake, transport=moving) as client:
        plan = await planned(client, tmp_path)

    names = [entry.name for entry in plan.entries()]
    assert names == ["ci-new", *(f"ci-{n}" for n in range(50))]


async def test_deletion_and_insertion(tmp_path: Path) -> None:
    """A deletion and an insertion that keep the total are noticed by the order of ids."""
    fake = fake_with(50)
    fake.page_cap = 10

    def both() -> None:
        remove(fake, "ci-40")
        fake.add_token("ci-new", id="0" * 24)

    async with client_of(fake, transport=Moving(fake, {1: both})) as client:
        plan = await planned(client, tmp_path)

    names = [entry.name for entry in plan.entries()]
    assert names == ["ci-new", *(f"ci-{n}" for n in range(50) if n != 40)]


async def test_deletion_and_creation_between_two_pages(tmp_path: Path) -> None:
    """A deletion and a creation that keep the total hide no other token."""
    fake = fake_with(50)
    fake.page_cap = 10

    def both() -> None:
        remove(fake, "ci-3")
        fake.add_token("ci-new")

    async with client_of(fake, transport=Moving(fake, {2: both})) as client:
        plan = await planned(client, tmp_path)

    names = [entry.name for entry in plan.entries()]
    assert names == [*(f"ci-{n}" for n in range(50) if n != 3), "ci-new"]
    assert plan.header.drifted is False


async def test_creation_while_listing(tmp_path: Path) -> None:
    """If tokens are only created meanwhile, one listing is enough."""
    fake = fake_with(50)
    fake.page_cap = 10
    always = {page: lambda: fake.add_token("keep-new") for page in range(5)}
    async with client_of(fake, transport=Moving(fake, always)) as client:
        plan = await planned(client, tmp_path, allow_majority=True)

    assert [entry.name for entry in plan.entries()] == [f"ci-{n}" for n in range(50)]
    assert plan.header.drifted is False
    assert len(fake.requests) <= 8


@pytest.mark.slow
async def test_rate_limit_while_listing(tmp_path: Path) -> None:
    """A rate limit slows the listing down, but does not end it."""
    fake = fake_with(200)
    fake.page_cap = 4
    fake.rate_limit(30)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)

    assert len(plan) == 200


async def test_service_that_refuses_everything(tmp_path: Path) -> None:
    """If the service refuses everything for longer than `patience`, its error is raised."""
    fake = fake_with(1)
    fake.fail(status=429, times=None)
    async with client_of(fake) as client:
        with pytest.raises(errors.TooManyRequests):
            await planned(client, tmp_path, patience=0.3)

    assert files_in(tmp_path) == []


async def test_collection_that_keeps_changing(tmp_path: Path) -> None:
    """If tokens change during four listings, the plan is made with a warning."""
    fake = fake_with(30, kept=240)
    fake.page_cap = 10
    numbers = iter(range(240))
    always = {page: lambda: remove(fake, f"keep-{next(numbers)}") for page in range(1000)}
    async with client_of(fake, transport=Moving(fake, always)) as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PlanWarning)
            plan = await jobs.plan(client, USER, select=jobs.named("ci-*"), path=tmp_path / "plan")

    assert ["kept changing while they were listed" in str(one.message) for one in caught] == [
        False,
        True,
    ]
    assert plan.header.drifted is True
    assert [entry.name for entry in plan.entries()] == [f"ci-{n}" for n in range(30)]


async def test_server_without_a_total(tmp_path: Path) -> None:
    """If the server states no total, the pages are read to an empty one."""

    def answer(request: httpx.Request) -> httpx.Response:
        items = [{"id": f"{n:024x}", "name": f"ci-{n}"} for n in range(3)]
        return httpx.Response(200, json={"items": items})

    transport = httpx.MockTransport(answer)
    async with AsyncClient("x", base_url="https://x.example", transport=transport) as client:
        plan = await planned(client, tmp_path)

    assert (plan.header.drifted, len(plan)) == (False, 3)
    assert [ApiToken(id=e.id, name=e.name).name for e in plan.entries()] == ["ci-0", "ci-1", "ci-2"]


async def test_listing_that_fails(tmp_path: Path) -> None:
    """If the tokens cannot be listed, the error is raised, and there is no file."""
    fake = fake_with(1)
    fake.fail(status=403, times=None)
    async with client_of(fake) as client:
        with pytest.raises(errors.Forbidden):
            await planned(client, tmp_path)

    assert (files_in(tmp_path), sent(fake, "DELETE")) == ([], [])


async def test_several_pages(tmp_path: Path) -> None:
    """A plan has the tokens of all pages."""
    fake = fake_with(1500)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)

    assert [entry.name for entry in plan.entries()] == [f"ci-{n}" for n in range(1500)]


# --- Cancellation ----------------------------------------------------------------------------


async def cancel_plan(folder: Path, way: Way, at: int) -> bool:
    """Cancel planning at an await point; return whether it got that far."""
    fake = fake_with(30)
    fake.page_cap = 10

    async def make() -> None:
        async with client_of(fake) as client:
            await planned(client, folder)

    run = Sweep(way, at)
    await run.run(make())
    return run.has_cancelled


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", ["task", "task, with the result", "scope"])
async def test_cancelled_plan(tmp_path: Path, way: Way, step: int) -> None:
    """A plan that is cancelled while it is made leaves no unfinished file and no task."""
    at = 1
    while await cancel_plan(tmp_path, way, at):
        at += step
        (tmp_path / "plan.jsonl").unlink(missing_ok=True)
        assert files_in(tmp_path) == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert files_in(tmp_path) == ["plan.jsonl"]
