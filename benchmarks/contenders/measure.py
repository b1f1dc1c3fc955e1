"""What the Python contenders share: arguments in, figures out."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

Delete = Callable[[str], Awaitable[object]]

_LEAST_WARM_UP = 200  # requests


def arguments() -> tuple[str, int, int]:
    """URL, count and concurrency."""
    url, count, concurrency = sys.argv[1:4]
    return url, int(count), int(concurrency)


def more() -> list[str]:
    """The arguments behind these three."""
    return sys.argv[4:]


def tell(**figures: float) -> None:
    """Prints what was measured, for `measuring` to read."""
    print(json.dumps(figures))


class Stopwatch:
    """Seconds of the clock, and of the CPU by this process, since it was made."""

    def __init__(self) -> None:
        self._clock = time.perf_counter()
        self._cpu = time.process_time()

    def tell(self, count: int) -> None:
        """Prints how many a second, and the milliseconds of the CPU for each of so many."""
        cpu = time.process_time() - self._cpu
        tell(rate=count / (time.perf_counter() - self._clock), cpu=cpu / count * 1000)


def ids(count: int) -> list[str]:
    """So many ids."""
    return [f"{number:024x}" for number in range(count)]


def warm_up(count: int, concurrency: int) -> int:
    """How many requests go before those that are measured, so that all connections are there."""
    return min(count, max(_LEAST_WARM_UP, 2 * concurrency))


async def spread(delete: Delete, of: Iterable[str], concurrency: int) -> None:
    """Deletes these, with so many tasks that take one after the other."""
    left = iter(of)

    async def work() -> None:
        for token_id in left:
            await delete(token_id)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())


async def measured(delete: Delete, count: int, concurrency: int) -> None:
    """Warms up, deletes, and tells how long it took."""
    await spread(delete, ids(warm_up(count, concurrency)), concurrency)
    wanted = ids(count)
    stopwatch = Stopwatch()
    await spread(delete, wanted, concurrency)
    stopwatch.tell(count)


def successful(content: bytes) -> None:
    """Reads an answer, as whoever has no client has to."""
    if not json.loads(content)["success"]:
        raise SystemExit("no success")


def compare(expected: Any, actual: Any) -> None:
    """Refuses to measure what does not work."""
    if expected != actual:
        raise SystemExit(f"expected {_short(expected)}, and it is {_short(actual)}")


def _short(value: Any) -> Any:
    return f"{len(value)} items" if isinstance(value, Sequence) else value
