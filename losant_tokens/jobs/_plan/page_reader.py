"""Reads the pages of a list for a plan, one page ahead, until the list has certainly ended.

The end of a list is an empty page, and not the total that the API states: the total may be wrong,
and then tokens would be left out. Only a page that the API states to be beyond the end may fail.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import attrs

from losant_tokens._resources.base import Send
from losant_tokens._resources.owner_tokens import OwnerTokens
from losant_tokens._retry import ONCE
from losant_tokens.errors import BadRequest, LosantError, NotFound, ResponseError, ResponseTooLarge
from losant_tokens.jobs._plan.completeness import Page, size_of

_BARREN = 3  # pages in a row that are empty or the same, before the announced end
_MOST = 10_000_000  # tokens
_GROWTH = 10  # times the stated total, or the least of it, that a list may have
_LEAST_TOTAL = 1000


@attrs.frozen
class Read:
    """A page that was read.

    Attributes:
        page: The page.
        number: Its number.
        skip: How many of its tokens were on the page before, because the page size was reduced.
    """

    page: Page
    number: int
    skip: int = 0


async def read_pages(
    tokens: OwnerTokens, send: Send, page_size: int, take: Callable[[Read], Awaitable[None]]
) -> None:
    """Read all pages of a list, and give each to `take` while the next one is being read.

    Args:
        tokens: The tokens to list.
        send: Sends a request.
        page_size: How many tokens to ask for at a time. It is halved if a page is too large.
        take: Takes a page.

    Raises:
        ResponseError: The list does not end.
        LosantError: A page cannot be read.
    """
    give, receive = anyio.create_memory_object_stream[Read | Exception](0)
    failure: Exception | None = None
    async with anyio.create_task_group() as group, receive:
        group.start_soon(_Reader(tokens, send, page_size).run, give)
        try:
            async for read in receive:
                if isinstance(read, Exception):
                    failure = read
                    break
                await take(read)
        except Exception as error:  # noqa: BLE001 -- raised below, and not in a group of one
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


@attrs.define(eq=False)
class _Reader:
    """Reads page after page.

    Attributes:
        size: How many tokens to ask for at a time.
        number: The number of the next page.
        skip: How many tokens of the next page were on the page before.
    """

    tokens: OwnerTokens
    send: Send
    size: int
    number: int = 0
    skip: int = 0
    _stated: int | None = None
    _barren: int = 0
    _last_ids: frozenset[str] = frozenset()

    async def run(self, give: anyio.abc.ObjectSendStream[Read | Exception]) -> None:
        async with give:
            try:
                while (read := await self._next()) is not None:
                    await give.send(read)
            except Exception as error:  # noqa: BLE001 -- raised by the task that takes the pages
                await give.send(error)

    async def _next(self) -> Read | None:
        """Read the next page; `None` at the end of the list."""
        if self._barren >= _BARREN:
            return None
        while True:
            page = partial(
                self.tokens.page,
                page=self.number,
                per_page=self.size,
                sort_field="id",
                retry=ONCE,
            )
            try:
                return self._noted(await self.send(page))
            except (BadRequest, NotFound):
                if self.number == 0 or not self._is_beyond_the_end():
                    raise
                return None
            except LosantError as error:
                if not isinstance(error, ResponseTooLarge) or self.size == 1:
                    raise
                self._reduce()

    def _noted(self, page: Page) -> Read | None:
        size, number, skip = size_of(page), self.number, self.skip
        if page.total_count is not None and size:
            self._stated = page.total_count
        if size == 0 and self._is_beyond_the_end():
            return None
        if number * self.size > self._limit():
            raise ResponseError(
                f"The list of the tokens of {self.tokens.owner} does not end: "
                f"{number * self.size} tokens were listed.",
                status_code=200,
            )
        ids = frozenset(token.id for token in page.items)
        self._barren = self._barren + 1 if ids == self._last_ids else 0
        self._last_ids = ids
        if number == 0 and 0 < size < self.size:
            # The server may cap the size of a page. Pages of this size fit onto the first.
            self.size = size
        self.number, self.skip = number + 1, 0
        return Read(page, number, skip)

    def _is_beyond_the_end(self) -> bool:
        return self._stated is None or self.number * self.size >= self._stated

    def _limit(self) -> int:
        if self._stated is None:
            return _MOST
        return min(_MOST, _GROWTH * max(self._stated, _LEAST_TOTAL))

    def _reduce(self) -> None:
        """Halve the page size, and go on with the same token."""
        offset = self.number * self.size + self.skip
        self.size //= 2
        self.number, self.skip = divmod(offset, self.size)
