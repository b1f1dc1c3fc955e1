"""The lists that name the owners of tokens: applications, instances and organizations.

Source: `applications.md`, `instances.md` and `orgs.md` in
https://github.com/Losant/losant-rest-python/tree/master/docs
"""

from typing import Unpack

from losant_tokens._api import owner_operations as operations
from losant_tokens._api.owner_models import (
    Application,
    Applications,
    Instance,
    Instances,
    Organization,
    Organizations,
)
from losant_tokens._calls.pagination import Listing
from losant_tokens._http.call_options import (
    ApplicationListOptions,
    ApplicationPageOptions,
    OwnerListOptions,
    OwnerPageOptions,
)
from losant_tokens._resources.base import Resource


class ApplicationsResource(Resource):
    """The applications that the user of the token can see."""

    async def get(self, **options: Unpack[ApplicationPageOptions]) -> Applications:
        """Return one page of the applications.

        Args:
            **options: See `ApplicationPageOptions`.
        """
        return await self._page(operations.APPLICATIONS_GET, options, known=ApplicationPageOptions)

    def iter(self, **options: Unpack[ApplicationListOptions]) -> Listing[Application]:
        """Iterate over all applications, page by page, and read the next page ahead.

        Args:
            **options: See `ApplicationListOptions`.
        """
        return self._all_pages(operations.APPLICATIONS_GET, options, known=ApplicationListOptions)


class InstancesResource(Resource):
    """The instances that the user of the token can see."""

    async def get(self, **options: Unpack[OwnerPageOptions]) -> Instances:
        """Return one page of the instances.

        Args:
            **options: See `OwnerPageOptions`.
        """
        return await self._page(operations.INSTANCES_GET, options)

    def iter(self, **options: Unpack[OwnerListOptions]) -> Listing[Instance]:
        """Iterate over all instances, page by page, and read the next page ahead.

        Args:
            **options: See `OwnerListOptions`.
        """
        return self._all_pages(operations.INSTANCES_GET, options)


class OrgsResource(Resource):
    """The organizations that the user of the token belongs to."""

    async def get(self, **options: Unpack[OwnerPageOptions]) -> Organizations:
        """Return one page of the organizations.

        Args:
            **options: See `OwnerPageOptions`.
        """
        return await self._page(operations.ORGS_GET, options)

    def iter(self, **options: Unpack[OwnerListOptions]) -> Listing[Organization]:
        """Iterate over all organizations, page by page, and read the next page ahead.

        Args:
            **options: See `OwnerListOptions`.
        """
        return self._all_pages(operations.ORGS_GET, options)
