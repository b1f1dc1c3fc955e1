"""Strings that are not shown."""

import copy
import json
import logging
import pickle
import pprint
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import ApiToken, Secret
from losant_tokens.errors import ClientStateError

TEXT = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (repr(Secret(TEXT)), "Secret('****')"),
        (str(Secret(TEXT)), "****"),
        (f"{Secret(TEXT)}", "****"),
        (f"{Secret(TEXT)!r}", "Secret('****')"),
        (f"{Secret(TEXT):>6}", "  ****"),
        (f"{Secret(TEXT):.2}", "**"),
        ("%s %r" % (Secret(TEXT), Secret(TEXT)), "**** Secret('****')"),  # noqa: UP031
        (pprint.pformat({"token": Secret(TEXT)}), "{'token': Secret('****')}"),
        (repr(ApiToken(id="a", token=Secret(TEXT))).count("Secret('****')"), 1),
    ],
)
def test_shown(shown: object, expected: object) -> None:
    """A secret is shown as a mask that does not depend on its length."""
    assert expected == shown


def test_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A secret in a log shows as its mask."""
    logging.getLogger("test").warning("%s and %r", Secret(TEXT), Secret(TEXT))
    assert caplog.messages == ["**** and Secret('****')"]


def test_in_a_traceback() -> None:
    """A secret among the locals of a traceback shows as its mask."""

    def fail(secret: Secret) -> None:
        raise ValueError(f"bad: {secret}")

    with pytest.raises(ValueError, match="bad: ") as caught:
        fail(Secret(TEXT))
    found = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    shown = "".join(found.format())
    assert "secret = Secret('****')" in shown
    assert "bad: ****" in shown


def test_not_json() -> None:
    """A secret cannot be written as JSON."""
    with pytest.raises(TypeError) as caught:
        json.dumps({"token": Secret(TEXT)})
    assert TEXT not in str(caught.value)


def test_not_among_its_attributes() -> None:
    """The value of a secret is not in its public attributes."""
    assert not hasattr(Secret(TEXT), "__dict__")


@given(st.text())
def test_reveal(text: str) -> None:
    """`reveal` returns the value unchanged."""
    assert text == Secret(text).reveal()


def test_of() -> None:
    """`Secret.of` wraps a string, and returns a secret itself."""
    secret = Secret(TEXT)
    assert secret is Secret.of(secret)
    assert secret == Secret.of(TEXT)


@given(st.text(), st.text())
def test_equality(one: str, other: str) -> None:
    """Secrets with equal values are equal and have the same hash."""
    assert (one == other) is (Secret(one) == Secret(other))
    assert Secret(one) == Secret(one)
    assert hash(Secret(one)) == hash(Secret(one))


@pytest.mark.parametrize("other", ["", "a", "a\ud800"])
def test_equality_of_lone_surrogates(other: str) -> None:
    """Secrets with half of a surrogate pair can be compared."""
    assert (Secret("a\ud800") == Secret(other)) is (other == "a\ud800")


@pytest.mark.parametrize("other", [TEXT, None, 1, TEXT.encode()])
def test_equal_to_nothing_else(other: object) -> None:
    """A secret is not equal to a string, not even to its value."""
    assert Secret(TEXT) != other


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol: int) -> None:
    """A pickle does not hold the value, and an unpickled secret cannot be revealed."""
    pickled = pickle.dumps(Secret(TEXT), protocol)
    found = pickle.loads(pickled)
    assert TEXT.encode() not in pickled
    assert repr(found) == "Secret('****')"
    with pytest.raises(ClientStateError, match=r"^This secret was unpickled, and a pickle never"):
        found.reveal()


def test_equality_of_unpickled() -> None:
    """An unpickled secret is equal only to itself."""
    one, other = (pickle.loads(pickle.dumps(Secret(TEXT))) for _ in range(2))
    assert one == one  # noqa: PLR0124
    assert [one == other, one == Secret(TEXT), Secret("") == one] == [False, False, False]
    assert len({one, other, Secret(TEXT)}) == 3


def test_copies() -> None:
    """A copy of a secret is the same secret."""
    secret = Secret(TEXT)
    assert secret is copy.copy(secret)
    assert secret is copy.deepcopy([secret])[0]
