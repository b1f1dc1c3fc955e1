"""A bot that answers commands about tokens; here it chats on the terminal.

    LOSANT_API_TOKEN=... python examples/bot.py

What reads and writes the messages is separate from what answers them, so that the same bot can
sit in any chat that has an async library.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from losant_tokens import ApiTokenPatch, AsyncClient, errors

HELP = "I know: find <name, * for anything>, show <id>, disable <id>, enable <id>"


async def answer(losant: AsyncClient, message: str) -> str:
    """The answer to one message. It never fails: a bot that falls silent helps nobody."""
    try:
        match message.split():
            case ["find", name]:
                tokens = losant.user_api_tokens.iter(filter_field="name", filter=name)
                lines = [f"{token.id} {token.name} ({token.status})" async for token in tokens]
                return "\n".join(lines) or f"no token is named {name}"
            case ["show", token_id]:
                token = await losant.user_api_token.get(token_id)
                expires = token.expiration_date or "never"
                return f"{token.name}: {token.status}, expires {expires}, may {list(token.scope)}"
            case ["disable", token_id]:
                await losant.user_api_token.patch(token_id, ApiTokenPatch(status="inactive"))
                return f"{token_id} is inactive now; 'enable {token_id}' takes that back"
            case ["enable", token_id]:
                await losant.user_api_token.patch(token_id, ApiTokenPatch(status="active"))
                return f"{token_id} is active"
            case _:
                return HELP
    except errors.NotFound:
        return "there is no such token"
    except errors.LosantError as error:
        return f"that did not work: {error}"


async def messages() -> AsyncIterator[str]:
    """What is typed, line by line, until the end of the input."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line


async def main() -> None:
    """Answers each message in a task of its own, so that a slow one holds up no other."""
    async with AsyncClient(timeout=10) as losant, asyncio.TaskGroup() as group:

        async def reply(message: str) -> None:
            print(await answer(losant, message), flush=True)

        print(HELP, flush=True)
        async for message in messages():
            group.create_task(reply(message))


if __name__ == "__main__":
    asyncio.run(main())
