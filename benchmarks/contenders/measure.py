"""What the Python contenders share: arguments in, seconds of the clock and of the CPU out."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

IDS = [f"{number:024x}" for number in range(1000)]


def arguments() -> tuple[str, int, int]:
    """URL, count and concurrency."""
    url, count, concurrency = sys.argv[1:4]
    return url, int(count), int(concurrency)


def tell(seconds: float, cpu: float) -> None:
    """Prints what was measured."""
    print(json.dumps({"seconds": seconds, "cpu": cpu}))


async def spread(delete: Callable[[str], Awaitable[object]], count: int, concurrency: int) -> None:
    """Deletes so many, with so many tasks that take one after the other."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await delete(IDS[number % len(IDS)])

    await asyncio.gather(*(work() for _ in range(concurrency)))


async def measured(
    delete: Callable[[str], Awaitable[object]], count: int, concurrency: int
) -> None:
    """Warms up, deletes, and tells how long it took."""
    await spread(delete, min(200, count), concurrency)
    clock, cpu = time.perf_counter(), time.process_time()
    await spread(delete, count, concurrency)
    tell(time.perf_counter() - clock, time.process_time() - cpu)
