"""The one place where the command waits for the service."""

import os
from collections.abc import Awaitable, Callable, Iterable
from importlib.util import find_spec
from typing import TypeVar

import anyio
import stamina

from losant_tokens import AsyncClient, Owner
from losant_tokens._owner import OwnerTokens
from losant_tokens.cli._errors import CommandError, say
from losant_tokens.errors import LosantError

T = TypeVar("T")
AT_ONCE = 20


def connected(owner: Owner, work: Callable[[OwnerTokens], Awaitable[T]]) -> T:
    """Does some work on the tokens of an owner, as the environment says where and as whom.

    Raises:
        CommandError: The environment has no token.
        LosantError: Any of the tree, as the work raises it.
    """
    need_token()
    tell_of_retries()

    async def run() -> T:
        async with AsyncClient(max_connections=AT_ONCE) as client:
            return await work(client.tokens(owner))

    return wait_for(run)


def wait_for(work: Callable[[], Awaitable[T]]) -> T:
    """Runs an event loop until the work is done; uvloop's, where that is installed."""
    return anyio.run(work, backend_options={"use_uvloop": find_spec("uvloop") is not None})


def need_token() -> None:
    """Makes sure that there is a token to go by.

    Raises:
        CommandError: The environment has none.
    """
    if not os.environ.get("LOSANT_API_TOKEN"):
        raise CommandError(
            "no API token: LOSANT_API_TOKEN is not set",
            "export LOSANT_API_TOKEN=..., or run `losant-tokens sandbox` to try it without one",
        )


def tell_of_retries() -> None:
    """Has whoever waits know why. By itself, stamina tells its log, in words for programs."""
    stamina.instrumentation.set_on_retry_hooks([_told])


def _told(details: stamina.instrumentation.RetryDetails) -> None:
    say(f"{details.caused_by}; trying again in {details.wait_for:.1f} seconds")


async def each(
    ids: Iterable[str],
    call: Callable[[str], Awaitable[T]],
    done: Callable[[str, T | LosantError], None],
    at_once: int = AT_ONCE,
) -> None:
    """Calls something for each id, some at once; goes on where one fails.

    Args:
        ids: The ids.
        call: What to do for one of them.
        done: Is told what came of each, as soon as it is known.
        at_once: How many calls are under way at the same time.
    """
    waiting = iter(ids)

    async def work() -> None:
        for token_id in waiting:
            outcome: T | LosantError
            try:
                outcome = await call(token_id)
            except LosantError as error:
                outcome = error
            done(token_id, outcome)

    try:
        async with anyio.create_task_group() as group:
            for _ in range(at_once):
                group.start_soon(work)
    except ExceptionGroup as several:
        raise several.exceptions[0] from None  # `done` failed: that can be told in a line
