"""The options that say how to connect."""

import pytest

from losant_tokens.cli._connection import Connection
from tests.support.command import Command


def test_options() -> None:
    """Options that are not the default are repeated in advice; the others are not."""
    assert () == Connection().options()
    given = Connection(scope_check="warn", insecure_http=True)
    assert ("--scope-check", "warn", "--insecure-http") == given.options()


def test_insecure_http(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http to another host is refused with the option that allows it."""
    monkeypatch.setenv("LOSANT_API_URL", "http://losant.invalid")
    monkeypatch.setenv("LOSANT_API_TOKEN", "x")

    code, _, err = command("list")
    assert (1, True) == (code, "--insecure-http" in err)
    assert Connection(insecure_http=True).settings()["insecure_http"]
    assert Connection().settings()["insecure_http"] is None
