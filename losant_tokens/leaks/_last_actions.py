"""Read from audit logs what tokens did last."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from losant_tokens._api.audit_log_filter import AuditLogActor, AuditLogFilter
from losant_tokens._api.audit_log_models import AuditLog, InstanceAuditLog
from losant_tokens._client import AsyncClient

if TYPE_CHECKING:
    from losant_tokens.jobs import LogSource

_UNKNOWN_TIME = datetime.min.replace(tzinfo=UTC)


async def latest_actions(
    client: AsyncClient,
    sources: "Iterable[LogSource]",
    token_ids: Iterable[str],
    limit: int = 20,
) -> tuple[AuditLog | InstanceAuditLog, ...]:
    """Return what tokens changed last, according to audit logs: the newest action first.

    Audit logs record what creates, edits or deletes something. They record no reading, so a token
    without an action may have read anything.

    Args:
        client: The client. Its token needs a scope such as `auditLogs.get` or `all.User.read`.
        sources: The audit logs.
        token_ids: The ids of the tokens.
        limit: The maximum number of actions.

    Raises:
        LosantError: An audit log cannot be read.
    """
    ids = {token_id.lower() for token_id in token_ids}
    actors = AuditLogFilter(actor=[AuditLogActor(id=one, type="ApiToken") for one in sorted(ids)])
    found: list[AuditLog | InstanceAuditLog] = []
    for source in sources:
        logs = client.audit_logs if source.kind == "org" else client.instance_audit_logs
        page = await logs.get(source.id, per_page=limit, filter=actors)
        # A server that does not know the filter returns the entries of all actors.
        found += [one for one in page.items if (one.actor_id or "").lower() in ids]
    found.sort(key=lambda one: one.creation_date or _UNKNOWN_TIME, reverse=True)
    return tuple(found[:limit])
