"""The options of the rotate commands."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from attrs import frozen
from cyclopts import Group, Parameter, Token

from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._options.common import age, checked_expiry, choice, flag
from losant_tokens.cli._options.value_checks import existing_file

if TYPE_CHECKING:
    from losant_tokens import Secret
    from losant_tokens.sinks import Sink, TokenSecret

_SUCCESSOR = Group("Successor", sort_key=0)
_HELP = "see losant-tokens rotate --help"


def _read_required_expiry(_: Any, tokens: Sequence[Token]) -> str:
    text = checked_expiry(tokens[0].value)
    if text == "never":
        raise ValueError("a rotated token must expire: pass a time from now, such as 90d")
    return text


def _existing_plan(type_: object, path: Path | None) -> None:
    if path is not None:
        existing_file(type_, path)


TokenIds = Annotated[
    tuple[str, ...],
    Parameter(name="ID...", show_default=False, help="Rotate the tokens with these ids."),
]
RotationName = Annotated[
    str, Parameter(name="ROTATION", help="Use this rotation: an id, its journal, or last.")
]
OptionalRotation = Annotated[
    str | None,
    Parameter(
        name="ROTATION",
        show_default=False,
        help="Resume this rotation: an id, its journal, or last.",
    ),
]
RotationPlan = Annotated[
    Path | None,
    Parameter(
        name="--plan",
        metavar="FILE",
        validator=_existing_plan,
        help="Rotate the tokens of a plan whose action is rotate.",
    ),
]
Expires = Annotated[
    str | None,
    Parameter(
        name="--expires",
        metavar="WHEN",
        converter=_read_required_expiry,
        n_tokens=1,
        group=_SUCCESSOR,
        help="Set the expiration date of the successors. Required.",
    ),
]
Overlap = Annotated[
    timedelta,
    age(
        "Delay the deactivation of the old token by AGE.",
        show_default=lambda span: f"{span / timedelta(hours=1):g}h",
    ),
]
AllowUnverified = Annotated[
    bool, flag("Rotate tokens whose scopes allow no request to verify the successor.")
]
DryRun = Annotated[bool, flag("Show which tokens would be rotated, and change nothing.")]


@Parameter(name="*", group=_SUCCESSOR)
@frozen(kw_only=True)
class SinkOptions:
    """Where the secret of a successor goes."""

    to_command: Annotated[
        str | None,
        Parameter(metavar="COMMAND", help="Send the secret to COMMAND, on its standard input."),
    ] = None
    to_file: Annotated[
        Path | None,
        Parameter(metavar="FILE", help="Write the secret to FILE, readable only by you."),
    ] = None
    format: Annotated[
        Literal["text", "json"],
        choice("text", "json", help_="Send the secret alone, or JSON with all facts."),
    ] = "text"

    def sink(self, secrets: "Sequence[Secret]") -> "Sink[TokenSecret] | None":
        """Return the sink; `None` for standard output.

        Args:
            secrets: Secrets that the environment of a command must not hold.

        Raises:
            UsageError: There are two sinks.
            SinkError: The command or the folder cannot be used.
            ValidationError: The command cannot be split.
        """
        from losant_tokens.sinks import CommandSink, FileSink  # noqa: PLC0415 -- for the help

        if self.to_command is not None and self.to_file is not None:
            raise UsageError("--to-command and --to-file cannot be combined", _HELP)
        if self.to_command is not None:
            command = CommandSink(self.to_command, format=self.format, secrets=secrets)
            command.check()
            return command
        if self.to_file is not None:
            if self.format != "text":
                raise UsageError("--to-file holds the secret alone: leave out --format")
            file = FileSink(self.to_file.absolute())
            file.check()
            return file
        return None

    def arguments(self) -> tuple[str, ...]:
        """Return the options that differ from the default, as on the command line."""
        return (
            *(() if self.to_command is None else ("--to-command", self.to_command)),
            *(() if self.to_file is None else ("--to-file", str(self.to_file))),
            *(() if self.format == "text" else ("--format", self.format)),
        )


DEFAULT_SINK = SinkOptions()
DEFAULT_OVERLAP = timedelta(hours=24)
