"""The parts that all resources share: the session that sends, and the reading of lists.

The methods of the resources have the API's own names for operations and arguments, in snake_case.
All of them take the keyword options of `RequestOptions`, and can raise any `LosantError`.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial
from itertools import chain, repeat
from types import MappingProxyType
from typing import Any, Self, TypeVar, Unpack, cast

from losant_tokens._api.operations import Operation
from losant_tokens._calls.pagination import Listing
from losant_tokens._calls.session import Session
from losant_tokens._http.call_options import (
    ListOptions,
    PageOptions,
    SnapshotOptions,
    list_query,
    split,
)
from losant_tokens._utils import validators
from losant_tokens.errors import IncompleteListing, ValidationError

R = TypeVar("R")

_DEFAULT_SORT = "name"  # the contract's default of `sortField`

_NO_IDS: Mapping[str, str] = MappingProxyType({})

PAGE_SIZE = 1000
"""The default number of tokens on a page of `iter`, as in the official command line."""

MAX_TOKENS = 100_000
"""The default maximum number of tokens in a snapshot, which take about 230 MB."""


class Resource:
    """The base class of all resources."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._call = session.call

    def _returning_raw(self) -> Self:
        """Return the same resource, but its methods return a `RawResponse` with their result."""
        raw = copy(self)
        raw._call = cast("Any", self._session.call_raw)  # noqa: SLF001 -- the same class
        return raw

    async def _page(
        self,
        operation: Operation[R],
        options: Mapping[str, Any],
        ids: Mapping[str, str] = _NO_IDS,
        *,
        known: type = PageOptions,
    ) -> R:
        """Return one page of a list.

        Args:
            operation: The operation that reads the list.
            options: The options of the caller, see `PageOptions`.
            ids: The ids in the path.
            known: The class that declares the options.
        """
        parameters, others = split(operation, options, known)
        return await self._call(operation, ids, list_query(operation, parameters), **others)

    def _all_pages(
        self,
        operation: Operation[Any],
        options: Mapping[str, Any],
        ids: Mapping[str, str] = _NO_IDS,
        *,
        known: type = ListOptions,
    ) -> Listing[Any]:
        """Return an iterator over all pages of a list.

        Args:
            operation: The operation that reads the list.
            options: The options of the caller, see `ListOptions`.
            ids: The ids in the path.
            known: The class that declares the options.

        Raises:
            TypeError: There is no such option.
            ValidationError: The API would refuse an option, or return all tokens because of it.
                Options are checked now, not at the first item.
        """
        parameters, others = split(operation, options, known)
        if ("filter" in parameters) != ("filter_field" in parameters):
            raise ValidationError(
                f"{operation}: pass filter and filter_field together; with one of them alone, "
                f"the API returns all tokens"
            )
        if not parameters.get("filter", "*"):
            raise ValidationError(
                f"{operation}: the filter is empty, and the API would return all tokens; "
                f"leave it out"
            )
        per_page = parameters.pop("per_page", PAGE_SIZE)
        query = list_query(operation, parameters)
        fields = (query.get("sortField", _DEFAULT_SORT), query.get("filterField", ""))
        return self._listing(operation, ids, query, others, per_page=per_page, fields=fields)

    async def _snapshot(
        self,
        operation: Operation[Any],
        options: Mapping[str, Any],
        ids: Mapping[str, str] = _NO_IDS,
    ) -> list[Any]:
        """Return all tokens of a list, and prove that none is missing.

        Args:
            operation: The operation that reads the list.
            options: The options of the caller, see `SnapshotOptions`.
            ids: The ids in the path.

        Raises:
            TypeError: There is no such option.
            ValidationError: An option is invalid. Nothing was sent.
            IncompleteListing: The list kept changing, contradicts itself, or is too long.
        """
        # Imported here, because few programs take a snapshot.
        from losant_tokens._complete_listing.listing import list_all  # noqa: PLC0415
        from losant_tokens._complete_listing.page_cursor import Token  # noqa: PLC0415
        from losant_tokens._complete_listing.page_reader import PageRequest  # noqa: PLC0415

        parameters, others = split(operation, options, SnapshotOptions)
        per_page = parameters.get("per_page", PAGE_SIZE)
        max_tokens = parameters.get("max_tokens", MAX_TOKENS)
        for name, value in (("per_page", per_page), ("max_tokens", max_tokens)):
            validators.check_argument(validators.integer(minimum=1), operation.name, name, value)
        # Only the first page warns about the token.
        calls = chain([self._call], repeat(self._session.call_for_next_page))
        tokens: list[Token] = []

        async def read(**page: Unpack[PageRequest]) -> Any:
            return await next(calls)(operation, ids, list_query(operation, page), **others)

        async def receive(found: Sequence[Token]) -> None:
            tokens.extend(found)
            if len(tokens) > max_tokens:
                raise _too_many(operation, len(tokens), max_tokens)

        async def restart() -> None:
            tokens.clear()

        with self._session.together(f"{operation.name.removesuffix('.get')}.snapshot"):
            result = await list_all(read, operation.name, per_page, receive, restart)
            if not result.is_complete:
                raise _not_proven(operation, result.listed, result.problems)
        return tokens

    def _listing(
        self,
        operation: Operation[Any],
        ids: Mapping[str, str],
        query: Mapping[str, str],
        others: Any,
        *,
        per_page: int,
        fields: tuple[str, ...] = (),
    ) -> Listing[Any]:
        """Return an iterator over all pages of a list, for checked parameters.

        Args:
            operation: The operation that reads the list.
            ids: The ids in the path.
            query: The parameters by their names in the URL, without the page and its size.
            others: The options of any request.
            per_page: The page size.
            fields: The fields by which the list is sorted and filtered.

        Raises:
            ValidationError: The page size is invalid.
        """
        validators.check_argument(
            validators.integer(minimum=1), operation.name, "per_page", per_page
        )

        async def read(page: int, per_page: int) -> Any:
            numbers = list_query(operation, {"page": page, "per_page": per_page})
            call = self._session.call_for_next_page if page else self._call
            return await call(operation, ids, {**query, **numbers}, **others)

        return Listing(
            operation.name,
            per_page,
            read,
            self._session.reads_ahead,
            changes=partial(self._session.changes.count, operation, ids, fields),
            query=query,
        )


def _too_many(operation: Operation[Any], listed: int, max_tokens: int) -> IncompleteListing:
    """Return the error for a snapshot with more tokens than it may hold."""
    problem = f"there are more than {max_tokens:,}"
    return IncompleteListing(
        f"{operation}: the tokens were not listed, because {problem}. Raise max_tokens if there is "
        f"enough memory, or use iter().",
        operation=operation.name,
        listed=listed,
        problems=[problem],
    )


def _not_proven(
    operation: Operation[Any], listed: int, problems: Sequence[str]
) -> IncompleteListing:
    """Return the error for a snapshot that may lack tokens."""
    return IncompleteListing(
        f"{operation}: tokens may be missing: {', '.join(problems)} (the last listing has "
        f"{listed:,}). Call snapshot() again later, or use iter() if a token may be missing.",
        operation=operation.name,
        listed=listed,
        problems=problems,
    )
