"""Decide which page of a list is read next, and where the list ends.

The end of a list is an empty page, and not the total that the API states, because a wrong total
would leave tokens out. Only a page that the API states to be past the end may fail.

This module is pure: it sends no request.
"""

import attrs

from losant_tokens._api.models import ApiToken, ApiTokens, UserOauthToken, UserOauthTokens
from losant_tokens.errors import ResponseError

Token = ApiToken | UserOauthToken
Page = ApiTokens | UserOauthTokens

_MAX_REPEATS = 3  # consecutive pages that are empty or the same, before the stated end
_MAX_TOKENS = 10_000_000
_MAX_GROWTH = 10  # times the stated total, or the minimum below
_MIN_TOTAL = 1000  # tokens


def size_of(page: Page) -> int:
    """Return the number of items on a page, including unreadable ones."""
    return len(page.items) + len(getattr(page, "unreadable_items", ()))


@attrs.frozen
class ListedPage:
    """A page of a list.

    Attributes:
        page: The page.
        number: Its number, from 0.
        skip: The number of its first tokens that were on an earlier page, too. It is above 0 only
            after the page size was reduced.
    """

    page: Page
    number: int
    skip: int = 0


@attrs.define(eq=False)
class PageCursor:
    """The position in a list.

    Attributes:
        subject: The tokens as a phrase, for messages: `the tokens of user`.
        size: The page size.
        number: The number of the next page.
        skip: The number of tokens of the next page that were listed before.
    """

    subject: str
    size: int
    number: int = 0
    skip: int = 0
    _stated: int | None = None
    _repeats: int = 0
    _last_ids: frozenset[str] = frozenset()

    @property
    def is_at_end(self) -> bool:
        """Whether the last pages show that the list has ended, regardless of its total."""
        return self._repeats >= _MAX_REPEATS

    @property
    def may_fail(self) -> bool:
        """Whether the API may refuse the next page, because it is past the stated end."""
        return self.number > 0 and self._is_past_stated_end

    def advance(self, page: Page) -> ListedPage | None:
        """Move past a page that was read; return `None` if it is the end of the list.

        Raises:
            ResponseError: The list does not end.
        """
        size = size_of(page)
        if page.total_count is not None and size:
            self._stated = page.total_count
        if size == 0 and self._is_past_stated_end:
            return None
        self._check_growth()
        ids = frozenset(token.id for token in page.items)
        self._repeats = self._repeats + 1 if ids == self._last_ids else 0
        self._last_ids = ids
        if self.number == 0 and 0 < size < self.size:
            # The server may limit the page size. The next page of this size starts at its end.
            self.size = size
        listed = ListedPage(page, self.number, self.skip)
        self.number, self.skip = self.number + 1, 0
        return listed

    def halve(self) -> bool:
        """Halve the page size, and stay at the same token; return `False` if the size is 1."""
        if self.size == 1:
            return False
        offset = self.number * self.size + self.skip
        self.size //= 2
        self.number, self.skip = divmod(offset, self.size)
        return True

    @property
    def _is_past_stated_end(self) -> bool:
        return self._stated is None or self.number * self.size >= self._stated

    def _check_growth(self) -> None:
        listed, limit = self.number * self.size, _MAX_TOKENS
        if self._stated is not None:
            limit = min(limit, _MAX_GROWTH * max(self._stated, _MIN_TOTAL))
        if listed > limit:
            raise ResponseError(
                f"The list of {self.subject} does not end: {listed} tokens were "
                f"listed. Check the base URL.",
                status_code=200,
            )
