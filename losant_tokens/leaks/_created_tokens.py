"""Find the tokens that a token created."""

from collections.abc import Iterable

from losant_tokens.leaks._matching import OwnedToken


def created_with(token_id: str, tokens: Iterable[OwnedToken]) -> tuple[OwnedToken, ...]:
    """Return the tokens that a token created, and those that these created in turn.

    Args:
        token_id: The id of the token.
        tokens: The listed tokens.
    """
    children: dict[str, list[OwnedToken]] = {}
    for one in tokens:
        if (creator := creating_token(one)) is not None:
            children.setdefault(creator, []).append(one)
    found: dict[str, OwnedToken] = {}
    pending = [token_id.lower()]
    while pending:
        for one in children.get(pending.pop(), ()):
            identity = one.token.id.lower()
            # A server may name a circle of creators.
            if identity != token_id.lower() and identity not in found:
                found[identity] = one
                pending.append(identity)
    return tuple(found.values())


def creating_token(one: OwnedToken) -> str | None:
    """Return the id of the token that created a token, or `None` if no token did."""
    creator = getattr(one.token, "creator_id", None)
    kind = getattr(one.token, "creator_type", None)
    # An id is unique, so it is enough if the API does not state the type.
    is_token = kind is None or kind.lower() == "apitoken"
    return creator.lower() if creator is not None and is_token else None
