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
        losantdomain: The domain scope of the request, which few programs need.
        actions: Whether the response lists the actions of the resource. Default: false.
        links: Whether the response has links. Default: true.
        embedded: Whether the response embeds related resources. Default: true.
        timeout: The maximum duration of one attempt, in seconds. Default: that of the client.
        retry: How often the request is sent, and how long the call may take. Default: that of the
            client.
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
        per_page: The number of tokens on a page. Default: 1,000 for `iter`, and 100 for a page,
            which is the API's default. A server may cap it. `iter` halves it if a page is too
            large.
        filter_field: The field to filter by. Requires `filter`.
        filter: The pattern that the field must match; `*` matches any characters. With an empty
            pattern or without a field, the API returns all tokens, so `iter` refuses that.
    """

    sort_field: SortField
    sort_direction: SortDirection
    per_page: int
    filter_field: FilterField
    filter: str


class PageOptions(ListOptions, total=False):
    """The options of one page of a list: those of `ListOptions`, and `page`.

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
    }
    query = {}
    for name, value in parameters.items():
        wire_name, validator = rules[name]
        validators.check_argument(validator, operation.name, name, value)
        query[wire_name] = str(value)
    return query
