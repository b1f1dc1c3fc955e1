"""`list`: list the tokens of an owner."""

import re
import sys
import warnings
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Literal

from attrs import frozen
from cyclopts import Parameter

from losant_tokens import Owner
from losant_tokens.cli._console import print_status, print_warning, write_output
from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._format import format_count
from losant_tokens.cli._options import (
    CURRENT_USER,
    DEFAULT_CONNECTION,
    AtLeastOne,
    ConnectionOptions,
    Json,
    OwnerOption,
    PageSize,
    Status,
    choice,
)

if TYPE_CHECKING:
    from losant_tokens import OwnerTokens
    from losant_tokens.cli._token_view import Token

_MAX_PER_PAGE = 1000
# Globs that mean the same to the API as to this command. For others, all names are listed.
_API_GLOB = re.compile(r"[A-Za-z0-9 _.*-]+")


def list_tokens(  # noqa: PLR0913 -- one parameter per option
    *,
    name: Annotated[
        str | None, Parameter(metavar="GLOB", help="List only tokens whose name matches GLOB.")
    ] = None,
    status: Annotated[
        Status | None, choice("active", "inactive", help_="List only tokens with this status.")
    ] = None,
    sort_field: Annotated[
        Literal["name", "status", "id", "creationDate", "lastUpdated", "expirationDate"] | None,
        Parameter(metavar="FIELD", show_choices=False, help="Sort by FIELD."),
    ] = None,
    sort_direction: Annotated[
        Literal["asc", "desc"] | None, choice("asc", "desc", help_="Sort in this direction.")
    ] = None,
    filter_field: Annotated[
        Literal["name", "status"] | None,
        choice("name", "status", help_="Filter by this field; requires --filter."),
    ] = None,
    filter: Annotated[
        str | None,
        Parameter(metavar="GLOB", help="List only tokens whose --filter-field matches GLOB."),
    ] = None,
    limit: Annotated[
        int | None, Parameter(metavar="N", validator=AtLeastOne, help="List at most N tokens.")
    ] = None,
    page_size: PageSize = None,
    owner: OwnerOption = CURRENT_USER,
    json: Json = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """List tokens as a table or as JSON."""
    from losant_tokens.cli._connect import run_with_tokens
    from losant_tokens.cli._json import as_json, as_wire
    from losant_tokens.cli._tables import write_table
    from losant_tokens.cli._token_view import COLUMNS, table_row

    query = _Query(
        sort_field=sort_field,
        sort_direction=sort_direction,
        filter_field=filter_field,
        filter=filter,
        name=name,
        status=status,
        limit=limit,
        page_size=page_size,
    )
    query.check()
    found = run_with_tokens(owner, query.run, connection)
    if json:
        write_output(as_json([as_wire(token) for token in found]))
        return 0
    write_table(
        COLUMNS, map(table_row, found), cut="SCOPES", drop=("CREATED", "SCOPES"), wrap="NAME"
    )
    if sys.stdout.isatty():
        print_status(format_count(len(found)))
    return 0


@frozen(kw_only=True)
class _Query:
    """The tokens to list. None leaves a parameter to the API."""

    sort_field: str | None
    sort_direction: str | None
    filter_field: str | None
    filter: str | None
    name: str | None
    status: str | None
    limit: int | None
    page_size: int | None

    def check(self) -> None:
        """Check that the options can be combined.

        Raises:
            UsageError: They cannot.
        """
        if (self.filter_field is None) != (self.filter is None):
            raise UsageError("--filter-field and --filter require each other")
        if self.filter is not None and (self.name, self.status) != (None, None):
            raise UsageError("--filter cannot be combined with --name or --status")

    async def run(self, tokens: "OwnerTokens") -> "list[Token]":
        """Return the tokens, and print a warning if some may be missing."""
        from losant_tokens.errors import PaginationDriftWarning

        found: list[Token] = []
        listing = tokens.iter(**self._parameters(tokens.owner))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PaginationDriftWarning)  # Printed below.
            async with aclosing(listing):
                async for token in listing:
                    if self._matches(token):
                        found.append(token)
                    if len(found) == self.limit:
                        break
        for problem in listing.progress.problems:
            print_warning(f"tokens may be missing, or listed twice: {problem}")
        return found

    def _matches(self, token: "Token") -> bool:
        """Return whether a token is listed. The API can filter by one field only."""
        if self.status not in {None, token.status}:
            return False
        if self.name is None:
            return True
        from losant_tokens.jobs import name_matches

        return name_matches(token.name, self.name)

    def _parameters(self, owner: Owner) -> dict[str, Any]:
        """Return the parameters of the API. It filters OAuth tokens by name only."""
        field, value = self.filter_field, self.filter
        if self.name is not None and _API_GLOB.fullmatch(self.name):
            field, value = "name", self.name
        elif self.status is not None and owner.kind != "oauth":
            field, value = "status", self.status
        parameters = {
            "sort_field": self.sort_field,
            "sort_direction": self.sort_direction,
            "filter_field": field,
            "filter": value,
            "per_page": self._per_page(),
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def _per_page(self) -> int | None:
        """Return the page size: at most the limit, unless tokens are filtered out here."""
        if not self.limit or self.status or self.name:
            return self.page_size
        return min(self.limit, self.page_size or _MAX_PER_PAGE)
