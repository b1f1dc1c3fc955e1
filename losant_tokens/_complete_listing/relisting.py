"""List the tokens of an owner again while some may be missing. See `completeness` for the reasons.

Plans and other listings share this, so all give up after the same number of listings, and trust
the same proof.
"""

from collections.abc import Awaitable, Callable

from losant_tokens._complete_listing.completeness import ListingCheck

MAX_LISTINGS = 4  # of the tokens of one owner


async def list_until_complete(
    list_once: Callable[[], Awaitable[ListingCheck]], discard: Callable[[], Awaitable[None]]
) -> tuple[ListingCheck, bool]:
    """List tokens until it is certain that none is missing, up to four times.

    It is certain if a listing proves it, or if two listings in a row have the same tokens.

    Args:
        list_once: Lists all tokens.
        discard: Called before the tokens are listed again.

    Returns:
        The check of the last listing, and whether no token is missing.
    """
    check = await list_once()
    is_complete = check.is_complete
    for _ in range(MAX_LISTINGS - 1):
        if is_complete:
            break
        fingerprint = check.fingerprint
        await discard()
        check = await list_once()
        is_complete = check.is_complete or check.fingerprint == fingerprint
    return check, is_complete
