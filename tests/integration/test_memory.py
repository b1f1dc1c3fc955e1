"""The memory of a process that plans a large job."""

import subprocess
import sys
from pathlib import Path

import pytest

MEMORY = """
import asyncio, json, sys, tracemalloc, warnings
import httpx
from losant_tokens import AsyncClient, Owner, jobs
TOTAL = int(sys.argv[1])
def answer(request):
    page, size = int(request.url.params["page"]), int(request.url.params["perPage"])
    numbers = range(page * size, min(TOTAL, (page + 1) * size))
    items = [{"id": f"{n:024x}", "name": f"ci-{n}", "status": "active", "scope": ["all.User"]}
             for n in numbers]
    return httpx.Response(200, json={"items": items, "totalCount": TOTAL, "perPage": size})
async def main():
    warnings.simplefilter("ignore")
    async with AsyncClient("x", base_url="https://x", transport=httpx.MockTransport(answer)) as c:
        await jobs.plan(c, Owner.user(), select=jobs.named("none"), path=sys.argv[2])
        tracemalloc.start()
        plan = await jobs.plan(
            c, Owner.user(), select=jobs.named("ci-*"), path=sys.argv[3], allow_majority=True
        )
        print(tracemalloc.get_traced_memory()[1], len(plan))
asyncio.run(main())
"""


@pytest.mark.slow
def test_memory_is_constant(tmp_path: Path, thorough: bool) -> None:
    """Planning six times as many tokens takes no more memory."""
    peaks = {}
    few, many = (2000, 12_000) if thorough else (1000, 6000)
    for total in (few, many):
        command = [
            sys.executable,
            "-c",
            MEMORY,
            str(total),
            *(str(tmp_path / f"{total}.{n}") for n in "ab"),
        ]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peaks[total], count = map(int, output.split())
        assert count == total

    assert peaks[many] - peaks[few] < 1024 * 1024
