"""The table of the API's operations. Each fact about an operation is written only here.

The operations of owners and audit logs are in `owner_operations` and `audit_log_operations`. Most
programs never call them, and their models take long to import.

An operation has its name in the API (`userApiToken.delete`), a method and a path, the scopes that
allow it, and the classes of the request body and the response. A token needs one of the scopes.

Source: version 1.31 of https://github.com/Losant/losant-rest-python/tree/master/docs
"""

import re
from typing import Generic, TypeVar

from attrs import evolve, field, frozen

from losant_tokens._api import models, payloads

R = TypeVar("R")


class JsonValue:
    """The result of an operation whose response has no model: any JSON value."""


@frozen(eq=False)
class Operation(Generic[R]):
    """One operation of the API.

    Attributes:
        name: Its name in the API.
        method: The HTTP method.
        path: The path, with the names of its ids in braces.
        result: The class of the response.
        body: The class of the request body, or `None` if it has no body.
        accepts: The scopes that allow it. A token needs one of them. Empty if they are not known.
        denies_oauth: Whether OAuth tokens are refused, regardless of their scopes.
        needs_token: Whether it needs an access token.
        sorts_by: The fields that a list can be sorted by.
        filters_by: The fields that a list can be filtered by.
        is_custom: Whether a program has made it from a path. Its response may be a list.
        ids: The names of the ids in the path, in order.
    """

    name: str
    method: str
    path: str
    result: type[R]
    body: type | None = None
    accepts: frozenset[str] = frozenset()
    denies_oauth: bool = False
    needs_token: bool = True
    sorts_by: tuple[str, ...] = ()
    filters_by: tuple[str, ...] = ()
    is_custom: bool = field(default=False, kw_only=True)
    ids: tuple[str, ...] = field(init=False)

    @ids.default
    def _ids_in_the_path(self) -> tuple[str, ...]:
        return tuple(re.findall(r"{(\w+)}", self.path))

    def __str__(self) -> str:
        return self.name


def new_operation(
    name: str,
    method: str,
    path: str,
    result: type[R],
    groups: tuple[str, ...],
    body: type | None = None,
    *,
    denies_oauth: bool = False,
) -> Operation[R]:
    """Return an operation. A token needs one of the groups, or the scope of the operation."""
    resource, _, _ = name.partition(".")
    accepts = frozenset((*groups, f"{resource}.*", name))
    return Operation(name, method, path, result, body, accepts, denies_oauth)


def new_list_operation(
    name: str,
    path: str,
    result: type[R],
    groups: tuple[str, ...],
    *,
    sorts_by: tuple[str, ...],
    filters_by: tuple[str, ...],
) -> Operation[R]:
    """Return an operation that reads a list."""
    operation = new_operation(name, "GET", path, result, groups)
    return evolve(operation, sorts_by=sorts_by, filters_by=filters_by)


def with_narrower(group: str) -> tuple[str, ...]:
    """Return a group of scopes with its two narrower forms."""
    return group, f"{group}.bounded", f"{group}.read"


_SORTS = ("name", "status", "id", "creationDate", "lastUpdated", "expirationDate")
_OAUTH_SORTS = ("name", "status", "id", "creationDate", "lastUpdated")
_FILTERS = ("name", "status")
_OAUTH_FILTERS = ("name",)

# --- Tokens of a user ------------------------------------------------------------------------

_ME_READ = (*with_narrower("all.User"), *with_narrower("only.User"))
_ME_WRITE = ("all.User", "only.User")

USER_API_TOKEN_GET = new_operation(
    "userApiToken.get", "GET", "/me/tokens/{apiTokenId}", models.ApiToken, _ME_READ
)
USER_API_TOKEN_PATCH = new_operation(
    "userApiToken.patch",
    "PATCH",
    "/me/tokens/{apiTokenId}",
    models.ApiToken,
    _ME_WRITE,
    payloads.ApiTokenPatch,
    denies_oauth=True,
)
USER_API_TOKEN_DELETE = new_operation(
    "userApiToken.delete",
    "DELETE",
    "/me/tokens/{apiTokenId}",
    models.Success,
    _ME_WRITE,
    denies_oauth=True,
)
USER_API_TOKENS_GET = new_list_operation(
    "userApiTokens.get",
    "/me/tokens",
    models.ApiTokens,
    _ME_READ,
    sorts_by=_SORTS,
    filters_by=_FILTERS,
)

USER_API_TOKENS_POST = new_operation(
    "userApiTokens.post",
    "POST",
    "/me/tokens",
    models.NewApiToken,
    _ME_WRITE,
    payloads.ApiTokenPost,
    denies_oauth=True,
)

# --- OAuth tokens of a user ------------------------------------------------------------------

USER_OAUTH_TOKEN_GET = new_operation(
    "userOauthToken.get",
    "GET",
    "/me/oauth-tokens/{oauthTokenId}",
    models.UserOauthToken,
    _ME_READ,
)
USER_OAUTH_TOKEN_PATCH = new_operation(
    "userOauthToken.patch",
    "PATCH",
    "/me/oauth-tokens/{oauthTokenId}",
    models.UserOauthToken,
    _ME_WRITE,
    payloads.UserOauthTokenPatch,
    denies_oauth=True,
)
USER_OAUTH_TOKEN_DELETE = new_operation(
    "userOauthToken.delete",
    "DELETE",
    "/me/oauth-tokens/{oauthTokenId}",
    models.Success,
    _ME_WRITE,
    denies_oauth=True,
)
USER_OAUTH_TOKENS_GET = new_list_operation(
    "userOauthTokens.get",
    "/me/oauth-tokens",
    models.UserOauthTokens,
    _ME_READ,
    sorts_by=_OAUTH_SORTS,
    filters_by=_OAUTH_FILTERS,
)
USER_OAUTH_TOKENS_POST = new_operation(
    "userOauthTokens.post",
    "POST",
    "/me/oauth-tokens",
    models.UserOauthToken,
    _ME_WRITE,
    payloads.UserOauthTokenPost,
    denies_oauth=True,
)

# --- Tokens of an application ----------------------------------------------------------------

_APPLICATION_READ = (
    *with_narrower("all.Application"),
    *with_narrower("all.Organization"),
    *with_narrower("all.User"),
)
_APPLICATION_WRITE = ("all.Application", "all.Organization", "all.User")

APPLICATION_API_TOKEN_GET = new_operation(
    "applicationApiToken.get",
    "GET",
    "/applications/{applicationId}/tokens/{apiTokenId}",
    models.ApiToken,
    _APPLICATION_READ,
)
APPLICATION_API_TOKEN_PATCH = new_operation(
    "applicationApiToken.patch",
    "PATCH",
    "/applications/{applicationId}/tokens/{apiTokenId}",
    models.ApiToken,
    _APPLICATION_WRITE,
    payloads.ApiTokenPatch,
)
APPLICATION_API_TOKEN_DELETE = new_operation(
    "applicationApiToken.delete",
    "DELETE",
    "/applications/{applicationId}/tokens/{apiTokenId}",
    models.Success,
    _APPLICATION_WRITE,
)
APPLICATION_API_TOKENS_GET = new_list_operation(
    "applicationApiTokens.get",
    "/applications/{applicationId}/tokens",
    models.ApiTokens,
    _APPLICATION_READ,
    sorts_by=_SORTS,
    filters_by=_FILTERS,
)
APPLICATION_API_TOKENS_POST = new_operation(
    "applicationApiTokens.post",
    "POST",
    "/applications/{applicationId}/tokens",
    models.NewApiToken,
    _APPLICATION_WRITE,
    payloads.ApiTokenPost,
)

# --- Tokens of an instance -------------------------------------------------------------------

INSTANCE_READ = (*with_narrower("all.Instance"), *with_narrower("all.User"))
_INSTANCE_WRITE = ("all.Instance", "all.User")

INSTANCE_API_TOKEN_GET = new_operation(
    "instanceApiToken.get",
    "GET",
    "/instances/{instanceId}/tokens/{apiTokenId}",
    models.ApiToken,
    INSTANCE_READ,
)
INSTANCE_API_TOKEN_PATCH = new_operation(
    "instanceApiToken.patch",
    "PATCH",
    "/instances/{instanceId}/tokens/{apiTokenId}",
    models.ApiToken,
    _INSTANCE_WRITE,
    payloads.ApiTokenPatch,
)
INSTANCE_API_TOKEN_DELETE = new_operation(
    "instanceApiToken.delete",
    "DELETE",
    "/instances/{instanceId}/tokens/{apiTokenId}",
    models.Success,
    _INSTANCE_WRITE,
)
INSTANCE_API_TOKENS_GET = new_list_operation(
    "instanceApiTokens.get",
    "/instances/{instanceId}/tokens",
    models.ApiTokens,
    INSTANCE_READ,
    sorts_by=_SORTS,
    filters_by=_FILTERS,
)
INSTANCE_API_TOKENS_POST = new_operation(
    "instanceApiTokens.post",
    "POST",
    "/instances/{instanceId}/tokens",
    models.NewApiToken,
    _INSTANCE_WRITE,
    payloads.ApiTokenPost,
)

# --- Scopes of organizations, for the operations in other modules ----------------------------

ORGANIZATION_READ = (
    *with_narrower("all.Organization"),
    *with_narrower("only.Organization"),
    *with_narrower("all.User"),
)

# --- Logging in ------------------------------------------------------------------------------

AUTHENTICATE_USER = Operation(
    "auth.authenticateUser",
    "POST",
    "/auth/user",
    models.AuthenticatedUser,
    payloads.UserCredentials,
    needs_token=False,
)

TOKEN_OPERATIONS: tuple[Operation[object], ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Operation)
)
"""The operations in this module: all that read or change tokens, and the login."""
