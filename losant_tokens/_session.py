"""A client while it is open: its pool, its checks, and all that its calls share.

`_scopes` and `_credential` decide whether to send at all, `_request` builds the request, and
`_call` sends it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Never, TypeVar, Unpack, cast

import anyio
import attrs
import httpx
from anyio.lowlevel import current_token

from losant_tokens import _validators as validators
from losant_tokens._call import Call, Shared, ask_server_time
from losant_tokens._codec import Codec
from losant_tokens._concurrency_limiter import AsyncioLimiter, TrioLimiter
from losant_tokens._credential import NOT_SENT, Credential, expiry_problem, issuer_problem
from losant_tokens._endpoint import Endpoint
from losant_tokens._eventloop import clock, is_asyncio, loop_finder, scope_class
from losant_tokens._list_changes import Changes
from losant_tokens._operations import Operation
from losant_tokens._options import RequestOptions, check_options
from losant_tokens._pagination import Ahead
from losant_tokens._payloads import Body
from losant_tokens._rate_limiter import RateLimiter
from losant_tokens._request import build_request, time_request
from losant_tokens._response import DEFAULT_MAX_RESPONSE_SIZE
from losant_tokens._retry import ONCE, RetryPolicy
from losant_tokens._retry_budget import RetryBudget
from losant_tokens._scopes import scope_problem
from losant_tokens._secret import Secret
from losant_tokens._server_clock import ServerClock
from losant_tokens._warnings import warn_caller
from losant_tokens.errors import (
    ClientStateError,
    LosantError,
    ScopeError,
    ScopeWarning,
    TokenExpired,
)

R = TypeVar("R")
_is_policy = validators.instance_of(RetryPolicy)
_CLOSING = 10.0  # seconds that closing the pool may take
ScopeCheck = Literal["enforce", "warn", "off"]


@attrs.define(eq=False)
class Session:
    """A client while it is open: sends what its resources ask for, over one pool.

    Attributes:
        endpoint: The address of the API, and the headers of all requests.
        credential: The token, and what is known of it.
        codec: Makes JSON of bodies and models of JSON.
        policy: How often a request is sent, and how long a call may take.
        scope_check: What to do about a token that the server is certain to refuse.
        timeout: How long one attempt may take, in seconds.
        max_connections: The maximum number of requests in flight.
        max_response_size: The largest page of a list that is read, in bytes.
        server_clock: The server's time, as far as its responses show it.
        changes: The changes that this client makes to its lists.
        under_way: Pages that are being read ahead of need.
    """

    endpoint: Endpoint
    credential: Credential
    codec: Codec
    policy: RetryPolicy
    scope_check: ScopeCheck
    timeout: float
    max_connections: int
    max_response_size: int = DEFAULT_MAX_RESPONSE_SIZE
    _pool: httpx.AsyncBaseTransport | None = None
    _find_loop: Callable[[], object] = current_token
    _loop: object = None
    _closed: bool = False
    server_clock: ServerClock = attrs.field(init=False, factory=ServerClock, repr=False)
    changes: Changes = attrs.field(init=False, factory=Changes, repr=False)
    under_way: set[Ahead[Any]] = attrs.field(init=False, factory=set, repr=False)
    _allowed: set[Operation[Any]] = attrs.field(init=False, factory=set, repr=False)
    _shared: Shared = attrs.field(init=False, repr=False)  # of its calls, once it is open

    def __reduce__(self) -> Never:
        raise TypeError("A session cannot be pickled or copied: it holds the API token.")

    # --- Its life ----------------------------------------------------------------------------

    @property
    def state(self) -> Literal["not open", "open", "closed"]:
        """Whether the session was opened, and closed."""
        if self._closed:
            return "closed"
        return "not open" if self._pool is None else "open"

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return 0 if self._loop is None else self.max_connections - self._shared.limiter.free

    async def open(self, pool: httpx.AsyncBaseTransport) -> None:
        """Open a pool to send with, in the event loop that it will belong to.

        Raises:
            ClientStateError: The session was opened before.
            ValidationError: The token would be sent in the clear to another machine.
        """
        if self.state != "not open" or self._loop is not None:
            state = "being opened" if self.state == "not open" else self.state
            raise ClientStateError(
                f"This AsyncClient is {state}: it can be opened once. Make another one."
            )
        self.endpoint.check_security()
        self._find_loop, now = loop_finder(), clock()
        self._loop = self._find_loop()
        self._shared = Shared(
            pool=self.pool,
            is_open=lambda: not self._closed,
            limiter=(AsyncioLimiter if is_asyncio() else TrioLimiter)(self.max_connections),
            now=now,
            scope=scope_class(),
            server_clock=self.server_clock,
            rate_limiter=RateLimiter(now),
            budget=RetryBudget(),
            codec=self.codec,
            base_url=self.endpoint.base_url,
            max_response_size=self.max_response_size,
        )
        try:
            self._pool = await pool.__aenter__()
        except BaseException:
            self._loop = None
            raise
        if self._closed:
            await self.close()
            raise ClientStateError("This AsyncClient was closed while it was being opened.")

    async def close(self) -> None:
        """Close the pool. A cancellation waits until that is done. Closing twice does nothing.

        Requests in flight end as their pool ends them. Calls that have not sent anything yet end
        with a `ClientStateError`.

        Raises:
            ClientStateError: This is not the event loop in which the session was opened.
        """
        if self._loop is not None:
            self._check_loop()
        self._closed = True
        cancelled: BaseException | None = None
        with anyio.move_on_after(_CLOSING, shield=True) as scope:
            while True:
                try:
                    await self._close()
                    break
                except asyncio.CancelledError as error:
                    if scope.cancel_called:  # it takes too long
                        raise
                    cancelled = error  # by the task's own `cancel`, which no scope shields from
        if cancelled is not None:
            raise cancelled

    async def _close(self) -> None:
        if self._loop is not None:
            self._shared.limiter.close()
            for scope in tuple(self._shared.waiting):
                scope.cancel()
        for ahead in tuple(self.under_way):
            await ahead.give_up()
        if self._pool is not None:
            await self._pool.__aexit__()
            self._pool = None

    def pool(self) -> httpx.AsyncBaseTransport:
        """Return the pool to send with.

        Raises:
            ClientStateError: The client is not open.
        """
        if self._closed:
            raise ClientStateError(
                "This AsyncClient is closed: do all calls inside its `async with` block."
            )
        if self._pool is None:
            raise ClientStateError(
                "This AsyncClient is not open: use it in `async with AsyncClient(...) as client:`."
            )
        return self._pool

    def check_usable(self) -> None:
        """Refuse a call that cannot be made.

        Raises:
            ClientStateError: The client is not open, or not in this event loop.
        """
        self.pool()
        self._check_loop()

    def _check_loop(self) -> None:
        try:
            is_here = self._find_loop() == self._loop
        except RuntimeError:  # a loop of another kind, or none
            is_here = False
        if not is_here:
            raise ClientStateError(
                "This AsyncClient was opened in another event loop, and its connections belong to "
                "that one. Open one client in each loop."
            )

    # --- A call ------------------------------------------------------------------------------

    async def call(
        self,
        operation: Operation[R],
        ids: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        **options: Unpack[RequestOptions],
    ) -> R:
        """Check, send and read; retry if that is safe.

        Raises:
            LosantError: Any of the errors in `losant_tokens.errors`, except those of jobs.
            TypeError: There is no such option.
        """
        self.check_usable()
        if (problem := self._problem(operation)) is not None:
            await self._check_token(operation, problem)
        call = self._prepare(operation, ids, query, body, options)
        return cast("R", await call.result())

    async def call_for_next_page(
        self,
        operation: Operation[R],
        ids: Mapping[str, str],
        query: Mapping[str, str],
        **options: Unpack[RequestOptions],
    ) -> R:
        """Read a further page of a list, without the warning that its first page gave.

        Raises:
            LosantError: Anything that `call` raises.
        """
        self.check_usable()
        problem = None if self.scope_check == "warn" else self._problem(operation)
        if problem is not None:
            await self._check_token(operation, problem)
        call = self._prepare(operation, ids, query, None, options)
        return cast("R", await call.result())

    def _prepare(
        self,
        operation: Operation[Any],
        ids: Mapping[str, str] | None,
        query: Mapping[str, str] | None,
        body: Body | None,
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
        self.changes.note(operation, ids or {}, body)
        return self._call(operation, request, timeout, policy, _secrets(self, body))

    def repeated(
        self, operation: Operation[R], ids: Mapping[str, str], body: Body | None = None
    ) -> Callable[[str], Awaitable[R]]:
        """Return a function that uses an operation on a token, with one attempt for each.

        All that is the same for each token is checked and made once. Whether the token in use has
        expired is checked each time.

        Args:
            operation: The operation.
            ids: The ids of its path, except for the last one, which is the token's.
            body: The request body.

        Raises:
            LosantError: It cannot be done to any token.
        """
        self.check_usable()
        if isinstance(problem := self._problem(operation), ClientStateError | ScopeError):
            self._raise_or_warn(problem)

        def once(token_id: str) -> Awaitable[R]:
            return self.call(operation, {**ids, operation.ids[-1]: token_id}, body=body, retry=ONCE)

        return once

    def _call(
        self,
        operation: Operation[Any],
        request: httpx.Request,
        timeout: float,
        policy: RetryPolicy,
        secrets: list[Secret],
    ) -> Call:
        return Call(self._shared, operation, request, timeout, policy, secrets)

    async def _check_token(self, operation: Operation[Any], problem: LosantError) -> None:
        """Report a problem that was found with the token, unless the server's clock refutes it.

        A token looks expired if the clock of this machine is ahead. While no response has shown
        the server's time, a request without the token asks for it.
        """
        if isinstance(problem, TokenExpired) and not self.server_clock.has_response:
            await ask_server_time(self._shared, time_request(self.endpoint))
            refuted = self._problem(operation)
            if refuted is None:
                return
            problem = refuted
        self._raise_or_warn(problem)

    def _raise_or_warn(self, problem: LosantError) -> None:
        if self.scope_check == "enforce" or isinstance(problem, ClientStateError):
            raise problem
        warn_caller(str(problem), ScopeWarning)

    def _problem(self, operation: Operation[Any]) -> LosantError | None:
        """Return why the server is certain to refuse the token; scopes are checked only once."""
        if not operation.needs_token:
            return None
        if self.credential.secret is None:
            return ClientStateError(
                f"{operation} needs an API token: pass one to AsyncClient, or set LOSANT_API_TOKEN."
            )
        if self.scope_check == "off":
            return None
        if operation not in self._allowed:
            problem = issuer_problem(
                self.credential, self.endpoint.host, self._consequence
            ) or scope_problem(operation, self.credential, self._consequence)
            if problem is not None:
                return problem
            self._allowed.add(operation)
        return expiry_problem(self.credential, self.server_clock.now(), self._consequence)

    @property
    def _consequence(self) -> str:
        return NOT_SENT if self.scope_check == "enforce" else "The request is sent anyway."


def _secrets(session: Session, body: Body | None) -> list[Secret]:
    """Return the secrets that a call sends, which a server may repeat in an error."""
    values = attrs.astuple(body, recurse=False) if body is not None else ()
    return [secret for secret in (session.credential.secret, *values) if isinstance(secret, Secret)]
