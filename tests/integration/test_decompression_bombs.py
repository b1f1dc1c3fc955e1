"""Small responses that decompress to large ones, within limits of memory and time."""

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from losant_tokens import AsyncClient, RetryPolicy, errors
from tests.support.wire import ID, STACKS, Peer, response, run, serve, token, transport

MIB = 1024 * 1024
ONCE = RetryPolicy(attempts=1)
OTHER_ID = "575ec8687ae143cd83dc4a97"
MAX_PAUSE = 1.0  # seconds; usually 0.1, and several seconds without the limits
MAX_GROWTH = 150  # MiB; 1,500 without the limits
GZIP = "Content-Encoding: gzip\r\n"


def filled(filler: bytes, size: int = 31 * MIB) -> bytes:
    return b'{"items":[' + filler * (size // len(filler)) + b"1]}"


BOMBS: dict[str, Callable[[], bytes]] = {
    "lists": lambda: gzip.compress(filled(b"[],"), 1),
    "objects": lambda: gzip.compress(filled(b'{"a":1},'), 1),
    "strings": lambda: gzip.compress(filled(b'"ab",'), 1),
    "depth": lambda: gzip.compress(filled(b"[" * 31 * MIB, 31 * MIB), 1),
    "more than the limit": lambda: gzip.compress(filled(b" ", 200 * MIB), 1),
    "members": lambda: gzip.compress(b"") * 100_000,
}


class Pauses:
    """Measures the longest time in which the event loop is blocked."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def measure(self) -> None:
        while True:
            began = anyio.current_time()
            await anyio.sleep(0.001)
            self.longest = max(self.longest, anyio.current_time() - began)


def bombs(body: bytes, status: str = "200 OK") -> Callable[[Peer], None]:
    """Respond with a bomb, except to requests about the token `ID`."""

    def play(peer: Peer) -> None:
        while seen := peer.request():
            is_good = seen.last_id == ID
            peer.send(response(token()) if is_good else response(body, status, GZIP))

    return play


async def exercise(stack: str, url: str) -> float:
    """Read bombs and then a token; return how long the event loop was blocked."""
    pauses = Pauses()
    async with (
        AsyncClient("t", base_url=url, transport=transport(stack), retry=ONCE) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(pauses.measure)
        with pytest.raises(errors.ResponseError):
            await client.user_api_tokens.get()
        with pytest.raises(errors.ResponseError):
            await client.user_api_token.get(OTHER_ID)
        with pytest.raises(errors.ResponseError):
            await client.user_api_token.delete(OTHER_ID)
        assert ID == (await client.user_api_token.get(ID)).id
        tasks.cancel_scope.cancel()
    return pauses.longest


@pytest.mark.sweep(sample=8)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.slow
def test_bomb(name: str, stack: str) -> None:
    """A bomb is refused, for a list and for a token, while other tasks run."""
    with serve(bombs(BOMBS[name]())) as server:
        assert run(stack, exercise, stack, server.url) < MAX_PAUSE


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.slow
def test_bomb_instead_of_an_error(stack: str) -> None:
    """An error whose body is a bomb has the class of its status."""

    async def main(url: str) -> None:
        async with AsyncClient("t", base_url=url, transport=transport(stack), retry=ONCE) as client:
            with pytest.raises(errors.ServerError):
                await client.user_api_tokens.get()

    with serve(bombs(BOMBS["lists"](), "503 Unavailable")) as server:
        run(stack, main, server.url)


MEMORY = """
import asyncio, resource, sys
import httpx
from losant_tokens import AsyncClient, errors

body = open(sys.argv[1], "rb").read()


async def main():
    respond = lambda _: httpx.Response(
        200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(body)
    )
    async with AsyncClient("t", transport=httpx.MockTransport(respond)) as client:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            await client.user_api_tokens.get()
        except errors.ResponseError:
            print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)


asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
@pytest.mark.parametrize("name", BOMBS)
def test_memory(name: str, tmp_path: Path) -> None:
    """A bomb takes no more memory than the largest page."""
    (tmp_path / "bomb").write_bytes(BOMBS[name]())
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "bomb")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < MAX_GROWTH
