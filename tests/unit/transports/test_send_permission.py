"""The permission to send, asked whenever a write continues."""

import socket
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from losant_tokens._transports.aiohttp_unread_data import _AskingTransport
from losant_tokens._transports.send_permission import (
    AskAtEachStep,
    ask_before_sending,
    limit_time_in_kernel,
)


class RefusedError(Exception):
    """The permission is gone."""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_write_that_waits(backend: str) -> None:
    """A write that waits three times asks after each wait, and fails at the first refusal."""
    written: list[int] = []
    permissions = [True, True, False]

    async def write() -> None:
        for number in range(4):
            written.append(number)
            await anyio.lowlevel.checkpoint()

    async def main() -> None:
        with ask_before_sending(lambda: permissions.pop(0)), pytest.raises(RefusedError):
            await AskAtEachStep(write(), RefusedError)
        await AskAtEachStep(write(), RefusedError)  # Here, nobody is asked.

    anyio.run(main, backend=backend)

    assert (written, permissions) == ([0, 1, 2, 0, 1, 2, 3], [])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_write_that_is_cancelled(backend: str) -> None:
    """A cancelled write gets the cancellation, so that it can clean up."""
    seen: list[str] = []

    async def write() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("cleaned up")

    async def main() -> None:
        with anyio.move_on_after(0.01) as scope:
            await AskAtEachStep(write(), RefusedError)
        seen.append(f"cancelled: {scope.cancelled_caught}")

    anyio.run(main, backend=backend)

    assert seen == ["cleaned up", "cancelled: True"]


def test_time_in_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed socket, and a system without the option, are not errors."""
    closed: Any = socket.socket()
    closed.close()
    limit_time_in_kernel(closed)
    monkeypatch.setattr("losant_tokens._transports.send_permission._TCP_USER_TIMEOUT", None)
    limit_time_in_kernel(object())


def test_transport_that_asks() -> None:
    """A transport of aiohttp asks before it writes one part or several, and passes on the rest."""
    written: list[object] = []
    closed = socket.socket()
    closed.close()

    class Transport:
        def get_extra_info(self, name: str) -> Any:
            return closed if name == "socket" else name

        def write(self, data: bytes) -> None:
            written.append(data)

        def writelines(self, parts: list[bytes]) -> None:
            written.append(parts)

    asking = _AskingTransport(Transport())
    asking.write(b"a")
    asking.writelines([b"b", b"c"])
    with ask_before_sending(lambda: False):
        for write, data in ((asking.write, b"d"), (asking.writelines, [b"e"])):
            with pytest.raises(ConnectionAbortedError):
                write(data)

    assert written == [b"a", [b"b", b"c"]]
    assert asking.get_extra_info("peername") == "peername"
