"""`help`: show the help of a command."""

from typing import Annotated

from cyclopts import Parameter


def print_help(
    command: Annotated[
        tuple[str, ...],
        Parameter(name="COMMAND...", show_default=False, help="Show the help of this command."),
    ] = (),
    /,
) -> int:
    """Show the help of a command."""
    from losant_tokens.cli._app import COMMANDS, app
    from losant_tokens.cli._usage_errors import unknown_command

    for number, word in enumerate(command):
        if " ".join(command[: number + 1]) not in COMMANDS:
            raise unknown_command(" ".join(command[:number]), word)
    app.help_print(command)
    return 0
