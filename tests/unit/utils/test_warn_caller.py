"""Check that a warning about the token names the line of the program that made the call."""

import linecache
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest

from losant_tokens import (
    ApiTokenPatch,
    ApiTokenPost,
    AsyncClient,
    OauthRequest,
    Owner,
    UserOauthTokenPatch,
    UserOauthTokenPost,
    jobs,
)
from losant_tokens._utils.warn_caller import _caller_of
from losant_tokens.errors import ScopeWarning
from losant_tokens.testing import FakeLosant
from tests.support.helpers import ROWS

ID = "575ec7417ae143cd83dc4a95"
POST, PATCH = ApiTokenPost("ci"), ApiTokenPatch(status="inactive")
OAUTH_POST = UserOauthTokenPost("ci", OauthRequest("c" * 24, "https://example.com", "c" * 43))
OAUTH_PATCH = UserOauthTokenPatch(status="inactive")

CALLS: dict[str, Callable[[AsyncClient], Awaitable[object]]] = {
    "userApiToken.get": lambda c: c.user_api_token.get(ID),
    "userApiToken.patch": lambda c: c.user_api_token.patch(ID, PATCH),
    "userApiToken.delete": lambda c: c.user_api_token.delete(ID),
    "userApiTokens.get": lambda c: c.user_api_tokens.get(),
    "userApiTokens.post": lambda c: c.user_api_tokens.post(POST),
    "userOauthToken.get": lambda c: c.user_oauth_token.get(ID),
    "userOauthToken.patch": lambda c: c.user_oauth_token.patch(ID, OAUTH_PATCH),
    "userOauthToken.delete": lambda c: c.user_oauth_token.delete(ID),
    "userOauthTokens.get": lambda c: c.user_oauth_tokens.get(),
    "userOauthTokens.post": lambda c: c.user_oauth_tokens.post(OAUTH_POST),
    "applicationApiToken.get": lambda c: c.application_api_token.get(ID, ID),
    "applicationApiToken.patch": lambda c: c.application_api_token.patch(ID, ID, PATCH),
    "applicationApiToken.delete": lambda c: c.application_api_token.delete(ID, ID),
    "applicationApiTokens.get": lambda c: c.application_api_tokens.get(ID),
    "applicationApiTokens.post": lambda c: c.application_api_tokens.post(ID, POST),
    "instanceApiToken.get": lambda c: c.instance_api_token.get(ID, ID),
    "instanceApiToken.patch": lambda c: c.instance_api_token.patch(ID, ID, PATCH),
    "instanceApiToken.delete": lambda c: c.instance_api_token.delete(ID, ID),
    "instanceApiTokens.get": lambda c: c.instance_api_tokens.get(ID),
    "instanceApiTokens.post": lambda c: c.instance_api_tokens.post(ID, POST),
    "auditLog.get": lambda c: c.audit_log.get(ID, ID),
    "auditLogs.get": lambda c: c.audit_logs.get(ID),
    "instanceAuditLog.get": lambda c: c.instance_audit_log.get(ID, ID),
    "instanceAuditLogs.get": lambda c: c.instance_audit_logs.get(ID),
    "applications.get": lambda c: c.applications.get(),
    "instances.get": lambda c: c.instances.get(),
    "orgs.get": lambda c: c.orgs.get(),
}
OWNER_CALLS: dict[str, Callable[[AsyncClient], Awaitable[object]]] = {
    "get": lambda c: c.tokens("user").get(ID),
    "patch": lambda c: c.tokens("user").patch(ID, PATCH),
    "delete": lambda c: c.tokens("user").delete(ID),
    "post": lambda c: c.tokens("user").post(POST),
    "page": lambda c: c.tokens("user").page(),
    "count": lambda c: c.tokens("user").count(),
}
LISTS: dict[str, Callable[[AsyncClient], Any]] = {
    "user": lambda c: c.user_api_tokens.iter(per_page=1),
    "oauth": lambda c: c.user_oauth_tokens.iter(per_page=1),
    "application": lambda c: c.application_api_tokens.iter(ID, per_page=1),
    "instance": lambda c: c.instance_api_tokens.iter(ID, per_page=1),
    "owner": lambda c: c.tokens("user").iter(per_page=1),
}


def client() -> AsyncClient:
    """A client whose token allows nothing, for a service that allows everything."""

    def respond(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("page", 0))
        page = {"items": [{"id": f"{number:024x}"}], "totalCount": 3, "perPage": 1}
        return httpx.Response(200, json={"id": ID, "token": "s", "success": True, **page})

    transport = httpx.MockTransport(respond)
    settings: dict[str, Any] = {"scopes": ["all.Device"], "scope_check": "warn"}
    return AsyncClient("t", base_url="https://h", transport=transport, **settings)


def lines_of(caught: pytest.WarningsRecorder) -> list[tuple[str, str]]:
    """The file and the code of the line that each warning names."""
    return [
        (Path(one.filename).name, linecache.getline(one.filename, one.lineno).strip())
        for one in caught
        if issubclass(one.category, ScopeWarning)
    ]


def test_every_operation_is_called() -> None:
    """The calls of this module use each operation that needs a token."""
    assert {row.name for row in ROWS if row.scopes} == set(CALLS)


METHODS = {**CALLS, **OWNER_CALLS}


@pytest.mark.parametrize("call", METHODS.values(), ids=list(METHODS))
async def test_call(call: Callable[[AsyncClient], Awaitable[object]]) -> None:
    """Each method warns once, for the line that awaits it."""
    async with client() as warned:
        with pytest.warns(ScopeWarning) as caught:
            await call(warned)
    assert lines_of(caught) == [("test_warn_caller.py", "await call(warned)")]


@pytest.mark.parametrize("listing", LISTS.values(), ids=list(LISTS))
async def test_list(listing: Callable[[AsyncClient], Any]) -> None:
    """A list of several pages warns once, for the line that reads it."""
    async with client() as warned:
        with pytest.warns(ScopeWarning) as caught:
            tokens = [token async for token in listing(warned)]
    assert len(tokens) == 3
    assert lines_of(caught) == [
        ("test_warn_caller.py", "tokens = [token async for token in listing(warned)]")
    ]


@pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning")
async def test_job(fake_losant: FakeLosant, tmp_path: Path) -> None:
    """The requests of a job warn for a line outside this package."""
    for name in ("x1", "y1", "y2"):
        fake_losant.add_token(name)
    transport, path = fake_losant.transport(), tmp_path / "plan.jsonl"
    settings: dict[str, Any] = {"scopes": ["all.Device"], "scope_check": "warn"}
    async with AsyncClient(fake_losant.admin_token, transport=transport, **settings) as warned:
        with pytest.warns(ScopeWarning) as planning:
            plan = await jobs.plan(warned, Owner.user(), select=jobs.named("x*"), path=path)
        with pytest.warns(ScopeWarning) as applying:
            await jobs.apply(warned, plan)
    assert lines_of(planning)[0][0] == "test_warn_caller.py"
    folders = {Path(one.filename).parent.name for one in (*planning, *applying)}
    assert "losant_tokens" not in folders


async def test_call_in_a_task() -> None:
    """A call in its own task has no caller; its warning names no line of this package."""
    async with client() as warned:
        with pytest.warns(ScopeWarning) as caught:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(warned.user_api_token.get, ID)
    assert "losant_tokens/_" not in caught[0].filename


def test_no_caller() -> None:
    """If all lines are of this package or the event loop, the warning names the innermost one."""
    outer = SimpleNamespace(f_globals={"__name__": "asyncio.events"}, f_back=None)
    inner = SimpleNamespace(f_globals={"__name__": "losant_tokens._calls.session"}, f_back=outer)
    assert _caller_of(inner) is inner  # type: ignore[arg-type, comparison-overlap]
