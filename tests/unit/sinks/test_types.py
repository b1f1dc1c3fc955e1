"""The values that sinks deliver."""

import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest

from losant_tokens import AsyncClient, Owner
from losant_tokens.errors import ValidationError
from losant_tokens.sinks import CommandSink, Message, SinkError, StdoutSink, TokenSecret
from losant_tokens.sinks._types import check_sink
from tests.support.traceback_secrets import frames_that_hold

ID = "575ec7417ae143cd83dc4a95"
OLD = "575ec7417ae143cd83dc4a96"
APPLICATION = "575ec8687ae143cd83dc4a97"


def test_facts_of_a_token() -> None:
    """The environment of a command has all known facts, and never the secret."""
    delivery = TokenSecret(
        secret="hunter2hunter2",
        token_id=ID,
        name="ci\0\ud800",
        owner=Owner.application(APPLICATION),
        replaces=OLD,
        expires_at=datetime(2027, 3, 1, 12, tzinfo=UTC),
    )

    assert delivery.environ == {
        "LOSANT_TOKEN_ID": ID,
        "LOSANT_TOKEN_NAME": "ci?",
        "LOSANT_TOKEN_OWNER": f"application:{APPLICATION}",
        "LOSANT_TOKEN_REPLACES": OLD,
        "LOSANT_TOKEN_EXPIRES": "2027-03-01T12:00:00Z",
    }
    assert "hunter2" not in repr(delivery)


def test_content_of_a_token() -> None:
    """The content is the secret without a line break, or one line of JSON with all facts."""
    delivery = TokenSecret(secret="hunter2", token_id=ID)

    assert delivery.content("text").reveal() == "hunter2"
    assert json.loads(delivery.content("json").reveal()) == {
        "id": ID,
        "name": "",
        "owner": None,
        "replaces": None,
        "expires": None,
        "token": "hunter2",
    }
    assert set(delivery.environ) == {"LOSANT_TOKEN_ID", "LOSANT_TOKEN_NAME"}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("secret", ""),
        ("secret", "half \ud800"),
        ("token_id", "../../etc/passwd"),
        ("replaces", "x"),
        ("expires_at", datetime(2027, 1, 1)),  # noqa: DTZ001 -- without a time zone
    ],
)
def test_token_is_checked(argument: str, value: object) -> None:
    """A value that cannot be right is refused, and the message does not show it."""
    arguments: dict[str, object] = {"secret": "hunter2", "token_id": ID, argument: value}
    with pytest.raises(ValidationError, match=f"TokenSecret.{argument}") as caught:
        TokenSecret(**arguments)  # type: ignore[arg-type]

    assert "passwd" not in str(caught.value)


@pytest.mark.parametrize(
    "create",
    [
        lambda secret: TokenSecret(secret=secret, token_id="x"),
        lambda secret: CommandSink("", secrets=[secret]),
        lambda secret: AsyncClient(secret, timeout=-1),
    ],
)
def test_refused_arguments(create: Callable[[str], object]) -> None:
    """A traceback of an argument that is refused shows no secret, and can show the object."""
    with pytest.raises(ValidationError) as caught:
        create("hunter2")

    assert frames_that_hold(caught.value, "hunter2") == []


def test_message() -> None:
    """A message is text for people, JSON for programs, and shows control characters escaped."""
    message = Message(id="7", title="2 tokens", lines=["a\x1b[2J", "b\u202e"], data={"count": 2})

    assert message.text == "2 tokens\n\na\\x1b[2J\nb\\u202e"
    assert message.content("text").reveal() == f"{message.text}\n"
    assert json.loads(message.content("json").reveal()) == {
        "count": 2,
        "id": "7",
        "title": "2 tokens",
        "text": message.text,
    }
    assert message.environ == {"LOSANT_MESSAGE_ID": "7", "LOSANT_MESSAGE_TITLE": "2 tokens"}
    assert Message(id="7", title="none").text == "none"


def test_error_survives_a_pickle() -> None:
    """An error from another process says whether the receiver may have the delivery."""
    sent = SinkError("no", ambiguous=False, is_reported=True, is_temporary=True)
    error = pickle.loads(pickle.dumps(sent))

    assert (str(error), error.ambiguous, error.is_reported) == ("no", False, True)
    assert (error.is_temporary, SinkError("no").is_temporary) == (True, False)


class _Blocking:
    def deliver(self, delivery: Message) -> None:
        """Do nothing."""


class _Wrapped(StdoutSink):
    @wraps(StdoutSink.deliver)
    def deliver(self, delivery: Message) -> object:  # type: ignore[override]
        return super().deliver(delivery)


def test_sinks_are_checked() -> None:
    """A method without `async`, or none at all, is refused. A wrapped or callable one is not."""
    for sink, problem in ((_Blocking(), "_Blocking is not a coroutine"), (print, "is missing")):
        with pytest.raises(ValidationError, match=rf"notify\.sink must .* {problem}"):
            check_sink("notify", sink)

    for good in (StdoutSink(), _Wrapped(), SimpleNamespace(deliver=AsyncMock())):
        check_sink("notify", good)
