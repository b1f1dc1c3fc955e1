"""Check a listing for completeness, because tokens can move between pages during a listing.

The problem: a page is an offset into a live collection. A deletion moves all tokens after it, and
can hide one of them between two pages. A server can also be wrong about its own list: the total,
the page size or the order that it states may not be those of the tokens that it sends.

The approach: request the newest token and the total first, then list by id. The ids are ObjectIds,
which begin with the time of creation, so a token that is created meanwhile comes last and moves
none. The listing is complete if it is sorted, holds no token twice, and has all the tokens that the
total counted. If ids do not grow with time, or the server does not sort or
states no total, this proves nothing. Then the tokens are listed until two listings in a row have
the same tokens. A total that differs from two equal listings is a contradiction, which the plan
reports. Each id is remembered, so a token that is listed twice is planned once.

The sources: ObjectIds, https://www.mongodb.com/docs/manual/reference/bson-types/#objectid. Why
offsets skip rows, https://use-the-index-luke.com/no-offset. Two equal reads are the double collect
of Afek et al., "Atomic Snapshots of Shared Memory", Journal of the ACM 40(4), 1993.

The alternatives that were rejected: comparing only the totals, because a deletion and a creation
cancel out; trusting the order, because a server that ignores it would leave most tokens out;
listing each time until two listings are equal, because that doubles the requests of every plan. The
API has no cursor that would hold its place.

This module is pure: it sends no request.
"""

from datetime import UTC, datetime

from losant_tokens._complete_listing.page_cursor import Page, Token, size_of
from losant_tokens._complete_listing.seen_ids import SeenIds

_EARLIEST = datetime.min.replace(tzinfo=UTC)


class ListingCheck:
    """Checks one listing that was requested in the order of the ids.

    Args:
        newest: The page with only the newest token, requested before the listing.
    """

    def __init__(self, newest: Page) -> None:
        self._newest_id = newest.items[0].id.lower() if newest.items else ""
        self._total = newest.total_count
        self._stated_total: int | None = None
        self._existing = 0  # tokens that existed before the listing
        self._last_id = ""
        self._last_created = _EARLIEST
        self._is_sorted = True
        self._ids_grow_with_time = True
        self._repeated = 0
        self._unreadable = 0
        self._contradiction = ""
        self._seen = SeenIds()

    def add(self, token: Token) -> bool:
        """Add the next token; return whether it was not listed before."""
        if not self._seen.add(token.id):
            self._repeated += 1
            return False
        token_id = token.id.lower()
        self._is_sorted &= token_id > self._last_id
        self._last_id = token_id
        self._existing += token_id <= self._newest_id
        created = token.creation_date
        self._ids_grow_with_time &= created is not None and created >= self._last_created
        self._last_created = created or self._last_created
        return True

    def add_page(self, page: Page, number: int) -> None:
        """Record the total, the page number and the page size that a page states.

        Args:
            page: The page.
            number: The number of the requested page.
        """
        size = size_of(page)
        self._unreadable += size - len(page.items)
        if size and page.total_count is not None:
            self._stated_total = page.total_count
        if page.count is not None and page.count != size:
            self._contradiction = f"page {number} states {_tokens(page.count)} and has {size}"
        elif page.page is not None and page.page != number:
            self._contradiction = f"page {number} states that it is page {page.page}"
        elif page.per_page is not None and page.per_page < size:
            self._contradiction = (
                f"page {number} has {_tokens(size)} and states a limit of {page.per_page}"
            )

    @property
    def listed(self) -> int:
        """The number of different tokens, including unreadable ones."""
        return len(self._seen) + self._unreadable

    @property
    def is_complete(self) -> bool:
        """Whether this listing proves that it has all tokens that existed before it."""
        return (
            self._is_sorted
            and self._ids_grow_with_time
            and not self._repeated
            and self._existing + self._unreadable == self._total
            and self._stated_total in {None, self.listed}
        )

    @property
    def fingerprint(self) -> tuple[int, int]:
        """A value that listings of the same tokens share."""
        return self._seen.fingerprint

    def problems(self, *, is_stable: bool) -> tuple[str, ...]:
        """Return why the listing may be incomplete, one phrase for each reason.

        Args:
            is_stable: Whether the collection did not change meanwhile. If it did, that explains
                wrong totals and repeated tokens.
        """
        total = self._total if self._stated_total is None else self._stated_total
        problems = []
        if is_stable and total is not None and total != self.listed:
            problems.append(f"the API states a total of {_tokens(total)} and lists {self.listed}")
        if is_stable and self._repeated:
            problems.append(f"the API lists {_tokens(self._repeated)} twice")
        if self._unreadable:
            problems.append(f"{_tokens(self._unreadable)} in the list cannot be read")
        if self._contradiction:
            problems.append(self._contradiction)
        return tuple(problems)


def _tokens(number: int) -> str:
    return f"{number} token{'' if number == 1 else 's'}"
