"""Which tokens the demo deletes, and why: decided by pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum

from losant_tokens._owner import Token

_EXAMPLES = 3


class Reason(Enum):
    """Why a token is deleted or kept, in the order in which this is decided."""

    IN_USE = "in use by this command"
    EXPIRED = "expired"
    INACTIVE = "inactive"
    NEVER_EXPIRES = "active, never expires"
    NOT_YET = "active, expires later"

    @property
    def deletes(self) -> bool:
        """Whether a token is deleted for this reason."""
        return self in {Reason.EXPIRED, Reason.INACTIVE}


Choice = Mapping[Reason, Sequence[Token]]


def reason_for(token: Token, in_use: str, now: datetime) -> Reason:
    """What speaks for deleting or keeping a token.

    Args:
        token: The token.
        in_use: The id of the token that the command itself goes by.
        now: The moment to judge by.
    """
    if token.id == in_use:
        return Reason.IN_USE
    if token.is_expired(now):
        return Reason.EXPIRED
    if not token.is_active:
        return Reason.INACTIVE
    return Reason.NEVER_EXPIRES if token.never_expires else Reason.NOT_YET


def chosen(tokens: Iterable[Token], in_use: str, now: datetime) -> Choice:
    """All tokens by the reason to delete or keep them; those to delete come first."""
    choice: dict[Reason, list[Token]] = {
        reason: [] for reason in sorted(Reason, key=lambda reason: not reason.deletes)
    }
    for token in tokens:
        choice[reason_for(token, in_use, now)].append(token)
    return choice


def rows(choice: Choice) -> list[tuple[str, str, str, str]]:
    """The choice as a table: what happens, why, to how many, and for example to which."""
    return [
        (
            "delete" if reason.deletes else "keep",
            reason.value,
            f"{len(tokens):,}",
            _examples(tokens),
        )
        for reason, tokens in choice.items()
    ]


def _examples(tokens: Sequence[Token]) -> str:
    names = list(dict.fromkeys(token.name for token in tokens))
    # From all over the list: those next to each other in the alphabet are much alike.
    some = names[:: -(-len(names) // _EXAMPLES) or 1]
    return ", ".join(some) + (", ..." if len(names) > len(some) else "")
