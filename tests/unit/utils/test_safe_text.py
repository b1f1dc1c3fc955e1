"""Text without secrets and control characters."""

import base64

import pytest

from losant_tokens import Secret
from losant_tokens._utils.safe_text import end_of, redacted

SECRET = "s3cr3t-Value_that.is-40-characters-long!"
MASK = "****"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (f"token={SECRET};", f"token={MASK};"),
        (f"{SECRET[15:]} was read", f"{MASK} was read"),
        (f"{SECRET[:20]}\n{SECRET[20:]}", f"{MASK}\n{MASK}"),
        (f"{SECRET}{SECRET}", MASK),
        ("nothing secret: s3cr3t", "nothing secret: s3cr3t"),
        ("Bearer eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl", f"Bearer {MASK}"),
        ("", ""),
    ],
)
def test_redacted(shown: str, expected: str) -> None:
    """The secret, its parts, and anything that looks like an access token are hidden."""
    assert redacted(shown, [Secret(SECRET), Secret("")]) == expected


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_redacted_base64(before: str) -> None:
    """The secret is hidden in base64 as well, after any other bytes."""
    secret = "\xff\xfe?>hunter2-hunter2-hunter2"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = redacted(encode(f"{before}{secret}".encode()).decode(), [Secret(secret)])

        assert MASK in shown
        assert len(shown.replace(MASK, "")) < 12


def test_short_secret() -> None:
    """A secret that is shorter than a piece is hidden as a whole."""
    assert redacted("pass1 and pass2", [Secret("pass1")]) == f"{MASK} and pass2"


def test_end_of_an_output() -> None:
    """Only the end of a long output is shown, in one line, without control characters."""
    assert end_of("a\n b\x1b[2J \n") == "a b\\x1b[2J"
    assert end_of("x" * 1000) == f"...{'x' * 500}"
