"""The sandbox in process."""

import socket
import sys

import pytest

from losant_tokens.cli import _fake_process
from tests.support.command import Command


def test_sandbox_is_stopped(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends the sandbox with the exit code 0."""

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("losant_tokens.cli.commands.sandbox.time.sleep", interrupted)

    code, out, err = command("sandbox", "--tokens", "1")

    assert code == 0
    assert out.startswith("export LOSANT_API_URL=http://127.0.0.1:")
    assert "\nexport LOSANT_API_TOKEN=" in out
    assert err.endswith("Stopped.\n")


def test_host(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake can listen on every address; the printed URL is for this machine."""
    seen: list[int] = []

    def look(_: float) -> None:
        with socket.create_connection(("127.0.0.2", seen.pop())):
            raise KeyboardInterrupt

    def free_port() -> int:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port: int = unused.getsockname()[1]
            return port

    monkeypatch.setattr("losant_tokens.cli.commands.sandbox.time.sleep", look)
    seen.append(port := free_port())

    code, out, _ = command("sandbox", "--host", "0.0.0.0", "--tokens", "1", "--port", str(port))

    assert (code, f"LOSANT_API_URL=http://127.0.0.1:{port}\n" in out) == (0, True)


def test_unknown_host(command: Command) -> None:
    """An address that this machine does not have is an error."""
    code, out, err = command("sandbox", "--host", "192.0.2.1")

    assert (code, out) == (1, "")
    assert "the fake did not start" in err


def test_fake_stops_by_itself(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake that stops by itself is an error."""
    line = '{"base_url": "http://127.0.0.1:1", "token": "t"}'
    monkeypatch.setattr(_fake_process, "_COMMAND", (sys.executable, "-c", f"print({line!r})"))

    code, _, err = command("sandbox")

    expected = "losant-tokens: error: the fake has stopped unexpectedly"
    assert (code, err.splitlines()[-1]) == (1, expected)
