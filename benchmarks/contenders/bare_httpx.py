"""httpx alone. The last argument is the pool: `httpx`, or `aiohttp` for ours."""

import asyncio

import httpx

from contenders.measure import arguments, measured, more, successful
from losant_tokens import aiohttp_transport

HEADERS = [
    ("Accept", "application/json"),
    ("Accept-Version", "^1.31.0"),
    ("Authorization", "Bearer token"),
]


def transport(name: str, concurrency: int) -> httpx.AsyncBaseTransport:
    """Return the pool with a name and a number of connections."""
    if name == "aiohttp":
        return aiohttp_transport(max_connections=concurrency)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    return httpx.AsyncHTTPTransport(limits=limits)


async def main() -> None:
    """Send the same requests as the client, without merging settings for each request."""
    url, count, concurrency = arguments()
    async with httpx.AsyncClient(transport=transport(more()[0], concurrency)) as client:

        async def delete(token_id: str) -> None:
            where = f"{url}/me/tokens/{token_id}?_actions=false&_links=true&_embedded=true"
            response = await client.send(httpx.Request("DELETE", where, headers=HEADERS))
            successful(response.content)

        await measured(delete, count, concurrency)


asyncio.run(main())
