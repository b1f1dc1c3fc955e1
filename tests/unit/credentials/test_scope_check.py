"""Compare the permissions of scopes with the facts of the API in `helpers`."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import AsyncClient, Secret
from losant_tokens._credentials.scope_check import (
    Permission,
    can_create_tokens,
    format_scopes,
    permission_for,
    scope_problem,
)
from losant_tokens._credentials.token_claims import Credential
from losant_tokens.errors import ScopeError, ValidationError
from tests.support.helpers import DEPRECATED_GROUPS, PUBLISHED_SCOPES, ROWS, Row

WITH_SCOPES = [row for row in ROWS if row.scopes]
OWNER_LISTS = {"applications.get", "instances.get", "orgs.get"}
PUBLISHED = PUBLISHED_SCOPES
DELETE = next(row.operation for row in ROWS if row.name == "userApiToken.delete")
INSTANCE_DELETE = next(row.operation for row in ROWS if row.name == "instanceApiToken.delete")
UNKNOWN = (
    *DEPRECATED_GROUPS,
    "all.Device.bounded",
    "",
    "*",
    "all",
    "all.user",
    "ALL.USER",
    " all.User",
    "all.User.",
    "all.User.write",
    "all.Galaxy",
    "device.rotate",
    "userApiToken",
    "userApiToken.rotate",
    "me.get ",
)


@pytest.mark.parametrize("row", WITH_SCOPES, ids=str)
def test_allowed(row: Row) -> None:
    """Each scope that the API accepts for an operation allows it, alone or among others."""
    for scope in row.scopes.split():
        for scopes in ([scope], [scope, "me"], [scope, "device.get"], [*PUBLISHED, scope]):
            assert permission_for(row.operation, scopes) is Permission.ALLOWED, scopes


@pytest.mark.parametrize("row", WITH_SCOPES, ids=str)
def test_refused(row: Row) -> None:
    """Each other published scope is refused, alone and all of them together."""
    others = PUBLISHED - set(row.scopes.split())
    assert len(others) >= 495
    for scopes in (*([scope] for scope in others), others):
        assert permission_for(row.operation, scopes) is Permission.REFUSED, scopes


def test_every_pair() -> None:
    """The permission of each pair of a published scope and an operation is as documented."""
    contract = json.loads((Path(__file__).parents[2] / "contract" / "openapi.json").read_text())
    accepted = {
        operation["operationId"]: set(operation["x-scopes"])
        for item in contract["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    }
    # The contract lacks the lists of owners: test_operations has their scopes.
    rows = [row for row in WITH_SCOPES if row.name not in OWNER_LISTS]
    expected = {
        (row.name, scope): Permission.ALLOWED if scope in accepted[row.name] else Permission.REFUSED
        for row in rows
        for scope in PUBLISHED_SCOPES
    }

    assert 12_168 == len(expected)
    assert expected == {
        (row.name, scope): permission_for(row.operation, [scope])
        for row in rows
        for scope in PUBLISHED_SCOPES
    }


@pytest.mark.parametrize("scope", ["all.User.cli", "all.Application.cli", "device.get", "me.*"])
def test_no_operation_on_tokens(scope: str) -> None:
    """A published scope of another resource allows no operation on tokens."""
    rows = [row for row in WITH_SCOPES if row.name not in OWNER_LISTS]
    answers = {permission_for(row.operation, [scope]) for row in rows}

    assert {Permission.REFUSED} == answers


def test_message_about_many_scopes() -> None:
    """A message lists the first twenty scopes, and counts the others."""
    scopes = frozenset(sorted(scope for scope in PUBLISHED if scope.startswith("device"))[:30])
    error = scope_problem(DELETE, Credential(Secret("token"), scopes))

    assert error is not None
    assert f"this token has {', '.join(sorted(scopes)[:20])} and 10 more. " in str(error)


@pytest.mark.parametrize(("count", "end"), [(20, ""), (21, " and 1 more")])
def test_number_of_listed_scopes(count: int, end: str) -> None:
    """Twenty scopes are listed, and one more is counted."""
    scopes = [f"device.{number:02}" for number in range(count)]

    assert format_scopes(reversed(scopes)) == ", ".join(scopes[:20]) + end


def test_scopes_in_the_repr_of_a_client() -> None:
    """The repr of a client shortens the scopes that a claim may hold, as a message does."""
    client = AsyncClient("token", scopes=["a\nb", *(f"device.{number:02}" for number in range(20))])

    assert "scopes 'a\\nb', device.00" in repr(client)
    assert "device.18 and 1 more" in repr(client)


def test_length_of_listed_scopes() -> None:
    """A scope of sixty characters is listed as it is, and a longer one shortened."""
    assert format_scopes(["x" * 60, "y" * 61]) == f"{'x' * 60}, '{'y' * 59}"


def test_message_about_odd_scopes() -> None:
    """A message shows the odd scopes that a claim may hold shortened and escaped."""
    odd = ("a\nb", "x" * 10_000)
    formatted = format_scopes(odd)

    assert formatted == f"'a\\nb', '{'x' * 59}"


@pytest.mark.parametrize("row", WITH_SCOPES, ids=str)
def test_unknown_scopes(row: Row) -> None:
    """A scope whose contents are not published may allow anything, and so is not refused."""
    beside = min(PUBLISHED - set(row.scopes.split()))
    for scope in UNKNOWN:
        for scopes in ([scope], [scope, beside]):
            assert permission_for(row.operation, scopes) is Permission.UNKNOWN, scopes


@pytest.mark.parametrize("scopes", [None, (), [], frozenset(), iter(())])
def test_no_scopes(scopes: None) -> None:
    """Without known scopes, the permission is unknown."""
    assert permission_for(DELETE, scopes) is Permission.UNKNOWN


@given(st.lists(st.one_of(st.text(), st.sampled_from(sorted(PUBLISHED | set(UNKNOWN))))))
def test_any_scopes(scopes: list[str]) -> None:
    """A token is refused if and only if all its scopes are published and none allows it."""
    for row in WITH_SCOPES:
        accepted = row.scopes.split()
        if any(scope in accepted for scope in scopes):
            expected = Permission.ALLOWED
        elif scopes and all(scope in PUBLISHED for scope in scopes):
            expected = Permission.REFUSED
        else:
            expected = Permission.UNKNOWN
        assert expected is permission_for(row.operation, scopes)


@pytest.mark.parametrize("row", WITH_SCOPES, ids=str)
def test_oauth(row: Row) -> None:
    """An OAuth token with all scopes is refused only by operations that deny OAuth tokens."""
    token = Credential(Secret("token"), frozenset(PUBLISHED), oauth=True)
    error = scope_problem(row.operation, token)
    assert row.denies_oauth == isinstance(error, ScopeError)
    if error:
        assert str(error) == (
            f"{row.name} does not accept an OAuth token; use an API token. Nothing was sent."
        )


@pytest.mark.parametrize("scopes", [None, frozenset({"me"}), frozenset({"all.User.read"})])
def test_oauth_comes_first(scopes: frozenset[str] | None) -> None:
    """An operation that denies OAuth tokens refuses them even if their scopes are unknown."""
    error = scope_problem(DELETE, Credential(Secret("token"), scopes, oauth=True))
    assert isinstance(error, ScopeError)
    assert "OAuth token" in str(error)
    assert error.scopes == tuple(sorted(scopes or ()))


def test_message() -> None:
    """The message states the needed scopes, the scopes of the token, and the consequence."""
    token = Credential(Secret("hunter2"), frozenset({"all.User.read", "all.Device"}))
    error = scope_problem(INSTANCE_DELETE, token)
    assert isinstance(error, ScopeError)
    expected = (
        "instanceApiToken.delete needs a token with one of the scopes all.Instance, all.User, "
        "instanceApiToken.*, instanceApiToken.delete; this token has all.Device, all.User.read. "
        "Nothing was sent."
    )
    assert expected == str(error)
    assert error.operation == "instanceApiToken.delete"
    assert error.scopes == ("all.Device", "all.User.read")
    assert error.accepted == (
        "all.Instance",
        "all.User",
        "instanceApiToken.*",
        "instanceApiToken.delete",
    )


@pytest.mark.parametrize(
    "credential",
    [
        Credential(Secret("token")),
        Credential(Secret("token"), frozenset()),
        Credential(Secret("token"), frozenset({"me"})),
        Credential(Secret("token"), frozenset({"all.User"})),
        Credential(None),
    ],
    ids=["unknown", "none", "unpublished", "allowed", "no token"],
)
def test_no_problem(credential: Credential) -> None:
    """A token with an allowed or unknown permission is not refused."""
    assert scope_problem(DELETE, credential) is None


CREATORS = (
    *("all.User", "only.User", "all.Application", "all.Organization", "all.Instance"),
    *("userApiTokens.*", "userApiTokens.post", "userOauthTokens.*", "userOauthTokens.post"),
    *("applicationApiTokens.*", "applicationApiTokens.post"),
    *("instanceApiTokens.*", "instanceApiTokens.post"),
)


@pytest.mark.parametrize("scope", CREATORS)
def test_creators(scope: str) -> None:
    """A token that can create tokens of any owner is recognized, with any other scopes."""
    for scopes in ([scope], {scope}, ["me", "all.User.read", scope], iter([scope])):
        assert can_create_tokens(scopes) is True


@pytest.mark.parametrize("scopes", [[], ["me"], sorted(PUBLISHED - set(CREATORS)), list(UNKNOWN)])
def test_no_creators(scopes: list[str]) -> None:
    """Other scopes are not reported as able to create tokens."""
    assert can_create_tokens(scopes) is False


@pytest.mark.parametrize("scopes", ["all.User", b"all.User", {}, {"all.User": True}, None, 5])
def test_scopes_that_are_no_list(scopes: Any) -> None:
    """A string and a mapping are not lists of scopes, and are refused."""
    with pytest.raises(ValidationError, match="takes a list of scopes"):
        can_create_tokens(scopes)
