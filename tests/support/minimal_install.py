"""Script for an environment with the client and no extras: a call, a retry, a list, a JWT.

`nox -s minimal` runs it.
"""

import asyncio
import base64
import json

from losant_tokens import AsyncClient, RetryPolicy, errors

ID = "575ec7417ae143cd83dc4a95"
RESPONSES = [
    ("503 Busy", {}),
    ("200 OK", {"id": ID}),
    ("200 OK", {"items": [{"id": ID}], "totalCount": 2, "perPage": 1}),
    ("200 OK", {"items": [{"id": ID[::-1]}], "totalCount": 2, "perPage": 1}),
]


def part(members: dict[str, object]) -> str:
    """Return one part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(members).encode()).decode().rstrip("=")


async def main() -> None:
    """Serve the responses one after the other, and check what the client makes of them."""
    left = list(RESPONSES)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            status, members = left.pop(0)
            body = json.dumps(members).encode()
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            if not left:
                break
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    token = f"{part({'alg': 'none'})}.{part({'scope': ['all.User.read']})}.x"
    retry = RetryPolicy(base=0.001)
    async with server, AsyncClient(token, base_url=url, max_connections=1, retry=retry) as client:
        assert ID == (await client.user_api_token.get(ID)).id
        assert 2 == len([token async for token in client.user_api_tokens.iter(per_page=1)])
        try:
            await client.user_api_token.delete(ID)
        except errors.ScopeError as error:
            print("The client works without extras:", error)


if __name__ == "__main__":
    asyncio.run(main())
