"""Checks with third-party tools; `nox -s contract` installs the tools and runs the checks.

Without the tools, as in a plain run of pytest, nothing in this folder is collected.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from starlette.types import Receive, Scope, Send

from losant_tokens.testing import FakeLosant, Serving

TOOLS = os.environ.get("CONTRACT_TOOLS")
"""The folder into which the Node.js packages were installed."""

collect_ignore_glob = [] if TOOLS else ["test_*.py"]

HERE = Path(__file__).parent
START = 60.0  # seconds, in which a tool must be ready


@pytest.fixture(scope="session")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contract without what the client does not use, and as the tools can read it.

    The audit logs refer to definitions that are missing. Flags are booleans in the contract, but
    the server takes any word for one (all but three are false), so any string is valid.
    """
    contract = json.loads((HERE / "openapi.json").read_text())
    for part, word in ((contract["paths"], "audit"), (contract["components"]["schemas"], "audit")):
        for name in [name for name in part if word in name.lower()]:
            del part[name]
    for item in contract["paths"].values():
        for parameter in item["parameters"]:
            if parameter["name"].startswith("_"):
                parameter["schema"] = {"type": "string"}
    path = tmp_path_factory.mktemp("contract") / "openapi.json"
    path.write_text(json.dumps(contract))
    return path


def node_tool(*parts: str) -> Path:
    """Return a file of an installed Node.js package; without it, skip the test."""
    path = Path(TOOLS or "", "node_modules", *parts)
    if shutil.which("node") is None or not path.exists():
        pytest.skip(f"{path.name} is not installed: it needs npm and its registry")
    return path


@attrs.define(eq=False)
class Stage:
    """A port at which a test serves one fake after the other.

    Attributes:
        base_url: The base URL of the port.
        fake: The fake that responds.
    """

    base_url: str = ""
    fake: FakeLosant = attrs.field(factory=FakeLosant)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.fake.app(scope, receive, send)


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """Return a port for fakes."""
    stage = Stage()
    with Serving(stage) as stage.base_url:
        yield stage


@pytest.fixture
def fake(stage: Stage) -> FakeLosant:
    """Return the fake that the stage serves now."""
    stage.fake = FakeLosant()
    return stage.fake


@contextlib.contextmanager
def prism(*arguments: str) -> Iterator[str]:
    """Run Prism during the block, and yield its base URL."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    mode, *rest = arguments
    command = [str(node_tool(".bin", "prism")), mode, "--port", str(port), *rest]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process:
        try:
            _wait_for(port, process.poll)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _wait_for(port: int, ended: Callable[[], int | None]) -> None:
    give_up = time.monotonic() + START
    while time.monotonic() < give_up and ended() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    pytest.fail("the tool did not start")


@pytest.fixture(scope="session")
def node_client() -> Iterator[Callable[..., Any]]:
    """Calls the official client for Node.js with a URL, a token, and the calls to make."""
    package = node_tool("losant-rest")
    with subprocess.Popen(
        ["node", str(HERE / "node_client.js"), str(package)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def call(*request: Any) -> Any:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{json.dumps(request)}\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        try:
            yield call
        finally:
            process.kill()
