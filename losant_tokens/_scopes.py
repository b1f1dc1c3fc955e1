"""Whether a token with certain scopes may use an operation: yes, no, or unknown.

A *scope* is one action (`userApiToken.get`), all actions of a resource (`userApiToken.*`), or a
group of them (`all.User`). The documentation of an operation lists every published group that
holds it, so a published scope that is not listed does not allow it: `all.User.cli` allows no
operation on tokens. The answer is unknown for the deprecated groups (`me`, `applications`, ...),
whose contents are not published, and for words that Losant may have added. So a token is refused
only if all of its scopes are published, and none of them allows the operation.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Any

from losant_tokens import _validators as validators
from losant_tokens._credential import NOT_SENT, Credential
from losant_tokens._operations import ACTIONS, Action
from losant_tokens._published_scopes import published_scopes
from losant_tokens.errors import ScopeError, ValidationError

KNOWN = published_scopes()
"""The scopes of which it is known that they allow nothing here but what the table says."""


class Answer(Enum):
    """Whether a token may use an operation, as far as a client can know."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    CANNOT_KNOW = "cannot know"


def may(action: Action[Any], scopes: Iterable[str] | None) -> Answer:
    """Decide whether these scopes allow an operation.

    Args:
        action: The operation.
        scopes: The scopes of the token. `None` or none at all: unknown, because the server
            chooses the scopes of a token that was created without any.
    """
    has = frozenset(scopes or ())
    if has & action.accepts:
        return Answer.ALLOWED
    return Answer.REFUSED if has and has <= KNOWN else Answer.CANNOT_KNOW


def refusal(
    action: Action[Any], credential: Credential, consequence: str = NOT_SENT
) -> ScopeError | None:
    """Return the error for a token that the server is certain to refuse, or `None`.

    Regardless of its scopes, an OAuth token may not use an operation that denies OAuth tokens.

    Args:
        action: The operation.
        credential: The token.
        consequence: The last sentence of the message.
    """
    scopes = credential.scopes or ()
    if action.denies_oauth and credential.oauth:
        problem = f"{action} may not be done with an OAuth token; use an API token"
    elif may(action, scopes) is Answer.REFUSED:
        problem = (
            f"{action} needs a token with one of the scopes {listed(action.accepts)}; "
            f"this token has {listed(scopes)}"
        )
    else:
        return None
    return ScopeError(
        f"{problem}. {consequence}",
        action=action.name,
        scopes=scopes,
        accepted=action.accepts,
    )


_MAX_LISTED = 20
_MAX_SHOWN = 60  # characters; a published scope is shorter


def listed(scopes: Iterable[str]) -> str:
    """Return scopes for a message. Claims may hold anything, in any number."""
    ordered = sorted(scopes)
    first, rest = ordered[:_MAX_LISTED], len(ordered) - _MAX_LISTED
    shown = (
        scope if scope.isprintable() and len(scope) <= _MAX_SHOWN else repr(scope)[:_MAX_SHOWN]
        for scope in first
    )
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def can_create_tokens(scopes: Iterable[str]) -> bool:
    """Whether a token with these scopes can create tokens, which may then do more than itself."""
    if not validators.is_list_like(scopes):
        raise ValidationError(
            f"can_create_tokens takes a list of scopes, "
            f"but it was given {validators.describe(scopes)}"
        )
    has = frozenset(scopes)
    return any(
        may(action, has) is Answer.ALLOWED
        for action in ACTIONS
        if action.method == "POST" and action.needs_token
    )
