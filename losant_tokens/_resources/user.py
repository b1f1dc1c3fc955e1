"""The API tokens and the OAuth tokens of the user to whom the access token belongs.

Source: `userApiToken.md`, `userApiTokens.md`, `userOauthToken.md` and `userOauthTokens.md` in
https://github.com/Losant/losant-rest-python/tree/master/docs
"""

from typing import Unpack

from losant_tokens._api import operations
from losant_tokens._api.models import (
    ApiToken,
    ApiTokens,
    NewApiToken,
    Success,
    UserOauthToken,
    UserOauthTokens,
)
from losant_tokens._api.payloads import (
    ApiTokenPatch,
    ApiTokenPost,
    UserOauthTokenPatch,
    UserOauthTokenPost,
)
from losant_tokens._calls.pagination import Listing
from losant_tokens._http.call_options import (
    ListOptions,
    OauthListOptions,
    OauthPageOptions,
    PageOptions,
    RequestOptions,
    SnapshotOptions,
)
from losant_tokens._resources.base import Resource


class UserApiTokenResource(Resource):
    """One API token of the user."""

    async def get(self, api_token_id: str, **options: Unpack[RequestOptions]) -> ApiToken:
        """Return a token, without its secret.

        Args:
            api_token_id: The id of the token.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such token.
        """
        ids = {"apiTokenId": api_token_id}
        return await self._call(operations.USER_API_TOKEN_GET, ids, **options)

    async def patch(
        self, api_token_id: str, api_token: ApiTokenPatch, **options: Unpack[RequestOptions]
    ) -> ApiToken:
        """Change a token, and return it with its changes.

        Args:
            api_token_id: The id of the token.
            api_token: The changes.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such token.
        """
        ids = {"apiTokenId": api_token_id}
        return await self._call(operations.USER_API_TOKEN_PATCH, ids, None, api_token, **options)

    async def delete(self, api_token_id: str, **options: Unpack[RequestOptions]) -> Success:
        """Delete a token permanently.

        Args:
            api_token_id: The id of the token.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such token, for example because it was deleted before.
        """
        ids = {"apiTokenId": api_token_id}
        return await self._call(operations.USER_API_TOKEN_DELETE, ids, **options)


class UserApiTokensResource(Resource):
    """The API tokens of the user."""

    async def get(self, **options: Unpack[PageOptions]) -> ApiTokens:
        """Return one page of the tokens.

        Args:
            **options: See `PageOptions`.
        """
        return await self._page(operations.USER_API_TOKENS_GET, options)

    async def post(self, api_token: ApiTokenPost, **options: Unpack[RequestOptions]) -> NewApiToken:
        """Create a token, and return it with its secret.

        Store the secret now: no later response contains it.

        Args:
            api_token: The settings of the token.
            **options: See `RequestOptions`.
        """
        return await self._call(operations.USER_API_TOKENS_POST, None, None, api_token, **options)

    def iter(self, **options: Unpack[ListOptions]) -> Listing[ApiToken]:
        """Iterate over all tokens, page by page, and read the next page ahead.

        Do not create or delete tokens while you iterate. That shifts the tokens after them, so
        that some are left out or appear twice. Read the list to its end first, then act.

        Args:
            **options: See `ListOptions`.
        """
        return self._all_pages(operations.USER_API_TOKENS_GET, options)

    async def snapshot(self, **options: Unpack[SnapshotOptions]) -> list[ApiToken]:
        """Return all tokens, and prove that none is missing.

        Use it before you decide about all tokens, for example whether one exists. The list has each
        token that existed all the time while it was read. A token that was created or deleted
        meanwhile may be in the list or not. The proof is that of `jobs.plan`: tokens are listed
        again, up to four times, until a listing proves that it is complete, or two in a row have
        the same tokens.

        It takes two requests more than `iter`, if nothing changes, and about 2.3 KB of memory for
        each token. `jobs.list_tokens` gives the same proof without keeping the tokens.

        Args:
            **options: See `SnapshotOptions`.

        Raises:
            IncompleteListing: The tokens kept changing, the list contradicts itself, or it has
                more than `max_tokens`.
        """
        return await self._snapshot(operations.USER_API_TOKENS_GET, options)


class UserOauthTokenResource(Resource):
    """One OAuth token of the user."""

    async def get(self, oauth_token_id: str, **options: Unpack[RequestOptions]) -> UserOauthToken:
        """Return an OAuth token, without its secret.

        Args:
            oauth_token_id: The id of the OAuth token.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such OAuth token.
        """
        ids = {"oauthTokenId": oauth_token_id}
        return await self._call(operations.USER_OAUTH_TOKEN_GET, ids, **options)

    async def patch(
        self,
        oauth_token_id: str,
        oauth_token: UserOauthTokenPatch,
        **options: Unpack[RequestOptions],
    ) -> UserOauthToken:
        """Change an OAuth token, and return it with its changes.

        Args:
            oauth_token_id: The id of the OAuth token.
            oauth_token: The changes.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such OAuth token.
        """
        ids = {"oauthTokenId": oauth_token_id}
        return await self._call(
            operations.USER_OAUTH_TOKEN_PATCH, ids, None, oauth_token, **options
        )

    async def delete(self, oauth_token_id: str, **options: Unpack[RequestOptions]) -> Success:
        """Delete an OAuth token permanently.

        Args:
            oauth_token_id: The id of the OAuth token.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such OAuth token, for example because it was deleted before.
        """
        ids = {"oauthTokenId": oauth_token_id}
        return await self._call(operations.USER_OAUTH_TOKEN_DELETE, ids, **options)


class UserOauthTokensResource(Resource):
    """The OAuth tokens of the user."""

    async def get(self, **options: Unpack[OauthPageOptions]) -> UserOauthTokens:
        """Return one page of the OAuth tokens.

        Args:
            **options: See `OauthPageOptions`.
        """
        return await self._page(operations.USER_OAUTH_TOKENS_GET, options)

    async def post(
        self, oauth_token: UserOauthTokenPost, **options: Unpack[RequestOptions]
    ) -> UserOauthToken:
        """Create an OAuth token, and return it.

        Args:
            oauth_token: The settings of the OAuth token.
            **options: See `RequestOptions`.
        """
        return await self._call(
            operations.USER_OAUTH_TOKENS_POST, None, None, oauth_token, **options
        )

    def iter(self, **options: Unpack[OauthListOptions]) -> Listing[UserOauthToken]:
        """Iterate over all OAuth tokens, page by page, and read the next page ahead.

        Do not create or delete OAuth tokens while you iterate. That shifts the tokens after them,
        so that some are left out or appear twice. Read the list to its end first, then act.

        Args:
            **options: See `OauthListOptions`.
        """
        return self._all_pages(operations.USER_OAUTH_TOKENS_GET, options)

    async def snapshot(self, **options: Unpack[SnapshotOptions]) -> list[UserOauthToken]:
        """Return all OAuth tokens, and prove that none is missing.

        Use it before you decide about all tokens, for example whether one exists. The list has each
        token that existed all the time while it was read. A token that was created or deleted
        meanwhile may be in the list or not. The proof is that of `jobs.plan`: tokens are listed
        again, up to four times, until a listing proves that it is complete, or two in a row have
        the same tokens.

        It takes two requests more than `iter`, if nothing changes, and about 2.3 KB of memory for
        each token. `jobs.list_tokens` gives the same proof without keeping the tokens.

        Args:
            **options: See `SnapshotOptions`.

        Raises:
            IncompleteListing: The tokens kept changing, the list contradicts itself, or it has
                more than `max_tokens`.
        """
        return await self._snapshot(operations.USER_OAUTH_TOKENS_GET, options)
