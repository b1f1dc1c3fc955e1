"""Compare quarantines with the tokens that the API lists now, without a plan."""

from collections.abc import Iterable
from datetime import UTC, datetime

from losant_tokens import AsyncClient, Owner
from losant_tokens._credentials.token_claims import same_account
from losant_tokens.errors import Forbidden, NotFound, ScopeError
from losant_tokens.jobs._plan.account_check import other_claim, owner_ids_of
from losant_tokens.jobs._plan.settings import PAGE_SIZE
from losant_tokens.jobs._quarantine.comparison import QuarantineReview, Review
from losant_tokens.jobs._quarantine.quarantine import Quarantine

_USER_KINDS = ("user", "oauth")
_NOT_ALLOWED = (Forbidden, NotFound, ScopeError)


async def review_quarantines(
    client: AsyncClient, quarantines: Iterable[Quarantine], *, page_size: int = PAGE_SIZE
) -> tuple[QuarantineReview, ...]:
    """Compare quarantines with the tokens that the API lists now. Nothing is changed.

    Quarantines for another base URL or account are left out. Each owner is listed once.

    Args:
        client: The client that lists the tokens.
        quarantines: The quarantines.
        page_size: The number of tokens on a page. Default: 1000.

    Raises:
        LosantError: The tokens cannot be listed.
    """
    found = await quarantines_of(client, quarantines)
    reviews = [Review(one, one.grace) for one in found]
    unlisted: list[Owner] = []
    for owner in dict.fromkeys(owner for one in found for owner in one.owners):
        pages = client.tokens(owner).iter(sort_field="id", per_page=page_size)
        try:
            async for token in pages:
                now = client.server_time() or datetime.now(UTC)
                for review in reviews:
                    review.add(owner, token, now)
        except _NOT_ALLOWED:
            unlisted.append(owner)
    now = client.server_time() or datetime.now(UTC)
    return tuple(review.result(now, unlisted) for review in reviews)


async def quarantines_of(
    client: AsyncClient, quarantines: Iterable[Quarantine]
) -> tuple[Quarantine, ...]:
    """Return the quarantines for the client's base URL and account.

    The claims of the token decide if they name the user. Otherwise one page of one token is listed
    for the user's tokens, and its ids decide.

    Args:
        client: The client.
        quarantines: The quarantines.

    Raises:
        LosantError: The tokens cannot be listed.
    """
    ids: dict[Owner, set[str]] = {}
    found: list[Quarantine] = []
    for one in quarantines:
        if one.base_url != client.base_url or other_claim(one.owners, one.account, client.account):
            continue
        owners = [owner for owner in one.owners if owner.kind in _USER_KINDS]
        if same_account(one.account, client.account) is not True:
            for owner in owners:
                if owner not in ids and one.owner_ids.get(owner):
                    ids[owner] = await _listed_owner_ids(client, owner)
        if all(_may_be_same(one, owner, ids.get(owner, set())) for owner in owners):
            found.append(one)
    return tuple(found)


async def _listed_owner_ids(client: AsyncClient, owner: Owner) -> set[str]:
    """Return the ids that the API gives for an owner; none if the token may not list it."""
    try:
        return owner_ids_of(await client.tokens(owner).page(page=0, per_page=1))
    except _NOT_ALLOWED:
        return set()


def _may_be_same(quarantine: Quarantine, owner: Owner, listed: set[str]) -> bool:
    expected = {owner_id.lower() for owner_id in quarantine.owner_ids.get(owner, ())}
    return not expected or not listed or bool(expected & listed)
