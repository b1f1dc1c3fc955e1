"""The values of jobs."""

import pytest

from losant_tokens.jobs._types import counted
from tests.support.reports import entry


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (("all.User.read", "userApiTokens.post"), True),
        (("all.User.read",), False),
        (("a.new.scope",), None),
        (None, None),
    ],
)
def test_entry_that_can_create_tokens(scope: tuple[str, ...] | None, expected: bool | None) -> None:
    """An entry states whether its token can create tokens, if its scopes are known."""
    assert expected is entry(1, scope=scope).can_create_tokens


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0 tokens"),
        (1, "1 token"),
        (1000, "1,000 tokens"),
        (1.0, "1 token"),
        (0.5, "0.5 tokens"),
        (23.97, "24 tokens"),
        (8760.0, "8,760 tokens"),
    ],
)
def test_numbers_with_a_noun(number: float, expected: str) -> None:
    """A number has the right form of its noun, and no more digits than are useful."""
    assert counted(number, "token") == expected
