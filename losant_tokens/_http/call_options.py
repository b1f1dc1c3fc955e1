"""The keyword options of the methods, and the query parameters of lists."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from losant_tokens._api.operations import Operation
from losant_tokens._retries.retry_policy import RetryPolicy
from losant_tokens._utils import validators

SortField = Literal["name", "status", "id", "creationDate", "lastUpdated", "expirationDate"]
OauthSortField = Literal["name", "status", "id", "creationDate", "lastUpdated"]
SortDirection = Literal["asc", "desc"]
FilterField = Literal["name", "status"]
OauthFilterField = Literal["name"]
OwnerSortField = Literal["name", "id", "creationDate", "lastUpdated"]
OwnerFilterField = Literal["name"]


class RequestOptions(TypedDict, total=False):
    """The keyword options of every method."""

    losantdomain: str
    """The domain scope of the request, which few programs need."""
    actions: bool
    """Whether the response lists the actions of the resource. Default: false."""
    links: bool
    """Whether the response has links. Default: true."""
    embedded: bool
    """Whether the response embeds related resources. Default: true."""
    timeout: float
    """The maximum duration of one attempt, in seconds. Default: that of the client."""
    retry: RetryPolicy
    """How often the request is sent, and how long the call may take. Default: that of the client.
    """


class ListOptions(RequestOptions, total=False):
    """The options of a list of tokens."""

    sort_field: SortField
    """The field to sort by. Default: `name`, the API's default."""
    sort_direction: SortDirection
    """`asc` or `desc`. Default: `asc`, the API's default."""
    per_page: int
    """The number of tokens on a page. Default: 1,000 for `iter`, and 100 for a page, which is the
    API's default. A server may cap it. `iter` halves it if a page is too large.
    """
    filter_field: FilterField
    """The field to filter by. Requires `filter`."""
    filter: str
    """The pattern that the field must match; `*` matches any characters. With an empty pattern or
    without a field, the API returns all tokens, so `iter` refuses that.
    """


class PageOptions(ListOptions, total=False):
    """The options of one page of a list: those of `ListOptions`, and `page`."""

    page: int
    """The number of the page, from zero."""


class SnapshotOptions(RequestOptions, total=False):
    """The options of a snapshot of all tokens. Each of its requests has those of `RequestOptions`.

    A snapshot has no filter: a token that is renamed while the list is read would enter or leave a
    filtered list at any place, so that no proof could hold.
    """

    per_page: int
    """The number of tokens on a page. It is halved if a page is too large. Default: 1,000."""
    max_tokens: int
    """The maximum number of tokens. They take about 2.3 KB of memory each. Default: 100,000."""


class OauthListOptions(RequestOptions, total=False):
    """The options of a list of OAuth tokens: see `ListOptions`."""

    sort_field: OauthSortField
    """The field to sort by. Default: `name`, the API's default."""
    sort_direction: SortDirection
    """`asc` or `desc`. Default: `asc`, the API's default."""
    per_page: int
    """The number of tokens on a page. Default: 1,000 for `iter`, and 100 for a page. A server may
    cap it. `iter` halves it if a page is too large.
    """
    filter_field: OauthFilterField
    """The field to filter by: `name`. Requires `filter`."""
    filter: str
    """The pattern that the name must match; `*` matches any characters. With an empty pattern or
    without a field, the API returns all tokens, so `iter` refuses that.
    """


class OauthPageOptions(OauthListOptions, total=False):
    """The options of one page of a list of OAuth tokens: see `PageOptions`."""

    page: int
    """The number of the page, from zero."""


class OwnerListOptions(RequestOptions, total=False):
    """The options of a list of applications, instances or organizations: see `ListOptions`."""

    sort_field: OwnerSortField
    """The field to sort by. Default: `name`, the API's default."""
    sort_direction: SortDirection
    """`asc` or `desc`. Default: `asc`, the API's default."""
    per_page: int
    """The number of items on a page. Default: 1,000 for `iter`, and 100 for a page. A server may
    cap it. `iter` halves it if a page is too large.
    """
    filter_field: OwnerFilterField
    """The field to filter by: `name`. Requires `filter`."""
    filter: str
    """The pattern that the name must match; `*` matches any characters. With an empty pattern or
    without a field, the API returns all items, so `iter` refuses that.
    """


class OwnerPageOptions(OwnerListOptions, total=False):
    """The options of one page of such a list: see `PageOptions`."""

    page: int
    """The number of the page, from zero."""


class ApplicationListOptions(OwnerListOptions, total=False):
    """The options of a list of applications: those of `OwnerListOptions`, and `org_id`."""

    org_id: str
    """The organization whose applications to return; `""` for those of the user. Default: all
    applications.
    """


class ApplicationPageOptions(ApplicationListOptions, total=False):
    """The options of one page of applications: see `ApplicationListOptions` and `PageOptions`."""

    page: int
    """The number of the page, from zero."""


def check_options(
    operation: Operation[Any], options: Mapping[str, object], known: type = RequestOptions
) -> None:
    """Refuse unknown options, as Python refuses unknown arguments.

    Args:
        operation: The operation, for the message.
        options: The options by name.
        known: The class that declares all valid options.

    Raises:
        TypeError: There is no such option.
    """
    names = known.__annotations__
    if options.keys() <= names.keys():
        return
    from difflib import get_close_matches  # noqa: PLC0415 -- needed only for the message

    name = next(name for name in options if name not in names)
    close = get_close_matches(name, names, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"The options are {', '.join(names)}."
    raise TypeError(f"{operation} got an unexpected keyword argument {name!r}. {hint}")


def split(
    operation: Operation[Any], options: Mapping[str, Any], known: type
) -> tuple[dict[str, Any], Any]:
    """Return the options that are parameters of a list, and the options of any request.

    Args:
        operation: The operation, for the message.
        options: The options by name.
        known: The class that declares all valid options.

    Raises:
        TypeError: There is no such option.
    """
    check_options(operation, options, known)
    common = RequestOptions.__annotations__
    return (
        {name: value for name, value in options.items() if name not in common},
        {name: value for name, value in options.items() if name in common},
    )


def list_query(operation: Operation[Any], parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a list by their names in the URL.

    Args:
        operation: The operation that reads the list.
        parameters: The parameters by their Python names.

    Raises:
        ValidationError: The API would refuse a parameter.
    """
    rules = {
        "sort_field": ("sortField", validators.one_of(operation.sorts_by)),
        "sort_direction": ("sortDirection", validators.one_of(("asc", "desc"))),
        "page": ("page", validators.integer(minimum=0)),
        "per_page": ("perPage", validators.integer(minimum=1)),
        "filter_field": ("filterField", validators.one_of(operation.filters_by)),
        "filter": ("filter", validators.string()),
        "org_id": ("orgId", validators.string(pattern="(?:[A-Fa-f0-9]{24})?")),
    }
    query = {}
    for name, value in parameters.items():
        wire_name, validator = rules[name]
        validators.check_argument(validator, operation.name, name, value)
        query[wire_name] = str(value)
    return query
