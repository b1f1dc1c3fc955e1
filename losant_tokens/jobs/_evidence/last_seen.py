"""`last_seen`: read audit logs, and return when each token last changed something.

Only this module of the package waits for the network. `audit_log_cursor` decides what is read next.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from attrs import field, frozen

from losant_tokens import AsyncClient, AuditLogActor, AuditLogFilter
from losant_tokens._client import rate_limiter_of
from losant_tokens._utils import validators
from losant_tokens.errors import (
    ClientStateError,
    LosantError,
    ResponseTooLarge,
    ValidationError,
)
from losant_tokens.jobs._errors import EvidenceError
from losant_tokens.jobs._evidence.audit_log_cursor import LogCursor, Page
from losant_tokens.jobs._evidence.log_source import LogSource, distinct_sources
from losant_tokens.jobs._throttle.throttle import ONE_ATTEMPT, Throttle, open_throttle

PAGE_SIZE = 1000
"""The default number of entries on a page of an audit log."""

PATIENCE = 300.0
"""The default time to wait for the end of an outage, in seconds."""

# Both ends of the period are always sent, because their defaults are not documented.
_END_MARGIN = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MARGIN = timedelta(minutes=1)  # because the server's time is known to about a second
_MAX_FILTERED = 20  # tokens that the filter names; for more, all entries of tokens are read
_MAX_READINGS = 3


@frozen(kw_only=True)
class LogProgress:
    """The progress of reading an audit log."""

    source: LogSource
    """The audit log."""
    entries: int
    """The number of entries read so far."""
    total: int | None = None
    """The number of entries that the API states; `None` if it states none."""
    oldest: datetime | None = None
    """The time of the oldest entry so far; `None` before the first one."""


@frozen(eq=False)
class LastSeen(Mapping[str, datetime]):
    """The times at which tokens last changed something, by their ids, from audit logs.

    The case of ids does not matter. A token that is not in it was *not seen*: nothing proves that
    it is not in use, because audit logs record no reading.
    """

    sources: tuple[LogSource, ...]
    """The audit logs."""
    since: datetime | None
    """The time from which on they were read; `None` if they were read to their beginning."""
    until: datetime | None
    """The server's time when reading began; `None` if the server does not state it."""
    entries: int
    """The number of entries that were read."""
    gaps: tuple[str, ...] = ()
    """Why the logs may not show all changes since then, one sentence for each reason."""
    _times: Mapping[str, datetime] = field(factory=dict, repr=False)
    begins: datetime | None = field(default=None, kw_only=True)
    """The time of the first entry of the log that begins last; `None` if a log is empty."""

    def __getitem__(self, token_id: str) -> datetime:
        return self._times[token_id.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._times)

    def __len__(self) -> int:
        return len(self._times)


def seen_reason(seen: LastSeen | None, token_id: str) -> str | None:
    """Return the reason why a token is in use, as a phrase; `None` if it was not seen.

    Args:
        seen: The evidence, if there is any.
        token_id: The id of the token.
    """
    time = None if seen is None else seen.get(token_id)
    return None if time is None else f"seen changing something on {time.date().isoformat()}"


async def last_seen(
    client: AsyncClient,
    sources: LogSource | str | Iterable[LogSource | str],
    *,
    since: datetime | timedelta | None = None,
    tokens: Collection[str] | None = None,
    on_progress: Callable[[LogProgress], object] | None = None,
    page_size: int = PAGE_SIZE,
    patience: float = PATIENCE,
) -> LastSeen:
    """Return when tokens last changed something, according to audit logs.

    Audit logs record what creates, edits or deletes something, and name the token that did it. They
    record no reading. So the result shows tokens that are in use, and never that one is not.

    An audit log is read completely or not at all: an entry that cannot be read, or one that is
    missing, is an error.

    Args:
        client: The client. Its token needs a scope such as `auditLogs.get` or `all.User.read`.
        sources: The audit logs: `org:ID`, `instance:ID`, or `LogSource` objects.
        since: The time from which on to read, or a span before the server's time. Default: the
            beginning of the log.
        tokens: The ids of the only tokens of interest. Reading stops when each was seen.
            Default: all tokens.
        on_progress: Called with the progress after each page.
        page_size: The number of entries on a page. It is halved if a page is too large.
            Default: 1000.
        patience: How long to wait for the end of an outage, in seconds. Default: 300.

    Returns:
        The times by the ids of the tokens.

    Raises:
        ValidationError: An argument is invalid. Nothing was sent.
        EvidenceError: An audit log cannot be read, or not completely.
    """
    checked = distinct_sources("last_seen", "sources", sources)
    _check_arguments(since, page_size, patience)
    reader = _Reader(client, page_size, tokens, on_progress)
    async with open_throttle(rate_limiter_of(client), patience) as throttle:
        for source in checked:
            await reader.add(throttle, source, since)
    beginnings = [time for time in reader.beginnings if time is not None]
    is_known = bool(checked) and len(beginnings) == len(checked)
    return LastSeen(
        sources=checked,
        since=reader.start,
        until=reader.until,
        entries=reader.entries,
        gaps=tuple(reader.gaps),
        times=reader.times,
        begins=max(beginnings) if is_known else None,
    )


def _check_arguments(since: object, page_size: object, patience: object) -> None:
    if isinstance(since, timedelta):
        if since < timedelta(0):
            raise ValidationError(f"last_seen.since must not be negative, but it is {since!r}")
    elif isinstance(since, datetime):
        validators.check_argument(validators.aware_datetime, "last_seen", "since", since)
    elif since is not None:
        raise ValidationError(
            f"last_seen.since must be a timedelta, a datetime or None, but it is "
            f"{validators.describe(since)}"
        )
    validators.check_argument(validators.integer(minimum=1), "last_seen", "page_size", page_size)
    if patience != 0:
        validators.check_argument(validators.positive_number, "last_seen", "patience", patience)


class _Reader:
    """Reads one audit log after the other.

    Attributes:
        start: The time from which on the logs are read.
        until: The server's time when reading began.
        entries: The number of entries read.
        gaps: Why the logs may not show all changes.
        beginnings: The time of the first entry of each log; `None` if the log is empty.
        times: The times of the tokens by their ids.
    """

    def __init__(
        self,
        client: AsyncClient,
        page_size: int,
        tokens: Collection[str] | None,
        on_progress: Callable[[LogProgress], object] | None,
    ) -> None:
        self.start: datetime | None = None
        self.until: datetime | None = None
        self.entries = 0
        self.gaps: list[str] = []
        self.beginnings: list[datetime | None] = []
        self.times: dict[str, datetime] = {}
        self._client = client
        self._page_size = page_size
        self._wanted = None if tokens is None else {token.lower() for token in tokens}
        self._on_progress = on_progress
        self._has_begun = False

    async def add(
        self, throttle: Throttle, source: LogSource, since: datetime | timedelta | None
    ) -> None:
        """Read an audit log.

        Raises:
            EvidenceError: It cannot be read.
        """
        try:
            oldest = await self._oldest(throttle, source)
            self._begin(source, since)
            self.beginnings.append(oldest)
            self._add_gap(source, oldest)
            cursor = await self._read(throttle, source)
        except (EvidenceError, ClientStateError, ValidationError):
            raise
        except LosantError as error:
            raise EvidenceError(
                f"The audit log of {source} cannot be read, so it cannot show which tokens are in "
                f"use: {error}"
            ) from error
        self.entries += cursor.entries
        for token_id, time in cursor.last_seen.items():
            if self._wanted is None or token_id in self._wanted:
                self.times[token_id] = max(time, self.times.get(token_id, time))

    async def _oldest(self, throttle: Throttle, source: LogSource) -> datetime | None:
        """Return the time of the oldest entry of a log, or `None` if it is empty.

        The response also shows the server's time.

        Raises:
            EvidenceError: The entry cannot be read.
        """
        page = await self._page(
            throttle,
            source,
            sort_direction="asc",
            sort_field="creationDate",
            per_page=1,
            start=_EPOCH,
        )
        if not page.items and not page.unreadable_items:
            return None
        date = page.items[0].creation_date if page.items else None
        if date is None:
            raise EvidenceError(
                f"The oldest entry of the audit log of {source} cannot be read, so the log cannot "
                f"show which tokens are in use."
            )
        return date

    def _begin(self, source: LogSource, since: datetime | timedelta | None) -> None:
        """Set the period from the server's time, once. Call this after a response."""
        if self._has_begun:
            return
        self._has_begun = True
        self.until = self._client.server_time()
        if not isinstance(since, timedelta):
            self.start = since
        elif self.until is None:
            raise EvidenceError(
                f"The server does not state its time, so it is unknown how far back the audit log "
                f"of {source} must be read."
            )
        else:
            try:
                self.start = self.until - since - _MARGIN
            except OverflowError:
                self.start = None

    def _add_gap(self, source: LogSource, oldest: datetime | None) -> None:
        if oldest is None:
            self.gaps.append(
                f"The audit log of {source} has no entries, so it cannot show any token in use."
            )
        elif self.start is not None and oldest > self.start + 2 * _MARGIN:
            self.gaps.append(
                f"The audit log of {source} begins on {oldest.date().isoformat()}, so it cannot "
                f"show tokens that were in use only before."
            )

    async def _read(self, throttle: Throttle, source: LogSource) -> LogCursor:
        """Read a log, and read it again if its number of entries is wrong.

        Raises:
            EvidenceError: The log cannot be read.
        """
        for _ in range(1, _MAX_READINGS):
            with suppress(EvidenceError):
                return await self._read_once(throttle, source)
        return await self._read_once(throttle, source)

    async def _read_once(self, throttle: Throttle, source: LogSource) -> LogCursor:
        end = None if self.until is None else self.until + _END_MARGIN
        cursor = LogCursor(str(source), self.start, self._page_size, end)
        while not cursor.is_done and not self._has_seen_all(cursor):
            window = {} if cursor.end is None else {"end": cursor.end}
            try:
                page = await self._page(
                    throttle,
                    source,
                    sort_field="creationDate",
                    sort_direction="desc",
                    filter=self._filter(),
                    page=cursor.page,
                    per_page=cursor.size,
                    start=self.start or _EPOCH,
                    **window,
                )
            except ResponseTooLarge:
                if not cursor.halve():
                    raise
                continue
            cursor.advance(page)
            if self._on_progress is not None:
                self._on_progress(
                    LogProgress(
                        source=source,
                        entries=cursor.entries,
                        total=cursor.total,
                        oldest=cursor.oldest,
                    )
                )
        return cursor

    def _has_seen_all(self, cursor: LogCursor) -> bool:
        return self._wanted is not None and self._wanted <= cursor.last_seen.keys()

    def _filter(self) -> AuditLogFilter:
        if self._wanted is not None and len(self._wanted) <= _MAX_FILTERED:
            return AuditLogFilter(actor=[AuditLogActor(id=token) for token in sorted(self._wanted)])
        return AuditLogFilter(actor=[AuditLogActor(type="ApiToken")])

    async def _page(self, throttle: Throttle, source: LogSource, **options: Any) -> Page:
        logs = self._client.audit_logs if source.kind == "org" else self._client.instance_audit_logs
        page: Page = await throttle.read(partial(logs.get, source.id, retry=ONE_ATTEMPT, **options))
        return page
