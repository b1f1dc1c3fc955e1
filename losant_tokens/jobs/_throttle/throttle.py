"""Send the requests of a job, one attempt at a time, at a pace that the server allows.

A `Slot` is the permission to send. It holds places for all the requests that belong together, so
that a token is read and changed with no wait in between. `Throttle` hands slots out by the rate,
and during an outage to one probe at a time; it learns from each response. What to do about an
error is up to the caller, who waits with `Throttle.back_off` before another attempt.
"""

import random
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self

import anyio
import attrs

from losant_tokens._adaptive_rate import Rate
from losant_tokens._eventloop import clock
from losant_tokens._resources.base import Send
from losant_tokens.errors import (
    ConfigurationError,
    LosantError,
    ResponseError,
    ServerError,
    StatusError,
    TooManyRequests,
    TransportError,
)
from losant_tokens.jobs._throttle.circuit_breaker import Health
from losant_tokens.jobs._throttle.concurrency import Concurrency

MAX_ATTEMPTS = 5  # for one token, outages not counted
_NAP = 0.25  # seconds between two looks of the rate limiter at whether the job goes on
_MAX_SPACING = 0.5  # seconds between the requests of one slot, if responses come sooner
_SHORT = 0.01  # seconds: nothing is flushed before a shorter wait
_BASE, _CAP = 0.5, 20.0  # seconds, the bounds of the backoff before full jitter


class StoppedError(Exception):
    """The job is stopping, so a request was not sent."""


class GaveUpError(Exception):
    """The job ends before all is done; the message says why."""


class Failure(Enum):
    """The meaning of an error for a job.

    REFUSED: The server had too many requests, and did nothing.
    TROUBLE: There was no response, or the server failed.
    FOREIGN: The response cannot come from the API: the page of a proxy or of a captive portal.
    ANSWER: The API answered, and will give the same answer again.
    FATAL: Every other request would fail in the same way.
    """

    REFUSED = auto()
    TROUBLE = auto()
    FOREIGN = auto()
    ANSWER = auto()
    FATAL = auto()

    @classmethod
    def of(cls, error: LosantError) -> "Failure":
        """Return the kind of an error. Only what is known to be final counts as an answer."""
        match error:
            case ConfigurationError():
                return cls.FATAL
            case TooManyRequests():
                return cls.REFUSED
            case TransportError() | ServerError() | StatusError(status_code=408):
                return cls.TROUBLE
            case StatusError(is_from_api=True):
                return cls.ANSWER
            case StatusError() | ResponseError():
                return cls.FOREIGN
            case _:
                return cls.FATAL


RETRIED = frozenset({Failure.REFUSED, Failure.TROUBLE, Failure.FOREIGN})
"""The failures after which another attempt makes sense."""


def may_have_acted(error: LosantError) -> bool:
    """Return whether a change may have been carried out although it failed with this error."""
    match Failure.of(error):
        case Failure.TROUBLE:
            return not isinstance(error, TransportError) or error.ambiguous
        case kind:
            return kind is Failure.FOREIGN


def describe(error: LosantError) -> str:
    """Return what was seen, for the message of a job that gives up."""
    if Failure.of(error) is not Failure.FOREIGN:
        return str(error)
    return f"a response that is not from the API: {error}"


@attrs.define(eq=False)
class Attempts:
    """The attempts for one token in this run.

    Attributes:
        failures: How many of them failed since the service was last out.
        error: How the latest of these failed.
    """

    failures: int = attrs.field(default=0, kw_only=True)
    error: LosantError | None = attrs.field(default=None, kw_only=True)

    @property
    def is_exhausted(self) -> bool:
        """Whether there were as many attempts as are allowed."""
        return self.failures >= MAX_ATTEMPTS

    def exhaust(self, error: LosantError) -> None:
        """Allow no further attempt because of an error."""
        self.failures, self.error = MAX_ATTEMPTS, error


@attrs.define(eq=False)
class Throttle:
    """Hands out slots to all workers of a job, at one rate and by one state of health.

    Attributes:
        rate: How many requests may be sent per second, and so when the next one may be.
        concurrency: How many of them may be in flight at once.
        health: Whether the service answers.
        before_waiting: Called before a wait that is not short.
        now: The clock.
        is_stopping: Whether the job is stopping: nothing is sent any more.
        sent: How many requests were sent.
        retries: How many attempts followed another one that had failed.
        refused: How many requests were answered with 429.
        latest: The latest error after which another attempt made sense.
    """

    rate: Rate
    concurrency: Concurrency
    health: Health
    before_waiting: Callable[[], None] = lambda: None
    now: Callable[[], float] = attrs.field(factory=clock)
    is_stopping: bool = False
    sent: int = 0
    retries: int = 0
    refused: int = 0
    latest: LosantError | None = None
    _resting: int = 0
    _queue: deque[tuple[anyio.Event, int]] = attrs.field(factory=deque)
    _arrival: anyio.Event = attrs.field(factory=anyio.Event)
    _stopped: anyio.Event = attrs.field(factory=anyio.Event)
    _probing: anyio.Lock = attrs.field(factory=anyio.Lock)

    @property
    def wanted(self) -> int:
        """The number of workers that there is work for; none if the job is stopping.

        Further workers replace those that wait before another attempt, up to as many again.
        """
        at_once = 0 if self.is_stopping else self.concurrency.now
        return at_once + min(self._resting, at_once)

    def slot(self, places: int = 1) -> "Slot":
        """Return the permission to send requests in succession, to be used with `async with`.

        Args:
            places: How many requests belong together. Those that are not sent are given back.

        Raises:
            StoppedError: The job is stopping.
            GaveUpError: The service was out for too long.
        """
        return Slot(self, places)

    def stop(self) -> None:
        """Let nothing more be sent, and end all waits."""
        self.is_stopping = True
        self._stopped.set()
        self._arrival.set()
        for place, _ in self._queue:
            place.set()

    async def serve_queue(self) -> None:
        """Hand out places to the queue when they come due, until the job stops.

        All places that are due are handed out at once. One at a time would cost a turn of the
        event loop each, and a job that is faster than that would never leave the queue again.
        """
        while not self.is_stopping:
            await self._arrival.wait()
            self._arrival = anyio.Event()
            while self._queue and not self.is_stopping:
                now = self.now()
                place, places = self._queue[0]
                if self.rate.take(now, places):
                    self._queue.popleft()
                    place.set()
                else:
                    await anyio.sleep(min(self.rate.wait(now), _NAP))

    async def back_off(self, error: LosantError, attempts: Attempts) -> None:
        """Wait before another attempt.

        Args:
            error: How the last attempt failed.
            attempts: The attempts for the token so far.

        Raises:
            StoppedError: The job is stopping.
            GaveUpError: The server asks to wait for too long, or refuses everything for too long.
        """
        await self._back_off(error, attempts)
        self.retries += 1

    async def _back_off(self, error: LosantError, attempts: Attempts) -> None:
        now = self.now()
        if self.health.down_since is not None:
            return  # probes wait by themselves
        if self.health.is_hopeless(now) or self.rate.pause_left(now) > self.health.patience:
            raise GaveUpError(f"the service takes no more requests: {error}")
        if Failure.of(error) is Failure.REFUSED:
            return  # the rate makes it wait
        if not self.health.may_try_again():
            self.health.out(now)
            return
        seconds = min(_CAP, _BASE * 2.0**attempts.failures)
        self._resting += 1
        try:
            await self.sleep(random.random() * seconds)  # noqa: S311 -- jitter
        finally:
            self._resting -= 1

    # --- Slots -------------------------------------------------------------------------------

    async def acquire(self, places: int) -> bool:
        """Wait for places; return whether they are for a probe, which has to be ended.

        Raises:
            StoppedError: The job is stopping.
            GaveUpError: The service was out for too long.
        """
        while True:
            if not self.is_stopping and (self._queue or not self.rate.take(self.now(), places)):
                await self._wait_in_queue(places)
            if self.is_stopping:
                raise StoppedError
            if self.health.down_since is None:
                return False
            if await self._begin_probe():
                return True

    def end_probe(self) -> None:
        """Let the next probe be sent."""
        self._probing.release()

    async def attempt(
        self, request: Callable[[], Awaitable[Any]], kind: str, attempts: Attempts
    ) -> Any:
        """Send a request once, and learn from what comes of it.

        Args:
            request: Sends it.
            kind: What it does. Responses may take longer for one kind than for another.
            attempts: The attempts for the token so far; a failure is added.

        Raises:
            StoppedError: The job is stopping.
            LosantError: There was no response, or one that is an error.
        """
        if self.is_stopping:
            raise StoppedError
        response = request()  # a coroutine: what is checked before sending is checked here
        sent_at = self.now()
        self.sent += 1
        try:
            found = await response
        except LosantError as error:
            self._learn(error, sent_at, kind, attempts)
            raise
        self._answered(sent_at, kind)
        return found

    async def _wait_in_queue(self, places: int) -> None:
        now = self.now()
        if self.rate.wait(now) + len(self._queue) / self.rate.now > _SHORT:
            self.before_waiting()
        place = (anyio.Event(), places)
        self._queue.append(place)
        self._arrival.set()
        try:
            await place[0].wait()
        finally:
            if not place[0].is_set():
                self._queue.remove(place)

    async def _begin_probe(self) -> bool:
        """Wait until a probe may be sent; return whether the service still is out then."""
        await self._probing.acquire()
        is_out = False
        try:
            if self.health.down_since is not None:
                await self._wait_for_probe()
                is_out = True
        finally:
            if not is_out:
                self._probing.release()
        return is_out

    async def _wait_for_probe(self) -> None:
        now = self.now()
        if self.health.is_hopeless(now):
            seen = "" if self.latest is None else f"; last seen: {describe(self.latest)}"
            raise GaveUpError(f"the service does not answer{seen}")
        await self.sleep(self.health.next_probe(now))

    # --- What came of a request --------------------------------------------------------------

    def _learn(self, error: LosantError, sent_at: float, kind: str, attempts: Attempts) -> None:
        match Failure.of(error):
            case Failure.REFUSED:
                self._refused(error, sent_at)
            case Failure.TROUBLE | Failure.FOREIGN as failure:
                self._troubled(error, sent_at, attempts, is_foreign=failure is Failure.FOREIGN)
            case Failure.ANSWER:
                self._answered(sent_at, kind)
                return
            case _:
                return
        self.latest = error

    def _answered(self, sent_at: float, kind: str) -> None:
        now = self.now()
        if not self.health.is_at_its_best:
            self.health.answered()
        self.rate.answered(now, sent_at)
        if self.concurrency.answered(now - sent_at, kind):
            self.rate.latency = self.concurrency.latency

    def _refused(self, error: LosantError, sent_at: float) -> None:
        now = self.now()
        self.refused += 1
        self.health.refused(now)
        self.rate.refused(now, sent_at, getattr(error, "retry_after", None))

    def _troubled(
        self, error: LosantError, sent_at: float, attempts: Attempts, *, is_foreign: bool
    ) -> None:
        now = self.now()
        # During an outage nothing is wrong with this token.
        attempts.failures = 0 if self.health.down_since is not None else attempts.failures + 1
        attempts.error = error
        self.health.troubled(now, is_foreign=is_foreign)
        self.concurrency.troubled(now, sent_at)
        if (seconds := getattr(error, "retry_after", None)) is not None:
            self.rate.pause(now, seconds)

    async def sleep(self, seconds: float) -> None:
        """Wait, but not longer than the job goes on.

        Raises:
            StoppedError: The job is stopping.
        """
        self.before_waiting()
        with anyio.move_on_after(seconds):
            await self._stopped.wait()
            raise StoppedError


@attrs.define(eq=False)
class Slot:
    """The permission to send requests in succession.

    Attributes:
        throttle: Where it comes from.
        places: How many requests may still be sent.
    """

    throttle: Throttle
    places: int
    _is_probe: bool = False
    _next_at: float = 0.0

    async def __aenter__(self) -> Self:
        throttle = self.throttle
        self._is_probe = await throttle.acquire(self.places)
        self._next_at = throttle.now() + min(1.0 / throttle.rate.now, _MAX_SPACING)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_probe:
            self.throttle.end_probe()
        if self.places:
            self.throttle.rate.give_back(self.places)

    @property
    def is_open(self) -> bool:
        """Whether the next request may be sent at once, with nothing to wait for."""
        throttle = self.throttle
        is_paused = throttle.rate.pause_left(throttle.now()) > 0
        return not (is_paused or throttle.is_stopping or throttle.health.down_since is not None)

    async def wait_for_next(self) -> None:
        """Wait until the second request is due, for half a second at most.

        A server that counts strictly refuses two requests at once, however low the rate is.

        Raises:
            StoppedError: The job is stopping.
        """
        seconds = self._next_at - self.throttle.now()
        if seconds > _SHORT:
            await self.throttle.sleep(seconds)

    async def send(
        self, request: Callable[[], Awaitable[Any]], attempts: Attempts, kind: str = "look"
    ) -> Any:
        """Send a request once.

        Raises:
            StoppedError: The job is stopping.
            LosantError: There was no response, or one that is an error.
        """
        self.places -= 1
        return await self.throttle.attempt(request, kind, attempts)


_READING_RATE = 50.0  # requests per second, at first: lists are read one page after the other


async def reading(work: Callable[[Send], Awaitable[None]], patience: float) -> None:
    """Do work whose requests only read, at a rate of its own.

    Args:
        work: The work. It is given a function that sends a request, and retries it as jobs do,
            until it is answered or fails for good.
        patience: For how many seconds an outage of the service is waited out.

    Raises:
        LosantError: The error that ended the work, or the last one of an outage.
    """
    throttle = Throttle(Rate(first=_READING_RATE), Concurrency(1), Health(patience))

    async def send(read: Callable[[], Awaitable[Any]]) -> Any:
        attempts = Attempts()
        began = throttle.now()
        while True:
            try:
                async with throttle.slot() as slot:
                    return await slot.send(read, attempts)
            except LosantError as error:
                # A list that cannot be read is requested in another way, and not again.
                if isinstance(error, ResponseError) or Failure.of(error) not in RETRIED:
                    raise
                failure = error
                # One request at a time takes long to fail often enough for an outage.
                if attempts.is_exhausted and throttle.now() - began >= patience:
                    raise
            except GaveUpError:
                assert throttle.latest is not None  # noqa: S101 -- else there was no reason
                raise throttle.latest from None
            try:
                await throttle.back_off(failure, attempts)
            except GaveUpError:
                raise failure from None

    problem: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(throttle.serve_queue)
        try:
            await work(send)
        except Exception as error:  # noqa: BLE001 -- raised as it is, and not in a group of one
            problem = error
        finally:
            throttle.stop()
    if problem is not None:
        raise problem
