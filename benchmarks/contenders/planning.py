"""The peak memory of a process that plans a clean-up of COUNT tokens."""

import asyncio
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

from contenders.measure import arguments, compare, report
from losant_tokens import AsyncClient, Owner, jobs

_UNIT = 2**20 if sys.platform == "darwin" else 2**10  # units of `ru_maxrss` in one MiB


async def main() -> None:
    """List all tokens into a plan that selects every second one."""
    url, count, _ = arguments()
    warnings.simplefilter("ignore", jobs.PlanWarning)  # the token in use is unknown
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncClient("token", base_url=f"{url}/{count}") as client:
            cpu = time.process_time()
            plan = await jobs.plan(
                client, Owner.user(), select=jobs.expired(), path=Path(folder) / "plan.jsonl"
            )
    compare((count, count // 2), (plan.header.total.listed, plan.header.total.selected))
    report(
        mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _UNIT,
        cpu=(time.process_time() - cpu) / count * 1000,
    )


asyncio.run(main())
