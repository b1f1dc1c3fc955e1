"""Lists: which page of which tokens, in which order."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from losant_tokens.testing._contract import (
    API_TOKEN_FILTER_FIELDS,
    API_TOKEN_SORT_FIELDS,
    OAUTH_TOKEN_FILTER_FIELDS,
    OAUTH_TOKEN_SORT_FIELDS,
    Family,
)
from losant_tokens.testing._problems import Problem
from losant_tokens.testing._values import FakeToken

_NEVER_FIRST = datetime.min.replace(tzinfo=UTC)

# Tokens that never expire have no date, and what is missing sorts before what is there.
_SORT_KEYS: Mapping[str, Callable[[FakeToken], Any]] = {
    "name": lambda token: token.name,
    "status": lambda token: token.status,
    "id": lambda token: token.id,
    "creationDate": lambda token: token.creation_date,
    "lastUpdated": lambda token: token.last_updated,
    "expirationDate": lambda token: token.expiration_date or _NEVER_FIRST,
}


@frozen(kw_only=True)
class ListQuery:
    """What a list request asks for."""

    page: int
    per_page: int
    sort_field: str
    sort_direction: str
    filter_field: str
    filter: str

    def select(self, tokens: Iterable[FakeToken]) -> tuple[Sequence[FakeToken], int]:
        """Give the tokens of the page, and how many there are over all pages.

        A filter counts only together with its field. It matches the whole value, case and all, with
        `*` for any run of characters. Tokens that sort alike keep the order in which they were
        added, in either direction.
        """
        found = list(tokens)
        if self.filter and self.filter_field:
            glob = re.compile(".*".join(map(re.escape, self.filter.split("*"))), re.DOTALL)
            found = [token for token in found if glob.fullmatch(getattr(token, self.filter_field))]
        found.sort(key=_SORT_KEYS[self.sort_field], reverse=self.sort_direction == "desc")
        start = self.page * self.per_page
        return found[start : start + self.per_page], len(found)


def read_list_query(
    parameters: Mapping[str, str], family: Family, page_cap: int | None
) -> ListQuery:
    """Read the parameters of a list request.

    Args:
        parameters: The query of the request.
        family: Whose tokens are listed: OAuth tokens sort and filter by fewer fields.
        page_cap: The most that a page holds, whatever is asked for; None: no limit.

    Raises:
        Problem: A 400 that tells all that is wrong.
    """
    oauth = family == "oauth"
    sort_fields = OAUTH_TOKEN_SORT_FIELDS if oauth else API_TOKEN_SORT_FIELDS
    filter_fields = OAUTH_TOKEN_FILTER_FIELDS if oauth else API_TOKEN_FILTER_FIELDS
    wrong: list[dict[str, str]] = []

    def one_of(name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = parameters.get(name, default)
        if value not in {*allowed, default}:
            wrong.append({"path": f"$.{name}", "message": f"is none of {', '.join(allowed)}"})
        return value

    def number(name: str, default: int, least: int) -> int:
        value = parameters.get(name, str(default))
        # Nine digits are plenty, and a bounded number keeps a hostile one from taking all memory.
        if re.fullmatch(r"[0-9]{1,9}", value) and int(value) >= least:
            return int(value)
        wrong.append({"path": f"$.{name}", "message": f"is not a whole number from {least}"})
        return default

    per_page = number("perPage", 100, 1)
    query = ListQuery(
        page=number("page", 0, 0),
        per_page=per_page if page_cap is None else min(per_page, page_cap),
        sort_field=one_of("sortField", "name", sort_fields),
        sort_direction=one_of("sortDirection", "asc", ("asc", "desc")),
        filter_field=one_of("filterField", "", filter_fields),
        filter=parameters.get("filter", ""),
    )
    if wrong:
        raise Problem.validation(wrong)
    return query
