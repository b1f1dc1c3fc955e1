"""Open a client for a command, and run its calls in an event loop."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from importlib.util import find_spec
from typing import TypeVar

import anyio
import httpx
import stamina

from losant_tokens import (
    AsyncClient,
    Owner,
    OwnerTokens,
    aiohttp_transport,
    environment_proxy,
    httpx_transport,
)
from losant_tokens.cli._console import print_after_signal, print_status, print_warning
from losant_tokens.cli._errors import BlockedError, CommandError
from losant_tokens.cli._options import DEFAULT_CONNECTION, ConnectionOptions
from losant_tokens.cli._stop_signals import StopSignals
from losant_tokens.errors import LosantError

T = TypeVar("T")
ClientFactory = Callable[[int | None], AsyncClient]

_CONCURRENCY = 20
_AIOHTTP_CONCURRENCY = 50


# --- Clients ---------------------------------------------------------------------------------


def require_api_token() -> None:
    """Check that the environment has an API token.

    Raises:
        CommandError: It has none.
    """
    if not os.environ.get("LOSANT_API_TOKEN"):
        raise CommandError(
            "no API token: LOSANT_API_TOKEN is not set",
            "export LOSANT_API_TOKEN=..., or run `losant-tokens sandbox` to try it without one",
        )


def new_client(connection: ConnectionOptions) -> AsyncClient:
    """Return a client for a command that is not a job.

    Raises:
        CommandError: The environment has no token.
    """
    require_api_token()
    return AsyncClient(max_connections=_CONCURRENCY, **connection.settings())


def api_url(connection: ConnectionOptions = DEFAULT_CONNECTION) -> str:
    """Return the base URL of the API."""
    return AsyncClient(**connection.settings()).base_url


def job_client_factory(connection: ConnectionOptions) -> ClientFactory:
    """Return a function that makes clients for jobs, over aiohttp if it is installed.

    aiohttp does not support every proxy, so httpx is used if the environment sets one.
    """

    def make_client(max_connections: int | None = None) -> AsyncClient:
        require_api_token()
        settings = connection.settings()
        if environment_proxy(api_url(connection)) is not None:
            return AsyncClient(max_connections=max_connections or _CONCURRENCY, **settings)
        return AsyncClient(transport=fastest_transport(max_connections), **settings)

    return make_client


def fastest_transport(max_connections: int | None) -> httpx.AsyncBaseTransport:
    """Return the aiohttp transport if aiohttp is installed, else the default one."""
    if find_spec("aiohttp") is None:
        return httpx_transport(max_connections=max_connections or _CONCURRENCY)
    return aiohttp_transport(max_connections=max_connections or _AIOHTTP_CONCURRENCY)


def refuse_own_token(client: AsyncClient, ids: Iterable[str], verb: str, *, allowed: bool) -> None:
    """Refuse to change the token that the command itself uses.

    Args:
        client: The client. The claims of its token may contain the token's id.
        ids: The tokens to change.
        verb: The change, such as `delete`.
        allowed: Whether the user allowed the change with an option.

    Raises:
        BlockedError: One of the tokens is the one in use.
    """
    if allowed:
        return
    for token_id in ids:
        if client.uses_token(token_id):
            raise BlockedError(
                f"{token_id} is the token in use: to {verb} it would lock this command out. "
                f"Nothing was changed",
                "leave it out, use another token, or pass --allow-own-token",
            )
    if not client.has_claimed_ids:
        print_warning(
            f"cannot determine which token is in use, because LOSANT_API_TOKEN contains no id: "
            f"make sure that you do not {verb} that one"
        )


# --- The event loop --------------------------------------------------------------------------


def run_with_tokens(
    owner: Owner,
    work: Callable[[OwnerTokens], Awaitable[T]],
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    *,
    client: AsyncClient | None = None,
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

    async def run(opened: AsyncClient) -> T:
        return await work(opened.tokens(owner))

    return run_with_client(run, connection, client=client, signals=signals, grace=grace)


def run_with_client(
    work: Callable[[AsyncClient], Awaitable[T]],
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    *,
    client: AsyncClient | None = None,
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
    opened = client if client is not None else new_client(connection)
    report_retries()

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
    return anyio.run(work, backend_options={"use_uvloop": find_spec("uvloop") is not None})


def print_stopping(grace: float) -> None:
    """Print that a signal was received, and how long the grace period is."""
    print_after_signal(
        f"Stopping: waiting up to {grace:g} seconds for requests in flight. "
        f"Ctrl-C again stops immediately."
    )


def report_retries() -> None:
    """Print the reason before each retry. By default, stamina logs it."""
    stamina.instrumentation.set_on_retry_hooks([_report_retry])


def _report_retry(details: stamina.instrumentation.RetryDetails) -> None:
    print_status(f"{details.caused_by}; trying again in {details.wait_for:.1f} seconds")


async def call_for_each(
    ids: Iterable[str],
    call: Callable[[str], Awaitable[T]],
    done: Callable[[str, T | LosantError], None],
    *,
    started: Callable[[str], None] = lambda _: None,
    max_concurrency: int = _CONCURRENCY,
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
