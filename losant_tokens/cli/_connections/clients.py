"""Make the clients of the commands."""

import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

import anyio
import httpx

from losant_tokens import (
    AsyncClient,
    Secret,
    aiohttp_transport,
    environment_proxy,
    httpx_transport,
)
from losant_tokens.accounts import Account, ConfigError, config_path, find, load
from losant_tokens.cli._connections.account_tokens import tokens_in_memory
from losant_tokens.cli._errors import BlockedError, CommandError
from losant_tokens.cli._options.common import (
    DEFAULT_CONNECTION,
    MAX_CONCURRENCY,
    ConnectionOptions,
)
from losant_tokens.cli._terminal.console import print_status, print_warning

ClientFactory = Callable[[int | None], AsyncClient]

_AIOHTTP_CONCURRENCY = 50


def selected_account(connection: ConnectionOptions) -> Account | None:
    """Return the account that a command uses, or None for that of the environment.

    It is that of `--account`. Without it, the environment wins over the default account of the
    configuration file.

    Raises:
        ConfigError: The configuration file cannot be used, or does not have the account.
        CommandError: The environment has no token, and the file names no default account.
    """
    if connection.account is not None:
        return find(connection.account, connection.config)
    if os.environ.get("LOSANT_API_TOKEN") or os.environ.get("LOSANT_API_TOKEN_FILE"):
        return None
    config = None
    if connection.config is not None or _has_default_config():
        config = load(connection.config)
        if config.default_account is not None:
            return config[config.default_account]
    raise CommandError(
        "no API token: LOSANT_API_TOKEN is not set",
        f"pass --account ACCOUNT: {', '.join(config)}"
        if config
        else "export LOSANT_API_TOKEN=..., or run `losant-tokens sandbox` to try it without one",
    )


def _has_default_config() -> bool:
    try:
        return config_path().exists()
    except ConfigError:  # The home folder is unknown, as in some containers.
        return False


def account_or_none(connection: ConnectionOptions) -> Account | None:
    """Return the account that a command uses, if there is one, for a command without requests."""
    try:
        return selected_account(connection)
    except CommandError:
        return None


def credentials(connection: ConnectionOptions, *, required: bool = True) -> dict[str, Any]:
    """Return the arguments of `AsyncClient` that belong to the account: none without an account.

    They always have the base URL of the account, so that its token is sent nowhere else. Call it
    outside of an event loop.

    Args:
        connection: The connection options.
        required: Whether the command needs a token.

    Raises:
        ConfigError: As `selected_account`.
        CommandError: As `selected_account`.
        TokenUnavailable: The token cannot be read.
    """
    account = selected_account(connection) if required else account_or_none(connection)
    if account is None:
        return {}
    tokens = tokens_in_memory()
    if account not in tokens:
        if connection.account is None:
            print_status(f"Using the default account {account.name} at {account.base_url}.")
        tokens[account] = anyio.run(account.read_token)
    return {"token": tokens[account], "base_url": account.base_url}


@asynccontextmanager
async def open_client(
    connection: ConnectionOptions, max_connections: int = MAX_CONCURRENCY
) -> AsyncIterator[AsyncClient]:
    """Open a client in an event loop, for a command that works on several accounts.

    Raises:
        ConfigError: As `selected_account`.
        CommandError: As `selected_account`.
        TokenUnavailable: The token cannot be read.
    """
    account = selected_account(connection)
    arguments: dict[str, Any] = {}
    if account is not None:
        tokens = tokens_in_memory()
        if account not in tokens:
            tokens[account] = await account.read_token()
        arguments = {"token": tokens[account], "base_url": account.base_url}
    settings = connection.settings()
    async with AsyncClient(max_connections=max_connections, **arguments, **settings) as client:
        yield client


def new_client(connection: ConnectionOptions) -> AsyncClient:
    """Return a client for a command that is not a job. Call it outside of an event loop.

    Raises:
        ConfigError: As `selected_account`.
        CommandError: As `selected_account`.
        TokenUnavailable: The token cannot be read.
    """
    return AsyncClient(
        max_connections=MAX_CONCURRENCY, **credentials(connection), **connection.settings()
    )


def api_url(connection: ConnectionOptions = DEFAULT_CONNECTION) -> str:
    """Return the base URL of the API."""
    account = account_or_none(connection)
    return AsyncClient().base_url if account is None else account.base_url


def secret_client(secret: Secret, connection: ConnectionOptions) -> AsyncClient:
    """Return a client for a secret that is not the command's own token.

    Its scopes and dates are not checked before a request, because only the API knows whether the
    claims are true.
    """
    settings = {**connection.settings(), "scope_check": "off", "base_url": api_url(connection)}
    return AsyncClient(secret, max_connections=MAX_CONCURRENCY, **settings)


def has_own_token(connection: ConnectionOptions) -> bool:
    """Return whether the command has a token of its own, for a command that may do without.

    Raises:
        ConfigError: As `selected_account`.
    """
    try:
        selected_account(connection)
    except CommandError:
        return False
    return True


def job_client_factory(connection: ConnectionOptions) -> ClientFactory:
    """Return a function that makes clients for jobs, over aiohttp if it is installed.

    aiohttp does not support every proxy, so httpx is used if the environment sets one.

    Raises:
        ConfigError: As `selected_account`.
        CommandError: As `selected_account`.
        TokenUnavailable: The token cannot be read.
    """
    settings = {**credentials(connection), **connection.settings()}

    def make_client(max_connections: int | None = None) -> AsyncClient:
        if environment_proxy(api_url(connection)) is not None:
            return AsyncClient(max_connections=max_connections or MAX_CONCURRENCY, **settings)
        return AsyncClient(transport=fastest_transport(max_connections), **settings)

    return make_client


def fastest_transport(max_connections: int | None) -> httpx.AsyncBaseTransport:
    """Return the aiohttp transport if aiohttp is installed, else the default one."""
    if find_spec("aiohttp") is None:
        return httpx_transport(max_connections=max_connections or MAX_CONCURRENCY)
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
            f"cannot determine which token is in use, because the API token contains no id: "
            f"make sure that you do not {verb} that one"
        )
