"""What our pools have in common."""

import ssl
from typing import Never

import anyio
import httpx

from losant_tokens import _limits as limits

DEFAULT_MAX_CONNECTIONS = 20

KEEPALIVE = 30.0
"""How long a connection that nobody uses is kept, in seconds."""

_READ_AT_ONCE = 256 * 1024
"""How much asyncio allocates for each read, in bytes."""


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
        _keep_memory_at_hand()

    def __reduce__(self) -> Never:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled or copied: it holds connections, and may "
            "hold the password of a proxy. Make another one."
        )

    async def _tls_context(self, url: httpx.URL) -> ssl.SSLContext:
        if self._verify is not None:
            return self._verify
        if url.scheme == "http":  # to this machine: TLS is not spoken, and nothing is trusted
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with self._making:  # to read some hundred certificates once, off the event loop
            self._verify = verify = await _kept_or_made(self._verify)
        return verify


def _keep_memory_at_hand() -> None:
    """Has glibc keep what asyncio needs for each read, instead of giving it back each time.

    asyncio allocates 256 KiB for every read and shrinks it to what has come. glibc asks the system
    for so much at once, and returns it at once, until the process has let go of something larger:
    from then on it takes such sizes for usual (the dynamic threshold of `mallopt(3)`). The two
    calls into the kernel were a tenth of what a request costs. Elsewhere, this does nothing.
    """
    bytearray(4 * _READ_AT_ONCE)


async def _kept_or_made(context: ssl.SSLContext | None) -> ssl.SSLContext:
    if context is None:
        return await anyio.to_thread.run_sync(httpx.create_ssl_context)
    return context
