"""The position in a list: which page is next, and where the list ends."""

import pytest

from losant_tokens import ApiToken, ApiTokens, Owner
from losant_tokens._complete_listing.page_cursor import ListedPage, PageCursor
from losant_tokens.errors import ResponseError

USER = Owner.user()


def page(first: int, size: int, total: int | None) -> ApiTokens:
    items = tuple(ApiToken(id=f"{number:024x}") for number in range(first, first + size))
    return ApiTokens(items=items, total_count=total)


def test_advance() -> None:
    """Each page moves the cursor to the next page."""
    cursor = PageCursor("the tokens of user", 10)
    first = page(0, 10, 25)

    assert cursor.advance(first) == ListedPage(first, 0)
    assert cursor.number == 1


@pytest.mark.parametrize(("total", "goes_on"), [(None, False), (5, False), (25, True)])
def test_empty_page(total: int | None, goes_on: bool) -> None:
    """An empty page ends the list only if the stated end is reached."""
    cursor = PageCursor("the tokens of user", 10)
    cursor.advance(page(0, 10, total))

    assert (cursor.advance(page(10, 0, total)) is not None) is goes_on


def test_limited_page_size() -> None:
    """If the first page is smaller than requested, the next ones are requested in its size."""
    cursor = PageCursor("the tokens of user", 1000)
    cursor.advance(page(0, 7, 60))

    assert cursor.size == 7


@pytest.mark.parametrize("size", [0, 5])
def test_repeated_pages(size: int) -> None:
    """A page that is repeated three times ends the list, even before the stated end."""
    cursor = PageCursor("the tokens of user", 10)
    cursor.advance(page(0, 10, 1000))
    for _ in range(4):
        assert not cursor.is_at_end
        cursor.advance(page(10, size, 1000))

    assert cursor.is_at_end


@pytest.mark.parametrize(
    ("total", "number", "may_fail"),
    [(None, 0, False), (20, 1, False), (20, 2, True), (None, 1, True), (0, 0, False)],
)
def test_may_fail(total: int | None, number: int, may_fail: bool) -> None:
    """Only a page past the stated end, and never the first page, may fail."""
    cursor = PageCursor("the tokens of user", 10)
    for each in range(number):
        cursor.advance(page(10 * each, 10, total))

    assert cursor.may_fail is may_fail


def test_halve() -> None:
    """A smaller page size keeps the position, and skips tokens that were listed before."""
    cursor = PageCursor("the tokens of user", 15)
    cursor.advance(page(0, 15, 60))

    assert cursor.halve()

    assert (cursor.size, cursor.number, cursor.skip) == (7, 2, 1)


def test_halve_a_page_of_one() -> None:
    """A page size of one cannot be halved."""
    cursor = PageCursor("the tokens of user", 1)

    assert not cursor.halve()


@pytest.mark.parametrize(
    ("total", "listed"), [(5, 11_000), (2000, 21_000), (9_000_000, 10_001_000), (None, 10_001_000)]
)
def test_endless_list(total: int | None, listed: int) -> None:
    """A list that grows to ten times its total, or past ten million tokens, is an error."""
    cursor = PageCursor("the tokens of user", 1000, number=listed // 1000 - 1)
    cursor.advance(page(0, 1, total))

    with pytest.raises(ResponseError, match=f"tokens of user does not end: {listed} tokens were"):
        cursor.advance(page(1, 1, total))
