"""The pages of a list, read at the rate of a job and retried as long as its patience lasts."""

from functools import partial
from typing import Unpack

from losant_tokens import OwnerTokens
from losant_tokens._complete_listing.page_cursor import Page
from losant_tokens._complete_listing.page_reader import PageRequest, ReadPage
from losant_tokens.jobs._throttle.throttle import ONE_ATTEMPT, Throttle


def throttled(throttle: Throttle, tokens: OwnerTokens) -> ReadPage:
    """Return a function that reads a page.

    Args:
        throttle: Sends the requests.
        tokens: The tokens to list.
    """

    async def read(**options: Unpack[PageRequest]) -> Page:
        return await throttle.read(partial(tokens.page, **options, retry=ONE_ATTEMPT))

    return read
