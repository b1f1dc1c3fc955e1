"""Read an audit log backwards in time, without missing an entry while the log grows.

The problem: the pages of a log are offsets into a collection that grows at its front. Each new
entry moves the others, and an entry that is removed hides another one between two pages. A large
offset may also be refused, or cut off without a message. A token whose entry is missed would look
as if it was not in use.

The approach: read the newest page first. Then request page 0 again, but only with entries up to the
oldest one so far (the parameter `end`), and so on. New entries are outside of that window, and no
offset is involved. It is not documented whether the API includes entries at exactly `end`, nor how
exactly it compares times, so the window ends a second later, and entries that are returned again
are recognized by their ids.
If a page has no older entry, the following pages of the same window are read until one is empty,
because the total of a window may be too small. At the end, the number of entries is compared with
the total that the first page stated. An entry without a date or an actor, entries out of order, and
a smaller number than the total are errors, because then the log proves nothing.

Source: keyset pagination, https://use-the-index-luke.com/no-offset. The parameters `start`, `end`
and `sortDirection` of the operations `auditLogs.get` and `instanceAuditLogs.get` in the contract.

Rejected: paging by offset and comparing the totals, because an entry that is added and another
one that is removed cancel out; to remember the id of each entry, because a log has hundreds of
thousands.

This module is pure: it sends no request.
"""

from datetime import datetime, timedelta

import attrs

from losant_tokens import AuditLog, AuditLogs, InstanceAuditLog, InstanceAuditLogs
from losant_tokens.jobs._errors import EvidenceError

Page = AuditLogs | InstanceAuditLogs
LogEntry = AuditLog | InstanceAuditLog

_TOLERANCE = timedelta(seconds=1)  # The server may round the times of the window, or sort by them.
_MAX_REPEATS = 3  # consecutive pages without a new entry
_NO_TOKENS = frozenset({"user", "device", "flow", "application"})  # types of other actors


@attrs.define(eq=False)
class LogCursor:
    """The position in an audit log, and the tokens that were seen so far.

    Attributes:
        source: The audit log, for messages.
        start: The time at which reading may stop; `None` for the whole log.
        size: The page size.
        end: The time of the newest entry to request; `None` for the first page.
        page: The number of the next page in this window.
        last_seen: The time of the newest entry of each token, by its id in lower case.
        entries: The number of different entries so far.
        oldest: The time of the oldest entry so far.
        total: The number of entries that the first page stated.
        is_done: Whether all entries since the start were read.
    """

    source: str
    start: datetime | None
    size: int
    end: datetime | None = None
    page: int = 0
    last_seen: dict[str, datetime] = attrs.field(factory=dict)
    entries: int = 0
    oldest: datetime | None = None
    total: int | None = None
    is_done: bool = False
    _is_first: bool = True
    _repeats: int = 0
    # The entries that may be returned again: those of the last two seconds.
    _recent: dict[str, datetime] = attrs.field(factory=dict)

    def advance(self, page: Page) -> None:
        """Add the entries of a page, and move to the next one.

        Raises:
            EvidenceError: The page shows that the log cannot be read as a whole.
        """
        self._check_page(page)
        if self._is_first:
            self.total, self._is_first = page.total_count, False
        added = self._add(page)
        if not page.items:
            self._finish()
        elif self.oldest is None or self._last_date(page) < self.oldest:
            self._move_window(self._last_date(page))
        else:
            # The first pages of a window may hold only entries that are returned again.
            expected_repeats = _MAX_REPEATS + len(self._recent) // len(page.items)
            self._repeats = 0 if added else self._repeats + 1
            if self._repeats > expected_repeats:
                raise self._error("the same entries are returned for different pages")
            self.page += 1

    def halve(self) -> bool:
        """Halve the page size, and stay at the same entry; return `False` if the size is 1."""
        if self.size == 1:
            return False
        self.size //= 2
        self.page *= 2
        return True

    def _check_page(self, page: Page) -> None:
        if page.unreadable_items:
            raise self._error("it has entries that cannot be read")
        field, direction = page.sort_field, page.sort_direction
        if (field or "creationDate") != "creationDate" or (direction or "desc").lower() != "desc":
            raise self._error("its entries are not sorted by time as requested")

    def _add(self, page: Page) -> int:
        """Add the entries of a page; return the number of new ones."""
        before = None if self.end is None else self.end + _TOLERANCE
        added = 0
        for entry in page.items:
            date = entry.creation_date
            if date is None:
                raise self._error(f"its entry {entry.id[:24]!r} has no date")
            if before is not None and date > before:
                raise self._error("its entries are not sorted by time as requested")
            before = date
            if entry.id in self._recent:
                continue
            self._recent[entry.id] = date
            added += 1
            self._record(entry, date)
        self.entries += added
        return added

    def _record(self, entry: LogEntry, date: datetime) -> None:
        # A type that is unknown or missing may mean a token as well.
        if (entry.actor_type or "").lower() in _NO_TOKENS:
            return
        if not entry.actor_id:
            raise self._error(f"its entry {entry.id[:24]!r} does not name who changed something")
        token_id = entry.actor_id.lower()
        known = self.last_seen.get(token_id)
        self.last_seen[token_id] = date if known is None else max(date, known)

    def _last_date(self, page: Page) -> datetime:
        date = page.items[-1].creation_date
        assert date is not None  # noqa: S101 -- `_add` has checked it
        return date

    def _move_window(self, oldest: datetime) -> None:
        self.oldest, self.page, self._repeats = oldest, 0, 0
        if self.start is not None and oldest < self.start - _TOLERANCE:
            # The server ignores the start, so its total counts older entries, too.
            self.is_done = True
            return
        self.end = oldest + _TOLERANCE
        limit = self.end + _TOLERANCE
        self._recent = {id_: date for id_, date in self._recent.items() if date <= limit}

    def _finish(self) -> None:
        if self.total is not None and self.entries < self.total:
            raise self._error(
                f"it states a total of {self.total:,} entries and lists {self.entries:,}"
            )
        self.is_done = True

    def _error(self, problem: str) -> EvidenceError:
        return EvidenceError(
            f"The audit log of {self.source} cannot be read as a whole: {problem}. So it cannot "
            f"show which tokens are in use."
        )
