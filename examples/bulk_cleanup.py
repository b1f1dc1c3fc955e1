"""Delete the tokens that CI left behind: expired, or inactive and not touched for 90 days.

It shows what it would do. To do it:

    LOSANT_API_TOKEN=... python examples/bulk_cleanup.py --delete
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

from losant_tokens import ApiToken, AsyncClient, errors


def is_left_over(token: ApiToken, now: datetime) -> bool:
    """Return whether a token can go. One whose dates or status cannot be read cannot."""
    if not token.name.startswith("ci-"):
        return False
    touched = token.last_updated
    forgotten = touched is not None and now - touched > timedelta(days=90)
    return token.is_expired(at=now) is True or (token.is_active is False and forgotten)


async def main(*, really: bool) -> None:
    """List first, then delete: deleting while listing would move what is not listed yet."""
    now = datetime.now(UTC)
    async with AsyncClient() as client:
        tokens = [
            token
            async for token in client.user_api_tokens.iter(filter_field="name", filter="ci-*")
            if is_left_over(token, now)
        ]
        for token in tokens:
            print(token.id, token.name, token.expiration_date or "never expires", sep="\t")
        if not really:
            print(f"{len(tokens)} tokens would be deleted; --delete deletes them")
            return

        async def delete(token: ApiToken) -> bool:
            try:
                await client.user_api_token.delete(token.id)
            except errors.NotFound:  # somebody else was quicker
                return True
            except errors.LosantError as error:
                print(f"{token.name}: {error}", file=sys.stderr)
                return False
            return True

        # All at once is fine: the client lets through as many as it has connections.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(delete(token)) for token in tokens]
        print(f"{sum(task.result() for task in tasks)} of {len(tokens)} tokens are gone")


if __name__ == "__main__":
    asyncio.run(main(really="--delete" in sys.argv[1:]))
