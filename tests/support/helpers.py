"""Facts of the API for tests, and a search for secrets in tracebacks."""

import base64
import json
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

import attrs

import losant_tokens
from losant_tokens._api import audit_log_operations, operations, owner_operations
from losant_tokens._api.operations import Operation

T = TypeVar("T")

USER_READ = "all.User all.User.bounded all.User.read only.User only.User.bounded only.User.read"
USER_WRITE = "all.User only.User"
APPLICATION_READ = (
    "all.Application all.Application.bounded all.Application.read "
    "all.Organization all.Organization.bounded all.Organization.read "
    "all.User all.User.bounded all.User.read"
)
APPLICATION_WRITE = "all.Application all.Organization all.User"
INSTANCE_READ = (
    "all.Instance all.Instance.bounded all.Instance.read all.User all.User.bounded all.User.read"
)
INSTANCE_WRITE = "all.Instance all.User"

ORG_LOG_READ = (
    "all.Organization all.Organization.bounded all.Organization.read "
    "all.User all.User.bounded all.User.read "
    "only.Organization only.Organization.bounded only.Organization.read"
)
OWNER_SORTS = "name id creationDate lastUpdated"
LOG_SORTS = "creationDate responseStatus actorName"
SORTS = "name status id creationDate lastUpdated expirationDate"
OAUTH_SORTS = "name status id creationDate lastUpdated"

TABLES = (operations, audit_log_operations, owner_operations)
OPERATIONS: tuple[Operation[Any], ...] = tuple(
    one for table in TABLES for one in vars(table).values() if isinstance(one, Operation)
)
"""All operations of the package."""


@attrs.frozen
class Row:
    """The facts of one operation of the API.

    Attributes:
        constant: The operation's name in the package's table.
        name: The operation's name in the API.
        method: The HTTP method.
        path: The path, with its parameters in braces.
        scopes: The scopes of which any one allows it, sorted, with blanks between them.
        result: The name of the class of the answer.
        body: The name of the class of what is sent, or "".
        denies_oauth: Whether it refuses OAuth tokens.
        sorts: What a list can be sorted by.
        filters: What a list can be filtered by.
    """

    constant: str
    name: str
    method: str
    path: str
    scopes: str
    result: str
    body: str = ""
    denies_oauth: bool = False
    sorts: str = ""
    filters: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def operation(self) -> Operation[Any]:
        """Return the operation in the package's tables."""
        (operation,) = (
            vars(table)[self.constant] for table in TABLES if self.constant in vars(table)
        )
        return cast("Operation[Any]", operation)


ROWS = (
    Row(
        "USER_API_TOKEN_GET",
        "userApiToken.get",
        "GET",
        "/me/tokens/{apiTokenId}",
        f"{USER_READ} userApiToken.* userApiToken.get",
        "ApiToken",
    ),
    Row(
        "USER_API_TOKEN_PATCH",
        "userApiToken.patch",
        "PATCH",
        "/me/tokens/{apiTokenId}",
        f"{USER_WRITE} userApiToken.* userApiToken.patch",
        "ApiToken",
        "ApiTokenPatch",
        denies_oauth=True,
    ),
    Row(
        "USER_API_TOKEN_DELETE",
        "userApiToken.delete",
        "DELETE",
        "/me/tokens/{apiTokenId}",
        f"{USER_WRITE} userApiToken.* userApiToken.delete",
        "Success",
        denies_oauth=True,
    ),
    Row(
        "USER_API_TOKENS_GET",
        "userApiTokens.get",
        "GET",
        "/me/tokens",
        f"{USER_READ} userApiTokens.* userApiTokens.get",
        "ApiTokens",
        sorts=SORTS,
        filters="name status",
    ),
    Row(
        "USER_API_TOKENS_POST",
        "userApiTokens.post",
        "POST",
        "/me/tokens",
        f"{USER_WRITE} userApiTokens.* userApiTokens.post",
        "NewApiToken",
        "ApiTokenPost",
        denies_oauth=True,
    ),
    Row(
        "USER_OAUTH_TOKEN_GET",
        "userOauthToken.get",
        "GET",
        "/me/oauth-tokens/{oauthTokenId}",
        f"{USER_READ} userOauthToken.* userOauthToken.get",
        "UserOauthToken",
    ),
    Row(
        "USER_OAUTH_TOKEN_PATCH",
        "userOauthToken.patch",
        "PATCH",
        "/me/oauth-tokens/{oauthTokenId}",
        f"{USER_WRITE} userOauthToken.* userOauthToken.patch",
        "UserOauthToken",
        "UserOauthTokenPatch",
        denies_oauth=True,
    ),
    Row(
        "USER_OAUTH_TOKEN_DELETE",
        "userOauthToken.delete",
        "DELETE",
        "/me/oauth-tokens/{oauthTokenId}",
        f"{USER_WRITE} userOauthToken.* userOauthToken.delete",
        "Success",
        denies_oauth=True,
    ),
    Row(
        "USER_OAUTH_TOKENS_GET",
        "userOauthTokens.get",
        "GET",
        "/me/oauth-tokens",
        f"{USER_READ} userOauthTokens.* userOauthTokens.get",
        "UserOauthTokens",
        sorts=OAUTH_SORTS,
        filters="name",
    ),
    Row(
        "USER_OAUTH_TOKENS_POST",
        "userOauthTokens.post",
        "POST",
        "/me/oauth-tokens",
        f"{USER_WRITE} userOauthTokens.* userOauthTokens.post",
        "UserOauthToken",
        "UserOauthTokenPost",
        denies_oauth=True,
    ),
    Row(
        "APPLICATION_API_TOKEN_GET",
        "applicationApiToken.get",
        "GET",
        "/applications/{applicationId}/tokens/{apiTokenId}",
        f"{APPLICATION_READ} applicationApiToken.* applicationApiToken.get",
        "ApiToken",
    ),
    Row(
        "APPLICATION_API_TOKEN_PATCH",
        "applicationApiToken.patch",
        "PATCH",
        "/applications/{applicationId}/tokens/{apiTokenId}",
        f"{APPLICATION_WRITE} applicationApiToken.* applicationApiToken.patch",
        "ApiToken",
        "ApiTokenPatch",
    ),
    Row(
        "APPLICATION_API_TOKEN_DELETE",
        "applicationApiToken.delete",
        "DELETE",
        "/applications/{applicationId}/tokens/{apiTokenId}",
        f"{APPLICATION_WRITE} applicationApiToken.* applicationApiToken.delete",
        "Success",
    ),
    Row(
        "APPLICATION_API_TOKENS_GET",
        "applicationApiTokens.get",
        "GET",
        "/applications/{applicationId}/tokens",
        f"{APPLICATION_READ} applicationApiTokens.* applicationApiTokens.get",
        "ApiTokens",
        sorts=SORTS,
        filters="name status",
    ),
    Row(
        "APPLICATION_API_TOKENS_POST",
        "applicationApiTokens.post",
        "POST",
        "/applications/{applicationId}/tokens",
        f"{APPLICATION_WRITE} applicationApiTokens.* applicationApiTokens.post",
        "NewApiToken",
        "ApiTokenPost",
    ),
    Row(
        "INSTANCE_API_TOKEN_GET",
        "instanceApiToken.get",
        "GET",
        "/instances/{instanceId}/tokens/{apiTokenId}",
        f"{INSTANCE_READ} instanceApiToken.* instanceApiToken.get",
        "ApiToken",
    ),
    Row(
        "INSTANCE_API_TOKEN_PATCH",
        "instanceApiToken.patch",
        "PATCH",
        "/instances/{instanceId}/tokens/{apiTokenId}",
        f"{INSTANCE_WRITE} instanceApiToken.* instanceApiToken.patch",
        "ApiToken",
        "ApiTokenPatch",
    ),
    Row(
        "INSTANCE_API_TOKEN_DELETE",
        "instanceApiToken.delete",
        "DELETE",
        "/instances/{instanceId}/tokens/{apiTokenId}",
        f"{INSTANCE_WRITE} instanceApiToken.* instanceApiToken.delete",
        "Success",
    ),
    Row(
        "INSTANCE_API_TOKENS_GET",
        "instanceApiTokens.get",
        "GET",
        "/instances/{instanceId}/tokens",
        f"{INSTANCE_READ} instanceApiTokens.* instanceApiTokens.get",
        "ApiTokens",
        sorts=SORTS,
        filters="name status",
    ),
    Row(
        "INSTANCE_API_TOKENS_POST",
        "instanceApiTokens.post",
        "POST",
        "/instances/{instanceId}/tokens",
        f"{INSTANCE_WRITE} instanceApiTokens.* instanceApiTokens.post",
        "NewApiToken",
        "ApiTokenPost",
    ),
    Row(
        "AUDIT_LOG_GET",
        "auditLog.get",
        "GET",
        "/orgs/{orgId}/audit-logs/{auditLogId}",
        " ".join(sorted(f"{ORG_LOG_READ} auditLog.* auditLog.get".split())),
        "AuditLog",
    ),
    Row(
        "AUDIT_LOGS_GET",
        "auditLogs.get",
        "GET",
        "/orgs/{orgId}/audit-logs",
        " ".join(sorted(f"{ORG_LOG_READ} auditLogs.* auditLogs.get".split())),
        "AuditLogs",
        sorts=LOG_SORTS,
    ),
    Row(
        "INSTANCE_AUDIT_LOG_GET",
        "instanceAuditLog.get",
        "GET",
        "/instance/{instanceId}/audit-logs/{instanceAuditLogId}",
        f"{INSTANCE_READ} instanceAuditLog.* instanceAuditLog.get",
        "InstanceAuditLog",
    ),
    Row(
        "INSTANCE_AUDIT_LOGS_GET",
        "instanceAuditLogs.get",
        "GET",
        "/instance/{instanceId}/audit-logs",
        f"{INSTANCE_READ} instanceAuditLogs.* instanceAuditLogs.get",
        "InstanceAuditLogs",
        sorts=LOG_SORTS,
    ),
    Row(
        "APPLICATIONS_GET",
        "applications.get",
        "GET",
        "/applications",
        " ".join(sorted(f"{ORG_LOG_READ} all.User.cli applications.* applications.get".split())),
        "Applications",
        sorts=f"{OWNER_SORTS} ownerId",
        filters="name",
    ),
    Row(
        "INSTANCES_GET",
        "instances.get",
        "GET",
        "/instances",
        "all.User all.User.bounded all.User.read instances.* instances.get",
        "Instances",
        sorts=OWNER_SORTS,
        filters="name",
    ),
    Row(
        "ORGS_GET",
        "orgs.get",
        "GET",
        "/orgs",
        "all.User all.User.bounded all.User.read orgs.* orgs.get",
        "Organizations",
        sorts=OWNER_SORTS,
        filters="name",
    ),
    Row(
        "AUTHENTICATE_USER",
        "auth.authenticateUser",
        "POST",
        "/auth/user",
        "",
        "AuthenticatedUser",
        "UserCredentials",
    ),
)
"""Every operation of the API, independent of the package's own table."""

_PUBLISHED = json.loads((Path(__file__).parents[1] / "contract" / "scopes.json").read_text())
PUBLISHED_SCOPES = frozenset(_PUBLISHED["groups"]).union(
    f"{resource}.{operation}"
    for resource, actions in _PUBLISHED["resources"].items()
    for operation in (*actions, "*")
)
DEPRECATED_GROUPS = (
    *("applications", "dashboards", "dashboards.read", "devices", "devices.read", "devices.state"),
    *("devices.command", "events", "flows", "me", "orgs", "webhooks"),
)
"""The groups of which it is not."""


def jwt(claims: object, signature: str = "c2lnbmF0dXJl") -> str:
    """Return an access token with these claims and an invalid signature."""
    return ".".join((_segment({"alg": "HS256", "typ": "JWT"}), _segment(claims), signature))


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def frames_hold(error: BaseException, secret: str) -> list[str]:
    """Return each local of a frame of the package that shows a secret in a traceback.

    Looks at the error and at all that it is chained to, as the tools do that send the locals of
    a traceback to a log.
    """
    return [
        f"{Path(frame.f_code.co_filename).name}, {frame.f_code.co_name}: {name}"
        for link in _chain(error)
        for frame in (step.tb_frame for step in _steps(link.__traceback__))
        if _PACKAGE in Path(frame.f_code.co_filename).parents
        for name, value in frame.f_locals.items()
        if secret in _shown(value)
    ]


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 -- partly initialized, so no tool can show it
        return ""


_PACKAGE = Path(losant_tokens.__file__).parent


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None and link not in seen:
            seen.append(link)
            waiting += [link.__cause__, link.__context__]
            yield link


def _steps(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def result_of(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine; without an event loop if it never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waits: run it in an event loop")
