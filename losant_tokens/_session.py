"""The one place that waits for the network: a turn, a try, an answer, and perhaps another try.

All decisions are made elsewhere by pure functions: `_scopes` and `_credential` say whether to
send at all, `_wire` what is sent and what the answer means, `_retry` whether to try again.
"""

import logging
import math
import random
import time
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, Unpack, cast

import anyio
import attrs
import httpx
from anyio.lowlevel import current_token

from losant_tokens import _limits as limits
from losant_tokens._actions import Action
from losant_tokens._answer import Answer, BodyReader, read_answer
from losant_tokens._bodies import Body
from losant_tokens._codec import Codec
from losant_tokens._credential import Credential, expiry_problem
from losant_tokens._models import Success
from losant_tokens._options import RequestOptions, check_options
from losant_tokens._paging import Ahead
from losant_tokens._retry import RetryPolicy, delay_before_retry, may_have_arrived, may_try_again
from losant_tokens._scopes import refusal
from losant_tokens._secret import Secret
from losant_tokens._wire import Endpoint, build_request
from losant_tokens.errors import (
    ClientStateError,
    ConnectFailed,
    LosantError,
    NotFound,
    RequestTimeout,
    ResponseError,
    ScopeWarning,
    TransportError,
)

R = TypeVar("R")
ScopeCheck = Literal["enforce", "warn", "off"]

_log = logging.getLogger("losant_tokens")

_CONNECT_FIRST = 0.1
"""The seconds by which a try outlasts the pool's own timeout for connecting, so that this, which
knows that nothing was sent, is the one to be heard."""


@attrs.define(eq=False)
class Session:
    """Sends what the resources ask for, over one pool.

    Attributes:
        endpoint: Where requests go, and what all of them carry.
        credential: The token, and what is known of it.
        codec: Makes JSON of bodies and models of JSON.
        policy: How often, and for how long, a call is tried.
        scope_check: What to do about a token that is sure to be refused.
        timeout: How long one try may take, in seconds.
        max_connections: How many requests are in flight at the most.
        under_way: Pages that are being read ahead of need.
    """

    endpoint: Endpoint
    credential: Credential
    codec: Codec
    policy: RetryPolicy
    scope_check: ScopeCheck
    timeout: float
    max_connections: int
    _http: httpx.AsyncClient | None = None
    _loop: object = None
    _closed: bool = False
    under_way: set[Ahead[Any]] = attrs.field(init=False, factory=set, repr=False)
    _turns: anyio.Semaphore = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._turns = anyio.Semaphore(self.max_connections, fast_acquire=True)

    # --- Its life ----------------------------------------------------------------------------

    @property
    def state(self) -> Literal["not open", "open", "closed"]:
        """Where in its life the session is."""
        if self._closed:
            return "closed"
        return "not open" if self._http is None else "open"

    @property
    def in_flight(self) -> int:
        """How many requests are being sent or answered right now."""
        return self.max_connections - self._turns.value

    def open(self, http: httpx.AsyncClient) -> None:
        """Takes an opened client to send with, and the event loop that it belongs to.

        Raises:
            ClientStateError: The session was opened before.
        """
        if self.state != "not open":
            raise ClientStateError(
                f"This AsyncClient is {self.state}: it can be opened once. Make another one."
            )
        self._http, self._loop = http, current_token()

    async def close(self) -> None:
        """Closes the pool. Closing twice does nothing."""
        http, self._http, self._closed = self._http, None, True
        for ahead in tuple(self.under_way):
            await ahead.give_up()
        if http is not None:
            await http.aclose()

    def http(self) -> httpx.AsyncClient:
        """What to send with.

        Raises:
            ClientStateError: The client is not open, or not in this event loop.
        """
        if self._http is None:
            raise ClientStateError(
                "This AsyncClient is closed: do all calls inside its `async with` block."
                if self._closed
                else "This AsyncClient is not open: use it in `async with AsyncClient(...) as "
                "client:`."
            )
        if current_token() != self._loop:
            raise ClientStateError(
                "This AsyncClient was opened in another event loop, and its connections belong to "
                "that one. Open one client in each loop."
            )
        return self._http

    # --- A call ------------------------------------------------------------------------------

    async def call(
        self,
        action: Action[R],
        ids: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        **options: Unpack[RequestOptions],
    ) -> R:
        """Does an action: checks, sends, waits, reads, and tries again where that is safe.

        Raises:
            LosantError: Any of the tree.
            TypeError: There is no such option.
        """
        self.http()
        check_options(action, options)
        timeout = options.get("timeout", self.timeout)
        limits.check(limits.positive, action.name, "timeout", timeout)
        policy = options.get("retry", self.policy)
        limits.check(limits.instance_of(RetryPolicy), action.name, "retry", policy)
        self._check_token(action)
        request = build_request(
            self.endpoint, self.codec, action, ids or {}, query or {}, body, options
        )
        call = _Call(self, action, request, timeout, policy, _secrets(self, body))
        return cast("R", await call.result())

    def _check_token(self, action: Action[Any]) -> None:
        if not action.needs_token:
            return
        if self.credential.secret is None:
            raise ClientStateError(
                f"{action} needs an API token: pass one to AsyncClient, or set LOSANT_API_TOKEN."
            )
        if self.scope_check == "off":
            return
        problem = expiry_problem(self.credential, datetime.now(UTC)) or refusal(
            action, self.credential
        )
        if problem is None:
            return
        if self.scope_check == "enforce":
            raise problem
        told = str(problem).replace(" Nothing was sent.", " It is sent all the same.")
        warnings.warn(told, ScopeWarning, stacklevel=4)  # the caller of the resource's method


@attrs.define(eq=False)
class _Call:
    """One call with all of its tries."""

    session: Session
    action: Action[Any]
    request: httpx.Request
    timeout: float
    policy: RetryPolicy
    secrets: list[Secret] = attrs.field(repr=False)
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
        async with self.session._turns:  # noqa: SLF001 -- the session's own call
            self.attempt += 1
            if self.failure is None:
                self.began = time.monotonic()
            limit = min(self.timeout, self.policy.deadline - self._elapsed())
            if self.failure is not None and limit <= 0:
                return self.failure  # the time was up before it had its turn again
            found = await self._send(limit)
        if isinstance(found, NotFound) and self._has_deleted():
            return Success()
        if isinstance(found, LosantError):
            self.failure = found
            self.may_have_arrived |= may_have_arrived(found)
        return found

    def _elapsed(self) -> float:
        return time.monotonic() - self.began

    def _has_deleted(self) -> bool:
        """Whether an earlier try may be the reason why there is nothing left to delete."""
        return self.request.method == "DELETE" and self.may_have_arrived

    async def _send(self, limit: float) -> Any:
        connect = limit if math.isfinite(limit) else None
        self.request.extensions["timeout"] = {"connect": connect, "pool": connect}
        found: Any = None
        # All of the try is under one timeout: httpx's own are for each read, and a server that
        # sends a byte now and then would never meet them.
        with anyio.move_on_after(limit + _CONNECT_FIRST) as scope:
            found = await self._exchange()
        if scope.cancelled_caught:
            return self._failed("timed out", RequestTimeout, f"no answer within {limit:g} seconds")
        return found

    async def _exchange(self) -> Any:
        try:
            response = await self.session.http().send(self.request, stream=True)
            try:
                reader = BodyReader(response.headers.get("content-encoding", ""))
                async for part in response.stream:  # type: ignore[union-attr]  # an async client's
                    if problem := reader.feed(part):
                        return self._unreadable(response, problem)
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return self._failed("not connected", ConnectFailed, "could not connect", error)
        except (httpx.ProxyError, httpx.UnsupportedProtocol) as error:
            return self._failed("not connected", ConnectFailed, "could not connect", error)
        except httpx.TimeoutException as error:
            return self._failed("timed out", RequestTimeout, "no answer in time", error)
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            return self._failed("broken off", TransportError, "the connection broke off", error)
        self.outcome = str(response.status_code)
        answer = Answer(response.status_code, response.headers, reader.content())
        return read_answer(self.action, self.request, answer, self.session.codec, self.secrets)

    def _failed(
        self, outcome: str, kind: type[TransportError], what: str, error: Exception | None = None
    ) -> TransportError:
        self.outcome = outcome
        why = f": {str(error) or type(error).__name__}" if error else ""
        return kind(
            f"{self.action} ({self.session.endpoint.base_url}): {what}{why}",
            action=self.action.name,
        )

    def _unreadable(self, response: httpx.Response, problem: str) -> ResponseError:
        self.outcome = f"{response.status_code}, unreadable"
        return ResponseError(
            f"{self.action}: the answer {problem} (status {response.status_code})",
            action=self.action.name,
            status_code=response.status_code,
        )


def _secrets(session: Session, body: Body | None) -> list[Secret]:
    """What a server is told in confidence by a call, and may say again in an error."""
    values = attrs.astuple(body, recurse=False) if body is not None else ()
    return [secret for secret in (session.credential.secret, *values) if isinstance(secret, Secret)]
