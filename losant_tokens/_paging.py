"""All pages of a list, one token after the other, the next page read while one works on this.

Where a list ends is for the answers to say. Asked for a thousand, a server may give a hundred
and say so, or not say so; it may also be wrong about how many there are, ignore which page was
asked for, or go on for ever. What cannot be an honest list ends in an error, not in a loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, Self, TypeVar

import attrs

from losant_tokens._loop import is_asyncio
from losant_tokens.errors import ClientStateError, ResponseError


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_HasId)
T_co = TypeVar("T_co", bound=_HasId, covariant=True)
V = TypeVar("V")

_GROWTH = 2
_PAGES_OF_SLACK = 10
_LONGEST = 10_000_000
"""A list may grow while it is read: to twice what its first page announced, and ten pages more."""


class Page(Protocol[T_co]):
    """The part of a page that reading on depends on."""

    @property
    def items(self) -> Sequence[T_co]:
        """What is on this page."""

    @property
    def total_count(self) -> int | None:
        """How many there are on all pages."""

    @property
    def per_page(self) -> int | None:
        """How many fit on a page."""


ReadPage = Callable[[int, int], Awaitable[Page[T]]]
"""Reads a page: its number, from zero, and how many items it shall have."""


@attrs.define(eq=False)
class Progress:
    """How far a list has been read, and whether it goes on. Reads nothing itself.

    Attributes:
        action: The action that reads a page.
        per_page: How many items to ask for. After the first page, what the server makes of it.
        page: The number of the next page.
        seen: How many items were read.
        total_count: How many there are, by the latest page that says so.
        moved: Whether that number has changed from one page to another.
    """

    action: str
    per_page: int
    page: int = 0
    seen: int = 0
    total_count: int | None = None
    moved: bool = False
    _longest: int = _LONGEST
    _last_ids: frozenset[str] = frozenset()

    def note(self, page: Page[Any]) -> bool:
        """Takes note of a page that was read; says whether there is another one.

        Raises:
            ResponseError: This cannot be an honest list.
        """
        size = len(page.items)
        ids = frozenset(item.id for item in page.items)
        if ids and ids == self._last_ids:
            raise self._endless(f"page {self.page} is the same as the one before it")
        self._last_ids = ids
        if page.total_count is not None:
            self.moved |= self.total_count not in (None, page.total_count)
            self.total_count = page.total_count
        if self.page == 0:
            self._settle(page)
        self.page += 1
        self.seen += size
        if self.seen > self._longest:
            raise self._endless(f"{self.seen} items, with no end in sight")
        if self.total_count is not None:
            return size > 0 and self.seen < self.total_count
        return size >= self.per_page

    def _settle(self, first: Page[Any]) -> None:
        """Goes by the size that the first page has, so that the pages after it fit onto it."""
        capped = 0 < len(first.items) < min(self.per_page, first.total_count or 0)
        self.per_page = first.per_page or (len(first.items) if capped else self.per_page)
        if first.total_count is not None:
            longest = first.total_count * _GROWTH + self.per_page * _PAGES_OF_SLACK
            self._longest = min(longest, _LONGEST)

    def _endless(self, problem: str) -> ResponseError:
        return ResponseError(
            f"{self.action}: the list does not come to an end: {problem}",
            action=self.action,
            status_code=200,
        )


class Listing(AsyncIterator[T], Generic[T]):
    """An asynchronous iterator over the items of all pages of a list.

    While one page is worked on, the next one is being read, and no more than that one. Whoever
    leaves the loop early stops it: at most one page is read in vain, and `aclose()` (or
    `contextlib.aclosing`) cuts even that short.

    Attributes:
        progress: How far the list has been read.
    """

    def __init__(
        self, action: str, per_page: int, read: ReadPage[T], under_way: "set[Ahead[Any]]"
    ) -> None:
        self.progress = Progress(action, per_page)
        self._read = read
        self._under_way = under_way
        self._items: deque[T] = deque()
        self._ahead: Ahead[Page[T]] | None = None
        self._ended = False
        self._turning = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._turning:
                raise RuntimeError("This listing is being read by another task already.")
            if self._ended:
                raise StopAsyncIteration
            await self._turn_the_page()
        return self._items.popleft()

    async def aclose(self) -> None:
        """Ends the iteration; what is being read ahead is given up."""
        self._items.clear()
        self._ended = True
        if self._ahead is not None:
            await self._ahead.give_up()

    async def _turn_the_page(self) -> None:
        self._turning = True
        try:
            page = await (self._ahead.result() if self._ahead else self._read_next())
            self._ended = not self.progress.note(page)
        except BaseException:
            self._ended = True
            raise
        finally:
            self._turning = False
        self._ahead = None if self._ended else Ahead.start(self._read_next, self._under_way)
        self._items.extend(page.items)

    def _read_next(self) -> Awaitable[Page[T]]:
        return self._read(self.progress.page, self.progress.per_page)


class Ahead(Generic[V]):
    """Something that is awaited ahead of need.

    This is the one place where a task is not in a task group: an `async for` may be left at any
    item, without a word to the iterator, so that no block could hold the group. What comes of the
    task stays in it, and so one that nobody asks about any more ends in silence. The client keeps
    those under way, and gives them up when it closes.
    """

    def __init__(self, read: Callable[[], Awaitable[V]], under_way: "set[Ahead[Any]]") -> None:
        self._read = read
        self._given_up = False
        self._task = asyncio.get_running_loop().create_task(self._outcome())
        under_way.add(self)
        self._task.add_done_callback(lambda _: under_way.discard(self))

    @classmethod
    def start(
        cls, read: Callable[[], Awaitable[V]], under_way: "set[Ahead[Any]]"
    ) -> "Ahead[V] | None":
        """Begins to read, on asyncio; trio has no tasks outside of a nursery: none there."""
        return cls(read, under_way) if is_asyncio() else None

    async def result(self) -> V:
        """What was read, or the error that came instead."""
        outcome = await self._task  # a waiting caller that is cancelled cancels the task
        if isinstance(outcome, _Failed):
            raise outcome.error
        return outcome

    async def give_up(self) -> None:
        """Stops reading, and waits until that has been done."""
        self._given_up = True
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _outcome(self) -> "V | _Failed":
        try:
            return await self._read()
        except asyncio.CancelledError:
            if not self._given_up:
                raise
            return _Failed(ClientStateError("The list was closed while its next page was read."))
        except Exception as error:  # noqa: BLE001 -- for whoever asks for the result
            return _Failed(error)


@attrs.frozen
class _Failed:
    error: Exception
