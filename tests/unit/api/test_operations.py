"""Compare the table of operations with the facts of the API in `helpers`."""

import pytest

import losant_tokens
from losant_tokens._api import operations
from tests.support.helpers import OPERATIONS, ROWS, Row


def test_every_operation() -> None:
    """The table has each operation of the API once, and no other."""
    expected = sorted(row.name for row in ROWS)
    assert len(ROWS) == 28
    assert expected == sorted(operation.name for operation in OPERATIONS)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Row) -> None:
    """Each operation has the method, path, scopes, classes and fields of the API."""
    operation = row.operation
    actual = Row(
        row.constant,
        operation.name,
        operation.method,
        operation.path,
        " ".join(sorted(operation.accepts)),
        operation.result.__name__,
        operation.body.__name__ if operation.body else "",
        operation.denies_oauth,
        " ".join(operation.sorts_by),
        " ".join(operation.filters_by),
    )
    assert row == actual


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_classes_are_public(row: Row) -> None:
    """The classes of request bodies and responses are public."""
    operation = row.operation
    assert getattr(losant_tokens, row.result) is operation.result
    assert operation.body is (getattr(losant_tokens, row.body) if row.body else None)


def test_login_needs_no_token() -> None:
    """Logging in is the only operation that needs no token."""
    without = [operation.name for operation in OPERATIONS if not operation.needs_token]
    assert without == ["auth.authenticateUser"]


@pytest.mark.parametrize(
    ("constant", "expected"),
    [
        ("USER_API_TOKENS_GET", ()),
        ("USER_API_TOKEN_GET", ("apiTokenId",)),
        ("USER_OAUTH_TOKEN_DELETE", ("oauthTokenId",)),
        ("APPLICATION_API_TOKENS_POST", ("applicationId",)),
        ("APPLICATION_API_TOKEN_PATCH", ("applicationId", "apiTokenId")),
        ("INSTANCE_API_TOKEN_DELETE", ("instanceId", "apiTokenId")),
        ("AUTHENTICATE_USER", ()),
    ],
)
def test_ids(constant: str, expected: tuple[str, ...]) -> None:
    """`ids` are the names of the ids in the path, in order."""
    assert expected == getattr(operations, constant).ids


def test_shows_its_name() -> None:
    """The string of an operation is its name in the API."""
    assert str(operations.USER_API_TOKEN_GET) == "userApiToken.get"
