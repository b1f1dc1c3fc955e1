"""The completeness check: which tokens are new, and what proves that none is missing."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from losant_tokens import ApiToken, ApiTokens
from losant_tokens._complete_listing.completeness import ListingCheck

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


def token(letter: str, day: int | None) -> ApiToken:
    created = None if day is None else BEGIN + timedelta(days=day)
    return ApiToken(id=letter, creation_date=created)


def listed(letters: Iterable[str], *, newest: str, total: int | None) -> tuple[ListingCheck, str]:
    """A check of tokens whose ids grow with time, and the tokens that it took for new."""
    items = (ApiToken(id=newest),) if newest else ()
    check = ListingCheck(ApiTokens(items=items, total_count=total))
    new = [one for one in letters if check.add(token(one, ord(one.lower())))]
    return check, "".join(new)


LISTINGS = [
    # (ids, newest id, total, ids that are new, whether the listing is complete)
    ("", "", 0, "", True),
    ("abc", "c", 3, "abc", True),
    ("ABc", "C", 3, "ABc", True),
    ("abcde", "c", 3, "abcde", True),  # two were created meanwhile, and come last
    ("acde", "c", 3, "acde", False),  # b was deleted, or hidden by another deletion
    ("abc", "c", None, "abc", False),
    ("abbc", "c", 3, "abc", False),  # one is listed twice
    ("abcdefghijklmb", "m", 13, "abcdefghijklm", False),  # one is listed twice, far apart
    ("badcfehgjilknm", "n", 14, "badcfehgjilknm", False),  # not sorted
    ("badcfehgjilkab", "l", 12, "badcfehgjilk", False),  # not sorted, and two are listed twice
]


@pytest.mark.parametrize(("ids", "newest", "total", "new", "is_complete"), LISTINGS)
def test_new_tokens(ids: str, newest: str, total: int | None, new: str, is_complete: bool) -> None:
    """A token that is listed twice is new only once."""
    assert listed(ids, newest=newest, total=total)[1] == new


@pytest.mark.parametrize(("ids", "newest", "total", "new", "is_complete"), LISTINGS)
def test_is_complete(ids: str, newest: str, total: int | None, new: str, is_complete: bool) -> None:
    """A listing is complete if it is sorted and has all tokens that existed before it."""
    assert listed(ids, newest=newest, total=total)[0].is_complete is is_complete


@pytest.mark.parametrize(
    ("days", "is_complete"), [((1, 2, 3), True), ((2, 2, 2), True), ((1, 3, 2), False)]
)
def test_ids_that_do_not_grow_with_time(days: tuple[int, ...], is_complete: bool) -> None:
    """If later tokens have lower ids, a listing proves nothing."""
    check = ListingCheck(ApiTokens(items=(ApiToken(id="c"),), total_count=3))
    for letter, day in zip("abc", days, strict=True):
        check.add(token(letter, day))

    assert check.is_complete is is_complete


def test_unknown_creation_dates() -> None:
    """If a creation date is unknown, a listing proves nothing."""
    check = ListingCheck(ApiTokens(items=(ApiToken(id="a"),), total_count=1))

    assert check.add(token("a", None))

    assert not check.is_complete


def test_fingerprint() -> None:
    """Two listings have the same fingerprint only if they have the same ids."""
    fingerprints = [
        listed(ids, newest="c", total=3)[0].fingerprint for ids in ("abc", "abc", "abd")
    ]

    assert fingerprints[0] == fingerprints[1]
    assert fingerprints[0] != fingerprints[2]
