"""For how long the event loop is held while all tokens are listed over a socket.

A full run of Python's garbage collector looks at everything there is, the modules included, and
holds the loop for longer than any page. Told `frozen`, it leaves out what was there before, as
`gc.freeze()` does in an app that calls it once it has started.
"""

import asyncio
import gc
import time

from contenders.measure import arguments, compare, more, tell
from losant_tokens import AsyncClient

_NAP = 0.001  # seconds


class Watcher:
    """Sleeps and sleeps, and notes by how much it was woken too late.

    Attributes:
        longest: The largest delay, in seconds.
    """

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        """Watches until it is cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_NAP)
            self.longest = max(self.longest, time.perf_counter() - began - _NAP)


async def main() -> None:
    """Lists all tokens beside a watcher."""
    url, count, _ = arguments()
    async with AsyncClient("token", base_url=f"{url}/{count}") as client:
        await client.user_api_tokens.get(page=0, per_page=1)  # connects, and imports what it needs
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
    tell(held=watcher.longest * 1000)


asyncio.run(main())
