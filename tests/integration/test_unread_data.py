"""Surplus data after a response is never used as the response to another request."""

import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from losant_tokens import AsyncClient, RetryPolicy, errors
from tests.support.wire import (
    ID,
    STACKS,
    Peer,
    Seen,
    chunked,
    good,
    response,
    run,
    serve,
    token,
    transport,
)

ONCE = RetryPolicy(attempts=1)
IDS = tuple(f"{number:024x}" for number in range(4))
REFUSED = b'{"type":"Forbidden","message":"no"}'

EXTRAS = {
    "a second response": response(token("e" * 24)),
    "a success": response(b'{"success":true}'),
    "a line end": b"\r\n",
    "junk": b"junk junk\r\n\r\n",
    "the start of a response": b"HTTP/1.1 2",
    "most of a response": response(token("e" * 24))[:-5],
    "a lot": response(token("e" * 24)) * 2000,
}


IDLE = 0.06  # seconds, after which a busy server has sent its late data


def answers(
    extra: bytes, frame: Callable[..., bytes] = response, *, later: bool = False
) -> Callable[[Peer], None]:
    """Respond to each request with its token and surplus data; refuse each DELETE."""

    def play(peer: Peer) -> None:
        while seen := peer.request():
            is_delete = seen.method == "DELETE"
            own = frame(REFUSED, "403 Forbidden") if is_delete else frame(good(seen))
            if later:
                peer.send(own)
                time.sleep(0.005)
                peer.send(extra)
            else:
                peer.send(own + extra)

    return play


async def exercise(stack: str, url: str, pause: float, **options: Any) -> list[str]:
    """Get four tokens and delete one, over one connection if it is reused."""
    found = []
    pool = transport(stack, max_connections=1, **options)
    async with AsyncClient("t", base_url=url, transport=pool, retry=ONCE, timeout=5) as client:
        for token_id in IDS:
            found.append((await client.user_api_token.get(token_id)).id)
            await anyio.sleep(pause)
        try:
            await client.user_api_token.delete(ID)
        except errors.Forbidden:
            found.append("refused")
    return found


@pytest.mark.sweep(sample=10)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize(
    "frame", [response, pytest.param(chunked, marks=pytest.mark.slow)], ids=["length", "chunked"]
)
def test_in_the_same_packet(stack: str, extra: str, frame: Callable[..., bytes]) -> None:
    """Surplus data in the packet of a response neither answers nor fails a later request."""
    with serve(answers(EXTRAS[extra], frame)) as server:
        found = run(stack, exercise, stack, server.url, 0)
    assert [*IDS, "refused"] == found


@pytest.mark.sweep(sample=8)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("extra", EXTRAS)
def test_while_idle(stack: str, extra: str) -> None:
    """Data on an idle connection neither answers nor fails a later request."""
    with serve(answers(EXTRAS[extra], later=True)) as server:
        found = run(stack, exercise, stack, server.url, IDLE)
    assert [*IDS, "refused"] == found


@pytest.mark.sweep(sample=6)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("later", [False, True], ids=["same packet", "later"])
@pytest.mark.parametrize(
    "extra",
    [
        "a second response",
        pytest.param("the start of a response", marks=pytest.mark.slow),
        "a lot",
    ],
)
def test_over_tls(stack: str, later: bool, extra: str, tls: Any) -> None:
    """The same is true over TLS, for encrypted and for decrypted data."""
    with serve(answers(EXTRAS[extra], later=later), tls.server) as server:
        pause = IDLE if later else 0
        found = run(stack, lambda: exercise(stack, server.url, pause, verify=tls.client))
    assert [*IDS, "refused"] == found


@pytest.mark.parametrize("stack", STACKS)
def test_after_a_response_without_content(stack: str) -> None:
    """A body that a 204 must not have is not the response to the next request."""

    def play(peer: Peer) -> None:
        while seen := peer.request():
            if seen.method == "DELETE":
                peer.send(b"HTTP/1.1 204 No Content\r\n\r\n" + response(token("e" * 24)))
            else:
                peer.send(response(good(seen)))

    async def main() -> list[str]:
        pool = transport(stack, max_connections=1)
        async with AsyncClient("t", base_url=server.url, transport=pool, retry=ONCE) as client:
            await client.user_api_token.delete(ID)
            return [(await client.user_api_token.get(token_id)).id for token_id in IDS]

    with serve(play) as server:
        assert [*IDS] == run(stack, main)


@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("frame", [response, chunked])
def test_a_clean_connection_is_reused(
    stack: str, frame: Callable[..., bytes], over_tls: bool, tls: Any
) -> None:
    """Without unread data, one connection serves all calls.

    This fails if a library below moves a private attribute that shows unread data.
    """
    options = {"verify": tls.client} if over_tls else {}
    with serve(answers(b"", frame), tls.server if over_tls else None) as server:
        found = run(stack, lambda: exercise(stack, server.url, 0, **options))
    assert ([*IDS, "refused"], 1) == (found, server.connections)


@pytest.mark.parametrize("stack", STACKS)
def test_a_late_success_is_no_deletion(stack: str) -> None:
    """A second response that arrives while a DELETE is sent is not its success."""

    def play(peer: Peer) -> None:
        while seen := peer.request():
            if seen.method == "DELETE":
                peer.send(EXTRAS["a success"] + response(REFUSED, "403 Forbidden"))
            else:
                peer.send(response(good(seen)))

    async def main() -> None:
        pool = transport(stack, max_connections=1)
        async with AsyncClient("t", base_url=server.url, transport=pool, retry=ONCE) as client:
            await client.user_api_token.get(ID)
            await client.user_api_token.delete(ID)

    with serve(play) as server, pytest.raises(errors.TransportError, match="unclear") as caught:
        run(stack, main)
    assert caught.value.ambiguous


@pytest.mark.parametrize("stack", STACKS)
def test_a_server_that_once_sent_surplus_data(stack: str) -> None:
    """After a surplus response, each request has its own connection."""
    count = 0

    def play(peer: Peer) -> None:
        nonlocal count
        while seen := peer.request():
            count += 1
            if seen.method == "DELETE":
                peer.send(response(REFUSED, "403 Forbidden"))
                continue
            peer.send(response(good(seen)))
            time.sleep(0.005)
            # For the requests after the first, this comes while the next one is sent.
            peer.send(EXTRAS["a success"])

    async def main() -> list[str]:
        ends = []
        pool = transport(stack, max_connections=1)
        async with AsyncClient("t", base_url=server.url, transport=pool, retry=ONCE) as client:
            for token_id in IDS:
                try:
                    ends.append((await client.user_api_token.get(token_id)).id)
                except errors.ResponseError:
                    ends.append("mixed up")
                await anyio.sleep(IDLE if len(ends) == 1 else 0)
            with pytest.raises(errors.Forbidden):
                await client.user_api_token.delete(ID)
        return ends

    with serve(play) as server:
        ends = run(stack, main)
    assert ([*IDS], 5) == (ends, count)
    assert server.connections >= 4


@pytest.mark.parametrize("stack", STACKS)
def test_late_junk_fails_one_call(stack: str) -> None:
    """Junk that arrives while a request is sent fails only that request."""

    def play(peer: Peer) -> None:
        while seen := peer.request():
            peer.send(response(good(seen)))
            if seen.last_id == IDS[0]:
                seen = peer.request()
                peer.send(b"junk")
                if seen is None:
                    return
                peer.send(response(good(seen)))

    async def main() -> list[str]:
        ends = []
        pool = transport(stack, max_connections=1)
        async with AsyncClient("t", base_url=server.url, transport=pool, retry=ONCE) as client:
            for token_id in IDS:
                try:
                    ends.append((await client.user_api_token.get(token_id)).id)
                except errors.TransportError:
                    ends.append("failed")
        return ends

    with serve(play) as server:
        assert [IDS[0], "failed", *IDS[2:]] == run(stack, main)
    assert 4 == server.connections + 1


@pytest.mark.parametrize("stack", STACKS)
def test_a_late_line_end(stack: str) -> None:
    """A line end that arrives while the next request is sent is skipped."""

    def play(peer: Peer) -> None:
        while seen := peer.request():
            peer.send(b"\r\n")
            time.sleep(0.005)
            peer.send(response(good(seen)))

    with serve(play) as server:
        assert IDS[0] == run(stack, exercise, stack, server.url, 0)[0]


@pytest.mark.parametrize("stack", STACKS)
def test_a_deletion_before_the_server_closes(stack: str) -> None:
    """A deletion is believed if the server closes the connection after its response."""
    count = 0

    def play(peer: Peer) -> None:
        nonlocal count
        seen = peer.request()
        while seen and seen.method == "GET":
            peer.send(response(good(seen)))
            seen = peer.request()
        if isinstance(seen, Seen):
            count += 1
            peer.send(response(good(seen)))

    async def main() -> bool:
        pool = transport(stack, max_connections=1)
        async with AsyncClient("t", base_url=server.url, transport=pool, retry=ONCE) as client:
            await client.user_api_token.get(ID)
            return (await client.user_api_token.delete(ID)).success

    with serve(play) as server:
        assert (True, 1) == (run(stack, main), count)


def play_slowly(last: Callable[[Peer], None]) -> Callable[[Peer], None]:
    """Respond to two requests after 50 ms each, and to the third one differently."""

    def play(peer: Peer) -> None:
        for _ in range(2):
            if (seen := peer.request()) is None:
                return
            time.sleep(0.05)
            peer.send(response(good(seen)))
        if peer.request():
            last(peer)

    return play


async def delete_after_two(stack: str, url: str, retry: RetryPolicy = ONCE) -> Any:
    """Get two tokens and delete one, over one connection."""
    pool = transport(stack, max_connections=1)
    async with AsyncClient("t", base_url=url, transport=pool, retry=retry, timeout=5) as client:
        await client.user_api_token.get(IDS[0])
        await client.user_api_token.get(IDS[1])
        return await client.user_api_token.delete(ID)


@pytest.mark.sweep(sample=4)
@pytest.mark.parametrize("extra", ["a success", "an error"])
@pytest.mark.parametrize("stack", STACKS)
def test_early_response(stack: str, extra: str) -> None:
    """A late second response is not used as the response to a DELETE."""
    early = response(b'{"type":"NotFound","message":"no"}', "404 Not Found")

    def last(peer: Peer) -> None:
        peer.send(EXTRAS["a success"] if extra == "a success" else early)
        time.sleep(0.05)
        peer.send(response(REFUSED, "403 Forbidden"))
        peer.request()

    with (
        serve(play_slowly(last)) as server,
        pytest.raises(errors.TransportError, match="unclear") as caught,
    ):
        run(stack, delete_after_two, stack, server.url)
    assert caught.value.ambiguous


@pytest.mark.sweep(sample=4)
@pytest.mark.parametrize("end", [Peer.request, Peer.reset, lambda _: None])
@pytest.mark.parametrize("stack", STACKS)
def test_a_quick_response(stack: str, end: Callable[[Peer], Any]) -> None:
    """A fast response is believed if no other response follows."""
    own = response(b'{"success":true}')

    def last(peer: Peer) -> None:
        peer.send(own[:30])
        time.sleep(0.01)
        peer.send(own[30:])
        time.sleep(0.01)
        end(peer)

    with serve(play_slowly(last)) as server:
        assert run(stack, delete_after_two, stack, server.url).success


@pytest.mark.parametrize("stack", STACKS)
def test_a_cancelled_call_whose_response_is_held_back(stack: str) -> None:
    """A response that is held back is dropped if its call is cancelled."""

    def last(peer: Peer) -> None:
        peer.send(EXTRAS["a success"])
        peer.request()

    async def main() -> str:
        pool = transport(stack, max_connections=1)
        async with AsyncClient("t", base_url=server.url, transport=pool, retry=ONCE) as client:
            await client.user_api_token.get(IDS[0])
            await client.user_api_token.get(IDS[1])
            with anyio.move_on_after(0.03):
                await client.user_api_token.delete(ID)
            await anyio.sleep(0.2)
            return (await client.user_api_token.get(IDS[2])).id

    with serve(play_slowly(last)) as server:
        assert IDS[2] == run(stack, main)


@pytest.mark.parametrize("stack", STACKS)
def test_after_the_response_of_another_token(stack: str) -> None:
    """A connection with a response about another token is not reused."""

    def play(peer: Peer) -> None:
        while seen := peer.request():
            peer.send(response(token("e" * 24) if seen.last_id == IDS[1] else good(seen)))

    async def main() -> str:
        pool = transport(stack, max_connections=1)
        async with AsyncClient("t", base_url=server.url, transport=pool, retry=ONCE) as client:
            await client.user_api_token.get(IDS[0])
            with pytest.raises(errors.ResponseError):
                await client.user_api_token.get(IDS[1])
            return (await client.user_api_token.get(IDS[2])).id

    with serve(play) as server:
        found = run(stack, main)
    assert (IDS[2], 2) == (found, server.connections)
