"""Make the clients of the commands."""

import os
from collections.abc import Callable, Iterable
from importlib.util import find_spec

import httpx

from losant_tokens import (
    AsyncClient,
    aiohttp_transport,
    environment_proxy,
    httpx_transport,
)
from losant_tokens.cli._console import print_warning
from losant_tokens.cli._errors import BlockedError, CommandError
from losant_tokens.cli._options import DEFAULT_CONNECTION, ConnectionOptions

ClientFactory = Callable[[int | None], AsyncClient]

MAX_CONCURRENCY = 20
_AIOHTTP_CONCURRENCY = 50


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
    return AsyncClient(max_connections=MAX_CONCURRENCY, **connection.settings())


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
            f"cannot determine which token is in use, because LOSANT_API_TOKEN contains no id: "
            f"make sure that you do not {verb} that one"
        )
