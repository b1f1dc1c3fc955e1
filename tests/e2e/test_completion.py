"""Scripts that let shells complete the command."""

import shutil
import subprocess

import pytest

from tests.support.command import Command


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(command: Command, shell: str) -> None:
    """The script contains the commands and their options, and its shell accepts it."""
    code, out, err = command("completion", shell)

    assert (code, err) == (0, "")
    for word in ("losant-tokens", "quarantine", "not-updated-for"):
        assert word in out
    if shutil.which(shell):
        checked = subprocess.run(
            [shell, "-n"], input=out, capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")


def test_unknown_shell(command: Command) -> None:
    """An unknown shell is a usage error."""
    assert command("completion", "tcsh")[0] == 2
