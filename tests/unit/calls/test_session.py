"""Check calls with mocked responses: requests, retries, checks and logs."""

import asyncio
import copy
import logging
import os
import pickle
import sys
import warnings
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import respx
import stamina
import trio
from anyio.abc import ByteStream

from losant_tokens import (
    ApiTokenPatch,
    ApiTokenPost,
    AsyncClient,
    RetryPolicy,
    Secret,
    Success,
    UserCredentials,
    errors,
)
from losant_tokens._api import operations
from tests.support.servers import ID
from tests.support.traceback_secrets import frames_that_hold

API = "https://api.losant.com"
QUICK = RetryPolicy(base=0.001, cap=0.001, deadline=5)
ONCE = RetryPolicy(attempts=1)
TOKEN_URL = f"{API}/me/tokens/{ID}"
JSON = {"id": ID, "name": "ci"}


async def hang_up(stream: ByteStream, head: bytes) -> None:
    """Close the connection without a response."""
    await stream.aclose()


# --- respx ------------------------------------------------------------------------------------


@respx.mock
async def test_respx_sees_a_default_client() -> None:
    """respx can mock the service for the default client, as for any client of httpx."""
    route = respx.get(TOKEN_URL).respond(json=JSON)
    async with AsyncClient("t") as client:
        token = await client.user_api_token.get(ID)
    assert (token.name, route.call_count) == ("ci", 1)


@respx.mock
async def test_content_of_a_request() -> None:
    """A request has the headers and parameters of the official clients, and the given options."""
    route = respx.get(TOKEN_URL).respond(json=JSON)
    async with AsyncClient("t", losantdomain="a.example") as client:
        await client.user_api_token.get(ID, actions=True, links=False, losantdomain="b.example")
        await client.user_api_token.get(ID)
    first, second = (call.request for call in route.calls)
    assert first.url.query.decode() == "_actions=true&_links=false&_embedded=true"
    assert second.url.query.decode() == "_actions=false&_links=true&_embedded=true"
    assert (
        first.headers["losantdomain"],
        second.headers["losantdomain"],
    ) == ("b.example", "a.example")
    assert tuple(
        first.headers[name]
        for name in ("authorization", "accept", "accept-version", "accept-encoding")
    ) == ("Bearer t", "application/json", "^1.31.0", "gzip")


@respx.mock
async def test_cookies_are_not_kept() -> None:
    """A cookie of a response is not sent with the next request."""
    route = respx.get(TOKEN_URL).respond(json=JSON, headers={"set-cookie": "a=b; Path=/"})
    async with AsyncClient("t") as client:
        await client.user_api_token.get(ID)
        await client.user_api_token.get(ID)
    assert [call.request.headers.get("cookie") for call in route.calls] == [None, None]


@respx.mock
async def test_redirects_are_not_followed() -> None:
    """A redirect is an error, and the token is not sent to its location."""
    respx.get(TOKEN_URL).respond(302, headers={"location": "https://evil.example/"})
    evil = respx.get("https://evil.example/").respond(json=JSON)
    async with AsyncClient("t") as client:
        with pytest.raises(errors.ResponseError, match="redirect") as caught:
            await client.user_api_token.get(ID)
    assert (caught.value.status_code, evil.call_count) == (302, 0)


@respx.mock
@pytest.mark.parametrize(
    ("raised", "expected", "ambiguous"),
    [
        (httpx.ConnectError("refused"), errors.ConnectFailed, False),
        (httpx.ConnectTimeout("slow"), errors.ConnectFailed, False),
        (httpx.PoolTimeout("full"), errors.ConnectFailed, False),
        (httpx.ProxyError("503"), errors.ConnectFailed, False),
        (httpx.ReadTimeout("slow"), errors.RequestTimeout, True),
        (httpx.WriteTimeout("slow"), errors.RequestTimeout, True),
        (httpx.ReadError(""), errors.TransportError, True),
        (httpx.RemoteProtocolError("cut"), errors.TransportError, True),
        (OSError("odd"), errors.TransportError, True),
    ],
    ids=repr,
)
async def test_transport_failures(
    raised: Exception, expected: type[errors.TransportError], ambiguous: bool
) -> None:
    """Each failure of a transport is a `TransportError` that states whether it is ambiguous."""
    respx.get(TOKEN_URL).mock(side_effect=raised)
    async with AsyncClient("t", retry=ONCE) as client:
        with pytest.raises(expected) as caught:
            await client.user_api_token.get(ID)
    error = caught.value
    assert (expected, ambiguous, "userApiToken.get") == (
        type(error),
        error.ambiguous,
        error.operation,
    )
    assert (error.__cause__, error.__context__) == (None, None)
    assert repr(raised) not in repr(error)
    assert not str(raised) or str(raised) not in str(error)


@respx.mock
async def test_a_wrong_password() -> None:
    """The error of a refused login does not mention a token, because a login needs none."""
    respx.post(f"{API}/auth/user").respond(401, json={"type": "Unauthorized", "message": "No."})
    async with AsyncClient() as client:
        with pytest.raises(errors.Unauthorized) as caught:
            await client.auth.authenticate_user(UserCredentials("a@b.c", "password"))
    assert "auth.authenticateUser (/auth/user): 401 Unauthorized - No." == str(caught.value)


# --- Retries ----------------------------------------------------------------------------------


@respx.mock
async def test_retries() -> None:
    """A call succeeds at the third attempt if the first two fail temporarily."""
    route = respx.get(TOKEN_URL)
    route.side_effect = [
        httpx.ConnectError("no"),
        httpx.Response(502),
        httpx.Response(200, json=JSON),
    ]
    async with AsyncClient("t", retry=QUICK) as client:
        token = await client.user_api_token.get(ID)
    assert (token.id, route.call_count) == (ID, 3)


@respx.mock
async def test_last_attempt() -> None:
    """After the last attempt, its error is raised, without a chain to earlier errors."""
    route = respx.get(TOKEN_URL).respond(503, json={"type": "Unavailable", "message": "later"})
    async with AsyncClient("t", retry=QUICK) as client:
        with pytest.raises(errors.ServerError, match="503 Unavailable - later") as caught:
            await client.user_api_token.get(ID)
    assert (route.call_count, caught.value.__context__) == (4, None)


@respx.mock
@pytest.mark.parametrize("failure", [httpx.ReadTimeout("slow"), httpx.Response(500)], ids=repr)
async def test_a_token_is_never_created_twice(failure: Any) -> None:
    """A creation that may have been carried out is not retried."""
    route = respx.post(f"{API}/me/tokens")
    route.side_effect = [failure, httpx.Response(201, json=JSON)]
    async with AsyncClient("t", retry=QUICK) as client:
        with pytest.raises(errors.LosantError):
            await client.user_api_tokens.post(ApiTokenPost("ci"))
    assert route.call_count == 1


GONE = {"type": "NotFound", "message": "Token was not found"}


@respx.mock
@pytest.mark.parametrize("first", [httpx.ReadTimeout("slow"), httpx.Response(502)], ids=repr)
async def test_gone_after_an_attempt_that_may_have_deleted(first: Any) -> None:
    """A 404 from the API is a success if an earlier attempt may have deleted the token."""
    route = respx.delete(TOKEN_URL)
    route.side_effect = [first, httpx.Response(404, json=GONE)]
    async with AsyncClient("t", retry=QUICK) as client:
        success = await client.user_api_token.delete(ID)
    assert (Success(), 2) == (success, route.call_count)


@respx.mock
@pytest.mark.parametrize(
    "second",
    [
        httpx.Response(404),
        httpx.Response(404, html="<h1>default backend - 404</h1>"),
        httpx.Response(404, json={"message": "no Route matched with those values"}),
    ],
    ids=range(3),
)
async def test_a_404_of_a_proxy_proves_nothing(second: httpx.Response) -> None:
    """A 404 that is not from the API never makes a deletion in doubt a success."""
    respx.delete(TOKEN_URL).side_effect = [httpx.Response(503), second, second, second]
    async with AsyncClient("t", retry=QUICK) as client:
        with pytest.raises(errors.NotFound) as caught:
            await client.user_api_token.delete(ID)
    assert not caught.value.is_from_api


@respx.mock
async def test_a_404_of_a_proxy_in_doubt_is_sent_again() -> None:
    """A deletion in doubt is retried after a 404 of a proxy, until the API responds."""
    route = respx.delete(TOKEN_URL)
    route.side_effect = [httpx.Response(502), httpx.Response(404), httpx.Response(404, json=GONE)]
    async with AsyncClient("t", retry=QUICK) as client:
        success = await client.user_api_token.delete(ID)
    assert (Success(), 3) == (success, route.call_count)


@respx.mock
async def test_a_404_of_a_proxy_at_once_is_not_sent_again() -> None:
    """A 404 of a proxy at the first attempt is not retried, because nothing is in doubt."""
    route = respx.delete(TOKEN_URL).respond(404)
    async with AsyncClient("t", retry=QUICK) as client:
        with pytest.raises(errors.NotFound):
            await client.user_api_token.delete(ID)
    assert route.call_count == 1


@respx.mock
@pytest.mark.parametrize("first", [httpx.ConnectError("no"), httpx.Response(429)], ids=repr)
async def test_gone_after_an_attempt_that_did_nothing(first: Any) -> None:
    """A 404 is raised if the earlier attempt cannot have deleted the token."""
    respx.delete(TOKEN_URL).side_effect = [first, httpx.Response(404, json=GONE)]
    async with AsyncClient("t", retry=QUICK) as client:
        with pytest.raises(errors.NotFound):
            await client.user_api_token.delete(ID)


@respx.mock
async def test_retry_after() -> None:
    """A 429 with Retry-After is retried after that time, and not before."""
    route = respx.get(TOKEN_URL)
    route.side_effect = [
        httpx.Response(429, headers={"retry-after": "0.2"}),
        httpx.Response(200, json=JSON),
    ]
    async with AsyncClient("t", retry=QUICK) as client:
        began = anyio.current_time()
        await client.user_api_token.get(ID)
    assert anyio.current_time() - began >= 0.2


@respx.mock
async def test_retry_after_beyond_the_deadline() -> None:
    """A Retry-After beyond the deadline raises the error at once, with the seconds."""
    route = respx.get(TOKEN_URL).respond(429, headers={"retry-after": "3600"})
    async with AsyncClient("t") as client:
        with pytest.raises(errors.TooManyRequests) as caught:
            await client.user_api_token.get(ID)
    assert (caught.value.retry_after, route.call_count) == (3600.0, 1)


@respx.mock
async def test_stamina_off() -> None:
    """With stamina turned off, a call makes one attempt."""
    route = respx.get(TOKEN_URL).respond(500)
    stamina.set_active(False)
    try:
        async with AsyncClient("t") as client:
            with pytest.raises(errors.ServerError):
                await client.user_api_token.get(ID)
    finally:
        stamina.set_active(True)
    assert route.call_count == 1


@respx.mock
async def test_without_stamina(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not imported stamina retries, and does not import it."""
    monkeypatch.delitem(sys.modules, "stamina")
    respx.get(TOKEN_URL).side_effect = [httpx.Response(500), httpx.Response(200, json=JSON)]
    async with AsyncClient("t", retry=RetryPolicy(base=0.001)) as client:
        await client.user_api_token.get(ID)
    assert "stamina" not in sys.modules


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "5", None, True, 10**400])
async def test_invalid_timeouts(seconds: Any) -> None:
    """A timeout that is not a number above 0 is refused, for the client and for a call."""
    with pytest.raises(errors.ValidationError, match=r"AsyncClient\.timeout must be a number"):
        AsyncClient("t", timeout=seconds)
    async with AsyncClient("t") as client:
        with pytest.raises(errors.ValidationError, match=r"userApiToken\.get\.timeout must be"):
            await client.user_api_token.get(ID, timeout=seconds)


@pytest.mark.parametrize("size", [0, -1, 1.5, "1", None])
def test_invalid_limit(size: Any) -> None:
    """An invalid `max_response_size` is refused when the client is created."""
    with pytest.raises(errors.ValidationError, match=r"AsyncClient\.max_response_size must be"):
        AsyncClient("t", max_response_size=size)


async def test_reading_a_long_list_is_within_the_timeout() -> None:
    """The timeout also limits the time to read a long list."""
    items = ",".join(f'{{"id":"{number:024x}"}}' for number in range(50_000))
    body = f'{{"items":[{items}]}}'.encode()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    async with AsyncClient("t", transport=transport, retry=ONCE) as client:
        with pytest.raises(errors.RequestTimeout):
            await client.user_api_tokens.get(timeout=0.02)


# --- Scopes and client state -----------------------------------------------------------------


@respx.mock
async def test_scopes_are_checked_before_anything_is_sent() -> None:
    """A token whose scopes do not allow the operation is an error, and nothing is sent."""
    route = respx.delete(TOKEN_URL).respond(json={"success": True})
    async with AsyncClient("t", scopes=["all.User.read"]) as client:
        with pytest.raises(errors.ScopeError, match=r"userApiToken\.delete needs") as caught:
            await client.user_api_token.delete(ID)
    assert (route.call_count, caught.value.scopes) == (0, ("all.User.read",))
    assert "userApiToken.delete" in caught.value.accepted


@respx.mock
async def test_scopes_that_only_warn() -> None:
    """With `scope_check="warn"`, the request is sent, and a warning names the caller's line."""
    route = respx.delete(TOKEN_URL).respond(json={"success": True})
    async with AsyncClient("t", scopes=["all.User.read"], scope_check="warn") as client:
        with pytest.warns(errors.ScopeWarning, match="sent anyway") as caught:
            await client.user_api_token.delete(ID)
    assert (1, __file__) == (route.call_count, caught[0].filename)


@respx.mock
async def test_scopes_that_are_not_checked() -> None:
    """With `scope_check="off"`, the request is sent without a warning."""
    route = respx.delete(TOKEN_URL).respond(json={"success": True})
    async with AsyncClient("t", scopes=["all.User.read"], scope_check="off") as client:
        await client.user_api_token.delete(ID)
    assert route.call_count == 1


def test_invalid_scope_check() -> None:
    """A misspelt `scope_check` is refused."""
    with pytest.raises(errors.ValidationError, match="scope_check must be one of 'enforce'"):
        AsyncClient("t", scope_check="strict")  # type: ignore[arg-type]


async def test_before_open() -> None:
    """A call before the `async with` block is an error that explains how to open the client."""
    with pytest.raises(errors.ClientStateError, match="is not open: use it in `async with"):
        await AsyncClient("t").user_api_token.get(ID)


async def test_after_close() -> None:
    """A call after the `async with` block is an error, and the client cannot be opened again."""
    async with AsyncClient("t") as client:
        pass
    await client.aclose()  # twice does nothing
    with pytest.raises(errors.ClientStateError, match="is closed: make all calls inside"):
        await client.user_api_token.get(ID)
    with pytest.raises(errors.ClientStateError, match="is closed, and it can be opened only once"):
        await client.open()


# Only its own event loop could close the client, and that has ended.
@pytest.mark.filterwarnings("ignore:An AsyncClient .* was never closed:ResourceWarning")
@pytest.mark.parametrize("here", [asyncio.run, trio.run])
@pytest.mark.parametrize("there", [asyncio.run, trio.run])
def test_another_event_loop(here: Callable[..., Any], there: Callable[..., Any]) -> None:
    """A call from another event loop is an error."""
    client = AsyncClient("t")

    async def opened() -> None:
        await client.open()

    async def call() -> None:
        with pytest.raises(errors.ClientStateError, match="opened in another event loop"):
            await client.user_api_token.get(ID)

    here(opened() if here is asyncio.run else opened)
    there(call() if there is asyncio.run else call)


@respx.mock
async def test_a_forked_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was forked from the client's own neither calls nor closes the client."""
    respx.get(TOKEN_URL).respond(json=JSON)
    client = await AsyncClient("t").open()
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        process = os.getpid()
        patch.setattr(os, "getpid", lambda: process + 1)
        for attempt in (client.user_api_token.get(ID), client.aclose()):
            with pytest.raises(errors.ClientStateError, match=f"opened in process {process}"):
                await attempt
        client._session.__del__()
    await client.user_api_token.get(ID)
    await client.aclose()


async def test_no_token() -> None:
    """A client without a token can log in, and any other call is an error about the token."""
    with respx.mock:
        route = respx.post(f"{API}/auth/user").respond(json={"userId": ID, "token": "t"})
        async with AsyncClient() as client:
            login = await client.auth.authenticate_user(UserCredentials("a@b.c", "password"))
            with pytest.raises(errors.ClientStateError, match="needs an API token"):
                await client.user_api_token.get(ID)
    assert (Secret("t"), None) == (
        login.token,
        route.calls[0].request.headers.get("authorization"),
    )


@pytest.mark.parametrize(
    "options", [{"losantdomian": "x"}, {"zzz": 1}, {"body": {}}, {"query": {}}, {"ids": {}}]
)
async def test_an_option_that_does_not_exist(options: Any) -> None:
    """A misspelt option is a `TypeError`, and nothing is sent."""
    async with AsyncClient("t") as client:
        for call in (client.user_api_token.get, client.user_api_token.delete):
            with pytest.raises(TypeError, match="unexpected keyword argument"):
                await call(ID, **options)
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            await client.request("GET", "/things", **options)
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            client.user_api_tokens.iter(**options)


async def test_a_retry_that_is_not_a_policy() -> None:
    """The option `retry` must be a policy. The error names the operation, and nothing is sent."""
    async with AsyncClient("t") as client:
        with pytest.raises(
            errors.ValidationError, match=r"userApiToken\.get\.retry must be of type RetryPolicy"
        ):
            await client.user_api_token.get(ID, retry=3)  # type: ignore[arg-type]


# --- Logs and secrets -------------------------------------------------------------------------


@respx.mock
async def test_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A request logs one line at DEBUG: method, path, status, duration, attempt, and no secret."""
    respx.post(f"{API}/me/tokens").respond(201, json={**JSON, "token": "new-secret"})
    respx.get(TOKEN_URL).side_effect = [httpx.Response(500), httpx.ConnectError("no")]
    caplog.set_level(logging.DEBUG, "losant_tokens")
    async with AsyncClient("my-secret", retry=RetryPolicy(attempts=2, base=0.001)) as client:
        await client.user_api_tokens.post(ApiTokenPost("ci"))
        with pytest.raises(errors.ConnectFailed):
            await client.user_api_token.get(ID)
    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.DEBUG]
    assert [line.rpartition(" in ")[0] + " in" for line in lines] == [
        "POST /me/tokens -> 201 in",
        f"GET /me/tokens/{ID} -> 500 in",
        f"GET /me/tokens/{ID} -> not connected in",
    ]
    attempts = [line.rpartition(", ")[2] for line in lines]
    assert attempts == ["attempt 1", "attempt 1", "attempt 2"]
    assert "secret" not in caplog.text


@respx.mock
@respx.mock
async def test_retries_are_logged(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A retry logs one line at WARNING, and no other library prints anything.

    A refusal with 429 costs no attempt, so its line names no maximum.
    """
    monkeypatch.setattr("losant_tokens._limits.adaptive_rate._FIRST_PAUSE", 0.1)
    monkeypatch.setattr("losant_tokens._limits.adaptive_rate._SKIPPED_REQUESTS", 0.1)
    route = respx.get(TOKEN_URL)
    route.side_effect = [
        httpx.Response(503),
        httpx.ConnectError("no"),
        httpx.Response(429),
        httpx.Response(200, json=JSON),
    ]
    async with AsyncClient("my-secret", retry=RetryPolicy(attempts=3, base=0.001)) as client:
        await client.user_api_token.get(ID)
    assert [(r.name, r.levelname, r.getMessage()) for r in caplog.records] == [
        ("losant_tokens", "WARNING", "userApiToken.get: 503, attempt 2 of 3 in 0.0 s"),
        ("losant_tokens", "WARNING", "userApiToken.get: not connected, attempt 3 of 3 in 0.0 s"),
        ("losant_tokens", "WARNING", "userApiToken.get: 429, attempt 4 in 0.1 s"),
    ]
    assert capfd.readouterr() == ("", "")


@respx.mock
async def test_no_line_without_a_logging_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An application that configures no logging has no line of the library on standard error."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    respx.get(TOKEN_URL).side_effect = [httpx.Response(503), httpx.Response(200, json=JSON)]
    async with AsyncClient("t", retry=RetryPolicy(base=0.001)) as client:
        await client.user_api_token.get(ID)
    assert capsys.readouterr() == ("", "")


@respx.mock
async def test_a_cancelled_call_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A cancelled call logs its line as well."""

    async def never(request: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    respx.get(TOKEN_URL).mock(side_effect=never)
    caplog.set_level(logging.DEBUG, "losant_tokens")
    async with AsyncClient("t") as client:
        with anyio.move_on_after(0.01):
            await client.user_api_token.get(ID)
    assert "-> cancelled in" in caplog.records[-1].getMessage()


@respx.mock
@pytest.mark.parametrize("status", [400, 500, 200])
async def test_a_server_that_repeats_secrets(status: int) -> None:
    """A secret that the server repeats is in no error, pickle or frame."""
    body = {"type": "Bad", "message": "my-token and my-password", "more": ["my-token"]}
    respx.post(f"{API}/auth/user").respond(status, json=body)
    respx.patch(TOKEN_URL).respond(status, json=body)
    async with AsyncClient("my-token", retry=ONCE) as client:
        login = client.auth.authenticate_user(UserCredentials("a@b.c", "my-password"))
        patch = client.user_api_token.patch(ID, ApiTokenPatch(name="x"))
        for call, secrets in ((login, ["my-token", "my-password"]), (patch, ["my-token"])):
            with pytest.raises(errors.LosantError) as caught:
                await call
            error = caught.value
            visible = repr(vars(error)) + str(error) + repr(pickle.dumps(error))
            assert [] == [secret for secret in secrets if secret in visible]
            assert [] == [frame for secret in secrets for frame in frames_that_hold(error, secret)]


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
async def test_no_pickle_holds_the_token(duplicate: Callable[[object], object]) -> None:
    """A client and its parts cannot be pickled or copied, and do not show the token."""
    with respx.mock:
        route = respx.get(TOKEN_URL).respond(json=JSON)
        async with AsyncClient("my-secret") as client:
            await client.user_api_token.get(ID)
            session = client._session
            call = await session._new_call(
                operations.USER_API_TOKEN_GET,
                {"apiTokenId": ID},
                {},
                None,
                {},
            )
            assert route.called
            for private in (client, session, session.token, session.endpoint, call):
                with pytest.raises(TypeError, match="cannot be pickled or copied"):
                    duplicate(private)
                assert "my-secret" not in repr(private)
                assert "my-secret" not in str(private)


async def test_another_token_over_another_transport() -> None:
    """A response with the id of another token is an error, with any transport."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"id": "1" * 24}))
    async with AsyncClient("t", base_url="https://h", transport=transport) as client:
        with pytest.raises(errors.ResponseError, match=r"\$\.id of the response is not the id"):
            await client.user_api_token.get("2" * 24)
