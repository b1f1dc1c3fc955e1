"""The keyword options of the methods, and the query parameters of lists."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from losant_tokens import _validators as validators
from losant_tokens._operations import Operation
from losant_tokens._retry import RetryPolicy

SortField = Literal["name", "status", "id", "creationDate", "lastUpdated", "expirationDate"]
OauthSortField = Literal["name", "status", "id", "creationDate", "lastUpdated"]
SortDirection = Literal["asc", "desc"]
FilterField = Literal["name", "status"]
OauthFilterField = Literal["name"]


class RequestOptions(TypedDict, total=False):
    """The keyword options of every method.

    Keys:
        losantdomain: The domain scope of the request; rarely needed.
        actions: Whether the response lists the actions of the resource. Default: false.
        links: Whether the response has links. Default: true.
        embedded: Whether the response embeds related resources. Default: true.
        timeout: The longest time for one attempt, in seconds. Default: that of the client.
        retry: How often, and for how long, the call is attempted. Default: that of the client.
    """

    losantdomain: str
    actions: bool
    links: bool
    embedded: bool
    timeout: float
    retry: RetryPolicy


class ListOptions(RequestOptions, total=False):
    """The options of a list of tokens.

    Keys:
        sort_field: The field to sort by. Default: `name`, the API's default.
        sort_direction: `asc` or `desc`. Default: `asc`, the API's default.
        per_page: The number of tokens on a page. Default: 100 for a page, the API's default, and
            1,000 for `iter`. A server may cap it, and `iter` halves it for pages that are too
            large.
        filter_field: The field to filter by. Requires `filter`.
        filter: The pattern that the field must match; `*` matches anything. The API takes an empty
            pattern, or one without a field, for all tokens, so `iter` refuses it.
    """

    sort_field: SortField
    sort_direction: SortDirection
    per_page: int
    filter_field: FilterField
    filter: str


class PageOptions(ListOptions, total=False):
    """The further options of one page of a list.

    Keys:
        page: The number of the page, from zero.
    """

    page: int


class OauthListOptions(RequestOptions, total=False):
    """The options of a list of OAuth tokens: see `ListOptions`."""

    sort_field: OauthSortField
    sort_direction: SortDirection
    per_page: int
    filter_field: OauthFilterField
    filter: str


class OauthPageOptions(OauthListOptions, total=False):
    """The options of one page of a list of OAuth tokens: see `PageOptions`."""

    page: int


def check_options(
    operation: Operation[Any], options: Mapping[str, object], known: type = RequestOptions
) -> None:
    """Refuse options that do not exist, as Python refuses unknown arguments.

    Raises:
        TypeError: There is no such option.
    """
    names = known.__annotations__
    if options.keys() <= names.keys():
        return
    from difflib import get_close_matches  # noqa: PLC0415 -- for mistakes alone

    name = next(name for name in options if name not in names)
    close = get_close_matches(name, names, n=1)
    meant = f". Did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"
    raise TypeError(f"{operation} got an unexpected keyword argument {name!r}{meant}")


def split(
    operation: Operation[Any], options: Mapping[str, Any], known: type
) -> tuple[dict[str, Any], Any]:
    """Return the options that are parameters of a list, and those of any request.

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
    """Return the parameters of a list as they are in a URL.

    Raises:
        ValidationError: The API would refuse a parameter.
    """
    takes = {
        "sort_field": ("sortField", validators.one_of(operation.sorts_by)),
        "sort_direction": ("sortDirection", validators.one_of(("asc", "desc"))),
        "page": ("page", validators.integer(minimum=0)),
        "per_page": ("perPage", validators.integer(minimum=1)),
        "filter_field": ("filterField", validators.one_of(operation.filters_by)),
        "filter": ("filter", validators.string()),
    }
    query = {}
    for name, value in parameters.items():
        wire_name, limit = takes[name]
        validators.check_argument(limit, operation.name, name, value)
        query[wire_name] = str(value)
    return query
