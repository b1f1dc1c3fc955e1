"""The token of a client, which can change while the client is open.

The problem: an application runs for months, and its token is rotated meanwhile. Calls that are
already waiting must use the new token, and a hundred calls that meet a 401 at once must not ask for
a hundred tokens.

The approach: `ClientToken.current` is the token in use, with the headers and the checks that follow
from it. Each attempt compares it with the token that its request carries, and replaces that if it
has changed. A caller may pass an async function that returns tokens. It is called if there is
no token yet, shortly before the token expires, and after a 401. All calls that need a token at that
time wait for one call of the function. A call that was sent before the latest token was asked for
uses the outcome of that, instead of asking again.

A function that fails, or that returns a token that is not better, must not be called for each call
of a busy client. So after such an outcome, the next call of the function begins a little later, up
to a second, and the calls of the client wait for it as for any other.

Rejected: a lock around the function, because the caller that holds it may be cancelled; asking in
regular intervals, because it needs a task for as long as the client is open.
"""

import logging
import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Never

import attrs

from losant_tokens._api.operations import TOKEN_OPERATIONS, Operation
from losant_tokens._calls.open_state import OpenState
from losant_tokens._calls.token_source import SourceCall, TokenSource
from losant_tokens._credentials.scope_check import scope_problem
from losant_tokens._credentials.token_claims import (
    NOT_SENT,
    Credential,
    expiry_problem,
    issuer_problem,
    read_credential,
    same_account,
)
from losant_tokens._http.endpoint import Endpoint
from losant_tokens._http.server_clock import ServerClock
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import (
    ClientStateError,
    LosantError,
    ScopeError,
    TokenUnavailable,
    ValidationError,
)

_log = logging.getLogger("losant_tokens")

_MARGIN = timedelta(seconds=60)  # before a token expires, when the next one is asked for
_SHARE_OF_LIFE = 10  # or this share of its life before it expires, if that is later
_PAUSE = 5.0  # seconds between two calls without a better token, while the earlier one is valid
_MAX_BACKOFF = 1.0  # seconds between two such calls otherwise
_FIRST_BACKOFF = 0.1  # seconds after the first of them; doubled by each further one
_MAX_FAILURES = 10  # that are counted


@attrs.frozen(eq=False)
class Authorization:
    """A token, and everything about requests that follows from it.

    Attributes:
        credential: The token, and its claims.
        endpoint: The base URL, and the headers of requests with this token.
        accepted: The operations on tokens for which only the expiration of the token can be a
            problem. They are found once and not at each call. That saves 3 of the 190 microseconds
            of CPU time that a request takes over aiohttp's pool (benchmark row "CPU per request,
            100 in flight").
        due_at: When to ask for the next token, by the server's clock, or `None`.
    """

    credential: Credential
    endpoint: Endpoint
    accepted: frozenset[Operation[Any]] = attrs.field(repr=False)
    due_at: datetime | None = None


@attrs.define(eq=False)
class ClientToken:
    """The token of a client.

    Attributes:
        current: The token in use.
        scope_check: What to do with a token that the server is certain to refuse.
        server_clock: The server's time.
        source: Returns the current token, or `None` if the token does not change by itself.
        scopes: The scopes that the caller has passed for the tokens of the source.
        oauth: Whether they are OAuth tokens, if the caller has said so.
        in_job: Returns whether a job is running with this client. A job must not change tokens of
            two accounts, so a token without an account is refused then as well.
        account_changes: The number of times that another token took the place of one, and their
            claims did not show that they are of the same account.
    """

    current: Authorization
    scope_check: str
    server_clock: ServerClock
    source: TokenSource | None = attrs.field(default=None, repr=False)
    scopes: frozenset[str] | None = None
    oauth: bool | None = None
    in_job: Callable[[], bool] = attrs.field(default=lambda: False, repr=False)
    account_changes: int = 0
    _request: SourceCall | None = attrs.field(default=None, repr=False)
    # The latest call of the source that has ended, and when it began by the event loop's clock.
    _asked_at: float = -math.inf
    _problem: str | None = None
    # The number of such calls without a better token.
    _failures: int = 0
    _refused: Authorization | None = attrs.field(default=None, repr=False)

    def __reduce__(self) -> Never:
        raise TypeError("The token of a client cannot be pickled or copied.")

    @classmethod
    def create(
        cls,
        token: Secret | TokenSource | None,
        endpoint: Endpoint,
        *,
        scopes: Iterable[str] | None,
        scope_check: str,
        oauth: bool | None,
        server_clock: ServerClock,
    ) -> "ClientToken":
        """Return the token of a new client.

        Args:
            token: The token, or a function that returns it.
            endpoint: The base URL, and the headers of requests without a token.
            scopes: The scopes of the token. Default: the claimed ones.
            scope_check: What to do with a token that the server is certain to refuse.
            oauth: Whether it is an OAuth token. Default: whether it claims an audience.
            server_clock: The server's time.

        Raises:
            ValidationError: The token or the scopes are invalid.
        """
        secret = token if isinstance(token, Secret) else None
        source = None if isinstance(token, Secret) else token
        credential = read_credential(secret, scopes, oauth)
        created = cls(
            current=Authorization(credential, endpoint, frozenset()),
            scope_check=scope_check,
            server_clock=server_clock,
            source=source,
            scopes=credential.scopes if source is not None else None,
            oauth=oauth,
        )
        created._set(credential)
        return created

    # --- Replacing the token -----------------------------------------------------------------

    def use(
        self, secret: Secret, scopes: Iterable[str] | None = None, *, allow_other_account: bool
    ) -> None:
        """Use another token for all later attempts.

        Args:
            secret: The token.
            scopes: Its scopes. Default: the claimed ones.
            allow_other_account: Whether it may belong to another account.

        Raises:
            ValidationError: The token or the scopes are invalid, or it claims another account.
            IssuerMismatch: Another host has issued the token.
        """
        credential = read_credential(secret, scopes, self.oauth)
        host = self.current.endpoint.url.host
        if self.scope_check == "enforce" and (wrong_host := issuer_problem(credential, host)):
            raise wrong_host
        problem = self._other_account(credential)
        if problem and self.in_job():
            raise ValidationError(
                f"The new token {problem}. It is not used, because a job is running, which would "
                f"change tokens of two accounts. Wait for its end, or open a second client."
            )
        if problem and not allow_other_account:
            raise ValidationError(
                f"The new token {problem}. It is not used. If that is meant, pass "
                f"allow_other_account=True."
            )
        self._set(credential)

    def _set(self, credential: Credential) -> None:
        previous = self.current.credential
        is_replaced = previous.secret not in (None, credential.secret)
        if is_replaced and same_account(previous.account, credential.account) is not True:
            self.account_changes += 1
        endpoint = self.current.endpoint.with_secret(credential.secret)
        self.current = Authorization(
            credential,
            endpoint,
            frozenset(
                operation
                for operation in TOKEN_OPERATIONS
                if self._lasting_problem(operation, credential) is None
            ),
            self._due_at(credential),
        )

    def _due_at(self, credential: Credential) -> datetime | None:
        """Return when to ask for the token after this one."""
        if credential.expires_at is None:
            return None
        life = credential.expires_at - self.server_clock.now()
        return credential.expires_at - min(_MARGIN, max(life, timedelta()) / _SHARE_OF_LIFE)

    def _other_account(self, credential: Credential) -> str | None:
        """Return a message if a token claims another account than the current one, else `None`."""
        account = self.current.credential.account
        if same_account(account, credential.account) is False:
            return f"claims {credential.account}, but the token of this client claims {account}"
        if account is not None and credential.account is None and self.in_job():
            return f"claims no account, but the token of this client claims {account}"
        return None

    # --- Asking the source -------------------------------------------------------------------

    def is_due(self, state: OpenState, operation: Operation[Any]) -> bool:
        """Return whether the source must be asked before an operation.

        Args:
            state: The open state of the client.
            operation: The operation.
        """
        if self.source is None or not operation.needs_token:
            return False
        current = self.current
        if current.credential.secret is None:
            return True
        if current.due_at is None or self.server_clock.now() < current.due_at:
            return False
        has_just_failed = self._failures > 0 and state.now() - self._asked_at < _PAUSE
        return self._is_unusable or not has_just_failed

    async def prepare(self, state: OpenState, deadline: float) -> None:
        """Ask the source for a token.

        Args:
            state: The open state of the client.
            deadline: When to give up, by the event loop's clock.

        Raises:
            ClientStateError: The client was closed.
            TokenUnavailable: The source returned no token, and there is no other that is valid.
        """
        problem = await self._ask(state, deadline)
        if problem is None:
            return
        if self._is_unusable:
            raise TokenUnavailable(problem)

    async def replace(
        self, state: OpenState, refused: Authorization, sent_at: float, deadline: float
    ) -> LosantError | bool:
        """Look for another token after a 401.

        Args:
            state: The open state of the client.
            refused: The token that was refused.
            sent_at: When the request was sent, by the event loop's clock.
            deadline: When to give up, by the event loop's clock.

        Returns:
            Whether `current` is another token now, or the error of the source.

        Raises:
            ClientStateError: The client was closed.
        """
        if self.current is not refused:
            return True
        if self.source is None:
            return False
        if self._asked_at < sent_at:
            problem = await self._ask(state, deadline)
        else:
            problem = self._problem
        if problem is not None:
            return TokenUnavailable(f"The API refused the token with 401. {problem}")
        return self.current is not refused

    def record_refusal(self, refused: Authorization) -> None:
        """Record that the API has refused the token that replaced another one after a 401.

        Args:
            refused: That token.
        """
        if refused is self.current and refused is not self._refused:
            self._refused = refused
            # Its arrival has reduced the number by one.
            self._failures = min(self._failures + 2, _MAX_FAILURES)

    async def close(self) -> None:
        """Cancel a call of the source, and wait until it has ended."""
        if self._request is not None:
            await self._request.cancel()

    async def _ask(self, state: OpenState, deadline: float) -> str | None:
        """Wait for a call of the source; return its problem, or `None`.

        Raises:
            ClientStateError: The client was closed.
        """
        request = self._request
        if request is None or request.is_done:
            wait = self._asked_at + self._backoff() - state.now()
            assert self.source is not None  # noqa: S101 -- only such a token is asked for
            on_end = partial(self._record, self.current)
            request = self._request = SourceCall(self.source, max(wait, 0.0), on_end)
        elif request.is_current:
            return f"{request.name} calls the client that waits for it. Use another client in it."
        state.calls += 1
        try:
            with state.scope(deadline=deadline) as scope:
                state.waiting.add(scope)
                try:
                    await request.done.wait()
                finally:
                    state.waiting.discard(scope)
                return self._problem
        finally:
            state.end_call()
        state.check_open()
        return f"{request.name} did not return a token before the deadline of the call."

    def _backoff(self) -> float:
        """Return how long after the latest call of the source the next one may begin."""
        if not self._failures:
            return 0.0
        return float(min(_FIRST_BACKOFF * 2 ** (self._failures - 1), _MAX_BACKOFF))

    def _record(self, before: Authorization, request: SourceCall, outcome: Secret | str) -> None:
        """Use the outcome of a call of the source.

        Args:
            before: The token in use when the call began.
            request: The call.
            outcome: A token, or a problem.
        """
        self._asked_at = request.began_at
        # A token that the caller has set meanwhile is newer.
        if isinstance(outcome, Secret) and self.current is before:
            outcome = self._accept(outcome, request.name)
        self._problem = outcome if isinstance(outcome, str) else None
        is_better = self.current is not before and not self._is_expired()
        if is_better:
            self._failures = max(self._failures - 1, 0)
        else:
            self._failures = min(self._failures + 1, _MAX_FAILURES)
        if self._problem is not None:
            _log.warning("%s", self._problem)

    def _accept(self, secret: Secret, name: str) -> Secret | str:
        """Use a token of the source; return it, or why it cannot be used."""
        try:
            credential = read_credential(secret, self.scopes, self.oauth)
        except ValidationError as error:
            return f"{name} returned no usable token: {error}"
        if problem := self._other_account(credential):
            return f"{name} returned a token that {problem}. It is not used."
        if secret != self.current.credential.secret:
            self._set(credential)
        return secret

    @property
    def _is_unusable(self) -> bool:
        """Whether no request can be sent with the current token."""
        is_enforced = self.scope_check == "enforce"
        return self.current.credential.secret is None or (is_enforced and self._is_expired())

    def _is_expired(self) -> bool:
        expires_at = self.current.credential.expires_at
        return expires_at is not None and self.server_clock.now() >= expires_at

    # --- Checks ------------------------------------------------------------------------------

    def problem(self, operation: Operation[Any]) -> LosantError | None:
        """Return why the server is certain to refuse the token, or `None`."""
        current = self.current
        if operation not in current.accepted and (
            problem := self._lasting_problem(operation, current.credential)
        ):
            return problem
        is_checked = operation.needs_token and self.scope_check != "off"
        if not is_checked or current.credential.expires_at is None:
            return None
        return expiry_problem(current.credential, self.server_clock.now(), self._consequence)

    def scope_problem(self, operation: Operation[Any]) -> ScopeError | None:
        """Return why the server is certain to refuse an operation to the token, or `None`."""
        credential = self.current.credential
        if credential.secret is None or self.scope_check == "off":
            return None
        return scope_problem(operation, credential, "")

    def _lasting_problem(
        self, operation: Operation[Any], credential: Credential
    ) -> LosantError | None:
        """Return why the server is certain to refuse a token at any time, or `None`."""
        if not operation.needs_token:
            return None
        if credential.secret is None:
            return ClientStateError(
                f"{operation} needs an API token: pass one to AsyncClient, or set LOSANT_API_TOKEN."
            )
        if self.scope_check == "off":
            return None
        host = self.current.endpoint.url.host
        return issuer_problem(credential, host, self._consequence) or scope_problem(
            operation, credential, self._consequence
        )

    @property
    def _consequence(self) -> str:
        """The fate of a request whose token has a problem, for the message."""
        return NOT_SENT if self.scope_check == "enforce" else "The request is sent anyway."
