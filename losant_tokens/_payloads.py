"""What requests carry, as immutable attrs classes that check the limits of the API at once.

`None` means "leave this member out". What a limit refuses is a `ValidationError`.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import Enum
from typing import Final, Literal

from attrs import field, frozen

from losant_tokens import _validators as validators
from losant_tokens._models import OrgRole, ResourceRole
from losant_tokens._published_scopes import OAUTH_SCOPES, published_scopes
from losant_tokens._secret import Secret

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
"""The expiration date of an OAuth token that never expires; without one, it lasts a year."""


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
_MOMENT = validators.optional(validators.aware_datetime)


class UnlistedScope(str):
    """A scope for a new token that is not among the published ones, but is known to exist.

    Losant may add scopes. Until this library lists one, `scope=[UnlistedScope("galaxy.get")]` sends
    it, where the plain string is refused as a likely mistake.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"UnlistedScope({str.__repr__(self)})"


def _one_scope_of(words: Callable[[], frozenset[str]]) -> validators.Validator:
    """Return a validator of a scope that must be among these words, or an `UnlistedScope`."""
    is_text = validators.string(1, 1024)

    def check(instance: object, field: validators.Field, value: object) -> None:
        is_text(instance, field, value)
        if value in words() or isinstance(value, UnlistedScope):
            return
        raise validators.validation_error(
            instance,
            field,
            f"must be a scope that the API lists for it, but it is {validators.describe(value)}."
            f"{_suggestion(str(value), words())} If the API has added it since, give it as an "
            "UnlistedScope",
        )

    return check


def _suggestion(word: str, words: frozenset[str]) -> str:
    import difflib  # noqa: PLC0415 -- only for a mistake

    close = difflib.get_close_matches(word, sorted(words), n=1) if len(word) <= _LONG_WORD else ()
    return f" Did you mean {close[0]!r}?" if close else ""


_LONG_WORD = 64  # characters; published scopes are shorter, and comparing takes time
_API_SCOPE = validators.optional(validators.tuple_of(_one_scope_of(published_scopes), unique=True))
_OAUTH_SCOPE = validators.optional(
    validators.tuple_of(_one_scope_of(lambda: OAUTH_SCOPES), unique=True)
)


@frozen
class ApiTokenPost:
    """A new token for a user, an application or an instance.

    Args:
        name: 1 to 255 characters; shown to people, of no effect.
        description: Up to 32,767 characters.
        expiration_date: When it stops working, with its time zone. Left out, it never does.
        scope: What it may do, such as `["all.User.read"]`; published scopes only, none twice. A
            newer one can be given as an `UnlistedScope`. Cannot be changed later.
        status: `active` or `inactive`; the API's default is active.
        default_role: The role in organizations that `org_roles` does not list.
        org_roles: The roles in up to 25 organizations.

    Raises:
        ValidationError: A value is beyond the limits of the API.
    """

    name: str = field(validator=_NAME)
    description: str | None = field(default=None, validator=_DESCRIPTION, kw_only=True)
    expiration_date: datetime | None = field(default=None, validator=_MOMENT, kw_only=True)
    default_role: Role | None = field(default=None, validator=_DEFAULT_ROLE, kw_only=True)
    org_roles: tuple[OrgRole, ...] | None = field(
        default=None, validator=_ORG_ROLES, converter=validators.as_tuple, kw_only=True
    )
    scope: tuple[str, ...] | None = field(
        default=None, validator=_API_SCOPE, converter=validators.as_tuple, kw_only=True
    )
    status: Status | None = field(default=None, validator=_STATUS, kw_only=True)


@frozen(kw_only=True)
class ApiTokenPatch:
    """What to change about a token. Scopes and expiration date cannot be changed.

    Args:
        name: 1 to 255 characters.
        description: Up to 32,767 characters; `""` empties it.
        status: `inactive` makes requests with the token fail until it is `active` again.
        default_role: The role in organizations that `org_roles` does not list.
        org_roles: The roles in up to 25 organizations; they replace all former ones.

    Raises:
        ValidationError: A value is beyond the limits of the API.
    """

    name: str | None = field(default=None, validator=validators.optional(_NAME), kw_only=True)
    description: str | None = field(default=None, validator=_DESCRIPTION, kw_only=True)
    default_role: Role | None = field(default=None, validator=_DEFAULT_ROLE, kw_only=True)
    org_roles: tuple[OrgRole, ...] | None = field(
        default=None, validator=_ORG_ROLES, converter=validators.as_tuple, kw_only=True
    )
    status: Status | None = field(default=None, validator=_STATUS, kw_only=True)


@frozen(kw_only=True)
class UserOauthTokenPatch(ApiTokenPatch):
    """What to change about an OAuth token; the arguments are those of `ApiTokenPatch`."""


@frozen
class OauthRequest:
    """The part of a new OAuth token that says which application asks for it.

    Args:
        client_id: 24 to 1,024 characters.
        redirect_uri: Where the user is sent afterwards; up to 1,024 characters.
        code_challenge: The PKCE challenge: 43 to 128 letters, digits, `-` or `_`.
        code_challenge_method: `S256`.
        resource: Up to 10 URIs of the resources that the token is for.

    Raises:
        ValidationError: A value is beyond the limits of the API.
    """

    client_id: str = field(validator=validators.string(24, 1024))
    redirect_uri: str = field(validator=validators.string(1, 1024, pattern=_URI))
    code_challenge: str = field(validator=validators.string(43, 128, pattern=r"[A-Za-z0-9_-]+"))
    code_challenge_method: Literal["S256"] = field(
        default="S256", validator=validators.one_of(("S256",))
    )
    resource: tuple[str, ...] | None = field(
        default=None,
        validator=validators.optional(
            validators.tuple_of(validators.string(1, 1024, pattern=_URI), max_length=10)
        ),
        converter=validators.as_tuple,
        kw_only=True,
    )


@frozen
class UserOauthTokenPost:
    """A new OAuth token for a user.

    Args:
        name: 1 to 255 characters.
        oauth: Which application asks for it.
        expiration_date: When it stops working; left out, in a year; `NEVER`, never.
        description: Up to 32,767 characters.
        scope: What it may do: any of the seven scopes that OAuth tokens can have, none twice.
        default_role: The role in organizations that `org_roles` does not list.
        org_roles: The roles in up to 25 organizations.

    Raises:
        ValidationError: A value is beyond the limits of the API.
    """

    name: str = field(validator=_NAME)
    oauth: OauthRequest = field(validator=validators.instance_of(OauthRequest))
    description: str | None = field(default=None, validator=_DESCRIPTION, kw_only=True)
    expiration_date: datetime | Never | None = field(
        default=None,
        validator=validators.optional(validators.aware_datetime_or(NEVER)),
        kw_only=True,
    )
    default_role: Role | None = field(default=None, validator=_DEFAULT_ROLE, kw_only=True)
    org_roles: tuple[OrgRole, ...] | None = field(
        default=None, validator=_ORG_ROLES, converter=validators.as_tuple, kw_only=True
    )
    scope: tuple[str, ...] | None = field(
        default=None, validator=_OAUTH_SCOPE, converter=validators.as_tuple, kw_only=True
    )


@frozen(init=False)
class UserCredentials:
    """What a user logs in with.

    Args:
        email: Up to 1,024 characters.
        password: 8 to 2,048 characters. Kept as a `Secret`.
        two_factor_code: The current code, if the account needs one. Kept as a `Secret`, too.
        requested_scopes: The scopes of the access token, of the published ones; left out, all.
        token_ttl: The lifetime of the access token, in seconds.

    Raises:
        ValidationError: A value is beyond the limits of the API.
    """

    email: str = field(validator=validators.string(1, 1024, pattern=r"[^@\s]+@[^@\s]+"))
    password: Secret = field(validator=validators.string(8, 2048, secret=True))
    two_factor_code: Secret | None = field(
        default=None,
        validator=validators.optional(validators.string(0, 2048, secret=True)),
        kw_only=True,
    )
    requested_scopes: tuple[str, ...] | None = field(
        default=None, validator=_API_SCOPE, converter=validators.as_tuple, kw_only=True
    )
    token_ttl: int | None = field(
        default=None,
        validator=validators.optional(validators.integer(minimum=0)),
        kw_only=True,
        metadata={"wire": "tokenTTL"},
    )

    def __init__(
        self,
        email: str,
        password: str | Secret,
        *,
        two_factor_code: str | Secret | None = None,
        requested_scopes: Iterable[str] | None = None,
        token_ttl: int | None = None,
    ) -> None:
        # Veiled before anything can raise: the frames of a traceback hold no plain password.
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
"""What a request may carry."""

BODIES: Final = (
    ApiTokenPost,
    ApiTokenPatch,
    UserOauthTokenPatch,
    OauthRequest,
    UserOauthTokenPost,
    UserCredentials,
)
