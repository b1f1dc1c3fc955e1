"""Sends requests in the job's own pace, and tries again as long as there is sense in it."""

import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import anyio
import attrs

from losant_tokens._loop import clock
from losant_tokens._resources import Send
from losant_tokens.errors import (
    LosantError,
    ServerError,
    StatusError,
    TooManyRequests,
    TransportError,
)
from losant_tokens.jobs._concurrency import Concurrency
from losant_tokens.jobs._health import Health
from losant_tokens.jobs._rate import Rate

_MOST_TRIES = 5
_NOT_SENT = object()
_NAP = 0.25  # seconds, after which whoever keeps the line looks whether the job goes on
_MOMENT = 0.01  # seconds: before a shorter wait, nothing else is done
_BASE, _CAP = 0.5, 20.0  # seconds, from which the wait before another try is drawn


class StoppedError(Exception):
    """The job is at its end, so that a request was not sent, or not once more."""


class GaveUpError(Exception):
    """The service was out for longer than one wants to wait; the message says how."""


@attrs.define(eq=False)
class Tries:
    """The tries of a request, and what came of them so far.

    Attributes:
        id: What the request is about.
        sent: How many tries there were.
        sent_at: When the latest one was sent.
        troubles: How many of them met trouble since the service was last out.
        is_ambiguous: Whether one of them may have been carried out without saying so.
    """

    id: str
    sent: int = attrs.field(default=0, kw_only=True)
    sent_at: float = attrs.field(default=0.0, kw_only=True)
    troubles: int = attrs.field(default=0, kw_only=True)
    is_ambiguous: bool = attrs.field(default=False, kw_only=True)


T = TypeVar("T", bound=Tries)


@attrs.frozen(eq=False)
class Request(Generic[T]):
    """A request that is sent about one thing after the other.

    Attributes:
        send: Sends it once, about that of which it is given the id.
        kind: What it does: answers may take longer to one kind of request than to another.
        before: Called right before it is sent for the first time about something.
    """

    send: Callable[[str], Awaitable[Any]]
    kind: str = "look"
    before: Callable[[T], None] = lambda _: None


@attrs.define(eq=False)
class Requests:
    """Sends the requests of a job, all of them in one pace and by one state of health.

    Attributes:
        rate: How many may be sent per second, and so when the next one may be.
        concurrency: How many of them may be in flight at once.
        health: Whether the service answers.
        before_waiting: Called before something is waited for that may take a while.
        now: The clock.
        is_stopping: Whether the job is at its end: nothing is sent any more.
        sent: How many requests were sent.
        retries: How many of them were further tries.
        refused: How many were answered with 429.
        latest: The latest error that was tried again, or would have been.
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
    _line: deque[anyio.Event] = attrs.field(factory=deque)
    _arrival: anyio.Event = attrs.field(factory=anyio.Event)
    _stopped: anyio.Event = attrs.field(factory=anyio.Event)
    _probing: anyio.Lock = attrs.field(factory=anyio.Lock)

    @property
    def wanted(self) -> int:
        """How many workers there is work for: none, at the end of the job.

        Others stand in for those that wait before another try, up to as many again.
        """
        at_once = 0 if self.is_stopping else self.concurrency.now
        return at_once + min(self._resting, at_once)

    async def send(self, request: Request[T], tries: T) -> Any:
        """Sends a request until it is answered; what cannot pass is raised.

        Args:
            request: What to send.
            tries: What it is about. What comes of each try is noted here.

        Raises:
            StoppedError: The job is at its end.
            GaveUpError: The service was out for too long.
            LosantError: The answer, or what came instead of it too often.
        """
        while True:
            now = self.now()
            if not self.is_stopping and (self._line or not self.rate.take(now)):
                now = await self._turn_in_the_line(now)
            try:
                if self.health.down_since is None:
                    answer = await self._begin(request, tries, now)
                else:
                    answer = await self._probe(request, tries)
            except LosantError as error:
                if not self._may_pass(error, request, tries):
                    raise
                self.latest = failure = error
            else:
                if answer is _NOT_SENT:
                    continue
                self._answered(request, tries)
                return answer
            await self._before_the_next(failure, tries)

    def stop(self) -> None:
        """Has nothing more sent; whoever waits for a place stops waiting."""
        self.is_stopping = True
        self._stopped.set()
        self._arrival.set()
        for waiting in self._line:
            waiting.set()

    async def keep_the_line(self) -> None:
        """Lets those who wait in the line have their places, as they come due, until it is stopped.

        As many as are due go at once: one after the other, each would cost a turn of the event
        loop, and a job that is faster than that would never get out of the line again.
        """
        while not self.is_stopping:
            await self._arrival.wait()
            self._arrival = anyio.Event()
            while self._line and not self.is_stopping:
                now = self.now()
                if self.rate.take(now):
                    self._line.popleft().set()
                else:
                    await anyio.sleep(min(self.rate.wait(now), _NAP))

    async def _turn_in_the_line(self, now: float) -> float:
        """Waits for a place of its own, and says when it came."""
        if self.rate.wait(now) + len(self._line) / self.rate.now > _MOMENT:
            self.before_waiting()
        place = anyio.Event()
        self._line.append(place)
        self._arrival.set()
        try:
            await place.wait()
        finally:
            if not place.is_set():
                self._line.remove(place)
        return self.now()

    def _begin(self, request: Request[T], tries: T, now: float) -> Awaitable[Any]:
        """Begins a try.

        Raises:
            StoppedError: The job is at its end.
        """
        if self.is_stopping:
            raise StoppedError
        if tries.sent:
            self.retries += 1
        else:
            request.before(tries)
        tries.sent += 1
        tries.sent_at = now
        self.sent += 1
        return request.send(tries.id)

    async def _probe(self, request: Request[T], tries: T) -> Any:
        """During an outage, one request at a time finds out whether the service is back."""
        tries.troubles = 0  # nothing is wrong with this token
        async with self._probing:
            if self.health.down_since is None:
                return _NOT_SENT
            now = self.now()
            if self.health.is_hopeless(now):
                raise GaveUpError("the service does not answer")
            await self._sleep(self.health.next_probe(now))
            return await self._begin(request, tries, self.now())

    # --- What came of it ---------------------------------------------------------------------

    def _may_pass(self, error: LosantError, request: Request[T], tries: T) -> bool:
        """Takes note of an error, and says whether another try may make sense."""
        match error:
            case TooManyRequests():
                self._refused(error, tries)
                return True
            case TransportError() | ServerError() | StatusError(status_code=408):
                # 408: the server waited for us in vain.
                self._troubled(error, tries)
                return True
            case StatusError():
                self._answered(request, tries)
            case _:
                # An answer that cannot be read is one all the same; else, nothing was sent.
                tries.is_ambiguous |= hasattr(error, "status_code")
        return False

    def _answered(self, request: Request[T], tries: T) -> None:
        now, sent_at = self.now(), tries.sent_at
        if not self.health.is_at_its_best:
            self.health.answered()
        self.rate.answered(now, sent_at)
        if self.concurrency.answered(now - sent_at, request.kind):
            self.rate.latency = self.concurrency.latency

    def _refused(self, error: TooManyRequests, tries: Tries) -> None:
        now = self.now()
        self.refused += 1
        self.health.refused(now)
        self.rate.refused(now, tries.sent_at, error.retry_after)

    def _troubled(self, error: LosantError, tries: Tries) -> None:
        now = self.now()
        tries.troubles += 1
        tries.is_ambiguous |= not isinstance(error, TransportError) or error.ambiguous
        self.health.troubled(now)
        self.concurrency.troubled(now, tries.sent_at)
        if (asked_for := getattr(error, "retry_after", None)) is not None:
            self.rate.pause(now, asked_for)

    async def _before_the_next(self, error: LosantError, tries: Tries) -> None:
        """Waits before another try, or raises what came of the last one."""
        now = self.now()
        if self.health.down_since is not None:
            return  # probes wait by themselves
        if self.health.is_hopeless(now) or self.rate.pause_left(now) > self.health.patience:
            raise GaveUpError("the service takes no more requests")
        if isinstance(error, TooManyRequests):
            return  # the pace waits
        if tries.troubles >= _MOST_TRIES:
            raise error
        if self.health.may_try_again():
            spread = min(_CAP, _BASE * 2**tries.troubles)
            self._resting += 1
            try:
                await self._sleep(random.random() * spread)  # noqa: S311 -- jitter
            finally:
                self._resting -= 1
        else:
            self.health.out(now)

    async def _sleep(self, seconds: float) -> None:
        """Waits, but not longer than the job goes on.

        Raises:
            StoppedError: The job is at its end.
        """
        self.before_waiting()
        with anyio.move_on_after(seconds):
            await self._stopped.wait()
            raise StoppedError


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
    health = Health(patience)
    requests = Requests(Rate(first=_READING_RATE), Concurrency(1), health)

    async def send(read: Callable[[], Awaitable[Any]]) -> Any:
        while True:
            try:
                return await requests.send(Request(lambda _: read()), Tries(""))
            except GaveUpError:
                assert requests.latest is not None  # noqa: S101 -- else there was no reason
                raise requests.latest from None
            except (TransportError, ServerError, StatusError) as error:
                # One request at a time: if it fails so often, the service is out.
                if error is not requests.latest:
                    raise
                health.out(requests.now())

    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(requests.keep_the_line)
        try:
            await work(send)
        except Exception as error:  # noqa: BLE001 -- raised as it is, and not in a group of one
            failure = error
        finally:
            requests.stop()
    if failure is not None:
        raise failure
