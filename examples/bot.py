"""A bot that manages tokens, on the terminal.

    LOSANT_API_TOKEN=... python examples/bot.py

`reply_to` does not depend on the terminal, so the same bot works in any chat with an async library.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from losant_tokens import ApiTokenPatch, AsyncClient, errors

HELP = "commands: find <name or pattern>, show <id>, disable <id>, enable <id>"


async def reply_to(losant: AsyncClient, message: str) -> str:
    """Return the reply to a message. Errors of Losant become replies, too."""
    try:
        match message.split():
            case ["find", name]:
                tokens = losant.user_api_tokens.iter(filter_field="name", filter=name)
                lines = [f"{token.id} {token.name} ({token.status})" async for token in tokens]
                return "\n".join(lines) or f"no token has the name {name}"
            case ["show", token_id]:
                token = await losant.user_api_token.get(token_id)
                expires = token.expiration_date or "never"
                return (
                    f"{token.name}: {token.status}, expires {expires}, scopes {list(token.scope)}"
                )
            case ["disable", token_id]:
                await losant.user_api_token.patch(token_id, ApiTokenPatch(status="inactive"))
                return f"{token_id} is inactive; to undo this: enable {token_id}"
            case ["enable", token_id]:
                await losant.user_api_token.patch(token_id, ApiTokenPatch(status="active"))
                return f"{token_id} is active"
            case _:
                return HELP
    except errors.NotFound:
        return "there is no such token"
    except errors.LosantError as error:
        return f"the request failed: {error}"


async def messages() -> AsyncIterator[str]:
    """Yield the lines that are typed, until the input ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line


async def main() -> None:
    """Reply to each message in a task of its own, so that a slow one does not delay the others."""
    async with AsyncClient(timeout=10) as losant, asyncio.TaskGroup() as group:

        async def answer(message: str) -> None:
            print(await reply_to(losant, message), flush=True)

        print(HELP, flush=True)
        async for message in messages():
            group.create_task(answer(message))


if __name__ == "__main__":
    asyncio.run(main())
