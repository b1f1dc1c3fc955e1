"""`discover_owners`: the owners of tokens that the API lists."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from losant_tokens._api.owner import Owner
from losant_tokens.accounts._account import check_discovery
from losant_tokens.errors import LosantError

if TYPE_CHECKING:
    from losant_tokens._calls.pagination import Listing
    from losant_tokens._client import AsyncClient


@frozen(kw_only=True)
class DiscoveredOwners:
    """The owners that lists of the API name. Iterating over it returns the owners."""

    owners: tuple[Owner, ...] = ()
    """The owners, without duplicates."""
    names: Mapping[Owner, str] = field(factory=dict)
    """The display names of owners that have one."""
    problems: Mapping[str, str] = field(factory=dict)
    """Why a list is not complete, by the list: the token may not read it, the request failed, or
    the list changed while it was read. Owners may be missing if there is one.
    """

    def __iter__(self) -> Iterator[Owner]:
        return iter(self.owners)


async def discover_owners(
    client: "AsyncClient", lists: Iterable[str] = ("applications", "instances")
) -> DiscoveredOwners:
    """Return the owners that lists of the API name. A list that fails does not stop the others.

    Args:
        client: An open client.
        lists: The lists to read: `applications` (all that the user can see),
            `applications:ORG_ID` (those of an organization) or `instances`. Default: all
            applications and all instances.

    Raises:
        ValidationError: There is no such list.
    """
    names: dict[Owner, str] = {}
    problems: dict[str, str] = {}
    for name in tuple(map(check_discovery, lists)):
        listing, make = _listing_of(client, name)
        listing.warns = False
        try:
            async with aclosing(listing):
                async for item in listing:
                    names[make(item.id)] = item.name or ""
        except LosantError as error:
            problems[name] = str(error)
            continue
        if found := listing.progress.problems:
            problems[name] = ", ".join(map(str, found))
    return DiscoveredOwners(
        owners=tuple(names), names={o: n for o, n in names.items() if n}, problems=problems
    )


def _listing_of(client: "AsyncClient", name: str) -> "tuple[Listing[Any], Callable[[str], Owner]]":
    """Return the items of a list of owners, and the function that makes an owner of an id."""
    kind, _, org_id = name.partition(":")
    if kind == "instances":
        return client.instances.iter(), Owner.instance
    if org_id:
        return client.applications.iter(org_id=org_id), Owner.application
    return client.applications.iter(), Owner.application
