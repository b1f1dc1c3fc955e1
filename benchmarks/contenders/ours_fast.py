"""losant-tokens over aiohttp's pool."""

import asyncio

from contenders.measure import arguments, measured
from losant_tokens import AsyncClient, aiohttp_transport


async def main() -> None:
    """Delete tokens with the method of the resource, as users do."""
    url, count, concurrency = arguments()
    transport = aiohttp_transport(max_connections=concurrency)
    async with AsyncClient("token", base_url=url, transport=transport) as client:
        await measured(client.user_api_token.delete, count, concurrency)


asyncio.run(main())
