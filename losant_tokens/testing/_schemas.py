"""The JSON Schemas of the request bodies, written by hand from the contract."""

from collections.abc import Mapping
from typing import Any

from losant_tokens._api.published_scopes import OAUTH_SCOPES, published_scopes

_ID = {"type": "string", "pattern": "^[A-Fa-f0-9]{24}$"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 255}
_DESCRIPTION = {"type": "string", "maxLength": 32767}
_DATE = {"type": "string", "format": "date-time"}
_STATUS = {"type": "string", "enum": ["active", "inactive"]}
_ROLE = {"type": "string", "enum": ["admin", "edit", "collaborate", "view", "none"]}
_RESOURCE_ROLES = {
    "type": "array",
    "maxItems": 100,
    "items": {
        "type": "object",
        "properties": {
            "resourceId": _ID,
            "role": {"type": "string", "enum": ["collaborate", "view", "none"]},
        },
        "required": ["resourceId", "role"],
        "additionalProperties": False,
    },
}
_ORG_ROLES = {
    "type": "array",
    "maxItems": 25,
    "items": {
        "type": "object",
        "properties": {
            "orgId": {"oneOf": [_ID, {"type": "string", "enum": ["sandbox"]}]},
            "role": _ROLE,
            "applicationRoles": _RESOURCE_ROLES,
            "dashboardRoles": _RESOURCE_ROLES,
        },
        "required": ["orgId", "role"],
        "additionalProperties": False,
    },
}
_WORDS = {"type": "string", "enum": sorted(published_scopes())}
_SCOPE = {
    "type": "array",
    "uniqueItems": True,
    "items": {**_WORDS, "minLength": 1, "maxLength": 1024},
}
_REQUESTED_SCOPES = {"type": "array", "uniqueItems": True, "items": _WORDS}
_OAUTH_SCOPE = {
    "type": "array",
    "uniqueItems": True,
    "items": {"type": "string", "enum": sorted(OAUTH_SCOPES)},
}
_URI = {"type": "string", "format": "uri", "maxLength": 1024}
_PATCH = {
    "type": "object",
    "properties": {
        "name": _NAME,
        "description": _DESCRIPTION,
        "defaultRole": _ROLE,
        "orgRoles": _ORG_ROLES,
        "status": _STATUS,
    },
    "additionalProperties": False,
}

_LOG_NAME = {"type": "string", "maxLength": 1024}


def _log_items(*types: str) -> Mapping[str, Any]:
    """Return the schema of the items of a member of a filter, such as the actors."""
    return {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "id": {"type": "string", "pattern": r"^[A-Fa-f\d]{24}$"},
                "type": {"type": "string", "enum": list(types)},
                "name": _LOG_NAME,
            },
            "additionalProperties": False,
        },
    }


def _log_filter(
    primary: tuple[str, ...], secondary: tuple[str, ...], actors: tuple[str, ...]
) -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": {
            "primaryTarget": _log_items(*primary),
            "secondaryTarget": _log_items(*secondary),
            "actor": _log_items(*actors),
            "request": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"resource": _LOG_NAME, "action": _LOG_NAME},
                    "additionalProperties": False,
                },
            },
            "responseCode": {
                "type": "array",
                "items": {"type": "integer", "minimum": 100, "maximum": 599},
            },
        },
        "additionalProperties": False,
    }


_ORG_TARGETS = (
    "ApiToken",
    "ApplicationCertificateAuthority",
    "ApplicationCertificate",
    "ApplicationKey",
    "Credential",
    "Dashboard",
    "DataTable",
    "Device",
    "DeviceRecipe",
    "Event",
    "ExperienceDomain",
    "ExperienceEndpoint",
    "ExperienceGroup",
    "ExperienceSlug",
    "ExperienceUser",
    "ExperienceVersion",
    "ExperienceView",
    "File",
    "Flow",
    "Integration",
    "Notebook",
    "PrivateFile",
    "ResourceJob",
    "Webhook",
)

SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "apiTokenPost": {
        "type": "object",
        "properties": {
            "name": _NAME,
            "description": _DESCRIPTION,
            "expirationDate": _DATE,
            "defaultRole": _ROLE,
            "orgRoles": _ORG_ROLES,
            "scope": _SCOPE,
            "status": _STATUS,
        },
        "required": ["name"],
        "additionalProperties": False,
    },
    "apiTokenPatch": _PATCH,
    "userOauthTokenPatch": _PATCH,
    "userOauthTokenPost": {
        "type": "object",
        "properties": {
            "name": _NAME,
            "description": _DESCRIPTION,
            "expirationDate": {"oneOf": [_DATE, {"type": "null"}]},
            "oauth": {
                "type": "object",
                "properties": {
                    "client_id": {"type": "string", "minLength": 24, "maxLength": 1024},
                    "redirect_uri": _URI,
                    "resource": {"type": "array", "maxItems": 10, "items": _URI},
                    "code_challenge": {
                        "type": "string",
                        "minLength": 43,
                        "maxLength": 128,
                        "pattern": "^[A-Za-z0-9_-]+$",
                    },
                    "code_challenge_method": {"type": "string", "enum": ["S256"]},
                },
                "required": [
                    "client_id",
                    "redirect_uri",
                    "code_challenge",
                    "code_challenge_method",
                ],
                "additionalProperties": False,
            },
            "defaultRole": _ROLE,
            "orgRoles": _ORG_ROLES,
            "scope": _OAUTH_SCOPE,
        },
        "required": ["name", "oauth"],
        "additionalProperties": False,
    },
    "auditLogFilter": _log_filter(
        (
            "Application",
            "Dashboard",
            "OrgInvite",
        ),
        _ORG_TARGETS,
        (
            "Application",
            "Device",
            "Flow",
            "User",
            "ApiToken",
        ),
    ),
    "instanceAuditLogFilter": _log_filter(
        (
            "Organization",
            "ApiToken",
            "User",
            "InstanceCustomNode",
            "NotificationRule",
        ),
        (
            "OrgInvite",
            "ApiToken",
        ),
        (
            "User",
            "ApiToken",
        ),
    ),
    "userCredentials": {
        "type": "object",
        "properties": {
            "email": {"type": "string", "format": "email", "maxLength": 1024},
            "password": {"type": "string", "minLength": 8, "maxLength": 2048},
            "twoFactorCode": {"type": "string", "maxLength": 2048},
            "requestedScopes": _REQUESTED_SCOPES,
            "tokenTTL": {"type": "integer", "minimum": 0},
        },
        "required": ["email", "password"],
        "additionalProperties": False,
    },
}
