"""The contract's limits on request bodies, as attrs converters and validators.

Each names the class and field, the limit, and the length of what was given. A value itself is
shown only where it is one of a few words, and short: what was put in the wrong field by mistake
may be a secret.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import attrs

from losant_tokens._secret import Secret
from losant_tokens.errors import ValidationError

ID_PATTERN = re.compile(r"[A-Fa-f0-9]{24}")
_SHOWN = 40  # characters: words of the API are shorter, its tokens are longer


class Field(Protocol):
    """The part of an `attrs.Attribute` that the limits need."""

    @property
    def name(self) -> str:
        """The field's name."""


Validator = Callable[[Any, Field, Any], None]


def describe(value: object) -> str:
    """A value for an error message: short texts as they are, all else by its kind and size."""
    if not isinstance(value, str):
        return type(value).__name__
    return repr(value) if len(value) <= _SHOWN else f"a text of {len(value)} characters"


def validation_error(instance: object, field: Field, problem: str) -> ValidationError:
    owner = instance if isinstance(instance, str) else type(instance).__name__
    return ValidationError(f"{owner}.{field.name} {problem}")


def check_argument(validator: Validator, owner: str, name: str, value: object) -> None:
    """Holds a value that is no attribute, such as an argument of an action, to a limit.

    Raises:
        ValidationError: It is beyond the limit.
    """
    validator(owner, _At(name), value)


def optional(validator: Validator) -> Validator:
    """The same limit, but `None` (leave the member out) passes."""

    def check(instance: object, field: Field, value: object) -> None:
        if value is not None:
            validator(instance, field, value)

    return check


def utf16_length(text: str) -> int:
    """Return the length of a string in UTF-16 code units, as the API counts (it is JavaScript)."""
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
    """Return a validator of a string, or a `Secret`, of a length in UTF-16 code units."""
    limit = f"{min_length} to {max_length}" if max_length is not None else f"at least {min_length}"
    shape = re.compile(pattern, re.ASCII) if pattern else None

    def problem(value: object) -> str | None:
        plain = value.reveal() if secret and isinstance(value, Secret) else value
        if not isinstance(plain, str):
            return f"must be a text, but it is {type(plain).__name__}"
        length = utf16_length(plain)
        if length < min_length or (max_length is not None and length > max_length):
            units = "" if length == len(plain) else " (UTF-16 code units, which the API counts)"
            return f"must have {limit} characters, but it has {length}{units}"
        if shape and not shape.fullmatch(plain):
            return f"must match {shape.pattern} throughout its {len(plain)} characters"
        if not _encodable(plain):
            return "has a lone surrogate, which cannot be sent"
        return None

    # `problem` sees the plain text and never raises; `check` raises and never sees it.
    def check(instance: object, field: Field, value: object) -> None:
        if found := problem(value):
            raise validation_error(instance, field, found)

    return check


def _encodable(plain: str) -> bool:
    return plain.isascii() or not any("\ud800" <= char <= "\udfff" for char in plain)


def one_of(words: Collection[str]) -> Validator:
    """One of a few words."""
    listed = ", ".join(repr(word) for word in words)

    def check(instance: object, field: Field, value: object) -> None:
        if not isinstance(value, str) or value not in words:
            raise validation_error(
                instance, field, f"must be one of {listed}, but it is {describe(value)}"
            )

    return check


def integer(minimum: int) -> Validator:
    """An integer, not below the least."""

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
    """A number for an error message, unless it is too long to be one."""
    if isinstance(value, float) or (isinstance(value, int) and abs(value) <= _LARGEST):
        return repr(value)
    return "out of all bounds" if isinstance(value, int) else describe(value)


def positive_number(instance: object, field: Field, value: object) -> None:
    """Check that a value is a number above zero; infinity is one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_above_0(value):
        raise validation_error(
            instance, field, f"must be a number above 0, but it is {_number(value)}"
        )


def _is_above_0(value: float) -> bool:
    try:
        return float(value) > 0
    except OverflowError:  # an integer that no clock can add to its time
        return False


def aware_datetime(instance: object, field: Field, value: object) -> None:
    """A date and time that says its zone."""
    if not isinstance(value, datetime):
        raise validation_error(
            instance, field, f"must be a datetime, but it is {type(value).__name__}"
        )
    if value.utcoffset() is None:
        raise validation_error(
            instance, field, "must say its time zone, such as datetime(2030, 1, 1, tzinfo=UTC)"
        )
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise validation_error(
            instance, field, "must lie within the years 1 to 9999 in UTC"
        ) from None


def aware_datetime_or(word: object) -> Validator:
    """A date and time that says its zone, or a word of its own."""

    def check(instance: object, field: Field, value: object) -> None:
        if value is not word:
            aware_datetime(instance, field, value)

    return check


def instance_of(kind: type) -> Validator:
    """An instance of one of our classes."""

    def check(instance: object, field: Field, value: object) -> None:
        if not isinstance(value, kind):
            raise validation_error(
                instance, field, f"must be of {kind.__name__}, but it is {type(value).__name__}"
            )

    return check


def tuple_of(each: Validator, max_length: int | None = None, *, unique: bool = False) -> Validator:
    """Return a validator of a tuple: its length, each member, and with `unique` no member twice."""

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
            each(instance, _At(f"{field.name}[{index}]"), item)
        if unique and len(set(value)) < len(value):
            twice = next(item for item in value if value.count(item) > 1)
            raise validation_error(
                instance, field, f"must have no member twice, but it has {describe(twice)}"
            )

    return check


def _example(value: object) -> str:
    """Return the list that was probably meant, if one item was given in its place."""
    return "" if isinstance(value, Mapping) else f", such as [{describe(value)}]"


@attrs.define(eq=False)  # not frozen: it is made for each option that is checked
class _At:
    """A place inside a field: `scope[3]`."""

    name: str


def is_list_like(value: object) -> bool:
    """Return whether a value can be taken for a list.

    A string, bytes or a mapping is iterable, but was meant as something else: `{}` would be sent as
    an empty list, and that takes all roles from a token.
    """
    return isinstance(value, Iterable) and not isinstance(value, _NOT_A_LIST)


_NOT_A_LIST = (str, bytes, bytearray, memoryview, Mapping)


def as_tuple(value: Iterable[Any] | None) -> tuple[Any, ...] | None:
    """Return any list-like value as a tuple; any other is left for `tuple_of` to refuse."""
    if value is None or not is_list_like(value):
        return value  # type: ignore[return-value]  # the validator says what is wrong with it
    return tuple(value)


def instance_with(kind: type, limits: dict[str, Validator]) -> Validator:
    """An instance of one of our classes, each of whose fields is within its own limit."""
    is_of_kind = instance_of(kind)

    def check(instance: object, field: Field, value: object) -> None:
        is_of_kind(instance, field, value)
        for name, limit in limits.items():
            limit(instance, _At(f"{field.name}.{name}"), getattr(value, name))

    return check
