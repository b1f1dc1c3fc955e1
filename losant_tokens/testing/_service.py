"""Carry out the operations of the fake: validate, authenticate, authorize, and change its state."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from attrs import define, frozen

from losant_tokens.testing._api_errors import NotJson, Problem
from losant_tokens.testing._audit_logs import FILTER, log_query_schema, read_log_query
from losant_tokens.testing._listing import owner_query_schema, query_schema, read_list_query
from losant_tokens.testing._models import Grant
from losant_tokens.testing._operations import Operation, allows
from losant_tokens.testing._rendering import (
    Extras,
    list_body,
    log_body,
    log_list_body,
    owner_list_body,
    token_body,
)
from losant_tokens.testing._schemas import SCHEMAS
from losant_tokens.testing._store import Store, later
from losant_tokens.testing._validation import first_problem, read_date

ORGANIZATION_ID: Final = "58c9e0d5f2b6740001de93b7"
"""The id of the organization that has the fake's applications; it is in the documentation."""

_YEAR = timedelta(days=365)
_MAX_SECONDS = 10**9
_MISSING: Final = object()
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_A_STRING = {"type": "string"}
_AN_EMAIL = {"type": "string", "format": "email", "maxLength": 1024}
_AN_ID = {"type": "string", "pattern": "^[A-Fa-f0-9]{24}$"}
# The default scopes of a new token are not documented; these are a guess.
_DEFAULT_SCOPES = {
    "user": ("all.User",),
    "oauth": ("all.User",),
    "application": ("all.Application",),
    "instance": ("all.Instance",),
}


@frozen(kw_only=True)
class Call:
    """A request as the operations need it."""

    operation: Operation
    path: Mapping[str, str]
    query: Mapping[str, Any]
    """A repeated parameter has a list of values, as in the framework's parser.
    The filter of an audit log is a nested object."""
    authorization: str
    host: str
    content_type: str
    body: bytes


@define(eq=False)
class Service:
    """The operations on one store."""

    store: Store
    page_cap: int | None
    deprecated_scopes_allow: bool

    def perform(self, call: Call) -> tuple[int, dict[str, Any] | None]:
        """Perform a call, and return the status and the body of its response.

        Raises:
            Problem: The error response. The checks for 400, 401, 403 and 404 run in this order.
        """
        operation = call.operation
        parameters = _parameters(call)
        # One lock around everything, so that no other request sees a half-made change. Nothing in
        # the block waits.
        with self.store.lock:
            grant = self._authenticate(call)
            if operation.family == "auth":
                return self._without_token(call, parameters)
            if grant is None or not self._allows(operation, grant):
                raise Problem.forbidden()
            if operation.action == "list_owners":
                return 200, self._list_owners(call, grant)
            owner = _owner(call)
            if grant.reach is not None and grant.reach != owner:
                raise Problem.forbidden()
            body = parameters.get(operation.parameter, {})
            match operation.action:
                case "list":
                    response = self._list(call, owner)
                case "list_log":
                    response = self._list_log(call, owner, parameters)
                case "get_log":
                    response = self._get_log(call, owner)
                case "get":
                    token = self.store.get(owner, _token_id(call))
                    response = token_body(token, _extras(call))
                case _:
                    return self._change(call, owner, grant, body)
            return 200, response

    def _change(
        self, call: Call, owner: str, grant: Grant, body: Mapping[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Create, patch or delete a token, and record that in the audit log."""
        status = 200
        match call.operation.action:
            case "create":
                status, response = 201, self._create(call, owner, grant, body)
                token_id, name = response["id"], response["name"]
            case "patch":
                response = self._patch(call, owner, body)
                token_id, name = response["id"], response["name"]
            case _:
                token = self.store.get(owner, _token_id(call))
                self.store.remove(token)
                response = {"success": True}
                token_id, name = token.id, token.name
        actor_id, actor_type, actor_name = grant.creator
        resource, _, action = call.operation.name.partition(".")
        self.store.log(
            owner if owner.startswith("instance:") else f"org:{ORGANIZATION_ID}",
            actor_id=actor_id,
            actor_type={"apiToken": "ApiToken"}.get(actor_type, "User"),
            actor_name=actor_name,
            request_resource=resource,
            request_action=action,
            request_body=dict(body),
            response_body=response,
            response_status=status,
            **_log_targets(owner, token_id, name),
        )
        return status, response

    def _list_owners(self, call: Call, grant: Grant) -> dict[str, Any]:
        """Return a page of the applications, instances or organizations.

        The tokens of an application or an instance can see none of them.
        """
        if grant.reach is not None:
            raise Problem.forbidden()
        query = read_list_query(_strings(call), self.page_cap)
        kind = call.operation.path.removeprefix("/")
        if kind == "orgs":
            names = {ORGANIZATION_ID: "An organization"}
        else:
            names = self.store.owner_names(kind.removesuffix("s"))
        # All applications belong to the organization, and none to the user.
        if call.query.get("orgId", ORGANIZATION_ID).lower() != ORGANIZATION_ID:
            names = {}
        return owner_list_body(kind, names, query, ORGANIZATION_ID, _extras(call))

    def _list_log(self, call: Call, source: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self._check_log(source)
        query = read_log_query(parameters, self.page_cap)
        page = query.select(self.store.audit_logs.of(source))
        return log_list_body(source, page, query, _extras(call))

    def _get_log(self, call: Call, source: str) -> dict[str, Any]:
        self._check_log(source)
        name = "auditLogId" if source.startswith("org:") else "instanceAuditLogId"
        entry = self.store.audit_logs.get(source, call.path[name])
        if entry is None:
            raise Problem.not_found("Audit Log was not found")
        return log_body(entry, _extras(call))

    def _check_log(self, source: str) -> None:
        """Refuse the log of an organization that the fake does not have."""
        known = source == f"org:{ORGANIZATION_ID}" or self.store.audit_logs.has(source)
        if source.startswith("org:") and not known:
            raise Problem.not_found("Organization was not found")

    def _authenticate(self, call: Call) -> Grant | None:
        """Return the grant of the bearer, or `None` for a request without a bearer token."""
        scheme, _, rest = call.authorization.partition(" ")
        secret = rest.partition(" ")[0]
        if scheme.upper() not in {"BEARER", "JWT"} or not secret:
            return None
        return self.store.grant(secret)

    def _allows(self, operation: Operation, grant: Grant) -> bool:
        if grant.oauth and operation.denies_oauth:
            return False
        return allows(operation, grant.scopes, deprecated=self.deprecated_scopes_allow)

    def _without_token(
        self, call: Call, parameters: Mapping[str, Any]
    ) -> tuple[int, dict[str, Any] | None]:
        match call.operation.action:
            case "sso_domain":
                return 204, None
            case "white_label":
                return 200, {"appUrl": "https://app.losant.com", "endpointDomain": "onlosant.com"}
            case _:
                return 200, self._log_in(call, parameters["credentials"])

    def _list(self, call: Call, owner: str) -> dict[str, Any]:
        query = read_list_query(_strings(call), self.page_cap)
        owner_id = owner.partition(":")[2] or self.store.user_id
        page = query.select(self.store.of(owner))
        return list_body(owner, owner_id, page, query, _extras(call))

    def _create(
        self, call: Call, owner: str, grant: Grant, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        members = _common_members(body)
        expires = body.get("expirationDate")
        members["expiration_date"] = expires and read_date(expires)
        if owner == "oauth":
            if "expirationDate" not in body:
                members["expiration_date"] = later(self.store.now(), _YEAR)
            members["oauth"] = _oauth_details(body["oauth"])
        creator_id, creator_type, creator_name = grant.creator
        token = self.store.add(
            owner,
            host=call.host,
            scope=body.get("scope", _DEFAULT_SCOPES[call.operation.family]),
            creator_id=creator_id,
            creator_type=creator_type,
            creator_name=creator_name,
            **members,
        )
        return token_body(token, _extras(call), with_secret=True)

    def _patch(self, call: Call, owner: str, body: Mapping[str, Any]) -> dict[str, Any]:
        changes = _common_members(body)
        token = self.store.replace(self.store.get(owner, _token_id(call)), **changes)
        return token_body(token, _extras(call))

    def _log_in(self, call: Call, credentials: Mapping[str, Any]) -> dict[str, Any]:
        user = self.store.log_in(
            credentials["email"], credentials["password"], credentials.get("twoFactorCode")
        )
        # The unit of tokenTTL is not documented; seconds are a guess. Without it, or with 0, the
        # token never expires.
        seconds = min(credentials.get("tokenTTL") or 0, _MAX_SECONDS)
        now = self.store.now()
        token = self.store.mint_access(
            credentials.get("requestedScopes") or ("all.User",),
            expires=later(now, timedelta(seconds=seconds)) if seconds else None,
            user_id=user.id,
            host=call.host,
        )
        return {"userId": user.id, "token": token, "needsToVerifyEmail": False}


def _parameters(call: Call) -> dict[str, Any]:
    """Return the validated parameters of a call: ids, query, and body.

    Raises:
        Problem: A 400 with the first problem.
    """
    operation = call.operation
    properties: dict[str, Any] = dict.fromkeys(("_actions", "_links", "_embedded"), _A_STRING)
    properties |= dict.fromkeys(call.path, _AN_ID)
    if operation.action == "list":
        properties |= query_schema(operation.family)
    if operation.action == "list_owners":
        properties |= owner_query_schema(operation.path)
    if operation.action == "list_log":
        name = FILTER if operation.family == "org" else "instanceAuditLogFilter"
        properties |= log_query_schema(SCHEMAS[name])
    if operation.action == "sso_domain":
        properties["email"] = _AN_EMAIL
    declared = {name: value for name, value in call.query.items() if name in properties}
    values: dict[str, Any] = {**declared, **call.path}
    required = []
    if operation.body is not None:
        properties[operation.parameter] = SCHEMAS[operation.body]
        required.append(operation.parameter)
        body = _read_body(call)
        if body is not _MISSING:
            values[operation.parameter] = body
    schema = {"type": "object", "properties": properties, "required": required}
    if problem := first_problem(schema, values, ""):
        raise Problem.validation(problem)
    return values


def _strings(call: Call) -> dict[str, str]:
    """Return the query without lists. Validation ensures that known parameters are strings."""
    return {name: value for name, value in call.query.items() if isinstance(value, str)}


def _extras(call: Call) -> Extras:
    return Extras.of(_strings(call))


def _owner(call: Call) -> str:
    family = call.operation.family
    if family in {"user", "oauth"}:
        return family
    return f"{family}:{call.path[f'{family}Id'].lower()}"


def _log_targets(owner: str, token_id: str, name: str) -> dict[str, str]:
    """Return the targets of a change in an audit log: the token, and its application."""
    kind, _, owner_id = owner.partition(":")
    place = "primary" if kind == "instance" else "secondary"
    targets = {
        f"{place}_target_id": token_id,
        f"{place}_target_type": "ApiToken",
        f"{place}_target_name": name,
    }
    if kind == "application":
        targets |= {"primary_target_id": owner_id, "primary_target_type": "Application"}
    return targets


def _token_id(call: Call) -> str:
    return call.path["oauthTokenId" if call.operation.family == "oauth" else "apiTokenId"]


def _read_body(call: Call) -> object:
    """Return the parsed body if it is JSON, else the body as a string, or `_MISSING`.

    Raises:
        NotJson: The content type is JSON, but the body is not JSON.
    """
    if not call.body:
        return _MISSING
    text = call.body.decode("utf-8", "replace")
    media_type = call.content_type.partition(";")[0].strip().lower()
    if media_type != "application/json":
        return text
    try:
        return _scrubbed(json.loads(text, parse_constant=_refuse_constant))
    except (ValueError, RecursionError):
        raise NotJson.because("the body cannot be parsed") from None


def _refuse_constant(name: str) -> None:
    # Python accepts NaN and Infinity, which are not JSON.
    raise ValueError(name)


def _scrubbed(value: Any) -> Any:
    """Return a JSON value with the replacement character for each unpaired surrogate.

    JSON can escape an unpaired surrogate, but UTF-8 cannot encode it, so the fake could store and
    never send it. JavaScript replaces it when it encodes UTF-8.
    """
    match value:
        case str():
            return _HALF_PAIR.sub("\N{REPLACEMENT CHARACTER}", value)
        case list():
            return [_scrubbed(item) for item in value]
        case dict():
            return {_scrubbed(name): _scrubbed(member) for name, member in value.items()}
        case _:
            return value


def _common_members(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that POST and PATCH have in common and that the body contains."""
    names = {
        "name": "name",
        "description": "description",
        "status": "status",
        "defaultRole": "default_role",
        "orgRoles": "org_roles",
    }
    return {ours: body[theirs] for theirs, ours in names.items() if theirs in body}


def _oauth_details(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the details of an OAuth request that the API returns, without the challenge."""
    shown = ("client_id", "redirect_uri", "resource")
    details = {name: request[name] for name in shown if name in request}
    return {**details, "client_name": "A client", "authorizationStatus": "pending"}
