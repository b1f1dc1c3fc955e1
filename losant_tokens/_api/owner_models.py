"""Models of the owners of tokens: applications, instances and organizations.

They are in a module of their own because most programs never list owners, and a class of attrs
takes long to make.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from losant_tokens._api.models import NONE_UNREADABLE, Page
from losant_tokens._api.wire_format import WireModel


@frozen(kw_only=True)
class Application(WireModel):
    """An application, which can own tokens. Only the id is required."""

    id: str
    """The id, 24 hexadecimal digits."""
    application_id: str | None = None
    """The same id, under the name that the API also gives it."""
    name: str | None = None
    """The display name."""
    owner_id: str | None = None
    """The id of the organization or user that it belongs to."""
    owner_type: str | None = None
    """`organization` or `user`."""
    organization_name: str | None = None
    """The name of the organization that it belongs to."""
    creation_date: datetime | None = None
    """The time of creation, in UTC."""
    last_updated: datetime | None = None
    """The time of the last change, in UTC."""
    unreadable: frozenset[str] = field(default=NONE_UNREADABLE, repr=False)
    """The names of the attributes whose members are present but cannot be read."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """


@frozen(kw_only=True)
class Applications(Page):
    """One page of applications, with the attributes of `ApiTokens`."""

    items: tuple[Application, ...]
    """The applications on this page."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """


@frozen(kw_only=True)
class Instance(WireModel):
    """An instance, which can own tokens. Only the id is required."""

    id: str
    """The id, 24 hexadecimal digits."""
    instance_id: str | None = None
    """The same id, under the name that the API also gives it."""
    name: str | None = None
    """The display name."""
    creation_date: datetime | None = None
    """The time of creation, in UTC."""
    last_updated: datetime | None = None
    """The time of the last change, in UTC."""
    unreadable: frozenset[str] = field(default=NONE_UNREADABLE, repr=False)
    """The names of the attributes whose members are present but cannot be read."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """


@frozen(kw_only=True)
class Instances(Page):
    """One page of instances, with the attributes of `ApiTokens`."""

    items: tuple[Instance, ...]
    """The instances on this page."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """


@frozen(kw_only=True)
class Organization(WireModel):
    """An organization, which has applications and an audit log. Only the id is required."""

    id: str
    """The id, 24 hexadecimal digits."""
    org_id: str | None = None
    """The same id, under the name that the API also gives it."""
    name: str | None = None
    """The display name."""
    creation_date: datetime | None = None
    """The time of creation, in UTC."""
    last_updated: datetime | None = None
    """The time of the last change, in UTC."""
    unreadable: frozenset[str] = field(default=NONE_UNREADABLE, repr=False)
    """The names of the attributes whose members are present but cannot be read."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """


@frozen(kw_only=True)
class Organizations(Page):
    """One page of organizations, with the attributes of `ApiTokens`."""

    items: tuple[Organization, ...]
    """The organizations on this page."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False, hash=False, kw_only=True)
    """The raw values of the members without an attribute and of the members that cannot be read,
    under their wire names. They may be secret.
    """
