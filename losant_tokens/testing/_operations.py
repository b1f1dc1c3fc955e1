"""The contract that the fake implements: its operations, and the scopes that each accepts.

It is written by hand and not taken from the client, so that the fake finds mistakes in the client.
"""

from typing import Literal

from attrs import frozen

from losant_tokens._api.published_scopes import DEPRECATED_GROUPS

Family = Literal["user", "oauth", "application", "instance", "org", "account", "auth"]
Action = Literal[
    "list",
    "create",
    "get",
    "patch",
    "delete",
    "list_owners",
    "list_log",
    "get_log",
    "authenticate",
    "sso_domain",
    "white_label",
]

_USER_READERS = (
    "all.User",
    "all.User.bounded",
    "all.User.read",
    "only.User",
    "only.User.bounded",
    "only.User.read",
)
_USER_WRITERS = ("all.User", "only.User")
_APPLICATION_READERS = (
    "all.Application",
    "all.Application.bounded",
    "all.Application.read",
    "all.Organization",
    "all.Organization.bounded",
    "all.Organization.read",
    "all.User",
    "all.User.bounded",
    "all.User.read",
)
_APPLICATION_WRITERS = ("all.Application", "all.Organization", "all.User")
_INSTANCE_READERS = (
    "all.Instance",
    "all.Instance.bounded",
    "all.Instance.read",
    "all.User",
    "all.User.bounded",
    "all.User.read",
)
_INSTANCE_WRITERS = ("all.Instance", "all.User")
_ORG_LOG_READERS = (
    "all.Organization",
    "all.Organization.bounded",
    "all.Organization.read",
    "only.Organization",
    "only.Organization.bounded",
    "only.Organization.read",
    "all.User",
    "all.User.bounded",
    "all.User.read",
)


_ACCOUNT_READERS = ("all.User", "all.User.bounded", "all.User.read")


@frozen
class Operation:
    """An operation of the API, and the scopes that allow it."""

    name: str
    """The name in the API, for example `userApiToken.get`."""
    family: Family
    action: Action
    method: str
    path: str
    groups: tuple[str, ...] = ()
    """The group scopes that allow it. Its own name and its resource's `.*` allow it too."""
    denies_oauth: bool = False
    body: str | None = None
    """The name of the schema of its body in `_schemas.SCHEMAS`."""
    parameter: str = "apiToken"
    """The name of the parameter that is the body; validation messages begin with it."""

    @property
    def scopes(self) -> frozenset[str]:
        """Every scope that allows the operation; empty if it needs no token."""
        if not self.groups:
            return frozenset()
        return frozenset({*self.groups, self.name, f"{self.name.partition('.')[0]}.*"})


OPERATIONS: tuple[Operation, ...] = (
    Operation("userApiTokens.get", "user", "list", "GET", "/me/tokens", _USER_READERS),
    Operation(
        "userApiTokens.post",
        "user",
        "create",
        "POST",
        "/me/tokens",
        _USER_WRITERS,
        denies_oauth=True,
        body="apiTokenPost",
    ),
    Operation("userApiToken.get", "user", "get", "GET", "/me/tokens/{apiTokenId}", _USER_READERS),
    Operation(
        "userApiToken.patch",
        "user",
        "patch",
        "PATCH",
        "/me/tokens/{apiTokenId}",
        _USER_WRITERS,
        denies_oauth=True,
        body="apiTokenPatch",
    ),
    Operation(
        "userApiToken.delete",
        "user",
        "delete",
        "DELETE",
        "/me/tokens/{apiTokenId}",
        _USER_WRITERS,
        denies_oauth=True,
    ),
    Operation("userOauthTokens.get", "oauth", "list", "GET", "/me/oauth-tokens", _USER_READERS),
    Operation(
        "userOauthTokens.post",
        "oauth",
        "create",
        "POST",
        "/me/oauth-tokens",
        _USER_WRITERS,
        denies_oauth=True,
        body="userOauthTokenPost",
        parameter="oauthToken",
    ),
    Operation(
        "userOauthToken.get",
        "oauth",
        "get",
        "GET",
        "/me/oauth-tokens/{oauthTokenId}",
        _USER_READERS,
    ),
    Operation(
        "userOauthToken.patch",
        "oauth",
        "patch",
        "PATCH",
        "/me/oauth-tokens/{oauthTokenId}",
        _USER_WRITERS,
        denies_oauth=True,
        body="userOauthTokenPatch",
        parameter="oauthToken",
    ),
    Operation(
        "userOauthToken.delete",
        "oauth",
        "delete",
        "DELETE",
        "/me/oauth-tokens/{oauthTokenId}",
        _USER_WRITERS,
        denies_oauth=True,
    ),
    Operation(
        "applicationApiTokens.get",
        "application",
        "list",
        "GET",
        "/applications/{applicationId}/tokens",
        _APPLICATION_READERS,
    ),
    Operation(
        "applicationApiTokens.post",
        "application",
        "create",
        "POST",
        "/applications/{applicationId}/tokens",
        _APPLICATION_WRITERS,
        body="apiTokenPost",
    ),
    Operation(
        "applicationApiToken.get",
        "application",
        "get",
        "GET",
        "/applications/{applicationId}/tokens/{apiTokenId}",
        _APPLICATION_READERS,
    ),
    Operation(
        "applicationApiToken.patch",
        "application",
        "patch",
        "PATCH",
        "/applications/{applicationId}/tokens/{apiTokenId}",
        _APPLICATION_WRITERS,
        body="apiTokenPatch",
    ),
    Operation(
        "applicationApiToken.delete",
        "application",
        "delete",
        "DELETE",
        "/applications/{applicationId}/tokens/{apiTokenId}",
        _APPLICATION_WRITERS,
    ),
    Operation(
        "instanceApiTokens.get",
        "instance",
        "list",
        "GET",
        "/instances/{instanceId}/tokens",
        _INSTANCE_READERS,
    ),
    Operation(
        "instanceApiTokens.post",
        "instance",
        "create",
        "POST",
        "/instances/{instanceId}/tokens",
        _INSTANCE_WRITERS,
        body="apiTokenPost",
    ),
    Operation(
        "instanceApiToken.get",
        "instance",
        "get",
        "GET",
        "/instances/{instanceId}/tokens/{apiTokenId}",
        _INSTANCE_READERS,
    ),
    Operation(
        "instanceApiToken.patch",
        "instance",
        "patch",
        "PATCH",
        "/instances/{instanceId}/tokens/{apiTokenId}",
        _INSTANCE_WRITERS,
        body="apiTokenPatch",
    ),
    Operation(
        "instanceApiToken.delete",
        "instance",
        "delete",
        "DELETE",
        "/instances/{instanceId}/tokens/{apiTokenId}",
        _INSTANCE_WRITERS,
    ),
    Operation(
        "applications.get",
        "account",
        "list_owners",
        "GET",
        "/applications",
        (*_ORG_LOG_READERS, "all.User.cli"),
    ),
    Operation("instances.get", "account", "list_owners", "GET", "/instances", _ACCOUNT_READERS),
    Operation("orgs.get", "account", "list_owners", "GET", "/orgs", _ACCOUNT_READERS),
    Operation(
        "auditLogs.get", "org", "list_log", "GET", "/orgs/{orgId}/audit-logs", _ORG_LOG_READERS
    ),
    Operation(
        "auditLog.get",
        "org",
        "get_log",
        "GET",
        "/orgs/{orgId}/audit-logs/{auditLogId}",
        _ORG_LOG_READERS,
    ),
    Operation(
        "instanceAuditLogs.get",
        "instance",
        "list_log",
        "GET",
        "/instance/{instanceId}/audit-logs",
        _INSTANCE_READERS,
    ),
    Operation(
        "instanceAuditLog.get",
        "instance",
        "get_log",
        "GET",
        "/instance/{instanceId}/audit-logs/{instanceAuditLogId}",
        _INSTANCE_READERS,
    ),
    Operation(
        "auth.authenticateUser",
        "auth",
        "authenticate",
        "POST",
        "/auth/user",
        body="userCredentials",
        parameter="credentials",
    ),
    # The official command-line client calls these two when a user logs in.
    Operation("auth.ssoDomain", "auth", "sso_domain", "GET", "/auth/ssoDomain"),
    Operation("whitelabels.domain", "auth", "white_label", "GET", "/whitelabels/domain"),
)

API_TOKEN_SORT_FIELDS = (
    "name",
    "status",
    "id",
    "creationDate",
    "lastUpdated",
    "expirationDate",
)
OAUTH_TOKEN_SORT_FIELDS = ("name", "status", "id", "creationDate", "lastUpdated")
API_TOKEN_FILTER_FIELDS = ("name", "status")
OAUTH_TOKEN_FILTER_FIELDS = ("name",)
LOG_SORT_FIELDS = ("creationDate", "responseStatus", "actorName")


def allows(operation: Operation, scopes: frozenset[str], *, deprecated: bool) -> bool:
    """Return whether a token with these scopes may call an operation.

    Args:
        operation: The operation that is called.
        scopes: The scopes of the token.
        deprecated: Whether the deprecated groups allow every operation or none. Losant does not
            publish which operations they allow.
    """
    return not scopes.isdisjoint(operation.scopes) or (
        deprecated and not scopes.isdisjoint(DEPRECATED_GROUPS)
    )
