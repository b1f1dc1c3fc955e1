"""`completion`: print a completion script for a shell."""

from typing import Annotated, Literal

from cyclopts import Parameter

from losant_tokens.cli._terminal.console import write_output


def write_completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"],
        Parameter(name="SHELL", show_choices=False, help="Choose bash, zsh or fish."),
    ],
    /,
) -> int:
    """Write a completion script for a shell."""
    from losant_tokens.cli._completion.scripts import SCRIPTS

    write_output(SCRIPTS[shell])
    return 0
