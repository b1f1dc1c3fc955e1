"""The values that sinks deliver, and the protocol of a sink."""

import inspect
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeVar

from attrs import field, frozen

from losant_tokens._api.owner import Owner
from losant_tokens._utils import validators
from losant_tokens._utils.safe_text import for_environment, printable
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError

Format = Literal["text", "json"]
check_format = validators.one_of(("text", "json"))

_ID = validators.string(pattern=validators.ID_PATTERN.pattern)

VARIABLES = ("LOSANT_TOKEN_", "LOSANT_MESSAGE_")
"""The starts of the names of the environment variables that describe a delivery."""

Delivered_contra = TypeVar("Delivered_contra", contravariant=True)


class Sink(Protocol[Delivered_contra]):
    """A place that receives deliveries: any object with the coroutine method `deliver`.

    A `Sink[TokenSecret]` receives the secrets of new tokens, and a `Sink[Message]` messages.
    """

    async def deliver(self, delivery: Delivered_contra) -> None:
        """Deliver something, and return only when the receiver has it.

        The same delivery may come twice, because a process can be killed after it delivered and
        before it recorded that.

        Args:
            delivery: The secret or the message.

        Raises:
            SinkError: The receiver does not have it, or may not have it.
        """
        ...


def check_sink(owner: str, sink: object) -> None:
    """Check that an argument is a sink, before anything is done that needs one.

    Args:
        owner: The name of the function that has the argument `sink`, for the message.
        sink: The value of the argument.

    Raises:
        ValidationError: It has no method `deliver`, or one without `async`.
    """
    deliver = getattr(sink, "deliver", None)
    function = inspect.unwrap(getattr(deliver, "__func__", deliver)) if callable(deliver) else None
    is_plain = inspect.isfunction(function) and not inspect.iscoroutinefunction(function)
    if function is None or is_plain:
        problem = "is not a coroutine: write `async def deliver`" if is_plain else "is missing"
        raise ValidationError(
            f"{owner}.sink must have the coroutine method deliver, but that of "
            f"{type(sink).__name__} {problem}"
        )


@frozen(kw_only=True, init=False)
class TokenSecret:
    """The secret of a new token, with the facts that say where it belongs.

    Raises:
        ValidationError: A value has the wrong type, or an id is not 24 hexadecimal digits.
    """

    secret: Secret = field(validator=validators.string(1, secret=True))
    """The secret; a string is made a `Secret`."""
    token_id: str = field(validator=_ID)
    """The id of the new token."""
    name: str = field(default="", validator=validators.instance_of(str))
    """The name of the token."""
    owner: Owner | None = field(
        default=None, validator=validators.optional(validators.instance_of(Owner))
    )
    """The owner of the token, or `None`."""
    replaces: str | None = field(default=None, validator=validators.optional(_ID))
    """The id of the token that it replaces, or `None`."""
    expires_at: datetime | None = field(
        default=None, validator=validators.optional(validators.aware_datetime)
    )
    """When the new token expires, or `None`."""

    def __init__(
        self,
        *,
        secret: str | Secret,
        token_id: str,
        name: str = "",
        owner: Owner | None = None,
        replaces: str | None = None,
        expires_at: datetime | None = None,
    ) -> None:
        # The secret is wrapped before anything can raise, so that no traceback shows it.
        secret = Secret.of(secret)
        self.__attrs_init__(
            secret=secret,
            token_id=token_id,
            name=name,
            owner=owner,
            replaces=replaces,
            expires_at=expires_at,
        )

    @property
    def facts(self) -> dict[str, str | None]:
        """The facts as JSON has them, without the secret."""
        expires = None if self.expires_at is None else self.expires_at.astimezone(UTC)
        return {
            "id": self.token_id,
            "name": self.name,
            "owner": None if self.owner is None else str(self.owner),
            "replaces": self.replaces,
            "expires": None if expires is None else f"{expires:%Y-%m-%dT%H:%M:%SZ}",
        }

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets in the delivery."""
        return (self.secret,)

    @property
    def environ(self) -> dict[str, str]:
        """The facts as environment variables, such as `LOSANT_TOKEN_ID`, without the secret."""
        return {
            f"LOSANT_TOKEN_{name.upper()}": for_environment(value)
            for name, value in self.facts.items()
            if value is not None
        }

    def content(self, form: Format) -> Secret:
        """Return the secret alone, or with the facts as one line of JSON.

        Args:
            form: `text` or `json`.
        """
        if form == "text":
            return self.secret
        return Secret(json.dumps(self.facts | {"token": self.secret.reveal()}) + "\n")


def _lines(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(printable(line) for line in lines)


def _data(data: Mapping[str, Any]) -> dict[str, Any]:
    return dict(data)


@frozen(kw_only=True)
class Message:
    """A message for people and programs. Control characters are escaped."""

    id: str = field(converter=printable)
    """The id of the message. It stays the same if the message is delivered again, so that a
    receiver can drop the second one.
    """
    title: str = field(converter=printable)
    """One line that says what the message is about."""
    lines: tuple[str, ...] = field(default=(), converter=_lines)
    """The lines of the message as plain text."""
    data: Mapping[str, Any] = field(factory=dict, converter=_data)
    """The message for programs, as values that JSON has."""

    @property
    def text(self) -> str:
        """The title and the lines, with an empty line between them."""
        return "\n".join((self.title, "", *self.lines) if self.lines else (self.title,))

    @property
    def document(self) -> dict[str, Any]:
        """The message as JSON has it, with `id`, `title`, `text` and the members of `data`."""
        return {**self.data, "id": self.id, "title": self.title, "text": self.text}

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """No secrets, because a message has none."""
        return ()

    @property
    def environ(self) -> dict[str, str]:
        """`LOSANT_MESSAGE_ID` and `LOSANT_MESSAGE_TITLE`, as environment variables."""
        return {
            "LOSANT_MESSAGE_ID": for_environment(self.id),
            "LOSANT_MESSAGE_TITLE": for_environment(self.title),
        }

    def content(self, form: Format) -> Secret:
        """Return the text, or the document as one line of JSON.

        Args:
            form: `text` or `json`.
        """
        return Secret((self.text if form == "text" else json.dumps(self.document)) + "\n")
