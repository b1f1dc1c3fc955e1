"""Decide whether a token can be rotated, whether it is in use, and how to verify a successor.

This module is pure: it sends no request.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Any, cast

import attrs

from losant_tokens import ApiToken, ApiTokenPost, AsyncClient, NewApiToken, Owner
from losant_tokens._api import operations
from losant_tokens._api.models import OrgRole, ResourceRole
from losant_tokens._api.operations import Operation
from losant_tokens._api.owner import Kind
from losant_tokens._api.published_scopes import published_scopes
from losant_tokens._credentials.scope_check import Permission, format_scopes, permission_for
from losant_tokens.errors import ValidationError
from losant_tokens.jobs._rotation.marker import marked
from losant_tokens.jobs._rotation.rotation import RotatedToken
from losant_tokens.jobs._token_rules import Token

_SAME_SECOND = timedelta(seconds=2)
_COPIED = ("name", "description", "scope", "default_role", "org_roles", "expiration_date", "status")


class Probe(Enum):
    """A harmless request that shows whether a successor works.

    GET: Read the successor itself.
    LIST: List one token of its owner.
    """

    GET = "get"
    LIST = "list"


_PROBES: Mapping[Kind, Mapping[Probe, Operation[Any]]] = MappingProxyType(
    {
        "user": {
            Probe.GET: operations.USER_API_TOKEN_GET,
            Probe.LIST: operations.USER_API_TOKENS_GET,
        },
        "application": {
            Probe.GET: operations.APPLICATION_API_TOKEN_GET,
            Probe.LIST: operations.APPLICATION_API_TOKENS_GET,
        },
        "instance": {
            Probe.GET: operations.INSTANCE_API_TOKEN_GET,
            Probe.LIST: operations.INSTANCE_API_TOKENS_GET,
        },
    }
)


def probes_for(owner: Owner, scopes: tuple[str, ...]) -> tuple[Probe, ...]:
    """Return the requests that a token with these scopes may be allowed to send."""
    return tuple(
        probe
        for probe, operation in _PROBES[owner.kind].items()
        if permission_for(operation, scopes) is not Permission.REFUSED
    )


@attrs.frozen(kw_only=True)
class RotationCheck:
    """Whether a token can be rotated."""

    owner: Owner
    """The owner."""
    id: str
    """The id of the token."""
    token: ApiToken | None
    """The token as it is now; `None` if it does not exist."""
    problem: str | None = None
    """Why it cannot be rotated, as a sentence; `None` if it can be."""
    can_verify: bool = True
    """Whether a request can show that its successor works. A successor whose scopes allow no such
    request can only be delivered unverified.
    """
    is_in_use: bool | None = False
    """Whether the client uses this token; `None` if that is unknown."""


def check_token(
    client: AsyncClient, owner: Owner, token: Token, expires_at: datetime, now: datetime
) -> RotationCheck:
    """Return whether a token can be rotated.

    Args:
        client: The client that rotates it.
        owner: The owner.
        token: The token as it is now.
        expires_at: When its successor would expire.
        now: The time.
    """
    problem = next(_problems(token, expires_at, now), None)
    return RotationCheck(
        owner=owner,
        id=token.id,
        token=cast("ApiToken", token),
        problem=None if problem is None else f"{token.id} {problem}",
        can_verify=bool(probes_for(owner, token.scope)),
        is_in_use=is_in_use(client, token.id, token.expiration_date),
    )


def _problems(token: Token, expires_at: datetime, now: datetime) -> Iterator[str]:
    if unreadable := sorted(token.unreadable.intersection(_COPIED)):
        names = ", ".join(unreadable)
        yield f"cannot be copied, because the API's values of {names} cannot be read."
    if token.status != "active":
        yield "is not active, so nothing can use it. Activate it first, or create a new token."
    if token.is_expired(now):
        yield "has expired, so nothing can use it. Create a new token instead."
    if not token.scope:
        yield "has no scopes that the API states, so they cannot be given to a successor."
    if unknown := [scope for scope in token.scope if scope not in published_scopes()]:
        plural = "" if len(unknown) == 1 else "s"
        yield (
            f"has the scope{plural} {format_scopes(unknown)}, which a new token cannot be given. "
            f"Create a new token with other scopes instead."
        )
    try:
        successor_of(token, token.description or "", expires_at)
    except ValidationError as error:
        yield f"cannot be copied: {error}"


def is_in_use(client: AsyncClient, token_id: str, expires_at: datetime | None) -> bool | None:
    """Return whether a client uses a token; `None` if that is unknown.

    Without ids in the claims of the client's token, only another time of expiration shows that it
    is another token.

    Args:
        client: The client.
        token_id: The id of the token.
        expires_at: When the token expires; `None` if it never does.
    """
    if client.uses_token(token_id):
        return True
    if client.has_claimed_ids:
        return False
    claimed = client.token_expires_at
    if claimed is None:
        return None
    is_same = expires_at is not None and abs(claimed - expires_at) < _SAME_SECOND
    return None if is_same else False


def successor_of(token: Token, description: str, expires_at: datetime) -> ApiTokenPost:
    """Return the request body for a successor of a token.

    Args:
        token: The old token.
        description: The description of the successor.
        expires_at: When the successor expires.

    Raises:
        ValidationError: The API would refuse a copy of the token.
    """
    roles = token.org_roles
    return ApiTokenPost(
        token.name,
        description=description or None,
        expiration_date=expires_at,
        default_role=cast("Any", token.default_role),
        org_roles=None if roles is None else tuple(map(_copied_role, roles)),
        scope=token.scope,
    )


def _copied_role(role: OrgRole) -> OrgRole:
    """Return a role without the members that requests do not have."""
    return OrgRole(
        role.org_id,
        role.role,
        application_roles=_copied_resources(role.application_roles),
        dashboard_roles=_copied_resources(role.dashboard_roles),
    )


def _copied_resources(roles: tuple[ResourceRole, ...] | None) -> tuple[ResourceRole, ...] | None:
    if roles is None:
        return None
    return tuple(ResourceRole(role.resource_id, role.role) for role in roles)


def marked_successor(token: Token, marker: str, expires_at: datetime) -> ApiTokenPost:
    """Return the request body for a successor whose description ends in a marker."""
    return successor_of(token, marked(token.description, marker), expires_at)


def difference(token: ApiToken, made: NewApiToken) -> str | None:
    """Return how a new token differs from what was requested, as a phrase; `None` if it does not.

    Args:
        token: The old token.
        made: The new token, as the API returned it.
    """
    if made.scope and set(made.scope) != set(token.scope):
        return f"the API gave it the scopes {format_scopes(made.scope)}"
    if made.never_expires is not False:
        return "the API gave it no expiration date"
    if made.status is not None and made.status != "active":
        return f"the API gave it the status {made.status}"
    # The client may have got a token of another account between the two requests.
    if made.owner_id and token.owner_id and made.owner_id.lower() != token.owner_id.lower():
        return f"it belongs to the account {made.owner_id}, and the old token to {token.owner_id}"
    return None


def drift(planned: RotatedToken, token: Token) -> str | None:
    """Return how an old token differs from its state when the rotation began, as a sentence."""
    if token.name != planned.name:
        return f"{planned.id} has another name since the rotation began: {token.name!r}."
    if token.last_updated != planned.last_updated:
        return f"{planned.id} was changed since the rotation began."
    return None
