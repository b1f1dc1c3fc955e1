"""losant-tokens over its default pool, with 20 connections for any number of tasks."""

import asyncio

from contenders.measure import arguments, measured
from losant_tokens import AsyncClient


async def main() -> None:
    """Delete tokens with the method of the resource, as users do."""
    url, count, concurrency = arguments()
    async with AsyncClient("token", base_url=url) as client:
        await measured(client.user_api_token.delete, count, concurrency)


asyncio.run(main())
