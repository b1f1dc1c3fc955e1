"""Watching a listing go by: what comes twice, and what proves that nothing was left out."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from losant_tokens import ApiToken, ApiTokens
from losant_tokens.jobs._plan.completeness import Watch

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


def token(letter: str, day: int | None) -> ApiToken:
    created = None if day is None else BEGIN + timedelta(days=day)
    return ApiToken(id=letter, creation_date=created)


def watched(letters: Iterable[str], *, newest: str, total: int | None) -> tuple[Watch, str]:
    """A watch that saw tokens whose ids grow with time, and those that it took to be new."""
    items = (ApiToken(id=newest),) if newest else ()
    watch = Watch(ApiTokens(items=items, total_count=total))
    taken = [one for one in letters if watch.is_new(token(one, ord(one.lower())))]
    return watch, "".join(taken)


@pytest.mark.parametrize(
    ("letters", "newest", "total", "taken", "is_whole"),
    [
        ("", "", 0, "", True),
        ("abc", "c", 3, "abc", True),
        ("ABc", "C", 3, "ABc", True),
        ("abcde", "c", 3, "abcde", True),  # two were created meanwhile: they come last
        ("acde", "c", 3, "acde", False),  # b was deleted, or hidden by another deletion
        ("abc", "c", None, "abc", False),
        ("abbc", "c", 3, "abc", False),  # one came twice
        ("abcdefghijklmb", "m", 13, "abcdefghijklm", False),  # too late
        ("badcfehgjilknm", "n", 14, "badcfehgjilknm", False),  # never sorted
        ("badcfehgjilkab", "l", 12, "badcfehgjilk", False),  # nor are all of them new
    ],
)
def test_watch(letters: str, newest: str, total: int | None, taken: str, is_whole: bool) -> None:
    """What comes twice is taken once, and a listing is whole where that can be proved."""
    watch, seen = watched(letters, newest=newest, total=total)

    assert (taken, is_whole) == (seen, watch.is_whole)


@pytest.mark.parametrize(
    ("days", "is_whole"), [((1, 2, 3), True), ((2, 2, 2), True), ((1, 3, 2), False)]
)
def test_ids_that_do_not_grow_prove_nothing(days: tuple[int, ...], is_whole: bool) -> None:
    """Where later tokens have lower ids, the number of those there before proves nothing."""
    watch = Watch(ApiTokens(items=(ApiToken(id="c"),), total_count=3))
    for letter, day in zip("abc", days, strict=True):
        watch.is_new(token(letter, day))

    assert is_whole is watch.is_whole


def test_unknown_dates_prove_nothing() -> None:
    """Where it is not said when tokens were created, nothing is certain."""
    watch = Watch(ApiTokens(items=(ApiToken(id="a"),), total_count=1))

    assert watch.is_new(token("a", None))

    assert not watch.is_whole


def test_digest() -> None:
    """Two listings are the same where the same ids came in the same order."""
    digests = [watched(ids, newest="c", total=3)[0].digest for ids in ("abc", "abc", "abd")]

    assert digests[0] == digests[1] != digests[2]
