"""Models of the API's responses, as immutable attrs classes.

Only the id of a token is required. Enumerations to which the API may add values are plain strings.
Members without an attribute are kept in `extra` under their wire names. No repr shows `extra`,
because its values may be secret. Attributes are snake_case here and camelCase on the wire; `codec`
translates.

A member that is present but cannot be read, such as a date after the year 9999, is *unknown*: its
attribute has the default value, `unreadable` names the attribute, and `extra` keeps the raw value.
Unknown is not the same as absent. If the expiration date of a token is unknown, both `is_expired`
and `never_expires` return `None`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from attrs import field, frozen

from losant_tokens._api.wire_format import SnakeCase, WireModel
from losant_tokens._utils import validators
from losant_tokens._utils.secret import Secret

NONE_UNREADABLE: Final[frozenset[str]] = frozenset()
"""The default of `unreadable`."""


class HasId(WireModel):
    """The base class of models that are requested by their id."""

    __slots__ = ()

    id: str


@frozen
class ResourceRole(WireModel):
    """The role that a token has for one application or dashboard."""

    resource_id: str
    """The id of the application or dashboard, 24 hexadecimal digits."""
    role: str
    """The role: `collaborate`, `view` or `none`."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """


@frozen
class OrgRole(WireModel):
    """The role that a user's token has in one organization (or in the `sandbox`)."""

    org_id: str
    """The id of the organization, 24 hexadecimal digits, or `sandbox`."""
    role: str
    """The role: `admin`, `edit`, `collaborate`, `view` or `none`."""
    application_roles: tuple[ResourceRole, ...] | None = field(
        default=None, converter=validators.as_tuple, kw_only=True
    )
    """The roles for single applications, up to 100; `None` if there are none."""
    dashboard_roles: tuple[ResourceRole, ...] | None = field(
        default=None, converter=validators.as_tuple, kw_only=True
    )
    """The roles for single dashboards, up to 100; `None` if there are none."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """


# attrs makes no `__eq__` and no `__repr__` for the base classes, which have no instances. That
# shortens the import of the client by a hundredth.
# Without slots, attrs makes instances of a frozen class in two thirds of the time. A list of tokens
# is read 9% faster (benchmark row "CPU to read 100,000 tokens").
@frozen(kw_only=True, slots=False, eq=False, repr=False)
class _Token(HasId):
    """The attributes that API tokens and OAuth tokens share."""

    id: str
    """The id, 24 hexadecimal digits."""
    name: str = ""
    """The display name."""
    description: str | None = None
    """The description; `None` if there is none."""
    status: str | None = None
    """The status: `active` or `inactive`. See `is_active`."""
    scope: tuple[str, ...] = ()
    """The scopes, such as `all.User.read`. They cannot be changed."""
    creation_date: datetime | None = None
    """The time of creation, in UTC."""
    last_updated: datetime | None = None
    """The time of the last change, in UTC."""
    expiration_date: datetime | None = None
    """The time when the token expires, in UTC; `None` if it never does. See `never_expires`."""
    default_role: str | None = None
    """The role in organizations that are not in `org_roles`; `None` if there is none."""
    org_roles: tuple[OrgRole, ...] | None = None
    """The roles in single organizations; `None` if there are none."""
    unreadable: frozenset[str] = field(default=NONE_UNREADABLE, repr=False)
    """The names of the attributes whose members are present but cannot be read."""

    @property
    def is_active(self) -> bool | None:
        """Whether the status is `active`; `None` if the status cannot be read.

        An active token may have expired.
        """
        return None if "status" in self.unreadable else self.status == "active"

    @property
    def never_expires(self) -> bool | None:
        """Whether the token has no expiration date, which is the API's default.

        `None` if there is a date that cannot be read.
        """
        return None if "expiration_date" in self.unreadable else self.expiration_date is None

    def is_expired(self, at: datetime | None = None) -> bool | None:
        """Return whether the expiration date has passed; `None` if it cannot be read.

        Args:
            at: The time to compare with, with a time zone. Default: the time of this machine. Its
                clock may be wrong, so pass `client.server_time()` before you delete a token
                because of the result.

        Raises:
            ValidationError: `at` has no time zone.
        """
        validators.check_argument(
            validators.optional(validators.aware_datetime), "is_expired", "at", at
        )
        if "expiration_date" in self.unreadable:
            return None
        return self.expiration_date is not None and self.expiration_date <= (
            at or datetime.now(UTC)
        )


@frozen(kw_only=True, slots=False)
class ApiToken(_Token):
    """A token of a user, an application or an instance."""

    api_token_id: str | None = None
    """The same id, under the name that the API also gives it."""
    owner_id: str | None = None
    """The id of the user, application or instance that the token belongs to."""
    owner_type: str | None = None
    """`user`, `application` or `instance`."""
    creator_id: str | None = None
    """The id of the user, token or workflow that created the token."""
    creator_type: str | None = None
    """`user`, `apiToken` or `flow`."""
    creator_name: str | None = None
    """The name of the creator."""
    token: Secret | None = None
    """The secret. Only `post` returns it, see `NewApiToken`; otherwise it is `None`."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. A `token` that is not a string is kept as a `Secret` of its JSON.
    """


@frozen(kw_only=True, slots=False)
class NewApiToken(ApiToken):
    """A token that was just created, with its secret."""

    token: Secret
    """The secret. Store it now: no later response contains it. It is returned even if the response
    has no readable id; then `id` is empty, and `unreadable` names it.
    """


@frozen(kw_only=True)
class OauthDetails(SnakeCase, WireModel):
    """The application that a user has authorized with an OAuth token."""

    client_id: str | None = None
    """The id of the application."""
    client_name: str | None = None
    """The name of the application, as it states it."""
    client_uri: str | None = None
    """The address of the application."""
    logo_uri: str | None = None
    """The address of its logo."""
    redirect_uri: str | None = None
    """The URI to which the user was sent with the code."""
    resource: tuple[str, ...] | None = None
    """The URIs of the resources that the token is for (RFC 8707)."""
    authorization_status: str | None = field(default=None, metadata={"wire": "authorizationStatus"})
    """`pending` or `authorized`."""
    unreadable: frozenset[str] = field(default=NONE_UNREADABLE, repr=False)
    """The names of the attributes whose members are present but cannot be read."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """


@frozen(kw_only=True, slots=False)
class UserOauthToken(_Token):
    """An OAuth token of a user."""

    oauth_token_id: str | None = None
    """The same id, under the name that the API also gives it."""
    oauth: OauthDetails | None = None
    """The application that the user has authorized."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """


@frozen(kw_only=True, eq=False, repr=False)
class AnyPage(WireModel):
    """The attributes that all pages share. Only the items are required."""

    count: int | None = None
    """The number of items on this page."""
    total_count: int | None = None
    """The number of items on all pages."""
    per_page: int | None = None
    """The size of a page. The server may cap the requested size."""
    page: int | None = None
    """The number of this page, from 0."""
    sort_field: str | None = None
    """The field that the list is sorted by."""
    sort_direction: str | None = None
    """`asc` or `desc`."""
    unreadable_items: tuple[Any, ...] = field(default=(), repr=False, hash=False)
    """The raw items that cannot be read, because they have no id or are not JSON objects. Do not
    treat a list with such items as complete. Those of an audit log are `None`, because they may
    hold secrets.
    """
    unreadable: frozenset[str] = field(default=NONE_UNREADABLE, repr=False)
    """The names of the attributes whose members are present but cannot be read."""


@frozen(kw_only=True, eq=False, repr=False)
class Page(AnyPage):
    """The attributes that all pages except those of audit logs share."""

    filter: str | None = None
    """The pattern of the filter; `None` without a filter."""
    filter_field: str | None = None
    """The field of the filter; `None` without a filter."""


@frozen(kw_only=True)
class ApiTokens(Page):
    """One page of tokens."""

    items: tuple[ApiToken, ...]
    """The tokens on this page."""
    owner_id: str | None = None
    """The id of the owner of the tokens."""
    owner_type: str | None = None
    """`user`, `application` or `instance`."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """


@frozen(kw_only=True)
class UserOauthTokens(Page):
    """One page of OAuth tokens, with the attributes of `ApiTokens`."""

    items: tuple[UserOauthToken, ...]
    """The OAuth tokens on this page."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """


@frozen(kw_only=True)
class AuthenticatedUser(WireModel):
    """The user who has logged in, and the access token for further requests."""

    user_id: str
    """The id of the user, 24 hexadecimal digits."""
    token: Secret
    """The access token. Create a client with it."""
    needs_to_verify_email: bool | None = None
    """Whether the user has not verified the email address yet."""
    org_id: str | None = None
    """The id of the organization that the user has logged in to, if there is one."""
    unreadable: frozenset[str] = field(default=NONE_UNREADABLE, repr=False)
    """The names of the attributes whose members are present but cannot be read."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """


@frozen(kw_only=True)
class Success(WireModel):
    """The result of an operation that returns no data."""

    success: Literal[True] = True
    """Always true."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """
    is_stated: bool = field(default=True, repr=False, eq=False, kw_only=True)
    """Whether the body of the response says so. If not, the body was empty."""
