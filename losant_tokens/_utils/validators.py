"""Validators and converters for attrs fields and arguments, with the limits of the API.

An error names the class, the field, the limit, and the length of the value. It shows a value only
if it is short and should have been one of a few words. Any other value may be a secret that was
passed in the wrong place.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, overload

import attrs

from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError

ID_PATTERN = re.compile(r"[A-Fa-f0-9]{24}")
_MAX_SHOWN_LENGTH = 40  # characters; words of the API are shorter, and its tokens are longer


class Field(Protocol):
    """The part of an `attrs.Attribute` that a validator needs."""

    @property
    def name(self) -> str:
        """The name of the field."""


Validator = Callable[[Any, Field, Any], None]


def describe(value: object) -> str:
    """Describe a value for an error message: a short string as it is, others by type and length."""
    if not isinstance(value, str):
        return type(value).__name__
    if len(value) <= _MAX_SHOWN_LENGTH:
        return repr(value)
    return f"a string of {len(value)} characters"


def validation_error(instance: object, field: Field, problem: str) -> ValidationError:
    """Return the error for a value that a validator refuses.

    Args:
        instance: The object that has the field, or the name of its owner.
        field: The field.
        problem: What is wrong, as a phrase that follows the name of the field.
    """
    owner = instance if isinstance(instance, str) else type(instance).__name__
    return ValidationError(f"{owner}.{field.name} {problem}")


def check_argument(validator: Validator, owner: str, name: str, value: object) -> None:
    """Check an argument of a function with a validator.

    Args:
        validator: The validator.
        owner: The name of the function, for the message.
        name: The name of the argument, for the message.
        value: The value of the argument.

    Raises:
        ValidationError: The validator refuses the value.
    """
    validator(owner, _Place(name), value)


def optional(validator: Validator) -> Validator:
    """Return a validator that accepts `None` as well, which leaves the member out."""

    def check(instance: object, field: Field, value: object) -> None:
        if value is not None:
            validator(instance, field, value)

    return check


def utf16_length(text: str) -> int:
    """Return the length of a string in UTF-16 code units, which the API counts (JavaScript)."""
    if text.isascii():
        return len(text)
    return len(text) + sum(character > "\uffff" for character in text)


def string(
    min_length: int = 0,
    max_length: int | None = None,
    pattern: str | None = None,
    *,
    secret: bool = False,
) -> Validator:
    """Return a validator for a string.

    Args:
        min_length: The minimum length, in UTF-16 code units.
        max_length: The maximum length, in UTF-16 code units. Default: no limit.
        pattern: A regular expression that the whole string must match.
        secret: Whether a `Secret` is accepted as well.
    """
    limit = f"{min_length} to {max_length}" if max_length is not None else f"at least {min_length}"
    shape = re.compile(pattern, re.ASCII) if pattern else None

    def problem(value: object) -> str | None:
        plain = value.reveal() if secret and isinstance(value, Secret) else value
        if not isinstance(plain, str):
            return f"must be a string, but it is {type(plain).__name__}"
        length = utf16_length(plain)
        if length < min_length or (max_length is not None and length > max_length):
            units = "" if length == len(plain) else " (UTF-16 code units, which the API counts)"
            return f"must have {limit} characters, but it has {length}{units}"
        if shape and not shape.fullmatch(plain):
            return f"must match {shape.pattern} throughout its {len(plain)} characters"
        if not _encodable(plain):
            return "has half of a surrogate pair, which cannot be sent"
        return None

    # `problem` holds the plain value and never raises. `check` raises and never holds it, so that
    # no traceback shows it.
    def check(instance: object, field: Field, value: object) -> None:
        if found := problem(value):
            raise validation_error(instance, field, found)

    return check


def _encodable(plain: str) -> bool:
    return plain.isascii() or not any("\ud800" <= char <= "\udfff" for char in plain)


def one_of(words: Collection[str]) -> Validator:
    """Return a validator for one of a few words."""
    listed = ", ".join(repr(word) for word in words)

    def check(instance: object, field: Field, value: object) -> None:
        if not isinstance(value, str) or value not in words:
            raise validation_error(
                instance, field, f"must be one of {listed}, but it is {describe(value)}"
            )

    return check


def integer(minimum: int) -> Validator:
    """Return a validator for an integer that is not below a minimum."""

    def check(instance: object, field: Field, value: object) -> None:
        if type(value) is not int or not minimum <= value <= _LARGEST:
            raise validation_error(
                instance,
                field,
                f"must be an integer, at least {minimum}, "
                f"but it is {_number(value) if type(value) is int else describe(value)}",
            )

    return check


_LARGEST = 2**63


def _number(value: object) -> str:
    """Describe a number for an error message; one of thousands of digits would not fit."""
    if isinstance(value, float) or (isinstance(value, int) and abs(value) <= _LARGEST):
        return repr(value)
    return "out of range" if isinstance(value, int) else describe(value)


def positive_number(instance: object, field: Field, value: object) -> None:
    """Check that a value is a number above zero; infinity is accepted."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_above_0(value):
        raise validation_error(
            instance, field, f"must be a number above 0, but it is {_number(value)}"
        )


def _is_above_0(value: float) -> bool:
    try:
        return float(value) > 0
    except OverflowError:
        # The integer is so large that it cannot be added to a time.
        return False


def aware_datetime(instance: object, field: Field, value: object) -> None:
    """Check that a value is a datetime with a time zone, within the years 1 to 9999 in UTC."""
    if not isinstance(value, datetime):
        raise validation_error(
            instance, field, f"must be a datetime, but it is {type(value).__name__}"
        )
    if value.utcoffset() is None:
        raise validation_error(
            instance, field, "must have a time zone, such as datetime(2030, 1, 1, tzinfo=UTC)"
        )
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise validation_error(
            instance, field, "must lie within the years 1 to 9999 in UTC"
        ) from None


def aware_datetime_or(word: object) -> Validator:
    """Return a validator for a datetime with a time zone, or for one other object."""

    def check(instance: object, field: Field, value: object) -> None:
        if value is not word:
            aware_datetime(instance, field, value)

    return check


def instance_of(kind: type) -> Validator:
    """Return a validator for an instance of a class."""

    def check(instance: object, field: Field, value: object) -> None:
        if not isinstance(value, kind):
            raise validation_error(
                instance,
                field,
                f"must be of type {kind.__name__}, but it is {type(value).__name__}",
            )

    return check


def tuple_of(each: Validator, max_length: int | None = None, *, unique: bool = False) -> Validator:
    """Return a validator for a tuple.

    Args:
        each: The validator of each member.
        max_length: The maximum number of members. Default: no limit.
        unique: Whether duplicates are refused.
    """

    def check(instance: object, field: Field, value: tuple[Any, ...]) -> None:
        if not isinstance(value, tuple):
            raise validation_error(
                instance,
                field,
                f"must be a list or tuple{_example(value)}, but it is {type(value).__name__}",
            )
        if max_length is not None and len(value) > max_length:
            raise validation_error(
                instance, field, f"must have at most {max_length} members, but it has {len(value)}"
            )
        for index, item in enumerate(value):
            each(instance, _Place(f"{field.name}[{index}]"), item)
        if unique and len(set(value)) < len(value):
            twice = next(item for item in value if value.count(item) > 1)
            raise validation_error(
                instance, field, f"must have no duplicates, but it has {describe(twice)} twice"
            )

    return check


def _example(value: object) -> str:
    """Return an example of the list that was probably meant, if one item was given instead."""
    return "" if isinstance(value, Mapping) else f", such as [{describe(value)}]"


@attrs.define(eq=False)
class _Place:
    """A place inside a field, such as `scope[3]`."""

    name: str


def is_list_like(value: object) -> bool:
    """Return whether a value can be used as a list.

    A string, bytes or a mapping is iterable, but is not meant as a list: `{}` would be sent as an
    empty list, which removes all roles of a token.
    """
    return isinstance(value, Iterable) and not isinstance(value, _NOT_A_LIST)


_NOT_A_LIST = (str, bytes, bytearray, memoryview, Mapping)


# pyright accepts the overload that fits the type of a field.
@overload
def as_tuple(value: None) -> None: ...
@overload
def as_tuple(value: Iterable[Any]) -> tuple[Any, ...]: ...
def as_tuple(value: Iterable[Any] | None) -> tuple[Any, ...] | None:
    """Convert a list-like value to a tuple. Return any other value for `tuple_of` to refuse."""
    if value is None or not is_list_like(value):
        return value  # type: ignore[return-value]  # the validator refuses it
    return tuple(value)


def instance_with(kind: type, limits: dict[str, Validator]) -> Validator:
    """Return a validator for an instance of a class and for some of its fields.

    Args:
        kind: The class.
        limits: The validators of the fields, by the name of the field.
    """
    is_of_kind = instance_of(kind)

    def check(instance: object, field: Field, value: object) -> None:
        is_of_kind(instance, field, value)
        for name, limit in limits.items():
            limit(instance, _Place(f"{field.name}.{name}"), getattr(value, name))

    return check
