"""Models of the API's responses, as immutable attrs classes.

Only the id of a token is required. Enumerations to which the API may add values are plain strings.
Members without an attribute are kept in `extra` under their wire names. No repr shows `extra`,
because its values may be secret. Attributes are snake_case here and camelCase on the wire; `_codec`
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

from losant_tokens import _validators as validators
from losant_tokens._secret import Secret
from losant_tokens._wire import SnakeCase, WireModel

_NONE_UNREADABLE: Final[frozenset[str]] = frozenset()


@frozen
class ResourceRole(WireModel):
    """The role that a token has for one application or dashboard."""

    resource_id: str
    role: str
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen
class OrgRole(WireModel):
    """The role that a user's token has in one organization (or in the `sandbox`)."""

    org_id: str
    role: str
    application_roles: tuple[ResourceRole, ...] | None = field(
        default=None, converter=validators.as_tuple, kw_only=True
    )
    dashboard_roles: tuple[ResourceRole, ...] | None = field(
        default=None, converter=validators.as_tuple, kw_only=True
    )
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


# Without slots, attrs makes instances of a frozen class in two thirds of the time. A list of tokens
# is read 9% faster (benchmark row "CPU to read 100,000 tokens").
@frozen(kw_only=True, slots=False)
class _Token(WireModel):
    """The attributes that API tokens and OAuth tokens share."""

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
    unreadable: frozenset[str] = field(default=_NONE_UNREADABLE, repr=False)

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
    """A token of a user, an application or an instance.

    Attributes:
        token: The secret. Only `post` returns it, see `NewApiToken`; otherwise it is `None`.
        unreadable: The names of the attributes whose members are present but cannot be read.
        extra: The raw values of the members without an attribute and of the members that cannot be
            read, under their wire names. A `token` that is not a string is kept as a `Secret` of
            its JSON.
    """

    api_token_id: str | None = None
    owner_id: str | None = None
    owner_type: str | None = None
    creator_id: str | None = None
    creator_type: str | None = None
    creator_name: str | None = None
    token: Secret | None = None
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True, slots=False)
class NewApiToken(ApiToken):
    """A token that was just created, with its secret.

    Attributes:
        token: The secret. Store it now: no later response contains it. It is returned even if the
            response has no readable id; then `id` is empty, and `unreadable` names it.
    """

    token: Secret


@frozen(kw_only=True)
class OauthDetails(SnakeCase, WireModel):
    """The application that a user has authorized with an OAuth token."""

    client_id: str | None = None
    client_name: str | None = None
    client_uri: str | None = None
    logo_uri: str | None = None
    redirect_uri: str | None = None
    resource: tuple[str, ...] | None = None
    authorization_status: str | None = field(default=None, metadata={"wire": "authorizationStatus"})
    unreadable: frozenset[str] = field(default=_NONE_UNREADABLE, repr=False)
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True, slots=False)
class UserOauthToken(_Token):
    """An OAuth token of a user."""

    oauth_token_id: str | None = None
    oauth: OauthDetails | None = None
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class _AnyPage(WireModel):
    """The attributes that all pages share. Only the items are required."""

    count: int | None = None
    total_count: int | None = None
    per_page: int | None = None
    page: int | None = None
    sort_field: str | None = None
    sort_direction: str | None = None
    unreadable_items: tuple[Any, ...] = field(default=(), repr=False, hash=False)
    unreadable: frozenset[str] = field(default=_NONE_UNREADABLE, repr=False)


@frozen(kw_only=True)
class _Page(_AnyPage):
    """The attributes that all pages except those of audit logs share."""

    filter: str | None = None
    filter_field: str | None = None


@frozen(kw_only=True)
class ApiTokens(_Page):
    """One page of tokens.

    Attributes:
        items: The tokens on this page.
        unreadable_items: The raw items that are not tokens, because they have no id or are not
            JSON objects. Do not treat a list with such items as complete.
        count: The number of items on this page.
        total_count: The number of items on all pages.
        per_page: The size of a page. The server may cap the requested size.
        page: The number of this page, from 0.
        unreadable: The names of the attributes whose members are present but cannot be read.
    """

    items: tuple[ApiToken, ...]
    owner_id: str | None = None
    owner_type: str | None = None
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class UserOauthTokens(_Page):
    """One page of OAuth tokens, with the attributes of `ApiTokens`."""

    items: tuple[UserOauthToken, ...]
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class AuthenticatedUser(WireModel):
    """The user who has logged in, and the access token for further requests."""

    user_id: str
    token: Secret
    needs_to_verify_email: bool | None = None
    org_id: str | None = None
    unreadable: frozenset[str] = field(default=_NONE_UNREADABLE, repr=False)
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class Success(WireModel):
    """The result of an operation that returns no data.

    Attributes:
        success: Always true.
        is_stated: Whether the body of the response says so. If not, the body was empty.
    """

    success: Literal[True] = True
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    is_stated: bool = field(default=True, repr=False, eq=False, kw_only=True)


@frozen(kw_only=True)
class Application(WireModel):
    """An application, which can own tokens. Only the id is required.

    Attributes:
        owner_id: The id of the organization or user that it belongs to.
        owner_type: `organization` or `user`.
    """

    id: str
    application_id: str | None = None
    name: str | None = None
    owner_id: str | None = None
    owner_type: str | None = None
    organization_name: str | None = None
    creation_date: datetime | None = None
    last_updated: datetime | None = None
    unreadable: frozenset[str] = field(default=_NONE_UNREADABLE, repr=False)
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class Applications(_Page):
    """One page of applications, with the attributes of `ApiTokens`."""

    items: tuple[Application, ...]
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class Instance(WireModel):
    """An instance, which can own tokens. Only the id is required."""

    id: str
    instance_id: str | None = None
    name: str | None = None
    creation_date: datetime | None = None
    last_updated: datetime | None = None
    unreadable: frozenset[str] = field(default=_NONE_UNREADABLE, repr=False)
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class Instances(_Page):
    """One page of instances, with the attributes of `ApiTokens`."""

    items: tuple[Instance, ...]
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class Organization(WireModel):
    """An organization, which has applications and an audit log. Only the id is required."""

    id: str
    org_id: str | None = None
    name: str | None = None
    creation_date: datetime | None = None
    last_updated: datetime | None = None
    unreadable: frozenset[str] = field(default=_NONE_UNREADABLE, repr=False)
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


@frozen(kw_only=True)
class Organizations(_Page):
    """One page of organizations, with the attributes of `ApiTokens`."""

    items: tuple[Organization, ...]
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)


# The classes of audit logs have no `extra`. The bodies and parameters of the logged requests and
# responses may hold secrets, such as the secret of a new token, so they are never kept.


@frozen(kw_only=True)
class _LogEntry(WireModel):
    """The attributes that the entries of all audit logs share. Only the id is required."""

    id: str
    creation_date: datetime | None = None
    actor_id: str | None = None
    actor_type: str | None = None
    actor_name: str | None = None
    primary_target_id: str | None = None
    primary_target_type: str | None = None
    primary_target_name: str | None = None
    secondary_target_id: str | None = None
    secondary_target_type: str | None = None
    secondary_target_name: str | None = None
    request_resource: str | None = None
    request_action: str | None = None
    response_status: int | None = None
    unreadable: frozenset[str] = field(default=_NONE_UNREADABLE, repr=False)


@frozen(kw_only=True)
class AuditLog(_LogEntry):
    """One entry of the audit log of an organization: who changed which resource, and when.

    The API also sends the parameters and the bodies of the request and its response. They may hold
    secrets, so they are dropped when the entry is read, and so are members without an attribute.

    Attributes:
        creation_date: The time of the request.
        actor_id: The id of the actor: the user, token, device, workflow or application that sent
            the request.
        actor_type: `Application`, `Device`, `Flow`, `User` or `ApiToken`.
        primary_target_id: The id of the changed resource, or of the application that holds it.
        secondary_target_id: The id of the changed resource in an application.
        request_resource: The resource of the operation, for example `device`.
        request_action: The action of the operation, for example `patch`.
        response_status: The HTTP status of the response.
        unreadable: The names of the attributes whose members are present but cannot be read.
    """

    audit_log_id: str | None = None
    org_id: str | None = None


@frozen(kw_only=True)
class InstanceAuditLog(_LogEntry):
    """One entry of the audit log of an instance, with the attributes of `AuditLog`.

    The actor is a `User` or an `ApiToken`.
    """

    instance_audit_log_id: str | None = None
    instance_id: str | None = None


@frozen(kw_only=True)
class AuditLogs(_AnyPage):
    """One page of the audit log of an organization, the newest entries first.

    Attributes:
        items: The entries on this page.
        unreadable_items: `None` for each item that is not an entry, because it has no id or is not
            a JSON object. Its content is dropped, because it may hold a secret.
        count: The number of items on this page.
        total_count: The number of items on all pages.
        per_page: The size of a page. The server may cap the requested size.
        page: The number of this page, from 0.
        unreadable: The names of the attributes whose members are present but cannot be read.
    """

    items: tuple[AuditLog, ...]
    org_id: str | None = None


@frozen(kw_only=True)
class InstanceAuditLogs(_AnyPage):
    """One page of the audit log of an instance, with the attributes of `AuditLogs`."""

    items: tuple[InstanceAuditLog, ...]
    instance_id: str | None = None


RESPONSE_MODELS: Final = (
    ApiToken,
    NewApiToken,
    ApiTokens,
    UserOauthToken,
    UserOauthTokens,
    OauthDetails,
    OrgRole,
    ResourceRole,
    AuthenticatedUser,
    Success,
    AuditLog,
    AuditLogs,
    InstanceAuditLog,
    InstanceAuditLogs,
    Application,
    Applications,
    Instance,
    Instances,
    Organization,
    Organizations,
)
