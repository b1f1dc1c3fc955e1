"""The differences between two plans."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from losant_tokens import Owner
from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._plans.diff import PlanDiff, diff_document, diff_lines
from losant_tokens.cli._plans.token_line import Page
from losant_tokens.jobs import Entry, Plan
from tests.support.reports import entry, report

A, B, C = entry(1, "a"), entry(2, "b"), entry(3, "c")


def planned(folder: Path, *entries: Entry, action: Any = "delete", **header: Any) -> Plan:
    header = {"created_at": datetime.now(UTC), **header}
    return report(folder, [None] * len(entries), entries=entries, action=action, header=header).plan


def text_of(diff: PlanDiff, page: Page | None = None) -> str:
    """The lines of a diff below its head."""
    return "".join(diff_lines(diff, page or Page())).partition("\n\n")[2]


def test_added_and_removed_tokens(tmp_path: Path) -> None:
    """A token that only one of the plans has was added or removed."""
    diff = PlanDiff.of(planned(tmp_path, A, B), planned(tmp_path, B, C))

    assert text_of(diff) == (
        f"added    - delete  c  {C.id}  expired on 2025-01-02\n"
        f"removed  - delete  a  {A.id}  expired on 2025-01-02\n"
        f"\n"
        f"Plans: 1 added, 1 removed, 0 changed, 1 same.\n"
    )


def test_same_plans(tmp_path: Path) -> None:
    """Plans with the same tokens do not differ."""
    diff = PlanDiff.of(planned(tmp_path, A), planned(tmp_path, A))

    assert (diff.changes, text_of(diff)) == ((), "Plans: 0 added, 0 removed, 0 changed, 1 same.\n")


def test_head(tmp_path: Path) -> None:
    """The head states both plans, with their actions, rules and ages."""
    old, new = planned(tmp_path, A, rule="inactive"), planned(tmp_path, A)

    assert "".join(diff_lines(PlanDiff.of(old, new), Page())).splitlines()[:3] == [
        f"Old: {old.path}: delete inactive, made just now",
        f"New: {new.path}: delete expired, made just now",
        "",
    ]


@pytest.mark.parametrize(
    ("change", "line", "was"),
    [
        ({"reason": "inactive"}, "- delete  a", "delete, expired on 2025-01-02"),
        ({"protected": "protected by 'a'"}, "= keep    a", "delete, expired on 2025-01-02"),
    ],
)
def test_changed_tokens(tmp_path: Path, change: dict[str, Any], line: str, was: str) -> None:
    """A token was changed if its reason or its protection differs."""
    diff = PlanDiff.of(planned(tmp_path, A), planned(tmp_path, attrs.evolve(A, **change)))

    first, second, *_ = text_of(diff).splitlines()
    assert first.startswith(f"changed  {line}  {A.id}  ")
    assert second == f"         was: {was}"
    assert diff.counts == {"added": 0, "removed": 0, "changed": 1, "same": 0}


def test_token_that_is_no_longer_protected(tmp_path: Path) -> None:
    """The protection of a token in the old plan is its reason to be kept."""
    diff = PlanDiff.of(
        planned(tmp_path, attrs.evolve(A, protected="protected by 'a'")), planned(tmp_path, A)
    )

    assert "\n         was: keep, protected by 'a'\n" in text_of(diff)


def test_another_action(tmp_path: Path) -> None:
    """If the actions of the plans differ, each token that is selected was changed."""
    kept = attrs.evolve(B, protected="protected by 'b'")
    diff = PlanDiff.of(planned(tmp_path, A, kept, action="deactivate"), planned(tmp_path, A, kept))

    assert diff.counts == {"added": 0, "removed": 0, "changed": 1, "same": 1}
    assert "         was: deactivate, expired on 2025-01-02\n" in text_of(diff)


def test_case_of_ids_does_not_matter(tmp_path: Path) -> None:
    """Two plans have the same token if its ids differ only in case, and its owner is the same."""
    old = planned(tmp_path, attrs.evolve(A, id="A" * 24))
    same = planned(tmp_path, attrs.evolve(A, id="a" * 24))
    other = planned(tmp_path, attrs.evolve(A, id="a" * 24, owner=Owner.user_oauth()))

    assert PlanDiff.of(old, same).changes == ()
    assert PlanDiff.of(old, other).counts["added"] == 1


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"base_url": "https://a.example"}, "the base URL of .* is https://a.example, and that of"),
        ({"account": "userId 1"}, "the account of .* is userId 1, and that of .* is userId 2"),
    ],
)
def test_other_account(tmp_path: Path, members: dict[str, Any], message: str) -> None:
    """Plans for different base URLs or accounts cannot be compared."""
    old, new = planned(tmp_path, A, **members), planned(tmp_path, A, account="userId 2")

    with pytest.raises(UsageError, match=f"^the plans cannot be compared: {message}"):
        PlanDiff.of(old, new)


def test_other_owner(tmp_path: Path) -> None:
    """Plans for the tokens of different users cannot be compared, even if no account is claimed."""
    ada, grace = ({Owner.user(): (letter * 24,)} for letter in "ab")
    old = planned(tmp_path, A, owner_ids=ada)

    with pytest.raises(UsageError, match=f"tokens of user in .* belong to {'a' * 24}, and those"):
        PlanDiff.of(old, planned(tmp_path, A, owner_ids=grace))
    for same in (ada, {}, {Owner.user(): ("b" * 24, "a" * 24)}):
        assert PlanDiff.of(old, planned(tmp_path, A, owner_ids=same)).changes == ()


def test_unknown_account(tmp_path: Path) -> None:
    """Plans can be compared if the account of one is unknown."""
    assert PlanDiff.of(planned(tmp_path), planned(tmp_path, account="userId 2")).changes == ()


def test_narrow_terminal(tmp_path: Path) -> None:
    """On a narrow terminal, the further lines of a token are indented, and colors mark the kind."""
    diff = PlanDiff.of(planned(tmp_path), planned(tmp_path, A))

    text = text_of(diff, Page(60, is_terminal=True, has_color=True))

    start = "\x1b[32madded    \x1b[0m\x1b[31m- delete\x1b[0m  a"
    assert text.startswith(f"{start}  {A.id[:8]}…\n{' ' * 19}expired on 2025-01-02\n")


def test_json(tmp_path: Path) -> None:
    """The JSON has both plans, the totals, and each difference with both of its sides."""
    old, new = planned(tmp_path, A, B), planned(tmp_path, attrs.evolve(B, reason="inactive"), C)

    data = json.loads("".join(diff_document(PlanDiff.of(old, new))))

    assert (data["old"]["plan"], data["new"]["digest"]) == (str(old.path), new.digest)
    assert data["totals"] == {"added": 1, "removed": 1, "changed": 1, "same": 0}
    assert [
        (one["change"], one["old"] and one["old"]["name"], one["new"] and one["new"]["reason"])
        for one in data["tokens"]
    ] == [
        ("changed", "b", "inactive"),
        ("added", None, "expired on 2025-01-02"),
        ("removed", "a", None),
    ]
