"""Errors of the command, against the fake."""

import re

import pytest

from losant_tokens.testing import FakeLosant
from tests.support.command import Command


def test_wrong_token(service: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that the API refuses is reported in one line with a hint."""
    monkeypatch.setenv("LOSANT_API_TOKEN", "wrong")

    code, out, err = command("list")

    message, hint = err.splitlines()
    assert (code, out) == (1, "")
    assert message.startswith("losant-tokens: error: userApiTokens.get (/me/tokens): 401")
    assert hint.startswith("hint: check LOSANT_API_TOKEN")


def test_server_message_is_escaped(fake: FakeLosant, service: str, command: Command) -> None:
    """Control characters in a message of the server are escaped."""
    fake.fail(status=400, body={"type": "X", "message": "a\x1b[2J\u202eb"})

    _, _, err = command("list")

    assert err == (
        "losant-tokens: error: userApiTokens.get (/me/tokens): 400 X - a\\x1b[2J\\u202eb\n"
    )


def test_retries_are_printed(fake: FakeLosant, service: str, command: Command) -> None:
    """The reason for each retry is printed, once."""
    fake.fail(status=503, headers={"Retry-After": "0"})

    code, _, err = command("list")

    assert code == 0
    assert re.match(r"userApiTokens\.get: 503, attempt 2 of 4 in 0\.[0-9] s\n", err)
    assert err.count("503") == 1


def test_full_disk(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the operating system is reported in one line."""

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("losant_tokens.cli._event_loop.run_until_stopped", full)

    expected = "losant-tokens: error: No space left on device\n"
    assert command("list") == (1, "", expected)


def test_name_that_no_file_can_have(command: Command) -> None:
    """An error about a file names the file and the problem, without the number of the error."""
    name = "a" * 300

    expected = f"losant-tokens: error: {name}: File name too long\n"
    assert command("runs", "show", name) == (1, "", expected)
