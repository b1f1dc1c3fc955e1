"""One call: a turn, a try, an answer, and perhaps another try. The one place that waits.

All decisions are made elsewhere by pure functions: `_wire` has said what is sent, `_answer` says
what came of it, `_retry` whether to try again.
"""

import logging
import math
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import anyio
import attrs
import httpx

from losant_tokens._actions import Action
from losant_tokens._answer import Answer, BodyReader, read_answer, size_limit, unreadable
from losant_tokens._clock import ServerClock
from losant_tokens._codec import Codec
from losant_tokens._failures import Failure, without_frames
from losant_tokens._models import Success
from losant_tokens._retry import RetryPolicy, delay_before_retry, may_have_arrived, may_try_again
from losant_tokens._secret import Secret
from losant_tokens.errors import (
    LosantError,
    NotFound,
    RequestTimeout,
    TransportError,
)

_log = logging.getLogger("losant_tokens")

_CONNECT_FIRST = 0.1
"""A try outlasts the pool's own timeout for connecting by so many seconds, or by a tenth, where
that is less. So a connection that cannot be made is told as such: nothing was sent."""

_CLOCK_TIMEOUT = 5.0  # seconds for a request that only asks for the server's time


@attrs.define(eq=False)
class Call:
    """One call with all of its tries.

    Attributes:
        pool: Gives what to send with, while the client is open.
        turns: Who has one may send.
        now: The clock of the event loop.
        scope: Makes cancel scopes.
        server_clock: Learns the server's time from each response.
        codec: Makes models of JSON.
        base_url: Where it is sent, for messages.
        action: What is to be done.
        request: What is to be sent.
        timeout: How long one try may take, in seconds.
        policy: How often, and for how long, it is tried.
        secrets: What the server is told in confidence, and may say again in an error.
        max_response_size: The largest page of a list that is read, in bytes.
    """

    pool: Callable[[], httpx.AsyncBaseTransport]
    turns: anyio.Semaphore
    now: Callable[[], float]
    scope: type[anyio.CancelScope]
    server_clock: ServerClock
    codec: Codec
    base_url: str
    action: Action[Any]
    request: httpx.Request
    timeout: float
    policy: RetryPolicy
    secrets: list[Secret] = attrs.field(repr=False)
    max_response_size: int
    attempt: int = 0
    began: float = math.nan  # when it first had its turn
    outcome: str = "cancelled"
    failure: LosantError | None = None  # of the last try
    may_have_arrived: bool = False  # with any of the tries that failed

    async def result(self) -> Any:
        """The answer, or the last error, of as many tries as the policy allows."""
        called = time.perf_counter()
        try:
            found = await self._try()
            if isinstance(found, LosantError) and may_try_again(self.request.method, found):
                found = await self._try_again(found)
        finally:
            _log.debug(
                "%s %s -> %s in %.1f ms, attempt %d",
                self.request.method,
                self.action,
                self.outcome,
                (time.perf_counter() - called) * 1000,
                self.attempt,
            )
        if isinstance(found, LosantError):
            raise found.with_traceback(None)  # of the tries before, which tell nothing
        return found

    async def _try_again(self, error: LosantError) -> Any:
        # Imported, and entered, at the first failure: most calls never come here.
        import stamina  # noqa: PLC0415

        found: Any = error
        try:
            async for attempt in stamina.retry_context(
                on=self._backoff, attempts=self.policy.attempts, timeout=None
            ):
                with attempt:
                    if attempt.num > 1:  # the first has been: `error` is what came of it
                        found = await self._try()
                    if isinstance(found, LosantError):
                        raise found
        except LosantError as last:
            return last
        return found

    def _backoff(self, error: Exception) -> bool | float:
        """What stamina asks after each failure: the seconds to wait, or `False` for no more."""
        delay = self._delay(error) if isinstance(error, LosantError) else None
        return False if delay is None else delay

    def _delay(self, error: LosantError) -> float | None:
        return delay_before_retry(
            self.policy,
            self.request.method,
            error,
            attempt=self.attempt,
            elapsed=self._elapsed(),
            random=random.random,
        )

    async def _try(self) -> Any:
        """One try: the answer, or the error that came instead."""
        async with self.turns:
            self.attempt += 1
            if self.failure is None:
                self.began = time.monotonic()
            limit = min(self.timeout, self.policy.deadline - self._elapsed())
            if self.failure is not None and limit <= 0:
                return self.failure  # the time was up before it had its turn again
            found = await self._send(limit)
        if isinstance(found, NotFound) and found.is_from_api and self._may_have_deleted():
            return Success()
        if isinstance(found, LosantError):
            self.failure = found
            self.may_have_arrived |= may_have_arrived(found)
        return found

    def _elapsed(self) -> float:
        return time.monotonic() - self.began

    def _may_have_deleted(self) -> bool:
        """Return whether an earlier attempt may be why there is nothing left to delete."""
        return self.request.method == "DELETE" and self.may_have_arrived

    async def _read(self, answer: Answer) -> Any:
        return await read_answer(
            self.action,
            self.request,
            answer,
            self.codec,
            self.secrets,
            self.max_response_size,
        )

    async def _send(self, limit: float) -> Any:
        connect = limit if math.isfinite(limit) else None
        self.request.extensions["timeout"] = {"connect": connect, "pool": connect}
        # All of the try is under one timeout: httpx's own are for each read, and a server that
        # sends a byte now and then would never meet them.
        # Not `asyncio.timeout`: where httpcore is in a task group of anyio's, and the caller's own
        # scope ends at the same moment, that would leave a cancellation that belongs to nobody.
        began = self.now()
        deadline = began + limit + min(_CONNECT_FIRST, limit / 10)
        with self.scope(deadline=deadline):
            found = await self._exchange(began)
            # Within the timeout, too: a long list is read in steps. Nothing else waits here.
            return await self._read(found) if isinstance(found, Answer) else found
        return self._failed("timed out", RequestTimeout, f"no answer within {limit:g} seconds")

    async def _exchange(self, began: float) -> Answer | LosantError:
        """Send and receive. No frame below this one is part of a traceback that leaves it."""
        try:
            return await self._send_and_receive(began)
        except (LosantError, AssertionError):
            # A closed client, or a mock of the user's tests that was not meant to be called.
            raise
        except Exception as error:  # noqa: BLE001 -- each is told as an error of ours
            failure = Failure.of(error)
        except BaseException as error:  # noqa: BLE001
            raise without_frames(error)  # noqa: B904 -- it is the same exception
        return self._failed(failure.outcome, failure.kind, failure.text)

    async def _send_and_receive(self, began: float) -> Answer | LosantError:
        # Straight to the pool: what httpx's client would do on the way (cookies, redirects,
        # ways to log in) is not wanted here, and would take a third of the time of a call.
        response = await self.pool().handle_async_request(self.request)
        response.headers.encoding = "latin-1"  # told so, httpx need not try which one fits them
        self.server_clock.observe(response.headers, self.now() - began)
        body = cast("httpx.AsyncByteStream", response.stream)
        status = response.status_code
        try:
            limit = size_limit(self.action, status, self.max_response_size)
            reader = BodyReader.of(response.headers, limit)
            async for part in body:
                if fault := await reader.take(part):
                    break
            else:
                fault = reader.end()
        finally:
            await body.aclose()
        if fault and status < 400:  # noqa: PLR2004 -- an error needs no body to be one
            self.outcome = f"{status}, unreadable"
            return unreadable(self.action, status, fault)
        self.outcome = str(status)
        return Answer(status, response.headers, b"" if fault else reader.content())

    def _failed(self, outcome: str, kind: type[TransportError], what: str) -> TransportError:
        self.outcome = outcome
        return kind(f"{self.action} ({self.base_url}): {what}", action=self.action.name)


async def ask_server_time(
    pool: httpx.AsyncBaseTransport, request: httpx.Request, clock: ServerClock
) -> None:
    """Send a request for the `Date` of its response alone; any failure leaves the time unknown.

    Args:
        pool: The pool to send with.
        request: A request that carries no token.
        clock: The clock that learns from the response.
    """
    with anyio.move_on_after(_CLOCK_TIMEOUT), suppress(Exception):
        began = anyio.current_time()
        response = await pool.handle_async_request(request)
        clock.observe(response.headers, anyio.current_time() - began)
        await response.aclose()
