"""The CPU time to make models of pages of tokens, against that of `json.loads` alone.

Both read the same pages in turns in one process. They take so little time that other load on the
machine would affect two processes differently.
"""

import asyncio
import json
import time

from pages import PAGE_SIZE, all_pages

from contenders.measure import arguments, compare, report
from losant_tokens import ApiTokens
from losant_tokens._api.codec import codec


async def models(content: bytes) -> int:
    """Make models of a page, and return their number."""
    page = await codec().decode(content, ApiTokens)
    return len(page.items)


async def plain(content: bytes) -> int:
    """Make dicts of a page, and return their number."""
    return len(json.loads(content)["items"])


async def main() -> None:
    """Read all pages. The first one is read once before, to warm up."""
    _, count, _ = arguments()
    pages = all_pages(count)
    took = dict.fromkeys((models, plain), 0.0)
    for read in took:
        compare(min(count, PAGE_SIZE), await read(pages[0]))
    for content in pages:
        for read in took:
            began = time.process_time()
            await read(content)
            took[read] += time.process_time() - began
    report(cpu=took[models] / count * 1000, times=took[models] / took[plain])


asyncio.run(main())
