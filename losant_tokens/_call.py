"""One call: its attempts, and all that it waits for. The client's only module that waits.

Pure functions decide: `_request` builds the request, `_response` reads the response, and `_retry`
decides whether to send it again. All calls of a client share one rate limiter (`_rate_limiter`)
and one retry budget (`_retry_budget`).
"""

import logging
import math
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, Never, cast

import anyio
import attrs
import httpx

from losant_tokens._codec import Codec
from losant_tokens._concurrency_limiter import Limiter
from losant_tokens._models import Success
from losant_tokens._operations import Operation
from losant_tokens._rate_limiter import RateLimiter
from losant_tokens._response import (
    BodyReader,
    RawResponse,
    read_response,
    size_limit,
    unreadable_error,
)
from losant_tokens._retry import (
    FailureKind,
    RetryPolicy,
    classify,
    delay_before_retry,
    finite_or_inf,
    may_have_arrived,
    may_retry,
)
from losant_tokens._retry_budget import RetryBudget
from losant_tokens._secret import Secret
from losant_tokens._server_clock import ServerClock
from losant_tokens._transports.base import Pool
from losant_tokens._transports.configuration_problems import (
    PROXY_AUTHENTICATION_REQUIRED,
    proxy_failure,
)
from losant_tokens._transports.failures import Failure, without_frames
from losant_tokens.errors import (
    ClientStateError,
    LosantError,
    NotFound,
    RequestTimeout,
    ResponseError,
    TooManyRequests,
    TransportError,
)

_log = logging.getLogger("losant_tokens")

_CONNECT_FIRST = 0.1
"""An attempt outlasts the pool's own timeout for connecting by this many seconds, or by a tenth if
that is less. So a connection that cannot be made is reported as such: nothing was sent."""

_ID = "$.id"  # the place of an id that is not the one that was asked for, or is missing
_CLOCK_TIMEOUT = 5.0  # seconds for a request that only asks for the server's time


@attrs.define(eq=False)
class Shared:
    """What all calls of a client have in common while it is open.

    Attributes:
        pool: Returns the pool to send with, or raises `ClientStateError`.
        is_open: Returns whether the client is open.
        limiter: Limits the number of requests in flight.
        now: The clock of the event loop.
        scope: Makes cancel scopes.
        server_clock: Learns the server's time from each response.
        rate_limiter: Decides when a call may send, once the server has refused a request.
        budget: Limits the retries of all calls.
        codec: Makes models of JSON.
        base_url: The address of the API, for messages.
        max_response_size: The largest page of a list that is read, in bytes.
        waiting: The scopes of calls that wait for the pace, which closing the client ends.
    """

    pool: Callable[[], httpx.AsyncBaseTransport] = attrs.field(repr=False)
    is_open: Callable[[], bool] = attrs.field(repr=False)
    limiter: Limiter
    now: Callable[[], float]
    scope: type[anyio.CancelScope]
    server_clock: ServerClock
    rate_limiter: RateLimiter
    budget: RetryBudget
    codec: Codec
    base_url: str
    max_response_size: int
    waiting: set[anyio.CancelScope] = attrs.field(init=False, factory=set, repr=False)


@attrs.define(eq=False)
class Call:
    """One call with all of its attempts.

    Attributes:
        shared: What it has in common with the other calls of its client.
        operation: The operation.
        request: The request to send.
        timeout: How long one attempt may take, in seconds.
        policy: How often to send it, and how long the call may take.
        secrets: The secrets in the request, which a server may repeat in an error.
        attempt: How many attempts were sent.
        outcome: The end of the latest attempt, for the log.
        failure: The error of the latest attempt.
        may_have_arrived: Whether any attempt that failed may have been carried out.
    """

    shared: Shared
    operation: Operation[Any]
    request: httpx.Request
    timeout: float
    policy: RetryPolicy
    secrets: list[Secret] = attrs.field(repr=False)
    attempt: int = 0
    outcome: str = "cancelled"
    failure: LosantError | None = None
    may_have_arrived: bool = False
    _began: float = math.nan
    _deadline: float = math.inf
    _used: int = 0  # attempts that count: those not refused, and those that the budget spared
    _refusals: int = 0  # in a row
    _is_paced: bool = True
    _was_in_doubt: bool = False  # before the latest attempt

    def __reduce__(self) -> Never:
        raise TypeError("A call cannot be pickled or copied: it holds the API token.")

    async def result(self) -> Any:
        """Return the model of the response, or raise the error of the last attempt."""
        called = time.perf_counter()
        self._began = self.shared.now()
        self._deadline = self._began + finite_or_inf(self.policy.deadline)
        self._is_paced = self.policy.follow_rate_limit
        try:
            found = await self._attempt()
            if isinstance(found, LosantError) and may_retry(self.request.method, found):
                found = await self._retry(found)
        finally:
            _log.debug(
                "%s %s -> %s in %.1f ms, attempt %d",
                self.request.method,
                self.operation,
                self.outcome,
                (time.perf_counter() - called) * 1000,
                self.attempt,
            )
        if isinstance(found, LosantError):
            if self.may_have_arrived and isinstance(found, TransportError):
                found.ambiguous = True  # because of an earlier attempt, if not of the last one
            raise found.with_traceback(None)  # whose frames are those of earlier attempts
        return found

    async def _retry(self, error: LosantError) -> Any:
        # Imported, and entered, at the first failure: most calls never come here.
        import stamina  # noqa: PLC0415

        is_testing = stamina.is_testing()
        waiting = self.shared.waiting
        found: Any = error
        with self.shared.scope() as scope:
            waiting.add(scope)  # so that closing the client ends a delay, but no attempt
            try:
                # `_backoff` counts the attempts, because a refusal is none.
                async for attempt in stamina.retry_context(
                    on=self._backoff, attempts=None, timeout=None
                ):
                    with attempt:
                        if attempt.num > 1:  # the first has been: `error` is what came of it
                            waiting.discard(scope)
                            found = await self._next_attempt(is_testing=is_testing)
                            waiting.add(scope)
                        if isinstance(found, LosantError):
                            raise found
            except ClientStateError as closed:
                # Only what certainly did not arrive may be reported as not sent.
                found = self.failure if self.may_have_arrived else closed
            except LosantError as last:
                found = last
            finally:
                waiting.discard(scope)
            return found
        if not self.may_have_arrived:
            self.shared.pool()  # raises the error of a closed client
        return self.failure

    def _backoff(self, error: Exception) -> bool | float:
        """Return what stamina asks after each failure: the seconds to wait, or `False` to stop."""
        if not isinstance(error, LosantError):
            return False
        is_refusal = isinstance(error, TooManyRequests)
        delay = delay_before_retry(
            self.policy,
            self.request.method,
            error,
            attempt=self._refusals if is_refusal else self._used,
            elapsed=self.shared.now() - self._began,
            random=random.random,
            in_doubt=self._was_in_doubt,
        )
        return False if delay is None or not self.shared.is_open() else delay

    async def _next_attempt(self, *, is_testing: bool) -> Any:
        """Send again, unless the retry budget is used up: then that counts as another failure."""
        if isinstance(self.failure, TooManyRequests) or is_testing:
            return await self._attempt()
        if self.shared.budget.take(self.shared.now()):
            return await self._attempt()
        self._used += 1
        return self.failure

    async def _attempt(self) -> Any:
        """Send the request once; return the model of the response, or the error that came."""
        shared = self.shared
        if not self._has_turn_at_once() and not await self._waits_for_turn():
            return self._not_sent()
        try:
            sent_at = shared.now()
            limit = min(self.timeout, self._deadline - sent_at)
            if limit <= 0:
                return self._not_sent()
            self.attempt += 1
            found = await self._send(limit)
        finally:
            shared.limiter.release()
        if isinstance(found, LosantError):
            self._note_failure(found, sent_at)
            if isinstance(found, NotFound) and found.is_from_api and self._may_have_deleted():
                return Success()
            self.failure = found
            self._was_in_doubt = self.may_have_arrived
            self.may_have_arrived |= may_have_arrived(found)
        elif self._is_paced:
            self._note_response(sent_at)
        return found

    # --- A turn ------------------------------------------------------------------------------

    def _has_turn_at_once(self) -> bool:
        """Take a free connection, if there is one and no limit on the rate."""
        shared = self.shared
        return (
            shared.rate_limiter.rate is None or not self._is_paced
        ) and shared.limiter.acquire_nowait()

    async def _waits_for_turn(self) -> bool:
        """Wait for a place in the pace, then for a free connection; but not past the deadline."""
        rate_limiter, limiter = self.shared.rate_limiter, self.shared.limiter
        while True:
            is_limited = self._is_paced and rate_limiter.rate is not None
            if is_limited and not await self._waits_for_place():
                return False
            if not await limiter.acquire(self._deadline):
                return False
            # A request may have been refused meanwhile, which concerns this one, too.
            if not self._is_paced or rate_limiter.may_send(has_acquired=is_limited):
                return True
            limiter.release()

    async def _waits_for_place(self) -> bool:
        with self.shared.scope(deadline=self._deadline) as scope:
            self.shared.waiting.add(scope)
            try:
                return await self.shared.rate_limiter.acquire(self._deadline)
            finally:
                self.shared.waiting.discard(scope)
        return False

    def _not_sent(self) -> LosantError:
        """Return the error for a deadline that passed before the request could be sent.

        Raises:
            ClientStateError: The client was closed.
        """
        self.outcome = "not sent"
        self.shared.pool()
        if self.failure is not None:
            return self.failure
        shared = self.shared
        if self._is_paced and shared.rate_limiter.rate is not None:
            return TooManyRequests(
                f"{self.operation} ({shared.base_url}): not sent, because the server refused "
                f"earlier requests of this client with 429, and the wait would exceed the deadline "
                f"of {self.policy.deadline:g} seconds. Send fewer requests, or raise the deadline "
                f"of the RetryPolicy.",
                status_code=429,
                operation=self.operation.name,
                retry_after=shared.rate_limiter.pause_left or None,
            )
        return RequestTimeout(
            f"{self.operation} ({shared.base_url}): not sent within the deadline of "
            f"{self.policy.deadline:g} seconds, because all connections were in use. Raise the "
            f"deadline or max_connections.",
            operation=self.operation.name,
            ambiguous=False,
        )

    def _may_have_deleted(self) -> bool:
        """Return whether an earlier attempt may be why there is nothing left to delete."""
        return self.request.method == "DELETE" and self.may_have_arrived

    # --- What came of an attempt -------------------------------------------------------------

    def _note_failure(self, error: LosantError, sent_at: float) -> None:
        if not isinstance(error, TooManyRequests):
            self._used += 1
            self._refusals = 0
            if self._is_paced and classify(error) is FailureKind.FINAL:
                self._note_response(sent_at)
            return
        self._refusals += 1
        if self._is_paced and _is_retrying():
            self.shared.rate_limiter.record_refusal(sent_at, error.retry_after)

    def _note_response(self, sent_at: float) -> None:
        """Note that the service is there, and takes requests."""
        self.shared.rate_limiter.record_response(sent_at)
        if not self.shared.budget.is_full:
            self.shared.budget.answered(is_retry=self.attempt > 1)

    async def _read(self, answer: RawResponse) -> Any:
        found = await read_response(
            self.operation,
            self.request,
            answer,
            self.shared.codec,
            self.secrets,
            self.shared.max_response_size,
        )
        if isinstance(found, ResponseError) and found.path == _ID and self.shared.is_open():
            pool = self.shared.pool()
            if isinstance(pool, Pool):  # It may have mixed up the responses of its connections.
                pool.keeps_connections = False
        return found

    async def _send(self, limit: float) -> Any:
        limit = finite_or_inf(limit)
        connect = limit if math.isfinite(limit) else None
        self.request.extensions["timeout"] = {"connect": connect, "pool": connect}
        # One timeout covers the whole attempt. Those of httpx are for each read, and a server that
        # sends a byte now and then would never meet them. It is not `asyncio.timeout`: if httpcore
        # is in a task group of anyio's, and the caller's own scope ends at the same time, that
        # would leave a cancellation that belongs to nobody.
        began = self.shared.now()
        deadline = began + limit + min(_CONNECT_FIRST, limit / 10)
        with self.shared.scope(deadline=deadline):
            found = await self._exchange(began)
            # Within the timeout, too: a long list is read in steps. Nothing else waits here.
            return await self._read(found) if isinstance(found, RawResponse) else found
        return self._failed("timed out", RequestTimeout, f"no answer within {limit:g} seconds")

    async def _exchange(self, began: float) -> RawResponse | LosantError:
        """Send and receive. No frame below this one is part of a traceback that leaves it."""
        try:
            return await self._send_and_receive(began)
        except (LosantError, AssertionError):
            # A closed client, or a mock of the user's tests that was not meant to be called.
            raise
        except Exception as error:  # noqa: BLE001 -- each becomes an error of ours
            failure = Failure.of(error)
        except BaseException as error:  # noqa: BLE001
            raise without_frames(error)  # noqa: B904 -- it is the same exception
        return self._failed(failure.outcome, failure.kind, failure.text)

    async def _send_and_receive(self, began: float) -> RawResponse | LosantError:
        # The pool is used directly. The client of httpx would add cookies, redirects and ways to
        # log in, which are not wanted here and take a third of the time of a call.
        response = await self.shared.pool().handle_async_request(self.request)
        # Given an encoding, httpx need not try which one fits.
        response.headers.encoding = "latin-1"
        body = cast("httpx.AsyncByteStream", response.stream)
        if response.status_code == PROXY_AUTHENTICATION_REQUIRED:
            await body.aclose()
            raise proxy_failure(response.status_code)
        self.shared.server_clock.observe(response.headers, self.shared.now() - began)
        status = response.status_code
        parts = aiter(body)
        try:
            limit = size_limit(self.operation, status, self.shared.max_response_size)
            reader = BodyReader.of(response.headers, limit)
            async for part in parts:
                fault = reader.feed(part)
                if reader.has_more and fault is None:
                    fault = await reader.take(b"")
                if fault:
                    break
            else:
                fault = reader.end()
        finally:
            try:
                # If reading stops early, trio warns of a generator that nobody closes.
                if isinstance(parts, AsyncGenerator):
                    await parts.aclose()
            finally:
                await body.aclose()
        if fault and status < 400:  # noqa: PLR2004 -- an error needs no body to be one
            self.outcome = f"{status}, unreadable"
            return unreadable_error(self.operation, status, fault)
        self.outcome = str(status)
        return RawResponse(status, response.headers, b"" if fault else reader.content())

    def _failed(self, outcome: str, kind: type[TransportError], what: str) -> TransportError:
        self.outcome = outcome
        return kind(
            f"{self.operation} ({self.shared.base_url}): {what}", operation=self.operation.name
        )


def _is_retrying() -> bool:
    """Return whether retries are on; tests can switch them, or their delays, off in stamina."""
    import stamina  # noqa: PLC0415 -- as above

    return stamina.is_active() and not stamina.is_testing()


async def ask_server_time(shared: Shared, request: httpx.Request) -> None:
    """Send a request for the `Date` of its response alone; any failure leaves the time unknown.

    Args:
        shared: What it has in common with the calls of the client.
        request: A request that carries no token.
    """
    began = shared.now()
    if not await shared.limiter.acquire(began + _CLOCK_TIMEOUT):
        return
    try:
        with anyio.move_on_after(_CLOCK_TIMEOUT), suppress(Exception):
            response = await shared.pool().handle_async_request(request)
            shared.server_clock.observe(response.headers, shared.now() - began)
            await response.aclose()
    finally:
        shared.limiter.release()
