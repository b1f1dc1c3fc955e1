"""Models of audit logs, in a module of their own because most programs never read one.

They have no `extra`. The bodies and parameters of the logged requests and responses may hold
secrets, such as the secret of a new token, so they are never kept.
"""

from datetime import datetime

from attrs import field, frozen

from losant_tokens._api.models import NONE_UNREADABLE, AnyPage, HasId


@frozen(kw_only=True, eq=False, repr=False)
class _LogEntry(HasId):
    """The attributes that the entries of all audit logs share. Only the id is required."""

    id: str
    """The id, 24 hexadecimal digits."""
    creation_date: datetime | None = None
    """The time of the request."""
    actor_id: str | None = None
    """The id of the actor: the user, token, device, workflow or application that sent the request.
    """
    actor_type: str | None = None
    """`Application`, `Device`, `Flow`, `User` or `ApiToken`."""
    actor_name: str | None = None
    """The name of the actor."""
    primary_target_id: str | None = None
    """The id of the changed resource, or of the application that holds it."""
    primary_target_type: str | None = None
    """The type of the primary target, such as `Application` or `ApiToken`."""
    primary_target_name: str | None = None
    """The name of the primary target."""
    secondary_target_id: str | None = None
    """The id of the changed resource in an application."""
    secondary_target_type: str | None = None
    """The type of the secondary target, such as `Device`."""
    secondary_target_name: str | None = None
    """The name of the secondary target."""
    request_resource: str | None = None
    """The resource of the operation, for example `device`."""
    request_action: str | None = None
    """The action of the operation, for example `patch`."""
    response_status: int | None = None
    """The HTTP status of the response."""
    unreadable: frozenset[str] = field(default=NONE_UNREADABLE, repr=False)
    """The names of the attributes whose members are present but cannot be read."""


@frozen(kw_only=True)
class AuditLog(_LogEntry):
    """One entry of the audit log of an organization: who changed which resource, and when.

    The API also sends the parameters and the bodies of the request and its response. They may hold
    secrets, so they are dropped when the entry is read, and so are members without an attribute.
    """

    audit_log_id: str | None = None
    """The same id, under the name that the API also gives it."""
    org_id: str | None = None
    """The id of the organization."""


@frozen(kw_only=True)
class InstanceAuditLog(_LogEntry):
    """One entry of the audit log of an instance, with the attributes of `AuditLog`.

    The actor is a `User` or an `ApiToken`.
    """

    instance_audit_log_id: str | None = None
    """The same id, under the name that the API also gives it."""
    instance_id: str | None = None
    """The id of the instance."""


@frozen(kw_only=True)
class AuditLogs(AnyPage):
    """One page of the audit log of an organization, the newest entries first."""

    items: tuple[AuditLog, ...]
    """The entries on this page."""
    org_id: str | None = None
    """The id of the organization."""


@frozen(kw_only=True)
class InstanceAuditLogs(AnyPage):
    """One page of the audit log of an instance, with the attributes of `AuditLogs`."""

    items: tuple[InstanceAuditLog, ...]
    """The entries on this page."""
    instance_id: str | None = None
    """The id of the instance."""
