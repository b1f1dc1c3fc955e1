"""The longest time that the event loop is blocked while all tokens are listed over a socket.

A full run of Python's garbage collector looks at all objects, including those of imported modules,
and blocks the loop for longer than any page. With the argument `frozen`, `gc.freeze()` excludes the
objects that existed before, as in an application that calls it after its start.
"""

import asyncio
import gc
import time

from contenders.measure import arguments, compare, more, report
from losant_tokens import AsyncClient

_NAP = 0.001  # seconds


class Watcher:
    """Measures how late its sleeps end.

    Attributes:
        longest: The largest delay, in seconds.
    """

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        """Measure until cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_NAP)
            self.longest = max(self.longest, time.perf_counter() - began - _NAP)


async def main() -> None:
    """List all tokens while a watcher measures."""
    url, count, _ = arguments()
    async with AsyncClient("token", base_url=f"{url}/{count}") as client:
        await client.user_api_tokens.get(page=0, per_page=1)  # connects and imports
        if more() == ["frozen"]:
            gc.collect()
            gc.freeze()
        watcher = Watcher()
        watching = asyncio.create_task(watcher.watch())
        await asyncio.sleep(0)
        listed = 0
        async for _ in client.user_api_tokens.iter():
            listed += 1
        watching.cancel()
    compare(count, listed)
    report(held=watcher.longest * 1000)


asyncio.run(main())
