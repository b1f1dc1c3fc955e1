"""The API tokens of an instance.

Source: `instanceApiToken.md` and `instanceApiTokens.md` in
https://github.com/Losant/losant-rest-python/tree/master/docs
"""

from typing import Unpack

from losant_tokens._api import operations
from losant_tokens._api.models import ApiToken, ApiTokens, NewApiToken, Success
from losant_tokens._api.payloads import ApiTokenPatch, ApiTokenPost
from losant_tokens._calls.pagination import Listing
from losant_tokens._http.call_options import (
    ListOptions,
    PageOptions,
    RequestOptions,
    SnapshotOptions,
)
from losant_tokens._resources.base import Resource


class InstanceApiTokenResource(Resource):
    """One API token of an instance."""

    async def get(
        self, instance_id: str, api_token_id: str, **options: Unpack[RequestOptions]
    ) -> ApiToken:
        """Return a token, without its secret.

        Args:
            instance_id: The id of the instance.
            api_token_id: The id of the token.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such token or instance.
        """
        ids = {"instanceId": instance_id, "apiTokenId": api_token_id}
        return await self._call(operations.INSTANCE_API_TOKEN_GET, ids, **options)

    async def patch(
        self,
        instance_id: str,
        api_token_id: str,
        api_token: ApiTokenPatch,
        **options: Unpack[RequestOptions],
    ) -> ApiToken:
        """Change a token, and return it with its changes.

        Args:
            instance_id: The id of the instance.
            api_token_id: The id of the token.
            api_token: The changes.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such token or instance.
        """
        ids = {"instanceId": instance_id, "apiTokenId": api_token_id}
        return await self._call(
            operations.INSTANCE_API_TOKEN_PATCH, ids, None, api_token, **options
        )

    async def delete(
        self, instance_id: str, api_token_id: str, **options: Unpack[RequestOptions]
    ) -> Success:
        """Delete a token permanently.

        Args:
            instance_id: The id of the instance.
            api_token_id: The id of the token.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such token, for example because it was deleted before, or no
                such instance.
        """
        ids = {"instanceId": instance_id, "apiTokenId": api_token_id}
        return await self._call(operations.INSTANCE_API_TOKEN_DELETE, ids, **options)


class InstanceApiTokensResource(Resource):
    """The API tokens of an instance."""

    async def get(self, instance_id: str, **options: Unpack[PageOptions]) -> ApiTokens:
        """Return one page of the tokens.

        Args:
            instance_id: The id of the instance.
            **options: See `PageOptions`.

        Raises:
            NotFound: There is no such instance.
        """
        ids = {"instanceId": instance_id}
        return await self._page(operations.INSTANCE_API_TOKENS_GET, options, ids)

    async def post(
        self, instance_id: str, api_token: ApiTokenPost, **options: Unpack[RequestOptions]
    ) -> NewApiToken:
        """Create a token, and return it with its secret.

        Store the secret now: no later response contains it.

        Args:
            instance_id: The id of the instance.
            api_token: The settings of the token.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such instance.
        """
        ids = {"instanceId": instance_id}
        return await self._call(
            operations.INSTANCE_API_TOKENS_POST, ids, None, api_token, **options
        )

    def iter(self, instance_id: str, **options: Unpack[ListOptions]) -> Listing[ApiToken]:
        """Iterate over all tokens, page by page, and read the next page ahead.

        Do not create or delete tokens while you iterate. That shifts the tokens after them, so
        that some are left out or appear twice. Read the list to its end first, then act.

        Args:
            instance_id: The id of the instance.
            **options: See `ListOptions`.
        """
        ids = {"instanceId": instance_id}
        return self._all_pages(operations.INSTANCE_API_TOKENS_GET, options, ids)

    async def snapshot(
        self, instance_id: str, **options: Unpack[SnapshotOptions]
    ) -> list[ApiToken]:
        """Return all tokens, and prove that none is missing.

        Use it before you decide about all tokens, for example whether one exists. The list has each
        token that existed all the time while it was read. A token that was created or deleted
        meanwhile may be in the list or not. The proof is that of `jobs.plan`: tokens are listed
        again, up to four times, until a listing proves that it is complete, or two in a row have
        the same tokens.

        It takes two requests more than `iter`, if nothing changes, and about 2.3 KB of memory for
        each token. `jobs.list_tokens` gives the same proof without keeping the tokens.

        Args:
            instance_id: The id of the instance.
            **options: See `SnapshotOptions`.

        Raises:
            IncompleteListing: The tokens kept changing, the list contradicts itself, or it has
                more than `max_tokens`.
        """
        ids = {"instanceId": instance_id}
        return await self._snapshot(operations.INSTANCE_API_TOKENS_GET, options, ids)
