"""What the fake holds: tokens, users and what a bearer may do."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import in_, min_len

from losant_tokens.testing._owners import check_owner, owner_type

Status = Literal["active", "inactive"]


def _mask(_: object) -> str:
    return "'****'"


def to_utc(date: datetime) -> datetime:
    """Return a datetime in UTC; unchanged if UTC has no such year, as at the end of year 9999."""
    try:
        return date.astimezone(UTC)
    except OverflowError:
        return date


def _to_milliseconds(date: datetime | None) -> datetime | None:
    """Round a datetime down to the precision of the wire, so that both compare as equal."""
    if date is None:
        return None
    if date.tzinfo is None:
        raise ValueError(f"a date needs a time zone, such as datetime.now(UTC): {date!r}")
    date = to_utc(date)
    return date.replace(microsecond=date.microsecond // 1000 * 1000)


def _date(date: datetime) -> datetime:
    rounded = _to_milliseconds(date)
    assert rounded is not None  # noqa: S101  -- only None gives None, which mypy cannot know
    return rounded


def to_scope(scopes: Iterable[str]) -> tuple[str, ...]:
    """Give scopes as a tuple, and refuse one string, which is iterable too."""
    if isinstance(scopes, str):
        raise TypeError(f"a list of scopes is wanted, not one string: {scopes!r}")
    return tuple(scopes)


@frozen(kw_only=True)
class FakeToken:
    """A token as the fake holds it, to be compared and looked at in tests."""

    id: str
    secret: str = field(repr=_mask)
    """The bearer token. The API returns it once; here it can always be read."""
    owner: str = field(converter=check_owner)
    """`user`, `oauth`, `application:<id>` or `instance:<id>`."""
    owner_id: str
    name: str = field(validator=min_len(1))
    status: Status = field(default="active", validator=in_(("active", "inactive")))
    scope: tuple[str, ...] = field(default=(), converter=to_scope)
    creation_date: datetime = field(converter=_date)
    last_updated: datetime = field(converter=_date)
    expiration_date: datetime | None = field(default=None, converter=_to_milliseconds)
    """None: it never expires."""
    description: str | None = None
    default_role: str | None = None
    org_roles: tuple[Mapping[str, Any], ...] | None = None
    creator_id: str
    creator_type: str = "user"
    creator_name: str | None = None
    oauth: Mapping[str, Any] | None = None
    """The `oauth` member of an OAuth token, as it goes over the wire."""

    @property
    def owner_type(self) -> str:
        """The kind of the owner as the wire has it: `user`, `application` or `instance`."""
        return owner_type(self.owner)

    def expired(self, now: datetime) -> bool:
        """Return whether the token is past its expiration date."""
        return self.expiration_date is not None and self.expiration_date <= now


@frozen(kw_only=True)
class FakeUser:
    """A user who can log in with `POST /auth/user`."""

    id: str
    email: str
    password: str = field(repr=_mask)
    two_factor_code: str | None = field(default=None, repr=_mask)


@frozen(kw_only=True)
class Grant:
    """What the bearer of a token may do, and who the bearer is."""

    scopes: frozenset[str]
    oauth: bool = False
    reach: str | None = None
    """The only owner whose tokens can be reached; None: any."""
    expires: datetime | None = field(default=None, converter=_to_milliseconds)
    active: bool = True
    creator: tuple[str, str, str | None] = field()
    """Id, type and name to be written down as the creator of what the bearer creates."""
