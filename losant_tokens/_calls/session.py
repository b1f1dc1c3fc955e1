"""A client's session: opens and closes the pool, checks each call, and starts it.

`scope_check` and `token_claims` decide whether to send at all, `request_builder` builds the
request, and `call` makes the attempts.
"""

import asyncio
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, Never, TypeVar, Unpack, cast

import anyio
import attrs
import httpx

from losant_tokens._api.codec import Codec
from losant_tokens._api.custom_operation import JsonBody
from losant_tokens._api.operations import Operation
from losant_tokens._api.payloads import Body
from losant_tokens._calls.call import Call
from losant_tokens._calls.exchange import ask_server_time
from losant_tokens._calls.list_change_counter import Changes
from losant_tokens._calls.open_state import OpenState, closed_error
from losant_tokens._calls.pagination import ReadAhead
from losant_tokens._calls.token_renewal import ClientToken
from losant_tokens._credentials.token_claims import Credential
from losant_tokens._http.body_reader import DEFAULT_MAX_RESPONSE_SIZE
from losant_tokens._http.call_options import RequestOptions, check_options
from losant_tokens._http.endpoint import Endpoint
from losant_tokens._http.raw_response import RawResponse
from losant_tokens._http.request_builder import build_request, time_request
from losant_tokens._http.server_clock import ServerClock
from losant_tokens._retries.retry_policy import RetryPolicy, finite_or_inf
from losant_tokens._utils import validators
from losant_tokens._utils.secret import Secret
from losant_tokens._utils.warn_caller import caller_line, warn_caller
from losant_tokens.errors import (
    ClientStateError,
    LosantError,
    ScopeError,
    ScopeWarning,
    TokenExpired,
)

if TYPE_CHECKING:
    from losant_tokens._telemetry.observers import Observers

R = TypeVar("R")
_is_policy = validators.instance_of(RetryPolicy)
_MAX_CLOSING = 10.0  # seconds that closing the pool may take
_MAX_BREAKING_OFF = 1.0  # seconds until the calls that were broken off have ended
ScopeCheck = Literal["enforce", "warn", "off"]


@attrs.define(eq=False)
class Session:
    """The settings of a client, and its state while it is open.

    Attributes:
        token: The token in use, with the headers of requests and the checks that follow from it.
        codec: Converts models to JSON and back.
        policy: How often a request is sent, and how long a call may take.
        timeout: The maximum duration of one attempt, in seconds.
        max_connections: The maximum number of requests in flight.
        max_response_size: The largest page of a list that is read, in bytes.
        rate_limit: The maximum number of requests per second, or `None`.
        observers: Receive the steps of each call, or `None` if there are none.
        changes: Counts the changes that this client makes to its lists.
        reads_ahead: The pages that are being read ahead.
    """

    token: ClientToken
    codec: Codec
    policy: RetryPolicy
    timeout: float
    max_connections: int
    max_response_size: int = DEFAULT_MAX_RESPONSE_SIZE
    rate_limit: float | None = None
    observers: "Observers | None" = attrs.field(default=None, repr=False)
    changes: Changes = attrs.field(init=False, factory=Changes, repr=False)
    reads_ahead: set[ReadAhead[Any]] = attrs.field(init=False, factory=set, repr=False)
    _open_state: OpenState | None = attrs.field(init=False, default=None, repr=False)
    _is_opening: bool = attrs.field(init=False, default=False)
    _is_closed: bool = attrs.field(init=False, default=False)
    _opened_at: str | None = attrs.field(init=False, default=None, repr=False)

    def __reduce__(self) -> Never:
        raise TypeError("A session cannot be pickled or copied: it holds the API token.")

    @property
    def endpoint(self) -> Endpoint:
        """The address of the API, and the headers of requests with the current token."""
        return self.token.current.endpoint

    @property
    def credential(self) -> Credential:
        """The current token, and its claims."""
        return self.token.current.credential

    @property
    def server_clock(self) -> ServerClock:
        """The server's time, which each response shows."""
        return self.token.server_clock

    # --- Opening and closing -----------------------------------------------------------------

    @property
    def state(self) -> Literal["not open", "open", "closed"]:
        """Whether the session was opened or closed."""
        if self._is_closed:
            return "closed"
        return "not open" if self._open_state is None else "open"

    @property
    def in_flight(self) -> int:
        """The number of requests in flight."""
        state = self._open_state
        return 0 if state is None else self.max_connections - state.limiter.free

    async def open(self, pool: httpx.AsyncBaseTransport) -> None:
        """Open a pool in the event loop that it will belong to.

        Args:
            pool: Sends the requests. The session closes it.

        Raises:
            ClientStateError: The session was opened before.
            ValidationError: The token would be sent in the clear to another machine.
        """
        if self._is_opening or self.state != "not open":
            state = "being opened" if self.state == "not open" else self.state
            raise ClientStateError(
                f"This AsyncClient is {state}, and it can be opened only once. Create a new one."
            )
        self.endpoint.check_security()
        self._is_opening = True
        self._opened_at = caller_line()
        try:
            entered = await pool.__aenter__()
        finally:
            self._is_opening = False
        self._open_state = OpenState.create(
            entered,
            codec=self.codec,
            base_url=self.endpoint.base_url,
            max_connections=self.max_connections,
            max_response_size=self.max_response_size,
            server_clock=self.server_clock,
            rate_limit=self.rate_limit,
            observers=self.observers,
        )
        limiter = self._open_state.rate_limiter
        self.token.in_job = lambda: limiter.has_jobs
        if self._is_closed:
            await self.close()
            raise ClientStateError(
                "This AsyncClient was closed while it was being opened. Create a new one."
            )

    async def close(self, drain: float = 0.0) -> None:
        """Close the pool. A cancellation waits until that is done. Closing twice does nothing.

        New calls raise `ClientStateError` at once. Requests in flight are broken off after `drain`
        seconds; without a drain, the pool decides how they end. Calls that wait for something else
        raise `ClientStateError` then.

        Args:
            drain: How long the calls that have begun may continue, in seconds.

        Raises:
            ClientStateError: The session was opened in another event loop or process.
        """
        if self._open_state is not None:
            self._open_state.check_loop()
        self._is_closed = True
        try:
            if self._open_state is not None and drain > 0:
                await self._open_state.drain(drain)
        finally:
            await self._close_now(breaks_off=drain > 0)

    async def _close_now(self, *, breaks_off: bool) -> None:
        cancelled: BaseException | None = None
        with anyio.move_on_after(_MAX_CLOSING, shield=True) as scope:
            while True:
                try:
                    await self._close(breaks_off=breaks_off)
                    break
                except asyncio.CancelledError as error:
                    if scope.cancel_called:  # closing takes too long
                        raise
                    cancelled = error  # by `Task.cancel`, which no scope shields from
        if cancelled is not None:
            raise cancelled

    async def _close(self, *, breaks_off: bool) -> None:
        state = self._open_state
        if state is not None:
            state.stop_waiting()
        for page in tuple(self.reads_ahead):
            await page.cancel()
        await self.token.close()
        if state is not None:
            if breaks_off:
                state.break_off()
                await state.drain(_MAX_BREAKING_OFF)
            await state.close_pool()

    def __del__(self) -> None:
        # A session whose arguments were wrong has no attributes.
        state: OpenState | None = getattr(self, "_open_state", None)
        if state is not None and not self._is_closed and not state.is_forked:
            warnings.warn(
                f"An AsyncClient of {self.endpoint.base_url} was never closed. It was opened at "
                f"{self._opened_at}. Use `async with`, or call `aclose()`.",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def require_open(self) -> OpenState:
        """Return the open state for a call.

        Raises:
            ClientStateError: The session is not open, or was opened in another event loop or
                process.
        """
        if self._is_closed:
            raise closed_error()
        if self._open_state is None:
            raise ClientStateError(
                "This AsyncClient is not open: use it in `async with AsyncClient(...) as client:`, "
                "or call `await client.open()`."
            )
        self._open_state.check_loop()
        return self._open_state

    # --- Calls -------------------------------------------------------------------------------

    async def call(
        self,
        operation: Operation[R],
        ids: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Body | JsonBody | None = None,
        /,
        **options: Unpack[RequestOptions],
    ) -> R:
        """Check and send a request, read the response, and retry if that is safe.

        Args:
            operation: The operation.
            ids: The ids in the path.
            query: The parameters of a list, by their names in the URL.
            body: The request body.
            **options: See `RequestOptions`.

        Raises:
            LosantError: Any of the errors in `losant_tokens.errors`.
            TypeError: There is no such option.
        """
        call = await self._new_call(operation, ids, query, body, options)
        return cast("R", await call.result())

    async def call_raw(
        self,
        operation: Operation[R],
        ids: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Body | JsonBody | None = None,
        /,
        **options: Unpack[RequestOptions],
    ) -> RawResponse[R]:
        """Do the same as `call`, and return the response as well as the result.

        Args:
            operation: The operation.
            ids: The ids in the path.
            query: The parameters of a list, by their names in the URL.
            body: The request body.
            **options: See `RequestOptions`.

        Raises:
            LosantError: Any of the errors in `losant_tokens.errors`.
            TypeError: There is no such option.
        """
        call = await self._new_call(operation, ids, query, body, options)
        return await call.raw_result()

    async def call_for_next_page(
        self,
        operation: Operation[R],
        ids: Mapping[str, str],
        query: Mapping[str, str],
        /,
        **options: Unpack[RequestOptions],
    ) -> R:
        """Read a further page of a list, without repeating the warning about the first page.

        Args:
            operation: The operation.
            ids: The ids in the path.
            query: The parameters of the list, by their names in the URL.
            **options: See `RequestOptions`.

        Raises:
            LosantError: Any error that `call` raises.
        """
        call = await self._new_call(operation, ids, query, None, options, warns=False)
        return cast("R", await call.result())

    def together(self, name: str) -> AbstractContextManager[None]:
        """Return a context whose calls belong together, for observers.

        Args:
            name: The name of what they do, such as `userApiTokens.snapshot`.
        """
        return nullcontext() if self.observers is None else self.observers.together(name)

    async def _new_call(
        self,
        operation: Operation[Any],
        ids: Mapping[str, str] | None,
        query: Mapping[str, str] | None,
        body: Body | JsonBody | None,
        options: RequestOptions,
        *,
        warns: bool = True,
    ) -> Call:
        """Check the token and the arguments of a call, and return it.

        Args:
            operation: The operation.
            ids: The ids in the path.
            query: The parameters of a list, by their names in the URL.
            body: The request body.
            options: See `RequestOptions`.
            warns: Whether to issue a warning about the token.
        """
        state, token = self.require_open(), self.token
        timeout, policy = self._timeout_and_policy(operation, options)
        started_at = state.now()
        if token.source is not None and token.is_due(state, operation):
            await token.prepare(state, started_at + finite_or_inf(policy.deadline))
        if warns or token.scope_check != "warn":
            problem = token.problem(operation)
            if problem is not None:
                await self._raise_or_warn(state, operation, problem)
        authorization = token.current
        request = build_request(
            authorization.endpoint, self.codec, operation, ids or {}, query or {}, body, options
        )
        self.changes.record(operation, ids or {}, body)
        secrets = _secrets(authorization.credential.secret, body)
        return Call(
            state=state,
            operation=operation,
            request=request,
            timeout=timeout,
            policy=policy,
            secrets=secrets,
            token=token,
            authorization=authorization,
            started_at=started_at,
        )

    def _timeout_and_policy(
        self, operation: Operation[Any], options: RequestOptions
    ) -> tuple[float, RetryPolicy]:
        """Return the timeout and the policy of a call: its own, or those of the client."""
        timeout, policy = self.timeout, self.policy
        if not options:
            return timeout, policy
        check_options(operation, options)
        if "timeout" in options:
            timeout = options["timeout"]
            validators.check_argument(
                validators.positive_number, operation.name, "timeout", timeout
            )
        policy = options.get("retry", policy)
        if not isinstance(policy, RetryPolicy):
            validators.check_argument(_is_policy, operation.name, "retry", policy)
        return timeout, policy

    # --- Checks of the token -----------------------------------------------------------------

    async def _raise_or_warn(
        self, state: OpenState, operation: Operation[Any], problem: LosantError
    ) -> None:
        """Report a problem with the token, unless the server's clock refutes it.

        A token looks expired if the clock of this machine is ahead. If no response has shown the
        server's time yet, a request without the token asks for it.
        """
        if isinstance(problem, TokenExpired) and not self.server_clock.has_response:
            await ask_server_time(state, time_request(self.endpoint))
            remaining = self.token.problem(operation)
            if remaining is None:
                return
            problem = remaining
        if self.token.scope_check == "enforce" or isinstance(problem, ClientStateError):
            raise problem
        warn_caller(str(problem), ScopeWarning)

    def scope_problem(self, operation: Operation[Any]) -> ScopeError | None:
        """Return why the server is certain to refuse an operation to the token, or `None`."""
        return self.token.scope_problem(operation)


def _secrets(token: Secret | None, body: Body | JsonBody | None) -> list[Secret]:
    """Return the secrets that a request contains, which a server may repeat in an error."""
    if isinstance(body, JsonBody):
        values: tuple[object, ...] = body.secrets
    else:
        values = attrs.astuple(body, recurse=False) if body is not None else ()
    return [secret for secret in (token, *values) if isinstance(secret, Secret)]
