"""Make one call with all of its attempts, and wait between them.

`exchange` sends a request once. Pure functions decide: `request_builder` builds the request,
`response_reader` reads the response, and `retry_policy` decides whether to send it again. All calls
of a client share its open state (`open_state`): the pool, the limiter, the rate limiter
(`rate_limiter`) and the retry budget (`retry_budget`).

An attempt first waits until it may send: for the rate limiter, and then for a free place among the
requests in flight. One cancel scope limits the duration of the attempt. A failed attempt is an
error that is returned, not raised: the frames of an exception may hold a response with a secret.
"""

import logging
import math
import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Never, cast

import anyio
import attrs
import httpx

from losant_tokens._api.models import Success
from losant_tokens._api.operations import Operation
from losant_tokens._calls.exchange import exchange
from losant_tokens._calls.open_state import OpenState, closed_error
from losant_tokens._calls.token_renewal import Authorization, ClientToken
from losant_tokens._http.body_reader import ReceivedResponse
from losant_tokens._http.raw_response import RawResponse, request_id, safe_headers
from losant_tokens._http.response_reader import read_response
from losant_tokens._retries.retry_policy import (
    FailureKind,
    RetryPolicy,
    classify,
    delay_before_retry,
    finite_or_inf,
    may_have_arrived,
    may_retry,
)
from losant_tokens._transports.base_pool import Pool
from losant_tokens._transports.failures import Failure, without_frames
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import (
    ClientStateError,
    LosantError,
    NotFound,
    RequestTimeout,
    ResponseError,
    TooManyRequests,
    TransportError,
    Unauthorized,
)

if TYPE_CHECKING:
    # These are imported only if there are observers, and at the first failure.
    from losant_tokens._retries.stamina_switches import Switches
    from losant_tokens._telemetry.observers import CallWatch

_log = logging.getLogger("losant_tokens")
# Without a handler, Python would print the bare lines to the standard error of an application that
# configures no logging: https://docs.python.org/3/howto/logging.html#library-config
_log.addHandler(logging.NullHandler())

_CONNECT_FIRST = 0.1
"""The difference between the timeout of an attempt and that of its connection, in seconds, or as a
share if that is less. So a connection that is too slow is reported as such: nothing was sent.
"""

_SHORTAGE = (
    "%s: %s. Too many calls of this client fail. Until the API responds, most retries are not sent"
)
_ID = "$.id"  # the path of an id that is missing or wrong


@attrs.define(eq=False)
class Call:
    """One call with all of its attempts.

    Attributes:
        state: The open state of the client.
        operation: The operation.
        request: The request to send.
        timeout: The maximum duration of one attempt, in seconds.
        policy: How often the request is sent, and how long the call may take.
        secrets: The secrets in the request, which a server may repeat in an error.
        token: The token of the client, which may change before an attempt.
        authorization: The token that the request carries.
        started_at: When the call was awaited, by the event loop's clock.
        attempt: The number of attempts that were sent.
        outcome: The outcome of the latest attempt, for the log.
        failure: The error of the latest attempt.
        may_have_arrived: Whether any failed attempt may have been carried out.
        received: The response to the latest attempt that had one.
        elapsed: The duration of that attempt, in seconds.
    """

    state: OpenState
    operation: Operation[Any]
    request: httpx.Request
    timeout: float
    policy: RetryPolicy
    secrets: list[Secret] = attrs.field(repr=False)
    token: ClientToken
    authorization: Authorization
    started_at: float
    attempt: int = 0
    outcome: str = "cancelled"
    failure: LosantError | None = None
    may_have_arrived: bool = False
    received: ReceivedResponse | None = attrs.field(default=None, repr=False)
    elapsed: float = 0.0
    _watch: "CallWatch | None" = None  # reports the steps of the call, if anyone wants to know
    _deadline: float = math.inf
    _counted: int = 0  # attempts that the policy counts: all but those that met a 429
    _refusals: int = 0  # 429s in a row
    _has_replaced_token: bool = False  # after a 401
    _was_in_doubt: bool = False  # whether an attempt before the latest may have been carried out

    def __reduce__(self) -> Never:
        raise TypeError("A call cannot be pickled or copied: it holds the API token.")

    async def result(self) -> Any:
        """Return the model of the response, or raise the error of the last attempt.

        Raises:
            LosantError: The call failed.
        """
        self._deadline = self.started_at + finite_or_inf(self.policy.deadline)
        state = self.state
        state.calls += 1
        if state.observers is not None:
            self._watch = state.observers.watch(self.operation, self.request, state.base_url)
        try:
            found = await self._attempt()
            if isinstance(found, LosantError) and may_retry(self.request.method, found):
                found = await self._retry(found)
        except BaseException as error:
            if self._watch is not None:
                self._watch.ended(error)
            raise
        finally:
            state.end_call()
        if self._watch is not None:
            self._watch.ended(found if isinstance(found, LosantError) else None)
        if isinstance(found, LosantError):
            if self.may_have_arrived and isinstance(found, TransportError):
                # An earlier attempt is ambiguous, even if the last one is not.
                found.ambiguous = True
            # The frames of the traceback are those of earlier attempts.
            raise found.with_traceback(None)
        return found

    async def raw_result(self) -> RawResponse[Any]:
        """Return the response with its model, or raise the error of the last attempt.

        Raises:
            LosantError: The call failed.
        """
        result = await self.result()
        received = cast("ReceivedResponse", self.received)
        headers = safe_headers(received.headers, self.secrets)
        return RawResponse(
            operation=self.operation.name,
            status_code=received.status_code,
            request_id=request_id(headers),
            attempts=self.attempt,
            elapsed=timedelta(seconds=self.elapsed),
            headers=headers,
            content=received.content,
            result=result,
        )

    # --- Retries -----------------------------------------------------------------------------

    async def _retry(self, error: LosantError) -> Any:
        """Send the request until it succeeds or the policy gives up; return a model or an error.

        Args:
            error: The error of the first attempt.
        """
        mode = _switches()
        found: Any = error
        try:
            while isinstance(found, LosantError):
                delay = self._backoff(found, mode)
                if delay is None:
                    break
                found = await self._next_attempt(found, delay, is_testing=mode.is_testing)
        except ClientStateError as closed:
            # A request may be reported as not sent only if it certainly did not arrive.
            return self.failure if self.may_have_arrived else closed
        return found

    def _backoff(self, error: LosantError, mode: "Switches") -> float | None:
        """Return the seconds to wait before the next attempt, or `None` to give up."""
        is_refusal = isinstance(error, TooManyRequests)
        delay = delay_before_retry(
            self.policy,
            self.request.method,
            error,
            attempt=self._refusals if is_refusal else self._counted,
            elapsed=self.state.now() - self.started_at,
            random=random.random,
            in_doubt=self._was_in_doubt,
        )
        if delay is None or self.state.is_closed or not mode.is_active:
            return None
        if mode.attempts is None:
            return delay
        return 0.0 if self.attempt < mode.attempts else None

    def _report_retry(self, error: LosantError, delay: float) -> None:
        """Log one line about the next attempt, such as `userApiToken.get: 503, attempt 2 of 4`."""
        number = f"{self._counted + 1} of {self.policy.attempts}"
        if isinstance(error, TooManyRequests):
            # A refusal costs time, not attempts. The rate limiter may require a longer wait.
            number = f"{self.attempt + 1}"
            if self.policy.follow_rate_limit:
                delay = max(delay, self.state.rate_limiter.pause_left)
        _log.warning("%s: %s, attempt %s in %.1f s", self.operation, self.outcome, number, delay)
        if self._watch is not None:
            self._watch.retrying(self.attempt + 1, self.outcome, error, delay)

    async def _sleep(self, seconds: float) -> bool:
        """Wait before an attempt; return `False` if the client was closed meanwhile."""
        with self.state.scope() as scope:
            # Closing the client cancels the scope.
            self.state.waiting.add(scope)
            try:
                await anyio.sleep(seconds)
            finally:
                self.state.waiting.discard(scope)
            return True
        return False

    async def _next_attempt(self, error: LosantError, delay: float, *, is_testing: bool) -> Any:
        """Wait, and send again if the retry budget allows it; if not, count a failed attempt.

        A retry is reported before the delay only if it will be sent.

        Args:
            error: The error of the last attempt.
            delay: The delay in seconds.
            is_testing: Whether retries need no budget, as after a 429.

        Raises:
            ClientStateError: The client was closed meanwhile.
        """
        budget = self.state.budget
        needs_budget = not is_testing and not isinstance(error, TooManyRequests)
        has_reserved = needs_budget and budget.reserve()
        is_allowed = has_reserved or not needs_budget
        if is_allowed:
            self._report_retry(error, delay)
        elif budget.report_shortage():
            _log.warning(_SHORTAGE, self.operation, self.outcome)
        has_waited = False
        try:
            has_waited = await self._sleep(delay)
        finally:
            if has_reserved and not has_waited:
                budget.give_back()
        if not has_waited:
            raise closed_error()
        if not is_allowed:
            if not budget.take(self.state.now()):
                self._counted += 1
                return self.failure
            self._report_retry(error, 0.0)
        return await self._attempt()

    # --- One attempt -------------------------------------------------------------------------

    async def _attempt(self) -> Any:
        """Send the request once; return the model of the response, or an error.

        Raises:
            ClientStateError: The client was closed before the request was sent.
        """
        state = self.state
        if not self._may_send_now():
            waiting = self._wait_to_send() if self._watch is None else self._wait_and_report()
            if not await waiting:
                return self._not_sent()
        try:
            sent_at = state.now()
            seconds = min(self.timeout, self._deadline - sent_at)
            if seconds <= 0:
                return self._not_sent()
            if self.authorization is not self.token.current and (problem := self._sign_again()):
                return problem
            self.attempt += 1
            if self._watch is not None or _log.isEnabledFor(logging.DEBUG):
                found = await self._send_and_report(seconds)
            else:
                found = await self._send(seconds)
        finally:
            state.limiter.release()
        if isinstance(found, LosantError):
            self._record_failure(found, sent_at)
            if isinstance(found, NotFound) and found.is_from_api and self._may_have_deleted():
                return Success() if self.operation.result is Success else {"success": True}
            if isinstance(found, Unauthorized) and self.operation.needs_token:
                return await self._after_401(found, sent_at)
            self.failure = found
            self._was_in_doubt = self.may_have_arrived
            self.may_have_arrived |= may_have_arrived(found)
        elif self.policy.follow_rate_limit:
            self._record_response(sent_at)
        return found

    def _sign_again(self) -> LosantError | None:
        """Use the current token of the client; return why the server is certain to refuse it."""
        if not self.operation.needs_token:
            return None
        if self.token.scope_check == "enforce" and (problem := self.token.problem(self.operation)):
            # A request may be reported as not sent only if it certainly did not arrive.
            return self.failure if self.may_have_arrived else problem
        self.authorization = self.token.current
        self.authorization.endpoint.sign(self.request)
        self.secrets.append(cast("Secret", self.authorization.credential.secret))
        return None

    async def _after_401(self, error: Unauthorized, sent_at: float) -> Any:
        """Send the request with another token if there is one, once in a call.

        Args:
            error: The error of the attempt.
            sent_at: When it was sent.

        Raises:
            ClientStateError: The client was closed.
        """
        if self._has_replaced_token:
            self.token.record_refusal(self.authorization)
            return error
        self._has_replaced_token = True
        found = await self.token.replace(self.state, self.authorization, sent_at, self._deadline)
        if isinstance(found, LosantError):
            return found
        if not found:
            return error
        _log.warning("%s: 401, attempt %d with another token", self.operation, self.attempt + 1)
        if self._watch is not None:
            self._watch.retrying(self.attempt + 1, self.outcome, error, 0.0)
        self.failure = error
        return await self._attempt()

    def _may_have_deleted(self) -> bool:
        """Return whether the token may be gone because an earlier attempt deleted it."""
        return self.request.method == "DELETE" and self.may_have_arrived

    def _record_failure(self, error: LosantError, sent_at: float) -> None:
        follows_rate_limit = self.policy.follow_rate_limit
        if isinstance(error, TooManyRequests):
            self._refusals += 1
            mode = _switches()
            if follows_rate_limit and mode.is_active and not mode.is_testing:
                self.state.rate_limiter.record_rate_limit(sent_at, error.retry_after)
            return
        self._counted += 1
        self._refusals = 0
        if follows_rate_limit and classify(error) is FailureKind.FINAL:
            self._record_response(sent_at)

    def _record_response(self, sent_at: float) -> None:
        """Record that the API is up and accepts requests."""
        self.state.rate_limiter.record_response(sent_at)
        if not self.state.budget.is_full:
            self.state.budget.record_response(is_retry=self.attempt > 1)

    # --- Waiting to send ---------------------------------------------------------------------

    def _may_send_now(self) -> bool:
        """Take a place if one is free and the rate is not limited; return whether that worked."""
        is_limited = self.policy.follow_rate_limit and self.state.rate_limiter.is_limited
        return not is_limited and self.state.limiter.acquire_nowait()

    async def _wait_and_report(self) -> bool:
        """Wait as `_wait_to_send` does, and report the beginning and the end."""
        watch = cast("CallWatch", self._watch)
        watch.wait_began()
        try:
            return await self._wait_to_send()
        finally:
            watch.wait_ended()

    async def _wait_to_send(self) -> bool:
        """Wait for the rate limiter and a free place; return `False` at the deadline."""
        rate_limiter, limiter = self.state.rate_limiter, self.state.limiter
        while True:
            is_limited = self.policy.follow_rate_limit and rate_limiter.is_limited
            if is_limited and not await self._wait_for_rate():
                return False
            if not await limiter.acquire(self._deadline):
                return False
            # The server may have refused another request since, and then this one waits as well.
            if not self.policy.follow_rate_limit or rate_limiter.may_send(has_acquired=is_limited):
                return True
            limiter.release()

    async def _wait_for_rate(self) -> bool:
        with self.state.scope(deadline=self._deadline) as scope:
            self.state.waiting.add(scope)
            try:
                return await self.state.rate_limiter.acquire(self._deadline)
            finally:
                self.state.waiting.discard(scope)
        return False

    def _not_sent(self) -> LosantError:
        """Return the error for a deadline that passed before the request could be sent.

        Raises:
            ClientStateError: The client was closed.
        """
        self.outcome = "not sent"
        self.state.check_open()
        if self.failure is not None:
            return self.failure
        seconds = f"the deadline of {self.policy.deadline:g} seconds"
        rate_limiter = self.state.rate_limiter
        if self.policy.follow_rate_limit and rate_limiter.rate.was_refused:
            return TooManyRequests(
                f"{self._subject}: not sent, because the server refused earlier requests of this "
                f"client with 429, and the wait would exceed {seconds}. Send fewer requests, or "
                f"raise the deadline of the RetryPolicy.",
                status_code=429,
                operation=self.operation.name,
                retry_after=rate_limiter.pause_left or None,
            )
        if self.policy.follow_rate_limit and rate_limiter.maximum is not None:
            problem = (
                f"rate_limit={rate_limiter.maximum:g} allows no earlier request. Raise rate_limit, "
                f"or the deadline of the RetryPolicy."
            )
        else:
            problem = (
                "all connections were in use. Raise the deadline of the RetryPolicy, or "
                "max_connections."
            )
        return RequestTimeout(
            f"{self._subject}: not sent within {seconds}, because {problem}",
            operation=self.operation.name,
            ambiguous=False,
        )

    # --- Sending and receiving ---------------------------------------------------------------

    async def _send_and_report(self, seconds: float) -> Any:
        """Send the request as `_send` does; report it, and log a line without query and body."""
        watch = self._watch
        began = time.perf_counter()
        self.outcome, self.received = "cancelled", None
        if watch is not None:
            watch.sending(self.attempt)
        found: Any = None
        try:
            found = await self._send(seconds)
            return found
        finally:
            elapsed = time.perf_counter() - began
            url, _, _ = str(self.request.url).partition("?")
            _log.debug(
                "%s %s -> %s in %.1f ms, attempt %d",
                self.request.method,
                url.removeprefix(self.state.base_url),
                self.outcome,
                elapsed * 1000,
                self.attempt,
            )
            if watch is not None:
                received = cast("ReceivedResponse | None", self.received)
                status = None if received is None else received.status_code
                watch.received(self.attempt, self.outcome, status, found, elapsed)

    async def _send(self, seconds: float) -> Any:
        """Send the request and read the response within a timeout; return a model or an error."""
        seconds = finite_or_inf(seconds)
        connect = seconds if math.isfinite(seconds) else None
        self.request.extensions["timeout"] = {"connect": connect, "pool": connect}
        # One scope limits the whole attempt. The timeouts of httpx are for each read, so a server
        # that sends a byte now and then would never exceed them. It is not `asyncio.timeout`: if
        # httpcore is in a task group of anyio, and the caller's own scope ends at the same time,
        # that would leave a cancellation that nobody catches.
        began = self.state.now()
        deadline = began + seconds + min(_CONNECT_FIRST, seconds / 10)
        with self.state.scope(deadline=deadline) as scope:
            self.state.in_flight.add(scope)
            try:
                received = await self._exchange(began)
                if not isinstance(received, ReceivedResponse):
                    return received
                self.received, self.elapsed = received, self.state.now() - began
                # A long list is read in steps, so the scope limits that as well.
                return await self._read(received)
            finally:
                self.state.in_flight.discard(scope)
        if self.state.has_broken_off:
            problem = "no response before the client was closed"
            return self._failed("broken off", TransportError, problem)
        return self._failed("timed out", RequestTimeout, f"no response within {seconds:g} seconds")

    async def _exchange(self, began: float) -> ReceivedResponse | LosantError:
        """Send and receive. A traceback that leaves this method has no frame below it."""
        try:
            found = await exchange(
                self.state, self.operation, self.request, self.secrets, began=began
            )
        except (LosantError, AssertionError):
            # The client was closed, or a mock in a user's test was not meant to be called.
            raise
        except Exception as error:  # noqa: BLE001 -- each becomes one of our errors
            failure = Failure.of(error)
        except BaseException as error:  # noqa: BLE001
            raise without_frames(error)  # noqa: B904 -- it is the same exception
        else:
            is_unreadable = isinstance(found, ResponseError)
            self.outcome = f"{found.status_code}{', unreadable' if is_unreadable else ''}"
            return found
        return self._failed(failure.outcome, failure.kind, failure.text)

    async def _read(self, response: ReceivedResponse) -> Any:
        state = self.state
        found = await read_response(
            self.operation,
            self.request,
            response,
            state.codec,
            self.secrets,
            state.max_response_size,
        )
        is_mixed_up = isinstance(found, ResponseError) and found.path == _ID
        if is_mixed_up and not state.is_closed and isinstance(state.pool, Pool):
            # The pool may have mixed up the responses of its connections.
            state.pool.keeps_connections = False
        return found

    def _failed(self, outcome: str, kind: type[TransportError], problem: str) -> TransportError:
        self.outcome = outcome
        return kind(f"{self._subject}: {problem}", operation=self.operation.name)

    @property
    def _subject(self) -> str:
        return f"{self.operation} ({self.state.base_url})"


def _switches() -> "Switches":
    """Return whether retries are on. Imported at the first failure, because most calls succeed."""
    from losant_tokens._retries.stamina_switches import switches  # noqa: PLC0415

    return switches()
