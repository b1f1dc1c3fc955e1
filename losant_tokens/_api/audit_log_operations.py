"""The operations on audit logs."""

from losant_tokens._api import audit_log_models as models
from losant_tokens._api.operations import (
    INSTANCE_READ,
    ORGANIZATION_READ,
    new_list_operation,
    new_operation,
)

_LOG_SORTS = ("creationDate", "responseStatus", "actorName")

AUDIT_LOG_GET = new_operation(
    "auditLog.get",
    "GET",
    "/orgs/{orgId}/audit-logs/{auditLogId}",
    models.AuditLog,
    ORGANIZATION_READ,
)
AUDIT_LOGS_GET = new_list_operation(
    "auditLogs.get",
    "/orgs/{orgId}/audit-logs",
    models.AuditLogs,
    ORGANIZATION_READ,
    sorts_by=_LOG_SORTS,
    filters_by=(),
)
# The path of an instance's audit log is singular, unlike that of its tokens.
INSTANCE_AUDIT_LOG_GET = new_operation(
    "instanceAuditLog.get",
    "GET",
    "/instance/{instanceId}/audit-logs/{instanceAuditLogId}",
    models.InstanceAuditLog,
    INSTANCE_READ,
)
INSTANCE_AUDIT_LOGS_GET = new_list_operation(
    "instanceAuditLogs.get",
    "/instance/{instanceId}/audit-logs",
    models.InstanceAuditLogs,
    INSTANCE_READ,
    sorts_by=_LOG_SORTS,
    filters_by=(),
)
