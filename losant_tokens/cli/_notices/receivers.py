"""The receivers of messages: a command, a webhook, Slack, or standard output.

The URL of a webhook is a secret, and other users can see the arguments of a process. So an option
takes the name of an environment variable or of a private file that holds the URL.
"""

import hashlib
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attrs import field, frozen
from cyclopts import Group, Parameter

from losant_tokens import Secret
from losant_tokens.cli._connections.account_tokens import tokens_in_memory
from losant_tokens.cli._errors import CommandError, UsageError
from losant_tokens.cli._terminal.console import terminal_width, write_output
from losant_tokens.cli._terminal.format import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from losant_tokens.sinks import Message, Sink

_RECEIVER = Group("Receiver", sort_key=2)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_USUAL_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,39}", re.ASCII)
_URL = re.compile(r"https?:", re.IGNORECASE)
_TOKEN = re.compile(r"\b(the|a|no) token\b")


def _place_of_secret(_: object, place: str | None) -> None:
    """Check the form of the place that holds a URL or a token.

    Raises:
        ValueError: It is neither the name of a variable nor `@FILE`, such as the URL itself.
    """
    if place is None or _VARIABLE.fullmatch(place) or (place.startswith("@") and place[1:]):
        return
    # The value is not repeated, because it may be the secret itself.
    problem = "it is a URL, which other users can see in the list of processes: " * bool(
        _URL.match(place)
    )
    raise ValueError(f"{problem}give the name of an environment variable that holds it, or @FILE")


@Parameter(name="*", group=_RECEIVER)
@frozen(kw_only=True)
class ReceiverOptions:
    """Where a message goes."""

    to_command: Annotated[
        str | None,
        Parameter(metavar="COMMAND", help="Run COMMAND with the message on its standard input."),
    ] = None

    webhook: Annotated[
        str | None,
        Parameter(
            metavar="NAME|@FILE",
            validator=_place_of_secret,
            help="Send JSON to the URL in the variable NAME or in FILE.",
        ),
    ] = None

    webhook_token: Annotated[
        str | None,
        Parameter(
            metavar="NAME|@FILE",
            validator=_place_of_secret,
            help="Send the bearer token in the variable NAME or in FILE as well.",
        ),
    ] = None

    slack_webhook: Annotated[
        str | None,
        Parameter(
            metavar="NAME|@FILE",
            validator=_place_of_secret,
            help="Send to the webhook of Slack in the variable NAME or in FILE.",
        ),
    ] = None

    json: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Write the message as JSON, to stdout or to the command.",
        ),
    ] = False

    def receiver(self) -> "Receiver":
        """Return the receiver, after a check of the options.

        Raises:
            UsageError: Two options contradict each other, or the URL or the command is invalid.
            CommandError: The URL cannot be read.
            SinkError: There is no such command.
        """
        from losant_tokens.sinks import (  # noqa: PLC0415 -- the help does not need it
            CommandSink,
            SlackSink,
            WebhookSink,
        )

        given = {
            "--to-command": self.to_command,
            "--webhook": self.webhook,
            "--slack-webhook": self.slack_webhook,
        }
        names = [name for name, value in given.items() if value is not None]
        if len(names) > 1:
            raise UsageError(f"{names[0]} cannot be combined with {names[1]}")
        if self.json and (self.webhook is not None or self.slack_webhook is not None):
            raise UsageError(f"--json cannot be combined with {names[0]}")
        if self.webhook_token is not None and self.webhook is None:
            raise UsageError("--webhook-token needs --webhook")
        if self.to_command is not None:
            command = CommandSink(self.to_command, format="json" if self.json else "text")
            command.check()
            return Receiver(f"command {self.to_command}", command.command[0], command, self.json)
        if self.webhook is not None:
            url = _read_secret("--webhook", self.webhook)
            hook = WebhookSink(url, headers=self._headers())
            return Receiver(f"webhook {url.reveal()}", hook.host, hook)
        if self.slack_webhook is not None:
            url = _read_secret("--slack-webhook", self.slack_webhook)
            slack = SlackSink(url)
            return Receiver(f"slack {url.reveal()}", slack.host, slack)
        return Receiver("stdout", "standard output", OutputSink(self.json), self.json)

    def _headers(self) -> dict[str, Secret]:
        """Return the further headers of a webhook."""
        if self.webhook_token is None:
            return {}
        token = _read_secret("--webhook-token", self.webhook_token, "token")
        return {"Authorization": Secret(f"Bearer {token.reveal()}")}


@frozen
class Receiver:
    """A receiver of messages.

    Attributes:
        identity: A string that no other receiver has. It may hold a secret.
        name: The receiver, to show: a command or a host.
        sink: The sink.
        as_json: Whether it gets JSON instead of text.
    """

    identity: str = field(repr=False)
    name: str
    sink: "Sink[Message]"
    as_json: bool = False

    @property
    def id(self) -> str:
        """A digest of the receiver, for the name of its ledger."""
        return hashlib.sha256(self.identity.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def without_secrets(self, secrets: "Iterable[Secret]") -> "Sink[Message]":
        """Return the sink, so that the environment of a command holds none of the secrets."""
        from losant_tokens.sinks import CommandSink  # noqa: PLC0415 -- the help does not need it

        if isinstance(self.sink, CommandSink):
            return CommandSink(self.sink.command, format=self.sink.format, secrets=secrets)
        return self.sink


@frozen
class OutputSink:
    """Standard output. Long lines are broken between words on a terminal."""

    as_json: bool

    async def deliver(self, delivery: "Message") -> None:
        """Print a message.

        Raises:
            CommandError: Standard output is closed or full.
            BrokenPipeError: The reader of standard output has closed it.
        """
        if self.as_json or not sys.stdout.isatty():
            write_output(delivery.content("json" if self.as_json else "text").reveal())
            return
        width = terminal_width(sys.stdout)
        lines = [
            part
            for line in delivery.text.split("\n")
            for part in wrapped(line, width, indent="  " if line.startswith("- ") else "")
        ]
        write_output("".join(f"{line}\n" for line in lines))


def _read_secret(option: str, place: str, noun: str = "URL") -> Secret:
    """Return the secret in a variable or a private file.

    Args:
        option: The option, for the message.
        place: The name of the variable, or `@FILE`.
        noun: What the secret is, for the message.

    Raises:
        CommandError: The variable is not set, or the file cannot be read or is not private.
    """
    from losant_tokens.accounts import TokenUnavailable, read_token_file  # noqa: PLC0415 -- see above

    if not place.startswith("@"):
        secret = Secret(os.environ.get(place, "").strip())
        if secret.reveal():
            return secret
        # Another string may be the secret itself, so it is not repeated.
        name = place if _USUAL_VARIABLE.fullmatch(place) else "the environment variable"
        raise CommandError(f"{option}: {name} is not set, or is empty")
    try:
        return read_token_file(place[1:])
    except TokenUnavailable as error:
        # The rules for any file with a secret are the same; only the words differ.
        problem = str(error).removesuffix(".").removeprefix("The token file ")
    problem = _TOKEN.sub(rf"\1 {noun}", problem)
    raise CommandError(f"{option}: {problem}")


def known_tokens(config: Path | None) -> list[Secret]:
    """Return the tokens of all accounts that the environment holds or that were read.

    A command that receives a message needs none of them.

    Args:
        config: The configuration file; None for the default one.
    """
    from losant_tokens.accounts import (  # noqa: PLC0415 -- the help does not need it
        AccountError,
        EnvironmentToken,
        load,
    )

    known = list(tokens_in_memory().values())
    with suppress(AccountError):  # The accounts that are used were read from it without an error.
        sources = [account.token for account in load(config).values()]
        names = [source.name for source in sources if isinstance(source, EnvironmentToken)]
        known += [Secret(os.environ[name]) for name in names if os.environ.get(name)]
    return known


NO_RECEIVER = ReceiverOptions()
