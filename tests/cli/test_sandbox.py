"""The sandbox in process."""

import sys

import pytest

from losant_tokens.cli import _fake

from .conftest import Command


def test_stopped(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is how a sandbox ends, so it ends well."""

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("losant_tokens.cli._sandbox.time.sleep", interrupted)

    code, out, err = command("sandbox", "--tokens", "1")

    assert code == 0
    assert out.startswith("export LOSANT_API_URL=http://127.0.0.1:")
    assert "\nexport LOSANT_API_TOKEN=" in out
    assert err.endswith("Stopped.\n")


def test_ended_by_itself(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake that ends by itself is an error."""
    line = '{"base_url": "http://127.0.0.1:1", "token": "t"}'
    monkeypatch.setattr(_fake, "_COMMAND", (sys.executable, "-c", f"print({line!r})"))

    code, _, err = command("sandbox")

    assert (1, "losant-tokens: error: the fake ended by itself") == (code, err.splitlines()[-1])
