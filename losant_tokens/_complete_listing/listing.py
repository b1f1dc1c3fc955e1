"""List all tokens of an owner, and prove that none is missing.

A listing that may be incomplete is started again, so the receiver must be able to discard what it
received. See `completeness` for the reasons.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import attrs

from losant_tokens._complete_listing.completeness import ListingCheck
from losant_tokens._complete_listing.page_cursor import Token
from losant_tokens._complete_listing.page_reader import ReadPage, open_pages, read_newest
from losant_tokens._complete_listing.relisting import list_until_complete

Receive = Callable[[Sequence[Token]], Awaitable[None]]
Restart = Callable[[], Awaitable[None]]


@attrs.frozen(kw_only=True)
class ListingResult:
    """The result of listing the tokens of an owner."""

    listed: int
    """The number of different tokens in the last listing."""
    is_complete: bool
    """Whether it is certain that no token is missing."""
    problems: tuple[str, ...] = ()
    """Why tokens may be missing, one phrase for each reason."""


async def list_all(
    read: ReadPage, subject: str, page_size: int, receive: Receive, restart: Restart
) -> ListingResult:
    """List tokens, and list them again while some may be missing.

    Args:
        read: Reads a page.
        subject: The tokens as a phrase, for messages.
        page_size: The number of tokens on a page. It is halved if a page is too large.
        receive: Receives the tokens of each page. No token is received twice in one listing.
        restart: Called before the tokens are listed again.

    Raises:
        LosantError: The tokens cannot be listed.
    """
    list_once = partial(_list_once, read, subject, page_size, receive)
    check, is_complete = await list_until_complete(list_once, restart)
    problems = check.problems(is_stable=is_complete)
    if not is_complete:
        problems = ("the tokens kept changing while they were listed", *problems)
    return ListingResult(
        listed=check.listed, is_complete=is_complete and not problems, problems=problems
    )


async def _list_once(
    read: ReadPage, subject: str, page_size: int, receive: Receive
) -> ListingCheck:
    """List the tokens once, in the order of their ids."""
    check = ListingCheck(await read_newest(read))
    async with open_pages(read, subject, page_size) as pages:
        async for listed in pages:
            check.add_page(listed.page, listed.number)
            items: tuple[Token, ...] = listed.page.items[listed.skip :]
            await receive([token for token in items if check.add(token)])
    return check
