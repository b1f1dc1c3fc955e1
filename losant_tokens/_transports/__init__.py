"""Connection pools: httpx's pool, made safe to cancel, and aiohttp's pool."""

import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from losant_tokens._transports.base_pool import DEFAULT_MAX_CONNECTIONS
from losant_tokens._transports.proxies import Proxy, proxy_of_environment
from losant_tokens._transports.tls import Verify
from losant_tokens._utils import validators
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ConfigurationError, ValidationError

if TYPE_CHECKING:
    from losant_tokens._transports.aiohttp_pool import AiohttpPool
    from losant_tokens._transports.httpx_pool import HttpxPool


class Transport(Protocol):
    """The type of a connection pool for `AsyncClient`: a transport of httpx or of httpx2.

    No other object with these methods is accepted.
    """

    async def handle_async_request(self, request: Any, /) -> Any:
        """Send a request, and return its response before the body is read."""

    async def aclose(self) -> None:
        """Close all connections."""


def as_httpx_transport(transport: Transport) -> httpx.AsyncBaseTransport:
    """Return a transport of httpx as it is, and one of httpx2 as a transport of httpx.

    Args:
        transport: The argument `transport` of `AsyncClient`.

    Raises:
        ValidationError: It is a transport of neither.
    """
    if isinstance(transport, httpx.AsyncBaseTransport):
        return transport
    # If the transport is one of httpx2, then httpx2 is imported already.
    httpx2 = sys.modules.get("httpx2")
    if httpx2 is not None and isinstance(transport, httpx2.AsyncBaseTransport):
        # Imported here because it imports httpx2, which is not a dependency.
        from losant_tokens._transports.httpx2_adapter import Httpx2Adapter  # noqa: PLC0415

        return Httpx2Adapter(transport)
    raise ValidationError(
        f"AsyncClient.transport must be an asynchronous transport of httpx or httpx2, but it is "
        f"{validators.describe(transport)}"
    )


def httpx_transport(
    *,
    max_connections: int = DEFAULT_MAX_CONNECTIONS,
    verify: Verify = None,
    proxy: str | Secret | None = None,
    trust_env: bool = True,
) -> "HttpxPool":
    """Return the default pool with your own settings: httpx's pool, made safe to cancel.

    Args:
        max_connections: The maximum number of connections of the `AsyncClient`.
        verify: The trusted authorities: a TLS context, or the path of a PEM file or of a folder
            with such files. Default: those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, or else of
            certifi.
        proxy: The URL of a proxy for all requests, such as `http://USER:PASSWORD@HOST:PORT`. A
            `socks5://` proxy needs the extra `[socks]`. Default: the proxy that `HTTPS_PROXY`,
            `HTTP_PROXY` or `ALL_PROXY` names, unless `NO_PROXY` lists the host.
        trust_env: Whether to read these variables. The system settings of Windows and macOS are
            never read.

    Raises:
        ValidationError: An argument is not valid, such as a file that holds no certificate.
    """
    proxy = Secret(proxy) if isinstance(proxy, str) else proxy
    # Imported here because it imports httpcore, which is needed only to send a request.
    from losant_tokens._transports.httpx_pool import HttpxPool  # noqa: PLC0415

    return HttpxPool(
        max_connections=max_connections, verify=verify, proxy=proxy, trust_env=trust_env
    )


def aiohttp_transport(
    *,
    max_connections: int = 100,
    verify: Verify = None,
    proxy: str | Secret | None = None,
    trust_env: bool = True,
) -> "AiohttpPool":
    """Return the fast pool, which is aiohttp's. It needs asyncio and the extra `[aiohttp]`.

    `respx` does not intercept its requests.

    Args:
        max_connections: The maximum number of connections of the `AsyncClient`.
        verify: The trusted authorities, as for `httpx_transport`.
        proxy: The URL of a proxy, as for `httpx_transport`. SOCKS is not supported.
        trust_env: Whether to read environment variables, as for `httpx_transport`.

    Raises:
        ImportError: The extra is not installed.
        ValidationError: An argument is not valid, such as a file that holds no certificate.
    """
    proxy = Secret(proxy) if isinstance(proxy, str) else proxy
    try:
        # Imported here because aiohttp is an extra and slow to import.
        from losant_tokens._transports.aiohttp_pool import AiohttpPool  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            f"aiohttp_transport needs {error.name}. Install it: "
            "pip install 'losant-tokens[aiohttp]'"
        ) from None
    return AiohttpPool(
        max_connections=max_connections, verify=verify, proxy=proxy, trust_env=trust_env
    )


def environment_proxy(url: str | httpx.URL) -> str | None:
    """Return the URL of the proxy that the environment sets for a URL, or None.

    The user name and the password of the proxy are left out.

    Args:
        url: The URL of a request.

    Raises:
        ConfigurationError: A variable is not a valid proxy URL, or `NO_PROXY` is not valid.
    """
    proxy = proxy_of_environment(httpx.URL(url), os.environ)
    if isinstance(proxy, str):
        raise ConfigurationError(proxy)
    return proxy.url if isinstance(proxy, Proxy) else None
