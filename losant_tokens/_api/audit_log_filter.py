"""`AuditLogFilter`: the properties of the entries of an audit log to return.

The API takes the filter as a nested object, which is flattened to query parameters as the official
clients do: `auditLogFilter[actor][0][type]=ApiToken`. Within one member of the filter, an entry
needs one of the items.

Source: the parameter `auditLogFilter` of the operations `auditLogs.get` and `instanceAuditLogs.get`
in version 1.31 of https://github.com/Losant/losant-rest-python/tree/master/docs
"""

from collections.abc import Iterator

import attrs
from attrs import field, frozen

from losant_tokens._utils import validators

_MAX_LENGTH = 1024
_PARAMETER = "auditLogFilter"
_ID = validators.optional(validators.string(pattern=validators.ID_PATTERN.pattern))
_WORD = validators.optional(validators.string(min_length=1, max_length=_MAX_LENGTH))


@frozen(kw_only=True)
class AuditLogActor:
    """The user, token, device, workflow or application that sent a request."""

    id: str | None = field(default=None, validator=_ID)
    """Its id, 24 hexadecimal digits."""
    type: str | None = field(default=None, validator=_WORD)
    """`ApiToken` or `User`; in an organization, also `Application`, `Device` or `Flow`."""
    name: str | None = field(default=None, validator=_WORD)
    """Its name."""


@frozen(kw_only=True)
class AuditLogTarget:
    """A resource that a request changed."""

    id: str | None = field(default=None, validator=_ID)
    """Its id, 24 hexadecimal digits."""
    type: str | None = field(default=None, validator=_WORD)
    """Its type, for example `Application`."""
    name: str | None = field(default=None, validator=_WORD)
    """Its name."""


@frozen(kw_only=True)
class AuditLogRequest:
    """The operation of a request."""

    resource: str | None = field(default=None, validator=_WORD)
    """Its resource, for example `device`."""
    action: str | None = field(default=None, validator=_WORD)
    """Its action, for example `patch`."""


def _items_of(kind: type) -> validators.Validator:
    return validators.tuple_of(validators.instance_of(kind))


@frozen(kw_only=True)
class AuditLogFilter:
    """The properties that an entry of an audit log must have to be returned.

    Example::

        AuditLogFilter(actor=[AuditLogActor(type="ApiToken")])

    Raises:
        ValidationError: The API would refuse a member.
    """

    actor: tuple[AuditLogActor, ...] = field(
        default=(), converter=validators.as_tuple, validator=_items_of(AuditLogActor)
    )
    """Only requests that one of these actors sent."""
    primary_target: tuple[AuditLogTarget, ...] = field(
        default=(), converter=validators.as_tuple, validator=_items_of(AuditLogTarget)
    )
    """Only changes of one of these resources, or of a resource that belongs to one."""
    secondary_target: tuple[AuditLogTarget, ...] = field(
        default=(), converter=validators.as_tuple, validator=_items_of(AuditLogTarget)
    )
    """Only changes of one of these resources of an application."""
    request: tuple[AuditLogRequest, ...] = field(
        default=(), converter=validators.as_tuple, validator=_items_of(AuditLogRequest)
    )
    """Only requests of one of these operations."""
    response_code: tuple[int, ...] = field(
        default=(),
        converter=validators.as_tuple,
        validator=validators.tuple_of(validators.integer(minimum=100)),
    )
    """Only responses with one of these HTTP statuses."""


_WIRE_NAMES = {
    "primary_target": "primaryTarget",
    "secondary_target": "secondaryTarget",
    "response_code": "responseCode",
}


def filter_query(given: AuditLogFilter) -> dict[str, str]:
    """Return a filter as query parameters: `auditLogFilter[actor][0][type]=ApiToken`.

    Args:
        given: The filter.
    """
    return dict(_parameters(given))


def _parameters(given: AuditLogFilter) -> Iterator[tuple[str, str]]:
    for name in attrs.fields_dict(AuditLogFilter):
        for index, item in enumerate(getattr(given, name)):
            place = f"{_PARAMETER}[{_WIRE_NAMES.get(name, name)}][{index}]"
            if isinstance(item, int):
                yield place, str(item)
                continue
            for member, value in attrs.asdict(item).items():
                if value is not None:
                    yield f"{place}[{member}]", value
