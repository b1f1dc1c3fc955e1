"""A delivery that is cancelled at any point leaves no secret in a traceback, and no process."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest

from losant_tokens.sinks import CommandSink, FileSink, Message, TokenSecret, WebhookSink
from tests.support.cancellation import Sweep, Way
from tests.support.traceback_secrets import frames_that_hold
from tests.support.wire import Peer, response, serve

SECRET = "a-secret-of-some-length"
DELIVERY = TokenSecret(secret=SECRET, token_id="575ec7417ae143cd83dc4a95")
MESSAGE = Message(id="1", title="t", lines=["x" * 99] * 3000)

Delivery = Callable[[], Coroutine[Any, Any, None]]


async def cancel_everywhere(deliver: Delivery, way: Way) -> tuple[int, list[str]]:
    """Cancel a delivery at each of its awaits; return their number, and what shows the secret."""
    found: list[str] = []

    async def checked() -> None:
        try:
            await deliver()
        except BaseException as error:
            found.extend(frames_that_hold(error, SECRET))
            raise

    for at in range(1, 100):
        sweep = Sweep(way, at)
        await sweep.run(checked())
        if not sweep.has_cancelled:
            return at, found
    raise AssertionError("the delivery has too many awaits")


@pytest.mark.process
@pytest.mark.parametrize("way", ["task", "scope"])
def test_cancelled_at_every_point(way: Way, tmp_path: Path) -> None:
    """No traceback of a cancelled delivery shows the secret or the URL."""

    def accept(peer: Peer) -> None:
        while peer.request():
            peer.send(response(b"ok"))

    with serve(accept) as server:
        url = f"{server.url}/{SECRET}"
        deliveries: list[Delivery] = [
            lambda: CommandSink(f"tee {tmp_path}/command").deliver(DELIVERY),
            lambda: FileSink(tmp_path / "file").deliver(DELIVERY),
            lambda: WebhookSink(url, headers={"X": SECRET}).deliver(MESSAGE),
        ]
        results = [anyio.run(cancel_everywhere, deliver, way) for deliver in deliveries]

    assert all(number > 1 for number, _ in results)
    assert [found for _, found in results] == [[], [], []]
    assert (tmp_path / "command").read_text() == (tmp_path / "file").read_text() == SECRET
