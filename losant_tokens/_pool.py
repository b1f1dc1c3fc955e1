"""What our pools have in common."""

import ssl

import anyio
import httpx

from losant_tokens import _limits as limits

DEFAULT_MAX_CONNECTIONS = 20
KEEPALIVE = 30.0
"""How long a connection that nobody uses is kept, in seconds."""


def check_max_connections(number: int) -> int:
    """The number itself, where it is one that a pool can have.

    Raises:
        ValidationError: It is not a whole number above 0.
    """
    limits.check(limits.whole(least=1), "AsyncClient", "max_connections", number)
    return number


class Pool(httpx.AsyncBaseTransport):
    """What our pools have in common: a size, and a verifying TLS context made when needed.

    Attributes:
        max_connections: How many connections the client that uses the pool shall open.
    """

    def __init__(self, *, max_connections: int, verify: ssl.SSLContext | None) -> None:
        self.max_connections = check_max_connections(max_connections)
        self._verify = verify
        self._making = anyio.Lock()

    async def _tls_context(self, url: httpx.URL) -> ssl.SSLContext:
        if self._verify is not None:
            return self._verify
        if url.scheme == "http":  # to this machine: TLS is not spoken, and nothing is trusted
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with self._making:  # to read some hundred certificates once, off the event loop
            self._verify = verify = await _kept_or_made(self._verify)
        return verify


async def _kept_or_made(context: ssl.SSLContext | None) -> ssl.SSLContext:
    if context is None:
        return await anyio.to_thread.run_sync(httpx.create_ssl_context)
    return context
