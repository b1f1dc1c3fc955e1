"""The audit logs of organizations and instances: which user or token changed something, and when.

Source: `auditLog.md`, `auditLogs.md`, `instanceAuditLog.md` and `instanceAuditLogs.md` in
https://github.com/Losant/losant-rest-python/tree/master/docs
"""

from collections.abc import Mapping
from typing import Any, TypeVar, Unpack

from losant_tokens._api import audit_log_operations as operations
from losant_tokens._api.audit_log_models import (
    AuditLog,
    AuditLogs,
    InstanceAuditLog,
    InstanceAuditLogs,
)
from losant_tokens._api.operations import Operation
from losant_tokens._calls.pagination import Listing
from losant_tokens._http.audit_log_options import (
    AuditLogListOptions,
    AuditLogPageOptions,
    audit_log_query,
)
from losant_tokens._http.call_options import RequestOptions, split
from losant_tokens._resources.base import PAGE_SIZE, Resource

R = TypeVar("R")


class AuditLogResource(Resource):
    """One entry of the audit log of an organization."""

    async def get(
        self, org_id: str, audit_log_id: str, **options: Unpack[RequestOptions]
    ) -> AuditLog:
        """Return an entry, without the bodies of its request and response.

        Args:
            org_id: The id of the organization.
            audit_log_id: The id of the entry.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such entry or organization.
        """
        ids = {"orgId": org_id, "auditLogId": audit_log_id}
        return await self._call(operations.AUDIT_LOG_GET, ids, **options)


class _Logs(Resource):
    """The parts that both audit logs share."""

    async def _log_page(
        self, operation: Operation[R], ids: Mapping[str, str], options: Mapping[str, Any]
    ) -> R:
        parameters, others = split(operation, options, AuditLogPageOptions)
        return await self._call(operation, ids, audit_log_query(operation, parameters), **others)

    def _log_pages(
        self, operation: Operation[Any], ids: Mapping[str, str], options: Mapping[str, Any]
    ) -> Listing[Any]:
        parameters, others = split(operation, options, AuditLogListOptions)
        per_page = parameters.pop("per_page", PAGE_SIZE)
        query = audit_log_query(operation, parameters)
        return self._listing(operation, ids, query, others, per_page=per_page)


class AuditLogsResource(_Logs):
    """The audit log of an organization."""

    async def get(self, org_id: str, **options: Unpack[AuditLogPageOptions]) -> AuditLogs:
        """Return one page of the log, the newest entries first.

        Args:
            org_id: The id of the organization.
            **options: See `AuditLogPageOptions`.

        Raises:
            NotFound: There is no such organization.
        """
        return await self._log_page(operations.AUDIT_LOGS_GET, {"orgId": org_id}, options)

    def iter(self, org_id: str, **options: Unpack[AuditLogListOptions]) -> Listing[AuditLog]:
        """Iterate over all entries, page by page, the newest first, and read the next page ahead.

        Pass `end`, because new entries would move the others to later pages.

        Args:
            org_id: The id of the organization.
            **options: See `AuditLogListOptions`.
        """
        return self._log_pages(operations.AUDIT_LOGS_GET, {"orgId": org_id}, options)


class InstanceAuditLogResource(Resource):
    """One entry of the audit log of an instance."""

    async def get(
        self, instance_id: str, instance_audit_log_id: str, **options: Unpack[RequestOptions]
    ) -> InstanceAuditLog:
        """Return an entry, without the bodies of its request and response.

        Args:
            instance_id: The id of the instance.
            instance_audit_log_id: The id of the entry.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such entry or instance.
        """
        ids = {"instanceId": instance_id, "instanceAuditLogId": instance_audit_log_id}
        return await self._call(operations.INSTANCE_AUDIT_LOG_GET, ids, **options)


class InstanceAuditLogsResource(_Logs):
    """The audit log of an instance."""

    async def get(
        self, instance_id: str, **options: Unpack[AuditLogPageOptions]
    ) -> InstanceAuditLogs:
        """Return one page of the log, the newest entries first.

        Args:
            instance_id: The id of the instance.
            **options: See `AuditLogPageOptions`.

        Raises:
            NotFound: There is no such instance.
        """
        ids = {"instanceId": instance_id}
        return await self._log_page(operations.INSTANCE_AUDIT_LOGS_GET, ids, options)

    def iter(
        self, instance_id: str, **options: Unpack[AuditLogListOptions]
    ) -> Listing[InstanceAuditLog]:
        """Iterate over all entries, page by page, the newest first, and read the next page ahead.

        Pass `end`, because new entries would move the others to later pages.

        Args:
            instance_id: The id of the instance.
            **options: See `AuditLogListOptions`.
        """
        ids = {"instanceId": instance_id}
        return self._log_pages(operations.INSTANCE_AUDIT_LOGS_GET, ids, options)
