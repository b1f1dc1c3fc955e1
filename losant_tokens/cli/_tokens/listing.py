"""Read the tokens of owners: select, sort and limit them.

The rules and the order are those of this command, not of the API, so that a list selects the same
tokens as a plan, and has one order for several owners. The API filters, sorts and limits only if
its result is certain to be the same, or has to be filtered again here.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from attrs import define, evolve, field, frozen

from losant_tokens import AsyncClient, Owner
from losant_tokens.cli._errors import explain
from losant_tokens.cli._evidence import read_last_seen
from losant_tokens.cli._options.jobs import RuleOptions
from losant_tokens.cli._terminal.console import print_warning
from losant_tokens.cli._tokens.columns import COLUMNS, SEEN, ListedToken
from losant_tokens.errors import Forbidden, NotFound, ScopeError
from losant_tokens.jobs import Rule

_MAX_PER_PAGE = 1000
# Globs that mean the same to the API as to this command.
_API_GLOB = re.compile(r"[A-Za-z0-9 _.*-]+")
# Each token has these values, and nobody can disagree about their order. The API may sort names by
# the rules of a language, and tokens that never expire first or last.
_API_SORT_FIELDS: Mapping[str, str] = MappingProxyType(
    {"id": "id", "created": "creationDate", "updated": "lastUpdated"}
)


@frozen(kw_only=True)
class ListQuery:
    """The tokens to list.

    Attributes:
        owners: The owners of the tokens.
        options: The options that select tokens.
        sort: The column to sort by; None for the order of the API.
        descending: Whether to reverse that order.
        limit: The maximum number of tokens; None for all.
        page_size: The size of a page; None for the largest.
        needs_total: Whether to find out how many tokens there are in spite of the limit.
        discovered: The owners that the API listed. If it refuses to list their tokens, the others
            are listed, with a warning.
        logs: The audit logs that show when tokens last changed something.
        needs_log: Whether the list shows that. Without `logs`, the account names them.
    """

    owners: Sequence[Owner]
    options: RuleOptions
    sort: str | None = None
    descending: bool = False
    limit: int | None = None
    page_size: int | None = None
    needs_total: bool = True
    discovered: frozenset[Owner] = frozenset()
    logs: Sequence[str] = ()
    needs_log: bool = False

    async def run(self, client: AsyncClient) -> "Found":
        """Return the tokens, and print a warning if some may be missing."""
        found = Found(self.options.filter(), None if self._sorts_here else self.limit)
        for owner in self.owners:
            try:
                await self._read(client, owner, found)
            except (Forbidden, NotFound, ScopeError) as error:
                if owner not in self.discovered:
                    raise
                found.refused.append(owner)
                print_warning(f"the tokens of {owner} are missing: {explain(error)}")
        if found.rule is not None and found.rule.uses_time and client.server_time() is None:
            print_warning(
                "The server does not state its time, so rules about time rely on this machine's "
                "clock alone. Check that it is right."
            )
        if self.sort == SEEN:
            await self._add_last_seen(client, found)
        if self._sorts_here and self.sort is not None:
            found.tokens.sort(key=COLUMNS[self.sort].key, reverse=self.descending)
        if self.limit is not None:
            del found.tokens[self.limit :]
        if self.sort != SEEN:
            await self._add_last_seen(client, found)
        return found

    async def _add_last_seen(self, client: AsyncClient, found: "Found") -> None:
        if not self.logs:
            return
        seen = await read_last_seen(client, self.logs, {one.token.id for one in found.tokens})
        found.tokens = [evolve(one, seen=seen.get(one.token.id)) for one in found.tokens]

    async def _read(self, client: AsyncClient, owner: Owner, found: "Found") -> None:
        """Read the tokens of an owner until all are read, or no more are needed."""
        if found.is_full and not self.needs_total:
            return
        before = found.matched
        listing = client.tokens(owner).iter(**self._parameters(owner, found.rule))
        listing.warns = False  # The problems are printed below.
        async with aclosing(listing):
            async for token in listing:
                found.add(ListedToken(token, owner, found.time(client)))
                total = None if found.rule is not None else listing.progress.total_count
                if found.is_full and (total is not None or not self.needs_total):
                    # The API states the number of tokens on each page.
                    found.matched = before + (total or 0)
                    break
        for problem in listing.progress.problems:
            print_warning(f"tokens may be missing, or listed twice: {problem}")

    @property
    def _sorts_here(self) -> bool:
        if self.sort is None:
            return False
        is_short_list = self.limit is not None and self.options.filter() is None
        return not (is_short_list and len(self.owners) == 1 and self.sort in _API_SORT_FIELDS)

    def _parameters(self, owner: Owner, rule: Rule | None) -> dict[str, Any]:
        """Return the parameters of the list: what the API can select, sort and limit itself."""
        parameters: dict[str, Any] = self._api_filter(owner)
        if self.page_size is not None:
            parameters["per_page"] = self.page_size
        if self._sorts_here or self.limit is None:
            return parameters
        if rule is None:
            parameters["per_page"] = min(self.limit, self.page_size or _MAX_PER_PAGE)
        if self.sort is not None:
            parameters["sort_field"] = _API_SORT_FIELDS[self.sort]
            parameters["sort_direction"] = "desc" if self.descending else "asc"
        return parameters

    def _api_filter(self, owner: Owner) -> dict[str, Any]:
        """Return a filter of the API that keeps all tokens that the options select."""
        options = self.options
        if options.any:
            return {}
        if len(options.named) == 1 and _API_GLOB.fullmatch(options.named[0]):
            return {"filter_field": "name", "filter": options.named[0]}
        # The API filters OAuth tokens by name only.
        if options.active != options.inactive and owner.kind != "oauth":
            return {"filter_field": "status", "filter": "active" if options.active else "inactive"}
        return {}


@define
class Found:
    """The tokens that were found so far.

    Attributes:
        rule: The rule that selects tokens; None for all of them.
        keep: The number of tokens to keep; None for all of them.
        tokens: The tokens that are kept.
        matched: The number of tokens that the rule selects, with the tokens that are not kept.
        now: The time for rules and dates: that of the server, if it states its time.
        refused: The discovered owners whose tokens the API refused to list.
    """

    rule: Rule | None
    keep: int | None
    tokens: list[ListedToken] = field(factory=list)
    matched: int = 0
    now: datetime | None = None
    refused: list[Owner] = field(factory=list)

    @property
    def is_full(self) -> bool:
        """Whether no more tokens are kept."""
        return self.keep is not None and len(self.tokens) >= self.keep

    def time(self, client: AsyncClient) -> datetime:
        """Return the time for rules and dates, which stays the same for all tokens."""
        if self.now is None:
            self.now = client.server_time() or datetime.now(UTC)
        return self.now

    def add(self, one: ListedToken) -> None:
        """Add a token if the rule selects it."""
        if self.rule is not None and not self.rule.matches(one.token, one.now):
            return
        self.matched += 1
        if not self.is_full:
            self.tokens.append(one)
