"""An async toolkit for Losant API tokens. Start with `AsyncClient`.

Each name is imported when it is first used, so that `import losant_tokens` is fast. pytest imports
the package in every run for its fixtures, and shells import it to complete commands. Most of these
processes never use a client.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from losant_tokens._utils.lazy_names import lazy_names
from losant_tokens._version import __version__

__all__ = [
    "NEVER",
    "AccountClient",
    "ApiToken",
    "ApiTokenPatch",
    "ApiTokenPost",
    "ApiTokens",
    "Application",
    "Applications",
    "AsyncClient",
    "AuditLog",
    "AuditLogActor",
    "AuditLogFilter",
    "AuditLogRequest",
    "AuditLogTarget",
    "AuditLogs",
    "AuthenticatedUser",
    "Instance",
    "InstanceAuditLog",
    "InstanceAuditLogs",
    "Instances",
    "Listing",
    "NewApiToken",
    "OauthDetails",
    "OauthRequest",
    "OauthScope",
    "OpenTelemetry",
    "OrgRole",
    "Organization",
    "Organizations",
    "Owner",
    "OwnerTokens",
    "PublishedScope",
    "RawClient",
    "RawResponse",
    "RequestEvent",
    "RequestOptions",
    "ResourceRole",
    "ResponseEvent",
    "RetryEvent",
    "RetryPolicy",
    "Scope",
    "Secret",
    "Success",
    "Transport",
    "UnlistedScope",
    "UserCredentials",
    "UserOauthToken",
    "UserOauthTokenPatch",
    "UserOauthTokenPost",
    "UserOauthTokens",
    "__version__",
    "accounts",
    "aiohttp_transport",
    "audit",
    "can_create_tokens",
    "environment_proxy",
    "errors",
    "fleet",
    "httpx_transport",
    "jobs",
    "leaks",
    "notices",
    "parse_duration",
    "policy",
    "published_scopes",
    "sinks",
]

if TYPE_CHECKING:
    from losant_tokens import accounts, audit, errors, fleet, jobs, leaks, notices, policy, sinks
    from losant_tokens._api.audit_log_filter import (
        AuditLogActor,
        AuditLogFilter,
        AuditLogRequest,
        AuditLogTarget,
    )
    from losant_tokens._api.audit_log_models import (
        AuditLog,
        AuditLogs,
        InstanceAuditLog,
        InstanceAuditLogs,
    )
    from losant_tokens._api.models import (
        ApiToken,
        ApiTokens,
        AuthenticatedUser,
        NewApiToken,
        OauthDetails,
        OrgRole,
        ResourceRole,
        Success,
        UserOauthToken,
        UserOauthTokens,
    )
    from losant_tokens._api.owner import Owner
    from losant_tokens._api.owner_models import (
        Application,
        Applications,
        Instance,
        Instances,
        Organization,
        Organizations,
    )
    from losant_tokens._api.payloads import (
        NEVER,
        ApiTokenPatch,
        ApiTokenPost,
        OauthRequest,
        UnlistedScope,
        UserCredentials,
        UserOauthTokenPatch,
        UserOauthTokenPost,
    )
    from losant_tokens._api.published_scopes import published_scopes
    from losant_tokens._api.scope_types import OauthScope, PublishedScope, Scope
    from losant_tokens._calls.pagination import Listing
    from losant_tokens._client import AccountClient, AsyncClient
    from losant_tokens._credentials.scope_check import can_create_tokens
    from losant_tokens._http.call_options import RequestOptions
    from losant_tokens._http.raw_response import RawResponse
    from losant_tokens._resources.owner_tokens import OwnerTokens
    from losant_tokens._resources.raw import RawClient
    from losant_tokens._retries.retry_policy import RetryPolicy
    from losant_tokens._telemetry.observers import RequestEvent, ResponseEvent, RetryEvent
    from losant_tokens._telemetry.open_telemetry import OpenTelemetry
    from losant_tokens._transports import (
        Transport,
        aiohttp_transport,
        environment_proxy,
        httpx_transport,
    )
    from losant_tokens._utils.durations import parse_duration
    from losant_tokens._utils.secret import Secret

    ApplicationApiTokenPost = ApiTokenPost
else:
    _MODULES = (
        *("accounts", "audit", "errors", "fleet", "jobs", "leaks", "notices", "policy", "sinks"),
    )
    _get, __dir__ = lazy_names(
        __name__,
        {
            "._api.payloads": (
                "NEVER",
                "ApiTokenPatch",
                "ApiTokenPost",
                "OauthRequest",
                "UnlistedScope",
                "UserCredentials",
                "UserOauthTokenPatch",
                "UserOauthTokenPost",
            ),
            "._client": ("AccountClient", "AsyncClient"),
            "._api.audit_log_models": (
                "AuditLog",
                "AuditLogs",
                "InstanceAuditLog",
                "InstanceAuditLogs",
            ),
            "._api.owner_models": (
                "Application",
                "Applications",
                "Instance",
                "Instances",
                "Organization",
                "Organizations",
            ),
            "._api.models": (
                "ApiToken",
                "ApiTokens",
                "AuthenticatedUser",
                "NewApiToken",
                "OauthDetails",
                "OrgRole",
                "ResourceRole",
                "Success",
                "UserOauthToken",
                "UserOauthTokens",
            ),
            "._api.audit_log_filter": (
                "AuditLogActor",
                "AuditLogFilter",
                "AuditLogRequest",
                "AuditLogTarget",
            ),
            "._utils.durations": ("parse_duration",),
            "._http.call_options": ("RequestOptions",),
            "._telemetry.observers": ("RequestEvent", "ResponseEvent", "RetryEvent"),
            "._telemetry.open_telemetry": ("OpenTelemetry",),
            "._api.owner": ("Owner",),
            "._calls.pagination": ("Listing",),
            "._api.published_scopes": ("published_scopes",),
            "._http.raw_response": ("RawResponse",),
            "._resources.owner_tokens": ("OwnerTokens",),
            "._resources.raw": ("RawClient",),
            "._retries.retry_policy": ("RetryPolicy",),
            "._api.scope_types": ("OauthScope", "PublishedScope", "Scope"),
            "._credentials.scope_check": ("can_create_tokens",),
            "._utils.secret": ("Secret",),
            "._transports": (
                "Transport",
                "aiohttp_transport",
                "environment_proxy",
                "httpx_transport",
            ),
        },
    )

    def __getattr__(name: str) -> object:
        if name in _MODULES:
            return import_module(f"losant_tokens.{name}")
        if name == "ApplicationApiTokenPost":
            return _deprecated_alias(name, "ApiTokenPost")
        return _get(name)

    def _deprecated_alias(name: str, new_name: str) -> object:
        from warnings import warn  # noqa: PLC0415 -- keeps `import losant_tokens` fast

        warn(
            f"losant_tokens.{name} is deprecated: use {new_name}, which takes the same arguments",
            DeprecationWarning,
            stacklevel=3,
        )
        return __getattr__(new_name)
