"""Texts that must not be seen."""

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
    """However a secret is shown, it shows as a mask that does not tell its length either."""
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


def test_no_json() -> None:
    """JSON has no secrets: what would have to be revealed is refused."""
    with pytest.raises(TypeError) as caught:
        json.dumps({"token": Secret(TEXT)})
    assert TEXT not in str(caught.value)


def test_not_among_its_attributes() -> None:
    """What looks at the attributes of any object does not find the text."""
    assert not hasattr(Secret(TEXT), "__dict__")


@given(st.text())
def test_reveals(text: str) -> None:
    """A secret gives itself up when asked to, unchanged."""
    assert text == Secret(text).reveal()


def test_of() -> None:
    """A text is made a secret, and a secret is left as it is."""
    secret = Secret(TEXT)
    assert secret is Secret.of(secret)
    assert secret == Secret.of(TEXT)


@given(st.text(), st.text())
def test_equality(one: str, other: str) -> None:
    """Secrets are equal when their texts are, and then they have the same hash."""
    assert (one == other) is (Secret(one) == Secret(other))
    assert Secret(one) == Secret(one)
    assert hash(Secret(one)) == hash(Secret(one))


@pytest.mark.parametrize("other", ["", "a", "a\ud800"])
def test_equality_of_lone_surrogates(other: str) -> None:
    """Texts that cannot be encoded, such as JSON can bring, are compared like all others."""
    assert (Secret("a\ud800") == Secret(other)) is (other == "a\ud800")


@pytest.mark.parametrize("other", [TEXT, None, 1, TEXT.encode()])
def test_equal_to_nothing_else(other: object) -> None:
    """A secret equals no plain text, not even its own."""
    assert Secret(TEXT) != other


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol: int) -> None:
    """A pickle of a secret does not have the text, and what comes out of it says so."""
    pickled = pickle.dumps(Secret(TEXT), protocol)
    found = pickle.loads(pickled)
    assert TEXT.encode() not in pickled
    assert repr(found) == "Secret('****')"
    with pytest.raises(ClientStateError, match=r"^This secret was unpickled, and a pickle never"):
        found.reveal()


def test_equality_of_pickled() -> None:
    """What came out of a pickle equals itself alone: nobody knows what it was."""
    one, other = (pickle.loads(pickle.dumps(Secret(TEXT))) for _ in range(2))
    assert one == one  # noqa: PLR0124
    assert [one == other, one == Secret(TEXT), Secret("") == one] == [False, False, False]
    assert len({one, other, Secret(TEXT)}) == 3


def test_copies() -> None:
    """A copy of a secret is the secret, which can be revealed still."""
    secret = Secret(TEXT)
    assert secret is copy.copy(secret)
    assert secret is copy.deepcopy([secret])[0]
