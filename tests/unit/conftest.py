"""Keep unit tests in this process."""

import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest


class NotAUnitTestError(Exception):
    """A unit test started a server or a process."""


@pytest.fixture(autouse=True, scope="package")
def no_servers_and_processes() -> Iterator[None]:
    """Fail a unit test that listens on a socket or starts a process."""

    def listen(*_: Any) -> None:
        raise NotAUnitTestError("move tests that start a server to tests/integration")

    def start(*_: Any, **__: Any) -> None:
        raise NotAUnitTestError("move tests that start a process to tests/integration or tests/e2e")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "listen", listen)
        patch.setattr(subprocess.Popen, "__init__", start)
        yield
