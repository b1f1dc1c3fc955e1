"""The resources of a client, with a coroutine for each operation of the API.

The methods have the API's own names for actions and arguments, in snake_case. All of them take
the keyword options of `RequestOptions`, and can raise any `LosantError`.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar, Unpack

from losant_tokens import _operations as operations
from losant_tokens import _validators as validators
from losant_tokens._models import (
    ApiToken,
    ApiTokens,
    AuthenticatedUser,
    Success,
    UserOauthToken,
    UserOauthTokens,
)
from losant_tokens._operations import Operation
from losant_tokens._options import (
    ListOptions,
    OauthListOptions,
    OauthPageOptions,
    PageOptions,
    RequestOptions,
    list_query,
    split,
)
from losant_tokens._pagination import Listing
from losant_tokens._payloads import (
    ApiTokenPatch,
    ApiTokenPost,
    UserCredentials,
    UserOauthTokenPatch,
    UserOauthTokenPost,
)
from losant_tokens._session import Session
from losant_tokens.errors import ValidationError

R = TypeVar("R")

Send = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Sends a request by calling what it is given; when, and how often, is up to it."""

_DEFAULT_SORT = "name"  # the contract's default of `sortField`

_NO_IDS: Mapping[str, str] = MappingProxyType({})

PAGE_SIZE = 1000
"""How many tokens `iter` asks for at a time, as the official command line does."""


class Resource:
    """What all resources have in common: the session that sends, and how a list is asked for."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._call = session.call

    async def _page(
        self, operation: Operation[R], options: Mapping[str, Any], ids: Mapping[str, str] = _NO_IDS
    ) -> R:
        """One page of a list."""
        parameters, others = split(operation, options, PageOptions)
        return await self._call(operation, ids, list_query(operation, parameters), **others)

    def _all_pages(
        self,
        operation: Operation[Any],
        options: Mapping[str, Any],
        ids: Mapping[str, str] = _NO_IDS,
        send: Send | None = None,
    ) -> Listing[Any]:
        """All pages of a list. What is asked for is checked now, not at the first item."""
        parameters, others = split(operation, options, ListOptions)
        if ("filter" in parameters) != ("filter_field" in parameters):
            raise ValidationError(
                f"{operation}: filter and filter_field go together; with one of them alone, the "
                f"answer would be all tokens"
            )
        if not parameters.get("filter", "*"):
            raise ValidationError(
                f"{operation}: an empty filter would give all tokens; leave it out"
            )
        per_page = parameters.pop("per_page", PAGE_SIZE)
        validators.check_argument(
            validators.integer(minimum=1), operation.name, "per_page", per_page
        )
        query = list_query(operation, parameters)

        async def read(page: int, per_page: int) -> Any:
            numbers = list_query(operation, {"page": page, "per_page": per_page})
            call = self._session.call_for_next_page if page else self._call
            request = partial(call, operation, ids, {**query, **numbers}, **others)
            return await (request() if send is None else send(request))

        fields = (query.get("sortField", _DEFAULT_SORT), query.get("filterField", ""))
        return Listing(
            operation.name,
            per_page,
            read,
            self._session.under_way,
            changes=partial(self._session.changes.count, operation, ids, fields),
            query=query,
            warns=send is None,
        )


class UserApiTokenResource(Resource):
    """One token of the user."""

    async def get(self, api_token_id: str, **options: Unpack[RequestOptions]) -> ApiToken:
        """The token, without its secret."""
        ids = {"apiTokenId": api_token_id}
        return await self._call(operations.USER_API_TOKEN_GET, ids, **options)

    async def patch(
        self, api_token_id: str, api_token: ApiTokenPatch, **options: Unpack[RequestOptions]
    ) -> ApiToken:
        """Changes the token; the answer is the token as it is now."""
        ids = {"apiTokenId": api_token_id}
        return await self._call(operations.USER_API_TOKEN_PATCH, ids, body=api_token, **options)

    async def delete(self, api_token_id: str, **options: Unpack[RequestOptions]) -> Success:
        """Deletes the token for good. One that is gone already is a `NotFound`."""
        ids = {"apiTokenId": api_token_id}
        return await self._call(operations.USER_API_TOKEN_DELETE, ids, **options)


class UserApiTokensResource(Resource):
    """The tokens of the user."""

    async def get(self, **options: Unpack[PageOptions]) -> ApiTokens:
        """One page of the tokens."""
        return await self._page(operations.USER_API_TOKENS_GET, options)

    async def post(self, api_token: ApiTokenPost, **options: Unpack[RequestOptions]) -> ApiToken:
        """Creates a token. The answer, and it alone, has the secret."""
        return await self._call(operations.USER_API_TOKENS_POST, body=api_token, **options)

    def iter(self, **options: Unpack[ListOptions]) -> Listing[ApiToken]:
        """All tokens, page by page; the next page is read while one works on this.

        Delete or create none meanwhile: that shifts those that follow, and some are left out or
        come twice. List first, then act.
        """
        return self._all_pages(operations.USER_API_TOKENS_GET, options)


class UserOauthTokenResource(Resource):
    """One OAuth token of the user."""

    async def get(self, oauth_token_id: str, **options: Unpack[RequestOptions]) -> UserOauthToken:
        """The OAuth token, without its secret."""
        ids = {"oauthTokenId": oauth_token_id}
        return await self._call(operations.USER_OAUTH_TOKEN_GET, ids, **options)

    async def patch(
        self,
        oauth_token_id: str,
        oauth_token: UserOauthTokenPatch,
        **options: Unpack[RequestOptions],
    ) -> UserOauthToken:
        """Changes the OAuth token; the answer is the OAuth token as it is now."""
        ids = {"oauthTokenId": oauth_token_id}
        return await self._call(operations.USER_OAUTH_TOKEN_PATCH, ids, body=oauth_token, **options)

    async def delete(self, oauth_token_id: str, **options: Unpack[RequestOptions]) -> Success:
        """Deletes the OAuth token for good. One that is gone already is a `NotFound`."""
        ids = {"oauthTokenId": oauth_token_id}
        return await self._call(operations.USER_OAUTH_TOKEN_DELETE, ids, **options)


class UserOauthTokensResource(Resource):
    """The OAuth tokens of the user."""

    async def get(self, **options: Unpack[OauthPageOptions]) -> UserOauthTokens:
        """One page of the OAuth tokens."""
        return await self._page(operations.USER_OAUTH_TOKENS_GET, options)

    async def post(
        self, oauth_token: UserOauthTokenPost, **options: Unpack[RequestOptions]
    ) -> UserOauthToken:
        """Creates an OAuth token."""
        return await self._call(operations.USER_OAUTH_TOKENS_POST, body=oauth_token, **options)

    def iter(self, **options: Unpack[OauthListOptions]) -> Listing[UserOauthToken]:
        """All OAuth tokens, page by page; the next page is read while one works on this.

        Delete or create none meanwhile: that shifts those that follow, and some are left out or
        come twice. List first, then act.
        """
        return self._all_pages(operations.USER_OAUTH_TOKENS_GET, options)


class ApplicationApiTokenResource(Resource):
    """One token of an application."""

    async def get(
        self, application_id: str, api_token_id: str, **options: Unpack[RequestOptions]
    ) -> ApiToken:
        """The token, without its secret."""
        ids = {"applicationId": application_id, "apiTokenId": api_token_id}
        return await self._call(operations.APPLICATION_API_TOKEN_GET, ids, **options)

    async def patch(
        self,
        application_id: str,
        api_token_id: str,
        api_token: ApiTokenPatch,
        **options: Unpack[RequestOptions],
    ) -> ApiToken:
        """Changes the token; the answer is the token as it is now."""
        ids = {"applicationId": application_id, "apiTokenId": api_token_id}
        return await self._call(
            operations.APPLICATION_API_TOKEN_PATCH, ids, body=api_token, **options
        )

    async def delete(
        self, application_id: str, api_token_id: str, **options: Unpack[RequestOptions]
    ) -> Success:
        """Deletes the token for good. One that is gone already is a `NotFound`."""
        ids = {"applicationId": application_id, "apiTokenId": api_token_id}
        return await self._call(operations.APPLICATION_API_TOKEN_DELETE, ids, **options)


class ApplicationApiTokensResource(Resource):
    """The tokens of an application."""

    async def get(self, application_id: str, **options: Unpack[PageOptions]) -> ApiTokens:
        """One page of the tokens."""
        return await self._page(
            operations.APPLICATION_API_TOKENS_GET, options, {"applicationId": application_id}
        )

    async def post(
        self,
        application_id: str,
        api_token: ApiTokenPost,
        **options: Unpack[RequestOptions],
    ) -> ApiToken:
        """Creates a token. The answer, and it alone, has the secret."""
        return await self._call(
            operations.APPLICATION_API_TOKENS_POST,
            {"applicationId": application_id},
            body=api_token,
            **options,
        )

    def iter(self, application_id: str, **options: Unpack[ListOptions]) -> Listing[ApiToken]:
        """All tokens, page by page; the next page is read while one works on this.

        Delete or create none meanwhile: that shifts those that follow, and some are left out or
        come twice. List first, then act.
        """
        return self._all_pages(
            operations.APPLICATION_API_TOKENS_GET, options, {"applicationId": application_id}
        )


class InstanceApiTokenResource(Resource):
    """One token of an instance."""

    async def get(
        self, instance_id: str, api_token_id: str, **options: Unpack[RequestOptions]
    ) -> ApiToken:
        """The token, without its secret."""
        ids = {"instanceId": instance_id, "apiTokenId": api_token_id}
        return await self._call(operations.INSTANCE_API_TOKEN_GET, ids, **options)

    async def patch(
        self,
        instance_id: str,
        api_token_id: str,
        api_token: ApiTokenPatch,
        **options: Unpack[RequestOptions],
    ) -> ApiToken:
        """Changes the token; the answer is the token as it is now."""
        ids = {"instanceId": instance_id, "apiTokenId": api_token_id}
        return await self._call(operations.INSTANCE_API_TOKEN_PATCH, ids, body=api_token, **options)

    async def delete(
        self, instance_id: str, api_token_id: str, **options: Unpack[RequestOptions]
    ) -> Success:
        """Deletes the token for good. One that is gone already is a `NotFound`."""
        ids = {"instanceId": instance_id, "apiTokenId": api_token_id}
        return await self._call(operations.INSTANCE_API_TOKEN_DELETE, ids, **options)


class InstanceApiTokensResource(Resource):
    """The tokens of an instance."""

    async def get(self, instance_id: str, **options: Unpack[PageOptions]) -> ApiTokens:
        """One page of the tokens."""
        return await self._page(
            operations.INSTANCE_API_TOKENS_GET, options, {"instanceId": instance_id}
        )

    async def post(
        self, instance_id: str, api_token: ApiTokenPost, **options: Unpack[RequestOptions]
    ) -> ApiToken:
        """Creates a token. The answer, and it alone, has the secret."""
        return await self._call(
            operations.INSTANCE_API_TOKENS_POST,
            {"instanceId": instance_id},
            body=api_token,
            **options,
        )

    def iter(self, instance_id: str, **options: Unpack[ListOptions]) -> Listing[ApiToken]:
        """All tokens, page by page; the next page is read while one works on this.

        Delete or create none meanwhile: that shifts those that follow, and some are left out or
        come twice. List first, then act.
        """
        return self._all_pages(
            operations.INSTANCE_API_TOKENS_GET, options, {"instanceId": instance_id}
        )


class AuthResource(Resource):
    """Logging in."""

    async def authenticate_user(
        self, credentials: UserCredentials, **options: Unpack[RequestOptions]
    ) -> AuthenticatedUser:
        """Logs a user in, for an access token. Needs no token itself.

        Raises:
            Unauthorized: The email, the password or the two-factor code is wrong.
        """
        return await self._call(operations.AUTHENTICATE_USER, body=credentials, **options)
