"""Read the pages of a list for a plan, one page ahead of the consumer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import attrs
from anyio.abc import ObjectSendStream

from losant_tokens import OwnerTokens
from losant_tokens._complete_listing.page_cursor import ListedPage, Page, PageCursor
from losant_tokens.errors import BadRequest, NotFound, ResponseTooLarge
from losant_tokens.jobs._throttle.throttle import ONE_ATTEMPT, Throttle


@asynccontextmanager
async def open_pages(
    throttle: Throttle, tokens: OwnerTokens, page_size: int
) -> AsyncIterator[AsyncIterator[ListedPage]]:
    """Open the pages of a list. While one of them is used, the next one is read.

    The iterator ends after the last page, or before a page that cannot be read. The error of that
    page is raised at the end of the `async with` block.

    Args:
        throttle: Sends the requests.
        tokens: The tokens to list.
        page_size: The number of tokens on a page. It is halved if a page is too large.

    Raises:
        ResponseError: The list does not end.
        LosantError: A page cannot be read.
    """
    sender, pages = anyio.create_memory_object_stream[ListedPage](0)
    reader = _PageReader(throttle, tokens, PageCursor(tokens.owner, page_size))
    failure: Exception | None = None
    async with anyio.create_task_group() as group, pages:
        group.start_soon(reader.run, sender)
        try:
            yield pages
            failure = reader.failure
        except Exception as error:  # noqa: BLE001 -- raised below, not in an exception group
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


@attrs.define(eq=False)
class _PageReader:
    """Reads the pages of a list into a stream.

    Attributes:
        failure: The error of the page that could not be read.
    """

    throttle: Throttle
    tokens: OwnerTokens
    cursor: PageCursor
    failure: Exception | None = None

    async def run(self, sender: ObjectSendStream[ListedPage]) -> None:
        """Read all pages, and close the stream."""
        async with sender:
            try:
                while (page := await self._next_page()) is not None:
                    await sender.send(page)
            except Exception as error:  # noqa: BLE001 -- raised by `open_pages`
                self.failure = error

    async def _next_page(self) -> ListedPage | None:
        """Read the next page; return `None` at the end of the list."""
        while not self.cursor.is_at_end:
            try:
                return self.cursor.advance(await self._read())
            except (BadRequest, NotFound):
                if not self.cursor.may_fail:
                    raise
                return None
            except ResponseTooLarge:
                if not self.cursor.halve():
                    raise
        return None

    async def _read(self) -> Page:
        page = partial(
            self.tokens.page,
            page=self.cursor.number,
            per_page=self.cursor.size,
            sort_field="id",
            retry=ONE_ATTEMPT,
        )
        return await self.throttle.read(page)
