"""Request bodies, as immutable attrs classes that check the limits of the API.

A member that is `None` is left out of the request. A value beyond a limit raises a
`ValidationError` when the object is made. The limits are those of the API's JSON schemas (API
version 1.31).
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import Enum
from typing import Final, Literal

from attrs import field, frozen

from losant_tokens._api.models import OrgRole, ResourceRole
from losant_tokens._api.published_scopes import (
    DEPRECATED_GROUPS,
    OAUTH_SCOPES,
    OauthScope,
    Scope,
    published_scopes,
    similar_scope,
)
from losant_tokens._api.wire_format import SnakeCase
from losant_tokens._utils import validators
from losant_tokens._utils.secret import Secret

Status = Literal["active", "inactive"]
Role = Literal["admin", "edit", "collaborate", "view", "none"]

_STATUSES = ("active", "inactive")
_ROLES = ("admin", "edit", "collaborate", "view", "none")
_SHARED_ROLES = ("collaborate", "view", "none")


class Never(Enum):
    """The type of `NEVER`."""

    NEVER = "never"

    def __repr__(self) -> str:
        return self.name


NEVER: Final = Never.NEVER
"""The expiration date of an OAuth token that never expires. By default, one expires in a year."""


_ID_OR_SANDBOX = rf"{validators.ID_PATTERN.pattern}|sandbox"
_URI = r"[A-Za-z][A-Za-z0-9+.-]*:\S+"

_RESOURCE_ROLES = validators.optional(
    validators.tuple_of(
        validators.instance_with(
            ResourceRole,
            {
                "resource_id": validators.string(pattern=validators.ID_PATTERN.pattern),
                "role": validators.one_of(_SHARED_ROLES),
            },
        ),
        max_length=100,
    )
)
_ORG_ROLES = validators.optional(
    validators.tuple_of(
        validators.instance_with(
            OrgRole,
            {
                "org_id": validators.string(pattern=_ID_OR_SANDBOX),
                "role": validators.one_of(_ROLES),
                "application_roles": _RESOURCE_ROLES,
                "dashboard_roles": _RESOURCE_ROLES,
            },
        ),
        max_length=25,
    )
)


_NAME = validators.string(1, 255)
_DESCRIPTION = validators.optional(validators.string(0, 32767))
_STATUS = validators.optional(validators.one_of(_STATUSES))
_DEFAULT_ROLE = validators.optional(validators.one_of(_ROLES))
_DATETIME = validators.optional(validators.aware_datetime)


class UnlistedScope(str):
    """A scope for a new token that exists although this library does not list it.

    Losant may add scopes. A plain string that this library does not list is refused as a likely
    mistake, but `scope=[UnlistedScope("galaxy.get")]` is sent.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"UnlistedScope({str.__repr__(self)})"


def _scope(name: str, words: Callable[[], frozenset[str]]) -> validators.Validator:
    """Return a validator for a scope: one of some words, or an `UnlistedScope`.

    Args:
        name: The kind of the scope, for the message.
        words: Returns the words.
    """
    is_string = validators.string(1, 1024)

    def check(instance: object, field: validators.Field, value: object) -> None:
        is_string(instance, field, value)
        if value in words() or isinstance(value, UnlistedScope):
            return
        raise validators.validation_error(
            instance,
            field,
            f"must be {name}, but it is {validators.describe(value)}."
            f"{_advice(str(value), words())}",
        )

    return check


def _advice(word: str, words: frozenset[str]) -> str:
    """Return what to do about a scope that is not one of some words."""
    if word in DEPRECATED_GROUPS:
        return " It is deprecated: new tokens cannot have it"
    similar = similar_scope(word, words)
    suggestion = "" if similar is None else f" Did you mean {similar!r}?"
    return f"{suggestion} If the API has added it, pass it as an UnlistedScope"


def _as_scopes(value: Iterable[Scope] | None) -> tuple[str, ...] | None:
    """Convert scopes to a tuple. The type of the argument makes editors complete them."""
    return validators.as_tuple(value)


def _as_oauth_scopes(value: Iterable[OauthScope | str] | None) -> tuple[str, ...] | None:
    """Convert the scopes of an OAuth token to a tuple, as `_as_scopes` does."""
    return validators.as_tuple(value)


_API_SCOPE = validators.optional(
    validators.tuple_of(_scope("a published scope", published_scopes), unique=True)
)
_OAUTH_SCOPE = validators.optional(
    validators.tuple_of(
        _scope("a scope that OAuth tokens can have", lambda: OAUTH_SCOPES), unique=True
    )
)


@frozen
class ApiTokenPost:
    """A new token for a user, an application or an instance.

    Raises:
        ValidationError: A value is beyond the limits of the API.
    """

    name: str = field(validator=_NAME)
    """The display name, of 1 to 255 characters."""
    description: str | None = field(default=None, validator=_DESCRIPTION, kw_only=True)
    """Up to 32,767 characters."""
    expiration_date: datetime | None = field(default=None, validator=_DATETIME, kw_only=True)
    """When the token expires, with a time zone. Default: never."""
    default_role: Role | None = field(default=None, validator=_DEFAULT_ROLE, kw_only=True)
    """The role in organizations that are not in `org_roles`."""
    org_roles: tuple[OrgRole, ...] | None = field(
        default=None, validator=_ORG_ROLES, converter=validators.as_tuple, kw_only=True
    )
    """The roles in up to 25 organizations."""
    scope: tuple[str, ...] | None = field(
        default=None, validator=_API_SCOPE, converter=_as_scopes, kw_only=True
    )
    """The scopes, such as `["all.User.read"]`. They cannot be changed later. Each must be a
    published scope or an `UnlistedScope`, and none may occur twice.
    """
    status: Status | None = field(default=None, validator=_STATUS, kw_only=True)
    """`active` or `inactive`. The API's default is `active`."""


@frozen(kw_only=True)
class ApiTokenPatch:
    """Changes to a token. Its scopes and its expiration date cannot be changed.

    Raises:
        ValidationError: A value is beyond the limits of the API.
    """

    name: str | None = field(default=None, validator=validators.optional(_NAME), kw_only=True)
    """The display name, of 1 to 255 characters."""
    description: str | None = field(default=None, validator=_DESCRIPTION, kw_only=True)
    """Up to 32,767 characters. `""` removes it."""
    default_role: Role | None = field(default=None, validator=_DEFAULT_ROLE, kw_only=True)
    """The role in organizations that are not in `org_roles`."""
    org_roles: tuple[OrgRole, ...] | None = field(
        default=None, validator=_ORG_ROLES, converter=validators.as_tuple, kw_only=True
    )
    """The roles in up to 25 organizations. They replace all existing roles."""
    status: Status | None = field(default=None, validator=_STATUS, kw_only=True)
    """`active` or `inactive`. The API refuses requests with an inactive token."""


@frozen(kw_only=True)
class UserOauthTokenPatch(ApiTokenPatch):
    """Changes to an OAuth token, with the arguments of `ApiTokenPatch`."""


@frozen
class OauthRequest(SnakeCase):
    """The application that requests an OAuth token.

    Raises:
        ValidationError: A value is beyond the limits of the API.
    """

    client_id: str = field(validator=validators.string(24, 1024))
    """The id of the application, of 24 to 1,024 characters."""
    redirect_uri: str = field(validator=validators.string(1, 1024, pattern=_URI))
    """The URI to which the user is sent with the code; up to 1,024 characters."""
    code_challenge: str = field(validator=validators.string(43, 128, pattern=r"[A-Za-z0-9_-]+"))
    """The PKCE challenge (RFC 7636), of 43 to 128 letters, digits, `-` or `_`."""
    code_challenge_method: Literal["S256"] = field(
        default="S256", validator=validators.one_of(("S256",))
    )
    """`S256`, the only method."""
    resource: tuple[str, ...] | None = field(
        default=None,
        validator=validators.optional(
            validators.tuple_of(validators.string(1, 1024, pattern=_URI), max_length=10)
        ),
        converter=validators.as_tuple,
        kw_only=True,
    )
    """The URIs of up to 10 resources that the token is for (RFC 8707)."""


@frozen
class UserOauthTokenPost:
    """A new OAuth token for a user.

    Raises:
        ValidationError: A value is beyond the limits of the API.
    """

    name: str = field(validator=_NAME)
    """The display name, of 1 to 255 characters."""
    oauth: OauthRequest = field(validator=validators.instance_of(OauthRequest))
    """The application that requests the token."""
    description: str | None = field(default=None, validator=_DESCRIPTION, kw_only=True)
    """Up to 32,767 characters."""
    expiration_date: datetime | Never | None = field(
        default=None,
        validator=validators.optional(validators.aware_datetime_or(NEVER)),
        kw_only=True,
    )
    """When the token expires, with a time zone, or `NEVER`. Default: in a year."""
    default_role: Role | None = field(default=None, validator=_DEFAULT_ROLE, kw_only=True)
    """The role in organizations that are not in `org_roles`."""
    org_roles: tuple[OrgRole, ...] | None = field(
        default=None, validator=_ORG_ROLES, converter=validators.as_tuple, kw_only=True
    )
    """The roles in up to 25 organizations."""
    scope: tuple[str, ...] | None = field(
        default=None, validator=_OAUTH_SCOPE, converter=_as_oauth_scopes, kw_only=True
    )
    """The scopes. Each must be one of the seven scopes that OAuth tokens can have or an
    `UnlistedScope`, and none may occur twice.
    """


@frozen(init=False)
class UserCredentials:
    """The credentials with which a user logs in.

    Raises:
        ValidationError: A value is beyond the limits of the API.
    """

    email: str = field(validator=validators.string(1, 1024, pattern=r"[^@\s]+@[^@\s]+"))
    """The email address, of up to 1,024 characters."""
    password: Secret = field(validator=validators.string(8, 2048, secret=True))
    """8 to 2,048 characters. It is kept as a `Secret`."""
    two_factor_code: Secret | None = field(
        default=None,
        validator=validators.optional(validators.string(0, 2048, secret=True)),
        kw_only=True,
    )
    """The current code, if the account requires one. It is kept as a `Secret`."""
    requested_scopes: tuple[str, ...] | None = field(
        default=None, validator=_API_SCOPE, converter=_as_scopes, kw_only=True
    )
    """The scopes of the access token, which must be published or an `UnlistedScope`. Default: all
    scopes.
    """
    token_ttl: int | None = field(
        default=None,
        validator=validators.optional(validators.integer(minimum=0)),
        kw_only=True,
        metadata={"wire": "tokenTTL"},
    )
    """The lifetime of the access token, in seconds. Default: the API's."""

    def __init__(
        self,
        email: str,
        password: str | Secret,
        *,
        two_factor_code: str | Secret | None = None,
        requested_scopes: Iterable[Scope] | None = None,
        token_ttl: int | None = None,
    ) -> None:
        # The values are wrapped before anything can raise, so that no traceback shows them.
        password = Secret.of(password)
        two_factor_code = Secret.of(two_factor_code) if two_factor_code is not None else None
        self.__attrs_init__(
            email=email,
            password=password,
            two_factor_code=two_factor_code,
            requested_scopes=requested_scopes,
            token_ttl=token_ttl,
        )


Body = ApiTokenPost | ApiTokenPatch | UserOauthTokenPatch | UserOauthTokenPost | UserCredentials
"""Any request body."""
