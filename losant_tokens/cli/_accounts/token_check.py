"""The check of a token with a harmless request."""

from collections.abc import Iterable
from typing import Literal

from attrs import frozen

from losant_tokens import AsyncClient, Owner
from losant_tokens.cli._library_messages import with_options
from losant_tokens.errors import Forbidden, LosantError, NotFound

State = Literal["ok", "failed", "not checked"]


@frozen
class TokenCheck:
    """Whether the API accepts a token.

    Attributes:
        state: `ok`, `failed` or `not checked`.
        detail: Why, as a phrase.
    """

    state: State
    detail: str


async def check_token(client: AsyncClient, owners: Iterable[Owner]) -> TokenCheck:
    """Return whether the API accepts the token of a client. One request lists one token.

    The API checks the token before its scopes and before the id of the owner, so 403 and 404 prove
    that it works.

    Args:
        client: The client.
        owners: The owners whose tokens the token may list. The first one that its scopes allow is
            used.
    """
    candidates = (*owners, Owner.user(), Owner.user_oauth())
    allowed = [one for one in candidates if client.tokens(one).refusal("page") is None]
    if not allowed:
        return TokenCheck(
            "not checked",
            "its scopes allow no list of tokens; --scope-check off asks the API anyway",
        )
    try:
        await client.tokens(allowed[0]).page(per_page=1)
    except (Forbidden, NotFound) as error:
        if error.is_from_api:
            return TokenCheck("ok", f"accepted, but it cannot list the tokens of {allowed[0]}")
        return TokenCheck("failed", with_options(str(error)))
    except LosantError as error:
        return TokenCheck("failed", with_options(str(error)))
    return TokenCheck("ok", f"accepted: it lists the tokens of {allowed[0]}")
