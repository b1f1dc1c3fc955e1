"""Patterns for names, and the warnings about patterns that match nothing."""

import unicodedata
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import ApiToken, errors, jobs
from losant_tokens.jobs._name_patterns import NamePattern, PatternSet
from losant_tokens.testing import FakeLosant
from tests.support.jobs import USER, client_of

CAFE, CAFE_NFD = "caf\u00e9-prod", unicodedata.normalize("NFD", "caf\u00e9-prod")


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("ci-*", "ci-1", True),
        ("ci-*", "CI-1", False),
        ("ci-?", "ci-12", False),
        ("svc[prod]-1", "svc[prod]-1", True),
        ("svc[prod]-1", "svcp-1", True),
        ("svc[prod]-1", "svcx-1", False),
        ("old [live]", "old [live]", True),
        ("old-prod[1]", "old-prod[1]", True),
        ("old-[!x]", "old-[!x]", True),
        ("old-[!x]", "old-x", False),
        ("[", "[", True),
        ("[z-a]", "[z-a]", True),
        ("*", "", True),
        (CAFE, CAFE_NFD, True),
        (CAFE_NFD, CAFE, True),
        (CAFE_NFD[:5] + "*", CAFE, True),
        ("a\nb", "a\nb", True),
        ("a*", "a\nb", True),
    ],
)
def test_matches(pattern: str, name: str, expected: bool) -> None:
    """A pattern matches an equal name, and other names as a glob, in any Unicode form."""
    assert jobs.name_matches(name, pattern) is expected
    token = ApiToken(id="1" * 24, name=name)
    assert jobs.named(pattern).matches(token, warnings) is expected  # type: ignore[arg-type]


@given(st.text())
def test_equal_name_always_matches(name: str) -> None:
    """Each name matches itself as a pattern, in each Unicode form."""
    for form in ("NFC", "NFD"):
        try:
            other = unicodedata.normalize(form, name)
        except ValueError:
            continue
        assert jobs.name_matches(name, other)
        assert jobs.name_matches(other, name)


@pytest.mark.parametrize("make", [jobs.named, jobs.created_by, jobs.has_scope])
@pytest.mark.parametrize("glob", ["", " ", "\n", None, 5, ["ci-*"]])
def test_wrong_pattern(make: Any, glob: Any) -> None:
    """A pattern must be a string that is not blank."""
    with pytest.raises(errors.ValidationError, match=r"must not be blank|must be of type str"):
        make(glob)


def test_equality_and_representation() -> None:
    """Patterns with the same text are equal, and their representation shows only the text."""
    assert NamePattern("ci-*") == NamePattern("ci-*")
    assert NamePattern("ci-*") != NamePattern("ci-?")
    assert repr(NamePattern("ci-*")) == "NamePattern(text='ci-*')"


def test_pattern_set() -> None:
    """A pattern set finds each pattern that matches: by id, by name, or as a glob."""
    patterns = [NamePattern(text) for text in ("A" * 24, CAFE, "caf*", "[x]", "x*")]
    found = PatternSet(patterns)

    def texts(token_id: str, name: str) -> list[str]:
        return list(dict.fromkeys(pattern.text for pattern in found.matching(token_id, name)))

    assert texts("a" * 24, CAFE_NFD) == ["A" * 24, CAFE, "caf*"]
    assert texts("b" * 24, "[x]") == ["[x]"]
    assert texts("b" * 24, "x") == ["[x]", "x*"]
    assert texts("b" * 24, "b") == []
    assert [pattern.is_glob for pattern in patterns] == [False, False, True, True, True]


def fake_of(*names: str) -> FakeLosant:
    fake = FakeLosant()
    for name in names:
        fake.add_token(name, status="inactive")
    for number in range(9):
        fake.add_token(f"keep-{number}")
    return fake


async def plan_of(fake: FakeLosant, folder: Path, **options: Any) -> tuple[jobs.Plan, list[str]]:
    async with client_of(fake) as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            plan = await jobs.plan(
                client, USER, **{"select": jobs.inactive(), "path": folder / "plan", **options}
            )
    return plan, [
        str(one.message) for one in caught if one.category is jobs.UnmatchedPatternWarning
    ]


def doomed(plan: jobs.Plan) -> list[str]:
    return [entry.name for entry in plan.entries() if entry.protected is None]


@pytest.mark.parametrize("name", ["svc[prod]-1", "old [live]", "old-[!x]", CAFE])
async def test_names_that_look_like_globs_are_protected(tmp_path: Path, name: str) -> None:
    """The exact name of a token protects it, even if it looks like a glob."""
    plan, warned = await plan_of(
        fake_of(name, "other"), tmp_path, protect=unicodedata.normalize("NFD", name)
    )

    assert (doomed(plan), warned) == (["other"], [])


BILING = "The protect pattern 'biling' matches no token, so it protects nothing."


@pytest.mark.parametrize("select", [jobs.inactive(), jobs.no_tokens()], ids=str)
async def test_pattern_that_protects_nothing(tmp_path: Path, select: jobs.Rule) -> None:
    """A protect pattern without a match is reported, even if no token is selected."""
    _, warned = await plan_of(
        fake_of("billing"), tmp_path, protect=["biling", "keep-*"], select=select
    )

    assert warned == [f"{BILING} Check its spelling."]


async def test_unmatched_patterns_are_ignored(tmp_path: Path) -> None:
    """With `unmatched="ignore"`, a protect pattern without a match is not reported."""
    _, warned = await plan_of(fake_of("billing"), tmp_path, protect="biling", unmatched="ignore")

    assert warned == []


async def test_unmatched_patterns_are_refused(tmp_path: Path) -> None:
    """With `unmatched="refuse"`, a protect pattern without a match refuses the plan."""
    with pytest.raises(jobs.GuardRefused, match=f"{BILING}.*unmatched='warn'"):
        await plan_of(fake_of("billing"), tmp_path, protect="biling", unmatched="refuse")


async def test_unmatched_patterns_of_an_empty_plan(tmp_path: Path) -> None:
    """With `unmatched="refuse"`, a plan that selects no token is not refused."""
    plan, _ = await plan_of(
        fake_of("billing"), tmp_path, protect="biling", unmatched="refuse", select=jobs.no_tokens()
    )

    assert len(plan) == 0


async def test_pattern_that_excludes_nothing(tmp_path: Path) -> None:
    """An excluding pattern without a match is reported, and can refuse the plan."""
    fake = fake_of("billing")
    rule = jobs.inactive() & ~jobs.named("biling")
    _, warned = await plan_of(fake, tmp_path, select=rule)
    words = "~named('biling') matches no token, so it excludes nothing."
    assert warned == [f"{words} Check its spelling."]
    with pytest.raises(jobs.GuardRefused, match=r"named\('biling'\) matches no token"):
        await plan_of(fake, tmp_path, select=rule, unmatched="refuse", path=tmp_path / "other")


async def test_pattern_that_selects_nothing(tmp_path: Path) -> None:
    """A selecting pattern without a match is reported, but does not refuse the plan."""
    rule = jobs.named("billing") | jobs.named("biling") | ~~jobs.created_by("ada")
    _, warned = await plan_of(fake_of("billing"), tmp_path, select=rule, unmatched="refuse")

    assert warned == [
        "named('biling') matches no token. Check its spelling.",
        "created_by('ada') matches no token. Check its spelling.",
    ]


@pytest.mark.parametrize("protect", ["", ["ok", " "], [None]])
async def test_blank_protection(tmp_path: Path, protect: Any) -> None:
    """A blank protect pattern is refused before anything is sent."""
    fake = fake_of("x")
    with pytest.raises(errors.ValidationError, match=r"plan\.protect must"):
        await plan_of(fake, tmp_path, protect=protect)

    assert fake.requests == ()


async def test_unreadable_name_is_protected(tmp_path: Path) -> None:
    """A token whose name cannot be read is protected if there are protect patterns."""
    from losant_tokens.jobs._plan.guards import Guards

    token = ApiToken(id="1" * 24, unreadable=frozenset({"name"}))
    async with client_of(FakeLosant()) as client:
        guards = Guards(protect=(NamePattern("prod-*"),))
        assert guards.protection(client, token) == "its name cannot be read, so it may be protected"
        assert Guards().protection(client, token) is None
