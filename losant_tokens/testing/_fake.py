"""`FakeLosant`: what users see of the fake."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.types import ASGIApp

from losant_tokens.testing._app import Front, api
from losant_tokens.testing._faults import Fault, FaultKind, Faults
from losant_tokens.testing._models import FakeToken, FakeUser, Status
from losant_tokens.testing._owners import check_owner
from losant_tokens.testing._rate_limit import RateLimit
from losant_tokens.testing._request_log import Journal, RecordedRequest
from losant_tokens.testing._seed import SeedSummary, add_seeded
from losant_tokens.testing._server import Serving
from losant_tokens.testing._service import Service
from losant_tokens.testing._store import Store
from losant_tokens.testing._transport import FakeTransport

_MIB = 1024 * 1024


def _utc_now() -> datetime:
    return datetime.now(UTC)


class FakeLosant:
    """A stand-in for Losant's token API in tests: it keeps tokens, checks scopes, fails on demand.

    Example::

        fake = FakeLosant()
        token = fake.add_token("ci-1", scope=["all.User.read"])
        async with AsyncClient(fake.admin_token, transport=fake.transport()) as client:
            await client.user_api_token.delete(token.id)
        assert fake.tokens() == ()

    All of `/me` belongs to one user, for every bearer; a token of an application or an instance
    reaches the tokens of that application or instance only. All of it may be used from any thread.

    Refusals are those of Losant's public server framework: their order, their status, their words.
    Some answers are guesses, because Losant's are not documented. Do not rely on them: the scopes
    of a token that was created without any (`all.User` and the like), that an inactive token gets
    401, that filters are case-sensitive, that `tokenTTL` is in seconds, that half a surrogate pair
    becomes U+FFFD, and the shape of `_links` and its like. Creating an OAuth token does not return
    its secret, because the API hands it to the OAuth client; `tokens("oauth")` has it.

    Args:
        now: Returns the time, with a time zone; the real time by default. The `Date` header of
            responses follows it.
        page_cap: See the attribute of that name.
        body_limit: The most bytes of a request's body; one more, and the answer is an empty 413.
        unpublished_scopes_allow: Whether the deprecated scopes (`me`, `applications`, …) allow
            every operation, as they do by default, or none. Losant does not publish what they hold.
        issuer: The `iss` claim of the fake's tokens. Default: the host that was asked, for tokens
            that are created by a request, and none for tokens that are created in Python.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = _utc_now,
        page_cap: int | None = None,
        body_limit: int = _MIB,
        unpublished_scopes_allow: bool = True,
        issuer: str | None = None,
    ) -> None:
        # One lock for all state: the server answers in a thread of its own. It is never held while
        # awaiting.
        self._lock = threading.RLock()
        self._store = Store(now, self._lock, issuer)
        self._journal = Journal(self._lock)
        self._faults = Faults(self._lock)
        self._service = Service(self._store, page_cap, unpublished_scopes_allow)
        self._front = Front(api(self._service), self._journal, self._faults, body_limit, now)
        self.admin_token: str = self.access_token()
        """A bearer token that may do everything, ready to use. It is in no list."""

    def __repr__(self) -> str:
        return f"<FakeLosant of user {self.user_id}>"

    @property
    def user_id(self) -> str:
        """The id of the user to whom all under `/me` belongs."""
        return self._store.user_id

    @property
    def page_cap(self) -> int | None:
        """The maximum number of tokens on a page. `None` sets no maximum.

        The `perPage` of a response is the number that was used.
        """
        return self._service.page_cap

    @page_cap.setter
    def page_cap(self, most: int | None) -> None:
        if most is not None and most < 1:
            raise ValueError(f"a page holds at least one token, not {most}")
        self._service.page_cap = most

    def add_token(  # noqa: PLR0913  -- a member each, all by keyword
        self,
        name: str = "My API Token",
        *,
        owner: str = "user",
        scope: Iterable[str] = ("all.User.read",),
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
        """Put a token into a list, as if it had been there all along; its secret works at once.

        Args:
            name: The name; names need not differ.
            owner: `user`, `oauth`, `application:<id>` or `instance:<id>`, with 24 hex digits for
                the id.
            scope: What the token may do.
            status: An inactive token is refused as a bearer token.
            expiration_date: None: it never expires, OAuth token or not.
            creation_date: Default: now. Dates have a time zone and are rounded down to
                milliseconds.
            last_updated: Default: the creation date.
            description: None: it has none. So it is with the members below.
            default_role: Such as `view`.
            org_roles: As on the wire.
            creator_id: Default: the fake's user.
            creator_type: Such as `user`, `apiToken` or `flow`.
            creator_name: Whose token it is, for people.
            oauth: The details of an OAuth token, as on the wire.
            id: 24 hex digits. Default: a new id.
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
        """Add a user who can log in with `POST /auth/user`. A password has 8 characters or more.

        The token in the response has the scope `all.User`, unless the request asks for others.
        """
        return self._store.add_user(email, password, two_factor_code)

    def access_token(
        self,
        scopes: Iterable[str] = ("all.User",),
        *,
        oauth: bool = False,
        expires: datetime | None = None,
        owner: str | None = None,
    ) -> str:
        """Make a bearer token that works and is in no list.

        Args:
            scopes: What it may do.
            oauth: Whether it is an OAuth token, which the API keeps out of what writes a user's
            tokens.
            expires: None: never.
            owner: An application or an instance that alone it reaches; None: it reaches all.
        """
        reach = None if owner is None else check_owner(owner)
        return self._store.mint_access(scopes, oauth=oauth, expires=expires, reach=reach)

    def tokens(self, owner: str = "user") -> tuple[FakeToken, ...]:
        """Give the tokens of an owner as they are now, in the order in which they came."""
        return self._store.of(owner)

    def seed(self, count: int = 1000, *, seed: int = 0, owner: str = "user") -> SeedSummary:
        """Add realistic tokens: CI leftovers, expired and inactive ones, and a few of production.

        The same seed at the same time gives the same tokens, but for their ids and secrets, which
        no two fakes share.
        """
        return add_seeded(self._store, count, seed, owner)

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The requests that came, in order; the latest 100,000 are kept."""
        return self._journal.snapshot()

    def clear_requests(self) -> None:
        """Forget the requests that came."""
        self._journal.clear()

    def rate_limit(self, per_second: float | None, *, retry_after: float | None = None) -> None:
        """Answer 429 to requests beyond a number in any one second.

        Args:
            per_second: The number; None: no limit. Less than one spreads over seconds: 0.5 is one
                request in two seconds.
            retry_after: The seconds in the `Retry-After` of a 429; None: it has none.
        """
        if per_second is not None and per_second <= 0:
            raise ValueError(f"a rate is more than nothing: {per_second}")
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
        times: int | None = 1,
        skip: int = 0,
        method: str | None = None,
        path: str = "*",
        after_acting: bool = False,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Fault:
        """Have something go wrong with the requests to come; `Fault` says what the arguments mean.

        Example::

            fake.fail(status=503, headers={"Retry-After": "1"}, method="DELETE")
            fake.fail("latency", seconds=0.2, times=None)
            fake.fail("drop", path="/me/tokens/*", after_acting=True)
        """
        fault = Fault(
            kind=kind,
            status=status,
            seconds=seconds,
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
        """Have a fault wait for its requests, behind those that wait already."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Have nothing go wrong any more; requests that hang already go on hanging."""
        self._faults.clear()

    @property
    def app(self) -> ASGIApp:
        """The fake as an ASGI application, for a server or a test client of your own.

        Its responses have a `Date`, so the server must not add one: `date_header=False` in uvicorn.
        """
        return self._front

    def transport(self) -> httpx.AsyncBaseTransport:
        """Give the fake as a transport for `AsyncClient` or httpx's: in process, without a port."""
        return FakeTransport(self._front)

    def serve(self, port: int = 0, host: str = "127.0.0.1") -> Serving:
        """Serve the fake while a `with` or `async with` block runs; the block gets the base URL.

        Example::

            async with fake.serve() as base_url: ...

        Args:
            port: The port; 0: any that is free.
            host: The address to listen on. The default can be reached from this machine only.
                `0.0.0.0` listens on all its addresses, for clients in other containers; anybody
                who reaches the port can then use the fake.
        """
        return Serving(self._front, port, host)
