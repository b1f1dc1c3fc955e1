"""The audit logs of the fake: its entries, and the queries that read them."""

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, field, frozen

from losant_tokens.testing._models import FakeAuditLog
from losant_tokens.testing._operations import LOG_SORT_FIELDS

FILTER = "auditLogFilter"
_MAX_DIGITS = 15
_MAX_ENTRIES = 100_000  # of each log; the oldest are dropped
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SOURCE = re.compile(r"(?:org|instance):[0-9a-f]{24}")

_SORT_KEYS: Mapping[str, str] = {
    "creationDate": "creation_date",
    "responseStatus": "response_status",
    "actorName": "actor_name",
}


def check_source(source: str) -> str:
    """Return an audit log in lower case.

    Raises:
        ValueError: The string is neither `org:<id>` nor `instance:<id>`.
    """
    source = source.lower()
    if not _SOURCE.fullmatch(source):
        raise ValueError(
            f"source must be 'org:<id>' or 'instance:<id>', with 24 hex digits for <id>, "
            f"not {source!r}"
        )
    return source


@define(eq=False)
class AuditLogs:
    """All audit logs of the fake. The caller holds the lock of the store."""

    _logs: dict[str, deque[FakeAuditLog]] = field(
        factory=lambda: defaultdict(lambda: deque(maxlen=_MAX_ENTRIES)), init=False
    )

    def add(self, entry: FakeAuditLog) -> None:
        """Add an entry to its log."""
        self._logs[entry.source].append(entry)

    def has(self, source: str) -> bool:
        """Return whether a log has entries."""
        return source in self._logs

    def of(self, source: str | None) -> tuple[FakeAuditLog, ...]:
        """Return the entries of a log, or of all logs, in the order in which they were added."""
        if source is not None:
            return tuple(self._logs.get(check_source(source), ()))
        return tuple(entry for log in self._logs.values() for entry in log)

    def get(self, source: str, id_: str) -> FakeAuditLog | None:
        """Return an entry, or `None` if the log does not have it."""
        return next((one for one in self._logs.get(source, ()) if one.id == id_.lower()), None)


@frozen(kw_only=True)
class LogQuery:
    """The parameters of a request for an audit log."""

    page: int
    per_page: int
    sort_field: str
    sort_direction: str
    start: int
    end: int | None
    filter: Mapping[str, Any]

    def select(self, entries: Iterable[FakeAuditLog]) -> tuple[Sequence[FakeAuditLog], int]:
        """Return the entries of the page, and the number of entries on all pages.

        The start and the end are inclusive. An entry needs one of the items of each member of the
        filter.
        """
        found = [entry for entry in entries if self._matches(entry)]
        name = _SORT_KEYS[self.sort_field]
        # Entries that were added at one time keep that order, reversed if the newest come first.
        newest_first = self.sort_direction == "desc"
        if newest_first:
            found.reverse()
        found.sort(key=lambda entry: getattr(entry, name) or "", reverse=newest_first)
        first = self.page * self.per_page
        return found[first : first + self.per_page], len(found)

    def _matches(self, entry: FakeAuditLog) -> bool:
        time = (entry.creation_date - _EPOCH) // timedelta(milliseconds=1)
        if time < self.start or (self.end is not None and time > self.end):
            return False
        return all(
            any(_has(entry, member, item) for item in items)
            for member, items in self.filter.items()
            if items
        )


def _has(entry: FakeAuditLog, member: str, item: Any) -> bool:
    """Return whether an entry has the properties of one item of a member of the filter."""
    if member == "responseCode":
        return bool(entry.response_status == item)
    prefix = {
        "actor": "actor",
        "request": "request",
        "primaryTarget": "primary_target",
        "secondaryTarget": "secondary_target",
    }[member]
    values = {name: getattr(entry, f"{prefix}_{name}") for name in item}
    return all(
        values[name] == (value.lower() if name == "id" else value) for name, value in item.items()
    )


def log_query_schema(filter_schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of the parameters of an audit log."""
    digits = {"type": "string", "pattern": "^[0-9]+$"}
    return {
        "sortField": {"type": "string", "enum": LOG_SORT_FIELDS},
        "sortDirection": {"type": "string", "enum": ("asc", "desc")},
        "page": digits,
        "perPage": {"type": "string", "pattern": "^[1-9][0-9]*$"},
        "start": digits,
        "end": digits,
        FILTER: filter_schema,
    }


def read_log_query(parameters: Mapping[str, Any], page_cap: int | None) -> LogQuery:
    """Read the validated parameters of a request for an audit log.

    Args:
        parameters: The query of the request.
        page_cap: The maximum number of entries on a page; None: no limit.
    """
    per_page = _number(parameters.get("perPage", "100"))
    end = parameters.get("end")
    return LogQuery(
        page=_number(parameters.get("page", "0")),
        per_page=per_page if page_cap is None else min(per_page, page_cap),
        sort_field=parameters.get("sortField", "creationDate"),
        sort_direction=parameters.get("sortDirection", "desc"),
        start=_number(parameters.get("start", "0")),
        end=None if end is None else _number(end),
        filter=parameters.get(FILTER, {}),
    )


def _number(digits: str) -> int:
    # Python does not convert thousands of digits, and no time needs more than 15.
    return int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


# --- The filter in the query ---------------------------------------------------------------------

_KEYS = re.compile(r"\[([^\[\]]*)\]")


def nested_filter(pairs: Iterable[tuple[str, str]]) -> object:
    """Return the filter of a query: `auditLogFilter[actor][0][type]=User` is a nested object.

    It returns `None` without a filter. A part of the wrong form becomes a string, which the
    validation refuses. Numbers are converted, because the schema has them for response codes.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name == FILTER:
            return value
        if not name.startswith(f"{FILTER}["):
            continue
        *path, last = _KEYS.findall(name)
        place = found
        for key in path:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                return value
        place[last] = int(value) if value.isdecimal() and len(value) <= _MAX_DIGITS else value
    return _with_lists(found) if found else None


def _with_lists(value: object) -> object:
    """Return a nested object with lists in place of the objects whose keys are all numbers."""
    if not isinstance(value, dict):
        return value
    members = {key: _with_lists(member) for key, member in value.items()}
    if all(key.isdecimal() for key in members):
        return [members[key] for key in sorted(members, key=lambda key: (len(key), key))]
    return members
