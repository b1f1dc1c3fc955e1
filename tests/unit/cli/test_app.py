"""The app: help, versions, and the order of the commands."""

import importlib.metadata
import io
import platform
import re

import pytest
from rich.console import Console

from losant_tokens import __version__
from losant_tokens.cli import _app
from losant_tokens.cli._app import COMMANDS, app
from tests.support.command import Command


@pytest.mark.parametrize("flag", ["--version", "-V"])
@pytest.mark.parametrize("name", ["", "list", "runs", "runs prune"])
def test_version_option(command: Command, name: str, flag: str) -> None:
    """`--version` and `-V` print the version, before and after each command."""
    assert command(*name.split(), flag) == (0, f"losant-tokens {__version__}\n", "")


def test_version(command: Command) -> None:
    """`version` prints the versions that a bug report needs."""
    code, out, err = command("version")

    versions = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (code, err) == (0, "")
    assert versions["losant-tokens"] == __version__
    assert versions["Python"].startswith(platform.python_version())
    assert versions["httpx"] == importlib.metadata.version("httpx")
    assert versions["platform"].startswith(f"{platform.system()} {platform.release()}")


def test_version_of_missing_libraries(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """An optional library that is missing is printed as such."""

    def version(name: str) -> str:
        if name == "uvloop":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr("losant_tokens.cli.commands.version.version", version)

    assert re.search("^uvloop +not installed$", command("version")[1], re.MULTILINE)


@pytest.mark.parametrize("name", ["", *COMMANDS])
@pytest.mark.sweep(sample=6)
def test_help(command: Command, name: str) -> None:
    """`help COMMAND` prints the same as `COMMAND --help`."""
    expected = command(*name.split(), "--help")

    assert command("help", *name.split()) == expected


def test_order_of_the_commands() -> None:
    """The help lists the commands of a task in the order of the table, and the options last."""
    file = io.StringIO()
    app.help_print([], console=Console(width=80, file=file))
    rows = re.findall(r"^│ (\S+) ", file.getvalue(), re.MULTILINE)

    commands = [name for name in COMMANDS if " " not in name]
    assert rows == [*commands, "--help", "--version"]


def test_unknown_attributes() -> None:
    """A name that is not a command is not an attribute of the module."""
    with pytest.raises(AttributeError, match="nope"):
        _app.nope  # noqa: B018
