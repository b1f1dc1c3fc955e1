"""losant-tokens over its default pool, with 20 connections however many tasks there are."""

import asyncio

from contenders.measure import arguments, measured
from losant_tokens import AsyncClient


async def main() -> None:
    """Deletes through the resource's method, as a user would."""
    url, count, concurrency = arguments()
    async with AsyncClient("token", base_url=url) as client:
        await measured(client.user_api_token.delete, count, concurrency)


asyncio.run(main())
