"""The limits on what is sent: what passes, what does not, and what is said of it."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import ResourceRole, Secret
from losant_tokens import _limits as limits
from losant_tokens.errors import ValidationError

LONG = "x" * 41
INF = float("inf")
NAN = float("nan")


class Zoneless(tzinfo):
    """A time zone that does not say where it is."""

    def utcoffset(self, _: datetime | None) -> None:
        return None

    def dst(self, _: datetime | None) -> None:
        return None

    def tzname(self, _: datetime | None) -> None:
        return None


GOOD: list[tuple[limits.Validator, list[Any]]] = [
    (limits.text(), ["", "a", "x" * 100_000, "ä", "\U0001f600", "\n"]),
    (limits.text(2, 3), ["ab", "abc", "äöü", "\U0001f600", "\U0001f600a"]),
    (limits.text(pattern="[a-f]+"), ["a", "abcdef"]),
    (limits.text(pattern=limits.ID.pattern), ["a" * 24, "0" * 24, "abcdefABCDEF0123456789ab"]),
    (limits.optional(limits.text(2)), [None, "ab"]),
    (limits.one_of(("a", "b")), ["a", "b"]),
    (limits.whole(least=0), [0, 1, 2**53]),
    (limits.whole(least=1), [1, 2]),
    (limits.positive, [1, 0.001, 5e-324, INF]),
    (
        limits.moment,
        [
            datetime(2030, 1, 1, tzinfo=UTC),
            datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=-5))),
        ],
    ),
    (limits.moment_or("never"), ["never", datetime(2030, 1, 1, tzinfo=UTC)]),
    (limits.instance_of(ResourceRole), [ResourceRole("a", "view")]),
    (limits.items(limits.text(1)), [(), ("a",), ("a", "a"), ("a",) * 1000]),
    (limits.items(limits.text(1), most=2), [(), ("a", "b")]),
    (limits.items(limits.text(1), unique=True), [(), ("a", "b", "A")]),
    (limits.shape(ResourceRole, {"role": limits.one_of(("view",))}), [ResourceRole("", "view")]),
]


@pytest.mark.parametrize(
    ("limit", "value"), [(limit, value) for limit, values in GOOD for value in values]
)
def test_within(limit: limits.Validator, value: object) -> None:
    """What is within a limit passes."""
    limits.check(limit, "Thing", "part", value)


BAD: list[tuple[limits.Validator, object, str]] = [
    (limits.text(), 1, "must be a text, but it is int"),
    (limits.text(), None, "must be a text, but it is NoneType"),
    (limits.text(), b"a", "must be a text, but it is bytes"),
    (limits.text(1, 3), "", "must have 1 to 3 characters, but it has 0"),
    (limits.text(1, 3), "abcd", "must have 1 to 3 characters, but it has 4"),
    (limits.text(3), "\U0001f600", "must have at least 3 characters, but it has 2 (UTF-16 code un"),
    (limits.text(pattern="[a-f]+"), "abg", "must match [a-f]+ throughout its 3 characters"),
    (limits.text(pattern="[a-f]+"), "ab\n", "must match [a-f]+ throughout its 3 characters"),
    (limits.text(pattern="[a-f]+"), "", "must match [a-f]+ throughout its 0 characters"),
    (limits.text(pattern=r"\w"), "ä", r"must match \w throughout its 1 characters"),
    (limits.text(), "a\ud800", "has a lone surrogate, which cannot be sent"),
    (limits.optional(limits.text(2)), "a", "must have at least 2 characters, but it has 1"),
    (limits.one_of(("a", "b")), "c", "must be one of 'a', 'b', but it is 'c'"),
    (limits.one_of(("a", "b")), "", "must be one of 'a', 'b', but it is ''"),
    (limits.one_of(("a", "b")), None, "must be one of 'a', 'b', but it is NoneType"),
    (limits.one_of(("a", "b")), ["a"], "must be one of 'a', 'b', but it is list"),
    (limits.one_of(("a",)), "x" * 40, f"must be one of 'a', but it is '{'x' * 40}'"),
    (limits.one_of(("a",)), LONG, "must be one of 'a', but it is a text of 41 characters"),
    (limits.whole(least=0), -1, "must be an integer, at least 0, but it is -1"),
    (limits.whole(least=1), 0, "must be an integer, at least 1, but it is 0"),
    (limits.whole(least=1), True, "must be an integer, at least 1, but it is bool"),
    (limits.whole(least=1), 1.0, "must be an integer, at least 1, but it is float"),
    (limits.whole(least=1), "1", "must be an integer, at least 1, but it is '1'"),
    (limits.whole(least=1), LONG, "must be an integer, at least 1, but it is a text of 41 c"),
    (limits.whole(least=1), None, "must be an integer, at least 1, but it is NoneType"),
    (limits.positive, 0, "must be a number above 0, but it is 0"),
    (limits.positive, -0.5, "must be a number above 0, but it is -0.5"),
    (limits.positive, NAN, "must be a number above 0, but it is nan"),
    (limits.positive, -INF, "must be a number above 0, but it is -inf"),
    (limits.positive, True, "must be a number above 0, but it is True"),
    (limits.positive, "1", "must be a number above 0, but it is '1'"),
    (limits.positive, None, "must be a number above 0, but it is NoneType"),
    (limits.moment, "2030-01-01", "must be a datetime, but it is str"),
    (limits.moment, datetime(2030, 1, 1).date(), "must be a datetime, but it is date"),  # noqa: DTZ001
    (limits.moment, datetime(2030, 1, 1), "must say its time zone, such as datetime(2030"),  # noqa: DTZ001
    (limits.moment, datetime(2030, 1, 1, tzinfo=Zoneless()), "must say its time zone, such as"),
    (limits.moment_or("never"), "later", "must be a datetime, but it is str"),
    (limits.instance_of(ResourceRole), {}, "must be of ResourceRole, but it is dict"),
    (limits.items(limits.text(1)), "a", "must be a list or tuple, such as ['a'], but it is str"),
    (limits.items(limits.text()), LONG, "such as [a text of 41 characters], but it is str"),
    (limits.items(limits.text(1)), 1, "must be a list or tuple, such as [int], but it is int"),
    (limits.items(limits.text(1), most=2), ("a",) * 3, "must have at most 2 members, but it has 3"),
    (limits.items(limits.text(), unique=True), ("a", "b", "b"), "no member twice, but it has 'b'"),
    (limits.items(limits.text(), unique=True), (LONG, LONG), "but it has a text of 41 characters"),
    (limits.shape(ResourceRole, {}), "view", "must be of ResourceRole, but it is str"),
]


@pytest.mark.parametrize(("limit", "value", "expected"), BAD)
def test_beyond(limit: limits.Validator, value: object, expected: str) -> None:
    """What is beyond a limit is refused, with the limit and what was given instead."""
    with pytest.raises(ValidationError) as caught:
        limits.check(limit, "Thing", "part", value)
    assert str(caught.value).startswith("Thing.part ")
    assert expected in str(caught.value)


@pytest.mark.parametrize("least", [0, 1])
def test_beyond_all_bounds(least: int) -> None:
    """A number of more digits than Python writes out is refused like any other."""
    with pytest.raises(ValidationError, match="must be an integer"):
        limits.check(limits.whole(least=least), "Thing", "part", -(10**5000))


def test_positive_beyond_all_bounds() -> None:
    """So is such a number where fractions are taken, too."""
    with pytest.raises(ValidationError, match="must be a number above 0"):
        limits.check(limits.positive, "Thing", "part", -(10**5000))


def test_place() -> None:
    """What is wrong inside a list or an object is said with its place."""
    role = limits.shape(ResourceRole, {"role": limits.one_of(("view",))})
    value = (ResourceRole("a", "view"), ResourceRole("a", "admin"))
    with pytest.raises(ValidationError) as caught:
        limits.check(limits.items(role), "Thing", "roles", value)
    assert str(caught.value) == "Thing.roles[1].role must be one of 'view', but it is 'admin'"


def test_of_an_attribute() -> None:
    """As an attrs validator, a limit names the class and the attribute."""

    @attrs.frozen
    class Parcel:
        size: int = attrs.field(validator=limits.whole(least=1))

    with pytest.raises(ValidationError, match=r"^Parcel\.size must be an integer"):
        Parcel(0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", "''"),
        ("it's", '"it\'s"'),
        ("x" * 40, f"'{'x' * 40}'"),
        (LONG, "a text of 41 characters"),
        (b"abc", "bytes"),
        (12345, "int"),
        (None, "NoneType"),
        (Secret("a"), "Secret"),
        (["a"], "list"),
    ],
)
def test_shown(value: object, expected: str) -> None:
    """Of what was given, only short texts are shown: anything else may be a secret."""
    assert expected == limits.shown(value)


@given(st.text(min_size=41, max_size=200))
def test_long_texts_are_not_shown(text: str) -> None:
    """A text as long as a token is never shown."""
    assert limits.shown(text) == f"a text of {len(text)} characters"


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
def test_many(value: Any, expected: object) -> None:
    """Any list becomes a tuple; a single text does not become its characters."""
    assert expected == limits.many(value)


@given(st.text(max_size=30))
def test_text_is_refused_or_can_be_sent(text: str) -> None:
    """A text that passes can be encoded, and one that cannot be is refused."""
    try:
        limits.check(limits.text(), "Thing", "part", text)
    except ValidationError:
        with pytest.raises(UnicodeEncodeError):
            text.encode()
    else:
        assert text == text.encode().decode()
