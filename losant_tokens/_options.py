"""The keyword options of the methods, and the query parameters of lists."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from losant_tokens import _limits as limits
from losant_tokens._actions import Action
from losant_tokens._retry import RetryPolicy

SortField = Literal["name", "status", "id", "creationDate", "lastUpdated", "expirationDate"]
OauthSortField = Literal["name", "status", "id", "creationDate", "lastUpdated"]
SortDirection = Literal["asc", "desc"]
FilterField = Literal["name", "status"]
OauthFilterField = Literal["name"]


class RequestOptions(TypedDict, total=False):
    """What every method takes besides its own arguments, by keyword.

    Keys:
        losantdomain: The domain scope of the request; rarely needed.
        actions: Have the answer list the actions of the resource. Default: false.
        links: Have the answer carry links. Default: true.
        embedded: Have the answer embed related resources. Default: true.
        timeout: How long one try may take, in seconds. Default: that of the client.
        retry: How often, and for how long, the call is tried. Default: that of the client.
    """

    losantdomain: str
    actions: bool
    links: bool
    embedded: bool
    timeout: float
    retry: RetryPolicy


class ListOptions(RequestOptions, total=False):
    """What a list of tokens takes.

    Keys:
        sort_field: What to sort by; the API's default is `name`.
        sort_direction: `asc` (the API's default) or `desc`.
        per_page: How many to a page; the API's default is 100, that of `iter` 1,000. A server
            may cap it.
        filter_field: What to filter by; goes with `filter`.
        filter: What that field must match; `*` stands for anything. To the API, an empty one, or
            one without a field, means all tokens: `iter` refuses it.
    """

    sort_field: SortField
    sort_direction: SortDirection
    per_page: int
    filter_field: FilterField
    filter: str


class PageOptions(ListOptions, total=False):
    """What one page of a list takes besides.

    Keys:
        page: The number of the page, from zero.
    """

    page: int


class OauthListOptions(RequestOptions, total=False):
    """What a list of OAuth tokens takes: see `ListOptions`."""

    sort_field: OauthSortField
    sort_direction: SortDirection
    per_page: int
    filter_field: OauthFilterField
    filter: str


class OauthPageOptions(OauthListOptions, total=False):
    """What one page of a list of OAuth tokens takes: see `PageOptions`."""

    page: int


def check_options(
    action: Action[Any], options: Mapping[str, object], known: type = RequestOptions
) -> None:
    """Refuses options that do not exist, as Python refuses unknown arguments.

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
    raise TypeError(f"{action} got an unexpected keyword argument {name!r}{meant}")


def split(
    action: Action[Any], options: Mapping[str, Any], known: type
) -> tuple[dict[str, Any], Any]:
    """The options that are parameters of a list, and those that any request takes.

    Raises:
        TypeError: There is no such option.
    """
    check_options(action, options, known)
    common = RequestOptions.__annotations__
    return (
        {name: value for name, value in options.items() if name not in common},
        {name: value for name, value in options.items() if name in common},
    )


def list_query(action: Action[Any], parameters: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a list as they stand in a URL.

    Raises:
        ValidationError: A parameter is not what the API takes.
    """
    takes = {
        "sort_field": ("sortField", limits.one_of(action.sorts_by)),
        "sort_direction": ("sortDirection", limits.one_of(("asc", "desc"))),
        "page": ("page", limits.whole(least=0)),
        "per_page": ("perPage", limits.whole(least=1)),
        "filter_field": ("filterField", limits.one_of(action.filters_by)),
        "filter": ("filter", limits.text()),
    }
    query = {}
    for name, value in parameters.items():
        wire_name, limit = takes[name]
        limits.check(limit, action.name, name, value)
        query[wire_name] = str(value)
    return query
