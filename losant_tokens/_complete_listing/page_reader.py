"""Read the pages of a list in the order of the ids, one page ahead of the consumer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol, TypedDict, Unpack

import anyio
import attrs
from anyio.abc import ObjectSendStream

from losant_tokens._complete_listing.page_cursor import ListedPage, Page, PageCursor
from losant_tokens._http.call_options import SortDirection, SortField
from losant_tokens.errors import BadRequest, NotFound, ResponseTooLarge


class PageRequest(TypedDict, total=False):
    """The options of a page of a listing."""

    page: int
    per_page: int
    sort_field: SortField
    sort_direction: SortDirection


class ReadPage(Protocol):
    """Reads a page of a list. It retries the request if that is possible."""

    async def __call__(self, **options: Unpack[PageRequest]) -> Page:
        """Return the page for these options."""


async def read_newest(read: ReadPage) -> Page:
    """Return a page with only the newest token, and with the total."""
    return await read(sort_field="id", sort_direction="desc", per_page=1, page=0)


@asynccontextmanager
async def open_pages(
    read: ReadPage, subject: str, page_size: int
) -> AsyncIterator[AsyncIterator[ListedPage]]:
    """Open the pages of a list. While one of them is used, the next one is read.

    The iterator ends after the last page, or before a page that cannot be read. The error of that
    page is raised at the end of the `async with` block.

    Args:
        read: Reads a page.
        subject: The tokens as a phrase, for messages.
        page_size: The number of tokens on a page. It is halved if a page is too large.

    Raises:
        ResponseError: The list does not end.
        LosantError: A page cannot be read.
    """
    sender, pages = anyio.create_memory_object_stream[ListedPage](0)
    reader = _PageReader(read, PageCursor(subject, page_size))
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

    read: ReadPage
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
                page = await self.read(
                    page=self.cursor.number, per_page=self.cursor.size, sort_field="id"
                )
                return self.cursor.advance(page)
            except (BadRequest, NotFound):
                if not self.cursor.may_fail:
                    raise
                return None
            except ResponseTooLarge:
                if not self.cursor.halve():
                    raise
        return None
