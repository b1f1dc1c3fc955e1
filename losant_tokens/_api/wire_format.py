"""Names and values in the format of the API, and models as JSON."""

import json
import math
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any, cast

import attrs

from losant_tokens._utils.secret import Secret

META = frozenset({"extra", "is_stated", "unreadable", "unreadable_items"})
"""Attributes that are not members of the JSON."""

_MAX_DEPTH = 100  # of a raw value that a server has sent


class WireModel:
    """The base class of all response models: they can be written in the format of the API."""

    __slots__ = ()

    def to_dict(self, *, reveal_secrets: bool = False) -> dict[str, Any]:
        """Return the model as plain values, with the member names of the API, in camelCase.

        Members that are absent are left out. Those without an attribute, and those that could not
        be read, are included as the API sent them, from `extra`: look at them before you publish
        them. A secret is `****`.

        Args:
            reveal_secrets: Whether the values of secrets are included. Default: False.
        """
        return _written(self, reveal_secrets=reveal_secrets)

    def to_json(self, *, reveal_secrets: bool = False, indent: int | None = None) -> str:
        """Return the model as JSON in ASCII, with the member names of the API.

        Args:
            reveal_secrets: Whether the values of secrets are included. Default: False.
            indent: The number of spaces for each level. Default: everything in one line.
        """
        return json.dumps(_written(self, reveal_secrets=reveal_secrets), indent=indent)


def _written(model: Any, *, reveal_secrets: bool) -> dict[str, Any]:
    written = {
        wire: _plain(member, reveal_secrets=reveal_secrets)
        for name, wire in _members(cast("Any", type(model)))
        if (member := getattr(model, name)) is not None
    }
    # An entry of an audit log that cannot be read is `null`, because nothing of it is kept.
    if unreadable := getattr(model, "unreadable_items", ()):
        written["items"] += _plain(unreadable, reveal_secrets=reveal_secrets)
    # The attribute of a member that could not be read has its default; the raw value is in `extra`.
    for name, member in getattr(model, "extra", {}).items():
        written[name] = _plain(member, reveal_secrets=reveal_secrets)
    return written


def _plain(value: object, depth: int = 0, *, reveal_secrets: bool) -> Any:
    """Return a value as JSON values. `null` replaces infinity and values nested too deeply."""
    plain: Any = None
    match value:
        case str() | bool() | int():
            plain = value
        case float() if math.isfinite(value):
            plain = value
        case datetime():
            plain = write_datetime(value)
        case Secret():
            plain = value.reveal() if reveal_secrets else str(value)
        case WireModel():
            plain = _written(value, reveal_secrets=reveal_secrets)
        case dict() if depth <= _MAX_DEPTH:
            plain = {
                name: _plain(member, depth + 1, reveal_secrets=reveal_secrets)
                for name, member in value.items()
            }
        case list() | tuple() if depth <= _MAX_DEPTH:
            plain = [_plain(item, depth + 1, reveal_secrets=reveal_secrets) for item in value]
    return plain


@cache
def _members(kind: Any) -> tuple[tuple[str, str], ...]:
    return tuple((name, wire) for name, wire in wire_names(kind) if name not in META)


def wire_names(kind: Any) -> Iterator[tuple[str, str]]:
    """Yield the attributes of a class, each with its name on the wire.

    Args:
        kind: A class of attrs. Its names are camelCase on the wire unless it is a `SnakeCase`.
    """
    for attribute in attrs.fields(kind):
        is_snake = issubclass(kind, SnakeCase)
        name = attribute.name if is_snake else _camel(attribute.name)
        yield attribute.name, attribute.metadata.get("wire", name)


class SnakeCase:
    """The base class of classes whose names are snake_case on the wire as well."""

    __slots__ = ()


def _camel(snake: str) -> str:
    first, *others = snake.split("_")
    return first + "".join(map(str.capitalize, others))


def write_datetime(value: datetime) -> str:
    """Return a datetime in the format of the API: `2016-06-13T04:00:00.000Z`.

    A datetime outside the years 1 to 9999 in UTC keeps its own offset.

    Args:
        value: A datetime with a time zone.
    """
    try:
        utc = (value - value.utcoffset()).replace(tzinfo=None)  # type: ignore[operator]  # aware
    except OverflowError:
        return value.isoformat(timespec="milliseconds")
    return f"{utc.isoformat(timespec='milliseconds')}Z"
