"""The owner of a token as a string: `user`, `oauth`, `application:<id>` or `instance:<id>`."""

import re

_OWNER = re.compile(r"user|oauth|(?:application|instance):[0-9a-f]{24}")
_ID = re.compile(r"[0-9A-Fa-f]{24}")


def check_owner(owner: str) -> str:
    """Return an owner in lower case.

    Raises:
        ValueError: The string is not one of the four forms.
    """
    owner = owner.lower()
    if not _OWNER.fullmatch(owner):
        raise ValueError(
            "owner must be 'user', 'oauth', 'application:<id>' or 'instance:<id>', "
            f"with 24 hex digits for <id>, not {owner!r}"
        )
    return owner


def owner_type(owner: str) -> str:
    """Return the type of an owner in the API; OAuth tokens belong to the user too."""
    kind = owner.partition(":")[0]
    return "user" if kind == "oauth" else kind


def collection_path(owner: str) -> str:
    """Return the path of the owner's tokens."""
    kind, _, id_ = owner.partition(":")
    match kind:
        case "user":
            return "/me/tokens"
        case "oauth":
            return "/me/oauth-tokens"
        case _:
            return f"/{kind}s/{id_}/tokens"


def is_id(text: str) -> bool:
    """Return whether a string is an id: 24 hex digits."""
    return _ID.fullmatch(text) is not None
