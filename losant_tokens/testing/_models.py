"""The state that the fake holds: tokens, users and grants."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import in_, min_len

from losant_tokens.testing._owner_strings import check_owner, owner_type

Status = Literal["active", "inactive"]


def _mask(_: object) -> str:
    return "'****'"


def to_utc(date: datetime) -> datetime:
    """Return a datetime in UTC, or unchanged if it is after year 9999 in UTC."""
    try:
        return date.astimezone(UTC)
    except OverflowError:
        return date


def _to_milliseconds(date: datetime | None) -> datetime | None:
    """Round a datetime down to milliseconds, the precision of the API's JSON."""
    if date is None:
        return None
    if date.tzinfo is None:
        raise ValueError(f"a date must have a time zone, for example datetime.now(UTC): {date!r}")
    date = to_utc(date)
    return date.replace(microsecond=date.microsecond // 1000 * 1000)


def _date(date: datetime) -> datetime:
    rounded = _to_milliseconds(date)
    assert rounded is not None  # noqa: S101  -- None only results from None
    return rounded


def to_scope(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return scopes as a tuple; a single string is an error, although it is iterable."""
    if isinstance(scopes, str):
        raise TypeError(f"scopes must be a list of strings, not one string: {scopes!r}")
    return tuple(scopes)


@frozen(kw_only=True)
class FakeToken:
    """A token in the fake, for assertions in tests."""

    id: str
    """The id, 24 hexadecimal digits."""
    secret: str = field(repr=_mask)
    """The bearer token. The API returns it once; the fake always shows it."""
    owner: str = field(converter=check_owner)
    """`user`, `oauth`, `application:<id>` or `instance:<id>`."""
    owner_id: str
    """The id of the user, application or instance that owns the token."""
    name: str = field(validator=min_len(1))
    """The display name."""
    status: Status = field(default="active", validator=in_(("active", "inactive")))
    """`active` or `inactive`."""
    scope: tuple[str, ...] = field(default=(), converter=to_scope)
    """The scopes."""
    creation_date: datetime = field(converter=_date)
    """The time of creation, in whole milliseconds."""
    last_updated: datetime = field(converter=_date)
    """The time of the last change, in whole milliseconds."""
    expiration_date: datetime | None = field(default=None, converter=_to_milliseconds)
    """The expiration date; None: the token never expires."""
    description: str | None = None
    """The description; `None` if there is none."""
    default_role: str | None = None
    """The role in organizations that are not in `org_roles`."""
    org_roles: tuple[Mapping[str, Any], ...] | None = None
    """The roles in single organizations, in the form of the API's JSON."""
    creator_id: str
    """The id of the user or token that created the token."""
    creator_type: str = "user"
    """The type of the creator, such as `user`."""
    creator_name: str | None = None
    """The name of the creator."""
    oauth: Mapping[str, Any] | None = None
    """The details of an OAuth token, in the form of the API's JSON."""

    @property
    def owner_type(self) -> str:
        """The type of the owner in the API: `user`, `application` or `instance`."""
        return owner_type(self.owner)

    def expired(self, now: datetime) -> bool:
        """Return whether the token has expired at a given time."""
        return self.expiration_date is not None and self.expiration_date <= now


@frozen(kw_only=True)
class FakeUser:
    """A user who can log in with `POST /auth/user`."""

    id: str
    """The id, 24 hexadecimal digits."""
    email: str
    """The email address to log in with."""
    password: str = field(repr=_mask)
    """The password to log in with."""
    two_factor_code: str | None = field(default=None, repr=_mask)
    """The code that a log-in needs; `None` if it needs none."""


@frozen(kw_only=True)
class FakeAuditLog:
    """An entry of an audit log in the fake, for assertions in tests."""

    id: str
    """The id, 24 hexadecimal digits."""
    source: str
    """The log: `org:<id>` or `instance:<id>`."""
    creation_date: datetime = field(converter=_date)
    """The time of the request, in whole milliseconds."""
    actor_id: str | None
    """The id of the actor that sent the request."""
    actor_type: str | None = "ApiToken"
    """The type of the actor, such as `ApiToken`."""
    actor_name: str | None = None
    """The name of the actor."""
    primary_target_id: str | None = None
    """The id of the changed resource, or of the application that holds it."""
    primary_target_type: str | None = None
    """The type of the primary target."""
    primary_target_name: str | None = None
    """The name of the primary target."""
    secondary_target_id: str | None = None
    """The id of the changed resource in an application."""
    secondary_target_type: str | None = None
    """The type of the secondary target."""
    secondary_target_name: str | None = None
    """The name of the secondary target."""
    request_resource: str | None = None
    """The resource of the operation, for example `device`."""
    request_action: str | None = None
    """The action of the operation, for example `patch`."""
    request_body: Mapping[str, Any] | None = field(default=None, repr=False)
    """The body of the request, which may hold secrets, as in the API."""
    response_body: Mapping[str, Any] | None = field(default=None, repr=False)
    """The body of the response, which may hold the secret of a new token, as in the API."""
    response_status: int = 200
    """The HTTP status of the response."""


@frozen(kw_only=True)
class Grant:
    """The rights and the identity of the bearer of a token."""

    scopes: frozenset[str]
    oauth: bool = False
    reach: str | None = None
    """The only owner whose tokens can be accessed; None: any."""
    expires: datetime | None = field(default=None, converter=_to_milliseconds)
    active: bool = True
    creator: tuple[str, str, str | None] = field()
    """The id, type and name that are recorded as the creator of new tokens."""
