"""The async paginator: all items of a list, with the next page read ahead.

The problem: pages are offsets into a live collection, and the end of a list is the server's word.
A server may cap the page size, with or without a word about it. It may be wrong about the number
of items, ignore which page was requested, or go on for ever. Items that are created or deleted
meanwhile shift the rest, so that others are skipped or come twice.

The approach: the items decide, and the statements are compared with them. A total that the items
contradict is ignored, and the list is read to an empty page. Each contradiction is noted once, as
a `Problem`; `iter` warns of it at the line of its reader. A list that cannot be an honest one ends
in an error, not in a loop. A page that is too large is requested again at half the size.

Rejected: an error for each contradiction, because most lists of a busy account change while they
are read; and a second listing to compare with, which `jobs.plan` does because it acts on the list.
"""

import asyncio
import warnings
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

import attrs

from losant_tokens._eventloop import is_asyncio
from losant_tokens.errors import (
    ClientStateError,
    PaginationDriftWarning,
    ResponseError,
    ResponseTooLarge,
)


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

_REMEMBERED = 100_000  # ids, which take some 10 MB; of a longer list, those read last


class Page(Protocol[T_co]):
    """The part of a page that reading on depends on."""

    @property
    def items(self) -> Sequence[T_co]:
        """The items on this page."""

    @property
    def unreadable_items(self) -> Sequence[object]:
        """The items that cannot be read."""

    @property
    def unreadable(self) -> frozenset[str]:
        """The names of the attributes whose members cannot be read."""

    @property
    def count(self) -> int | None:
        """The stated number of items on this page."""

    @property
    def total_count(self) -> int | None:
        """The stated number of items on all pages."""

    @property
    def per_page(self) -> int | None:
        """The stated size of a page."""

    @property
    def page(self) -> int | None:
        """The stated number of this page."""


ReadPage = Callable[[int, int], Awaitable[Page[T]]]
"""Reads a page. Its arguments are the number of the page, from zero, and the size of a page."""

ProblemKind = Literal[
    "changed", "total", "count", "page", "size", "repeated", "query", "unreadable"
]


@attrs.frozen
class Problem:
    """A reason why a listing may be incomplete, or hold items twice.

    Attributes:
        kind: `changed`: the stated total changed while the list was read, or this client changed
            items. `total`: the list ended before or after the stated total. `count`: a page has
            more or fewer items than it states. `page`: a page states to be another one. `size`: a
            page has another size than the others. `repeated`: items came twice. `query`: the list
            is sorted or filtered by something else. `unreadable`: items cannot be read.
        text: The same in words, with the values.
    """

    kind: ProblemKind
    text: str

    def __str__(self) -> str:
        return self.text


_NO_QUERY: Mapping[str, str] = MappingProxyType({})
_QUERY = MappingProxyType(
    {
        "sortField": "sort_field",
        "sortDirection": "sort_direction",
        "filterField": "filter_field",
        "filter": "filter",
    }
)


@attrs.define(eq=False)
class Progress:
    """How far a list has been read, and whether it goes on. Reads nothing itself.

    Attributes:
        operation: The operation that reads a page.
        per_page: The size of the pages to ask for. After the first page, the size that it has.
        page: The number of the next page.
        seen: The number of items that were read, with those that cannot be read.
        total_count: The number of items, by the latest page that states it.
        moved: Whether that number changed from one page to another.
        problems: The reasons why the listing may be incomplete, one of each kind.
    """

    operation: str
    per_page: int
    query: Mapping[str, str] = attrs.field(default=_NO_QUERY, repr=False)
    page: int = 0
    seen: int = 0
    total_count: int | None = None
    moved: bool = False
    problems: list[Problem] = attrs.field(factory=list)
    _skip: int = 0
    _longest: int = _LONGEST
    _last_ids: frozenset[str] = frozenset()
    _known_ids: set[str] = attrs.field(factory=set, repr=False)

    def note(self, page: Page[T]) -> tuple[Sequence[T], bool]:
        """Note a page that was read.

        Returns:
            The items that are new, and whether another page follows.

        Raises:
            ResponseError: This cannot be an honest list.
        """
        is_first = self.seen == 0 and self.page == 0
        size = len(page.items) + len(page.unreadable_items)
        items = self._new_items(page)
        self._compare(page, size)
        asked = self.per_page
        if is_first:
            self._settle(page, size)
        elif page.per_page not in {None, asked}:
            self._problem("size", f"page {self.page} states a size of {page.per_page}, not {asked}")
        self.seen += max(size - self._skip, 0)
        may_be_capped = is_first and page.per_page is None and size < asked
        goes_on = self._goes_on(size, may_be_capped=may_be_capped)
        self.page += 1
        self._skip = 0
        if self.seen > self._longest:
            raise self._endless(f"{self.seen} items, and no last page")
        return items, goes_on

    def note_own_changes(self, number: int) -> None:
        """Note how many changes this client has made to the list since its first page."""
        text = f"this client changed {_items(number)} of the list while it was read"
        self._problem("changed", text)

    def reduce(self) -> bool:
        """Halve the page size, and go on with the same item; return whether that is possible."""
        if self.per_page == 1:
            return False
        offset = self.page * self.per_page + self._skip
        self.per_page //= 2
        self.page, self._skip = divmod(offset, self.per_page)
        return True

    def _new_items(self, page: Page[T]) -> Sequence[T]:
        """Return the items of a page, without those before the requested offset."""
        ids = frozenset(item.id for item in page.items)
        # A list that changes may have the same items on the next page, and yet be an honest one.
        if ids and ids == self._last_ids and not self._has("changed"):
            raise self._endless(f"page {self.page} is the same as the one before it")
        self._last_ids = ids
        items: Sequence[T] = page.items
        if self._skip:
            items = [item for item in items if item.id not in self._known_ids]
        repeated = len(items) - len({item.id for item in items} - self._known_ids)
        if repeated:
            self._problem("repeated", f"page {self.page} repeats {_items(repeated)}")
        if len(self._known_ids) > _REMEMBERED:
            self._known_ids.clear()
        self._known_ids |= ids
        return items

    def _compare(self, page: Page[Any], size: int) -> None:
        """Compare the statements of a page with its items, and with the request."""
        if page.unreadable_items:
            number = _items(len(page.unreadable_items))
            self._problem("unreadable", f"page {self.page} has {number} that cannot be read")
        if page.count not in {None, size}:
            self._problem(
                "count", f"page {self.page} states a count of {page.count} and has {_items(size)}"
            )
        if page.page not in {None, self.page}:
            self._problem("page", f"page {self.page} states that it is page {page.page}")
        for wire, name in _QUERY.items():
            asked, stated = self.query.get(wire), getattr(page, name, None)
            if asked is not None and stated is not None and asked.lower() != stated.lower():
                self._problem("query", f"the list states a {wire} other than the one asked for")
        if "total_count" in page.unreadable:
            self._problem("total", f"page {self.page} states a total that cannot be read")
        if page.total_count is not None:
            if self.total_count not in {None, page.total_count}:
                self.moved = True
                self._problem(
                    "changed", f"the total went from {self.total_count} to {page.total_count}"
                )
            self.total_count = page.total_count

    def _settle(self, first: Page[Any], size: int) -> None:
        """Take the page size from the first page, so that the pages after it fit onto it."""
        asked, stated, total = self.per_page, first.per_page, first.total_count
        if stated is not None and 0 < max(stated, size) <= asked:
            # A server may cap the size. The first page may have fewer items than it states if it
            # is the last one, too.
            self.per_page = max(stated, size)
        elif size > asked or (stated is None and 0 < size < asked):
            self.per_page = size
        if stated is not None and (stated < size or (stated > asked and stated != size)):
            self._problem("size", f"page 0 states a size of {stated} and has {_items(size)}")
        if total is not None and total >= size:
            longest = total * _GROWTH + self.per_page * _PAGES_OF_SLACK
            self._longest = min(longest, _LONGEST)

    def _goes_on(self, size: int, *, may_be_capped: bool) -> bool:
        """Return whether another page follows, and note a total that cannot be right.

        Args:
            size: The number of items on this page.
            may_be_capped: Whether this is a short first page that states no size. It may be full.
        """
        total = self.total_count
        if total is None:
            return size > 0 if may_be_capped else size >= self.per_page
        if self.seen < total and size > 0:
            if size < self.per_page:
                self._problem(
                    "size",
                    f"page {self.page} has {_items(size)} of {self.per_page}, and more follow",
                )
            return True
        if self.seen != total:
            self._problem(
                "total", f"the list states a total of {total} and has {_items(self.seen)}"
            )
        return self.seen > total and size > 0

    def _problem(self, kind: ProblemKind, text: str) -> None:
        if not self._has(kind):
            self.problems.append(Problem(kind, text))

    def _has(self, kind: ProblemKind) -> bool:
        return any(problem.kind == kind for problem in self.problems)

    def _endless(self, problem: str) -> ResponseError:
        return ResponseError(
            f"{self.operation}: the list does not end: {problem}",
            operation=self.operation,
            status_code=200,
        )


def _items(number: int) -> str:
    return "1 item" if number == 1 else f"{number} items"


class Listing(AsyncIterator[T], Generic[T]):
    """An asynchronous iterator over the items of all pages of a list.

    While you work on one page, the next one is read, and no other. You may leave the loop at any
    item: at most one page is read in vain, and `aclose()` (or `contextlib.aclosing`) ends even
    that at once.

    Attributes:
        progress: How far the list has been read, and its problems.
    """

    def __init__(
        self,
        operation: str,
        per_page: int,
        read: ReadPage[T],
        under_way: "set[Ahead[Any]]",
        *,
        changes: Callable[[], int] = int,
        query: Mapping[str, str] = _NO_QUERY,
    ) -> None:
        self.progress = Progress(operation, per_page, query)
        self._read = read
        self._under_way = under_way
        self._changes = changes
        self._changes_before = 0
        self._warned = 0
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
            if text := self._new_problems():
                warnings.warn(text, PaginationDriftWarning, stacklevel=2)  # the reader's line
        return self._items.popleft()

    async def aclose(self) -> None:
        """End the iteration, and stop reading ahead."""
        self._items.clear()
        self._ended = True
        if self._ahead is not None:
            await self._ahead.give_up()

    async def _turn_the_page(self) -> None:
        self._turning = True
        try:
            page = await (self._ahead.result() if self._ahead else self._read_next())
            items, goes_on = self.progress.note(page)
            self._ended = not goes_on
        except BaseException:
            self._ended = True
            raise
        finally:
            self._turning = False
        self._ahead = None if self._ended else Ahead.start(self._read_next, self._under_way)
        self._items.extend(items)

    async def _read_next(self) -> Page[T]:
        try:
            page = await self._read(self.progress.page, self.progress.per_page)
        except ResponseTooLarge:
            if not self.progress.reduce():
                raise
            return await self._read_next()
        if self.progress.page == 0:
            self._changes_before = self._changes()
        elif changes := self._changes() - self._changes_before:
            self.progress.note_own_changes(changes)
        return page

    def _new_problems(self) -> str:
        """Return in words the problems that were not warned of yet."""
        problems = self.progress.problems[self._warned :]
        self._warned += len(problems)
        if not problems:
            return ""
        return (
            f"{self.progress.operation}: {', '.join(map(str, problems))}. Items may be missing or "
            f"come twice. Read a list to its end before you delete or create any of its items, and "
            f"read it again to be sure."
        )


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
        """Return what was read, or raise the error that came instead."""
        try:
            outcome = await self._task  # a waiting caller that is cancelled cancels the task
        except asyncio.CancelledError:
            if not self._given_up:
                raise
            outcome = _given_up()  # before the task had begun
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
            return _given_up()
        except Exception as error:  # noqa: BLE001 -- raised by `result`
            return _Failed(error)


@attrs.frozen
class _Failed:
    error: Exception


def _given_up() -> _Failed:
    return _Failed(ClientStateError("The list was closed while its next page was read."))
