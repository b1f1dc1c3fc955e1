"""aiohttp alone, as fast as possible: the upper bound for any client that uses it."""

import asyncio

import aiohttp

from contenders.measure import arguments, measured, successful

HEADERS = {
    "Accept": "application/json",
    "Accept-Version": "^1.31.0",
    "Authorization": "Bearer token",
}


async def main() -> None:
    """Send the same requests as the client."""
    url, count, concurrency = arguments()
    connector = aiohttp.TCPConnector(limit=concurrency)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=jar, headers=HEADERS
    ) as session:

        async def delete(token_id: str) -> None:
            where = f"{url}/me/tokens/{token_id}?_actions=false&_links=true&_embedded=true"
            async with session.delete(where, allow_redirects=False) as response:
                successful(await response.read())

        await measured(delete, count, concurrency)


asyncio.run(main())
