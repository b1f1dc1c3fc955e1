"""Helpers of the Python contenders: arguments, warm-up and figures."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

Delete = Callable[[str], Awaitable[object]]

_MIN_WARM_UP = 200  # requests


def arguments() -> tuple[str, int, int]:
    """Return the URL, the count and the concurrency."""
    url, count, concurrency = sys.argv[1:4]
    return url, int(count), int(concurrency)


def more() -> list[str]:
    """Return the further arguments."""
    return sys.argv[4:]


def report(**figures: float) -> None:
    """Print the figures as JSON, which `measuring` reads."""
    print(json.dumps(figures))


class Stopwatch:
    """Measures elapsed time and CPU time of this process since it was created."""

    def __init__(self) -> None:
        self._clock = time.perf_counter()
        self._cpu = time.process_time()

    def report(self, count: int) -> None:
        """Print the requests per second, and the CPU milliseconds per request.

        Args:
            count: The number of requests that were sent.
        """
        cpu = time.process_time() - self._cpu
        report(rate=count / (time.perf_counter() - self._clock), cpu=cpu / count * 1000)


def ids(count: int) -> list[str]:
    """Return a number of ids."""
    return [f"{number:024x}" for number in range(count)]


def warm_up(count: int, concurrency: int) -> int:
    """Return the number of requests to send first, so that all connections are open."""
    return min(count, max(_MIN_WARM_UP, 2 * concurrency))


async def spread(delete: Delete, token_ids: Iterable[str], concurrency: int) -> None:
    """Delete tokens in a number of tasks. Each task deletes one token after the other."""
    remaining = iter(token_ids)

    async def work() -> None:
        for token_id in remaining:
            await delete(token_id)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())


async def measured(delete: Delete, count: int, concurrency: int) -> None:
    """Warm up, delete tokens, and print the figures."""
    await spread(delete, ids(warm_up(count, concurrency)), concurrency)
    wanted = ids(count)
    stopwatch = Stopwatch()
    await spread(delete, wanted, concurrency)
    stopwatch.report(count)


def successful(content: bytes) -> None:
    """Read a response as a program without a client must.

    Raises:
        SystemExit: The response is not a success.
    """
    if not json.loads(content)["success"]:
        raise SystemExit("the response is not a success")


def compare(expected: Any, actual: Any) -> None:
    """Make sure that a contender works before its figures count.

    Raises:
        SystemExit: The values differ.
    """
    if expected != actual:
        raise SystemExit(f"expected {_short(expected)}, got {_short(actual)}")


def _short(value: Any) -> Any:
    return f"{len(value)} items" if isinstance(value, Sequence) else value
