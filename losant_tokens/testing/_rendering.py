"""Tokens as JSON, including members that the contract does not list."""

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import MAXYEAR, datetime
from typing import Any, Self

from attrs import frozen

from losant_tokens.testing._audit_logs import LogQuery
from losant_tokens.testing._listing import ListQuery, glob
from losant_tokens.testing._models import FakeAuditLog, FakeToken
from losant_tokens.testing._owner_strings import collection_path, owner_type

_CYCLE = 400
"""The number of years after which the Gregorian calendar repeats."""
_TRUE = ("true", "1", "yes")
"""The strings that the framework reads as true; every other string is false."""


def to_wire_date(date: datetime) -> str:
    """Format a datetime as JavaScript's `toISOString` does: `2016-06-13T04:00:00.000Z`.

    A year after 9999, which only the conversion to UTC can give, has a sign and six digits.
    """
    offset = date.utcoffset()
    assert offset is not None  # noqa: S101  -- FakeToken checks it
    local = date.replace(tzinfo=None)
    # Python has neither year 0 nor year 10000, so convert to UTC in another cycle of the calendar.
    shift = _CYCLE if local.year <= _CYCLE else -_CYCLE
    utc = local.replace(year=local.year + shift) - offset
    year = utc.year - shift
    written = f"{year:04d}" if year <= MAXYEAR else f"+{year:06d}"
    return f"{written}{utc.isoformat(timespec='milliseconds')[4:]}Z"


@frozen(kw_only=True)
class Extras:
    """The optional members that a request asks for."""

    actions: bool
    links: bool
    embedded: bool

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Self:
        """Read the members from the query; each is on by default.

        Source: bravado-core, `lib/extend-context.js`.
        """

        def flag(name: str) -> bool:
            return parameters.get(name) in {None, "", *_TRUE}

        return cls(actions=flag("_actions"), links=flag("_links"), embedded=flag("_embedded"))


def token_body(token: FakeToken, extras: Extras, *, with_secret: bool = False) -> dict[str, Any]:
    """Return a token as JSON, without members that have no value.

    Args:
        token: The token.
        extras: The optional members to add.
        with_secret: Whether to include the secret.
    """
    path = f"{collection_path(token.owner)}/{token.id}"
    oauth = token.owner == "oauth"
    body: dict[str, Any] = {
        "id": token.id,
        "oauthTokenId" if oauth else "apiTokenId": token.id,
        "name": token.name,
        "description": token.description,
        "status": token.status,
        "scope": list(token.scope),
        "defaultRole": token.default_role,
        "orgRoles": None if token.org_roles is None else list(token.org_roles),
        "creationDate": to_wire_date(token.creation_date),
        "lastUpdated": to_wire_date(token.last_updated),
        "expirationDate": token.expiration_date and to_wire_date(token.expiration_date),
    }
    if oauth:
        body["oauth"] = token.oauth
    else:
        body |= {
            "ownerId": token.owner_id,
            "ownerType": token.owner_type,
            "creatorId": token.creator_id,
            "creatorType": token.creator_type,
            "creatorName": token.creator_name,
        }
        if with_secret:
            body["token"] = token.secret
    body = {name: value for name, value in body.items() if value is not None}
    actions = {
        name: {"href": path, "method": method}
        for name, method in (("get", "GET"), ("patch", "PATCH"), ("delete", "DELETE"))
    }
    return body | _extra_members(
        body, "userOauthToken" if oauth else "apiToken", path, extras, actions
    )


def list_body(
    owner: str,
    owner_id: str,
    page: tuple[Sequence[FakeToken], int],
    query: ListQuery,
    extras: Extras,
) -> dict[str, Any]:
    """Return a page of a list as JSON."""
    tokens, total = page
    path = collection_path(owner)
    body: dict[str, Any] = {
        "items": [token_body(token, extras) for token in tokens],
        "count": len(tokens),
        "totalCount": total,
        "perPage": query.per_page,
        "page": query.page,
        "sortField": query.sort_field,
        "sortDirection": query.sort_direction,
        "filterField": query.filter_field,
        "filter": query.filter,
    }
    kind = "userOauthTokens"
    if owner != "oauth":
        kind = "apiTokens"
        body |= {"ownerId": owner_id, "ownerType": owner_type(owner)}
    actions = {
        name: {"href": path, "method": method}
        for name, method in (("get", "GET"), ("post", "POST"))
    }
    return body | _extra_members(body, kind, path, extras, actions)


def owner_list_body(
    kind: str, names: Mapping[str, str], query: ListQuery, organization_id: str, extras: Extras
) -> dict[str, Any]:
    """Return a page of a list of owners as JSON.

    Args:
        kind: `applications`, `instances` or `orgs`.
        names: The display names by id.
        query: The parameters of the request.
        organization_id: The organization that applications belong to.
        extras: The optional members to add.
    """
    matches = glob(query.filter) if query.filter and query.filter_field else lambda _: True
    found = [(id_, name) for id_, name in names.items() if matches(name)]
    by_name = query.sort_field == "name"
    found.sort(
        key=lambda item: item[1] if by_name else item[0], reverse=query.sort_direction == "desc"
    )
    one = kind.removesuffix("s")
    owner = {"ownerId": organization_id, "ownerType": "organization"}
    start = query.page * query.per_page
    items = [
        {"id": id_, f"{one}Id": id_, "name": name, **(owner if one == "application" else {})}
        for id_, name in found[start : start + query.per_page]
    ]
    body: dict[str, Any] = {
        "items": items,
        "count": len(items),
        "totalCount": len(found),
        "perPage": query.per_page,
        "page": query.page,
        "sortField": query.sort_field,
        "sortDirection": query.sort_direction,
    }
    path = f"/{kind}"
    return body | _extra_members(body, kind, path, extras, {"get": {"href": path, "method": "GET"}})


def _extra_members(
    body: Mapping[str, Any], kind: str, path: str, extras: Extras, actions: Mapping[str, Any]
) -> dict[str, Any]:
    # The values are invented. The API sends members with these names, and clients must accept
    # them.
    extra: dict[str, Any] = {
        "_type": kind,
        "_etag": f'"{zlib.crc32(json.dumps(body).encode()):08x}"',
    }
    if extras.actions:
        extra["_actions"] = actions
    if extras.links:
        extra["_links"] = {"self": {"href": path}}
    if extras.embedded:
        extra["_embedded"] = {}
    return extra


def log_body(entry: FakeAuditLog, extras: Extras) -> dict[str, Any]:
    """Return an entry of an audit log as JSON, without members that have no value."""
    kind, _, source_id = entry.source.partition(":")
    name = "auditLog" if kind == "org" else "instanceAuditLog"
    body: dict[str, Any] = {
        "id": entry.id,
        f"{name}Id": entry.id,
        "creationDate": to_wire_date(entry.creation_date),
        f"{kind}Id": source_id,
        "actorId": entry.actor_id,
        "actorType": entry.actor_type,
        "actorName": entry.actor_name,
        "primaryTargetId": entry.primary_target_id,
        "primaryTargetType": entry.primary_target_type,
        "primaryTargetName": entry.primary_target_name,
        "secondaryTargetId": entry.secondary_target_id,
        "secondaryTargetType": entry.secondary_target_type,
        "secondaryTargetName": entry.secondary_target_name,
        "requestResource": entry.request_resource,
        "requestAction": entry.request_action,
        "requestBody": entry.request_body,
        "responseBody": entry.response_body,
        "responseStatus": entry.response_status,
    }
    body = {member: value for member, value in body.items() if value is not None}
    path = f"{_log_path(entry.source)}/{entry.id}"
    return body | _extra_members(body, name, path, extras, {"get": {"href": path, "method": "GET"}})


def log_list_body(
    source: str, page: tuple[Sequence[FakeAuditLog], int], query: LogQuery, extras: Extras
) -> dict[str, Any]:
    """Return a page of an audit log as JSON."""
    entries, total = page
    kind, _, source_id = source.partition(":")
    path = _log_path(source)
    body: dict[str, Any] = {
        "items": [log_body(entry, extras) for entry in entries],
        "count": len(entries),
        "totalCount": total,
        "perPage": query.per_page,
        "page": query.page,
        "sortField": query.sort_field,
        "sortDirection": query.sort_direction,
        f"{kind}Id": source_id,
    }
    name = "auditLogs" if kind == "org" else "instanceAuditLogs"
    return body | _extra_members(body, name, path, extras, {"get": {"href": path, "method": "GET"}})


def _log_path(source: str) -> str:
    kind, _, source_id = source.partition(":")
    return f"/orgs/{source_id}/audit-logs" if kind == "org" else f"/instance/{source_id}/audit-logs"
