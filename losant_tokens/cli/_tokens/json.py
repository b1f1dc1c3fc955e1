"""Tokens as JSON, with the member names of the API."""

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import attrs

from losant_tokens import ApiToken, OauthDetails, Secret, UserOauthToken
from losant_tokens.cli._errors import UsageError

_NOT_MEMBERS = frozenset({"extra", "unreadable"})
_SECRETS = frozenset({"token"})
_MAX_DEPTH = 100
LAST_SEEN = "lastSeen"
"""The field with the time of the last change that an audit log shows."""


def as_wire(value: Any) -> Any:
    """Return a model as plain values in the format of the API, without secrets.

    Metadata of the response, such as `_type` and `_links`, is left out. Members that could not be
    decoded have their raw value.
    """
    if isinstance(value, datetime):
        return _date(value)
    if isinstance(value, tuple):
        return [as_wire(item) for item in value]
    if attrs.has(type(value)):
        return _members(value)
    return value


def _date(value: datetime) -> str:
    try:
        utc = value.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:  # In UTC, it is outside the years 1 to 9999.
        return value.isoformat(timespec="milliseconds")
    return f"{utc.isoformat(timespec='milliseconds')}Z"


def _members(model: Any) -> dict[str, Any]:
    listed = {
        _wire_name(type(model), attribute): as_wire(member)
        for attribute in attrs.fields(type(model))
        if attribute.name not in _NOT_MEMBERS
        and (member := getattr(model, attribute.name)) is not None
        and not isinstance(member, Secret)
    }
    unlisted = {
        name: _plain(member)
        for name, member in getattr(model, "extra", {}).items()  # audit logs have none
        if name[:1] != "_" and not isinstance(member, Secret)
    }
    # The attribute of an unreadable member has its default; the raw value is in `extra`.
    return listed | unlisted


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a raw value as valid JSON: `null` replaces infinity and values nested too deeply."""
    if depth > _MAX_DEPTH or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, dict):
        return {name: _plain(member, depth + 1) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    return value


def _wire_name(kind: type, attribute: "attrs.Attribute[Any]") -> str:
    first, *rest = attribute.name.split("_")
    camel = first + "".join(map(str.capitalize, rest))
    # The members of `oauth` are in snake_case on the wire, too.
    name: str = attribute.metadata.get("wire", attribute.name if kind is OauthDetails else camel)
    return name


def read_fields(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the members of a token that a user chose: names that are separated by commas.

    Raises:
        UsageError: A token has no such member, or it is secret.
    """
    known = known_fields()
    names = [name for text in texts for name in map(str.strip, text.split(",")) if name]
    for name in names:
        if name not in known:
            raise UsageError(
                f'Invalid value for --json: "{name}" is not a field',
                f"the fields are {', '.join(known)}",
            )
    return tuple(dict.fromkeys(names))


def known_fields() -> tuple[str, ...]:
    """Return the members of a token that a user can choose."""
    names = ("owner", "account", LAST_SEEN, *_wire_names(ApiToken), *_wire_names(UserOauthToken))
    return tuple(dict.fromkeys(names))


def _wire_names(kind: type) -> list[str]:
    return [
        _wire_name(kind, attribute)
        for attribute in attrs.fields(kind)
        if attribute.name not in _NOT_MEMBERS | _SECRETS
    ]


def as_json(value: Any) -> str:
    """Return plain values as a JSON document in ASCII, without characters that a terminal obeys."""
    return json.dumps(value, indent=2) + "\n"
