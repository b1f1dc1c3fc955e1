"""Run the calls of a command in an event loop, until they are done or a signal stops them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

import anyio

from losant_tokens.cli._logs.capture import printed_retries
from losant_tokens.cli._options.common import (
    DEFAULT_CONNECTION,
    MAX_CONCURRENCY,
    ConnectionOptions,
)
from losant_tokens.cli._signals.stop_signals import StopSignals
from losant_tokens.cli._terminal.console import print_after_signal
from losant_tokens.errors import LosantError

if TYPE_CHECKING:
    from losant_tokens import AsyncClient, Owner, OwnerTokens

T = TypeVar("T")


def run_with_tokens(
    owner: "Owner",
    work: "Callable[[OwnerTokens], Awaitable[T]]",
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    *,
    client: "AsyncClient | None" = None,
    signals: StopSignals | None = None,
    grace: float = 0.0,
) -> T:
    """Run a coroutine function with the tokens of an owner.

    Args:
        owner: The owner.
        work: The coroutine function.
        connection: How to connect.
        client: The client to use. Default: a new one.
        signals: As for `run_until_stopped`.
        grace: As for `run_until_stopped`.

    Raises:
        CommandError: The environment has no token.
        KeyboardInterrupt: A signal stopped the work.
        LosantError: As the work raises it.
    """

    async def run(opened: "AsyncClient") -> T:
        return await work(opened.tokens(owner))

    return run_with_client(run, connection, client=client, signals=signals, grace=grace)


def run_with_client(
    work: "Callable[[AsyncClient], Awaitable[T]]",
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    *,
    client: "AsyncClient | None" = None,
    signals: StopSignals | None = None,
    grace: float = 0.0,
) -> T:
    """Run a coroutine function with an open client.

    Args:
        work: The coroutine function.
        connection: How to connect.
        client: The client to use. Default: a new one.
        signals: As for `run_until_stopped`.
        grace: As for `run_until_stopped`.

    Raises:
        CommandError: The environment has no token.
        KeyboardInterrupt: A signal stopped the work.
        LosantError: As the work raises it.
    """
    # Imported here, because the commands that only read the store of a fleet need no client.
    from losant_tokens.cli._connections.clients import new_client  # noqa: PLC0415

    opened = client if client is not None else new_client(connection)

    async def run() -> T:
        async with opened:
            return await work(opened)

    return run_until_stopped(run, signals=signals, grace=grace)


def run_until_stopped(
    work: Callable[[], Awaitable[T]],
    *,
    signals: StopSignals | None = None,
    grace: float = 0.0,
) -> T:
    """Run an event loop until the work is done or a signal stops it.

    The first stop signal starts the grace period. The second signal cancels the work.

    Args:
        work: The coroutine function.
        signals: Counts the signals. Default: a new counter.
        grace: The grace period in seconds.

    Raises:
        KeyboardInterrupt: A signal stopped the work.
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
                    print_stopping(grace)

            with received.listening(react):
                results.append(await work())
        return results

    results = run_event_loop(run)
    # Raised outside of the event loop: raised in a task, it would end the loop.
    if not results:
        raise KeyboardInterrupt
    return results[0]


def run_event_loop(work: Callable[[], Awaitable[T]]) -> T:
    """Run an event loop until the work is done: uvloop if it is installed."""
    with printed_retries():
        return anyio.run(work, backend_options={"use_uvloop": find_spec("uvloop") is not None})


def print_stopping(grace: float) -> None:
    """Print that a signal was received, and how long the grace period is."""
    print_after_signal(
        f"Stopping: waiting up to {grace:g} seconds for requests in flight. "
        f"Ctrl-C again stops immediately."
    )


async def call_for_each(
    ids: Iterable[str],
    call: Callable[[str], Awaitable[T]],
    done: Callable[[str, T | LosantError], None],
    *,
    started: Callable[[str], None] = lambda _: None,
    max_concurrency: int = MAX_CONCURRENCY,
) -> None:
    """Call a function for each id, several at once, and continue after a failure.

    Args:
        ids: The ids. Each one is taken when its call starts.
        call: The coroutine function.
        done: Receives the result or the error of each call as soon as it is known.
        started: Receives each id before its call.
        max_concurrency: The maximum number of calls in flight.
    """
    pending = iter(ids)

    async def work() -> None:
        for token_id in pending:
            started(token_id)
            outcome: T | LosantError
            try:
                outcome = await call(token_id)
            except LosantError as error:
                outcome = error
            done(token_id, outcome)

    try:
        async with anyio.create_task_group() as group:
            for _ in range(max_concurrency):
                group.start_soon(work)
    except ExceptionGroup as several:
        # `done` failed. A single error can be reported in one line.
        raise several.exceptions[0] from None
