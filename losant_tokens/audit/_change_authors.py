"""Read in audit logs who changed or deleted tokens.

This answers "by whom" in a comparison of two audits, and decides nothing. So a log that changes
while it is read does no harm here.
"""

from collections.abc import Iterator, Mapping
from contextlib import aclosing
from typing import Any

from attrs import field, frozen

from losant_tokens import AsyncClient, AuditLogFilter, AuditLogRequest
from losant_tokens.jobs import LastSeen

_RESOURCES = ("applicationApiToken", "instanceApiToken", "userApiToken")
_TOKEN = "ApiToken"  # noqa: S105 -- the type of a target
_FIRST_ERROR = 400


@frozen
class TokenChanges:
    """The users and tokens that changed or deleted tokens, by token id in lower case.

    Attributes:
        changed_by: The actor of the last change of each token.
        deleted_by: The actor who deleted each token.
    """

    changed_by: Mapping[str, str] = field(factory=dict)
    deleted_by: Mapping[str, str] = field(factory=dict)


async def token_changes(client: AsyncClient, seen: LastSeen) -> TokenChanges:
    """Return who changed or deleted tokens.

    Args:
        client: The client.
        seen: The result of reading the same logs before: it has the logs and the period.

    Raises:
        LosantError: A log cannot be read.
    """
    changed: dict[str, str] = {}
    deleted: dict[str, str] = {}
    for source in seen.sources:
        logs = client.audit_logs if source.kind == "org" else client.instance_audit_logs
        window = {"start": seen.since, "end": seen.until}
        listing = logs.iter(
            source.id,
            filter=AuditLogFilter(request=[AuditLogRequest(resource=one) for one in _RESOURCES]),
            **{name: time for name, time in window.items() if time is not None},  # type: ignore[arg-type]  # the names are options
        )
        listing.warns = False
        async with aclosing(listing):
            async for entry in listing:
                _add(entry, changed, deleted)
    return TokenChanges(changed, deleted)


def _add(entry: Any, changed: dict[str, str], deleted: dict[str, str]) -> None:
    """Add an entry. The newest entry comes first, so an earlier one changes nothing."""
    actor = entry.actor_name or entry.actor_id
    if not actor or (entry.response_status or 0) >= _FIRST_ERROR:
        return
    actions = {"patch": changed, "delete": deleted}
    found = actions.get(entry.request_action or "")
    if found is not None:
        for token_id in _tokens(entry):
            found.setdefault(token_id.lower(), actor)


def _tokens(entry: Any) -> Iterator[str]:
    """Yield the ids of the tokens that an entry is about."""
    if entry.primary_target_type == _TOKEN and entry.primary_target_id:
        yield entry.primary_target_id
    if entry.secondary_target_type == _TOKEN and entry.secondary_target_id:
        yield entry.secondary_target_id
