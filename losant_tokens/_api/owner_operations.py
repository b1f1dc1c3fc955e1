"""The operations that list the owners of tokens."""

from losant_tokens._api import owner_models as models
from losant_tokens._api.operations import ORGANIZATION_READ, new_list_operation, with_narrower

_OWNER_SORTS = ("name", "id", "creationDate", "lastUpdated")
_OWNER_FILTERS = ("name",)

APPLICATIONS_GET = new_list_operation(
    "applications.get",
    "/applications",
    models.Applications,
    (*ORGANIZATION_READ, "all.User.cli"),
    sorts_by=(*_OWNER_SORTS, "ownerId"),
    filters_by=_OWNER_FILTERS,
)
# The published pages of these two do not name `all.User.bounded`, but those of all other lists do.
INSTANCES_GET = new_list_operation(
    "instances.get",
    "/instances",
    models.Instances,
    with_narrower("all.User"),
    sorts_by=_OWNER_SORTS,
    filters_by=_OWNER_FILTERS,
)
ORGS_GET = new_list_operation(
    "orgs.get",
    "/orgs",
    models.Organizations,
    with_narrower("all.User"),
    sorts_by=_OWNER_SORTS,
    filters_by=_OWNER_FILTERS,
)
