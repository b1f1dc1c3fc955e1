"""The JSON Schemas of the request bodies, and the check of a body against them."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from losant_tokens.testing._problems import Problem

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
_SCOPE = {
    "type": "array",
    "uniqueItems": True,
    "items": {"type": "string", "minLength": 1, "maxLength": 1024},
}
_ANY_STRINGS = {"type": "array", "uniqueItems": True, "items": {"type": "string"}}
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
    # An application's token has no roles: it acts as the application.
    "applicationApiTokenPost": {
        "type": "object",
        "properties": {
            "name": _NAME,
            "description": _DESCRIPTION,
            "expirationDate": _DATE,
            "scope": _SCOPE,
            "status": _STATUS,
        },
        "required": ["name"],
        "additionalProperties": False,
    },
    "apiTokenPatch": _PATCH,
    "userOauthTokenPatch": _PATCH,
    # Here, as in the credentials, the API lets members pass that it does not know.
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
            "scope": _ANY_STRINGS,
        },
        "required": ["name", "oauth"],
    },
    "userCredentials": {
        "type": "object",
        "properties": {
            "email": {"type": "string", "format": "email", "maxLength": 1024},
            "password": {"type": "string", "minLength": 8, "maxLength": 2048},
            "twoFactorCode": {"type": "string", "maxLength": 2048},
            "requestedScopes": _ANY_STRINGS,
            "tokenTTL": {"type": "integer", "minimum": 0},
        },
        "required": ["email", "password"],
    },
}

# jsonschema checks formats only with packages of its own extra, so the three that the API uses are
# checked here.
_FORMATS = FormatChecker(formats=())
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


@_FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    datetime.fromisoformat(value.upper())
    return _RFC3339.fullmatch(value) is not None


@_FORMATS.checks("email")
def _is_email(value: object) -> bool:
    return not isinstance(value, str) or _EMAIL.fullmatch(value) is not None


@_FORMATS.checks("uri")
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or _ABSOLUTE_URI.fullmatch(value) is not None


_VALIDATORS = {
    name: Draft202012Validator(schema, format_checker=_FORMATS) for name, schema in SCHEMAS.items()
}


def check_body(schema: str, body: object) -> None:
    """Refuse a body that the schema of that name does not allow.

    Raises:
        Problem: A 400 that lists what is wrong. It never quotes the body, which may hold a
        password.
    """
    errors = sorted(_VALIDATORS[schema].iter_errors(body), key=lambda error: error.json_path)
    if errors:
        raise Problem.validation(
            [
                {"path": error.json_path, "message": f"fails {error.validator}: {_rule(error)}"}
                for error in errors
            ]
        )


def _rule(error: Any) -> str:
    return str(error.validator_value)
