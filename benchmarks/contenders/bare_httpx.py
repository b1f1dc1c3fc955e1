"""httpx by itself over the pool that is named last: `httpx` or `aiohttp`."""

import asyncio
import json
import sys

import httpx
from httpx_aiohttp import AiohttpTransport

from contenders.measure import arguments, measured

HEADERS = [
    ("Accept", "application/json"),
    ("Accept-Version", "^1.31.0"),
    ("Authorization", "Bearer token"),
]


async def main() -> None:
    """Sends the same requests, each built in one piece: nothing is merged per request."""
    url, count, concurrency = arguments()
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    pool = AiohttpTransport if sys.argv[4] == "aiohttp" else httpx.AsyncHTTPTransport
    async with httpx.AsyncClient(transport=pool(limits=limits)) as client:

        async def delete(token_id: str) -> None:
            where = f"{url}/me/tokens/{token_id}?_actions=false&_links=true&_embedded=true"
            response = await client.send(httpx.Request("DELETE", where, headers=HEADERS))
            assert json.loads(response.content)["success"]

        await measured(delete, count, concurrency)


asyncio.run(main())
