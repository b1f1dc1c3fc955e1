"""`OwnerTokens`: one interface to the tokens of all four kinds of owners."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeVar, Unpack, cast, overload

import attrs
from attrs import frozen

from losant_tokens._api import operations
from losant_tokens._api.models import (
    ApiToken,
    ApiTokens,
    NewApiToken,
    Success,
    UserOauthToken,
    UserOauthTokens,
)
from losant_tokens._api.operations import Operation
from losant_tokens._api.owner import Kind, Owner
from losant_tokens._api.payloads import (
    ApiTokenPatch,
    ApiTokenPost,
    UserOauthTokenPatch,
    UserOauthTokenPost,
)
from losant_tokens._calls.pagination import Listing
from losant_tokens._calls.session import Session
from losant_tokens._http.call_options import (
    ListOptions,
    PageOptions,
    RequestOptions,
    SnapshotOptions,
)
from losant_tokens._resources.base import Resource
from losant_tokens._utils import validators
from losant_tokens.errors import ScopeError

Token = ApiToken | UserOauthToken
Method = Literal["get", "patch", "delete", "post", "page"]
METHODS: tuple[Method, ...] = ("get", "patch", "delete", "post", "page")
B = TypeVar("B")


@frozen
class _TokenOperations:
    """The operations on the tokens of one kind of owner."""

    get: Operation[Any]
    patch: Operation[Any]
    delete: Operation[Any]
    list: Operation[Any]
    post: Operation[Any]


_OPERATIONS: Mapping[Kind, _TokenOperations] = MappingProxyType(
    {
        "user": _TokenOperations(
            operations.USER_API_TOKEN_GET,
            operations.USER_API_TOKEN_PATCH,
            operations.USER_API_TOKEN_DELETE,
            operations.USER_API_TOKENS_GET,
            operations.USER_API_TOKENS_POST,
        ),
        "oauth": _TokenOperations(
            operations.USER_OAUTH_TOKEN_GET,
            operations.USER_OAUTH_TOKEN_PATCH,
            operations.USER_OAUTH_TOKEN_DELETE,
            operations.USER_OAUTH_TOKENS_GET,
            operations.USER_OAUTH_TOKENS_POST,
        ),
        "application": _TokenOperations(
            operations.APPLICATION_API_TOKEN_GET,
            operations.APPLICATION_API_TOKEN_PATCH,
            operations.APPLICATION_API_TOKEN_DELETE,
            operations.APPLICATION_API_TOKENS_GET,
            operations.APPLICATION_API_TOKENS_POST,
        ),
        "instance": _TokenOperations(
            operations.INSTANCE_API_TOKEN_GET,
            operations.INSTANCE_API_TOKEN_PATCH,
            operations.INSTANCE_API_TOKEN_DELETE,
            operations.INSTANCE_API_TOKENS_GET,
            operations.INSTANCE_API_TOKENS_POST,
        ),
    }
)


class OwnerTokens(Resource):
    """The tokens of one owner, as returned by `AsyncClient.tokens(owner)`.

    Its methods do the same as those of the owner's own resources. Use it in code that works for
    all four kinds of owners.
    """

    owner: Owner
    """The owner of the tokens."""

    def __init__(self, session: Session, owner: Owner) -> None:
        super().__init__(session)
        self.owner = owner
        self._operations = _OPERATIONS[owner.kind]
        *owner_names, self._token_name = self._operations.get.ids
        self._owner_ids = {name: cast("str", owner.id) for name in owner_names}

    async def get(self, token_id: str, **options: Unpack[RequestOptions]) -> Token:
        """Return a token, without its secret.

        Args:
            token_id: The id of the token.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such token or owner.
        """
        ids = self._ids(token_id)
        token: Token = await self._call(self._operations.get, ids, **options)
        return token

    async def patch(
        self, token_id: str, patch: ApiTokenPatch, **options: Unpack[RequestOptions]
    ) -> Token:
        """Change a token, and return it with its changes.

        Args:
            token_id: The id of the token.
            patch: The changes.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such token or owner.
        """
        ids, body = self._ids(token_id), _as_body(patch, self._operations.patch)
        token: Token = await self._call(self._operations.patch, ids, None, body, **options)
        return token

    async def delete(self, token_id: str, **options: Unpack[RequestOptions]) -> Success:
        """Delete a token permanently.

        Args:
            token_id: The id of the token.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such token, for example because it was deleted before, or no
                such owner.
        """
        ids = self._ids(token_id)
        success: Success = await self._call(self._operations.delete, ids, **options)
        return success

    @overload
    async def post(self, token: ApiTokenPost, **options: Unpack[RequestOptions]) -> NewApiToken: ...

    @overload
    async def post(
        self, token: UserOauthTokenPost, **options: Unpack[RequestOptions]
    ) -> UserOauthToken: ...

    async def post(
        self, token: ApiTokenPost | UserOauthTokenPost, **options: Unpack[RequestOptions]
    ) -> NewApiToken | UserOauthToken:
        """Create a token, and return it. An API token includes its secret: store it now.

        Args:
            token: The settings of the token: a `UserOauthTokenPost` for the owner `oauth`.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such owner.
        """
        created: NewApiToken | UserOauthToken = await self._call(
            self._operations.post, self._owner_ids, None, token, **options
        )
        return created

    def iter(self, **options: Unpack[ListOptions]) -> Listing[Token]:
        """Iterate over all tokens, page by page, and read the next page ahead.

        Do not create or delete tokens while you iterate. That shifts the tokens after them, so
        that some are left out or appear twice. Read the list to its end first, then act.

        Args:
            **options: See `ListOptions`.
        """
        return self._all_pages(self._operations.list, options, self._owner_ids)

    async def snapshot(self, **options: Unpack[SnapshotOptions]) -> list[Token]:
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
        return await self._snapshot(self._operations.list, options, self._owner_ids)

    async def page(self, **options: Unpack[PageOptions]) -> ApiTokens | UserOauthTokens:
        """Return one page of the tokens.

        Args:
            **options: See `PageOptions`.
        """
        page: ApiTokens = await self._page(self._operations.list, options, self._owner_ids)
        return page

    async def count(self, **options: Unpack[RequestOptions]) -> int | None:
        """Return the number of tokens, or `None` if the API does not state it.

        Args:
            **options: See `RequestOptions`.
        """
        return (await self.page(page=0, per_page=1, **options)).total_count

    def refusal(self, method: Method) -> ScopeError | None:
        """Return why the API is certain to refuse a method to the client's token, or `None`.

        It is the error that the method would raise because of the token's scopes, or because it is
        an OAuth token. Nothing is sent. It is `None` with `scope_check="off"`.

        Args:
            method: The name of the method: `get`, `patch`, `delete`, `post` or `page`.

        Raises:
            ValidationError: There is no such method.
        """
        validators.check_argument(validators.one_of(METHODS), "refusal", "method", method)
        name = "list" if method == "page" else method
        return self._session.scope_problem(getattr(self._operations, name))

    def _ids(self, token_id: str) -> dict[str, str]:
        """Return the ids in the path: the owner's, if it has one, and the token's."""
        return {**self._owner_ids, self._token_name: token_id}


_SAME_MEMBERS: Mapping[type, type] = MappingProxyType({ApiTokenPatch: UserOauthTokenPatch})


def _as_body(body: B, operation: Operation[Any]) -> B:
    """Return a body as the class that the operation takes, if that class has the same members."""
    wanted: Any = operation.body
    if isinstance(body, wanted) or _SAME_MEMBERS.get(type(body)) != wanted:
        return body
    return cast("B", wanted(**attrs.asdict(cast("Any", body), recurse=False)))
