"""Rotations of an API that fails, loses responses, or sends ones that nobody expects."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from losant_tokens import ApiTokenPatch, AsyncClient, Owner, RetryPolicy, jobs
from losant_tokens.errors import NotFound, ServerError
from losant_tokens.jobs._rotation import rotation_journal, verification
from losant_tokens.jobs._rotation.checks import is_in_use
from losant_tokens.jobs._rotation.rotation_journal import RotationJournal
from tests.support.rotations import URL, Killed, World

APPLICATION = "application:" + "a" * 24
DAY = timedelta(days=1)
Script = Callable[[httpx.Request], httpx.Response | None]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(verification, "DELAYS", (0.0,))
    return World(tmp_path)


class Scripted(httpx.AsyncBaseTransport):
    """A transport to a fake whose responses a function may replace, before or after the effect."""

    def __init__(self, world: World, before: Script, after: Script) -> None:
        self._inner = world.fake.transport()
        self._before = before
        self._after = after

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if (response := self._before(request)) is not None:
            return response
        response = await self._inner.handle_async_request(request)
        return self._after(request) or response


def nothing(_: httpx.Request) -> None:
    return None


def scripted(world: World, before: Script = nothing, after: Script = nothing) -> AsyncClient:
    return AsyncClient(
        world.fake.admin_token,
        base_url=URL,
        transport=Scripted(world, before, after),
        retry=RetryPolicy(attempts=1),
    )


def refused(status: int, *, is_from_api: bool = True) -> httpx.Response:
    if not is_from_api:
        return httpx.Response(status, text="<html>")
    return httpx.Response(status, json={"type": "Error", "message": "no"})


def on(method: str, response: Callable[[], httpx.Response], part: str = "") -> Script:
    """Return a script for the requests with a method whose path and body have a part."""

    def script(request: httpx.Request) -> httpx.Response | None:
        text = f"{request.url} {request.content.decode()}"
        return response() if request.method == method and part in text else None

    return script


def stages(rotation: jobs.Rotation) -> list[str]:
    return [token.stage.value for token in rotation.tokens]


def created(world: World, **members: object) -> httpx.Response:
    """Return the response to the creation of the newest token, with other members."""
    made = world.made()[-1]
    body: dict[str, object] = {
        "id": made.id,
        "apiTokenId": made.id,
        "token": made.secret,
        "name": made.name,
    }
    body |= {"scope": list(made.scope), "status": "active"}
    body |= {"expirationDate": "2099-01-01T00:00:00.000Z"} | members
    return httpx.Response(201, json={key: value for key, value in body.items() if value})


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"id": None, "apiTokenId": None}, "returned a token without an id, which was deleted"),
        ({"token": None}, "could not be created"),
        ({"scope": ["all.User"]}, "is not a copy: the API gave it the scopes all.User"),
        ({"status": "inactive"}, "is not a copy: the API gave it the status inactive"),
    ],
)
async def test_strange_successors(world: World, members: dict[str, object], problem: str) -> None:
    """A successor without a secret or an id, or that is not a copy, is deleted."""
    old = world.add()
    client = scripted(world, after=on("POST", lambda: created(world, **members)))

    rotation = await world.rotate(old.id, client=client)

    assert stages(rotation) == ["failed"]
    assert problem in str(rotation.tokens[0].error)
    assert (world.made(), world.store.deliveries) == ([], [])


async def test_creation_is_refused(world: World) -> None:
    """If the API refuses to create the successor, the old token stays as it is."""
    old = world.add()

    rotation = await world.rotate(old.id, client=scripted(world, on("POST", lambda: refused(400))))

    assert stages(rotation) == ["failed"]
    assert world.users_have_working_tokens()
    assert stages(await world.resume()) == ["retired"]


async def test_creation_is_in_doubt(world: World) -> None:
    """A request to create a successor that may have arrived is searched for again."""
    old, other = world.add(), world.add()
    client = scripted(world, on("POST", lambda: refused(502, is_from_api=False)))

    rotation = await world.rotate(old.id, other.id, client=client)
    assert stages(rotation) == ["creating", "planned"]
    lists = on("GET", lambda: refused(500), "sortField")
    rotation = await world.resume(scripted(world, lists))
    assert stages(rotation) == ["creating", "planned"]
    assert "could not be searched for" in str(rotation.tokens[0].error)
    assert stages(await world.resume(scripted(world, lists), sink=None)) == ["creating", "planned"]
    async with scripted(world, lists) as failing:
        rotation = await jobs.cancel_rotation(failing, world.journal)

    assert stages(rotation) == ["creating", "cancelled"]
    assert stages(await world.resume()) == ["retired", "cancelled"]


@pytest.mark.filterwarnings("ignore::losant_tokens.errors.PaginationDriftWarning")
async def test_list_changes_during_the_search(world: World) -> None:
    """A list that changed while it was searched proves nothing, so it is read again."""
    old, other = world.add(), world.add()
    tokens = world.fake.tokens()
    lists: list[int] = []

    def lost(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST":
            raise httpx.ReadTimeout("lost", request=request)
        if request.method == "GET" and "sortField=id" in str(request.url):
            lists.append(len(lists))
            return httpx.Response(
                200,
                json={
                    "items": [],
                    "count": 0,
                    "totalCount": len(tokens),
                    "page": 0,
                    "perPage": 1000,
                    "sortField": "id",
                    "sortDirection": "asc",
                },
            )
        return None

    rotation = await world.rotate(old.id, other.id, client=scripted(world, lost))

    assert (stages(rotation), len(lists)) == (["creating", "planned"], 3)
    assert "changed each time they were listed" in str(rotation.tokens[0].error)
    assert stages(await world.resume()) == ["retired", "retired"]


async def test_successor_cannot_be_deleted(world: World) -> None:
    """A successor that cannot be deleted is named, and a resumed rotation deletes it."""
    world.store._failures = ["refuses"]
    old = world.add()
    deletes = on("DELETE", lambda: refused(404, is_from_api=False))

    rotation = await world.rotate(old.id, client=scripted(world, deletes))

    (made,) = world.made()
    assert stages(rotation) == ["removing"]
    assert f"The successor {made.id} could not be deleted" in str(rotation.tokens[0].error)
    gone = on("DELETE", lambda: refused(404))
    rotation = await world.resume(scripted(world, gone), sink=None)
    assert stages(rotation) == ["failed"]


async def test_successor_that_another_account_does_not_have(world: World) -> None:
    """A 404 does not prove that a successor is deleted if the client's token was replaced."""
    world.store._failures = ["refuses"]
    old = world.add()

    def other_account() -> httpx.Response:
        client.use_token("other")
        return refused(404)

    client = scripted(world, on("DELETE", other_account))

    rotation = await world.rotate(old.id, client=client)

    assert stages(rotation) == ["removing"]
    assert stages(await world.resume()) == ["retired"]
    (token,) = jobs.read_rotation(world.journal).tokens
    assert [made.id for made in world.made()] == [token.successor_id]


async def test_marker_cannot_be_removed(world: World) -> None:
    """A marker that stays in a description is removed later."""
    old = world.add(description="deploys")
    patches = on("PATCH", lambda: refused(400))
    rotation = await world.rotate(old.id, overlap=DAY, client=scripted(world, patches))
    assert stages(rotation) == ["delivered"]
    assert "still has a marker" in str(rotation.tokens[0].error)

    await world.resume()

    assert [token.description for token in world.made()] == ["deploys"]


async def test_successor_with_a_marker_is_rotated(world: World) -> None:
    """The successor of a marked successor is not a lost successor of the first rotation."""
    old = world.add(description="deploys")
    patches = on("PATCH", lambda: refused(400))
    first = await world.rotate(old.id, overlap=DAY, client=scripted(world, patches))
    marked = world.token(str(first.tokens[0].successor_id))
    second = await world.rotate(marked.id, overlap=DAY, journal=world.folder / "second.journal")
    newest = world.token(str(second.tokens[0].successor_id))
    world.fake.clock_offset = 2 * DAY

    rotation = await world.resume()

    assert ("[rotation " in str(marked.description), newest.description) == (True, "deploys")
    assert stages(rotation) == ["retired"]
    assert world.works(newest.secret)


async def test_cancel_removes_the_marker(world: World) -> None:
    """A delivered successor whose rotation is cancelled keeps no marker."""
    old = world.add(description="deploys")
    patches = on("PATCH", lambda: refused(400))
    await world.rotate(old.id, overlap=DAY, client=scripted(world, patches))

    await world.cancel()

    assert [token.description for token in world.made()] == ["deploys"]


async def test_cancel_after_the_deactivation(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old token that a killed process has deactivated is not called unchanged."""
    old = world.add()
    record = RotationJournal.record

    async def killed(journal: RotationJournal, numbers: Any, event: Any) -> None:
        if event["is"] == "retired":
            raise Killed
        await record(journal, numbers, event)

    with monkeypatch.context() as patch:
        patch.setattr(RotationJournal, "record", killed)
        with pytest.raises(Killed):
            await world.rotate(old.id)

    assert stages(await world.cancel()) == ["retired"]


@pytest.mark.parametrize(
    ("owner", "account"), [("user", None), ("user", "userId " + "c" * 24), (APPLICATION, None)]
)
async def test_all_tokens_are_gone(
    world: World, owner: str, account: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotation whose tokens somebody has deleted can be cancelled, if the account is certain."""
    monkeypatch.setattr(AsyncClient, "account", account)
    old = world.add(
        owner=owner, scope=["all.User.read" if owner == "user" else "all.Application.read"]
    )
    world.store._failures = ["refuses"]
    rotation = await world.rotate(tokens=[(owner, old.id)])
    async with world.client() as client:
        await client.tokens(Owner.parse(owner)).delete(old.id)

    assert stages(rotation) == ["failed"]
    assert stages(await world.cancel()) == ["cancelled"]


async def test_unknown_application(world: World) -> None:
    """A rotation does not go on if the API does not know its application."""
    old = world.add(owner=APPLICATION, scope=["all.Application.read"])
    await world.rotate(tokens=[(APPLICATION, old.id)], overlap=DAY)
    gone = on("GET", lambda: refused(404), APPLICATION.partition(":")[2])
    with pytest.raises(jobs.PlanRefused, match=f"none of its tokens of {APPLICATION}"):
        await world.resume(scripted(world, gone))
    html = on("GET", lambda: refused(404, is_from_api=False), "perPage")
    with pytest.raises(NotFound):
        await world.resume(scripted(world, lambda request: html(request) or gone(request)))


@pytest.mark.parametrize(("status", "error"), [(400, None), (401, jobs.JobFailed)])
async def test_deactivation_fails(world: World, status: int, error: type[Exception] | None) -> None:
    """An old token that cannot be deactivated stays active, and is deactivated later."""
    old = world.add()
    patches = scripted(world, on("PATCH", lambda: refused(status), "inactive"))
    if error is None:
        rotation = await world.rotate(old.id, client=patches)
        assert "could not be deactivated" in str(rotation.tokens[0].error)
    else:
        with pytest.raises(error):
            await world.rotate(old.id, client=patches)
    assert stages(jobs.read_rotation(world.journal)) == ["delivered"]
    assert world.token(old.id).status == "active"

    assert stages(await world.resume()) == ["retired"]


async def test_responses_of_a_proxy(world: World) -> None:
    """A 404 that is not the API's proves nothing, so it ends the rotation with an error."""
    old = world.add()
    everything = scripted(world, on("GET", lambda: refused(404, is_from_api=False)))
    with pytest.raises(NotFound):
        await world.rotate(old.id, client=everything)
    rotation = await world.rotate(old.id, overlap=DAY)
    with pytest.raises(NotFound):
        await world.resume(scripted(world, on("GET", lambda: refused(404, is_from_api=False))))
    world.fake.clock_offset = 2 * DAY
    successor = f"/{rotation.tokens[0].successor_id}"
    with pytest.raises(NotFound):
        await world.resume(
            scripted(world, on("GET", lambda: refused(404, is_from_api=False), successor))
        )
    marker = f"[rotation {rotation.id} of {old.id}]"
    world.fake.add_token("ci-deploy", description=marker)
    with pytest.raises(NotFound):
        await world.resume(scripted(world, on("DELETE", lambda: refused(404, is_from_api=False))))
    with pytest.raises(ServerError):
        await world.resume(scripted(world, on("DELETE", lambda: refused(500))))
    assert stages(await world.resume(scripted(world, on("DELETE", lambda: refused(404))))) == [
        "retired"
    ]


async def test_changed_token_behind_a_proxy(world: World) -> None:
    """A changed old token is not called gone because of a 404 that is not the API's."""
    old = world.add()
    await world.rotate(old.id, overlap=DAY)
    world.fake.clock_offset = 2 * DAY
    async with world.client() as client:
        await client.user_api_token.patch(old.id, ApiTokenPatch(description="x"))
    count = 0

    def second(request: httpx.Request) -> httpx.Response | None:
        nonlocal count
        if request.method == "GET" and str(request.url).partition("?")[0].endswith(old.id):
            count += 1
            return refused(404, is_from_api=False) if count > 1 else None
        return None

    with pytest.raises(NotFound):
        await world.resume(scripted(world, second))


async def test_own_expiry() -> None:
    """Without ids in its claims, a token may be the one in use if it expires at the same time."""
    when = datetime(2099, 1, 1, tzinfo=UTC)
    secret = jwt.encode({"exp": when}, "k" * 32, algorithm="HS256")
    client = AsyncClient(secret, base_url=URL)

    assert is_in_use(client, "a" * 24, when) is None
    assert is_in_use(client, "a" * 24, when + DAY) is False
    assert is_in_use(client, "a" * 24, None) is False


async def test_tokens_that_may_be_in_use(world: World) -> None:
    """Tokens that may be the one in use are deactivated one after the other."""
    ids = [world.add().id for _ in range(2)]
    opaque = world.client()
    rotation = await world.rotate(*ids, client=opaque)

    assert stages(rotation) == ["retired", "retired"]


def test_short_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that the system cuts short is continued."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    with (tmp_path / "file").open("wb") as file:
        rotation_journal._write_all(file.fileno(), json.dumps("long enough").encode())

    assert (tmp_path / "file").read_text() == '"long enough"'
