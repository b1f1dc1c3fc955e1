"""Tokens as JSON, with the members that they have on the wire."""

import json
from datetime import UTC, datetime
from typing import Any

import attrs

from losant_tokens import OauthDetails, Secret


def as_wire(value: Any) -> Any:
    """A model as plain values, as the API writes them, but never a secret.

    What an answer says about itself (`_type`, `_links` and their like) is left out.
    """
    if isinstance(value, datetime):
        utc = value.astimezone(UTC).replace(tzinfo=None)
        return f"{utc.isoformat(timespec='milliseconds')}Z"
    if isinstance(value, tuple):
        return [as_wire(item) for item in value]
    if attrs.has(type(value)):
        return _members(value)
    return value


def _members(model: Any) -> dict[str, Any]:
    listed = {
        _wire_name(type(model), attribute): as_wire(member)
        for attribute in attrs.fields(type(model))
        if attribute.name != "extra"
        and (member := getattr(model, attribute.name)) is not None
        and not isinstance(member, Secret)
    }
    beyond = {name: member for name, member in model.extra.items() if name[:1] != "_"}
    return listed | beyond


def _wire_name(kind: type, attribute: "attrs.Attribute[Any]") -> str:
    first, *others = attribute.name.split("_")
    camel = first + "".join(map(str.capitalize, others))
    # The members of `oauth` are snake_case on the wire, too.
    name: str = attribute.metadata.get("wire", attribute.name if kind is OauthDetails else camel)
    return name


def as_json(value: Any) -> str:
    """Plain values as a JSON document for people and programs, in ASCII: no terminal obeys it."""
    return json.dumps(value, indent=2) + "\n"
