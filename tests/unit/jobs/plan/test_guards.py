"""The guards of a plan: the number of tokens that it may select, and the protected ones."""

from typing import Any

import pytest

from losant_tokens import ApiToken, AsyncClient, Owner
from losant_tokens.jobs._name_patterns import NamePattern
from losant_tokens.jobs._plan.guards import Guards
from losant_tokens.jobs._types import Counts
from tests.support.jobs import USER

ID = "575ec7417ae143cd83dc4a95"


def token(name: str = "ci-1", **members: Any) -> ApiToken:
    return ApiToken(**{"id": ID, "name": name, **members})


def patterns(*texts: str) -> tuple[NamePattern, ...]:
    return tuple(NamePattern(text) for text in texts)


def is_refused(guards: Guards, counts: Counts) -> bool:
    return bool(list(guards.problems({USER: counts})))


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

    assert is_refused(Guards(), counts) is expected


def test_allowed_majority() -> None:
    """A plan may select all tokens with `allow_majority=True`."""
    assert not is_refused(Guards(allow_majority=True), Counts(listed=3, selected=3))


def test_protected_tokens_are_not_selected() -> None:
    """Protected tokens do not count for the majority."""
    assert not is_refused(Guards(), Counts(listed=4, selected=2, protected=2))


@pytest.mark.parametrize(
    ("max_changes", "selected", "expected"),
    [(None, 9, False), (0, 0, False), (0, 1, True), (5, 4, False), (5, 5, False), (5, 9, True)],
)
def test_max_changes(max_changes: int | None, selected: int, expected: bool) -> None:
    """A plan that selects more than `max_changes` tokens is refused."""
    guards = Guards(max_changes=max_changes)

    assert is_refused(guards, Counts(listed=100, selected=selected)) is expected


def test_max_changes_of_all_owners() -> None:
    """The selected tokens of all owners together must not be more than `max_changes`."""
    counts = Counts(listed=100, selected=3)

    problems = list(Guards(max_changes=5).problems({USER: counts, Owner.user_oauth(): counts}))

    assert problems == [
        "6 tokens were selected, which is more than 5. Select fewer, or pass a larger max_changes."
    ]


def test_one_selected_token() -> None:
    """A refusal because of one token is in the singular."""
    (problem,) = Guards(max_changes=0).problems({USER: Counts(listed=9, selected=1)})

    assert problem.startswith("1 token was selected, which is more than 0. ")


def test_all_problems() -> None:
    """Each guard that refuses a plan is a sentence, so they can be corrected together."""
    counts = {
        USER: Counts(listed=1, selected=1),
        Owner.user_oauth(): Counts(listed=2000, selected=1500),
    }

    assert [text.partition(", which")[0] for text in Guards(max_changes=0).problems(counts)] == [
        "1,501 tokens were selected",
        "1 of the 1 token of user was selected",
        "1,500 of the 2,000 tokens of oauth were selected",
    ]


def test_protection_by_id_or_name() -> None:
    """A token is protected by its id or its name, and the reason names the pattern."""
    guards = Guards(protect=patterns(ID.upper(), "prod-*"))
    others = ApiToken(id="1" * 24, name="prod-1"), ApiToken(id="1" * 24, name="ci-1")

    found = [guards.protection(AsyncClient("x"), one) for one in (token(), *others)]

    assert found == [f"protected by {ID.upper()!r}", "protected by 'prod-*'", None]


@pytest.mark.parametrize(("member", "is_protected"), [("name", True), ("status", False)])
def test_unreadable_name_is_protected(member: str, is_protected: bool) -> None:
    """A token is protected if its name cannot be read, but not if another member cannot."""
    one = token("", unreadable=frozenset({member}))

    found = Guards(protect=patterns("prod-*")).protection(AsyncClient("x"), one)

    assert (found is not None) is is_protected


def test_equality_and_representation() -> None:
    """Guards with the same arguments are equal, and their representation shows the arguments."""
    guards = Guards(protect=patterns("ci-*"), max_changes=5)

    assert guards == Guards(protect=patterns("ci-*"), max_changes=5)
    assert guards != Guards(protect=patterns("ci-*"), max_changes=6)
    assert repr(guards) == (
        "Guards(protect=(NamePattern(text='ci-*'),), allow_majority=False, max_changes=5)"
    )
