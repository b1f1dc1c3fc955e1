"""`FakeLosant`, the public class of the fake."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.types import ASGIApp

from losant_tokens._api.published_scopes import Scope
from losant_tokens.testing._app import Front, api
from losant_tokens.testing._faults import Fault, FaultKind, Faults
from losant_tokens.testing._models import FakeAuditLog, FakeToken, FakeUser, Status
from losant_tokens.testing._owner_strings import check_owner
from losant_tokens.testing._rate_limit import RateLimit
from losant_tokens.testing._request_log import RecordedRequest, RequestLog
from losant_tokens.testing._sample_account import FakeAccount, add_account
from losant_tokens.testing._seed import SeedSummary, add_seeded
from losant_tokens.testing._server import Serving
from losant_tokens.testing._service import ORGANIZATION_ID, Service
from losant_tokens.testing._store import Store
from losant_tokens.testing._transport import FakeTransport

_MIB = 1024 * 1024


def _utc_now() -> datetime:
    return datetime.now(UTC)


class FakeLosant:
    """A stateful fake of Losant's token API, which checks scopes and fails on demand.

    Example::

        fake = FakeLosant()
        token = fake.add_token("ci-1", scope=["all.User.read"])
        async with AsyncClient(fake.admin_token, transport=fake.transport()) as client:
            await client.user_api_token.delete(token.id)
        assert fake.tokens() == ()

    Everything under `/me` belongs to one user, for every bearer token. The token of an application
    or an instance can only access the tokens of that application or instance. All methods can be
    called from any thread.

    Errors have the order, the status and the message of Losant's public server framework.

    Some behaviour is a guess, because Losant does not document it. Do not rely on the following:

    - A token that is created without scopes has `all.User`, `all.Application` or `all.Instance`.
    - An inactive token gets a 401.
    - Filters are case-sensitive.
    - An audit log records requests that succeed, and its `start` and `end` are inclusive.
    - `tokenTTL` is in seconds.
    - An unpaired surrogate becomes U+FFFD.
    - `_links`, `_actions` and `_embedded` have this form.

    The response to the creation of an OAuth token has no secret, because the API gives it to the
    OAuth client. `tokens("oauth")` has it.

    Args:
        now: Returns the time, with a time zone; the real time by default. The `Date` header of
            responses follows it.
        page_cap: The maximum number of tokens on a page. None, the default: no maximum.
        body_limit: The maximum size of a request body in bytes, 1 MiB by default. The response to
            a larger body is an empty 413.
        unpublished_scopes_allow: Whether the deprecated scopes (`me`, `applications`, …) allow
            every operation, as they do by default, or none. Losant does not publish which
            operations they allow.
        clock_offset: The difference between the fake's clock and `now`. With 30 days, the fake's
            clock is 30 days ahead.
        issuer: The `iss` claim of the fake's tokens. By default, tokens that a request creates have
            the host of that request, and tokens that are created in Python have no such claim.
        id_claim: Whether the `jti` claim of a token is its id, as it is by default, or a random
            word. It is not known whether the claims of real tokens contain the id, so test your
            code without it, too.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = _utc_now,
        page_cap: int | None = None,
        body_limit: int = _MIB,
        unpublished_scopes_allow: bool = True,
        clock_offset: timedelta = timedelta(),
        issuer: str | None = None,
        id_claim: bool = True,
    ) -> None:
        # One lock protects all state, because the server responds in a thread of its own. It is
        # never held during an await.
        self._lock = threading.RLock()
        self._real_now = now
        self.clock_offset = clock_offset
        """The difference between the fake's clock and the real one. It can be changed any time."""
        self._store = Store(self._now, self._lock, issuer, id_claim)
        self._request_log = RequestLog(self._lock)
        self._faults = Faults(self._lock)
        self._service = Service(self._store, page_cap, unpublished_scopes_allow)
        self._front = Front(
            api(self._service), self._request_log, self._faults, body_limit, self._now
        )
        self.admin_token: str = self.access_token()
        """A bearer token that allows every operation. It is in no list."""

    def __repr__(self) -> str:
        return f"<FakeLosant of user {self.user_id}>"

    def _now(self) -> datetime:
        return self._real_now() + self.clock_offset

    @property
    def user_id(self) -> str:
        """The id of the user that everything under `/me` belongs to."""
        return self._store.user_id

    @property
    def page_cap(self) -> int | None:
        """The maximum number of tokens on a page. `None` sets no maximum.

        The `perPage` of a response is the number that was used.
        """
        return self._service.page_cap

    @page_cap.setter
    def page_cap(self, page_cap: int | None) -> None:
        if page_cap is not None and page_cap < 1:
            raise ValueError(f"page_cap must be at least 1, or None, not {page_cap}")
        self._service.page_cap = page_cap

    def add_token(  # noqa: PLR0913  -- a member each, all by keyword
        self,
        name: str = "My API Token",
        *,
        owner: str = "user",
        scope: Iterable[Scope] = ("all.User.read",),
        status: Status = "active",
        expiration_date: datetime | None = None,
        creation_date: datetime | None = None,
        last_updated: datetime | None = None,
        description: str | None = None,
        default_role: str | None = None,
        org_roles: Sequence[Mapping[str, Any]] | None = None,
        creator_id: str | None = None,
        creator_type: str = "user",
        creator_name: str | None = None,
        oauth: Mapping[str, Any] | None = None,
        id: str | None = None,  # noqa: A002  -- it is the member's name
    ) -> FakeToken:
        """Add a token to its owner's list, and return it. Its secret works as a bearer token.

        Args:
            name: The name. Several tokens can have the same name.
            owner: `user`, `oauth`, `application:<id>` or `instance:<id>`, with 24 hex digits for
                the id.
            scope: The scopes of the token. Default: `all.User.read`.
            status: `active` or `inactive`. An inactive token does not work as a bearer token.
            expiration_date: None: the token never expires, an OAuth token included.
            creation_date: Default: now. Dates must have a time zone. They are rounded down to
                milliseconds.
            last_updated: Default: the creation date.
            description: None, for this and the following members: the token has no such member.
            default_role: For example `view`.
            org_roles: The roles in organizations, in the form of the API's JSON.
            creator_id: Default: the fake's user.
            creator_type: For example `user`, `apiToken` or `flow`.
            creator_name: The display name of the creator.
            oauth: The details of an OAuth token, in the form of the API's JSON.
            id: 24 hex digits. Default: a new id.

        Raises:
            ValueError: The id or the owner is malformed, or another token has the id.
        """
        given: dict[str, Any] = {
            "creation_date": creation_date,
            "last_updated": last_updated,
            "creator_id": creator_id,
        }
        return self._store.add(
            owner,
            id_=id,
            name=name,
            scope=scope,
            status=status,
            expiration_date=expiration_date,
            description=description,
            default_role=default_role,
            org_roles=None if org_roles is None else tuple(org_roles),
            creator_type=creator_type,
            creator_name=creator_name,
            oauth=oauth,
            **{member: value for member, value in given.items() if value is not None},
        )

    def add_user(self, email: str, password: str, two_factor_code: str | None = None) -> FakeUser:
        """Add a user who can log in with `POST /auth/user`.

        The token in the response has the scope `all.User`, unless the request asks for others.

        Args:
            email: The email address, which is matched without case.
            password: The password. The API accepts 8 characters or more.
            two_factor_code: The code that a login must send; None: a login needs no code.
        """
        return self._store.add_user(email, password, two_factor_code)

    def access_token(
        self,
        scopes: Iterable[Scope] = ("all.User",),
        *,
        oauth: bool = False,
        expires: datetime | None = None,
        owner: str | None = None,
    ) -> str:
        """Return a new bearer token. It is valid, but no list of tokens contains it.

        Args:
            scopes: The scopes of the token. Default: `all.User`.
            oauth: Whether it is an OAuth token, which the API forbids from changing a user's
                tokens.
            expires: The expiration date, with a time zone; None: the token never expires.
            owner: The only application or instance that the token can access, for example
                `application:<id>`; None: it can access all.
        """
        reach = None if owner is None else check_owner(owner)
        return self._store.mint_access(scopes, oauth=oauth, expires=expires, reach=reach)

    def tokens(self, owner: str = "user") -> tuple[FakeToken, ...]:
        """Return the tokens of an owner as they are now, in the order in which they were added."""
        return self._store.of(owner)

    def add_owner(self, owner: str, name: str) -> None:
        """Add an application or an instance to the lists of the API, or change its name.

        The owners of tokens are in these lists anyway.

        Args:
            owner: `application:<id>` or `instance:<id>`.
            name: Its display name.

        Raises:
            ValueError: The owner is malformed.
        """
        self._store.name_owner(owner, name)

    def add_audit_log(  # noqa: PLR0913  -- a member each, all but one by keyword
        self,
        actor_id: str | None,
        *,
        source: str | None = None,
        creation_date: datetime | None = None,
        actor_type: str | None = "ApiToken",
        actor_name: str | None = None,
        request_resource: str | None = "device",
        request_action: str | None = "patch",
        request_body: Mapping[str, Any] | None = None,
        response_body: Mapping[str, Any] | None = None,
        response_status: int = 200,
    ) -> FakeAuditLog:
        """Add an entry to an audit log, and return it.

        Requests that create, patch or delete tokens through the fake add entries, too: to the log
        of the instance for its tokens, and to that of `organization_id` for all others.

        Args:
            actor_id: The id of the token or user that changed something.
            source: The log: `org:<id>` or `instance:<id>`. Default: that of `organization_id`.
            creation_date: Default: now. It must have a time zone.
            actor_type: For example `ApiToken`, the default, or `User`.
            actor_name: The name of the token or user.
            request_resource: The resource of the operation. Default: `device`.
            request_action: The action of the operation. Default: `patch`.
            request_body: The body of the request.
            response_body: The body of the response.
            response_status: The status of the response. Default: 200.

        Raises:
            ValueError: The source is malformed.
        """
        return self._store.log(
            f"org:{ORGANIZATION_ID}" if source is None else source,
            actor_id=actor_id,
            creation_date=creation_date,
            actor_type=actor_type,
            actor_name=actor_name,
            request_resource=request_resource,
            request_action=request_action,
            request_body=request_body,
            response_body=response_body,
            response_status=response_status,
        )

    def audit_logs(self, source: str | None = None) -> tuple[FakeAuditLog, ...]:
        """Return the latest 100,000 entries of an audit log, in the order they were added.

        Args:
            source: The log: `org:<id>` or `instance:<id>`. Default: all logs.
        """
        with self._lock:
            return self._store.audit_logs.of(source)

    @property
    def organization_id(self) -> str:
        """The id of the organization whose audit log records the changes of tokens."""
        return ORGANIZATION_ID

    def seed(self, count: int = 1000, *, seed: int = 0, owner: str = "user") -> SeedSummary:
        """Add realistic tokens: leftovers of CI, tokens of people, and tokens in production.

        About a third have expired, a tenth are inactive, and a third never expire.

        The same seed at the same time gives the same tokens, except for their ids and secrets,
        which are different in every fake.

        Args:
            count: The number of tokens.
            seed: The seed of the random number generator.
            owner: `user`, `oauth`, `application:<id>` or `instance:<id>`.
        """
        return add_seeded(self._store, count, seed, owner)

    def seed_account(self, count: int = 1000, *, seed: int = 0) -> FakeAccount:
        """Add a realistic account, as `losant-tokens sandbox` does. Call it once.

        Besides the tokens that `seed` adds, the user has the token `own_token`, tokens that can
        create tokens, tokens that expire soon, and tokens with long, repeated and non-ASCII names.
        The account also has OAuth tokens, tokens of two applications, and tokens of an instance.
        The ids of the owners are the same in each fake.

        Example::

            account = fake.seed_account()
            client = AsyncClient(account.own_token.secret, transport=fake.transport())

        Args:
            count: The number of API tokens of the user. The other owners have fewer.
            seed: The seed of the random number generator.
        """
        return add_account(self._store, count, seed)

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The latest 100,000 requests, in the order of their arrival."""
        return self._request_log.snapshot()

    def clear_requests(self) -> None:
        """Remove all requests from `requests`."""
        self._request_log.clear()

    def rate_limit(self, per_second: float | None, *, retry_after: float | None = None) -> None:
        """Limit the request rate, and respond with 429 to the requests above it.

        Args:
            per_second: The maximum number of requests in any one second; None: no limit. It can be
                less than 1: 0.5 is one request in two seconds.
            retry_after: The `Retry-After` of a 429 in seconds; None: a 429 has no such header.
        """
        if per_second is not None and per_second <= 0:
            raise ValueError(f"per_second must be more than 0, or None, not {per_second}")
        with self._lock:
            self._front.rate_limit = (
                None if per_second is None else RateLimit(per_second, retry_after)
            )

    def fail(  # noqa: PLR0913  -- a member of Fault each, all by keyword
        self,
        kind: FaultKind = "status",
        *,
        status: int | None = None,
        seconds: float = 0.0,
        max_seconds: float | None = None,
        share: float = 1.0,
        times: int | None = 1,
        skip: int = 0,
        method: str | None = None,
        path: str = "*",
        after_acting: bool = False,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Fault:
        """Make the next requests fail. The arguments are those of `Fault`.

        Example::

            fake.fail(status=503, headers={"Retry-After": "1"}, method="DELETE")
            fake.fail("latency", seconds=0.2, times=None)
            fake.fail(status=503, share=0.02, times=None)  # two percent of all requests
            fake.fail("drop", path="/me/tokens/*", after_acting=True)
        """
        fault = Fault(
            kind=kind,
            status=status,
            seconds=seconds,
            max_seconds=max_seconds,
            share=share,
            times=times,
            skip=skip,
            method=method,
            path=path,
            after_acting=after_acting,
            headers=headers,
            body=body,
        )
        self.add_fault(fault)
        return fault

    def add_fault(self, fault: Fault) -> None:
        """Add a fault, which applies after the faults that were added before it."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Remove all faults. A request that already hangs keeps hanging."""
        self._faults.clear()

    @property
    def app(self) -> ASGIApp:
        """The fake as an ASGI application, for a server or a test client of your own.

        Its responses have a `Date`, so the server must not add one: `date_header=False` in uvicorn.
        """
        return self._front

    def transport(self) -> FakeTransport:
        """Return a transport that calls the fake in process, without a port.

        It works with `AsyncClient`, and with the asynchronous clients of httpx and httpx2.
        """
        return FakeTransport(self._front)

    def serve(self, port: int = 0, host: str = "127.0.0.1") -> Serving:
        """Serve the fake on a port while a `with` or `async with` block runs.

        The block gets the base URL.

        Example::

            async with fake.serve() as base_url: ...

        Args:
            port: The port; 0, the default: any free port.
            host: The address to listen on. Only this machine can connect to the default,
                `127.0.0.1`. `0.0.0.0` listens on all addresses, for clients in other containers;
                then everyone who can connect to the port can use the fake.
        """
        return Serving(self._front, port, host)
