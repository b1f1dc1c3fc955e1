"""Whose tokens: one word for the four families that share one shape."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, Self, TypeVar, Unpack, cast

import attrs
from attrs import field, frozen

from losant_tokens import _operations as operations
from losant_tokens import _validators as validators
from losant_tokens._models import ApiToken, ApiTokens, Success, UserOauthToken, UserOauthTokens
from losant_tokens._operations import Operation
from losant_tokens._options import ListOptions, PageOptions, RequestOptions
from losant_tokens._pagination import Listing
from losant_tokens._payloads import (
    ApiTokenPatch,
    ApiTokenPost,
    UserOauthTokenPatch,
    UserOauthTokenPost,
)
from losant_tokens._resources.base import Resource, Send
from losant_tokens._session import Session
from losant_tokens.errors import ValidationError

Token = ApiToken | UserOauthToken
B = TypeVar("B")
Kind = Literal["user", "oauth", "application", "instance"]
_WITH_ID = ("application", "instance")


@frozen
class Owner:
    """Whose tokens: the user's, the user's OAuth tokens, an application's or an instance's.

    As a text it is `user`, `oauth`, `application:575ec8687ae143cd83dc4a97` or `instance:...`.
    Make one with `Owner.user()` and its siblings, or of such a text with `Owner.parse()`.
    """

    kind: Kind = field(validator=validators.one_of(("user", "oauth", *_WITH_ID)))
    id: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.kind in _WITH_ID:
            validators.check_argument(
                validators.string(pattern=validators.ID_PATTERN.pattern), "Owner", "id", self.id
            )
        elif self.id is not None:
            raise ValidationError(f"Owner {self.kind!r} takes no id: there is only one")

    @classmethod
    def user(cls) -> Self:
        """The user to whom the access token belongs."""
        return cls("user")

    @classmethod
    def user_oauth(cls) -> Self:
        """The same user's OAuth tokens."""
        return cls("oauth")

    @classmethod
    def application(cls, application_id: str) -> Self:
        """An application."""
        return cls("application", application_id)

    @classmethod
    def instance(cls, instance_id: str) -> Self:
        """An instance."""
        return cls("instance", instance_id)

    @classmethod
    def parse(cls, text: object) -> Self:
        """The owner that a text names.

        Raises:
            ValidationError: It names none.
        """
        kind, colon, id_ = text.partition(":") if isinstance(text, str) else ("", "", "")
        if kind not in {"user", "oauth", *_WITH_ID} or bool(colon) != (kind in _WITH_ID):
            raise ValidationError(
                f"An owner is user, oauth, application:ID or instance:ID, "
                f"but this is {validators.describe(text)}"
            )
        return cls(kind, id_ or None)  # type: ignore[arg-type]  # it is one of the four

    def __str__(self) -> str:
        return self.kind if self.id is None else f"{self.kind}:{self.id}"


@frozen
class _Family:
    """The actions for the tokens of one kind of owner."""

    get: Operation[Any]
    patch: Operation[Any]
    delete: Operation[Any]
    list: Operation[Any]
    post: Operation[Any]


_FAMILIES: Mapping[Kind, _Family] = MappingProxyType(
    {
        "user": _Family(
            operations.USER_API_TOKEN_GET,
            operations.USER_API_TOKEN_PATCH,
            operations.USER_API_TOKEN_DELETE,
            operations.USER_API_TOKENS_GET,
            operations.USER_API_TOKENS_POST,
        ),
        "oauth": _Family(
            operations.USER_OAUTH_TOKEN_GET,
            operations.USER_OAUTH_TOKEN_PATCH,
            operations.USER_OAUTH_TOKEN_DELETE,
            operations.USER_OAUTH_TOKENS_GET,
            operations.USER_OAUTH_TOKENS_POST,
        ),
        "application": _Family(
            operations.APPLICATION_API_TOKEN_GET,
            operations.APPLICATION_API_TOKEN_PATCH,
            operations.APPLICATION_API_TOKEN_DELETE,
            operations.APPLICATION_API_TOKENS_GET,
            operations.APPLICATION_API_TOKENS_POST,
        ),
        "instance": _Family(
            operations.INSTANCE_API_TOKEN_GET,
            operations.INSTANCE_API_TOKEN_PATCH,
            operations.INSTANCE_API_TOKEN_DELETE,
            operations.INSTANCE_API_TOKENS_GET,
            operations.INSTANCE_API_TOKENS_POST,
        ),
    }
)


class OwnerTokens(Resource):
    """The tokens of one owner: what `AsyncClient.tokens(owner)` gives.

    Its methods do what those of the owner's own resources do, for code that works for all four
    kinds of owners.

    Attributes:
        owner: Whose tokens.
    """

    def __init__(self, session: Session, owner: Owner) -> None:
        super().__init__(session)
        self.owner = owner
        self._can = _FAMILIES[owner.kind]
        *owner_names, self._token_name = self._can.get.ids
        self._owner_ids = {name: cast("str", owner.id) for name in owner_names}

    async def get(self, token_id: str, **options: Unpack[RequestOptions]) -> Token:
        """One token, without its secret."""
        token: Token = await self._call(self._can.get, self._ids(token_id), **options)
        return token

    async def patch(
        self, token_id: str, patch: ApiTokenPatch, **options: Unpack[RequestOptions]
    ) -> Token:
        """Changes a token; the answer is the token as it is now."""
        ids, body = self._ids(token_id), _fitting(patch, self._can.patch)
        token: Token = await self._call(self._can.patch, ids, body=body, **options)
        return token

    async def delete(self, token_id: str, **options: Unpack[RequestOptions]) -> Success:
        """Deletes a token for good. One that is gone already is a `NotFound`."""
        ids = self._ids(token_id)
        success: Success = await self._call(self._can.delete, ids, **options)
        return success

    async def post(
        self,
        token: ApiTokenPost | UserOauthTokenPost,
        **options: Unpack[RequestOptions],
    ) -> Token:
        """Creates a token. The answer, and it alone, has the secret (not for OAuth tokens)."""
        body = _fitting(token, self._can.post)
        created: Token = await self._call(self._can.post, self._owner_ids, body=body, **options)
        return created

    def iter(self, **options: Unpack[ListOptions]) -> Listing[Token]:
        """All tokens, page by page; see the `iter` of the resources."""
        return self._all_pages(self._can.list, options, self._owner_ids)

    def iter_by(self, send: Send, **options: Unpack[ListOptions]) -> Listing[Token]:
        """All tokens, like `iter`, where something else sends the requests, in its own time."""
        return self._all_pages(self._can.list, options, self._owner_ids, send)

    async def page(self, **options: Unpack[PageOptions]) -> ApiTokens | UserOauthTokens:
        """One page of the tokens; see the `get` of the resources."""
        page: ApiTokens = await self._page(self._can.list, options, self._owner_ids)
        return page

    async def count(self, **options: Unpack[RequestOptions]) -> int | None:
        """How many tokens there are, if the API says so."""
        return (await self.page(page=0, per_page=1, **options)).total_count

    def repeated(
        self, verb: Literal["get", "patch", "delete"], patch: ApiTokenPatch | None = None
    ) -> Callable[[str], Awaitable[Any]]:
        """Return a function that does the same to one token after the other, one attempt for each.

        It is for jobs, which change many tokens and retry by rules of their own.

        Args:
            verb: What is to be done.
            patch: How they are to be changed, where that is it.

        Raises:
            LosantError: It cannot be done to any of them.
        """
        operation: Operation[Any] = getattr(self._can, verb)
        body = None if patch is None else _fitting(patch, operation)
        return self._session.repeated(operation, self._owner_ids, body)

    def _ids(self, token_id: str) -> dict[str, str]:
        """The ids of the path: the owner's, where it has one, and the token's."""
        return {**self._owner_ids, self._token_name: token_id}


_ALIKE: Mapping[type, type] = MappingProxyType({ApiTokenPatch: UserOauthTokenPatch})


def _fitting(body: B, operation: Operation[Any]) -> B:
    """Return the same body in the class that the operation takes, if it has the same members."""
    wanted: Any = operation.body
    if isinstance(body, wanted) or _ALIKE.get(type(body)) != wanted:
        return body
    return cast("B", wanted(**attrs.asdict(cast("Any", body), recurse=False)))
