"""What our pools have in common."""

import os
import ssl
import time
from abc import abstractmethod
from typing import Never, TypeVar

import anyio
import httpx

from losant_tokens import _validators as validators
from losant_tokens._secret import Secret
from losant_tokens._transports.configuration_problems import Misconfigured
from losant_tokens._transports.proxies import Proxy, parse_proxy, proxy_of_environment
from losant_tokens._transports.response_times import ResponseTimes
from losant_tokens._transports.tls import Verify, context_of, default_context
from losant_tokens.errors import ValidationError

T = TypeVar("T")

DEFAULT_MAX_CONNECTIONS = 20

KEEPALIVE = 30.0
"""How long a connection that nobody uses is kept, in seconds."""

_CONNECTING = frozenset({"connect", "pool"})
_LEAST_CONNECT = 0.001  # seconds; 0 would mean no timeout

_READ_AT_ONCE = 256 * 1024
"""How much asyncio allocates for each read, in bytes."""


def check_max_connections(number: int) -> int:
    """The number itself, where it is one that a pool can have.

    Raises:
        ValidationError: It is not an integer above 0.
    """
    validators.check_argument(
        validators.integer(minimum=1), "AsyncClient", "max_connections", number
    )
    return number


class Pool(httpx.AsyncBaseTransport):
    """What our pools have in common: a size, proxies, and a TLS context made when needed.

    The environment is read when a host is first connected to, since only then is it known which
    of its variables count. A setting that cannot be used is a `Misconfigured` then; one that was
    given as an argument is a `ValidationError` at once.

    Attributes:
        max_connections: How many connections the client that uses the pool shall open.
        keeps_connections: Whether a connection may serve more than one request. Once a server has
            sent more than the responses that were due, none does: a late response would come while
            the next request is sent, and nothing shows then which of the two it belongs to.
        times: How soon the server responds.
    """

    def __init__(
        self,
        *,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        verify: Verify = None,
        proxy: str | Secret | None = None,
        trust_env: bool = True,
    ) -> None:
        # Hidden before anything can raise: a traceback shows no password of a proxy.
        proxy = Secret(proxy) if isinstance(proxy, str) else proxy
        self.max_connections = check_max_connections(max_connections)
        if not isinstance(trust_env, bool):
            raise ValidationError(
                f"trust_env must be True or False, not {validators.describe(trust_env)}"
            )
        self._trust_env = trust_env
        self._verify = _checked(context_of(verify))
        self._proxy = None if proxy is None else _checked(self._parsed(proxy, "proxy"))
        self._making = anyio.Lock()
        self.keeps_connections = True
        self.times = ResponseTimes()
        # The proxy for each scheme, host and port that has been connected to.
        self._proxies: dict[tuple[str, bytes], Proxy | None] = {}
        _keep_memory_at_hand()

    def __reduce__(self) -> Never:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled or copied: it holds connections, and may "
            "hold the password of a proxy. Make another one."
        )

    @staticmethod
    @abstractmethod
    def unsupported(proxy: Proxy) -> str | None:
        """Return why this pool cannot use a proxy, or None if it can."""

    def _parsed(self, proxy: object, source: str) -> Proxy | str:
        """Return the proxy that an argument names, or what is wrong with it."""
        if not isinstance(proxy, Secret):
            return f"{source} must be a URL as a string, but it is {type(proxy).__name__}"
        found = parse_proxy(proxy, source)
        if isinstance(found, Proxy):
            return self.unsupported(found) or found
        return found

    def _proxy_for(self, url: httpx.URL) -> Proxy | None:
        """Return the proxy for a URL: that of the arguments, or else of the environment.

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
        """Return the TLS context for a URL, made off the event loop when it is first needed.

        Raises:
            Misconfigured: The environment names authorities that cannot be loaded.
        """
        if self._verify is not None:
            return self._verify
        if url.scheme == "http" and (proxy is None or proxy.scheme != "https"):
            # TLS is not spoken, so nothing needs to be trusted.
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with self._making:
            self._verify = context = await self._kept_or_made()
        return context

    async def _kept_or_made(self) -> ssl.SSLContext:
        if self._verify is not None:
            return self._verify
        context = await anyio.to_thread.run_sync(_default_context, self._trust_env)
        if isinstance(context, str):
            raise Misconfigured(context)
        return context


def shorten_connecting(request: httpx.Request, began: float) -> None:
    """Take the time that was spent before connecting off the timeout for connecting.

    To load the certificate authorities can take longer than the difference between that timeout and
    the one of the attempt. The attempt would time out first then, as if it had been sent.

    Args:
        request: The request.
        began: When its attempt began, by `time.monotonic`.
    """
    spent = time.monotonic() - began
    limits_of_httpx = request.extensions.get("timeout", {})
    request.extensions["timeout"] = {
        name: max(limit - spent, _LEAST_CONNECT) if limit and name in _CONNECTING else limit
        for name, limit in limits_of_httpx.items()
    }


def proves_little(method: str, status: int) -> bool:
    """Return whether nothing in a response to a request shows that it belongs to that request.

    A token that was read or changed has its id. A deletion, an error and a new token do not.
    """
    return method in {"DELETE", "POST"} or status >= 300  # noqa: PLR2004 -- no success


def _default_context(trust_env: bool) -> ssl.SSLContext | str:
    return default_context(os.environ if trust_env else None)


def _checked(found: T | str) -> T:
    """Return what was made of an argument.

    Raises:
        ValidationError: It is a string, which says what is wrong with the argument.
    """
    if isinstance(found, str):
        raise ValidationError(found)
    return found


def _keep_memory_at_hand() -> None:
    """Has glibc keep what asyncio needs for each read, instead of giving it back each time.

    asyncio allocates 256 KiB for every read and shrinks it to what has come. glibc asks the system
    for so much at once, and returns it at once, until the process has let go of something larger:
    from then on it takes such sizes for usual (the dynamic threshold of `mallopt(3)`). The two
    calls into the kernel were a tenth of what a request costs. Elsewhere, this does nothing.
    """
    bytearray(4 * _READ_AT_ONCE)
