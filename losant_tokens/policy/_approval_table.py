"""Read the key `approval` of a policy file."""

import re
from collections.abc import Iterator
from typing import Any

import attrs

from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError
from losant_tokens.policy._approval import MANUAL, Approval
from losant_tokens.policy._values import Problem, Wrong, read_text, require, unknown_key

MANUAL_WORD = "manual"
# A plan without a change needs no approval, so below 1 would never happen.
MIN_AUTO_BELOW = 2
VARIABLE_PATTERN = "[A-Za-z_][A-Za-z0-9_]*"
"""A regular expression for names of variables, which is valid in JSON Schema, too."""
_VARIABLE = re.compile(VARIABLE_PATTERN, re.ASCII)
_KEYS = tuple(one.name for one in attrs.fields(Approval))


def read_approval(value: Any, _: Any) -> Approval:
    """Return the approval of a clean-up: the word `manual`, or a table."""
    if value == MANUAL_WORD:
        return MANUAL
    if not isinstance(value, dict) or not value:
        raise Wrong([((), 'must be "manual", or a table such as { auto_below = 50 }')])
    members: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, content in value.items():
        try:
            members[key] = _member(key, content)
        except Wrong as error:
            problems += error.below(key)
    problems += contradictions(value)
    if problems:
        raise Wrong(problems)
    return Approval(**members)


def _member(key: str, value: Any) -> Any:
    if key not in _KEYS:
        raise Wrong([((), unknown_key(key, _KEYS))])
    if key == "auto_below":
        return _read_auto_below(value)
    text = read_text(value, None)
    return read_webhook(text) if key == "webhook" else read_variable(text)


def _read_auto_below(value: Any) -> int:
    require(value, int, "an integer")
    if value < MIN_AUTO_BELOW:
        raise Wrong([((), f"must be at least {MIN_AUTO_BELOW}, but it is {value}")])
    return int(value)


def read_webhook(text: str) -> Secret:
    """Return the URL of a webhook.

    Raises:
        Wrong: It is no safe URL.
    """
    from losant_tokens.sinks._http import check_url  # noqa: PLC0415 -- few policies need it

    url = Secret(text)
    try:
        check_url(url)
    except ValidationError as error:
        problem = str(error).removeprefix("The URL of the webhook ")
        raise Wrong([((), problem)]) from None
    return url


def read_variable(text: str) -> str:
    """Return the name of an environment variable.

    Raises:
        Wrong: It is no such name.
    """
    if not _VARIABLE.fullmatch(text):
        # The value is not repeated, because it may be the secret itself.
        raise Wrong([((), "must be the name of an environment variable that holds the value")])
    return text


def contradictions(data: dict[str, Any]) -> Iterator[Problem]:
    """Yield the contradictions between the keys of a table with a webhook."""
    if "webhook" in data and "webhook_env" in data:
        yield ("webhook_env",), "contradicts webhook: leave one of them out"
    if "secret_env" in data and not {"webhook", "webhook_env"} & data.keys():
        yield ("secret_env",), "needs webhook or webhook_env, because it signs their requests"
