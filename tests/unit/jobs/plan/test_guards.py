"""The guards of a plan: how many tokens it may select, and which it must not touch."""

from typing import Any

import pytest

from losant_tokens import ApiToken, AsyncClient, jobs
from losant_tokens.jobs import GuardRefused
from losant_tokens.jobs._name_patterns import NamePattern
from losant_tokens.jobs._plan.guards import Guards, Unmatched
from losant_tokens.jobs._types import Counts
from tests.support.jobs import USER

ID = "575ec7417ae143cd83dc4a95"


def token(name: str = "ci-1", **members: Any) -> ApiToken:
    return ApiToken(**{"id": ID, "name": name, **members})


def patterns(*texts: str) -> tuple[NamePattern, ...]:
    return tuple(NamePattern(text) for text in texts)


def is_refused(guards: Guards, counts: Counts, selected: int) -> bool:
    try:
        guards.check(USER, counts, selected)
    except GuardRefused:
        return True
    return False


@pytest.mark.parametrize(
    ("listed", "selected", "expected"),
    [
        (0, 0, False),
        (1, 0, False),
        (1, 1, True),
        (2, 1, False),
        (3, 1, False),
        (3, 2, True),
        (10, 2, False),
        (100, 50, False),
        (100, 51, True),
        (100, 100, True),
    ],
)
def test_majority(listed: int, selected: int, expected: bool) -> None:
    """A plan that selects more than half of an owner's tokens is refused."""
    counts = Counts(listed=listed, selected=selected)

    assert is_refused(Guards(), counts, selected) is expected


def test_majority_that_is_allowed() -> None:
    """A plan may select all tokens if that is allowed by name."""
    assert not is_refused(Guards(allow_majority=True), Counts(listed=3, selected=3), 3)


def test_protected_tokens_are_no_majority() -> None:
    """Protected tokens do not count as selected."""
    assert not is_refused(Guards(), Counts(listed=4, selected=2, protected=2), 2)


@pytest.mark.parametrize(
    ("max_changes", "selected", "expected"),
    [(None, 9, False), (0, 0, False), (0, 1, True), (5, 4, False), (5, 5, False), (5, 9, True)],
)
def test_max_changes(max_changes: int | None, selected: int, expected: bool) -> None:
    """A plan that selects more tokens than it may change is refused."""
    guards = Guards(max_changes=max_changes)

    assert is_refused(guards, Counts(listed=100, selected=2), selected) is expected


def test_protection_by_id_or_name() -> None:
    """The reason names the pattern that protects a token."""
    guards = Guards(protect=patterns(ID.upper(), "prod-*"))
    others = ApiToken(id="1" * 24, name="prod-1"), ApiToken(id="1" * 24, name="ci-1")

    found = [guards.protection(AsyncClient("x"), one) for one in (token(), *others)]

    assert found == [f"protected by {ID.upper()!r}", "protected by 'prod-*'", None]


@pytest.mark.parametrize(("member", "is_protected"), [("name", True), ("status", False)])
def test_unreadable_name_is_protected(member: str, is_protected: bool) -> None:
    """Only a name that cannot be read may be a protected one."""
    one = token("", unreadable=frozenset({member}))

    found = Guards(protect=patterns("prod-*")).protection(AsyncClient("x"), one)

    assert (found is not None) is is_protected


def test_patterns_without_a_match() -> None:
    """Each pattern that matches no token is reported once, and by its effect."""
    rule = jobs.named("ci-*") & ~jobs.named("old-*") & ~jobs.named("live-*") & jobs.named("bad-*")
    unmatched = Unmatched(patterns("prod-*", "ci-?", "prod-*", ID, "9" * 24), rule.patterns)

    for name in ("ci-1", "old-1", "ci-2"):
        unmatched.note(token(name))

    assert unmatched.guards() == [
        "The protect pattern 'prod-*' matches no token, so it protects nothing.",
        f"The protect pattern '{'9' * 24}' matches no token, so it protects nothing.",
        "The pattern of not named 'live-*' matches no token, so it keeps none out of the plan.",
    ]
    assert unmatched.selecting() == ["The pattern of named 'bad-*' matches no token."]


def test_no_patterns_to_match() -> None:
    """Without patterns, nothing is reported."""
    unmatched = Unmatched((), ())
    unmatched.note(token())

    assert (unmatched.guards(), unmatched.selecting()) == ([], [])


def test_guards_are_a_value() -> None:
    """Guards with the same limits are equal, and are shown by these alone."""
    guards = Guards(protect=patterns("ci-*"), max_changes=5)

    assert guards == Guards(protect=patterns("ci-*"), max_changes=5)
    assert guards != Guards(protect=patterns("ci-*"), max_changes=6)
    assert repr(guards) == (
        "Guards(protect=(NamePattern(text='ci-*'),), allow_majority=False, max_changes=5)"
    )
