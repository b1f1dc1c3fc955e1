"""Validators: the values that they accept, and the errors for other values."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import ResourceRole, Secret
from losant_tokens._utils import validators
from losant_tokens.errors import ValidationError

LONG = "x" * 41
INF = float("inf")
NAN = float("nan")


class Zoneless(tzinfo):
    """A time zone without an offset."""

    def utcoffset(self, _: datetime | None) -> None:
        return None

    def dst(self, _: datetime | None) -> None:
        return None

    def tzname(self, _: datetime | None) -> None:
        return None


GOOD: list[tuple[validators.Validator, list[Any]]] = [
    (validators.string(), ["", "a", "x" * 100_000, "ä", "\U0001f600", "\n"]),
    (validators.string(2, 3), ["ab", "abc", "äöü", "\U0001f600", "\U0001f600a"]),
    (validators.string(pattern="[a-f]+"), ["a", "abcdef"]),
    (
        validators.string(pattern=validators.ID_PATTERN.pattern),
        ["a" * 24, "0" * 24, "abcdefABCDEF0123456789ab"],
    ),
    (validators.optional(validators.string(2)), [None, "ab"]),
    (validators.one_of(("a", "b")), ["a", "b"]),
    (validators.integer(minimum=0), [0, 1, 2**53]),
    (validators.integer(minimum=1), [1, 2]),
    (validators.positive_number, [1, 0.001, 5e-324, INF]),
    (
        validators.aware_datetime,
        [
            datetime(2030, 1, 1, tzinfo=UTC),
            datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=-5))),
        ],
    ),
    (validators.aware_datetime_or("never"), ["never", datetime(2030, 1, 1, tzinfo=UTC)]),
    (validators.instance_of(ResourceRole), [ResourceRole("a", "view")]),
    (validators.tuple_of(validators.string(1)), [(), ("a",), ("a", "a"), ("a",) * 1000]),
    (validators.tuple_of(validators.string(1), max_length=2), [(), ("a", "b")]),
    (validators.tuple_of(validators.string(1), unique=True), [(), ("a", "b", "A")]),
    (
        validators.instance_with(ResourceRole, {"role": validators.one_of(("view",))}),
        [ResourceRole("", "view")],
    ),
]


@pytest.mark.parametrize(
    ("limit", "value"), [(limit, value) for limit, values in GOOD for value in values]
)
def test_accepted(limit: validators.Validator, value: object) -> None:
    """A value within the limits is accepted."""
    validators.check_argument(limit, "Thing", "part", value)


BAD: list[tuple[validators.Validator, object, str]] = [
    (validators.string(), 1, "must be a string, but it is int"),
    (validators.string(), None, "must be a string, but it is NoneType"),
    (validators.string(), b"a", "must be a string, but it is bytes"),
    (validators.string(1, 3), "", "must have 1 to 3 characters, but it has 0"),
    (validators.string(1, 3), "abcd", "must have 1 to 3 characters, but it has 4"),
    (
        validators.string(3),
        "\U0001f600",
        "must have at least 3 characters, but it has 2 (UTF-16 code un",
    ),
    (validators.string(pattern="[a-f]+"), "abg", "must match [a-f]+ throughout its 3 characters"),
    (validators.string(pattern="[a-f]+"), "ab\n", "must match [a-f]+ throughout its 3 characters"),
    (validators.string(pattern="[a-f]+"), "", "must match [a-f]+ throughout its 0 characters"),
    (validators.string(pattern=r"\w"), "ä", r"must match \w throughout its 1 characters"),
    (validators.string(), "a\ud800", "has half of a surrogate pair, which cannot be sent"),
    (
        validators.optional(validators.string(2)),
        "a",
        "must have at least 2 characters, but it has 1",
    ),
    (validators.one_of(("a", "b")), "c", "must be one of 'a', 'b', but it is 'c'"),
    (validators.one_of(("a", "b")), "", "must be one of 'a', 'b', but it is ''"),
    (validators.one_of(("a", "b")), None, "must be one of 'a', 'b', but it is NoneType"),
    (validators.one_of(("a", "b")), ["a"], "must be one of 'a', 'b', but it is list"),
    (validators.one_of(("a",)), "x" * 40, f"must be one of 'a', but it is '{'x' * 40}'"),
    (validators.one_of(("a",)), LONG, "must be one of 'a', but it is a string of 41 characters"),
    (validators.integer(minimum=0), -1, "must be an integer, at least 0, but it is -1"),
    (validators.integer(minimum=1), 0, "must be an integer, at least 1, but it is 0"),
    (validators.integer(minimum=1), True, "must be an integer, at least 1, but it is bool"),
    (validators.integer(minimum=1), 1.0, "must be an integer, at least 1, but it is float"),
    (validators.integer(minimum=1), "1", "must be an integer, at least 1, but it is '1'"),
    (
        validators.integer(minimum=1),
        LONG,
        "must be an integer, at least 1, but it is a string of 41 c",
    ),
    (validators.integer(minimum=1), None, "must be an integer, at least 1, but it is NoneType"),
    (validators.positive_number, 0, "must be a number above 0, but it is 0"),
    (validators.positive_number, -0.5, "must be a number above 0, but it is -0.5"),
    (validators.positive_number, NAN, "must be a number above 0, but it is nan"),
    (validators.positive_number, -INF, "must be a number above 0, but it is -inf"),
    (validators.positive_number, True, "must be a number above 0, but it is True"),
    (validators.positive_number, "1", "must be a number above 0, but it is '1'"),
    (validators.positive_number, None, "must be a number above 0, but it is NoneType"),
    (validators.aware_datetime, "2030-01-01", "must be a datetime, but it is str"),
    (validators.aware_datetime, datetime(2030, 1, 1).date(), "must be a datetime, but it is date"),  # noqa: DTZ001
    (
        validators.aware_datetime,
        datetime(2030, 1, 1),  # noqa: DTZ001
        "must have a time zone, such as datetime(2030",
    ),
    (
        validators.aware_datetime,
        datetime(2030, 1, 1, tzinfo=Zoneless()),
        "must have a time zone, such as",
    ),
    (validators.aware_datetime_or("never"), "later", "must be a datetime, but it is str"),
    (validators.instance_of(ResourceRole), {}, "must be of type ResourceRole, but it is dict"),
    (
        validators.tuple_of(validators.string(1)),
        "a",
        "must be a list or tuple, such as ['a'], but it is str",
    ),
    (
        validators.tuple_of(validators.string()),
        LONG,
        "such as [a string of 41 characters], but it is str",
    ),
    (
        validators.tuple_of(validators.string(1)),
        1,
        "must be a list or tuple, such as [int], but it is int",
    ),
    (
        validators.tuple_of(validators.string(1), max_length=2),
        ("a",) * 3,
        "must have at most 2 members, but it has 3",
    ),
    (
        validators.tuple_of(validators.string(), unique=True),
        ("a", "b", "b"),
        "no duplicates, but it has 'b' twice",
    ),
    (
        validators.tuple_of(validators.string(), unique=True),
        (LONG, LONG),
        "but it has a string of 41 characters",
    ),
    (
        validators.instance_with(ResourceRole, {}),
        "view",
        "must be of type ResourceRole, but it is str",
    ),
]


@pytest.mark.parametrize(("limit", "value", "expected"), BAD)
def test_refused(limit: validators.Validator, value: object, expected: str) -> None:
    """A value beyond a limit is refused with a message that names both."""
    with pytest.raises(ValidationError) as caught:
        validators.check_argument(limit, "Thing", "part", value)
    assert str(caught.value).startswith("Thing.part ")
    assert expected in str(caught.value)


@pytest.mark.parametrize("least", [0, 1])
def test_huge_integer(least: int) -> None:
    """An integer with too many digits to print is refused like any other."""
    with pytest.raises(ValidationError, match="must be an integer"):
        validators.check_argument(validators.integer(minimum=least), "Thing", "part", -(10**5000))


def test_huge_positive_number() -> None:
    """Such an integer is refused as a positive number as well."""
    with pytest.raises(ValidationError, match="must be a number above 0"):
        validators.check_argument(validators.positive_number, "Thing", "part", -(10**5000))


def test_place_of_the_problem() -> None:
    """The message names the place inside a list or an object."""
    role = validators.instance_with(ResourceRole, {"role": validators.one_of(("view",))})
    value = (ResourceRole("a", "view"), ResourceRole("a", "admin"))
    with pytest.raises(ValidationError) as caught:
        validators.check_argument(validators.tuple_of(role), "Thing", "roles", value)
    assert str(caught.value) == "Thing.roles[1].role must be one of 'view', but it is 'admin'"


def test_attrs_field() -> None:
    """As a validator of an attrs field, the message names the class and the field."""

    @attrs.frozen
    class Parcel:
        size: int = attrs.field(validator=validators.integer(minimum=1))

    with pytest.raises(ValidationError, match=r"^Parcel\.size must be an integer"):
        Parcel(0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", "''"),
        ("it's", '"it\'s"'),
        ("x" * 40, f"'{'x' * 40}'"),
        (LONG, "a string of 41 characters"),
        (b"abc", "bytes"),
        (12345, "int"),
        (None, "NoneType"),
        (Secret("a"), "Secret"),
        (["a"], "list"),
    ],
)
def test_describe(value: object, expected: str) -> None:
    """`describe` shows only short strings, because other values may be secret."""
    assert expected == validators.describe(value)


@given(st.text(min_size=41, max_size=200))
def test_long_strings_are_not_described(text: str) -> None:
    """`describe` never shows a string as long as a token."""
    assert validators.describe(text) == f"a string of {len(text)} characters"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("abc", "abc"),
        (b"abc", b"abc"),
        (1, 1),
        (["a", "b"], ("a", "b")),
        (("a",), ("a",)),
        (iter("ab"), ("a", "b")),
        ({"a": 1}, {"a": 1}),
        ({}, {}),
        (bytearray(b"a"), bytearray(b"a")),
        ([], ()),
    ],
)
def test_as_tuple(value: Any, expected: object) -> None:
    """A list-like value becomes a tuple; a string is not split into characters."""
    assert expected == validators.as_tuple(value)


@given(st.text(max_size=30))
def test_accepted_strings_can_be_encoded(text: str) -> None:
    """A string that cannot be encoded is refused, and any other is accepted."""
    try:
        validators.check_argument(validators.string(), "Thing", "part", text)
    except ValidationError:
        with pytest.raises(UnicodeEncodeError):
            text.encode()
    else:
        assert text == text.encode().decode()
