"""How much of a list has been read, whether another page follows, and what contradicts that.

This module is pure: it sends no request. `pagination` reads the pages.

The problem: pages are offsets into a live collection, and only the server knows where a list ends.
A server may cap the page size, and may not say so. It may state a wrong number of items, ignore
which page was requested, or return pages without end. Items that are created or deleted while the
list is read shift the other items, so that some are skipped or appear twice.

The approach: the items of the pages count, and the statements of the server are compared with them.
A total that the items contradict is ignored, and the list is read until a page is empty. The first
contradiction of each kind is recorded as a `Problem`. A list that cannot be correct ends in an
error, not in an endless loop. A page that is too large is requested again at half the size.

Source: the members `count`, `totalCount`, `perPage` and `page` of lists in the contract.

Rejected: an error for each contradiction, because most lists of a busy account change while they
are read; and a second listing to compare with, which `jobs.plan` does because it acts on the list.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar

import attrs

from losant_tokens.errors import ResponseError


class HasId(Protocol):
    """An item of a list."""

    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=HasId)
T_co = TypeVar("T_co", bound=HasId, covariant=True)

# A list may grow while it is read: to twice the total of its first page, and ten pages more.
_MAX_GROWTH = 2
_MAX_EXTRA_PAGES = 10
_MAX_ITEMS = 10_000_000

_MAX_REMEMBERED_IDS = 100_000  # about 10 MB; beyond that, all of them are forgotten


class Page(Protocol[T_co]):
    """The members of a page that the paginator uses."""

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


ProblemKind = Literal[
    "changed", "total", "count", "page", "size", "repeated", "query", "unreadable"
]


@attrs.frozen
class Problem:
    """A reason why a listing may be incomplete, or hold items twice."""

    kind: ProblemKind
    """`changed`: the stated total changed while the list was read, or this client changed items.
    `total`: the list ended before or after the stated total. `count`: a page has more or fewer
    items than it states. `page`: a page states another number. `size`: a page has another size than
    the others. `repeated`: items appear twice. `query`: the list states another sort order or
    filter. `unreadable`: items cannot be read.
    """
    text: str
    """The problem as a phrase, with the values."""

    def __str__(self) -> str:
        return self.text


NO_QUERY: Mapping[str, str] = MappingProxyType({})
_QUERY = MappingProxyType(
    {
        "sortField": "sort_field",
        "sortDirection": "sort_direction",
        "filterField": "filter_field",
        "filter": "filter",
    }
)


@attrs.define(eq=False)
class ListingProgress:
    """How much of a list has been read, and whether another page follows. It sends no request."""

    operation: str
    """The name of the operation that reads a page."""
    per_page: int
    """The page size to request. After the first page, it is the size of that page."""
    query: Mapping[str, str] = attrs.field(default=NO_QUERY, repr=False)
    """The parameters of the list, by their names in the URL."""
    page: int = 0
    """The number of the next page."""
    seen: int = 0
    """The number of items on the pages so far, including unreadable items."""
    total_count: int | None = None
    """The number of items in the list, as the latest page states it."""
    moved: bool = False
    """Whether the stated number of items has changed between pages."""
    problems: list[Problem] = attrs.field(factory=list)
    """The reasons why the listing may be incomplete, at most one of each kind."""
    _skip: int = 0
    _max_items: int = _MAX_ITEMS
    _last_ids: frozenset[str] = frozenset()
    _known_ids: set[str] = attrs.field(factory=set, repr=False)

    def record_page(self, page: Page[T]) -> tuple[Sequence[T], bool]:
        """Record a page that was read.

        Args:
            page: The page.

        Returns:
            The new items, and whether another page follows.

        Raises:
            ResponseError: The list does not end.
        """
        is_first = self.seen == 0 and self.page == 0
        size = len(page.items) + len(page.unreadable_items)
        items = self._new_items(page)
        self._compare(page, size)
        requested = self.per_page
        if is_first:
            self._adopt_page_size(page, size)
        elif page.per_page not in {None, requested}:
            self._add_problem(
                "size", f"page {self.page} states a size of {page.per_page}, not {requested}"
            )
        self.seen += max(size - self._skip, 0)
        may_be_capped = is_first and page.per_page is None and size < requested
        has_more = self._has_more(size, may_be_capped=may_be_capped)
        self.page += 1
        self._skip = 0
        if self.seen > self._max_items:
            raise self._endless_error(f"{self.seen} items, and no last page")
        return items, has_more

    def record_own_changes(self, number: int) -> None:
        """Record that this client has changed the list since its first page.

        Args:
            number: The number of changes.
        """
        text = f"this client changed {_items(number)} of the list while it was read"
        self._add_problem("changed", text)

    def halve_page_size(self) -> bool:
        """Halve the page size, and continue with the same item; return whether that is possible."""
        if self.per_page == 1:
            return False
        offset = self.page * self.per_page + self._skip
        self.per_page //= 2
        self.page, self._skip = divmod(offset, self.per_page)
        return True

    def _new_items(self, page: Page[T]) -> Sequence[T]:
        """Return the items of a page, without the items before the requested offset."""
        ids = frozenset(item.id for item in page.items)
        # If a correct list changes, it may have the same items on the next page.
        if ids and ids == self._last_ids and not self._has_problem("changed"):
            raise self._endless_error(f"page {self.page} is the same as the one before it")
        self._last_ids = ids
        items: Sequence[T] = page.items
        if self._skip:
            items = [item for item in items if item.id not in self._known_ids]
        repeated = len(items) - len({item.id for item in items} - self._known_ids)
        if repeated:
            self._add_problem("repeated", f"page {self.page} repeats {_items(repeated)}")
        if len(self._known_ids) > _MAX_REMEMBERED_IDS:
            self._known_ids.clear()
        self._known_ids |= ids
        return items

    def _compare(self, page: Page[Any], size: int) -> None:
        """Compare the statements of a page with its items, and with the request."""
        if page.unreadable_items:
            number = _items(len(page.unreadable_items))
            self._add_problem("unreadable", f"page {self.page} has {number} that cannot be read")
        if page.count not in {None, size}:
            self._add_problem(
                "count", f"page {self.page} states a count of {page.count} and has {_items(size)}"
            )
        if page.page not in {None, self.page}:
            self._add_problem("page", f"page {self.page} states that it is page {page.page}")
        for wire, name in _QUERY.items():
            requested, stated = self.query.get(wire), getattr(page, name, None)
            if requested is None or stated is None:
                continue
            if requested.lower() != stated.lower():
                self._add_problem("query", f"the list states another {wire} than the requested one")
        if "total_count" in page.unreadable:
            self._add_problem("total", f"page {self.page} states a total that cannot be read")
        if page.total_count is not None:
            if self.total_count not in {None, page.total_count}:
                self.moved = True
                self._add_problem(
                    "changed", f"the total went from {self.total_count} to {page.total_count}"
                )
            self.total_count = page.total_count

    def _adopt_page_size(self, first: Page[Any], size: int) -> None:
        """Request the following pages at the size of the first page, so that no item is skipped."""
        requested, stated, total = self.per_page, first.per_page, first.total_count
        if stated is not None and 0 < max(stated, size) <= requested:
            # A server may cap the size. The first page may have fewer items than it states if it
            # is the last page as well.
            self.per_page = max(stated, size)
        elif size > requested or (stated is None and 0 < size < requested):
            self.per_page = size
        if stated is not None and (stated < size or (stated > requested and stated != size)):
            self._add_problem("size", f"page 0 states a size of {stated} and has {_items(size)}")
        if total is not None and total >= size:
            max_items = total * _MAX_GROWTH + self.per_page * _MAX_EXTRA_PAGES
            self._max_items = min(max_items, _MAX_ITEMS)

    def _has_more(self, size: int, *, may_be_capped: bool) -> bool:
        """Return whether another page follows, and record a total that cannot be right.

        Args:
            size: The number of items on this page.
            may_be_capped: Whether this is a short first page that states no size. It may be full.
        """
        total = self.total_count
        if total is None:
            return size > 0 if may_be_capped else size >= self.per_page
        if self.seen < total and size > 0:
            if size < self.per_page:
                self._add_problem(
                    "size",
                    f"page {self.page} has {_items(size)} of {self.per_page}, and more follow",
                )
            return True
        if self.seen != total:
            self._add_problem(
                "total", f"the list states a total of {total} and has {_items(self.seen)}"
            )
        return self.seen > total and size > 0

    def _add_problem(self, kind: ProblemKind, text: str) -> None:
        if not self._has_problem(kind):
            self.problems.append(Problem(kind, text))

    def _has_problem(self, kind: ProblemKind) -> bool:
        return any(problem.kind == kind for problem in self.problems)

    def _endless_error(self, problem: str) -> ResponseError:
        return ResponseError(
            f"{self.operation}: the list does not end: {problem}",
            operation=self.operation,
            status_code=200,
        )


def _items(number: int) -> str:
    return "1 item" if number == 1 else f"{number} items"
