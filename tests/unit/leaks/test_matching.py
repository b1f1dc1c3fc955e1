"""Matching a secret with listed tokens, and finding the tokens that it created."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from losant_tokens import ApiToken, Owner, UserOauthToken
from losant_tokens.leaks import Claims, OwnedToken, created_with, match_tokens
from losant_tokens.leaks._matching import may_match

NOW = datetime(2026, 11, 1, tzinfo=UTC)
CREATED = datetime(2026, 10, 1, 12, 0, 0, 900_000, tzinfo=UTC)
ISSUED = datetime(2026, 10, 1, 12, 0, 0, tzinfo=UTC)
EXPIRES = datetime(2027, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def owned(id_: str = "a", kind: type = ApiToken, **members: Any) -> OwnedToken:
    members = {"creation_date": CREATED, "status": "active", "scope": ("all.User",)} | members
    return OwnedToken(owner=Owner.user(), token=kind(id=id_ * 24, **members))


def claims(**members: Any) -> Claims:
    defaults: dict[str, Any] = {"issued_at": ISSUED, "scopes": frozenset({"all.User"})}
    return Claims(fingerprint="f", **defaults | members)


@pytest.mark.parametrize(
    ("secret", "token", "expected"),
    [
        (claims(), owned(), "times"),
        (claims(), owned(creation_date=ISSUED - 3 * SECOND), "times"),
        (claims(), owned(creation_date=ISSUED - 4 * SECOND), None),
        (claims(), owned(creation_date=ISSUED + 4 * SECOND), None),
        (claims(), owned(creation_date=None), None),
        (claims(issued_at=None), owned(), None),
        (claims(expires_at=EXPIRES), owned(expiration_date=EXPIRES), "times"),
        (claims(expires_at=EXPIRES), owned(expiration_date=EXPIRES + DAY), None),
        (claims(expires_at=EXPIRES), owned(), None),
        (claims(), owned(expiration_date=EXPIRES), None),
        (claims(), owned(unreadable=frozenset({"expiration_date"})), None),
        (claims(scopes=frozenset({"device.get"})), owned(), None),
        (claims(scopes=None), owned(), "times"),
        (claims(), owned(scope=()), "times"),
        (claims(oauth=True), owned(), None),
        (claims(oauth=True), owned(kind=UserOauthToken), "times"),
        (claims(), owned(kind=UserOauthToken), None),
        (claims(ids=frozenset({"a" * 24})), owned("A", creation_date=None), "id"),
        (claims(ids=frozenset({"b" * 24}), issued_at=None), owned(), None),
    ],
)
def test_match(secret: Claims, token: OwnedToken, expected: str | None) -> None:
    """A token matches by its id, or if its dates, scopes and kind do not contradict the claims."""
    match = match_tokens(secret, [token], works=True, now=NOW)

    assert (expected, token if expected else None) == (match.by, match.token)
    assert (expected is not None) is may_match(secret, token.token)


@pytest.mark.parametrize(
    ("members", "works", "expected"),
    [
        ({"status": "inactive"}, True, False),
        ({"status": "inactive"}, False, True),
        ({"status": None, "unreadable": frozenset({"status"})}, True, True),
        ({"expiration_date": NOW - DAY}, True, False),
        ({"expiration_date": NOW - DAY}, False, True),
        ({"expiration_date": NOW - 2 * SECOND}, True, True),
        ({"expiration_date": NOW + 2 * SECOND}, False, True),
        ({"expiration_date": NOW + DAY}, False, False),
        ({}, False, False),
        ({}, None, True),
        ({"status": "inactive"}, None, True),
    ],
)
def test_match_of_a_state(members: dict[str, Any], works: bool | None, expected: bool) -> None:
    """A secret that works does not belong to a dead token, and a dead one to no other."""
    secret = claims(expires_at=members.get("expiration_date"))
    match = match_tokens(secret, [owned(**members)], works=works, now=NOW)

    assert expected is (match.token is not None)


def test_match_of_several() -> None:
    """Several tokens with the same dates are candidates, and none of them is the token."""
    match = match_tokens(claims(), [owned("a"), owned("b")], works=True, now=NOW)

    assert (["a" * 24, "b" * 24], None) == ([one.token.id for one in match.candidates], match.token)


def test_match_by_id_wins() -> None:
    """A token with a claimed id is the one, even if another has the same dates."""
    match = match_tokens(
        claims(ids=frozenset({"b" * 24})), [owned("a"), owned("b")], works=True, now=NOW
    )

    assert match.token == owned("b")


def test_created_with() -> None:
    """The tokens that a token created are found, and those that they created in turn."""

    def created(id_: str, creator: str | None, kind: str | None = "apiToken") -> OwnedToken:
        return owned(id_, creator_id=creator and creator * 24, creator_type=kind)

    tokens = [
        created("c", "b"),
        created("b", "A"),
        created("d", "e"),
        created("e", "a", "ApiToken"),
        created("f", "a", None),
        created("1", "a", "user"),
        created("2", "3"),
        created("a", "c"),
        created("3", None),
        owned("4", UserOauthToken),
    ]

    assert {one.token.id[0] for one in created_with("a" * 24, tokens)} == set("bcdef")
