"""May a token with these scopes do this action? Three answers, since not all groups are published.

A *scope* is one action (`userApiToken.get`), all actions of a resource (`userApiToken.*`), or a
group of them (`all.User`). What some groups hold is not published (`all.User.cli`, and the
deprecated `me`, `applications` and others), and new ones may come. So only a token all of whose
scopes are known, and none of which would do, is refused.
"""

from collections.abc import Iterable
from enum import Enum
from itertools import product
from typing import Any

from losant_tokens._actions import ACTIONS, Action
from losant_tokens._credential import NOT_SENT, Credential
from losant_tokens.errors import ScopeError, ValidationError

GROUPS = frozenset(
    kind + width
    for kind, width in product(
        (
            "all.User",
            "all.Application",
            "all.Organization",
            "all.Instance",
            "all.Device",
            "only.User",
            "only.Organization",
        ),
        ("", ".bounded", ".read"),
    )
)
"""The groups whose contents are published: what they hold of token actions is in the table."""

KNOWN = GROUPS.union(*(action.accepts for action in ACTIONS))
"""The scopes of which it is known that they allow nothing here but what the table says."""


class Answer(Enum):
    """Whether a token may do an action, as far as a client can tell."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    CANNOT_KNOW = "cannot know"


def may(action: Action[Any], scopes: Iterable[str] | None) -> Answer:
    """Whether these scopes allow the action.

    Args:
        action: What is to be done.
        scopes: What the token has. `None` or none at all: unknown, since the scopes of a token
            made without any are the server's to choose.
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
            f"{action} needs a token with one of the scopes {_listed(action.accepts)}; "
            f"this token has {_listed(scopes)}"
        )
    else:
        return None
    return ScopeError(
        f"{problem}. {consequence}",
        action=action.name,
        scopes=scopes,
        accepted=action.accepts,
    )


def _listed(scopes: Iterable[str]) -> str:
    return ", ".join(sorted(scopes))


def can_create_tokens(scopes: Iterable[str]) -> bool:
    """Whether a token with these scopes can create tokens, which may then do more than itself."""
    if isinstance(scopes, str):
        raise ValidationError("can_create_tokens takes a list of scopes, not one text")
    has = frozenset(scopes)
    return any(
        may(action, has) is Answer.ALLOWED
        for action in ACTIONS
        if action.method == "POST" and action.needs_token
    )
