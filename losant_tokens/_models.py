"""What the API answers with, as immutable attrs classes.

All but the id of a token may be missing, words of enumerations that grow are plain texts, and
members that are not listed here are kept in `extra`, which no repr shows, since they may be
anything. Attributes are snake_case here and camelCase on the wire; `_codec` translates.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from attrs import field, frozen

from losant_tokens import _limits as limits
from losant_tokens._secret import Secret


@frozen
class ResourceRole:
    """The role that a token has for one application or dashboard."""

    resource_id: str
    role: str
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen
class OrgRole:
    """The role that a user's token has in one organization (or in the `sandbox`)."""

    org_id: str
    role: str
    application_roles: tuple[ResourceRole, ...] | None = field(
        default=None, converter=limits.many, kw_only=True
    )
    dashboard_roles: tuple[ResourceRole, ...] | None = field(
        default=None, converter=limits.many, kw_only=True
    )
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


# Without slots: where a class is frozen, attrs makes its instances in half the time, and of tokens
# there are thousands to a page.
@frozen(kw_only=True, slots=False)
class _Token:
    """What API tokens and OAuth tokens have in common."""

    id: str
    name: str = ""
    description: str | None = None
    status: str | None = None
    scope: tuple[str, ...] = ()
    creation_date: datetime | None = None
    last_updated: datetime | None = None
    expiration_date: datetime | None = None
    default_role: str | None = None
    org_roles: tuple[OrgRole, ...] | None = None

    @property
    def is_active(self) -> bool:
        """Whether the status is `active`. An active token may still have expired."""
        return self.status == "active"

    @property
    def never_expires(self) -> bool:
        """Whether the token has no expiration date, which is the API's default."""
        return self.expiration_date is None

    def is_expired(self, at: datetime | None = None) -> bool:
        """Return whether the expiration date has passed.

        Args:
            at: The time to compare with, which needs a time zone. Default: the time of this
                machine. Its clock may be wrong, so pass `client.server_time()` before you delete
                a token because of the answer.

        Raises:
            ValidationError: `at` has no time zone.
        """
        limits.check(limits.optional(limits.moment), "is_expired", "at", at)
        return self.expiration_date is not None and self.expiration_date <= (
            at or datetime.now(UTC)
        )


@frozen(kw_only=True, slots=False)
class ApiToken(_Token):
    """A token of a user, an application or an instance.

    Attributes:
        token: The secret. Only the request that creates a token returns it, and only once.
        extra: The members of the answer that are not listed here, as they came.
    """

    api_token_id: str | None = None
    owner_id: str | None = None
    owner_type: str | None = None
    creator_id: str | None = None
    creator_type: str | None = None
    creator_name: str | None = None
    token: Secret | None = None
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class OauthDetails:
    """The application that a user let in with an OAuth token."""

    client_id: str | None = None
    client_name: str | None = None
    client_uri: str | None = None
    logo_uri: str | None = None
    redirect_uri: str | None = None
    resource: tuple[str, ...] | None = None
    authorization_status: str | None = field(default=None, metadata={"wire": "authorizationStatus"})
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True, slots=False)
class UserOauthToken(_Token):
    """An OAuth token of a user."""

    oauth_token_id: str | None = None
    oauth: OauthDetails | None = None
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class _Page:
    """What the two kinds of pages have in common. All but the items may be missing."""

    count: int | None = None
    total_count: int | None = None
    per_page: int | None = None
    page: int | None = None
    filter: str | None = None
    filter_field: str | None = None
    sort_field: str | None = None
    sort_direction: str | None = None


@frozen(kw_only=True)
class ApiTokens(_Page):
    """One page of tokens.

    Attributes:
        items: The tokens on this page.
        count: How many they are.
        total_count: How many there are on all pages.
        per_page: How many fit on a page; the server may cap what was asked for.
        page: The number of this page, from zero.
    """

    items: tuple[ApiToken, ...]
    owner_id: str | None = None
    owner_type: str | None = None
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class UserOauthTokens(_Page):
    """One page of OAuth tokens; the attributes are those of `ApiTokens`."""

    items: tuple[UserOauthToken, ...]
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class AuthenticatedUser:
    """Who has logged in, and the access token for the requests that follow."""

    user_id: str
    token: Secret
    needs_to_verify_email: bool | None = None
    org_id: str | None = None
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class Success:
    """The API has done what was asked."""

    success: Literal[True] = True
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


ANSWERS: Final = (
    ApiToken,
    ApiTokens,
    UserOauthToken,
    UserOauthTokens,
    OauthDetails,
    OrgRole,
    ResourceRole,
    AuthenticatedUser,
    Success,
)
