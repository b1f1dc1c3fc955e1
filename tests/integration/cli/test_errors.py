"""Errors of the command while it talks to the fake."""

import pytest

from losant_tokens.testing import FakeLosant
from tests.support.command import Command


def test_wrong_token(service: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the API refuses is told in a line, with a hint."""
    monkeypatch.setenv("LOSANT_API_TOKEN", "wrong")

    code, out, err = command("list")

    message, hint = err.splitlines()
    assert (1, "") == (code, out)
    assert message.startswith("losant-tokens: error: userApiTokens.get (/me/tokens): 401")
    assert hint.startswith("hint: check LOSANT_API_TOKEN")


def test_message_of_the_server(fake: FakeLosant, service: str, command: Command) -> None:
    """What a server says cannot get at the terminal."""
    fake.fail(status=400, body={"type": "X", "message": "a\x1b[2J\u202eb"})

    _, _, err = command("list")

    assert err == (
        "losant-tokens: error: userApiTokens.get (/me/tokens): 400 X - a\\x1b[2J\\u202eb\n"
    )


def test_retries_are_told(fake: FakeLosant, service: str, command: Command) -> None:
    """Whoever waits for another try is told why."""
    fake.fail(status=503, headers={"Retry-After": "0"})

    code, _, err = command("list")

    assert code == 0
    assert "503" in err
    assert "; trying again in 0." in err


def test_full_disk(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system refuses is told in a line."""

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("losant_tokens.cli._connect.run_with_tokens", full)

    expected = "losant-tokens: error: [Errno 28] No space left on device\n"
    assert (1, "", expected) == command("list")
