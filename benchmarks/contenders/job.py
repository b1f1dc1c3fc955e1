"""Delete tokens in a way that the last argument names: in a `job`, or in a `group` of tasks.

Both read each token before they delete it, which is the default of a job. Both use aiohttp's pool,
as bulk work should. There, the share of the job itself is greatest.
"""

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from pages import LAST_UPDATED, name_of

from contenders.measure import Stopwatch, arguments, compare, ids, measured, more, warm_up
from losant_tokens import AsyncClient, Owner, aiohttp_transport, jobs
from losant_tokens.jobs._plan.writer import PlanWriter


def planned(path: Path, base_url: str, count: int) -> jobs.Plan:
    """Return a plan to delete a number of tokens, made without listing them."""
    now, user = datetime.now(UTC), Owner.user()
    with PlanWriter(path) as writer:
        for number, token_id in enumerate(ids(count)):
            writer.add(
                jobs.Entry(
                    owner=user,
                    id=token_id,
                    name=name_of(number),
                    status="active",
                    last_updated=LAST_UPDATED,
                    creation_date=now,
                    expiration_date=now,
                    reason=f"expired on {now.date()}",
                )
            )
        return writer.finish(
            jobs.Header(
                created_at=now,
                base_url=base_url,
                action="delete",
                rule="expired",
                counts={user: jobs.Counts(listed=2 * count, selected=count)},
            )
        )


async def in_a_job(client: AsyncClient, count: int) -> None:
    """Apply a plan, after another one to warm up."""
    with tempfile.TemporaryDirectory() as name:
        first = planned(
            Path(name, "1.jsonl"), client.base_url, warm_up(count, client.max_connections)
        )
        await jobs.apply(client, first, account_check="off")
        plan = planned(Path(name, "2.jsonl"), client.base_url, count)
        stopwatch = Stopwatch()
        report = await jobs.apply(client, plan, account_check="off")
        stopwatch.report(count)
        compare(count, report.counts[jobs.Outcome.DONE])


async def main() -> None:
    """Delete tokens in a job or in a group of tasks."""
    url, count, concurrency = arguments()
    transport = aiohttp_transport(max_connections=concurrency)
    async with AsyncClient("token", base_url=url, transport=transport) as client:
        if more() == ["job"]:
            await in_a_job(client, count)
            return

        async def read_and_delete(token_id: str) -> None:
            await client.user_api_token.get(token_id)
            await client.user_api_token.delete(token_id)

        await measured(read_and_delete, count, concurrency)


asyncio.run(main())
