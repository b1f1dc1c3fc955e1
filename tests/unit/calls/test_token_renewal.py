"""The token of a client that changes while the client is open.

The API is a mock that accepts some tokens and responds to the others with 401. Most tests run on
asyncio and on trio.
"""

import asyncio
import logging
import warnings
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import anyio
import attrs
import httpx
import pytest
import trio
import trio.testing

from losant_tokens import (
    ApiTokenPost,
    AsyncClient,
    RetryPolicy,
    Secret,
    UserCredentials,
    errors,
)
from tests.support.helpers import jwt
from tests.support.servers import ID
from tests.support.traceback_secrets import frames_that_hold

ADA, BOB = "a" * 24, "b" * 24
REFUSAL = {"type": "InvalidToken", "message": "Invalid access token"}


@attrs.define
class Api:
    """An API that accepts some tokens.

    Attributes:
        accepted: These tokens.
        seen: The token of each request.
        before_response: Called with the number of the request before it is answered.
    """

    accepted: set[str] = attrs.field(factory=set)
    seen: list[str] = attrs.field(factory=list)
    before_response: Callable[[int], Awaitable[object]] | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        self.seen.append(token)
        if self.before_response is not None:
            await self.before_response(len(self.seen))
        if token not in self.accepted:
            return httpx.Response(401, json=REFUSAL)
        return httpx.Response(200, json={"id": ID, "token": "x"})


@attrs.define
class Vault:
    """A token source: an async function that returns the next of some tokens.

    Attributes:
        outcomes: The tokens, or the exceptions to raise. The last one is repeated.
        delay: The duration of a call, in seconds.
        calls: The number of calls.
        running: The number of calls that are running, and the maximum of it.
    """

    outcomes: list[Any]
    delay: float = 0.0
    calls: int = 0
    running: int = 0
    max_running: int = 0
    cancelled: int = 0

    async def __call__(self) -> Any:
        self.calls += 1
        self.running += 1
        self.max_running = max(self.running, self.max_running)
        try:
            await anyio.sleep(self.delay)
        except BaseException:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        outcome = self.outcomes[0] if len(self.outcomes) == 1 else self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def client_of(api: Any, token: Any, **settings: Any) -> AsyncClient:
    return AsyncClient(token, base_url="https://h", transport=httpx.MockTransport(api), **settings)


def expiring_in(seconds: float, **claims: Any) -> str:
    expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
    return jwt({"exp": expires_at.timestamp(), **claims})


async def get_all(client: AsyncClient, count: int) -> list[object]:
    """Make calls at the same time, and return their results or errors."""
    results: list[object] = []

    async def get() -> None:
        try:
            results.append(await client.user_api_token.get(ID))
        except errors.LosantError as error:
            results.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(get)
    return results


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    """Run a coroutine function in an event loop; trio skips all waiting."""
    if request.param == "asyncio":
        return anyio.run
    return lambda main: trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


# --- Asking the source ------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [str, Secret])
def test_a_source_is_asked_once(run: Any, wrap: Any) -> None:
    """A source is asked when the first call needs it, once for many calls, and then not again."""

    async def main() -> None:
        api, vault = Api({"one"}), Vault([wrap("one")], delay=0.01)
        async with client_of(api, vault, max_connections=100) as client:
            assert vault.calls == 0
            assert "unknown scopes" in repr(client)
            results = await get_all(client, 100)
            assert [r for r in results if isinstance(r, Exception)] == []
            await client.user_api_token.get(ID)
        assert (vault.calls, set(api.seen)) == (1, {"one"})

    run(main)


def test_a_cancelled_caller_does_not_cancel_the_others(run: Any) -> None:
    """If the call that has begun to ask is cancelled, the others still get that token."""

    async def main() -> None:
        api, vault = Api({"one"}), Vault(["one"], delay=0.05)
        async with client_of(api, vault) as client, anyio.create_task_group() as tasks:
            with anyio.move_on_after(0.01) as scope:
                await client.user_api_token.get(ID)
            assert scope.cancelled_caught
            tasks.start_soon(client.user_api_token.get, ID)
        assert (vault.calls, vault.cancelled, api.seen) == (1, 0, ["one"])

    run(main)


def test_a_token_is_renewed_before_it_expires() -> None:
    """The source is asked again shortly before the token expires, and its claims are used."""

    async def main() -> None:
        first = expiring_in(30, scope=["all.User"])
        second = expiring_in(3600, scope=["all.User.read"])
        api, vault = Api({first, second}), Vault([first, second])
        async with client_of(api, vault) as client:
            await client.user_api_token.get(ID)
            assert client.scopes == frozenset({"all.User"})
            token = client._session.token
            token.current = attrs.evolve(token.current, due_at=datetime.now(UTC))
            await client.user_api_token.get(ID)
            await client.user_api_token.get(ID)
            assert client.scopes == frozenset({"all.User.read"})
            assert client.token_expires_at > datetime.now(UTC) + timedelta(minutes=50)  # type: ignore[operator]
            with pytest.raises(errors.ScopeError):
                await client.user_api_token.delete(ID)
        assert api.seen == [first, second, second]
        assert vault.calls == 2

    anyio.run(main)


@pytest.mark.parametrize(("life", "margin"), [(3600, 60), (100, 10), (-5, 0)])
def test_when_a_token_is_due(life: float, margin: float) -> None:
    """A token is due a minute before it expires, or after nine tenths of a shorter life."""
    client = client_of(Api(), expiring_in(life))
    due_at = client._session.token.current.due_at
    assert due_at is not None
    assert client.token_expires_at is not None
    assert client.token_expires_at - due_at == pytest.approx(
        timedelta(seconds=margin), abs=timedelta(seconds=1)
    )


def test_a_source_that_fails_early(caplog: pytest.LogCaptureFixture) -> None:
    """If the source fails while the token is still valid, that is logged once, not raised.

    It is asked again only after some seconds.
    """

    async def main() -> None:
        first = expiring_in(600)
        api, vault = Api({first}), Vault([first, OSError("down"), first])
        async with client_of(api, vault) as client:
            await client.user_api_token.get(ID)
            token = client._session.token
            token.current = attrs.evolve(token.current, due_at=datetime.now(UTC))
            for _ in range(3):
                await client.user_api_token.get(ID)
            assert vault.calls == 2
            token._asked_at -= 10
            await client.user_api_token.get(ID)
        assert vault.calls == 3

    anyio.run(main)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "raised OSError in test_token_renewal.py, line" in record.getMessage()


def test_an_expired_token_is_never_kept() -> None:
    """If the token has expired and the source fails, the call fails, and nothing is sent."""

    async def main() -> None:
        first = expiring_in(600)
        api, vault = Api({first}), Vault([first, OSError("down")])
        async with client_of(api, vault) as client:
            await client.user_api_token.get(ID)
            token = client._session.token
            past = datetime.now(UTC) - timedelta(seconds=1)
            token.current = attrs.evolve(
                token.current,
                due_at=past,
                credential=attrs.evolve(token.current.credential, expires_at=past),
            )
            for _ in range(2):
                with pytest.raises(errors.TokenUnavailable, match="raised OSError"):
                    await client.user_api_token.get(ID)
        assert (len(api.seen), vault.calls) == (1, 3)

    anyio.run(main)


class SecretError(Exception):
    """An error of a source whose message has the token."""


def not_async() -> str:
    return "my-secret"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (Vault([SecretError("my-secret")]), "raised SecretError in test_token_renewal.py, line"),
        (Vault([errors.ValidationError("no such path")]), "raised ValidationError: no such path"),
        (Vault([None]), "returned no usable token: The API token must be a string, but it is None"),
        (Vault([""]), "returned no usable token: The API token is empty"),
        (Vault(["my\nsecret"]), "returned no usable token: The API token has a line break at"),
        (Vault(["my secret"]), "returned no usable token: The API token has a space at position 3"),
        (Vault([b"my-secret"]), "must be a string, but it is bytes"),
        (not_async, "not_async\\(\\) must be an async function, but it returned no awaitable"),
        (partial(Vault, ["my-secret"]), "The token source partial\\(\\) must be an async function"),
    ],
)
def test_sources_that_fail(source: Any, problem: str, capfd: Any) -> None:
    """A source that fails raises `TokenUnavailable`, which says why and holds no secret."""

    async def main() -> None:
        api = Api()
        async with client_of(api, source) as client:
            with pytest.raises(errors.TokenUnavailable, match=problem) as caught:
                await client.user_api_token.get(ID)
        error = caught.value
        assert api.seen == []
        assert error.__cause__ is None
        assert error.__context__ is None
        assert "my-secret" not in str(error)
        assert frames_that_hold(error, "my-secret") == []
        assert "my secret" not in str(error)

    anyio.run(main)


def test_a_source_that_never_returns() -> None:
    """A call waits for a source until its deadline. The source is cancelled after a minute."""

    async def main() -> None:
        vault = Vault(["one"], delay=1000)
        async with client_of(Api({"one"}), vault, retry=RetryPolicy(deadline=10)) as client:
            began = anyio.current_time()
            with pytest.raises(errors.TokenUnavailable, match="before the deadline"):
                await client.user_api_token.get(ID)
            assert anyio.current_time() - began == pytest.approx(10)
            await anyio.sleep(49)
            with pytest.raises(errors.TokenUnavailable, match="within 60 seconds"):
                await client.user_api_token.get(ID)
            assert (vault.calls, vault.cancelled) == (1, 1)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


EXPIRED = expiring_in(-1000)


@pytest.mark.parametrize(
    ("outcomes", "error"),
    [
        ([EXPIRED], errors.TokenExpired),
        ([OSError("down")], errors.TokenUnavailable),
        (["same"], errors.Unauthorized),
        ([str(number) for number in range(999)], errors.Unauthorized),
    ],
    ids=["expired", "fails", "refused", "each refused"],
)
def test_a_source_without_success_is_not_hammered(
    outcomes: list[Any], error: type[Exception]
) -> None:
    """A source of useless tokens is called about once a second, and calls wait for that.

    The client works again as soon as the source returns a good token.
    """

    async def main() -> None:
        async def pause(_: int) -> None:
            await anyio.sleep(0.001)

        api, vault = Api({"good"}, before_response=pause), Vault(list(outcomes))
        async with client_of(api, vault) as client:
            for _ in range(100):
                with pytest.raises(error):
                    await client.user_api_token.get(ID)
            assert vault.calls < anyio.current_time() + 10
            vault.outcomes = ["good"]
            await anyio.sleep(0.01)
            recovering = anyio.current_time()
            await client.user_api_token.get(ID)
            assert anyio.current_time() - recovering < 1.1

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_token_that_is_refused_to_several_calls(run: Any) -> None:
    """A token that many calls meet a 401 with counts as one refused token."""

    async def main() -> None:
        api, vault = Api(), Vault(["one", "two", "three"], delay=0.01)
        async with client_of(api, vault) as client:
            results = await get_all(client, 10)
            assert {type(result) for result in results} == {errors.Unauthorized}
            assert (vault.calls, client._session.token._failures) == (2, 2)

    run(main)


@pytest.mark.parametrize("scope_check", ["warn", "off"])
def test_a_token_that_looks_expired_delays_nothing(scope_check: Any) -> None:
    """If expired tokens are sent anyway, calls do not wait for a source that has no other one."""

    async def main() -> None:
        api, vault = Api({EXPIRED}), Vault([EXPIRED])
        async with client_of(api, vault, scope_check=scope_check) as client:
            for _ in range(10):
                await client.user_api_token.get(ID)
            assert (vault.calls, len(api.seen)) == (1, 10)
            vault.outcomes = [OSError("down")]
            await anyio.sleep(5)
            await client.user_api_token.get(ID)
        assert (vault.calls, len(api.seen)) == (2, 11)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.ScopeWarning)
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize("in_task", [False, True])
def test_a_source_that_uses_its_client(run: Any, in_task: bool) -> None:
    """A source that waits for its own client fails at once, and does not wait for itself."""

    async def main() -> None:
        async def source() -> str:
            if in_task:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.user_api_tokens.get)
            await client.user_api_tokens.get()
            return "never"

        async with client_of(Api(), source) as client:
            with pytest.raises(errors.TokenUnavailable) as caught:
                await client.user_api_token.get(ID)
            assert in_task or "calls the client that waits for it" in str(caught.value)
            client.use_token("good")
            assert client.uses_secret(Secret("good"))

    run(main)


def test_a_source_that_logs_in_with_its_client(run: Any) -> None:
    """A source may use its own client to log in, because that needs no token."""

    async def main() -> None:
        async def handle(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/auth/user":
                return httpx.Response(200, json={"userId": ID, "token": "one"})
            assert request.headers["authorization"] == "Bearer one"
            return httpx.Response(200, json={"id": ID})

        async def source() -> Secret:
            found = await client.auth.authenticate_user(UserCredentials("a@b.c", "p4ssw0rd"))
            return found.token

        async with client_of(handle, source, max_connections=1) as client:
            await client.user_api_token.get(ID)

    run(main)


def test_the_source_counts_towards_the_deadline() -> None:
    """The time that a source takes is part of the duration of the call."""

    async def main() -> None:
        async def wait(_: int) -> None:
            await anyio.sleep(100)

        api = Api({"one"}, before_response=wait)
        vault = Vault(["one"], delay=8)
        async with client_of(api, vault, retry=RetryPolicy(deadline=10)) as client:
            began = anyio.current_time()
            with pytest.raises(errors.RequestTimeout):
                await client.user_api_token.get(ID)
            assert anyio.current_time() - began < 11

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_closing_cancels_the_source(run: Any) -> None:
    """Closing the client ends the call that waits for the source, and cancels the source."""

    async def main() -> None:
        vault = Vault(["one"], delay=30)
        results: list[object] = []

        async def get(client: AsyncClient) -> None:
            results.extend(await get_all(client, 1))

        client = await client_of(Api(), vault).open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(get, client)
            while not vault.running:
                await anyio.lowlevel.checkpoint()
            await client.aclose()
            assert (vault.running, vault.cancelled) == (0, 1)
        assert [type(result) for result in results] == [errors.ClientStateError]

    run(main)


async def test_a_source_that_is_cancelled_by_others() -> None:
    """If something else cancels the source's own task, the call fails with a clear error."""

    async def source() -> str:
        raise asyncio.CancelledError

    async with client_of(Api(), source) as client:
        with pytest.raises(errors.TokenUnavailable, match="was cancelled"):
            await client.user_api_token.get(ID)


def test_logging_in_needs_no_token() -> None:
    """An operation without a token does not ask the source, and its 401 does not either."""

    async def main() -> None:
        vault = Vault(["one"])

        async def handle(request: httpx.Request) -> httpx.Response:
            assert "authorization" not in request.headers
            return httpx.Response(401, json=REFUSAL)

        async with client_of(handle, vault) as client:
            with pytest.raises(errors.Unauthorized):
                await client.auth.authenticate_user(UserCredentials("a@b.c", "p4ssw0rd"))
        assert vault.calls == 0

    anyio.run(main)


def test_logging_in_while_the_token_changes() -> None:
    """A retry of an operation without a token has no token either, even if that has changed."""

    async def main() -> None:
        attempts: list[bool] = []

        async def handle(request: httpx.Request) -> httpx.Response:
            attempts.append("authorization" in request.headers)
            client.use_token("two")
            raise httpx.ConnectError("no")

        policy = RetryPolicy(attempts=2, base=0.001)
        async with client_of(handle, "one", retry=policy) as client:
            with pytest.raises(errors.ConnectFailed):
                await client.auth.authenticate_user(UserCredentials("a@b.c", "p4ssw0rd"))
        assert attempts == [False, False]

    anyio.run(main)


# --- A 401 ------------------------------------------------------------------------------------


def test_a_401_asks_once_for_all(run: Any) -> None:
    """If the token was rotated, 100 concurrent calls ask once, and all succeed."""

    async def main() -> None:
        api, vault = Api({"one"}), Vault(["one", "two"], delay=0.01)
        async with client_of(api, vault, max_connections=100) as client:
            await client.user_api_token.get(ID)
            api.accepted = {"two"}
            results = await get_all(client, 100)
        assert [r for r in results if isinstance(r, Exception)] == []
        assert (vault.calls, vault.max_running) == (2, 1)

    run(main)


def test_a_post_is_sent_again_after_a_401() -> None:
    """A request that the API refused with 401 was not carried out, so a POST is sent again.

    That holds with a single attempt as well, which jobs use.
    """

    async def main() -> None:
        api, vault = Api({"two"}), Vault(["one", "two"])
        async with client_of(api, vault, retry=RetryPolicy(attempts=1)) as client:
            await client.user_api_tokens.post(ApiTokenPost("ci"))
        assert api.seen == ["one", "two"]

    anyio.run(main)


def test_a_source_without_a_better_token(run: Any) -> None:
    """If the source returns the refused token again, all calls fail with 401 after one question."""

    async def main() -> None:
        api, vault = Api(), Vault(["one"], delay=0.01)
        async with client_of(api, vault, max_connections=100) as client:
            results = await get_all(client, 100)
        assert {type(result) for result in results} == {errors.Unauthorized}
        assert (vault.calls, len(api.seen)) == (2, 100)

    run(main)


def test_a_401_that_arrives_late() -> None:
    """A call that was sent before the source was asked uses that outcome, and asks nothing."""

    async def main() -> None:
        async def wait(number: int) -> None:
            await anyio.sleep(number)

        api, vault = Api(before_response=wait), Vault(["one"], delay=0.1)
        async with client_of(api, vault) as client:
            results = await get_all(client, 3)
        assert {type(result) for result in results} == {errors.Unauthorized}
        assert (vault.calls, len(api.seen)) == (2, 3)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_source_that_fails_after_a_401(run: Any) -> None:
    """If the source fails after a 401, all calls say so."""

    async def main() -> None:
        api, vault = Api(), Vault(["one", OSError("down")], delay=0.01)
        async with client_of(api, vault, max_connections=10) as client:
            results = await get_all(client, 10)
        assert {type(result) for result in results} == {errors.TokenUnavailable}
        assert {str(result).partition(" The token")[0] for result in results} == {
            "The API refused the token with 401."
        }
        assert vault.calls == 2

    run(main)


def test_two_refused_tokens() -> None:
    """A call asks once: if the API refuses the next token too, it fails with 401."""

    async def main() -> None:
        api, vault = Api(), Vault(["one", "two", "three"])
        async with client_of(api, vault) as client:
            with pytest.raises(errors.Unauthorized):
                await client.user_api_token.get(ID)
        assert api.seen == ["one", "two"]

    anyio.run(main)


def test_a_fixed_token_is_sent_once() -> None:
    """With a string as the token, a 401 is final."""

    async def main() -> None:
        api = Api()
        async with client_of(api, "one") as client:
            with pytest.raises(errors.Unauthorized):
                await client.user_api_token.get(ID)
        assert api.seen == ["one"]

    anyio.run(main)


# --- use_token --------------------------------------------------------------------------------


def test_waiting_calls_use_the_new_token() -> None:
    """A call that waits for a retry, and one that waits for a connection, use the new token."""

    async def main() -> None:
        seen: list[str] = []

        async def handle(request: httpx.Request) -> httpx.Response:
            seen.append(request.headers["authorization"])
            await anyio.sleep(1)
            return httpx.Response(503 if len(seen) == 1 else 200, json={"id": ID, "success": True})

        async with (
            client_of(handle, "one", max_connections=1) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(client.user_api_token.get, ID)
            tasks.start_soon(client.user_api_token.delete, ID)
            await anyio.sleep(0.5)
            client.use_token(Secret("two"))
        assert seen == ["Bearer one", "Bearer two", "Bearer two"]

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_request_in_flight_when_the_token_changes() -> None:
    """A request that was sent with the earlier token and refused is sent again with the new one."""

    async def main() -> None:
        async def swap(number: int) -> None:
            if number == 1:
                client.use_token("two")

        api = Api({"two"}, before_response=swap)
        async with client_of(api, "one") as client:
            await client.user_api_token.get(ID)
        assert api.seen == ["one", "two"]

    anyio.run(main)


def test_a_new_token_wins_over_the_source(run: Any) -> None:
    """A token that is set while the source is asked is newer than the source's."""

    async def main() -> None:
        api, vault = Api({"two"}), Vault(["one"], delay=0.02)
        async with client_of(api, vault) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.user_api_token.get, ID)
            await anyio.sleep(0.01)
            client.use_token("two")
        assert api.seen == ["two"]

    run(main)


def test_the_checks_follow_the_new_token() -> None:
    """Scopes, account, expiration and the token's id are those of the new token."""
    old = jwt({"scope": ["all.User"], "userId": ADA, "id": "c" * 24})
    new = jwt({"scope": ["all.User.read"], "userId": ADA, "id": "d" * 24, "exp": 4102444800})
    client = client_of(Api(), old)
    assert client.uses_token("c" * 24)

    client.use_token(new)

    assert client.scopes == frozenset({"all.User.read"})
    assert client.uses_token("d" * 24)
    assert not client.uses_token("c" * 24)
    assert client.uses_secret(Secret(new))
    assert client.token_expires_at == datetime(2100, 1, 1, tzinfo=UTC)
    client.use_token(new, scopes=["all.User"])
    assert client.scopes == frozenset({"all.User"})


def test_a_token_of_another_account() -> None:
    """A token of another account is refused, unless that is allowed by name."""
    client = client_of(Api(), jwt({"userId": ADA}))
    other = jwt({"userId": BOB})

    with pytest.raises(errors.ValidationError, match=f"claims userId {BOB}, but .* userId {ADA}"):
        client.use_token(other)
    assert client.account == f"userId {ADA}"
    client.use_token(other, allow_other_account=True)

    assert client.account == f"userId {BOB}"


def test_a_token_of_another_host() -> None:
    """A token that another host has issued is refused, unless the claims are not checked."""
    other = jwt({"iss": "elsewhere.example.com"})
    client = client_of(Api(), "one")
    with pytest.raises(errors.IssuerMismatch):
        client.use_token(other)
    assert client.uses_secret(Secret("one"))
    unchecked = client_of(Api(), "one", scope_check="off")
    unchecked.use_token(other)
    assert unchecked.uses_secret(Secret(other))


def test_a_source_of_another_account() -> None:
    """A source that returns a token of another account fails, and that token is never sent."""

    async def main() -> None:
        first = jwt({"userId": ADA})
        api, vault = Api(), Vault([first, jwt({"userId": BOB})])
        async with client_of(api, vault) as client:
            with pytest.raises(errors.TokenUnavailable, match="It is not used"):
                await client.user_api_token.get(ID)
        assert api.seen == [first]

    anyio.run(main)


@pytest.mark.parametrize("token", ["", "my bearer", "my\nbearer"])
def test_an_invalid_token_is_not_used(token: str) -> None:
    """A token that cannot be sent is refused, and the earlier one stays."""
    client = client_of(Api(), "one")
    with pytest.raises(errors.ValidationError) as caught:
        client.use_token(token)
    assert not token or frames_that_hold(caught.value, token) == []
    assert client.uses_secret(Secret("one"))


@pytest.mark.parametrize("first_status", [503, 401])
def test_a_new_token_that_may_not_do_this(first_status: int) -> None:
    """A later attempt is not sent with a token that is certain to be refused.

    An attempt that may have been carried out is reported in place of "nothing was sent".
    """
    weak = jwt({"scope": ["devices.get"]})

    async def main() -> None:
        seen: list[str] = []

        async def handle(request: httpx.Request) -> httpx.Response:
            seen.append(request.headers["authorization"])
            client.use_token(weak)
            return httpx.Response(first_status, json=REFUSAL)

        policy = RetryPolicy(base=0.001)
        async with client_of(handle, "one", retry=policy) as client:
            wanted = errors.ServerError if first_status == 503 else errors.ScopeError
            with pytest.raises(wanted):
                await client.user_api_token.delete(ID)
        assert seen == ["Bearer one"]

    anyio.run(main)


def test_a_swap_without_a_check() -> None:
    """With `scope_check='off'`, the new token is sent without a check of its claims."""
    weak = jwt({"scope": ["devices.get"]})

    async def main() -> None:
        async def swap(_: int) -> None:
            client.use_token(weak)

        api = Api({weak}, before_response=swap)
        async with client_of(api, "one", scope_check="off") as client:
            await client.user_api_token.get(ID)
        assert api.seen == ["one", weak]

    anyio.run(main)
