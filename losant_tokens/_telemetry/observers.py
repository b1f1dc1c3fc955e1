"""Report the steps of calls: to hooks of the application, and to OpenTelemetry.

The problem: an application wants to count, log and trace calls, and most applications do not. So a
call that nobody observes must cost nothing, and the code of a call must stay readable.

The approach: a call reports its steps to one `CallWatch`, which it has only if there are observers.
An observer makes a `CallObserver` for each call, which keeps what it needs between two steps. An
observer that fails does not end the call. Events have no secrets, and no text of the server except
in errors, whose messages are made safe.

Rejected: hooks that are awaited, as those of httpx, because a slow one would delay each call, and a
cancellation could end a call between its request and its response.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import iscoroutinefunction
from itertools import count
from typing import Any, ParamSpec, Protocol, TypeVar, cast

import attrs
import httpx

from losant_tokens._api.operations import Operation
from losant_tokens._utils import validators
from losant_tokens.errors import LosantError, ValidationError

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger("losant_tokens")


@attrs.frozen(kw_only=True)
class RequestEvent:
    """A request is about to be sent. Each attempt of a call sends one."""

    call_id: int
    """The number of the call. All events of a call have the same number, and no other call of the
    client has it.
    """
    operation: str
    """The operation, such as `userApiToken.get`."""
    method: str
    """The HTTP method."""
    path: str
    """The path below the base URL, without the query: `/me/tokens/575ec7417ae143cd83dc4a95`."""
    path_template: str
    """The same path with the names of the ids: `/me/tokens/{apiTokenId}`."""
    attempt: int
    """The number of the attempt, from 1."""


@attrs.frozen(kw_only=True)
class ResponseEvent(RequestEvent):
    """An attempt has ended, with or without a response."""

    outcome: str
    """The status, or what happened instead: `200`, `timed out`, `cancelled`."""
    status_code: int | None
    """The status, or `None` without a complete response."""
    error: LosantError | None
    """The error of this attempt, or `None`. The call may still succeed."""
    elapsed: float
    """The duration of the attempt, in seconds."""


@attrs.frozen(kw_only=True)
class RetryEvent(RequestEvent):
    """A call will be sent again. `attempt` is the number of the next attempt."""

    outcome: str
    """The outcome of the last attempt."""
    error: LosantError
    """Its error."""
    delay: float
    """The minimum time until the next attempt, in seconds."""


class CallObserver(Protocol):
    """Receives the steps of one call."""

    def wait_began(self) -> None:
        """Note that the call waits for the rate limit or a free connection."""

    def wait_ended(self) -> None:
        """Note that the call no longer waits."""

    def request(self, event: RequestEvent, request: httpx.Request, /) -> None:
        """Note that a request is about to be sent. Its headers may be changed."""

    def response(self, event: ResponseEvent) -> None:
        """Note that an attempt has ended."""

    def retry(self, event: RetryEvent) -> None:
        """Note that the call will be sent again."""

    def ended(self, error: BaseException | None) -> None:
        """Note that the call has ended, with an error or without one."""


class Observer(Protocol):
    """Makes the observers of calls."""

    def __call__(self, operation: Operation[Any], /) -> CallObserver | None:
        """Return the observer of a call that begins, or `None` if it wants no reports."""

    def together(self, name: str, /) -> Callable[[BaseException | None], None] | None:
        """Note that the calls from now on belong together, such as those of a snapshot.

        Args:
            name: The name of what they do.

        Returns:
            A function to call at the end, with the error if there is one. `None` if the observer
            wants no reports.
        """


@attrs.define(eq=False)
class Observers:
    """Gives each call of a client a number, and asks each observer whether it wants reports."""

    observers: tuple[Observer, ...]
    """The observers."""
    _numbers: Iterator[int] = attrs.field(factory=lambda: count(1))
    _has_failed: bool = False

    def watch(
        self, operation: Operation[Any], request: httpx.Request, base_url: str
    ) -> "CallWatch | None":
        """Return the watch of a call that begins, or `None` if nobody wants reports.

        Args:
            operation: The operation.
            request: The request of the call.
            base_url: The base URL, which the paths of events leave out.
        """
        calls = [self.guard(observer, operation) for observer in self.observers]
        observers = [call for call in calls if call is not None]
        if not observers:
            return None
        number = next(self._numbers)
        return CallWatch(self, number, operation, request, base_url, observers)

    @contextmanager
    def together(self, name: str) -> Iterator[None]:
        """Report that the calls in this context belong together.

        Args:
            name: The name of what they do, such as `userApiTokens.snapshot`.
        """
        ends = [self.guard(observer.together, name) for observer in self.observers]
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            for end in ends:
                if end is not None:
                    self.guard(end, failure)

    def guard(self, notify: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Call an observer. Log the first exception that one raises, and ignore the others."""
        try:
            return notify(*args, **kwargs)
        except Exception:  # noqa: BLE001 -- an observer must not end a call
            if not self._has_failed:
                _log.exception("A hook of an AsyncClient failed; the call continues")
            self._has_failed = True
            return None


@attrs.define(eq=False)
class CallWatch:
    """Reports the steps of one call to all observers."""

    client: Observers
    call_id: int
    operation: Operation[Any]
    request: httpx.Request = attrs.field(repr=False)
    base_url: str
    observers: list[CallObserver]

    def wait_began(self) -> None:
        """Report that the call waits for the rate limit or a free connection."""
        for one in self.observers:
            self.client.guard(one.wait_began)

    def wait_ended(self) -> None:
        """Report that the call no longer waits."""
        for one in self.observers:
            self.client.guard(one.wait_ended)

    def sending(self, attempt: int) -> None:
        """Report that a request is about to be sent."""
        event = RequestEvent(**self._facts(attempt))
        for one in self.observers:
            self.client.guard(one.request, event, self.request)

    def received(
        self, attempt: int, outcome: str, status_code: int | None, found: object, elapsed: float
    ) -> None:
        """Report that an attempt has ended, with a model, an error, or `None` if cancelled."""
        event = ResponseEvent(
            **self._facts(attempt),
            outcome=outcome,
            status_code=status_code,
            error=found if isinstance(found, LosantError) else None,
            elapsed=elapsed,
        )
        for one in self.observers:
            self.client.guard(one.response, event)

    def retrying(self, attempt: int, outcome: str, error: LosantError, delay: float) -> None:
        """Report that the call will be sent again."""
        event = RetryEvent(**self._facts(attempt), outcome=outcome, error=error, delay=delay)
        for one in self.observers:
            self.client.guard(one.retry, event)

    def ended(self, error: BaseException | None) -> None:
        """Report that the call has ended."""
        for one in self.observers:
            self.client.guard(one.ended, error)

    def _facts(self, attempt: int) -> dict[str, Any]:
        operation = self.operation
        url, _, _ = str(self.request.url).partition("?")
        return {
            "call_id": self.call_id,
            "operation": operation.name,
            "method": operation.method,
            "path": url.removeprefix(self.base_url),
            "path_template": template_of(operation),
            "attempt": attempt,
        }


def template_of(operation: Operation[Any]) -> str:
    """Return the path of an operation, with the names of its ids instead of their values."""
    return operation.name.partition(" ")[2] if operation.is_custom else operation.path


# --- Hooks -----------------------------------------------------------------------------------


@attrs.frozen
class Hooks:
    """The hooks of an application. It is an observer."""

    on_request: Callable[[RequestEvent], object] | None = None
    on_response: Callable[[ResponseEvent], object] | None = None
    on_retry: Callable[[RetryEvent], object] | None = None

    def __call__(self, _: Operation[Any]) -> "Hooks":
        """Return the observer of a call: this object, because hooks keep nothing of a call."""
        return self

    def together(self, _: str) -> None:
        """Do nothing, because there is no such hook."""

    def wait_began(self) -> None:
        """Do nothing, because there is no such hook."""

    def wait_ended(self) -> None:
        """Do nothing, because there is no such hook."""

    def request(self, event: RequestEvent, _: httpx.Request) -> None:
        """Call `on_request`."""
        if self.on_request is not None:
            self.on_request(event)

    def response(self, event: ResponseEvent) -> None:
        """Call `on_response`."""
        if self.on_response is not None:
            self.on_response(event)

    def retry(self, event: RetryEvent) -> None:
        """Call `on_retry`."""
        if self.on_retry is not None:
            self.on_retry(event)

    def ended(self, error: BaseException | None) -> None:
        """Do nothing, because there is no such hook."""


def observers_of(hooks: tuple[object, ...], others: Sequence[Observer]) -> Observers | None:
    """Return the observers of a client, or `None` if there are none.

    Args:
        hooks: `on_request`, `on_response` and `on_retry`.
        others: The other observers. The hooks are called in the context of their spans.

    Raises:
        ValidationError: A hook is not a plain function.
    """
    for name, hook in zip(("on_request", "on_response", "on_retry"), hooks, strict=True):
        if hook is not None and (not callable(hook) or iscoroutinefunction(hook)):
            found = "an async one" if callable(hook) else validators.describe(hook)
            raise ValidationError(f"AsyncClient.{name} must be a plain function, but it is {found}")
    observers = list(others)
    if any(hooks):
        observers.append(Hooks(*cast("tuple[Any, ...]", hooks)))
    return Observers(tuple(observers)) if observers else None
