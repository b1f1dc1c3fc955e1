"""Checks a listing for completeness, because tokens can move between pages while you list them.

The problem: pages are offsets into a live collection. A deletion moves all tokens after it, and
may hide one between two pages. A server may also be wrong about its list: the total, the size of
a page or the order that it states may not be those of the tokens that it sends.

The approach: sorted by id, tokens that are created while listing come last, if ids grow with time,
and move nothing. So the newest token and the total are requested before the listing. If as many
tokens that existed before are listed, none of them is missing. If ids do not grow with time, or
the server does not sort or states no total, that proves nothing; then two listings have to have
the same tokens. A total that differs from what two equal listings hold is a contradiction, which
the plan reports. Each id is remembered, so a token that is listed twice is planned once.

Rejected: to compare the totals alone, since a deletion and a creation cancel out; and to trust the
order, since a server that ignores it would have most tokens left out. Pure.
"""

from datetime import UTC, datetime

from losant_tokens import ApiTokens, UserOauthTokens
from losant_tokens.jobs._plan.seen_ids import SeenIds
from losant_tokens.jobs._rules import Token

Page = ApiTokens | UserOauthTokens

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Watch:
    """Watches one listing that was asked for in the order of the ids.

    Args:
        newest: The page with the newest token alone, from before the listing.
    """

    def __init__(self, newest: Page) -> None:
        self._newest = newest.items[0].id.lower() if newest.items else ""
        self._total = newest.total_count
        self._stated: int | None = None
        self._there_before = 0
        self._last = ""
        self._created = _LONG_AGO
        self._is_sorted = True
        self._grows = True
        self._repeated = 0
        self._unreadable = 0
        self._odd_page = ""
        self._seen = SeenIds()

    def is_new(self, token: Token) -> bool:
        """Note the next token, and return whether it has not been listed before."""
        if not self._seen.add(token.id):
            self._repeated += 1
            return False
        this = token.id.lower()
        self._is_sorted &= this > self._last
        self._last = this
        self._there_before += this <= self._newest
        created = token.creation_date
        self._grows &= created is not None and created >= self._created
        self._created = created or self._created
        return True

    def note_page(self, page: Page, number: int) -> None:
        """Note what a page states about the list.

        Args:
            page: The page.
            number: The number of the requested page.
        """
        size = size_of(page)
        self._unreadable += size - len(page.items)
        if size and page.total_count is not None:
            self._stated = page.total_count
        if page.count is not None and page.count != size:
            self._odd_page = f"page {number} states {page.count} tokens and has {size}"
        elif page.page is not None and page.page != number:
            self._odd_page = f"page {number} states that it is page {page.page}"
        elif page.per_page is not None and page.per_page < size:
            self._odd_page = (
                f"page {number} has {size} tokens and states a limit of {page.per_page}"
            )

    @property
    def listed(self) -> int:
        """How many tokens were listed, each counted once, with those that cannot be read."""
        return len(self._seen) + self._unreadable

    @property
    def is_whole(self) -> bool:
        """Whether it is proved that no token is missing that existed before the listing."""
        proves = self._is_sorted and self._grows and not self._repeated
        return (
            proves
            and self._there_before + self._unreadable == self._total
            and self._stated in {None, self.listed}
        )

    @property
    def digest(self) -> tuple[int, int, int]:
        """A value that only listings of the same tokens share."""
        return self._seen.fingerprint

    def problems(self, *, stood_still: bool) -> tuple[str, ...]:
        """Return in words why a listing may be incomplete.

        Args:
            stood_still: Whether the collection stood still, so that it explains no difference.
        """
        total = self._total if self._stated is None else self._stated
        problems = []
        if stood_still and total is not None and total != self.listed:
            problems.append(f"the API states a total of {total} tokens and lists {self.listed}")
        if stood_still and self._repeated:
            problems.append(f"the API lists {_times(self._repeated)} twice")
        if self._unreadable:
            problems.append(f"{_times(self._unreadable)} in the list cannot be read")
        if self._odd_page:
            problems.append(self._odd_page)
        return tuple(problems)


def size_of(page: Page) -> int:
    """Return how many items a page has, with those that cannot be read."""
    return len(page.items) + len(getattr(page, "unreadable_items", ()))


def _times(number: int) -> str:
    return f"{number} token{'' if number == 1 else 's'}"
