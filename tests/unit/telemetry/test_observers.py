"""The events of calls, and the hooks that receive them."""

import logging
from typing import Any

import anyio
import httpx
import pytest

from losant_tokens import (
    AsyncClient,
    RequestEvent,
    ResponseEvent,
    RetryEvent,
    RetryPolicy,
    errors,
)
from tests.support.servers import ID

FAST = RetryPolicy(attempts=3, base=0.001)
PATH = f"/me/tokens/{ID}"


def client_of(*responses: Any, **settings: Any) -> AsyncClient:
    """Return a client of an API that gives these responses, and raises exceptions among them."""
    pending = list(responses)

    async def handle(request: httpx.Request) -> httpx.Response:
        response = pending.pop(0)
        if isinstance(response, Exception):
            raise response
        status, body = response if isinstance(response, tuple) else (response, {"id": ID})
        return httpx.Response(status, json=body)

    transport = httpx.MockTransport(handle)
    return AsyncClient(
        "my-secret", base_url="https://h/api", transport=transport, retry=FAST, **settings
    )


def recorder(events: list[Any]) -> dict[str, Any]:
    """Return hooks that record all events."""
    return {"on_request": events.append, "on_response": events.append, "on_retry": events.append}


async def test_the_events_of_a_call() -> None:
    """Each attempt has a request and a response event, with a retry event between attempts."""
    events: list[Any] = []
    async with client_of(503, httpx.ConnectError("no"), 200, 200, **recorder(events)) as client:
        await client.user_api_token.get(ID)
        await client.user_api_token.get(ID)

    seen = [(type(e), e.call_id, e.attempt, getattr(e, "outcome", None)) for e in events]
    assert seen == [
        (RequestEvent, 1, 1, None),
        (ResponseEvent, 1, 1, "503"),
        (RetryEvent, 1, 2, "503"),
        (RequestEvent, 1, 2, None),
        (ResponseEvent, 1, 2, "not connected"),
        (RetryEvent, 1, 3, "not connected"),
        (RequestEvent, 1, 3, None),
        (ResponseEvent, 1, 3, "200"),
        (RequestEvent, 2, 1, None),
        (ResponseEvent, 2, 1, "200"),
    ]
    assert {(e.operation, e.method, e.path, e.path_template) for e in events} == {
        ("userApiToken.get", "GET", PATH, "/me/tokens/{apiTokenId}")
    }
    responses = [e for e in events if isinstance(e, ResponseEvent)]
    assert [e.status_code for e in responses] == [503, None, 200, 200]
    assert [type(e.error).__name__ for e in responses] == [
        "ServerError",
        "ConnectFailed",
        "NoneType",
        "NoneType",
    ]
    assert all(0 <= e.elapsed < 5 for e in responses)
    assert events[2].error is events[1].error
    assert "my-secret" not in repr(events)


async def test_a_custom_operation() -> None:
    """The events of `client.request` have the template of its path."""
    events: list[Any] = []
    async with client_of((200, {}), **recorder(events)) as client:
        await client.request("GET", "/me/{x}", path_params={"x": "a b"}, params={"y": 1})
    assert (events[0].path, events[0].path_template) == ("/me/a%20b", "/me/{x}")


async def test_a_cancelled_call() -> None:
    """A cancelled attempt has a response event without a status and an error."""
    events: list[ResponseEvent] = []

    async def hang(request: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    transport = httpx.MockTransport(hang)
    async with AsyncClient("t", transport=transport, on_response=events.append) as client:
        with anyio.move_on_after(0.01):
            await client.user_api_token.get(ID)
    (event,) = events
    assert (event.outcome, event.status_code, event.error) == ("cancelled", None, None)


async def test_a_refusal_reports_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The delay of a retry after a 429 is that of the rate limiter, if that is longer."""
    monkeypatch.setattr("losant_tokens._limits.adaptive_rate._FIRST_PAUSE", 0.2)
    monkeypatch.setattr("losant_tokens._limits.adaptive_rate._SKIPPED_REQUESTS", 0.1)
    events: list[RetryEvent] = []
    async with client_of(429, 200, on_retry=events.append) as client:
        await client.user_api_token.get(ID)
    assert 0.15 < events[0].delay <= 0.2


async def test_a_hook_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """A hook that raises ends no call, keeps no other hook from running, and is logged once."""
    events: list[Any] = []

    def fail(event: RequestEvent) -> None:
        raise LookupError("broken")

    caplog.set_level(logging.ERROR)
    hooks = {"on_request": fail, "on_response": events.append}
    async with client_of(200, 503, 200, **hooks) as client:
        await client.user_api_token.get(ID)
        await client.user_api_token.get(ID)
    assert len(events) == 3
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "A hook of an AsyncClient failed; the call continues"
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


async def a_coroutine_function(event: object) -> None: ...


@pytest.mark.parametrize("name", ["on_request", "on_response", "on_retry"])
@pytest.mark.parametrize(("hook", "found"), [(a_coroutine_function, "an async one"), (5, "int")])
def test_invalid_hooks(name: str, hook: Any, found: str) -> None:
    """A hook that cannot be called directly is refused when the client is created."""
    settings: dict[str, Any] = {name: hook}
    with pytest.raises(errors.ValidationError, match=f"{name} must be a plain function.* {found}"):
        AsyncClient("t", **settings)
