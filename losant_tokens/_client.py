"""`AsyncClient`: opens and closes the connection pool, and holds the resources."""

import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Never, Self, TypeVar, Unpack, overload

from anyio import to_thread
from attrs import define, field

from losant_tokens._api.codec import codec
from losant_tokens._api.custom_operation import (
    NOTHING,
    HttpMethod,
    QueryValue,
    custom_operation,
    custom_query,
    json_body,
)
from losant_tokens._api.owner import Owner
from losant_tokens._api.published_scopes import Scope
from losant_tokens._calls.session import ScopeCheck, Session
from losant_tokens._calls.token_renewal import ClientToken
from losant_tokens._calls.token_source import TokenSource
from losant_tokens._client_settings import (
    ClientSettings,
    changed_pool_settings,
    check_settings,
    flag,
    observers_of_client,
    token_or_environment,
)
from losant_tokens._credentials.scope_check import format_scopes
from losant_tokens._http.base_url import API_URL
from losant_tokens._http.body_reader import DEFAULT_MAX_RESPONSE_SIZE
from losant_tokens._http.call_options import RequestOptions
from losant_tokens._http.endpoint import Endpoint
from losant_tokens._http.server_clock import ServerClock
from losant_tokens._limits.rate_limiter import RateLimiter
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
from losant_tokens._retries.retry_policy import RetryPolicy
from losant_tokens._transports import Transport, as_httpx_transport, httpx_transport
from losant_tokens._transports.base_pool import DEFAULT_MAX_CONNECTIONS, check_max_connections
from losant_tokens._transports.tls import Verify
from losant_tokens._utils import validators
from losant_tokens._utils.secret import Secret
from losant_tokens._version import __version__
from losant_tokens.errors import ClientStateError

if TYPE_CHECKING:
    from losant_tokens._resources.audit_logs import (
        AuditLogResource,
        AuditLogsResource,
        InstanceAuditLogResource,
        InstanceAuditLogsResource,
    )
    from losant_tokens._resources.owner_lists import (
        ApplicationsResource,
        InstancesResource,
        OrgsResource,
    )
    from losant_tokens._resources.raw import RawClient
    from losant_tokens._telemetry.observers import (
        RequestEvent,
        ResponseEvent,
        RetryEvent,
    )
    from losant_tokens._telemetry.open_telemetry import OpenTelemetry
    from losant_tokens.accounts._account import Account

M = TypeVar("M")
API_VERSION = "^1.31.0"
_DEFAULT_POLICY = RetryPolicy()
_PYTHON = ".".join(map(str, sys.version_info[:3]))
USER_AGENT = f"losant-tokens/{__version__} Python/{_PYTHON}"


class AsyncClient:
    """A client for the token operations of Losant's API, as coroutines over one connection pool.

    Use it as an asynchronous context manager, or call `open` and `aclose`: once, in one event loop.
    Any number of tasks may share it.

    Args:
        token: The API token, or an async function that returns it. The client calls such a
            function when a call needs a token, shortly before the token expires, and after a 401;
            never twice at the same time, and for up to 60 seconds. Default: the environment
            variable `LOSANT_API_TOKEN`, or the private file that `LOSANT_API_TOKEN_FILE` names.
            Without a token, the client can only log in.
        base_url: The address of the API. Default: the environment variable `LOSANT_API_URL`, or
            https://api.losant.com.
        scopes: The scopes of the token. Default: those in its claims, if they name any.
        scope_check: What to do if the server is certain to refuse the token, for example because
            it has expired: `enforce` (raise an error and send nothing), `warn` (issue a
            `ScopeWarning` and send the request) or `off`. Default: `enforce`.
        oauth: Whether the token is an OAuth token. Default: as in its claims.
        timeout: The maximum duration of one attempt, in seconds. Default: 30.
        max_connections: The maximum number of requests in flight. Further calls wait in order.
            Default: that of the `transport`, or 20.
        rate_limit: The maximum number of requests per second, retries and jobs included. Further
            calls wait in order, up to their deadlines. Default: no maximum. The client slows down
            by itself if the server refuses requests with 429.
        retry: How often a request is sent, and how long a call may take. After a 429, all calls of
            the client wait. All calls share one retry budget. Default: `RetryPolicy()`.
        transport: The connection pool: `httpx_transport(...)`, `aiohttp_transport(...)` or another
            transport of httpx or httpx2. The client closes it. Default: `httpx_transport()`.
        proxy: The URL of a proxy for all requests, such as `http://USER:PASSWORD@HOST:PORT`.
            Default: the proxy that `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` names, unless
            `NO_PROXY` lists the host. This argument and the next two are those of the default pool.
            With a `transport`, pass them to `httpx_transport(...)` or `aiohttp_transport(...)`.
        verify: The trusted authorities: a TLS context, or the path of a PEM file or of a folder
            with such files. Default: those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, or else of
            certifi.
        trust_env: Whether to read these variables. Default: True.
        losantdomain: The domain scope of all requests, which few programs need.
        api_version: The version of the API, for the header `Accept-Version`. Default: `^1.31.0`.
        max_response_size: The largest page of a list that is read, in bytes after decompression.
            The limit for other responses is 4 MiB, or an eighth of this value if that is more.
            Default: 32 MiB.
        insecure_http: Whether the base URL may be plain http to another machine, for example to a
            fake server in another container. Anyone on the network can then read the token.
            Otherwise, opening such a client raises `ValidationError`. Default: the environment
            variable `LOSANT_INSECURE_HTTP`, or False.
        on_request: Called with a `RequestEvent` before each attempt. The hooks are plain functions
            that must not block, because they are called in the event loop. If one raises an
            exception, the first one is logged, and the call continues.
        on_response: Called with a `ResponseEvent` after each attempt, with or without a response.
        on_retry: Called with a `RetryEvent` before the delay of each retry.
        telemetry: Whether to report calls to OpenTelemetry, or how. Default: if the application has
            imported opentelemetry before it creates the client. Nothing is recorded until it sets a
            provider of spans or of metrics.

    Raises:
        ValidationError: An argument has a wrong type or value, or both `LOSANT_API_TOKEN` and
            `LOSANT_API_TOKEN_FILE` are set.
        TokenUnavailable: The file that `LOSANT_API_TOKEN_FILE` names cannot be used.

    Example::

        async with AsyncClient() as client:
            async for token in client.user_api_tokens.iter():
                print(token.name, token.expiration_date)
    """

    user_api_token: UserApiTokenResource
    """One API token of the user."""
    user_api_tokens: UserApiTokensResource
    """The API tokens of the user."""
    user_oauth_token: UserOauthTokenResource
    """One OAuth token of the user."""
    user_oauth_tokens: UserOauthTokensResource
    """The OAuth tokens of the user."""
    application_api_token: ApplicationApiTokenResource
    """One API token of an application."""
    application_api_tokens: ApplicationApiTokensResource
    """The API tokens of an application."""
    instance_api_token: InstanceApiTokenResource
    """One API token of an instance."""
    instance_api_tokens: InstanceApiTokensResource
    """The API tokens of an instance."""
    auth: AuthResource
    """Logging in."""

    def __init__(  # noqa: PLR0913 -- settings, all but one by keyword
        self,
        token: str | Secret | TokenSource | None = None,
        *,
        base_url: str | None = None,
        scopes: Iterable[Scope] | None = None,
        scope_check: ScopeCheck = "enforce",
        oauth: bool | None = None,
        timeout: float = 30.0,
        max_connections: int | None = None,
        rate_limit: float | None = None,
        retry: RetryPolicy = _DEFAULT_POLICY,
        transport: Transport | None = None,
        proxy: str | Secret | None = None,
        verify: Verify = None,
        trust_env: bool = True,
        losantdomain: str | None = None,
        api_version: str = API_VERSION,
        max_response_size: int = DEFAULT_MAX_RESPONSE_SIZE,
        insecure_http: bool | None = None,
        on_request: "Callable[[RequestEvent], object] | None" = None,
        on_response: "Callable[[ResponseEvent], object] | None" = None,
        on_retry: "Callable[[RetryEvent], object] | None" = None,
        telemetry: "OpenTelemetry | bool | None" = None,
    ) -> None:
        # Wrap the secrets before anything can raise, so that no traceback holds them in the clear.
        proxy = Secret(proxy) if isinstance(proxy, str) else proxy
        token = token_or_environment(token)
        check_settings(
            timeout=timeout,
            scope_check=scope_check,
            rate_limit=rate_limit,
            retry=retry,
            max_response_size=max_response_size,
        )
        adapted = None if transport is None else as_httpx_transport(transport)
        if max_connections is None:
            max_connections = getattr(transport, "max_connections", DEFAULT_MAX_CONNECTIONS)
        max_connections = check_max_connections(max_connections)
        self._pool_settings = changed_pool_settings(transport, proxy, verify, trust_env)
        if self._pool_settings:
            adapted = httpx_transport(max_connections=max_connections, **self._pool_settings)
        self._transport = adapted
        endpoint = Endpoint.create(
            base_url or os.environ.get("LOSANT_API_URL") or API_URL,
            None,
            api_version=api_version,
            user_agent=USER_AGENT,
            losantdomain=losantdomain,
            insecure_http=flag("insecure_http", insecure_http, "LOSANT_INSECURE_HTTP"),
        )
        self._session = Session(
            token=ClientToken.create(
                token,
                endpoint,
                scopes=scopes,
                scope_check=scope_check,
                oauth=oauth,
                server_clock=ServerClock(),
            ),
            codec=codec(),
            policy=retry,
            timeout=timeout,
            max_connections=max_connections,
            max_response_size=max_response_size,
            rate_limit=rate_limit,
            observers=observers_of_client(endpoint, telemetry, (on_request, on_response, on_retry)),
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

    # These resources are imported when they are first used. Most programs use none of them, and to
    # make the classes of their models takes long.

    @cached_property
    def applications(self) -> "ApplicationsResource":
        """The applications that the user can see."""
        from losant_tokens._resources.owner_lists import ApplicationsResource  # noqa: PLC0415

        return ApplicationsResource(self._session)

    @cached_property
    def instances(self) -> "InstancesResource":
        """The instances that the user can see."""
        from losant_tokens._resources.owner_lists import InstancesResource  # noqa: PLC0415

        return InstancesResource(self._session)

    @cached_property
    def orgs(self) -> "OrgsResource":
        """The organizations of the user."""
        from losant_tokens._resources.owner_lists import OrgsResource  # noqa: PLC0415

        return OrgsResource(self._session)

    @cached_property
    def audit_log(self) -> "AuditLogResource":
        """One entry of the audit log of an organization."""
        from losant_tokens._resources.audit_logs import AuditLogResource  # noqa: PLC0415

        return AuditLogResource(self._session)

    @cached_property
    def audit_logs(self) -> "AuditLogsResource":
        """The audit log of an organization."""
        from losant_tokens._resources.audit_logs import AuditLogsResource  # noqa: PLC0415

        return AuditLogsResource(self._session)

    @cached_property
    def instance_audit_log(self) -> "InstanceAuditLogResource":
        """One entry of the audit log of an instance."""
        from losant_tokens._resources.audit_logs import InstanceAuditLogResource  # noqa: PLC0415

        return InstanceAuditLogResource(self._session)

    @cached_property
    def instance_audit_logs(self) -> "InstanceAuditLogsResource":
        """The audit log of an instance."""
        from losant_tokens._resources.audit_logs import InstanceAuditLogsResource  # noqa: PLC0415

        return InstanceAuditLogsResource(self._session)

    @classmethod
    def for_account(
        cls,
        account: "Account | str",
        *,
        config: str | os.PathLike[str] | None = None,
        **settings: Unpack[ClientSettings],
    ) -> "AccountClient[Self]":
        """Return a client for an account in the configuration file, to be opened.

        Open it with `async with`, or with `AccountClient.open`. The token is read then, without
        blocking the event loop: from a variable, a file, a command or the keyring. It is read again
        shortly before it expires, and after a 401. It is sent only to the base URL of the account.
        Neither `LOSANT_API_TOKEN` nor `LOSANT_API_URL` is used.

        Args:
            account: The account, or its name.
            config: The configuration file, if `account` is a name. Default: `config_path()`.
            **settings: The arguments of `AsyncClient`, without `token` and `base_url`.

        Returns:
            The client to open. Errors are raised when it is opened.

        Example::

            async with AsyncClient.for_account("prod", timeout=10) as client:
                page = await client.user_api_tokens.get()
        """
        # Wrap the URL before anything can raise, so that no traceback shows a password.
        if isinstance(proxy := settings.get("proxy"), str):
            settings["proxy"] = Secret(proxy)

        async def make() -> Self:
            # Most clients use no account.
            from losant_tokens.accounts._account import Account  # noqa: PLC0415
            from losant_tokens.accounts._config import find  # noqa: PLC0415

            found = account
            if not isinstance(found, Account):
                found = await to_thread.run_sync(find, found, config)
            token = await found.read_token()
            client = cls(found.read_token, base_url=found.base_url, **settings)
            client.use_token(token, scopes=settings.get("scopes"))
            return client

        return AccountClient(make)

    @overload
    async def request(
        self,
        method: HttpMethod,
        path: str,
        *,
        path_params: Mapping[str, str | int] = ...,
        params: Mapping[str, QueryValue] = ...,
        json: object = ...,
        cast_to: None = ...,
        **options: Unpack[RequestOptions],
    ) -> Any: ...

    @overload
    async def request(
        self,
        method: HttpMethod,
        path: str,
        *,
        path_params: Mapping[str, str | int] = ...,
        params: Mapping[str, QueryValue] = ...,
        json: object = ...,
        cast_to: type[M],
        **options: Unpack[RequestOptions],
    ) -> M: ...

    async def request(
        self,
        method: HttpMethod,
        path: str,
        *,
        path_params: Mapping[str, str | int] = NOTHING,
        params: Mapping[str, QueryValue] = NOTHING,
        json: object = None,
        cast_to: type[Any] | None = None,
        **options: Unpack[RequestOptions],
    ) -> Any:
        """Call an operation of the API that has no method.

        The call has the token, the retries, the limits and the errors of all others. Its scopes are
        not known, so that they are not checked before it is sent. A POST is sent again only if it
        was certainly not carried out. PUT, PATCH and DELETE are sent again after most failures;
        pass `retry=RetryPolicy(attempts=1)` if that could change something twice. Redirects are not
        followed.

        Args:
            method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
            path: The path below the base URL, such as `/applications/{id}/devices`.
            path_params: The values of the placeholders in the path. They are percent-encoded, so
                that no value can lead to another path.
            params: The query, by the names in the URL. `None` leaves a parameter out.
            json: The body of a POST, PUT or PATCH. Pass secrets in it as a `Secret`, so that no
                error shows them. Default: no body.
            cast_to: The class of the result: a model of this package, such as `ApiToken`.
                Default: plain JSON, which may hold secrets.
            **options: See `RequestOptions`.

        Returns:
            The model, or the JSON value. It is `None` for a response without a body, and
            `{"success": True}` for a DELETE whose earlier attempt was carried out.

        Raises:
            ValidationError: An argument cannot be part of a request. Nothing was sent.
            ResponseError: The response is not JSON, or does not fit the model.

        Example::

            devices = await client.request(
                "GET",
                "/applications/{id}/devices",
                path_params={"id": application_id},
                params={"perPage": 10},
            )
        """
        operation = custom_operation(method, path, path_params, cast_to)
        query, body = custom_query(params), json_body(method, json)
        return await self._session.call(operation, None, query, body, **options)

    def use_token(
        self,
        token: str | Secret,
        *,
        scopes: Iterable[Scope] | None = None,
        allow_other_account: bool = False,
    ) -> None:
        """Use another token from now on: for new calls, and for later attempts of waiting calls.

        Requests in flight keep the earlier token. If the API responds to one with 401, it is sent
        again with the new token. A token source that was passed to the client remains: the
        client calls it again before the new token expires, and after a 401.

        Args:
            token: The new token.
            scopes: Its scopes. Default: those in its claims, if they name any.
            allow_other_account: Whether the token may belong to another account, by its claims.
                Lists that are being read then mix two accounts. While a job runs, such a token is
                always refused. Default: False.

        Raises:
            ValidationError: The token has a character that is not allowed in a header, or it claims
                another account.
            IssuerMismatch: Another host than that of the base URL has issued the token. The earlier
                token stays in use.
        """
        # Wrap the token before anything can raise, so that no traceback holds it in the clear.
        token = Secret.of(token)
        self._session.token.use(token, scopes, allow_other_account=allow_other_account)

    def tokens(self, owner: Owner | str) -> OwnerTokens:
        """Return the tokens of an owner, for code that works for all four kinds of owners.

        Args:
            owner: An `Owner`, or its string form: `user`, `oauth`, `application:ID` or
                `instance:ID`.

        Raises:
            ValidationError: The string has another form.
        """
        parsed = owner if isinstance(owner, Owner) else Owner.parse(owner)
        return OwnerTokens(self._session, parsed)

    @property
    def with_raw_response(self) -> "RawClient":
        """The same methods, each of which returns a `RawResponse` with the status and the headers.

        Example::

            response = await client.with_raw_response.user_api_token.get(token_id)
            print(response.status_code, response.request_id, response.elapsed)
            token = response.parse()
        """
        from losant_tokens._resources.raw import RawClient  # noqa: PLC0415 -- few programs use it

        return RawClient(self._session)

    @property
    def base_url(self) -> str:
        """The base URL of the API."""
        return self._session.endpoint.base_url

    @property
    def is_open(self) -> bool:
        """Whether the client is open, so that calls can be made."""
        return self._session.state == "open"

    @property
    def max_connections(self) -> int:
        """The maximum number of requests in flight."""
        return self._session.max_connections

    @property
    def clock_skew(self) -> timedelta | None:
        """How far the clock of this machine is ahead of the server's; negative if it is behind.

        It is `None` until a response has had a valid `Date` header. It is accurate to about a
        second.
        """
        return self._session.server_clock.skew

    def server_time(self) -> datetime | None:
        """Return the server's time in UTC, or `None` until a response has shown it."""
        clock = self._session.server_clock
        return None if clock.skew is None else clock.now()

    @property
    def account(self) -> str | None:
        """The claim of the client's token that names its account, or `None` if there is none.

        It has the form `userId 575ec7417ae143cd83dc4a95`. A client cannot verify claims, so use it
        as a hint.
        """
        return self._session.credential.account

    @property
    def token_fingerprint(self) -> str | None:
        """A digest of the claims of the client's token; `None` if it is not a JWT.

        It is the same for two clients with the same token. The token cannot be derived from it.
        """
        return self._session.credential.fingerprint

    @property
    def scopes(self) -> frozenset[str] | None:
        """The scopes of the client's token, as they were passed or as its claims name them.

        `None` if they are unknown.
        """
        return self._session.credential.scopes

    @property
    def token_expires_at(self) -> datetime | None:
        """When the client's token expires, by its claims; `None` if they do not say so."""
        return self._session.credential.expires_at

    def uses_token(self, token_id: str) -> bool:
        """Return whether the claims of the client's own token contain this id.

        If they do not, it may still be the id of that token, because no claim is documented to be
        the id.

        Args:
            token_id: The id of a token.
        """
        return token_id.lower() in self._session.credential.claimed_ids

    def uses_secret(self, secret: Secret) -> bool:
        """Return whether a secret is that of the client's own token.

        Args:
            secret: The secret.
        """
        return self._session.credential.secret == secret

    @property
    def has_claimed_ids(self) -> bool:
        """Whether the claims of the client's own token contain ids. One may be its own id."""
        return bool(self._session.credential.claimed_ids)

    async def open(self) -> Self:
        """Open the connection pool and return the client, for programs without an `async with`.

        Call `aclose` at the end, even after an error. A client that is never closed warns with
        `ResourceWarning`.

        Raises:
            ClientStateError: The client was opened before.
            ValidationError: The token would be sent in the clear to another machine.

        Example::

            client = await AsyncClient().open()
            try:
                print(await client.user_api_tokens.get())
            finally:
                await client.aclose(drain=5.0)
        """
        session = self._session
        pool = self._transport or httpx_transport(max_connections=session.max_connections)
        await session.open(pool)
        return self

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self, *, drain: float | None = None) -> None:
        """Close the pool, as at the end of the `async with` block. Closing twice does nothing.

        New calls raise `ClientStateError` at once. Calls that have begun may continue for `drain`
        seconds, with their retries. After that, requests in flight are broken off with an ambiguous
        `TransportError`, and calls that wait raise `ClientStateError`. Without `drain`, the pool
        decides how requests in flight end. A cancellation ends the drain, and waits until the pool
        is closed.

        Args:
            drain: How long calls that have begun may continue, in seconds. Default: no time.

        Raises:
            ClientStateError: The client was opened in another event loop.
            ValidationError: `drain` is not a number above 0.
        """
        validators.check_argument(
            validators.optional(validators.positive_number), "aclose", "drain", drain
        )
        await self._session.close(drain or 0.0)

    def __reduce__(self) -> Never:
        raise TypeError("An AsyncClient cannot be pickled or copied: open one in each process.")

    def __repr__(self) -> str:
        session: Session | None = getattr(self, "_session", None)
        if session is None:  # An argument was refused, and a traceback shows this object.
            return "<AsyncClient>"
        scopes = session.credential.scopes
        has_token = session.credential.secret or session.token.source
        scope_text = "unknown scopes" if scopes is None else f"scopes {format_scopes(scopes)}"
        return (
            f"<AsyncClient {session.endpoint.base_url} {session.state}, "
            f"{session.in_flight} of {session.max_connections} connections in use, "
            f"{scope_text if has_token else 'no token'}>"
        )


_ClientT = TypeVar("_ClientT", bound=AsyncClient)


@define(eq=False)
class AccountClient(Generic[_ClientT]):
    """A client for an account, whose token is read when it is opened. Open it once.

    `AsyncClient.for_account` returns it.
    """

    _make: Callable[[], Awaitable[_ClientT]] = field(repr=False)
    _was_opened: bool = field(init=False, default=False)
    _client: _ClientT | None = field(init=False, default=None, repr=False)

    async def open(self) -> _ClientT:
        """Read the token, and return the open client. Close that client at the end.

        Raises:
            ClientStateError: The client was opened before.
            ConfigError: The configuration file cannot be used, or does not have the account.
            TokenUnavailable: The token cannot be read.
            ValidationError: A setting has a wrong type or value.

        Example::

            client = await AsyncClient.for_account("prod").open()
            try:
                print(await client.user_api_tokens.get())
            finally:
                await client.aclose()
        """
        if self._was_opened:
            raise ClientStateError("This client of an account was opened before. Create a new one.")
        self._was_opened = True
        client = await self._make()
        return await client.open()

    async def __aenter__(self) -> _ClientT:
        self._client = await self.open()
        return self._client

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._client is not None  # noqa: S101 -- it was opened
        await self._client.aclose()


# --- For the packages that build on the client ------------------------------------------------


def rate_limiter_of(client: AsyncClient) -> RateLimiter:
    """Return the rate limiter of a client, so that a job shares the rate of its calls.

    A client that is not open has none yet. Then a job gets one of its own, and its first request
    raises the error.

    Args:
        client: The client.
    """
    try:
        return client._session.require_open().rate_limiter  # noqa: SLF001 -- its own module
    except ClientStateError:
        return RateLimiter()


def account_changes_of(client: AsyncClient) -> int:
    """Return how often the client got a token that may be of another account than the one before.

    Args:
        client: The client.
    """
    return client._session.token.account_changes  # noqa: SLF001 -- its own module


def pool_settings_of(client: AsyncClient) -> dict[str, Any]:
    """Return the arguments `proxy`, `verify` and `trust_env` of a client that are not the default.

    Args:
        client: The client.
    """
    return dict(client._pool_settings)  # noqa: SLF001 -- its own module
