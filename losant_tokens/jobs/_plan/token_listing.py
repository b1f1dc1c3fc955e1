"""List all tokens of an owner for other purposes than a plan, with the same check.

A listing that may be incomplete is started again, so the receiver must be able to discard what it
received. See `completeness` for the reasons.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens import _validators as validators
from losant_tokens._complete_listing.completeness import ListingCheck
from losant_tokens.jobs._plan.page_reader import open_pages
from losant_tokens.jobs._plan.relisting import list_until_complete, read_newest
from losant_tokens.jobs._plan.settings import PAGE_SIZE, PATIENCE
from losant_tokens.jobs._rules import Token
from losant_tokens.jobs._throttle.throttle import Throttle, open_throttle


@attrs.frozen(kw_only=True)
class ListingResult:
    """The result of listing the tokens of an owner.

    Attributes:
        listed: The number of different tokens in the last listing.
        is_complete: Whether it is certain that no token is missing.
        problems: Why tokens may be missing, one phrase for each reason.
    """

    listed: int
    is_complete: bool
    problems: tuple[str, ...] = ()


async def list_tokens(
    client: AsyncClient,
    owner: Owner,
    receive: Callable[[Sequence[Token]], Awaitable[None]],
    *,
    restart: Callable[[], Awaitable[None]],
    page_size: int = PAGE_SIZE,
    patience: float = PATIENCE,
) -> ListingResult:
    """List the tokens of an owner, and list them again while some may be missing.

    Requests are paced and retried as for a plan. Memory does not grow with the number of tokens,
    except for 12 bytes each.

    Args:
        client: The client.
        owner: The owner of the tokens.
        receive: Receives the tokens of each page. No token is received twice in one listing.
        restart: Called before the tokens are listed again: discard all tokens of this owner that
            were received.
        page_size: The number of tokens on a page. It is halved if a page is too large.
            Default: 1000.
        patience: How long to wait for the end of an outage, in seconds. Default: 300.

    Raises:
        ValidationError: An argument is invalid. Nothing was sent.
        LosantError: The tokens cannot be listed.
    """
    validators.check_argument(validators.integer(minimum=1), "list_tokens", "page_size", page_size)
    async with open_throttle(patience) as throttle:
        list_once = partial(_list_once, client, throttle, owner, receive, page_size)
        check, is_complete = await list_until_complete(list_once, restart)
    problems = check.problems(is_stable=is_complete)
    if not is_complete:
        problems = ("the tokens kept changing while they were listed", *problems)
    return ListingResult(
        listed=check.listed, is_complete=is_complete and not problems, problems=problems
    )


async def _list_once(
    client: AsyncClient,
    throttle: Throttle,
    owner: Owner,
    receive: Callable[[Sequence[Token]], Awaitable[None]],
    page_size: int,
) -> ListingCheck:
    """List the tokens of an owner once, in the order of their ids."""
    tokens = client.tokens(owner)
    check = ListingCheck(await read_newest(throttle, tokens))
    async with open_pages(throttle, tokens, page_size) as pages:
        async for listed in pages:
            check.add_page(listed.page, listed.number)
            items: tuple[Token, ...] = listed.page.items[listed.skip :]
            await receive([token for token in items if check.add(token)])
    return check
