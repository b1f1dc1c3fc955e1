"""Send the requests of a job, one attempt at a time, at a rate that the server allows.

A `Slot` is the permission to send. It holds places for all requests that belong together, so that
a token is read and changed without a wait in between. `Throttle` grants slots at the rate, and
during an outage to one probe at a time. It learns from each response. The caller decides about an
error, and calls `Throttle.back_off` before another attempt.
"""

import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Literal, Self, TypeVar

import anyio
import attrs

from losant_tokens._limits.adaptive_rate import AdaptiveRate, Meter
from losant_tokens._limits.rate_limiter import RateLimiter
from losant_tokens._retries.retry_policy import FailureKind, RetryPolicy, classify, may_retry_in_job
from losant_tokens._utils.event_loop import clock
from losant_tokens.errors import LosantError, ResponseError, ResponseTooLarge
from losant_tokens.jobs._throttle.adaptive_concurrency import AdaptiveConcurrency
from losant_tokens.jobs._throttle.circuit_breaker import CircuitBreaker
from losant_tokens.jobs._throttle.token_attempts import Attempts

_log = logging.getLogger("losant_tokens")

R = TypeVar("R")
RequestKind = Literal["read", "change"]

ONE_ATTEMPT = RetryPolicy(attempts=1, follow_rate_limit=False)
"""The retry policy for the requests of jobs, which retry them and limit their rate."""

_STOP_CHECK_INTERVAL = 0.25  # seconds, at which the queue checks whether the job is stopping
_MAX_SPACING = 0.5  # seconds between the requests of one slot, if responses come sooner
_SHORT_WAIT = 0.01  # seconds: nothing is flushed before a shorter wait
_BACKOFF_BASE, _BACKOFF_CAP = 0.5, 20.0  # seconds, the bounds of the backoff before full jitter
_READ_RATE = 50.0  # requests per second, at first: lists are read one page after the other


class StoppedError(Exception):
    """The job is stopping, so a request was not sent."""


class GaveUpError(Exception):
    """The job ends early. The message says why."""


def describe(error: LosantError) -> str:
    """Return an error in words, for the message of a job that gives up."""
    if classify(error) is not FailureKind.NOT_FROM_API:
        return str(error)
    return f"a response that is not from the API: {error}"


@asynccontextmanager
async def open_throttle(limiter: RateLimiter, patience: float) -> AsyncIterator["Throttle"]:
    """Open a throttle for work that only reads: planning, preflight checks and lists.

    Args:
        limiter: The rate limiter of the client, whose calls share the rate.
        patience: How long to wait for the end of an outage, in seconds.
    """
    with limiter.share(AdaptiveRate(initial=_READ_RATE)) as rate:
        throttle = Throttle(
            rate, AdaptiveConcurrency(1), CircuitBreaker(patience), turn=limiter.turn
        )
        failure: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(throttle.serve_queue)
            try:
                yield throttle
            except Exception as error:  # noqa: BLE001 -- raised below, not in an exception group
                failure = error
            finally:
                throttle.stop()
    if failure is not None:
        raise failure


@attrs.define(eq=False)
class Throttle:
    """Grants slots to all workers of a job, at one rate and with one circuit breaker.

    Attributes:
        rate: The requests per second, and so the time of the next one. The calls of the client may
            share it.
        concurrency: The limit on the requests in flight.
        circuit_breaker: Detects outages, and limits the retries.
        before_waiting: Called before a wait that is not short.
        cap: The maximum rate of this job, which other calls do not share. Default: none.
        turn: A fair lock, held by the call or the job that may take the next place. Calls that
            share the rate use the same one.
        now: The clock.
        is_stopping: Whether the job is stopping, so nothing more is sent.
        responses: Counts the responses that are not refusals.
        sent: The number of requests sent.
        retries: The number of attempts that followed a failed one.
        refused: The number of requests refused with 429.
        last_error: The last error that allowed a retry.
        next_probe_at: The time of the next probe in an outage, or of the last one.
    """

    rate: AdaptiveRate
    concurrency: AdaptiveConcurrency
    circuit_breaker: CircuitBreaker
    before_waiting: Callable[[], None] = lambda: None
    cap: AdaptiveRate | None = None
    turn: anyio.Lock = attrs.field(factory=anyio.Lock)
    now: Callable[[], float] = attrs.field(factory=clock)
    is_stopping: bool = False
    responses: Meter = attrs.field(factory=Meter)
    sent: int = 0
    retries: int = 0
    refused: int = 0
    last_error: LosantError | None = None
    next_probe_at: float = 0.0
    _backing_off: int = 0  # workers
    _queue: deque[tuple[anyio.Event, int]] = attrs.field(factory=deque)
    _arrival: anyio.Event = attrs.field(factory=anyio.Event)
    _stopped: anyio.Event = attrs.field(factory=anyio.Event)
    _probe_lock: anyio.Lock = attrs.field(factory=anyio.Lock)

    @property
    def max_workers(self) -> int:
        """The number of workers that can be busy. It is 0 if the job is stopping.

        Workers that back off are replaced, up to twice the concurrency limit.
        """
        limit = 0 if self.is_stopping else self.concurrency.limit
        return limit + min(self._backing_off, limit)

    @property
    def per_second(self) -> float:
        """The current rate of this job, in requests per second."""
        rate = self.rate.per_second
        return rate if self.cap is None else min(rate, self.cap.per_second)

    async def acquire(self, places: int = 1) -> "Slot":
        """Wait for a slot. A `with` statement releases it at its end.

        Args:
            places: The number of requests that belong together. Unused places are returned.

        Raises:
            StoppedError: The job is stopping.
            GaveUpError: The API was unavailable for too long.
        """
        is_probe = False
        while not is_probe:
            is_contended = bool(self._queue) or self.turn.locked()
            if not self.is_stopping and (is_contended or not self._try_acquire(places)):
                await self._wait_in_queue(places)
            if self.is_stopping:
                raise StoppedError
            if not self.circuit_breaker.is_open:
                break
            is_probe = await self._begin_probe()
        return Slot(self, places, is_probe)

    async def read(self, request: Callable[[], Awaitable[R]]) -> R:
        """Send a request that only reads. Retry it until it succeeds or cannot be retried.

        Args:
            request: Sends the request once.

        Raises:
            LosantError: The error that cannot be retried, or the last one of an outage.
        """
        attempts = Attempts()
        began = self.now()
        while True:
            try:
                with await self.acquire() as slot:
                    slot.begin_request()
                    try:
                        result = await request()
                    except LosantError as error:
                        self.record_error(error, slot.sent_at, "read", attempts)
                        raise
                    self.record_response(slot.sent_at, "read")
                    return result
            except LosantError as error:
                # The caller requests an unreadable page in another way.
                if isinstance(error, ResponseError) or not may_retry_in_job(error):
                    raise
                failure = error
                # Single requests rarely fail often enough to open the circuit.
                if attempts.is_exhausted and self.now() - began >= self.circuit_breaker.patience:
                    raise
            except GaveUpError:
                assert self.last_error is not None  # noqa: S101 -- it is why the circuit is open
                raise self.last_error from None
            patience_left = max(0.0, self.circuit_breaker.patience - (self.now() - began))
            if not self.circuit_breaker.is_open:  # Otherwise, the probes are logged.
                _log.info("%s; trying again for %.0f s", describe(failure), patience_left)
            try:
                await self.back_off(failure, attempts)
            except GaveUpError:
                raise failure from None

    async def back_off(self, error: LosantError, attempts: Attempts) -> None:
        """Wait before another attempt.

        Args:
            error: The error of the last attempt.
            attempts: The attempts for the token so far.

        Raises:
            StoppedError: The job is stopping.
            GaveUpError: The server requests too long a wait, or refuses requests for too long.
        """
        await self._back_off(error, attempts)
        self.retries += 1

    async def _back_off(self, error: LosantError, attempts: Attempts) -> None:
        now, circuit = self.now(), self.circuit_breaker
        if circuit.is_open:
            return  # the next slot is a probe, which waits
        if circuit.is_out_of_patience(now) or self.rate.pause_left(now) > circuit.patience:
            raise GaveUpError(f"the API refuses further requests: {error}")
        if classify(error) is FailureKind.RATE_LIMITED:
            return  # the rate limiter has slowed down
        if not circuit.take_retry():
            circuit.open(now)
            return
        bound = min(_BACKOFF_CAP, _BACKOFF_BASE * 2.0**attempts.failures)
        self._backing_off += 1
        try:
            await self.sleep(random.random() * bound)  # noqa: S311 -- full jitter
        finally:
            self._backing_off -= 1

    def next_attempt_in(self, now: float) -> float:
        """Return the seconds until a request may be sent, during an outage or a pause."""
        probe = self.next_probe_at - now if self.circuit_breaker.is_open else 0.0
        return max(0.0, probe, self.rate.pause_left(now))

    async def sleep(self, seconds: float) -> None:
        """Wait for a time, or until the job is stopping.

        Raises:
            StoppedError: The job is stopping.
        """
        self.before_waiting()
        with anyio.move_on_after(seconds):
            await self._stopped.wait()
            raise StoppedError

    def stop(self) -> None:
        """Send nothing more, and end all waits."""
        self.is_stopping = True
        self._stopped.set()
        self._arrival.set()
        for ready, _ in self._queue:
            ready.set()

    # --- The queue for slots -----------------------------------------------------------------

    async def serve_queue(self) -> None:
        """Grant places to the queue when they are due, until the job is stopping.

        All places that are due are granted at once. One at a time would cost a turn of the event
        loop each, and a fast job would never empty the queue.
        """
        while not self.is_stopping:
            await self._arrival.wait()
            self._arrival = anyio.Event()
            while self._queue and not self.is_stopping:
                if self.turn.locked() and not self._cap_wait():
                    await self._take_turn()
                else:
                    await self._grant_next()

    async def _take_turn(self) -> None:
        """Grant places once, when the calls before have got theirs, and before those after."""
        async with self.turn:
            while self._queue and not self.is_stopping and not self._cap_wait():
                if await self._grant_next():
                    return

    async def _grant_next(self) -> bool:
        """Grant places to the first in the queue, or wait; return whether they were granted."""
        ready, places = self._queue[0]
        if self._try_acquire(places):
            self._queue.popleft()
            ready.set()
            return True
        await anyio.sleep(min(self._wait_time(), _STOP_CHECK_INTERVAL))
        return False

    def _try_acquire(self, places: int) -> bool:
        """Take places of the rate, and of this job's own cap; return whether they were free."""
        now = self.now()
        if self.cap is None:
            return self.rate.try_acquire(now, places)
        if not self.cap.try_acquire(now, places):
            return False
        if self.rate.try_acquire(now, places):
            return True
        self.cap.release(places)
        return False

    def release(self, places: int) -> None:
        """Return places that were taken, but not used."""
        self.rate.release(places)
        if self.cap is not None:
            self.cap.release(places)

    def _wait_time(self) -> float:
        """Return the seconds after which places may be free."""
        return max(self.rate.wait_time(self.now()), self._cap_wait())

    def _cap_wait(self) -> float:
        """Return the seconds until this job's own cap allows the next request."""
        return 0.0 if self.cap is None else self.cap.seconds_until_free(self.now())

    async def _wait_in_queue(self, places: int) -> None:
        if self._wait_time() + len(self._queue) / self.per_second > _SHORT_WAIT:
            self.before_waiting()
        entry = (anyio.Event(), places)
        ready, _ = entry
        self._queue.append(entry)
        self._arrival.set()
        try:
            await ready.wait()
        finally:
            if not ready.is_set():
                self._queue.remove(entry)

    # --- Probes ------------------------------------------------------------------------------

    def end_probe(self) -> None:
        """Let the next probe begin."""
        self._probe_lock.release()

    async def _begin_probe(self) -> bool:
        """Wait until a probe may be sent. Return whether the circuit is still open then."""
        await self._probe_lock.acquire()
        is_probe = False
        try:
            if self.circuit_breaker.is_open:
                await self._wait_for_probe()
                is_probe = True
        finally:
            if not is_probe:
                self._probe_lock.release()
        return is_probe

    async def _wait_for_probe(self) -> None:
        now = self.now()
        if self.circuit_breaker.is_out_of_patience(now):
            seen = "" if self.last_error is None else f"; last seen: {describe(self.last_error)}"
            raise GaveUpError(f"the API does not respond{seen}")
        seconds = self.circuit_breaker.next_probe(now)
        self.next_probe_at = now + seconds
        if self.last_error is not None:
            _log.info(
                "%s; next attempt in %.0f s, gives up in %.0f s",
                describe(self.last_error),
                seconds,
                self.circuit_breaker.patience_left(now) or 0.0,
            )
        await self.sleep(seconds)

    # --- Outcomes of requests ----------------------------------------------------------------

    def record_response(self, sent_at: float, kind: RequestKind) -> float:
        """Record a response of the API that is final. Return the time.

        Args:
            sent_at: The time when the request was sent.
            kind: The kind of the request. Each kind has its own typical latency.
        """
        now = self.now()
        self.circuit_breaker.record_response()
        self.responses.count(now)
        self.rate.record_response(now, sent_at)
        if self.concurrency.record_response(now - sent_at, kind):
            self.rate.latency = self.concurrency.latency
        return now

    def record_error(
        self, error: LosantError, sent_at: float, kind: RequestKind, attempts: Attempts
    ) -> None:
        """Record the error of a request.

        Args:
            error: The error.
            sent_at: The time when the request was sent.
            kind: The kind of the request.
            attempts: The attempts for the token. A failure is added.
        """
        if isinstance(error, ResponseTooLarge):
            return  # The limit is the client's own, so the error says nothing about the API.
        match classify(error):
            case FailureKind.RATE_LIMITED:
                self._record_rate_limit(error, sent_at)
            case FailureKind.UNAVAILABLE | FailureKind.NOT_FROM_API:
                self._record_failure(error, sent_at, attempts)
            case FailureKind.FINAL:
                self.record_response(sent_at, kind)
            case _:  # fatal: the client refused to send the request
                self.sent -= 1

    def _record_rate_limit(self, error: LosantError, sent_at: float) -> None:
        now = self.now()
        self.last_error = error
        self.refused += 1
        self.circuit_breaker.record_rate_limit(now)
        self.rate.record_rate_limit(now, sent_at, getattr(error, "retry_after", None))

    def _record_failure(self, error: LosantError, sent_at: float, attempts: Attempts) -> None:
        now = self.now()
        # A failure during an outage says nothing about this token.
        attempts.failures = 0 if self.circuit_breaker.is_open else attempts.failures + 1
        attempts.error = self.last_error = error
        is_foreign = classify(error) is FailureKind.NOT_FROM_API
        self.circuit_breaker.record_failure(now, is_foreign=is_foreign)
        self.concurrency.record_failure(now, sent_at)
        if (seconds := getattr(error, "retry_after", None)) is not None:
            self.rate.pause(now, seconds)


@attrs.define(eq=False)
class Slot:
    """The permission to send requests in succession.

    Call `begin_request` directly before each request, and `Throttle.record_response` or
    `Throttle.record_error` after it.

    Attributes:
        throttle: The throttle that granted it.
        places: The number of requests that may still be sent.
        is_probe: Whether it is for a probe, which has the only slot of an outage.
        sent_at: The time when the latest request was sent.
        next_at: The time when the request after it is due.
    """

    throttle: Throttle
    places: int
    is_probe: bool
    sent_at: float = 0.0
    next_at: float = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.is_probe:
            self.throttle.end_probe()
        if self.places:
            self.throttle.release(self.places)

    def is_open(self, now: float) -> bool:
        """Return whether the next request may be sent now.

        Args:
            now: The time.
        """
        throttle = self.throttle
        is_closed = throttle.is_stopping or throttle.circuit_breaker.is_open
        return not (is_closed or throttle.rate.is_paused(now))

    def begin_request(self) -> None:
        """Take a place for a request that is sent immediately.

        Raises:
            StoppedError: The job is stopping.
        """
        throttle = self.throttle
        self.places -= 1
        if throttle.is_stopping:
            raise StoppedError
        throttle.sent += 1
        self.sent_at = throttle.now()
        if self.places:
            self.next_at = self.sent_at + min(1.0 / throttle.per_second, _MAX_SPACING)

    async def wait_for_next(self, now: float) -> None:
        """Wait until the next request is due, for up to half a second.

        A server that counts strictly refuses two requests at once, however low the rate is.

        Args:
            now: The time.

        Raises:
            StoppedError: The job is stopping.
        """
        if self.next_at - now > _SHORT_WAIT:
            await self.throttle.sleep(self.next_at - now)
