"""The values of jobs."""

import pytest

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
