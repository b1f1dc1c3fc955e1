"""The pools that one can send over: httpx's own, made safe to cancel, and aiohttp's, by name."""

import ssl
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

import httpx

from losant_tokens._pool import DEFAULT_MAX_CONNECTIONS

if TYPE_CHECKING:
    from losant_tokens._aiohttp import AiohttpPool
    from losant_tokens._httpx import HttpxPool


def httpx_transport(
    *,
    max_connections: int = DEFAULT_MAX_CONNECTIONS,
    verify: ssl.SSLContext | None = None,
    proxy: str | None = None,
) -> "HttpxPool":
    """The default pool, for when it needs other settings: httpx's, made safe to cancel.

    Args:
        max_connections: How many connections an `AsyncClient` opens over it at the most.
        verify: How to verify the server, such as a context that knows your own authority.
            Default: the authorities that certifi lists, or those in `SSL_CERT_FILE`.
        proxy: The URL of a proxy. Default: none; the proxies of the environment are used by an
            `AsyncClient` without a `transport`.

    Raises:
        ValidationError: `max_connections` is not a whole number above 0.
    """
    from losant_tokens._httpx import HttpxPool  # noqa: PLC0415 -- imports httpcore, to send with

    return HttpxPool(max_connections=max_connections, verify=verify, proxy=proxy)


def aiohttp_transport(
    *, max_connections: int = 100, verify: ssl.SSLContext | None = None
) -> "AiohttpPool":
    """The fast pool: aiohttp's, behind httpx. Needs asyncio, and the extra `[aiohttp]`.

    `respx` does not see what goes through it.

    Args:
        max_connections: How many connections an `AsyncClient` opens over it at the most.
        verify: As for `httpx_transport`.

    Raises:
        ImportError: The extra is not installed.
        ValidationError: `max_connections` is not a whole number above 0.
    """
    try:
        from losant_tokens._aiohttp import AiohttpPool  # noqa: PLC0415 -- an extra, and slow
    except ImportError as error:
        raise ImportError(
            f"aiohttp_transport needs {error.name}: pip install 'losant-tokens[aiohttp]'"
        ) from None
    return AiohttpPool(max_connections=max_connections, verify=verify)


def environment_proxy(url: httpx.URL) -> str | None:
    """The proxy that the environment names for a URL (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`).

    None for plain http, which goes to this machine alone: a proxy would see the token.
    """
    if url.scheme != "https" or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    return proxies.get("https") or proxies.get("all")
