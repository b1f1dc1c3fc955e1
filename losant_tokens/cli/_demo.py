"""`demo`: a clean-up of a thousand tokens, start to end, at a fake that is gone afterwards."""

import sys
import time
from datetime import UTC, datetime, timedelta

import anyio
from attrs import frozen

from losant_tokens import ApiToken, ApiTokenPost, AsyncClient, Owner
from losant_tokens.cli._choice import chosen, rows
from losant_tokens.cli._errors import SOME_FAILED, complain, explained, say
from losant_tokens.cli._fake import running_fake
from losant_tokens.cli._output import write_table
from losant_tokens.cli._progress import progress
from losant_tokens.cli._service import each, tell_of_retries
from losant_tokens.errors import LosantError

_SCOPES = ("userApiTokens.get", "userApiToken.delete")
_SHOWN_ERRORS = 5


@frozen(kw_only=True)
class Summary:
    """What came of a clean-up."""

    deleted: int
    kept: int
    errors: list[LosantError]
    seconds: float

    def __str__(self) -> str:
        rate = (self.deleted + len(self.errors)) / self.seconds
        return (
            f"Deleted {self.deleted:,}, kept {self.kept:,}, failed {len(self.errors):,}: "
            f"{self.seconds:.1f} seconds, {rate:,.0f} requests per second."
        )


def demo(tokens: int, concurrency: int) -> int:
    """Shows a clean-up, and stops the fake however it ends."""
    say(f"Starting a fake Losant with {tokens:,} tokens, in a process of its own...")
    tell_of_retries()
    with running_fake(tokens) as fake:
        summary = anyio.run(clean_up, fake.base_url, fake.token, concurrency)
    for error in summary.errors[:_SHOWN_ERRORS]:
        complain(explained(error))
    sys.stdout.write(f"{summary}\n")
    return SOME_FAILED if summary.errors else 0


async def clean_up(base_url: str, token: str, concurrency: int) -> Summary:
    """Deletes the expired and the inactive tokens of a user, after showing which they are.

    Args:
        base_url: Where the fake is.
        token: A token that may create tokens.
        concurrency: How many requests are in flight at once.
    """
    own = await _token_for_this(base_url, token)
    async with AsyncClient(own.token, base_url=base_url, max_connections=concurrency) as client:
        tokens = client.tokens(Owner.user())
        # All of them first: pages shift under whoever deletes while paging.
        found = [token async for token in tokens.iter()]
        choice = chosen(found, own.id, datetime.now(UTC))
        write_table(
            ("ACTION", "REASON", "TOKENS", "EXAMPLES"),
            rows(choice),
            cut="EXAMPLES",
            numbers=("TOKENS",),
        )
        sys.stdout.write("\n")
        sys.stdout.flush()
        ids = [token.id for reason, of in choice.items() if reason.deletes for token in of]
        outcomes: list[object] = []
        began = time.perf_counter()
        with progress("Deleting", len(ids)) as advance:

            def done(_: str, outcome: object) -> None:
                outcomes.append(outcome)
                advance()

            await each(ids, tokens.delete, done, concurrency)
    errors = [outcome for outcome in outcomes if isinstance(outcome, LosantError)]
    return Summary(
        deleted=len(outcomes) - len(errors),
        kept=len(found) - len(ids),
        errors=errors,
        seconds=time.perf_counter() - began,
    )


async def _token_for_this(base_url: str, token: str) -> ApiToken:
    """A token for the clean-up alone, that can do no more than that, and not for long."""
    post = ApiTokenPost(
        "losant-tokens demo", scope=_SCOPES, expiration_date=datetime.now(UTC) + timedelta(hours=1)
    )
    async with AsyncClient(token, base_url=base_url) as client:
        return await client.user_api_tokens.post(post)
