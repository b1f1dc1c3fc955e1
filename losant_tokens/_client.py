"""`AsyncClient`: opens and closes the connection pool, and holds the resources."""

import os
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Never, Self

import httpx

from losant_tokens import _validators as validators
from losant_tokens._codec import codec
from losant_tokens._credential import read_credential
from losant_tokens._endpoint import Endpoint
from losant_tokens._owner import Owner
from losant_tokens._resources.application import (
    ApplicationApiTokenResource,
    ApplicationApiTokensResource,
)
from losant_tokens._resources.auth import AuthResource
from losant_tokens._resources.instance import InstanceApiTokenResource, InstanceApiTokensResource
from losant_tokens._resources.owner_tokens import OwnerTokens
from losant_tokens._resources.user import (
    UserApiTokenResource,
    UserApiTokensResource,
    UserOauthTokenResource,
    UserOauthTokensResource,
)
from losant_tokens._response import DEFAULT_MAX_RESPONSE_SIZE
from losant_tokens._retry import RetryPolicy
from losant_tokens._scopes import format_scopes
from losant_tokens._secret import Secret
from losant_tokens._session import ScopeCheck, Session
from losant_tokens._transports import httpx_transport
from losant_tokens._transports.base import DEFAULT_MAX_CONNECTIONS, check_max_connections
from losant_tokens._version import __version__
from losant_tokens.errors import ValidationError

API_URL = "https://api.losant.com"
API_VERSION = "^1.31.0"
_DEFAULT_POLICY = RetryPolicy()
_PYTHON = ".".join(map(str, sys.version_info[:3]))
USER_AGENT = f"losant-tokens/{__version__} Python/{_PYTHON}"


class AsyncClient:
    """Every token operation of Losant, as coroutines over one pool of connections.

    Use it as an asynchronous context manager, once, in one event loop. It may be shared by any
    number of tasks.

    Args:
        token: The API token, as a text or a `Secret`. Default: `LOSANT_API_TOKEN`. Without any,
            the client can do nothing but log a user in.
        base_url: Where the API is. Default: `LOSANT_API_URL`, else https://api.losant.com.
        scopes: What the token may do. Default: what its claims say, if anything.
        scope_check: What to do if the server is certain to refuse the token, or the token has
            expired: `enforce` (raise, send nothing), `warn` (warn, and send) or `off`.
        oauth: Whether the token is an OAuth token. Default: what its claims say.
        timeout: How long one attempt may take, in seconds.
        max_connections: The maximum number of requests in flight; other calls wait, in order.
            Default: 20, or as many as the `transport` was made for.
        retry: How often a request is sent, and how long a call may take. A 429 holds for all
            calls of the client, and all of them share one retry budget.
        transport: What to send with: `httpx_transport(...)`, `aiohttp_transport(...)` or any
            other of httpx's kind. The client closes it. Default: `httpx_transport()`. Both
            pools use the proxy and the authorities that the environment names.
        losantdomain: The domain scope of all requests; rarely needed.
        api_version: The version of the API to ask for.
        max_response_size: The largest page of a list that is read, in bytes, decompressed. Of other
            responses, 4 MiB are read, or an eighth of this if that is more. Default: 32 MiB.
        insecure_http: Whether a base URL may be plain http to another host, as for a fake in
            another container. Anyone on the network can then read the token. Without it, such a
            client raises `ValidationError` when it is opened. Default: `LOSANT_INSECURE_HTTP`,
            else False.

    Attributes:
        user_api_token: One token of the user.
        user_api_tokens: The tokens of the user.
        user_oauth_token: One OAuth token of the user.
        user_oauth_tokens: The OAuth tokens of the user.
        application_api_token: One token of an application.
        application_api_tokens: The tokens of an application.
        instance_api_token: One token of an instance.
        instance_api_tokens: The tokens of an instance.
        auth: Logging in.

    Raises:
        ValidationError: An argument cannot be right.

    Example::

        async with AsyncClient() as client:
            async for token in client.user_api_tokens.iter():
                print(token.name, token.expiration_date)
    """

    def __init__(  # noqa: PLR0913 -- settings, all but one by keyword
        self,
        token: str | Secret | None = None,
        *,
        base_url: str | None = None,
        scopes: Iterable[str] | None = None,
        scope_check: ScopeCheck = "enforce",
        oauth: bool | None = None,
        timeout: float = 30.0,
        max_connections: int | None = None,
        retry: RetryPolicy = _DEFAULT_POLICY,
        transport: httpx.AsyncBaseTransport | None = None,
        losantdomain: str | None = None,
        api_version: str = API_VERSION,
        max_response_size: int = DEFAULT_MAX_RESPONSE_SIZE,
        insecure_http: bool | None = None,
    ) -> None:
        # Veiled before anything can raise: the frames of a traceback hold no plain token.
        token = _secret_or_environment(token)
        validators.check_argument(validators.positive_number, "AsyncClient", "timeout", timeout)
        validators.check_argument(
            validators.one_of(("enforce", "warn", "off")), "AsyncClient", "scope_check", scope_check
        )
        validators.check_argument(
            validators.instance_of(RetryPolicy), "AsyncClient", "retry", retry
        )
        validators.check_argument(
            validators.optional(validators.instance_of(httpx.AsyncBaseTransport)),
            "AsyncClient",
            "transport",
            transport,
        )
        validators.check_argument(
            validators.integer(minimum=1), "AsyncClient", "max_response_size", max_response_size
        )
        if max_connections is None:
            max_connections = getattr(transport, "max_connections", DEFAULT_MAX_CONNECTIONS)
        credential = read_credential(token, scopes, oauth)
        self._transport = transport
        self._session = Session(
            endpoint=Endpoint.create(
                base_url or os.environ.get("LOSANT_API_URL") or API_URL,
                token,
                api_version=api_version,
                user_agent=USER_AGENT,
                losantdomain=losantdomain,
                insecure_http=_flag("insecure_http", insecure_http, "LOSANT_INSECURE_HTTP"),
            ),
            credential=credential,
            codec=codec(),
            policy=retry,
            scope_check=scope_check,
            timeout=timeout,
            max_connections=check_max_connections(max_connections),
            max_response_size=max_response_size,
        )
        self.user_api_token = UserApiTokenResource(self._session)
        self.user_api_tokens = UserApiTokensResource(self._session)
        self.user_oauth_token = UserOauthTokenResource(self._session)
        self.user_oauth_tokens = UserOauthTokensResource(self._session)
        self.application_api_token = ApplicationApiTokenResource(self._session)
        self.application_api_tokens = ApplicationApiTokensResource(self._session)
        self.instance_api_token = InstanceApiTokenResource(self._session)
        self.instance_api_tokens = InstanceApiTokensResource(self._session)
        self.auth = AuthResource(self._session)

    def tokens(self, owner: Owner | str) -> OwnerTokens:
        """The tokens of an owner, for code that works for all four kinds of them.

        Args:
            owner: An `Owner`, or the text for one: `user`, `oauth`, `application:ID` or
                `instance:ID`.

        Raises:
            ValidationError: The text names no owner.
        """
        known = owner if isinstance(owner, Owner) else Owner.parse(owner)
        return OwnerTokens(self._session, known)

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return self._session.endpoint.base_url

    @property
    def max_connections(self) -> int:
        """The maximum number of requests in flight."""
        return self._session.max_connections

    @property
    def clock_skew(self) -> timedelta | None:
        """How far the clock of this machine is ahead of the server's; negative if it is behind.

        It is `None` until a response had a usable `Date` header, and exact to about a second.
        """
        return self._session.server_clock.skew

    def server_time(self) -> datetime | None:
        """Return the server's time in UTC, or `None` until a response has shown it."""
        clock = self._session.server_clock
        return None if clock.skew is None else clock.now()

    @property
    def account(self) -> str | None:
        """The claim of the client's token that names its account; `None` if none does.

        It reads `userId 575ec7417ae143cd83dc4a95`. A client cannot check claims: they are hints.
        """
        return self._session.credential.account

    def uses_token(self, token_id: str) -> bool:
        """Whether the client's own token says that this is its id.

        `False` is no proof of the contrary: nothing in a token is documented to be its id.
        """
        return token_id.lower() in self._session.credential.claimed_ids

    @property
    def has_claimed_ids(self) -> bool:
        """Whether the claims of the client's own token hold ids, one of which may be its own."""
        return bool(self._session.credential.claimed_ids)

    async def __aenter__(self) -> Self:
        session = self._session
        pool = self._transport or httpx_transport(max_connections=session.max_connections)
        await session.open(pool)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the pool, as leaving the `async with` block does. Closing twice does nothing.

        A cancellation waits until the pool is closed. Calls that have not sent anything yet raise
        `ClientStateError`.

        Raises:
            ClientStateError: This is not the event loop in which the client was opened.
        """
        await self._session.close()

    def __reduce__(self) -> Never:
        raise TypeError("An AsyncClient cannot be pickled or copied: open one in each process.")

    def __repr__(self) -> str:
        session = self._session
        scopes = session.credential.scopes
        can = "unknown scopes" if scopes is None else f"scopes {format_scopes(scopes)}"
        return (
            f"<AsyncClient {session.endpoint.base_url} {session.state}, "
            f"{session.in_flight} of {session.max_connections} connections in use, "
            f"{can if session.credential.secret else 'no token'}>"
        )


def _secret_or_environment(token: str | Secret | None) -> Secret | None:
    if token is None:
        token = os.environ.get("LOSANT_API_TOKEN") or None
    return None if token is None else Secret.of(token)


_SWITCH = {"1": True, "true": True, "yes": True, "on": True}
_SWITCH |= {"": False, "0": False, "false": False, "no": False, "off": False}


def _flag(name: str, value: bool | None, variable: str) -> bool:
    """Return a flag as given, or else as an environment variable sets it.

    Raises:
        ValidationError: It is neither on nor off.
    """
    if value is None:
        found = _SWITCH.get(os.environ.get(variable, "").strip().lower())
        if found is None:
            raise ValidationError(f"{variable} must be 1 or 0")
        return found
    if not isinstance(value, bool):
        raise ValidationError(
            f"AsyncClient.{name} must be True or False, but it is {validators.describe(value)}"
        )
    return value
