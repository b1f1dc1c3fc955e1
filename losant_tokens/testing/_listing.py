"""Lists of the fake: filtering, sorting and pagination."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from losant_tokens.testing._models import FakeToken
from losant_tokens.testing._operations import (
    API_TOKEN_FILTER_FIELDS,
    API_TOKEN_SORT_FIELDS,
    OAUTH_TOKEN_FILTER_FIELDS,
    OAUTH_TOKEN_SORT_FIELDS,
    Family,
)

_MAX_DIGITS = 15


def _absent_first(date: datetime | None) -> tuple[datetime, ...]:
    return () if date is None else (date,)


# Tokens that never expire have no date, and sort before tokens with a date.
_SORT_KEYS: Mapping[str, Callable[[FakeToken], Any]] = {
    "name": lambda token: token.name,
    "status": lambda token: token.status,
    "id": lambda token: token.id,
    "creationDate": lambda token: token.creation_date,
    "lastUpdated": lambda token: token.last_updated,
    "expirationDate": lambda token: _absent_first(token.expiration_date),
}


@frozen(kw_only=True)
class ListQuery:
    """The parameters of a list request."""

    page: int
    per_page: int
    sort_field: str
    sort_direction: str
    filter_field: str
    filter: str

    def select(self, tokens: Iterable[FakeToken]) -> tuple[Sequence[FakeToken], int]:
        """Return the tokens of the page, and the number of tokens on all pages.

        A filter has an effect only together with its field. It must match the whole value, and is
        case-sensitive. Tokens that sort as equal keep the order in which they were added, in both
        directions.
        """
        found = list(tokens)
        if self.filter and self.filter_field:
            matches = glob(self.filter)
            found = [token for token in found if matches(getattr(token, self.filter_field))]
        found.sort(key=_SORT_KEYS[self.sort_field], reverse=self.sort_direction == "desc")
        start = self.page * self.per_page
        return found[start : start + self.per_page], len(found)


def glob(pattern: str) -> Callable[[str], bool]:
    """Return a function that decides whether a whole string matches a pattern.

    `*` matches any number of characters, and every other character matches itself. Each part
    between two stars is searched for after the part before it, and its first occurrence is always
    good enough. So there is no backtracking, which takes minutes for a filter of eight stars.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return lambda text: text == pattern
    *middle, last = rest

    def matches(text: str) -> bool:
        if len(text) < len(first) + len(last):
            return False
        if not (text.startswith(first) and text.endswith(last)):
            return False
        position, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, position, end)
            if found < 0:
                return False
            position = found + len(part)
        return True

    return matches


def owner_query_schema(path: str) -> Mapping[str, Any]:
    """Return the schema of the parameters of a list of applications, instances or organizations."""
    sort_fields = ("name", "id", "creationDate", "lastUpdated")
    schema = {
        **query_schema("user"),
        "sortField": {"type": "string", "enum": sort_fields},
        "filterField": {"type": "string", "enum": ("name",)},
    }
    if path == "/applications":
        schema["sortField"] = {"type": "string", "enum": (*sort_fields, "ownerId")}
        schema["orgId"] = {"type": "string", "pattern": "^([A-Fa-f0-9]{24})?$"}
    return schema


def query_schema(family: Family) -> Mapping[str, Any]:
    """Return the schema of the parameters of a list, which differs for OAuth tokens."""
    oauth = family == "oauth"
    sort_fields = OAUTH_TOKEN_SORT_FIELDS if oauth else API_TOKEN_SORT_FIELDS
    filter_fields = OAUTH_TOKEN_FILTER_FIELDS if oauth else API_TOKEN_FILTER_FIELDS
    return {
        "sortField": {"type": "string", "enum": sort_fields},
        "sortDirection": {"type": "string", "enum": ("asc", "desc")},
        "page": {"type": "string", "pattern": "^[0-9]+$"},
        "perPage": {"type": "string", "pattern": "^[1-9][0-9]*$"},
        "filterField": {"type": "string", "enum": filter_fields},
        "filter": {"type": "string"},
    }


def read_list_query(parameters: Mapping[str, str], page_cap: int | None) -> ListQuery:
    """Read the validated parameters of a list request.

    Args:
        parameters: The query of the request.
        page_cap: The maximum number of tokens on a page; None: no limit.
    """
    per_page = _number(parameters.get("perPage", "100"))
    return ListQuery(
        page=_number(parameters.get("page", "0")),
        per_page=per_page if page_cap is None else min(per_page, page_cap),
        sort_field=parameters.get("sortField", "name"),
        sort_direction=parameters.get("sortDirection", "asc"),
        filter_field=parameters.get("filterField", ""),
        filter=parameters.get("filter", ""),
    )


def _number(digits: str) -> int:
    # Python does not convert thousands of digits, and no list needs more than 15.
    return int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS
