"""No traceback of a call holds a secret, however the call ends: neither of ours nor of a library.

Sentry, `rich` and `pytest --showlocals` print the locals of all frames of a traceback, and of all
exceptions that it is chained to.
"""

import asyncio
import gc
import time
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from losant_tokens import (
    ApiTokenPost,
    AsyncClient,
    RetryPolicy,
    UserCredentials,
    errors,
)
from tests.support.cancellation import Sweep, Way
from tests.support.wire import ID, STACKS, Peer, good, response, run, serve, token, transport

BEARER = "my-bearer-token"
PASSWORD = "my-password"
NEW = "my-new-token"
SECRETS = (BEARER, PASSWORD, NEW)
ONCE = RetryPolicy(attempts=1)


def held(error: BaseException | None, seen: set[int] | None = None) -> list[str]:
    """Return the places where a traceback of an exception or its chain shows a secret."""
    seen = set() if seen is None else seen
    if error is None or id(error) in seen:
        return []
    seen.add(id(error))
    found = [f"text of {type(error).__name__}"] if _shows(error.args) else []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if "/tests/" not in code.co_filename:
            found += [
                f"{code.co_qualname}: {name}"
                for name, value in trace.tb_frame.f_locals.items()
                if _shows(value)
            ]
        trace = trace.tb_next
    found += held(error.__cause__, seen) + held(error.__context__, seen)
    for member in getattr(error, "exceptions", ()):
        found += held(member, seen)
    return found


def _shows(value: object) -> bool:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 -- partly initialized, so no tool can show it
        return False
    return any(secret in text for secret in SECRETS)


def get(client: AsyncClient) -> Awaitable[Any]:
    return client.user_api_token.get(ID)


def post(client: AsyncClient) -> Awaitable[Any]:
    return client.user_api_tokens.post(ApiTokenPost(name="ci"))


def log_in(client: AsyncClient) -> Awaitable[Any]:
    credentials = UserCredentials(email="a@h.example", password=PASSWORD)
    return client.auth.authenticate_user(credentials)


CALLS = (get, post, log_in)


def slow(value: Any) -> Any:
    """Return a slow parameter, which runs only with `--run-slow`."""
    return pytest.param(value, marks=pytest.mark.slow)


def answer(peer: Peer) -> None:
    """Respond with a new token in parts, so that the call waits several times."""
    while seen := peer.request():
        content = token(seen.last_id, token=NEW) if seen.method == "GET" else token(token=NEW)
        if "auth" in seen.path:
            content = f'{{"userId":"{ID}","token":"{NEW}"}}'.encode()
        whole = response(content)
        for part in (whole[:20], whole[20:-30], whole[-30:]):
            peer.send(part)
            time.sleep(0.0005)


@pytest.mark.sweep(sample=6)
@pytest.mark.parametrize("way", ["task", "scope", slow("task, with the result")])
@pytest.mark.parametrize("call", [slow(get), slow(post), log_in])
@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    "stack",
    [
        "httpx-asyncio",
        "httpx-trio",
        "aiohttp-asyncio",
        "httpx2-asyncio",
        slow("httpx2-trio"),
        slow("httpx-uvloop"),
        slow("aiohttp-uvloop"),
    ],
)
def test_cancelled_at_every_point(
    stack: str, over_tls: bool, call: Callable[[AsyncClient], Any], way: Way, tls: Any
) -> None:
    """A call that is cancelled at any point leaves no secret in a traceback."""
    if stack.endswith("trio") and way != "scope":
        pytest.skip("trio cancels scopes alone")
    if stack.startswith("httpx2") and over_tls:
        pytest.skip("httpx2's own pool does not close a connection cancelled in its handshake")
    found: list[str] = []
    points = 0

    async def noted(client: AsyncClient) -> None:
        try:
            await call(client)
        except BaseException as error:
            found.extend(held(error))
            raise

    async def main() -> int:
        options = {"verify": tls.client} if over_tls else {}
        for at in range(1, 200):
            async with AsyncClient(
                BEARER, base_url=server.url, transport=transport(stack, **options), retry=ONCE
            ) as client:
                sweep = Sweep(way, at)
                await sweep.run(noted(client))
                if not sweep.has_cancelled:
                    return at
        raise AssertionError("the call never ends")

    with serve(answer, tls.server if over_tls else None) as server, warnings.catch_warnings():
        if stack.startswith("httpx2"):
            # Its own pool can leave a socket open if a connection attempt is cancelled.
            warnings.simplefilter("ignore", ResourceWarning)
        points = run(stack, main)
        if stack.startswith("httpx2"):
            gc.collect()
    assert (points > 3, []) == (True, found)


async def by_timeout(call: Awaitable[Any]) -> None:
    async with asyncio.timeout(0.05):
        await call


async def by_wait_for(call: Awaitable[Any]) -> None:
    await asyncio.wait_for(call, 0.05)


async def by_task(call: Awaitable[Any]) -> None:
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0.05)
    task.cancel()
    await task


async def by_task_group(call: Awaitable[Any]) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_awaited(call))
        await asyncio.sleep(0.05)
        raise KeyError("another task failed")


async def _awaited(call: Awaitable[Any]) -> None:
    await call


async def by_fail_after(call: Awaitable[Any]) -> None:
    with anyio.fail_after(0.05):
        await call


def stall_at_once(peer: Peer) -> None:
    peer.wait()


def stall_in_the_head(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nX: ")
    peer.wait()


def stall_in_the_body(peer: Peer) -> None:
    peer.request()
    peer.send(response(token(token=NEW))[:-5])
    peer.wait()


@pytest.mark.sweep(sample=9)
@pytest.mark.parametrize(
    "end",
    [by_timeout, by_wait_for, by_task, by_task_group, by_fail_after],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize(
    "stall", [stall_at_once, stall_in_the_head, stall_in_the_body], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("stack", ["httpx-asyncio", "aiohttp-asyncio", slow("aiohttp-uvloop")])
def test_ended_by_the_caller(
    stack: str, stall: Callable[[Peer], None], end: Callable[[Awaitable[Any]], Awaitable[None]]
) -> None:
    """Each way to cancel a call leaves no secret in the caught exception."""

    async def main() -> list[list[str]]:
        found = []
        async with AsyncClient(
            BEARER, base_url=server.url, transport=transport(stack), retry=ONCE
        ) as client:
            for call in CALLS:
                try:
                    await end(call(client))
                except BaseException as error:  # noqa: BLE001
                    found.append(held(error))
        return found

    with serve(stall) as server:
        assert [[], [], []] == run(stack, main)


def reset(peer: Peer) -> None:
    peer.request()
    peer.reset()


def close(peer: Peer) -> None:
    peer.request()


def nonsense(peer: Peer) -> None:
    peer.request()
    peer.send(f"HTTP/1.1 {NEW}\r\n{PASSWORD}\r\n\r\n".encode())


def not_json(peer: Peer) -> None:
    peer.request()
    peer.send(response(f"{NEW} {BEARER} {PASSWORD}".encode()))


def refused(peer: Peer) -> None:
    peer.request()
    content = f'{{"type":"Forbidden","message":"{BEARER} {PASSWORD}"}}'
    peer.send(response(content.encode(), "403 Forbidden"))


@pytest.mark.sweep(sample=6)
@pytest.mark.parametrize(
    "fault",
    [stall_at_once, stall_in_the_body, reset, close, nonsense, not_json],
    ids=lambda fault: fault.__name__,
)
@pytest.mark.parametrize("stack", STACKS)
def test_ended_by_an_error(stack: str, fault: Callable[[Peer], None]) -> None:
    """No error shows a secret in its message, its frames or its chain."""

    async def main() -> None:
        async with AsyncClient(
            BEARER, base_url=server.url, transport=transport(stack), retry=ONCE, timeout=0.1
        ) as client:
            for call in CALLS:
                with pytest.raises(errors.LosantError) as caught:
                    await call(client)
                assert [] == held(caught.value)

    with serve(fault) as server:
        run(stack, main)


def test_a_secret_in_a_traceback_is_found() -> None:
    """The search in tracebacks finds a secret that is there."""

    async def main() -> None:
        async with AsyncClient(BEARER, base_url=server.url) as client:
            await client.user_api_token.get(ID)

    def play(peer: Peer) -> None:
        seen = peer.request()
        assert seen
        peer.send(response(good(seen)))

    with serve(play) as server:
        run("httpx-asyncio", main)
    space: dict[str, Any] = {"SECRET": BEARER}
    exec(compile("def f(held):\n    raise KeyError\n", "a-library.py", "exec"), space)
    with pytest.raises(KeyError) as caught:
        space["f"](BEARER)
    assert ["f: held"] == held(caught.value)
