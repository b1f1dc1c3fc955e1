"""The base class of the connection pools: size, proxies and TLS."""

import os
import ssl
import time
from abc import abstractmethod
from typing import Never, TypeVar

import anyio
import httpx

from losant_tokens._transports.mixed_up_responses import ResponseTimes
from losant_tokens._transports.permanent_failures import Misconfigured
from losant_tokens._transports.proxies import Proxy, parse_proxy, proxy_of_environment
from losant_tokens._transports.tls import Verify, context_of, default_context
from losant_tokens._utils import validators
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError

T = TypeVar("T")

DEFAULT_MAX_CONNECTIONS = 20

KEEPALIVE = 30.0
"""How long an idle connection is kept, in seconds."""

_CONNECT_TIMEOUTS = frozenset({"connect", "pool"})
_MIN_TIMEOUT = 0.001  # seconds; 0 would mean that there is no timeout


def check_max_connections(number: int) -> int:
    """Return a maximum number of connections after a check.

    Raises:
        ValidationError: It is not an integer above 0.
    """
    validators.check_argument(
        validators.integer(minimum=1), "AsyncClient", "max_connections", number
    )
    return number


class Pool(httpx.AsyncBaseTransport):
    """A connection pool with a size, proxies, and a TLS context that is made when it is needed.

    The environment is read when the pool first connects to a host, because the host decides which
    variables apply. A variable that cannot be used raises `Misconfigured` then. An argument that
    cannot be used raises `ValidationError` immediately.

    Args:
        max_connections: The maximum number of connections.
        verify: The trusted authorities. Default: those of the environment, or else of certifi.
        proxy: The URL of a proxy. Default: the proxy that the environment names.
        trust_env: Whether to read environment variables.

    Attributes:
        max_connections: The maximum number of connections, which the client's limiter enforces.
        keeps_connections: Whether a connection may serve more than one request. It becomes false
            once a server has sent more than one response to a request. A late response might
            arrive while the next request is sent, and nothing would show to which of the two
            requests it belongs.
        times: The response times of the server.
    """

    def __init__(
        self,
        *,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        verify: Verify = None,
        proxy: str | Secret | None = None,
        trust_env: bool = True,
    ) -> None:
        # The URL is wrapped before anything can raise, so that no traceback shows a password.
        proxy = Secret(proxy) if isinstance(proxy, str) else proxy
        self.max_connections: int = check_max_connections(max_connections)
        if not isinstance(trust_env, bool):
            raise ValidationError(
                f"trust_env must be True or False, not {validators.describe(trust_env)}"
            )
        self._trust_env = trust_env
        self._verify = _checked(context_of(verify))
        self._proxy = None if proxy is None else _checked(self._parsed(proxy, "proxy"))
        self._context_lock = anyio.Lock()
        self.keeps_connections: bool = True
        self.times: ResponseTimes = ResponseTimes()
        # The proxy for each scheme, host and port that the pool has connected to.
        self._proxies: dict[tuple[str, bytes], Proxy | None] = {}

    def __reduce__(self) -> Never:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled or copied: it holds connections, and may "
            "hold the password of a proxy. Make a new one instead."
        )

    @staticmethod
    @abstractmethod
    def unsupported(proxy: Proxy) -> str | None:
        """Return why this pool cannot use a proxy, or `None` if it can."""

    def _parsed(self, proxy: object, source: str) -> Proxy | str:
        """Return the proxy that an argument names, or the problem of the argument."""
        if not isinstance(proxy, Secret):
            return f"{source} must be a URL as a string, but it is {type(proxy).__name__}"
        found = parse_proxy(proxy, source)
        if isinstance(found, Proxy):
            return self.unsupported(found) or found
        return found

    def _proxy_for(self, url: httpx.URL) -> Proxy | None:
        """Return the proxy for a URL: that of the argument, or else that of the environment.

        Raises:
            Misconfigured: The environment names a proxy that cannot be used.
        """
        if self._proxy is not None or not self._trust_env:
            return self._proxy
        origin = url.scheme, url.netloc
        if origin not in self._proxies:
            named = proxy_of_environment(url, os.environ)
            if isinstance(named, Proxy):
                named = self.unsupported(named) or named
            if isinstance(named, str):
                raise Misconfigured(named)
            self._proxies[origin] = named
        return self._proxies[origin]

    async def _tls_context(self, url: httpx.URL, proxy: Proxy | None = None) -> ssl.SSLContext:
        """Return the TLS context for a URL. The first call makes it, in a thread.

        Raises:
            Misconfigured: The environment names authorities that cannot be loaded.
        """
        if self._verify is not None:
            return self._verify
        if url.scheme == "http" and (proxy is None or proxy.scheme != "https"):
            # Without TLS, no authority has to be trusted.
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with self._context_lock:
            self._verify = context = await self._load_context()
        return context

    async def _load_context(self) -> ssl.SSLContext:
        """Return the default TLS context.

        Raises:
            Misconfigured: The environment names authorities that cannot be loaded.
        """
        if self._verify is not None:
            return self._verify
        context = await anyio.to_thread.run_sync(_default_context, self._trust_env)
        if isinstance(context, str):
            raise Misconfigured(context)
        return context


def deduct_from_connect_timeout(request: httpx.Request, began: float) -> None:
    """Deduct the time since an attempt began from its timeout for connecting.

    An attempt has a timeout of its own, which is slightly longer. If the certificate authorities
    take long to load, the attempt would time out first, as if the request had been sent.

    Args:
        request: The request.
        began: When its attempt began, by `time.monotonic`.
    """
    spent = time.monotonic() - began
    timeouts = request.extensions.get("timeout", {})
    request.extensions["timeout"] = {
        name: max(limit - spent, _MIN_TIMEOUT) if limit and name in _CONNECT_TIMEOUTS else limit
        for name, limit in timeouts.items()
    }


def is_unverifiable(method: str, status: int) -> bool:
    """Return whether nothing in a response shows that it belongs to its request.

    The response to a read or a change has the id of the token. The response to a deletion, an
    error and a new token do not.
    """
    return method in {"DELETE", "POST"} or status >= 300  # noqa: PLR2004 -- no success


def _default_context(trust_env: bool) -> ssl.SSLContext | str:
    return default_context(os.environ if trust_env else None)


def _checked(found: T | str) -> T:
    """Return the value that was made of an argument.

    Raises:
        ValidationError: It is a string, which is the problem of the argument.
    """
    if isinstance(found, str):
        raise ValidationError(found)
    return found
