"""Plans as HTML pages."""

import stat
from pathlib import Path
from typing import Any

import pytest

from losant_tokens.errors import ValidationError
from losant_tokens.jobs import Entry, GuardRefused, Outcome, Plan, save_plan_page
from tests.support.pages import ParsedPage
from tests.support.reports import NOW, entry, report


def plan_of(folder: Path, *entries: Entry, **header: Any) -> Plan:
    return report(folder, [Outcome.DONE] * len(entries), entries=entries, header=header).plan


def page_of(plan: Plan, folder: Path) -> ParsedPage:
    return ParsedPage(save_plan_page(plan, folder / "plan.html"))


def test_page_of_a_plan(tmp_path: Path) -> None:
    """The page of a plan shows the totals, the facts and how to apply the plan."""
    plan = plan_of(
        tmp_path,
        entry(1, scope=("all.User",), creator_name="grace"),
        entry(2, scope=("all.User.read",), creator_name="ada"),
        entry(3, scope=("all.User",), creator_name="joan", protected="protected by 'x'"),
        token_in_use="f" * 24,
        protected=("x",),
    )

    page = page_of(plan, tmp_path)

    for text in (
        "2 tokens to delete",
        "https://api.losant.com , user. Selected: expired",
        "To delete 2 of 6 listed",
        "Protected 1 selected, but kept",
        "Can create tokens 1 of those to delete",
        "Creators 2 of these tokens",
        "The plan Rule expired",
        "Made 2026-03-01 12:00 UTC Valid until 2026-03-02 12:00 UTC",
        f"Digest {plan.digest}",
        f"To apply losant-tokens apply '{plan.path}'",
        "Tokens of user 6 listed, 2 selected, 1 protected",
        "Protected tokens x",
    ):
        assert text in page.text
    assert "Request rate" not in page.text
    assert "notice" not in page.classes


def test_rows_of_a_plan(tmp_path: Path) -> None:
    """Each row says what the plan does with the token, and why."""
    plan = plan_of(tmp_path, entry(1), entry(2, protected="protected by 'x'"))

    page = page_of(plan, tmp_path)

    assert [["delete", "delete"], ["protected", "keep"]] == page.meta["states"]
    reason = "expired on 2025-01-02"
    assert [
        [0, "ci-1", f"{1:024x}", reason, ""],
        [1, "ci-2", f"{2:024x}", reason, "protected by 'x'"],
    ] == [row[:5] for row in page.rows]


def test_plan_with_one_action_has_no_column_for_it(tmp_path: Path) -> None:
    """The list has no column for the action if it is the same for all tokens."""
    page = page_of(plan_of(tmp_path, entry(1), entry(2)), tmp_path)

    assert "state" not in dict(page.meta["columns"])


def test_plan_without_scopes(tmp_path: Path) -> None:
    """The page of an old plan does not count scopes and creators that it does not have."""
    page = page_of(plan_of(tmp_path, entry(1)), tmp_path)

    assert "Can create tokens" not in page.text
    assert "Creators" not in page.text


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({}, "The token that made this plan is unknown, so it may be in the list."),
        ({"drifted": True}, "The tokens kept changing while they were listed, so some may be"),
        ({"incomplete": ("a", "b")}, "Tokens may be missing from this plan: a; b"),
    ],
)
def test_warnings_of_a_plan(tmp_path: Path, header: dict[str, Any], expected: str) -> None:
    """The page shows the warnings of the plan above everything else."""
    page = page_of(plan_of(tmp_path, entry(1), **header), tmp_path)

    assert expected in page.text
    assert "notice" in page.classes


def test_empty_plan(tmp_path: Path) -> None:
    """The page of an empty plan has no warning about the token in use."""
    page = page_of(plan_of(tmp_path), tmp_path)

    assert "0 tokens to delete" in page.text
    assert "notice" not in page.classes


def test_page_is_private(tmp_path: Path) -> None:
    """Only the user can read the page. It replaces an older one."""
    plan = plan_of(tmp_path, entry(1))
    path = save_plan_page(plan, str(tmp_path / "p.html"))
    path.chmod(0o644)

    assert path == save_plan_page(plan, path)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("name", ["p.json", "p.csv", "p"])
def test_page_of_another_format(tmp_path: Path, name: str) -> None:
    """A path that does not end in `.html` is refused."""
    with pytest.raises(ValidationError, match=rf"must end in \.html: .*/{name}$"):
        save_plan_page(plan_of(tmp_path), tmp_path / name)


def test_page_replaces_no_other_file(tmp_path: Path) -> None:
    """A page of another program is not replaced."""
    path = tmp_path / "index.html"
    path.write_text("<title>mine</title>")

    with pytest.raises(GuardRefused, match="exists, and is not"):
        save_plan_page(plan_of(tmp_path), path)
    assert "<title>mine</title>" == path.read_text()


def test_page_of_a_refused_plan(tmp_path: Path) -> None:
    """The page of a plan that a guard refused states why, and not how or until when to apply it."""
    plan = plan_of(tmp_path, entry(1), refused=("1 of the 1 token was selected.",))

    text = page_of(plan, tmp_path).text

    assert "Refused plan: 1 token to delete" in text
    assert "A guard refused this plan: 1 of the 1 token was selected." in text
    assert "To apply" not in text
    assert "Valid until" not in text


def test_page_of_a_plan_that_its_token_cannot_apply(tmp_path: Path) -> None:
    """The page states why the token that made the plan cannot apply it, and when it expires."""
    plan = plan_of(tmp_path, entry(1), cannot_apply=("it is read-only",), token_expires_at=NOW)

    text = page_of(plan, tmp_path).text

    assert "The token that made this plan cannot apply it: it is read-only" in text
    assert "Expiry of the token in use 2026-03-01 12:00 UTC" in text
