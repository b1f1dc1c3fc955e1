"""List all tokens of an owner for other purposes than a plan, with the same check."""

from collections.abc import Awaitable, Callable, Sequence

from losant_tokens import AsyncClient, Owner
from losant_tokens._client import rate_limiter_of
from losant_tokens._complete_listing.listing import ListingResult, list_all
from losant_tokens._utils import validators
from losant_tokens.jobs._plan.settings import PAGE_SIZE, PATIENCE
from losant_tokens.jobs._plan.throttled_pages import throttled
from losant_tokens.jobs._throttle.throttle import open_throttle
from losant_tokens.jobs._token_rules import Token


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
    async with open_throttle(rate_limiter_of(client), patience) as throttle:
        read = throttled(throttle, client.tokens(owner))
        return await list_all(read, f"the tokens of {owner}", page_size, receive, restart)
