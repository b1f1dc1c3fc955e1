"""The options that say how to connect."""

import pytest

from losant_tokens.cli._options import ConnectionOptions
from tests.support.command import Command


def test_arguments() -> None:
    """Only options that differ from the default are repeated in printed commands."""
    assert ConnectionOptions().arguments() == ()
    given = ConnectionOptions(scope_check="warn", insecure_http=True)
    assert given.arguments() == ("--scope-check", "warn", "--insecure-http")


def test_insecure_http(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http to another host is refused with the name of the option that allows it."""
    monkeypatch.setenv("LOSANT_API_URL", "http://losant.invalid")
    monkeypatch.setenv("LOSANT_API_TOKEN", "x")

    code, _, err = command("list")
    assert (code, "--insecure-http" in err) == (2, True)
    assert ConnectionOptions(insecure_http=True).settings()["insecure_http"]
    assert ConnectionOptions().settings()["insecure_http"] is None
