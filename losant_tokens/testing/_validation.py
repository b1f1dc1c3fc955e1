"""Validation of parameters and bodies, with the messages of Losant's server framework.

bravado-core reports only the first problem, for example `apiToken.name is required`. The checks run
in the order of its validator (is-my-json-valid). A message never quotes a value, because a body may
contain a password.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


def first_problem(schema: Mapping[str, Any], value: object, path: str) -> str | None:
    """Return the first problem of a value as `<path> <message>`, or `None` if it is valid.

    Args:
        schema: A JSON Schema with the keywords that Losant's contract uses.
        value: The parsed JSON.
        path: The path of the value, for example `apiToken`; empty for the parameters themselves.
    """
    if not _TYPES.get(schema.get("type", ""), _is_anything)(value):
        return f"{path} is the wrong type"
    for check in _CHECKS:
        if problem := check(schema, value, path):
            return problem
    return None


def utf16_length(text: str) -> int:
    """Return the length of a string in UTF-16 code units, as JavaScript counts."""
    return len(text) + sum(character > "\uffff" for character in text)


def read_date(text: str) -> datetime:
    """Read a date and time in the format of RFC 3339.

    Raises:
        ValueError: The string has another format, or the date does not exist.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError("is not in the format of RFC 3339")
    return datetime.fromisoformat(text.upper())


def _is_anything(_: object) -> bool:
    return True


def _is_integer(value: object) -> bool:
    # JavaScript has one type of number, in which 60.0 and infinity are integers.
    if isinstance(value, float):
        return value == value // 1 or abs(value) == float("inf")
    return isinstance(value, int) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "null": lambda value: value is None,
}


def _is_date_time(text: str) -> bool:
    try:
        read_date(text)
    except ValueError:
        return False
    return True


_FORMATS: Mapping[str, Callable[[str], object]] = {
    "date-time": _is_date_time,
    "email": _EMAIL.fullmatch,
    "uri": _ABSOLUTE_URI.fullmatch,
}


def _at(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _format(schema: Mapping[str, Any], value: Any, path: str) -> str | None:
    if "format" in schema and not _FORMATS[schema["format"]](value):
        return f"{path} must be {schema['format']} format"
    return None


def _required(schema: Mapping[str, Any], value: Any, path: str) -> str | None:
    for name in schema.get("required", ()):
        if name not in value:
            return f"{_at(path, name)} is required"
    return None


def _unique(schema: Mapping[str, Any], value: Any, path: str) -> str | None:
    # The contract has uniqueItems only on lists of strings; other items fail the type check.
    if schema.get("uniqueItems") and len({repr(item) for item in value}) < len(value):
        return f"{path} must be unique"
    return None


def _enum(schema: Mapping[str, Any], value: Any, path: str) -> str | None:
    if "enum" in schema and value not in _members(tuple(schema["enum"])):
        return f"{path} must be an enum value"
    return None


@cache
def _members(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(words)


def _additional(schema: Mapping[str, Any], value: Any, path: str) -> str | None:
    if schema.get("additionalProperties") is False and value.keys() - schema["properties"].keys():
        return f"{path} has additional properties"
    return None


def _items(schema: Mapping[str, Any], value: Any, path: str) -> str | None:
    if "items" in schema:
        for index, item in enumerate(value):
            if problem := first_problem(schema["items"], item, _at(path, index)):
                return problem
    return None


def _pattern(schema: Mapping[str, Any], value: Any, path: str) -> str | None:
    # JavaScript's `$` matches only at the end; Python's also matches before a final line break.
    if "pattern" in schema and (
        value.endswith("\n") or not re.search(schema["pattern"], value, re.ASCII)
    ):
        return f"{path} pattern mismatch"
    return None


def _one_of(schema: Mapping[str, Any], value: Any, path: str) -> str | None:
    if "oneOf" in schema:
        matches = sum(first_problem(option, value, path) is None for option in schema["oneOf"])
        if matches != 1:
            return f"{path} no (or more than one) schemas match"
    return None


def _bounds(schema: Mapping[str, Any], value: Any, path: str) -> str | None:
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        return f"{path} has more items than allowed"
    if "maxLength" in schema and utf16_length(value) > schema["maxLength"]:
        return f"{path} has longer length than allowed"
    if "minLength" in schema and utf16_length(value) < schema["minLength"]:
        return f"{path} has less length than allowed"
    if "minimum" in schema and value < schema["minimum"]:
        return f"{path} is less than minimum"
    if "maximum" in schema and value > schema["maximum"]:
        return f"{path} is more than maximum"
    return None


def _properties(schema: Mapping[str, Any], value: Any, path: str) -> str | None:
    for name, member in schema.get("properties", {}).items():
        if name in value and (problem := first_problem(member, value[name], _at(path, name))):
            return problem
    return None


_CHECKS = (
    _format,
    _required,
    _unique,
    _enum,
    _additional,
    _items,
    _pattern,
    _one_of,
    _bounds,
    _properties,
)
