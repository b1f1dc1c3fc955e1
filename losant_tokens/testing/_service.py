"""What each operation does: who calls, may they, is it well-formed, and then the deed."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from attrs import define, frozen

from losant_tokens.testing._answers import Extras, list_body, token_body
from losant_tokens.testing._contract import Operation, allows
from losant_tokens.testing._listing import read_list_query
from losant_tokens.testing._owners import is_id
from losant_tokens.testing._problems import Problem
from losant_tokens.testing._schemas import check_body
from losant_tokens.testing._store import Store
from losant_tokens.testing._values import Grant

_YEAR = timedelta(days=365)
# What a token may do that was created without scopes is not documented; this is a guess.
_DEFAULT_SCOPES = {
    "user": ("all.User",),
    "oauth": ("all.User",),
    "application": ("all.Application",),
    "instance": ("all.Instance",),
}


@frozen(kw_only=True)
class Call:
    """A request, taken apart as far as the operations need it."""

    operation: Operation
    path: Mapping[str, str]
    query: Mapping[str, str]
    authorization: str
    content_type: str
    body: bytes


@define(eq=False)
class Service:
    """The operations over one store; `perform` is the way in."""

    store: Store
    page_cap: int | None
    unpublished_scopes_allow: bool

    def perform(self, call: Call) -> tuple[int, dict[str, Any]]:
        """Carry out a call and give the status and the body of its answer.

        Raises:
            Problem: The refusal, in the order of 401, 403, 400, 404.
        """
        operation = call.operation
        # One lock around the whole deed, so that no other request sees it half done. Nothing in
        # here waits.
        with self.store.lock:
            if operation.action == "authenticate":
                return 200, self._authenticate(_read_body(call))
            grant = self._authorize(call)
            _check_ids(call.path)
            owner = _owner(call)
            if grant.reach is not None and grant.reach != owner:
                raise Problem.forbidden(f"The token reaches {grant.reach} only")
            match operation.action:
                case "list":
                    return 200, self._list(call, owner)
                case "create":
                    return 201, self._create(call, owner, grant)
                case "patch":
                    return 200, self._patch(call, owner)
                case "delete":
                    self.store.remove(self.store.get(owner, _token_id(call)))
                    return 200, {"success": True}
                case _:
                    token = self.store.get(owner, _token_id(call))
                    return 200, token_body(token, Extras.of(call.query))

    def _authorize(self, call: Call) -> Grant:
        scheme, _, secret = call.authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise Problem.unauthorized()
        grant = self.store.grant(secret)
        if grant.oauth and call.operation.denies_oauth:
            raise Problem.forbidden(f"{call.operation.name} is not open to OAuth tokens")
        if not allows(call.operation, grant.scopes, unpublished=self.unpublished_scopes_allow):
            raise Problem.forbidden(f"The scopes of the token do not allow {call.operation.name}")
        return grant

    def _list(self, call: Call, owner: str) -> dict[str, Any]:
        query = read_list_query(call.query, call.operation.family, self.page_cap)
        owner_id = owner.partition(":")[2] or self.store.user_id
        page = query.select(self.store.of(owner))
        return list_body(owner, owner_id, page, query, Extras.of(call.query))

    def _create(self, call: Call, owner: str, grant: Grant) -> dict[str, Any]:
        body = _read_body(call)
        members = _common_members(body)
        expires = body.get("expirationDate")
        members["expiration_date"] = expires and datetime.fromisoformat(expires.upper())
        if owner == "oauth":
            if "expirationDate" not in body:
                members["expiration_date"] = self.store.now() + _YEAR
            members["oauth"] = _oauth_details(body["oauth"])
        creator_id, creator_type, creator_name = grant.creator
        token = self.store.add(
            owner,
            scope=body.get("scope", _DEFAULT_SCOPES[call.operation.family]),
            creator_id=creator_id,
            creator_type=creator_type,
            creator_name=creator_name,
            **members,
        )
        return token_body(token, Extras.of(call.query), with_secret=True)

    def _patch(self, call: Call, owner: str) -> dict[str, Any]:
        changes = _common_members(_read_body(call))
        token = self.store.replace(self.store.get(owner, _token_id(call)), **changes)
        return token_body(token, Extras.of(call.query))

    def _authenticate(self, credentials: dict[str, Any]) -> dict[str, Any]:
        user = self.store.log_in(
            credentials["email"], credentials["password"], credentials.get("twoFactorCode")
        )
        # The unit of tokenTTL is not documented; seconds are a guess. None, like 0, is "until the
        # fake is gone".
        seconds = credentials.get("tokenTTL")
        token = self.store.mint_access(
            credentials.get("requestedScopes") or ("all.User",),
            expires=self.store.now() + timedelta(seconds=min(seconds, 10**9)) if seconds else None,
            user_id=user.id,
        )
        return {"userId": user.id, "token": token, "needsToVerifyEmail": False}


def _owner(call: Call) -> str:
    family = call.operation.family
    if family in {"user", "oauth"}:
        return family
    return f"{family}:{call.path[f'{family}Id'].lower()}"


def _token_id(call: Call) -> str:
    return call.path["oauthTokenId" if call.operation.family == "oauth" else "apiTokenId"]


def _check_ids(path: Mapping[str, str]) -> None:
    wrong = [
        {"path": f"$.{name}", "message": "is not 24 hex digits"}
        for name, value in path.items()
        if not is_id(value)
    ]
    if wrong:
        raise Problem.validation(wrong)


def _read_body(call: Call) -> dict[str, Any]:
    media_type = call.content_type.partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem.validation([{"path": "$", "message": "is not application/json"}])
    try:
        body = json.loads(call.body)
    except (ValueError, RecursionError):
        raise Problem.validation([{"path": "$", "message": "is not JSON"}]) from None
    assert call.operation.body is not None  # noqa: S101  -- who reads a body has a schema for it
    check_body(call.operation.body, body)
    checked: dict[str, Any] = body
    return checked


def _common_members(body: Mapping[str, Any]) -> dict[str, Any]:
    """Take over what creating and patching have in common, but for what was left out."""
    names = {
        "name": "name",
        "description": "description",
        "status": "status",
        "defaultRole": "default_role",
        "orgRoles": "org_roles",
    }
    return {ours: body[theirs] for theirs, ours in names.items() if theirs in body}


def _oauth_details(request: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of an OAuth request what the API shows again: not the challenge."""
    shown = ("client_id", "redirect_uri", "resource")
    details = {name: request[name] for name in shown if name in request}
    return {**details, "client_name": "A client", "authorizationStatus": "pending"}
