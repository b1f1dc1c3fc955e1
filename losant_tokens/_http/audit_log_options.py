"""The keyword options of audit logs, and their query parameters."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from losant_tokens._api.audit_log_filter import AuditLogFilter, filter_query
from losant_tokens._api.operations import Operation
from losant_tokens._http.call_options import RequestOptions, SortDirection, list_query
from losant_tokens._utils import validators

AuditLogSortField = Literal["creationDate", "responseStatus", "actorName"]


class AuditLogListOptions(RequestOptions, total=False):
    """The options of an audit log."""

    sort_field: AuditLogSortField
    """The field to sort by. Default: `creationDate`, the API's default."""
    sort_direction: SortDirection
    """`asc` or `desc`. Default: `desc`, the API's default: the newest first."""
    per_page: int
    """The number of entries on a page. Default: 1,000 for `iter`, and 100 for a page."""
    start: datetime
    """The time of the oldest entry to return, with a time zone. Default: no limit."""
    end: datetime
    """The time of the newest entry to return, with a time zone. Default: no limit. Without it, new
    entries move the others to later pages while you read.
    """
    filter: AuditLogFilter
    """The properties that an entry must have. Default: none."""


class AuditLogPageOptions(AuditLogListOptions, total=False):
    """The options of one page of an audit log: those of `AuditLogListOptions`, and `page`."""

    page: int
    """The number of the page, from zero."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def audit_log_query(operation: Operation[Any], parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of an audit log by their names in the URL.

    Args:
        operation: The operation that reads the log.
        parameters: The parameters by their Python names.

    Raises:
        ValidationError: The API would refuse a parameter.
    """
    others = dict(parameters)
    query: dict[str, str] = {}
    for name in ("start", "end"):
        if name in others:
            time = others.pop(name)
            validators.check_argument(validators.aware_datetime, operation.name, name, time)
            query[name] = str(milliseconds(time, round_up=name == "end"))
    if "filter" in others:
        given = others.pop("filter")
        validators.check_argument(
            validators.instance_of(AuditLogFilter), operation.name, "filter", given
        )
        query |= filter_query(given)
    return list_query(operation, others) | query


def milliseconds(time: datetime, *, round_up: bool = False) -> int:
    """Return a time in milliseconds since 1970, or 0 for an earlier time.

    Args:
        time: The time, with a time zone.
        round_up: Whether a part of a millisecond counts as a whole one.
    """
    since = time - _EPOCH
    return max(0, -(-since // _MILLISECOND) if round_up else since // _MILLISECOND)
