"""The state of an open client: its pool, its event loop, and the limits that its calls share."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import anyio
import attrs
import httpx

from losant_tokens._api.codec import Codec
from losant_tokens._http.server_clock import ServerClock
from losant_tokens._limits.concurrency_limiter import AsyncioLimiter, Limiter, TrioLimiter
from losant_tokens._limits.rate_limiter import RateLimiter
from losant_tokens._retries.retry_budget import RetryBudget
from losant_tokens._utils.event_loop import clock, is_asyncio, loop_finder, scope_class
from losant_tokens.errors import ClientStateError

if TYPE_CHECKING:
    from losant_tokens._telemetry.observers import Observers


@attrs.define(eq=False)
class OpenState:
    """Everything that exists only while a client is open. All of its calls share it.

    Attributes:
        pool: Sends the requests.
        codec: Converts models to JSON and back.
        base_url: The address of the API, for messages.
        max_response_size: The largest page of a list that is read, in bytes.
        server_clock: Learns the server's time from each response.
        process: The id of the process in which the client was opened.
        loop: The event loop in which the client was opened.
        find_loop: Returns the running event loop.
        now: Returns the time of the event loop, in seconds.
        scope: The class of cancel scopes in this event loop.
        limiter: Limits the number of requests in flight.
        rate_limiter: Delays requests after a 429, and above the rate limit of the client.
        budget: Limits the retries of all calls together.
        observers: Receive the steps of each call, or `None` if there are none.
        is_closed: Whether the client was closed, and waits for no call any longer.
        waiting: The scopes of calls that wait for something other than a response. Closing the
            client cancels them.
        in_flight: The scopes of the attempts that are being sent.
        has_broken_off: Whether closing the client has broken off the attempts in flight.
        calls: The number of calls that have begun and not ended.
    """

    pool: httpx.AsyncBaseTransport
    codec: Codec
    base_url: str
    max_response_size: int
    server_clock: ServerClock
    process: int
    loop: object
    find_loop: Callable[[], object]
    now: Callable[[], float]
    scope: type[anyio.CancelScope]
    limiter: Limiter
    rate_limiter: RateLimiter
    budget: RetryBudget
    observers: "Observers | None" = None
    is_closed: bool = False
    waiting: set[anyio.CancelScope] = attrs.field(factory=set)
    in_flight: set[anyio.CancelScope] = attrs.field(factory=set)
    has_broken_off: bool = False
    calls: int = 0
    _drained: anyio.Event | None = None
    _is_pool_closed: bool = False

    @classmethod
    def create(
        cls,
        pool: httpx.AsyncBaseTransport,
        *,
        codec: Codec,
        base_url: str,
        max_connections: int,
        max_response_size: int,
        server_clock: ServerClock,
        rate_limit: float | None = None,
        observers: "Observers | None" = None,
    ) -> Self:
        """Return the state of a client that was opened in the running event loop.

        Args:
            pool: A pool that was entered.
            codec: Converts models to JSON and back.
            base_url: The address of the API, for messages.
            max_connections: The maximum number of requests in flight.
            max_response_size: The largest page of a list that is read, in bytes.
            server_clock: Learns the server's time from each response.
            rate_limit: The maximum number of requests per second. Default: no maximum.
            observers: Receive the steps of each call. Default: none.
        """
        find_loop, now = loop_finder(), clock()
        limiter_class = AsyncioLimiter if is_asyncio() else TrioLimiter
        return cls(
            pool=pool,
            codec=codec,
            base_url=base_url,
            max_response_size=max_response_size,
            server_clock=server_clock,
            process=os.getpid(),
            loop=find_loop(),
            find_loop=find_loop,
            now=now,
            scope=scope_class(),
            limiter=limiter_class(max_connections),
            rate_limiter=RateLimiter(now, rate_limit),
            budget=RetryBudget(),
            observers=observers,
        )

    def check_open(self) -> None:
        """Raise an error if the client was closed.

        Raises:
            ClientStateError: The client was closed.
        """
        if self.is_closed:
            raise closed_error()

    @property
    def is_forked(self) -> bool:
        """Whether this process was forked from the one that opened the client."""
        return os.getpid() != self.process

    def check_loop(self) -> None:
        """Raise an error in another event loop or process than the client's.

        Raises:
            ClientStateError: The client was opened in another event loop or process.
        """
        if self.is_forked:
            raise ClientStateError(
                f"This AsyncClient was opened in process {self.process}, and this process was "
                f"forked from it. Both would use the same connections, and get the responses of "
                f"each other. Open one client in each process."
            )
        try:
            is_same = self.find_loop() == self.loop
        except RuntimeError:  # a loop of another kind, or none
            is_same = False
        if not is_same:
            raise ClientStateError(
                "This AsyncClient was opened in another event loop, and its connections belong to "
                "that loop. Open one client in each loop."
            )

    def end_call(self) -> None:
        """Record that a call has ended."""
        self.calls -= 1
        if self._drained is not None and not self.calls:
            self._drained.set()

    async def drain(self, seconds: float) -> None:
        """Wait until all calls have ended, for up to this many seconds."""
        if self._drained is None:
            self._drained = anyio.Event()
        if self.calls:
            with anyio.move_on_after(seconds):
                await self._drained.wait()

    def stop_waiting(self) -> None:
        """End the wait of all calls that have no request in flight."""
        self.is_closed = True
        self.limiter.close()
        for scope in tuple(self.waiting):
            scope.cancel()

    def break_off(self) -> None:
        """Break off all attempts in flight."""
        self.has_broken_off = True
        for scope in tuple(self.in_flight):
            scope.cancel()

    async def close_pool(self) -> None:
        """Close the pool, unless it is closed already."""
        if not self._is_pool_closed:
            await self.pool.__aexit__()
            self._is_pool_closed = True


def closed_error() -> ClientStateError:
    """Return the error for a call of a client that was closed."""
    return ClientStateError(
        "This AsyncClient is closed: make all calls inside its `async with` block, or before "
        "`aclose()`."
    )
