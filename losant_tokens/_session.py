"""A client's session: opens and closes the pool, checks each call, and starts it.

`_scopes` and `_credential` decide whether to send at all, `_request` builds the request, and
`_call` sends it.
"""

import asyncio
import warnings
from collections.abc import Mapping
from typing import Any, Literal, Never, TypeVar, Unpack, cast

import anyio
import attrs
import httpx

from losant_tokens import _validators as validators
from losant_tokens._call import Call, ask_server_time
from losant_tokens._call_options import RequestOptions, check_options
from losant_tokens._codec import Codec
from losant_tokens._credential import NOT_SENT, Credential, expiry_problem, issuer_problem
from losant_tokens._custom_operation import JsonBody
from losant_tokens._endpoint import Endpoint
from losant_tokens._list_changes import Changes
from losant_tokens._open_client import OpenState, closed_error
from losant_tokens._operations import OPERATIONS, Operation
from losant_tokens._pagination import ReadAhead
from losant_tokens._payloads import Body
from losant_tokens._raw_response import RawResponse
from losant_tokens._request import build_request, time_request
from losant_tokens._response import DEFAULT_MAX_RESPONSE_SIZE
from losant_tokens._retry import RetryPolicy
from losant_tokens._scopes import scope_problem
from losant_tokens._secret import Secret
from losant_tokens._server_clock import ServerClock
from losant_tokens._warn_caller import caller_line, warn_caller
from losant_tokens.errors import (
    ClientStateError,
    LosantError,
    ScopeError,
    ScopeWarning,
    TokenExpired,
)

R = TypeVar("R")
_is_policy = validators.instance_of(RetryPolicy)
_MAX_CLOSING = 10.0  # seconds that closing the pool may take
ScopeCheck = Literal["enforce", "warn", "off"]


@attrs.define(eq=False)
class Session:
    """The settings of a client, and its state while it is open.

    Attributes:
        endpoint: The address of the API, and the headers of all requests.
        credential: The token, and its claims.
        codec: Converts models to JSON and back.
        policy: How often a request is sent, and how long a call may take.
        scope_check: What to do with a token that the server is certain to refuse.
        timeout: The maximum duration of one attempt, in seconds.
        max_connections: The maximum number of requests in flight.
        max_response_size: The largest page of a list that is read, in bytes.
        rate_limit: The maximum number of requests per second, or `None`.
        server_clock: Learns the server's time from each response.
        changes: Counts the changes that this client makes to its lists.
        reads_ahead: The pages that are being read ahead.
    """

    endpoint: Endpoint
    credential: Credential
    codec: Codec
    policy: RetryPolicy
    scope_check: ScopeCheck
    timeout: float
    max_connections: int
    max_response_size: int = DEFAULT_MAX_RESPONSE_SIZE
    rate_limit: float | None = None
    server_clock: ServerClock = attrs.field(init=False, factory=ServerClock, repr=False)
    changes: Changes = attrs.field(init=False, factory=Changes, repr=False)
    reads_ahead: set[ReadAhead[Any]] = attrs.field(init=False, factory=set, repr=False)
    _open_state: OpenState | None = attrs.field(init=False, default=None, repr=False)
    _is_opening: bool = attrs.field(init=False, default=False)
    _is_closed: bool = attrs.field(init=False, default=False)
    _opened_at: str | None = attrs.field(init=False, default=None, repr=False)
    _accepted: frozenset[Operation[Any]] = attrs.field(init=False, repr=False)

    @_accepted.default
    def _operations_without_a_lasting_problem(self) -> frozenset[Operation[Any]]:
        """Return the operations for which only the expiration of the token can be a problem.

        They are found once and not at each call. That saves 3 of the 190 microseconds of CPU time
        that a request takes over aiohttp's pool (benchmark row "CPU per request, 100 in flight").
        """
        return frozenset(
            operation for operation in OPERATIONS if self._lasting_problem(operation) is None
        )

    def __reduce__(self) -> Never:
        raise TypeError("A session cannot be pickled or copied: it holds the API token.")

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
        )
        if self._is_closed:
            await self.close()
            raise ClientStateError(
                "This AsyncClient was closed while it was being opened. Create a new one."
            )

    async def close(self, drain: float = 0.0) -> None:
        """Close the pool. A cancellation waits until that is done. Closing twice does nothing.

        New calls raise `ClientStateError` at once. The pool decides how the requests end that are
        in flight after `drain` seconds. Calls that wait for something else raise
        `ClientStateError` then.

        Args:
            drain: How long the calls that have begun may continue, in seconds.

        Raises:
            ClientStateError: The session was opened in another event loop.
        """
        if self._open_state is not None:
            self._open_state.check_loop()
        self._is_closed = True
        try:
            if self._open_state is not None and drain > 0:
                await self._open_state.drain(drain)
        finally:
            await self._close_now()

    async def _close_now(self) -> None:
        cancelled: BaseException | None = None
        with anyio.move_on_after(_MAX_CLOSING, shield=True) as scope:
            while True:
                try:
                    await self._close()
                    break
                except asyncio.CancelledError as error:
                    if scope.cancel_called:  # closing takes too long
                        raise
                    cancelled = error  # by `Task.cancel`, which no scope shields from
        if cancelled is not None:
            raise cancelled

    async def _close(self) -> None:
        if self._open_state is not None:
            self._open_state.stop_waiting()
        for page in tuple(self.reads_ahead):
            await page.cancel()
        if self._open_state is not None:
            await self._open_state.close_pool()

    def __del__(self) -> None:
        # A session whose arguments were wrong has no attributes.
        if getattr(self, "_open_state", None) is not None and not self._is_closed:
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
            ClientStateError: The session is not open, or was opened in another event loop.
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
        state = self.require_open()
        if (problem := self._problem(operation)) is not None:
            await self._check_token(state, operation, problem)
        return cast("R", await self._new_call(state, operation, ids, query, body, options).result())

    async def call_raw(
        self,
        operation: Operation[R],
        ids: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Body | JsonBody | None = None,
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
        state = self.require_open()
        if (problem := self._problem(operation)) is not None:
            await self._check_token(state, operation, problem)
        return await self._new_call(state, operation, ids, query, body, options).raw_result()

    async def call_for_next_page(
        self,
        operation: Operation[R],
        ids: Mapping[str, str],
        query: Mapping[str, str],
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
        state = self.require_open()
        problem = None if self.scope_check == "warn" else self._problem(operation)
        if problem is not None:
            await self._check_token(state, operation, problem)
        return cast("R", await self._new_call(state, operation, ids, query, None, options).result())

    def _new_call(
        self,
        state: OpenState,
        operation: Operation[Any],
        ids: Mapping[str, str] | None,
        query: Mapping[str, str] | None,
        body: Body | JsonBody | None,
        options: RequestOptions,
    ) -> Call:
        timeout, policy = self.timeout, self.policy
        if options:
            check_options(operation, options)
            if "timeout" in options:
                timeout = options["timeout"]
                validators.check_argument(
                    validators.positive_number, operation.name, "timeout", timeout
                )
            if "retry" in options:
                policy = options["retry"]
                validators.check_argument(_is_policy, operation.name, "retry", policy)
        request = build_request(
            self.endpoint, self.codec, operation, ids or {}, query or {}, body, options
        )
        self.changes.record(operation, ids or {}, body)
        return Call(state, operation, request, timeout, policy, self._secrets(body))

    # --- Checks of the token -----------------------------------------------------------------

    async def _check_token(
        self, state: OpenState, operation: Operation[Any], problem: LosantError
    ) -> None:
        """Report a problem with the token, unless the server's clock refutes it.

        A token looks expired if the clock of this machine is ahead. If no response has shown the
        server's time yet, a request without the token asks for it.
        """
        if isinstance(problem, TokenExpired) and not self.server_clock.has_response:
            await ask_server_time(state, time_request(self.endpoint))
            remaining = self._problem(operation)
            if remaining is None:
                return
            problem = remaining
        self._raise_or_warn(problem)

    def _raise_or_warn(self, problem: LosantError) -> None:
        if self.scope_check == "enforce" or isinstance(problem, ClientStateError):
            raise problem
        warn_caller(str(problem), ScopeWarning)

    def _problem(self, operation: Operation[Any]) -> LosantError | None:
        """Return why the server is certain to refuse the token, or `None`."""
        if operation not in self._accepted and (problem := self._lasting_problem(operation)):
            return problem
        is_checked = operation.needs_token and self.scope_check != "off"
        if not is_checked or self.credential.expires_at is None:
            return None
        return expiry_problem(self.credential, self.server_clock.now(), self._consequence)

    def _lasting_problem(self, operation: Operation[Any]) -> LosantError | None:
        """Return why the server is certain to refuse the token at any time, or `None`."""
        if not operation.needs_token:
            return None
        if self.credential.secret is None:
            return ClientStateError(
                f"{operation} needs an API token: pass one to AsyncClient, or set LOSANT_API_TOKEN."
            )
        if self.scope_check == "off":
            return None
        return issuer_problem(
            self.credential, self.endpoint.url.host, self._consequence
        ) or scope_problem(operation, self.credential, self._consequence)

    @property
    def _consequence(self) -> str:
        """What happens to the request of a token with a problem, for the message."""
        return NOT_SENT if self.scope_check == "enforce" else "The request is sent anyway."

    def scope_problem(self, operation: Operation[Any]) -> ScopeError | None:
        """Return why the server is certain to refuse an operation to the token, or `None`."""
        if self.credential.secret is None or self.scope_check == "off":
            return None
        return scope_problem(operation, self.credential, "")

    def _secrets(self, body: Body | JsonBody | None) -> list[Secret]:
        """Return the secrets that a request contains, which a server may repeat in an error."""
        if isinstance(body, JsonBody):
            values: tuple[object, ...] = body.secrets
        else:
            values = attrs.astuple(body, recurse=False) if body is not None else ()
        sent = (self.credential.secret, *values)
        return [secret for secret in sent if isinstance(secret, Secret)]
