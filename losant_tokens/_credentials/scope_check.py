"""Decide from a token's scopes whether the API allows an operation: yes, no, or unknown.

A *scope* is one operation (`userApiToken.get`), all operations of a resource (`userApiToken.*`),
or a group of operations (`all.User`). The documentation of an operation lists every published group
that holds it, so a published scope that is not listed does not allow it: `all.User.cli` allows no
operation on tokens. The permission is unknown for the deprecated groups such as `me`, whose
contents are not published, and for scopes that Losant may have added since. So a token is refused
only if all of its scopes are published, and none of them allows the operation.

Source: the page of each resource in https://github.com/Losant/losant-rest-python/tree/master/docs
"""

from collections.abc import Iterable
from enum import Enum
from typing import Any

from losant_tokens._api.operations import TOKEN_OPERATIONS, Operation
from losant_tokens._api.published_scopes import Scope, published_scopes
from losant_tokens._credentials.token_claims import NOT_SENT, Credential
from losant_tokens._utils import validators
from losant_tokens.errors import ScopeError, ValidationError

PUBLISHED = published_scopes()
"""The published scopes: they allow only those operations that list them."""


class Permission(Enum):
    """Whether a token may use an operation, as far as a client can know."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


def permission_for(operation: Operation[Any], scopes: Iterable[str] | None) -> Permission:
    """Return whether these scopes allow an operation.

    Args:
        operation: The operation.
        scopes: The scopes of the token. `None` or no scopes mean unknown scopes, because the
            server chooses the scopes of a token that was created without any.
    """
    if not operation.accepts:
        return Permission.UNKNOWN
    has = frozenset(scopes or ())
    if has & operation.accepts:
        return Permission.ALLOWED
    return Permission.REFUSED if has and has <= PUBLISHED else Permission.UNKNOWN


def scope_problem(
    operation: Operation[Any], credential: Credential, consequence: str = NOT_SENT
) -> ScopeError | None:
    """Return the error for a token that the server is certain to refuse, or `None`.

    Regardless of its scopes, an OAuth token may not use an operation that denies OAuth tokens.

    Args:
        operation: The operation.
        credential: The token.
        consequence: The last sentence of the message.
    """
    scopes = credential.scopes or ()
    if operation.denies_oauth and credential.oauth:
        problem = f"{operation} does not accept an OAuth token; use an API token"
    elif permission_for(operation, scopes) is Permission.REFUSED:
        problem = (
            f"{operation} needs a token with one of the scopes {format_scopes(operation.accepts)}; "
            f"this token has {format_scopes(scopes)}"
        )
    else:
        return None
    return ScopeError(
        f"{problem}. {consequence}".rstrip(),
        operation=operation.name,
        scopes=scopes,
        accepted=operation.accepts,
    )


_MAX_LISTED = 20
_MAX_LENGTH = 60  # characters; a published scope is shorter


def format_scopes(scopes: Iterable[str]) -> str:
    """Return scopes as a string for a message, shortened because claims may hold anything."""
    ordered = sorted(scopes)
    first, rest = ordered[:_MAX_LISTED], len(ordered) - _MAX_LISTED
    formatted = (
        scope if scope.isprintable() and len(scope) <= _MAX_LENGTH else repr(scope)[:_MAX_LENGTH]
        for scope in first
    )
    return ", ".join(formatted) + (f" and {rest} more" if rest > 0 else "")


def can_create_tokens(scopes: Iterable[Scope]) -> bool:
    """Return whether a token with these scopes can create tokens, even ones with more scopes.

    Args:
        scopes: The scopes of the token.

    Raises:
        ValidationError: The argument is not a list of scopes.
    """
    if not validators.is_list_like(scopes):
        raise ValidationError(
            "can_create_tokens takes a list of scopes, "
            f"but it was given {validators.describe(scopes)}"
        )
    has = frozenset(scopes)
    return any(
        permission_for(operation, has) is Permission.ALLOWED
        for operation in TOKEN_OPERATIONS
        if operation.method == "POST" and operation.needs_token
    )
