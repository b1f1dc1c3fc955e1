"""Watches a listing go by: which tokens come twice, and whether any may have been left out.

Pages are cut out of a collection that lives. Sorted by id, what is created comes last, where ids
grow with time, and moves nothing; what is deleted moves all behind it, and may hide a token behind
the border of a page. So the newest token and the number of all are asked for before: where as many
of those that were there before are listed, none of them is missing. Where ids do not grow with
time, or the server does not sort, or says no number, that proves nothing; then two listings have to
be the same. Pure.
"""

import hashlib
from collections import deque
from datetime import UTC, datetime

from losant_tokens import ApiTokens, UserOauthTokens
from losant_tokens.jobs._selection import Token

_FIRST = 10  # ids, among which a server that does not sort shows it
_REMEMBERED = 2000  # ids, where the order does not tell whether one comes again
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Watch:
    """Watches one listing that was asked for in the order of the ids.

    Args:
        newest: The page of the newest token alone, from before the listing.
    """

    def __init__(self, newest: ApiTokens | UserOauthTokens) -> None:
        self._newest = newest.items[0].id.lower() if newest.items else ""
        self._total = newest.total_count
        self._there_before = 0
        self._seen = 0
        self._last = ""
        self._created = _LONG_AGO
        self._is_sorted = True
        self._grows = True
        self._has_moved = False
        self._recent: deque[str] = deque(maxlen=_REMEMBERED)
        self._hash = hashlib.sha256()

    def is_new(self, token: Token) -> bool:
        """Takes note of the next token; says whether it has not been listed before."""
        this = token.id.lower()
        if this <= self._last and self._seen < _FIRST and this not in self._recent:
            self._is_sorted = False
        if this <= self._last if self._is_sorted else this in self._recent:
            self._has_moved = True
            return False
        self._note(this, token.creation_date)
        return True

    def _note(self, this: str, created: datetime | None) -> None:
        if not self._is_sorted or self._seen < _FIRST:
            self._recent.append(this)
        self._hash.update(this.encode("utf-8", "backslashreplace"))
        self._last = this
        self._seen += 1
        self._there_before += this <= self._newest
        self._grows &= created is not None and created >= self._created
        self._created = created or self._created

    @property
    def is_whole(self) -> bool:
        """Whether it is certain that no token was left out that was there before the listing."""
        is_telling = self._is_sorted and self._grows and not self._has_moved
        return is_telling and self._there_before == self._total

    @property
    def digest(self) -> str:
        """What tells this listing from any other."""
        return self._hash.hexdigest()
