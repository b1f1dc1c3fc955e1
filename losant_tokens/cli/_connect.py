"""The one place where the command waits for the service."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from importlib.util import find_spec
from typing import TypeVar

import anyio
import stamina

from losant_tokens import AsyncClient, Owner
from losant_tokens._resources.owner_tokens import OwnerTokens
from losant_tokens.cli._connection import USUAL, Connection
from losant_tokens.cli._errors import CommandError, RefusedError, say, say_stopped, warn
from losant_tokens.cli._signals import StopSignals
from losant_tokens.errors import LosantError

T = TypeVar("T")
AT_ONCE = 20


def new_client(connection: Connection) -> AsyncClient:
    """Return the client of commands that are no jobs.

    Raises:
        CommandError: The environment has no token.
    """
    need_token()
    return AsyncClient(max_connections=AT_ONCE, **connection.settings())


def connected(
    owner: Owner,
    work: Callable[[OwnerTokens], Awaitable[T]],
    connection: Connection = USUAL,
    *,
    client: AsyncClient | None = None,
    signals: StopSignals | None = None,
    grace: float = 0.0,
) -> T:
    """Do some work on the tokens of an owner.

    Args:
        owner: The owner.
        work: What to do with its tokens.
        connection: How to connect.
        client: The client to use. Default: a new one.
        signals: As for `wait_for`, like all below.
        grace: How many seconds the work may go on after a stop signal.

    Raises:
        CommandError: The environment has no token.
        KeyboardInterrupt: A signal stopped the work before it was done.
        LosantError: As the work raises it.
    """
    opened = client if client is not None else new_client(connection)
    report_retries()

    async def run() -> T:
        async with opened:
            return await work(opened.tokens(owner))

    return wait_for(run, signals=signals, grace=grace)


def wait_for(
    work: Callable[[], Awaitable[T]],
    *,
    signals: StopSignals | None = None,
    grace: float = 0.0,
) -> T:
    """Run an event loop until the work is done; uvloop's if it is installed.

    The first stop signal gives the work a grace period, the second cancels it.

    Args:
        work: What to do.
        signals: Counts the signals. Default: a counter of its own.
        grace: How many seconds the work may go on after the first signal.

    Raises:
        KeyboardInterrupt: A signal stopped the work before it was done.
    """
    received = StopSignals() if signals is None else signals

    async def run() -> list[T]:
        results: list[T] = []
        with anyio.CancelScope() as scope:

            def react() -> None:
                if received.count > 1 or grace <= 0:
                    scope.cancel()
                else:
                    scope.deadline = asyncio.get_running_loop().time() + grace
                    say_stopped(
                        f"Stopping: waiting up to {grace:g} seconds for requests in flight. "
                        f"Ctrl-C again stops at once."
                    )

            with received.listening(react):
                results.append(await work())
        return results

    results = run_loop(run)
    # Raised out here: in a task, it would end the event loop.
    if not results:
        raise KeyboardInterrupt
    return results[0]


def run_loop(work: Callable[[], Awaitable[T]]) -> T:
    """Run an event loop until the work is done, without a reaction to signals."""
    return anyio.run(work, backend_options={"use_uvloop": find_spec("uvloop") is not None})


def need_token() -> None:
    """Check that the environment has a token.

    Raises:
        CommandError: It has none.
    """
    if not os.environ.get("LOSANT_API_TOKEN"):
        raise CommandError(
            "no API token: LOSANT_API_TOKEN is not set",
            "export LOSANT_API_TOKEN=..., or run `losant-tokens sandbox` to try it without one",
        )


def refuse_own_token(client: AsyncClient, ids: Iterable[str], verb: str, *, allowed: bool) -> None:
    """Refuse to change the token that the command itself uses.

    Args:
        client: The client; the claims of its token say which one that is.
        ids: The tokens to change.
        verb: What would happen to them, such as `delete`.
        allowed: Whether the user allowed it by name.

    Raises:
        RefusedError: One of the tokens is the one in use.
    """
    if allowed:
        return
    for token_id in ids:
        if client.uses_token(token_id):
            raise RefusedError(
                f"{token_id} is the token in use: to {verb} it would lock this command out. "
                f"Nothing was changed",
                "leave it out, use another token, or give --allow-own-token",
            )
    if not client.has_claimed_ids:
        warn(
            f"cannot determine which token is in use, because LOSANT_API_TOKEN carries no id: "
            f"make sure that you do not {verb} that one"
        )


def report_retries() -> None:
    """Print why the command waits for a retry. By default, stamina writes to its log."""
    stamina.instrumentation.set_on_retry_hooks([_report_retry])


def _report_retry(details: stamina.instrumentation.RetryDetails) -> None:
    say(f"{details.caused_by}; trying again in {details.wait_for:.1f} seconds")


async def each(
    ids: Iterable[str],
    call: Callable[[str], Awaitable[T]],
    done: Callable[[str, T | LosantError], None],
    *,
    begun: Callable[[str], None] = lambda _: None,
    at_once: int = AT_ONCE,
) -> None:
    """Call a function for each id, several at once; go on after a failure.

    Args:
        ids: The ids. None is taken from them before its turn.
        call: What to do for one of them.
        done: Gets the outcome of each as soon as it is known.
        begun: Gets each id before its call.
        at_once: How many calls are in flight at most.
    """
    waiting = iter(ids)

    async def work() -> None:
        for token_id in waiting:
            begun(token_id)
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
        raise several.exceptions[0] from None  # `done` failed: one line can say that
