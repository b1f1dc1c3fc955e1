"""The async paginator: iterates over all items of a list, and reads the next page ahead.

`listing_progress` decides which page is next, and compares the pages with what the server states.
`iter` issues a warning about each contradiction, for the line that reads from it.
"""

import asyncio
import warnings
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Generic, Self, TypeVar

import attrs

from losant_tokens._calls.listing_progress import NO_QUERY, HasId, ListingProgress, Page
from losant_tokens._utils.event_loop import is_asyncio
from losant_tokens.errors import ClientStateError, PaginationDriftWarning, ResponseTooLarge

T = TypeVar("T", bound=HasId)
V = TypeVar("V")

ReadPage = Callable[[int, int], Awaitable[Page[T]]]
"""Reads a page. Its arguments are the number of the page, from 0, and the page size."""


class Listing(AsyncIterator[T], Generic[T]):
    """An asynchronous iterator over the items of all pages of a list.

    While you work on one page, the next page is read ahead, and no other. You can leave the loop
    at any item. Then at most one page is read unnecessarily. `aclose()` or `contextlib.aclosing`
    stops that as well.
    """

    progress: ListingProgress
    """How much of the list has been read, and the problems of the list."""
    warns: bool
    """Whether each new problem is a `PaginationDriftWarning`. Set it to False if you read
    `progress.problems` yourself. `warnings.catch_warnings` is not for concurrent tasks, because
    they would restore each other's filters.
    """

    def __init__(
        self,
        operation: str,
        per_page: int,
        read: ReadPage[T],
        reads_ahead: "set[ReadAhead[Any]]",
        *,
        changes: Callable[[], int] = int,
        query: Mapping[str, str] = NO_QUERY,
    ) -> None:
        self.progress = ListingProgress(operation, per_page, query)
        self.warns = True
        self._read = read
        self._reads_ahead = reads_ahead
        self._changes = changes
        self._changes_before = 0
        self._warned = 0
        self._items: deque[T] = deque()
        self._next_page: ReadAhead[Page[T]] | None = None
        self._has_ended = False
        self._is_loading = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._is_loading:
                raise RuntimeError(
                    "Another task is already reading this listing. Call iter() in each task."
                )
            if self._has_ended:
                raise StopAsyncIteration
            await self._load_page()
            if self.warns and (text := self._new_problems()):
                # This level is the line that reads from the iterator.
                warnings.warn(text, PaginationDriftWarning, stacklevel=2)
        return self._items.popleft()

    async def aclose(self) -> None:
        """End the iteration, and stop reading ahead."""
        self._items.clear()
        self._has_ended = True
        if self._next_page is not None:
            await self._next_page.cancel()

    async def _load_page(self) -> None:
        self._is_loading = True
        try:
            page = await (self._next_page.result() if self._next_page else self._read_page())
            items, has_more = self.progress.record_page(page)
            self._has_ended = not has_more
        except BaseException:
            self._has_ended = True
            raise
        finally:
            self._is_loading = False
        self._next_page = (
            None if self._has_ended else ReadAhead.start(self._read_page, self._reads_ahead)
        )
        self._items.extend(items)

    async def _read_page(self) -> Page[T]:
        try:
            page = await self._read(self.progress.page, self.progress.per_page)
        except ResponseTooLarge:
            if not self.progress.halve_page_size():
                raise
            return await self._read_page()
        if self.progress.page == 0:
            self._changes_before = self._changes()
        elif changes := self._changes() - self._changes_before:
            self.progress.record_own_changes(changes)
        return page

    def _new_problems(self) -> str:
        """Return a message about the problems that have had no warning yet."""
        problems = self.progress.problems[self._warned :]
        self._warned += len(problems)
        if not problems:
            return ""
        return (
            f"{self.progress.operation}: {', '.join(map(str, problems))}. Items may be missing or "
            f"appear twice. Read a list to its end before you delete or create any of its items, "
            f"and read it again to be sure."
        )


class ReadAhead(Generic[V]):
    """A page that is read by a task before anybody awaits it.

    This is the only task outside a task group. A caller can leave an `async for` at any item, and
    the iterator does not notice, so no block could hold a task group. The task keeps its outcome,
    so a failure that nobody awaits is not reported. The client knows all of these tasks, and
    cancels them when it closes.
    """

    def __init__(
        self, read: Callable[[], Awaitable[V]], reads_ahead: "set[ReadAhead[Any]]"
    ) -> None:
        self._read = read
        self._is_cancelled = False
        self._task = asyncio.get_running_loop().create_task(self._outcome())
        reads_ahead.add(self)
        self._task.add_done_callback(lambda _: reads_ahead.discard(self))

    @classmethod
    def start(
        cls, read: Callable[[], Awaitable[V]], reads_ahead: "set[ReadAhead[Any]]"
    ) -> "ReadAhead[V] | None":
        """Start reading on asyncio; return `None` on trio, which has no tasks outside a nursery.

        Args:
            read: Reads the page.
            reads_ahead: The set to add the task to while it runs.
        """
        return cls(read, reads_ahead) if is_asyncio() else None

    async def result(self) -> V:
        """Return the page, or raise the error of reading it."""
        try:
            # If the caller is cancelled here, so is the task.
            outcome = await self._task
        except asyncio.CancelledError:
            if not self._is_cancelled:
                raise
            # The task was cancelled before it started.
            outcome = _closed()
        if isinstance(outcome, _Failed):
            raise outcome.error
        return outcome

    async def cancel(self) -> None:
        """Cancel the task, and wait until it has ended."""
        self._is_cancelled = True
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _outcome(self) -> "V | _Failed":
        try:
            return await self._read()
        except asyncio.CancelledError:
            if not self._is_cancelled:
                raise
            return _closed()
        except Exception as error:  # noqa: BLE001 -- raised by `result`
            return _Failed(error)


@attrs.frozen
class _Failed:
    error: Exception


def _closed() -> _Failed:
    return _Failed(ClientStateError("The list was closed while its next page was being read."))
