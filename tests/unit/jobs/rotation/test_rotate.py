"""Rotations that succeed, fail and stop."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve

from losant_tokens import (
    ApiToken,
    ApiTokenPatch,
    AsyncClient,
    NewApiToken,
    OrgRole,
    Owner,
    ResourceRole,
    RetryPolicy,
    Secret,
    jobs,
)
from losant_tokens._client import pool_settings_of
from losant_tokens.errors import ScopeError, ValidationError
from losant_tokens.jobs import RotatedToken, RotationRefused, RotationStage
from losant_tokens.jobs._rotation import verification
from losant_tokens.jobs._rotation.checks import check_token, difference, drift, successor_of
from losant_tokens.jobs._rotation.marker import MAX_DESCRIPTION, marked, marker_of, unmarked
from losant_tokens.jobs._rotation.rotation import advanced
from losant_tokens.jobs._rotation.rotation_journal import RotationJournal
from losant_tokens.jobs._rotation.rotation_run import _client_like
from tests.support.rotations import LIFETIME, URL, Killed, World

APPLICATION = "application:" + "a" * 24
DAY = timedelta(days=1)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(verification, "DELAYS", (0.0,))
    return World(tmp_path)


def stages(rotation: jobs.Rotation) -> list[str]:
    return [token.stage.value for token in rotation.tokens]


class Lossy(httpx.AsyncBaseTransport):
    """A transport that loses the response to the first request that a function chooses."""

    def __init__(self, world: World, chooses: Callable[[httpx.Request], bool]) -> None:
        self._inner = world.fake.transport()
        self._chooses = chooses
        self.is_lost = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if not self.is_lost and self._chooses(request):
            self.is_lost = True
            raise httpx.ReadTimeout("lost", request=request)
        return response


def lossy(world: World, method: str) -> AsyncClient:
    transport = Lossy(world, lambda request: request.method == method)
    return AsyncClient(world.fake.admin_token, base_url=URL, transport=transport)


# --- Success ---------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["user", APPLICATION])
async def test_successor(world: World, owner: str) -> None:
    """A successor has the name, description, scopes and roles of the old token, and expires."""
    scope = ["all.User.read" if owner == "user" else "all.Application.read"]
    roles = [{"orgId": "b" * 24, "role": "view"}] if owner == "user" else None
    old = world.add(
        owner=owner, description="deploys", scope=scope, default_role="view", org_roles=roles
    )

    rotation = await world.rotate(tokens=[(owner, old.id)])

    (made,) = world.made()
    assert stages(rotation) == ["retired"]
    assert (made.name, made.description, list(made.scope)) == ("ci-deploy", "deploys", scope)
    assert made.default_role == "view"
    assert list(made.org_roles or ()) == (roles or [])
    assert made.expiration_date is not None
    assert made.expiration_date - datetime.now(UTC) > LIFETIME - DAY
    assert world.token(old.id).status == "inactive"
    assert world.users_have_working_tokens()
    (delivery,) = world.store.deliveries
    assert (delivery.token_id, delivery.owner) == (made.id, Owner.parse(owner))
    assert rotation.tokens[0].is_verified
    (quarantine,) = world.ledger.quarantines()
    assert quarantine.rule == f"replaced by rotation {rotation.id}"


async def test_overlap(world: World) -> None:
    """Both tokens work until the overlap ends, and `resume_rotation` then deactivates the old."""
    old = world.add()
    until = datetime.now(UTC) + timedelta(days=30)

    rotation = await world.rotate(old.id, overlap=DAY, expires=until, ledger=None)
    again = await world.resume(sink=None)
    world.fake.clock_offset = 2 * DAY
    rotated = await world.resume(sink=None, ledger=None)

    assert stages(rotation) == stages(again) == ["delivered"]
    assert rotation.next_due_at == rotation.due_at(rotation.tokens[0])
    planned = evolve(rotation.tokens[0], delivered_at=None)
    assert (rotation.due_at(planned), rotation.is_due(planned, datetime.now(UTC))) == (None, False)
    assert rotation.next_due_at is not None
    assert not rotation.is_complete
    assert not rotation.needs_sink
    assert stages(rotated) == ["retired"]
    assert (rotated.next_due_at, rotated.has_problems) == (None, False)
    assert world.made()[0].expiration_date == until.replace(
        microsecond=until.microsecond // 1000 * 1000
    )
    assert world.ledger.quarantines() == ()


async def test_plan(world: World) -> None:
    """A plan to rotate tokens is for `rotate` only, and may select the token in use."""
    own = world.add("ci-own", scope=["all.User"])
    for name in ("ci-1", "ci-2", "ci-off"):
        world.add(name, status="inactive" if name == "ci-off" else "active")
    world.add("ci-old", expiration_date=datetime(2020, 1, 1, tzinfo=UTC))
    async with world.client(own.secret) as client:
        plan = await jobs.plan(
            client,
            Owner.user(),
            select=jobs.named("ci-*"),
            action="rotate",
            path=world.folder / "plan.jsonl",
            protect=["ci-2"],
        )
        with pytest.raises(jobs.PlanRefused, match="is a plan to rotate tokens"):
            await jobs.apply(client, plan)
        other = await jobs.plan(
            client, Owner.user(), select=jobs.inactive(), path=world.folder / "other.jsonl"
        )
        with pytest.raises(jobs.PlanRefused, match="is a plan to delete tokens"):
            await jobs.check_rotation(client, other, expires=LIFETIME)
        with pytest.raises(ValidationError, match=r"plan\.owners must not be 'oauth'"):
            await jobs.plan(client, Owner.user_oauth(), select=jobs.active(), action="rotate")

    rotation = await world.rotate(tokens=plan, client=world.client(own.secret))

    assert [token.name for token in rotation.tokens] == ["ci-1", "ci-own"]
    assert stages(rotation) == ["retired", "retired"]
    statuses = {
        token.name: token.status for token in world.all_tokens() if token.id in world.before
    }
    assert (statuses["ci-2"], statuses["ci-own"]) == ("active", "inactive")


async def test_steps_are_reported(world: World) -> None:
    """`on_step` receives the state after each step."""
    seen: list[RotationStage] = []
    old = world.add()

    await world.rotate(old.id, on_step=lambda one: seen.append(one.tokens[0].stage))

    assert list(dict.fromkeys(seen)) == [
        RotationStage.CREATING,
        RotationStage.CREATED,
        RotationStage.DELIVERING,
        RotationStage.DELIVERED,
        RotationStage.RETIRED,
    ]


async def test_default_client(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `make_client`, successors are verified at the same base URL."""
    made: list[dict[str, Any]] = []

    def make(secret: Secret, **settings: Any) -> AsyncClient:
        made.append(settings)
        return world.client(secret)

    monkeypatch.setattr("losant_tokens.jobs._rotation.rotation_run.AsyncClient", make)

    rotation = await world.rotate(world.add().id, make_client=None)

    assert stages(rotation) == ["retired"]
    assert made == [{"base_url": URL, "scope_check": "off", "insecure_http": None}]


def test_default_client_uses_the_same_pool_settings() -> None:
    """Successors are verified over the proxy of the client, and with the authorities it trusts."""
    settings: dict[str, Any] = {
        "proxy": Secret("http://user:password@proxy.example:8080"),
        "verify": ssl.create_default_context(),
        "trust_env": False,
    }
    client = AsyncClient("first", **settings)

    assert pool_settings_of(_client_like(client, Secret("successor"))) == settings


# --- Refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"scope": ["me", "devices"]}, "has the scopes devices, me, which a new token cannot be"),
        ({"scope": ["me"]}, "has the scope me, which"),
        ({"scope": []}, "has no scopes that the API states"),
        ({"status": "inactive"}, "is not active, so nothing can use it"),
        ({"expiration_date": datetime(2020, 1, 1, tzinfo=UTC)}, "has expired, so nothing"),
        ({"scope": ["device.get"]}, "allow no request to verify its successor"),
        ({"default_role": "emperor"}, "cannot be copied: ApiTokenPost.default_role"),
    ],
)
async def test_refused_tokens(world: World, members: dict[str, Any], problem: str) -> None:
    """A token that cannot be copied or verified is refused before anything is created."""
    old, fine = world.add(**members), world.add()

    with pytest.raises(RotationRefused, match=problem) as refused:
        await world.rotate(old.id, fine.id)

    assert [check.id for check in refused.value.checks] == [old.id]
    assert str(refused.value).endswith("Nothing was created.")
    assert world.made() == []
    assert not world.journal.exists()


async def test_refused_arguments(world: World) -> None:
    """Invalid arguments are refused before a request changes anything."""
    old = world.add()
    soon = datetime.now(UTC) + timedelta(hours=1)
    for options, problem in (
        ({"overlap": -DAY}, "rotate.overlap must be a timedelta that is not negative"),
        ({"grace": 3}, "rotate.grace must be a timedelta"),
        ({"expires": "90d"}, "rotate.expires must be a timedelta or a datetime, but it is '90d'"),
        ({"expires": datetime(2040, 1, 1)}, "rotate.expires must have a time zone"),  # noqa: DTZ001
        ({"expires": DAY, "overlap": DAY}, "rotate.expires must be longer than the overlap"),
        ({"expires": soon, "overlap": DAY}, "rotate.expires must be after the end"),
        ({"tokens": []}, "rotate.tokens must name at least one token"),
        ({"tokens": [("oauth", old.id)]}, "rotate.tokens must not have OAuth tokens"),
        ({"tokens": [("user", "x")]}, "rotate.tokens must"),
        ({"tokens": [old.id]}, "rotate.tokens must be a plan, or pairs of an owner and the id"),
        ({"tokens": [("user",)]}, "but one of them is tuple"),
        ({"sink": print}, "rotate.sink must have the coroutine method deliver"),
    ):
        with pytest.raises(ValidationError, match=problem):
            await world.rotate(old.id, **options)
    missing = [(Owner.user(), f"{number:024x}") for number in range(25)]
    with pytest.raises(RotationRefused, match=r"does not exist: .* 5 more cannot be rotated\."):
        await world.rotate(tokens=missing)
    reader = world.fake.access_token(["all.User.read"])
    with pytest.raises(ScopeError, match=r"userApiTokens\.post needs"):
        await world.rotate(old.id, client=world.client(reader, scope_check="enforce"))

    assert world.made() == []


# --- Failures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "kept"), [("refuses", 0), ("fails", 1), ("stores", 1), ("raises", 1)]
)
async def test_sink_fails(world: World, failure: str, kept: int) -> None:
    """A successor is deleted if the sink reports a failure, and kept if it may have the secret."""
    world.store._failures = [failure]
    old = world.add()

    rotation = await world.rotate(old.id)

    assert stages(rotation) == ["failed"]
    assert len(world.made()) == len(rotation.tokens[0].uncertain_ids) == kept
    assert world.users_have_working_tokens()
    assert rotation.needs_sink
    assert rotation.has_problems
    error = rotation.tokens[0].error
    assert error is not None
    assert world.made() == [] or world.made()[0].secret not in error

    rotation = await world.resume()

    assert stages(rotation) == ["retired"]
    assert len([token for token in world.made() if token.status == "active"]) == 1
    assert world.users_have_working_tokens()


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
async def test_lost_responses(world: World, method: str) -> None:
    """A request whose response is lost leaves no unknown token, and a resumed rotation ends."""
    world.store._failures = ["refuses"] if method == "DELETE" else []
    old = world.add(description="deploys")

    rotation = await world.rotate(old.id, client=lossy(world, method))
    assert world.unknown() == []
    assert world.users_have_working_tokens()
    if not rotation.is_complete:
        rotation = await world.resume()

    assert stages(rotation) == ["retired"]
    assert [token.description for token in world.made()] == ["deploys"]


async def test_late_request(world: World) -> None:
    """A successor that appears after the search for it is deleted before the old token is."""
    old = world.add()
    rotation = await world.rotate(old.id, overlap=DAY)
    marker = f"[rotation {rotation.id} of {old.id}]"
    late = world.fake.add_token("ci-deploy", description=marker)
    near = world.fake.add_token("ci-deploy", description=f"{marker[:-1]}0]")
    world.fake.clock_offset = 2 * DAY

    await world.resume()

    ids = {token.id for token in world.made()}
    assert late.id not in ids
    assert near.id in ids


async def test_successor_that_does_not_work(world: World) -> None:
    """A successor that the API does not accept is deleted, and never delivered."""
    old = world.add()

    def make(_: Secret) -> AsyncClient:
        return world.client("not.a.token")

    rotation = await world.rotate(old.id, make_client=make)

    assert "does not accept the successor" in str(rotation.tokens[0].error)
    assert (world.made(), world.store.deliveries) == ([], [])


async def test_verification_without_response(world: World) -> None:
    """A successor is deleted if the API does not respond to its verification."""
    old = world.add()

    def make(secret: Secret) -> AsyncClient:
        transport = Lossy(world, lambda _: True)
        return AsyncClient(secret, base_url=URL, transport=transport, retry=RetryPolicy(attempts=1))

    rotation = await world.rotate(old.id, make_client=make)

    assert "could not be verified" in str(rotation.tokens[0].error)
    assert world.made() == []


@pytest.mark.parametrize("allowed", [True, False])
async def test_scopes_that_turn_out_to_allow_nothing(
    world: World, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A successor that no request can verify is only delivered if that is allowed."""
    old = world.add(scope=["device.get"])

    if not allowed:
        monkeypatch.setattr(
            "losant_tokens.jobs._rotation.checks.probes_for",
            lambda *_: ("any",),
        )
    rotation = await world.rotate(old.id, allow_unverified=allowed)

    assert stages(rotation) == ["retired" if allowed else "failed"]
    assert not rotation.tokens[0].is_verified
    assert len(world.made()) == int(allowed)


async def test_old_token_changes(world: World) -> None:
    """A token that somebody changes during its overlap is left alone, and its successor is kept."""
    old, gone, broken = world.add(), world.add(), world.add()
    rotation = await world.rotate(old.id, gone.id, broken.id, overlap=DAY)
    world.fake.clock_offset = 2 * DAY
    async with world.client() as client:
        await client.user_api_token.patch(old.id, ApiTokenPatch(description="other"))
        await client.user_api_token.delete(gone.id)
        await client.user_api_token.delete(str(rotation.tokens[2].successor_id))

    rotation = await world.resume()

    assert stages(rotation) == ["left", "retired", "delivered"]
    assert "was changed since the rotation began" in str(rotation.tokens[0].error)
    assert "is gone, so" in str(rotation.tokens[2].error)
    assert world.token(old.id).status == world.token(broken.id).status == "active"
    assert rotation.has_problems


async def test_old_token_changes_before_its_successor(world: World) -> None:
    """A token that somebody changes before its successor is created gets none."""
    one, two, three = world.add("ci-1"), world.add("ci-2"), world.add("ci-3")

    async def change() -> None:
        async with world.client() as client:
            await client.user_api_token.patch(two.id, ApiTokenPatch(description="other"))
            await client.user_api_token.delete(three.id)

    class Sink:
        async def deliver(self, delivery: Any) -> None:
            await world.store.deliver(delivery)
            if delivery.replaces == one.id:
                await change()

    rotation = await world.rotate(one.id, two.id, three.id, sink=Sink())

    assert stages(rotation) == ["retired", "failed", "failed"]
    assert len(world.made()) == 1


async def test_own_token_in_a_later_process(world: World) -> None:
    """The token in use is only deactivated by its successor."""
    own = world.add(scope=["all.User"])
    await world.rotate(own.id, overlap=DAY, client=world.client(own.secret))
    world.fake.clock_offset = 2 * DAY

    by_old = await world.resume(world.client(own.secret))
    by_new = await world.resume(world.client(world.store.secrets[own.id]))

    assert stages(by_old) == ["delivered"]
    assert "is the token in use" in str(by_old.tokens[0].error)
    assert stages(by_new) == ["retired"]


# --- Cancelling ------------------------------------------------------------------------------


async def test_cancel(world: World) -> None:
    """A cancelled rotation keeps what was delivered or may have been, and all old tokens."""
    one, two = world.add("ci-1"), world.add("ci-2")
    world.store._failures = [None, "fails"]
    await world.rotate(one.id, two.id, overlap=DAY)

    rotation = await world.cancel()
    again = await world.cancel()

    assert stages(rotation) == stages(again) == ["cancelled", "cancelled"]
    assert rotation.is_complete
    assert [token.id for token in world.made()] == [
        token_id for token in rotation.tokens for token_id in token.successor_ids
    ]
    assert all(world.token(token.id).status == "active" for token in (one, two))


async def test_other_account(world: World) -> None:
    """A rotation goes on only at the base URL and with the account that it began with."""
    old = world.add()
    await world.rotate(old.id, overlap=DAY)
    other = AsyncClient("x", base_url="https://other.example", transport=world.fake.transport())
    with pytest.raises(
        jobs.PlanRefused, match=r"is for https://fake\.example, but the client uses"
    ):
        await world.resume(other)


async def test_files(world: World) -> None:
    """A journal that exists, is in use, was altered or is missing is refused."""
    old = world.add()
    await world.rotate(old.id, overlap=DAY)
    with pytest.raises(jobs.JournalError, match="is the journal of an earlier rotation"):
        await world.rotate(old.id)
    with pytest.raises(jobs.JournalError, match="cannot be read"):
        jobs.read_rotation(world.folder / "missing")
    with pytest.raises(jobs.JournalError, match="cannot be used"):
        async with world.client() as client:
            await jobs.resume_rotation(client, world.folder / "missing")
    with pytest.raises(jobs.JournalError, match="cannot be used"):
        await world.rotate(old.id, journal=world.folder / "missing" / "journal")
    text = world.journal.read_text()
    world.journal.write_text(text.replace("delivered", "delivexed"))
    with pytest.raises(jobs.JournalError, match="was altered"):
        jobs.read_rotation(world.journal)
    world.journal.write_text(text.splitlines(keepends=True)[0])
    with pytest.raises(jobs.JournalError, match="it lacks lines"):
        jobs.read_rotation(world.journal)
    world.journal.write_text(f'{text}{{"n":0,"is":"torn')
    assert stages(jobs.read_rotation(world.journal)) == ["delivered"]
    assert stages(await world.resume()) == ["delivered"]
    assert world.journal.read_text() == text


def test_marker() -> None:
    """A long description is cut off to fit the marker, at a whole character."""
    assert marked(None, "[m]") == "[m]"
    assert marked("text", "[m]") == "text [m]"
    first, second = marker_of("1" * 16, "a" * 24), marker_of("2" * 16, "b" * 24)
    assert marked(f"text {first}", second) == f"text {second}"
    assert unmarked(f"text {first} {second}") == "text"
    assert unmarked("text [rotation]") == "text [rotation]"
    assert unmarked(None) == unmarked(first) == ""
    long = marked("🌱" * MAX_DESCRIPTION, "[m]")
    assert len(long.encode("utf-16-le")) // 2 in {MAX_DESCRIPTION, MAX_DESCRIPTION - 1}
    assert long.endswith("🌱 [m]")


# --- Rare cases ------------------------------------------------------------------------------


async def test_other_user(world: World) -> None:
    """A rotation does not go on with a token of another user, who has none of its tokens."""
    old = world.add()
    await world.rotate(old.id, overlap=DAY)
    other = World(world.folder)
    other.fake._store.user_id = "b" * 24
    async with other.client() as client:
        with pytest.raises(jobs.PlanRefused, match="the API has none of its tokens"):
            await jobs.cancel_rotation(client, world.journal)
        with pytest.raises(jobs.PlanRefused, match="the API has none of its tokens"):
            await jobs.resume_rotation(client, world.journal)

    assert stages(await world.resume()) == ["delivered"]


async def test_resume_with_a_wrong_sink(world: World) -> None:
    """A sink without the method `deliver` is refused before the journal is opened."""
    async with world.client() as client:
        with pytest.raises(ValidationError, match=r"resume_rotation\.sink must have"):
            await jobs.resume_rotation(client, "no.journal", sink=print)  # type: ignore[arg-type]


async def test_one_process(world: World) -> None:
    """Only one process at a time continues a rotation."""
    old = world.add()
    await world.rotate(old.id, overlap=DAY)
    opened = RotationJournal.open(world.journal)
    with opened:
        assert jobs.read_rotation(world.journal).is_running
        with pytest.raises(jobs.JournalError, match="is in use: another process continues"):
            await world.resume()
    assert not jobs.read_rotation(world.journal).is_running


async def test_journal_cannot_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No step is taken that the journal does not have."""
    old = world.add()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    await world.rotate(old.id, overlap=DAY)
    opened = RotationJournal.open(world.journal)
    with opened, monkeypatch.context() as patch:
        patch.setattr("losant_tokens.jobs._rotation.rotation_journal._write_all", full)
        for _ in range(2):
            with pytest.raises(jobs.JournalError, match="cannot be written: No space left"):
                await opened.record(0, {"is": "retired"})
        assert stages(opened.rotation) == ["delivered"]


@pytest.mark.parametrize("status", ["inactive", "expired"])
async def test_successor_is_of_no_use(world: World, status: str) -> None:
    """The old token stays active if its successor is inactive or has expired."""
    old = world.add()
    rotation = await world.rotate(old.id, overlap=DAY)
    world.fake.clock_offset = 2 * DAY if status == "inactive" else 2 * LIFETIME
    if status == "inactive":
        async with world.client() as client:
            successor = str(rotation.tokens[0].successor_id)
            await client.user_api_token.patch(successor, ApiTokenPatch(status="inactive"))

    rotation = await world.resume(world.client(world.fake.access_token()))

    assert stages(rotation) == ["delivered"]
    assert "was not deactivated" in str(rotation.tokens[0].error)
    assert world.token(old.id).status == "active"


def test_differences() -> None:
    """A successor that differs from the request is not a copy."""
    later = datetime(2030, 1, 1, tzinfo=UTC)
    old = ApiToken(id="a", scope=("all.User",))
    made = NewApiToken(id="b", scope=("all.User",), expiration_date=later, token=Secret("x"))

    assert difference(old, made) is None
    assert difference(old, evolve(made, scope=("all.User.read",))) is not None
    assert difference(old, evolve(made, expiration_date=None)) is not None
    assert difference(old, evolve(made, status="inactive")) is not None
    assert difference(evolve(old, owner_id="A"), evolve(made, owner_id="a")) is None
    assert difference(evolve(old, owner_id="a"), evolve(made, owner_id="b")) is not None
    planned = RotatedToken(owner=Owner.user(), id="a", name="")
    assert drift(planned, old) is None
    assert "has another name" in str(drift(planned, evolve(old, name="x")))
    assert "was changed" in str(drift(planned, evolve(old, last_updated=later)))
    unreadable = evolve(old, unreadable=frozenset({"org_roles"}), status="active")
    client = AsyncClient("opaque", base_url=URL)
    check = check_token(client, Owner.user(), unreadable, later, later)
    assert "the API's values of org_roles cannot be read" in str(check.problem)
    assert check.is_in_use is None
    roles = (OrgRole("b" * 24, "view", application_roles=(ResourceRole("c" * 24, "view"),)),)
    assert successor_of(evolve(old, name="x", org_roles=roles), "", later).org_roles == roles


async def test_plan_of_the_deactivation_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deactivation that failed is resumed, unless a successor is gone meanwhile."""
    one, two = world.add("ci-1"), world.add("ci-2")

    async def fail(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("losant_tokens.jobs._rotation.retirement.apply", fail)
        with pytest.raises(Killed):
            await world.rotate(one.id, two.id)
    gone = str(jobs.read_rotation(world.journal).tokens[1].successor_id)
    async with world.client() as client:
        await client.user_api_token.delete(gone)

    rotation = await world.resume()

    assert stages(rotation) == ["retired", "delivered"]
    assert world.token(two.id).status == "active"
    assert len(list(world.folder.glob("*.retire-*.jsonl"))) == 2


def test_altered_events() -> None:
    """An event that no release writes is refused."""
    token = RotatedToken(owner=Owner.user(), id="a", name="")
    with pytest.raises(ValueError, match="error"):
        advanced(token, {"is": "noted", "error": 3})
