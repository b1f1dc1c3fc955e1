"""The options that say how to connect."""

import os

import pytest

from losant_tokens.cli._options.common import ConnectionOptions
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


def test_unknown_home_folder(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a home folder, as in some containers, there is no configuration file."""
    for name in ("LOSANT_API_TOKEN", "LOSANT_TOKENS_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)

    code, _, err = command("list")
    assert (code, "no API token: LOSANT_API_TOKEN is not set" in err) == (1, True)
