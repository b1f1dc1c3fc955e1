"""Delete tokens that CI left behind: expired ones, and inactive ones not updated for 90 days.

Without `--delete`, the program only lists them. To delete them:

    LOSANT_API_TOKEN=... python examples/bulk_cleanup.py --delete
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

from losant_tokens import ApiToken, AsyncClient, errors


def is_left_over(token: ApiToken, now: datetime) -> bool:
    """Return whether a token can be deleted. False if its dates or status cannot be read."""
    if not token.name.startswith("ci-"):
        return False
    updated = token.last_updated
    is_old = updated is not None and now - updated > timedelta(days=90)
    return token.is_expired(at=now) is True or (token.is_active is False and is_old)


async def main(*, dry_run: bool) -> None:
    """List first, then delete. Deleting while listing moves tokens between pages."""
    now = datetime.now(UTC)
    async with AsyncClient() as client:
        tokens = [
            token
            async for token in client.user_api_tokens.iter(filter_field="name", filter="ci-*")
            if is_left_over(token, now)
        ]
        for token in tokens:
            print(token.id, token.name, token.expiration_date or "never expires", sep="\t")
        if dry_run:
            print(f"{len(tokens)} tokens would be deleted; pass --delete to delete them")
            return

        async def delete(token: ApiToken) -> bool:
            try:
                await client.user_api_token.delete(token.id)
            except errors.NotFound:  # already deleted
                return True
            except errors.LosantError as error:
                print(f"{token.name}: {error}", file=sys.stderr)
                return False
            return True

        # All tasks may start at once: the client limits the number of requests in flight.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(delete(token)) for token in tokens]
        print(f"{sum(task.result() for task in tasks)} of {len(tokens)} tokens are gone")


if __name__ == "__main__":
    asyncio.run(main(dry_run="--delete" not in sys.argv[1:]))
