"""The deactivation of one token, and how the token differs from it now."""

from datetime import datetime
from enum import Enum

import attrs

from losant_tokens import Owner
from losant_tokens.jobs._token_rules import Token

Key = tuple[str, str]
"""An owner and the id of a token, in lower case."""


class Obstacle(Enum):
    """How a token differs from its state after its deactivation, for one token and for several."""

    ACTIVE = "is active again", "are active again"
    RENAMED = "has another name", "have another name"
    NO_TIME = (
        "has no time of change in the report, so it may have been changed since",
        "have no time of change in the report, so they may have been changed since",
    )
    UNREADABLE = "has no readable time of change", "have no readable time of change"
    CHANGED = (
        "was last changed by something other than the quarantine",
        "were last changed by something other than the quarantine",
    )
    GONE = "is no longer listed", "are no longer listed"

    def phrase(self, count: int) -> str:
        """Return the obstacle of a number of tokens as a phrase."""
        singular, plural = self.value
        return f"{count} {singular if count == 1 else plural}"


@attrs.frozen
class Change:
    """The deactivation of a token.

    Attributes:
        name: The name of the token at that time.
        changed: The time of the change, as the API stated it; `None` if it did not.
    """

    name: str
    changed: datetime | None

    def obstacle(self, token: Token) -> Obstacle | None:
        """Return how a token differs from its state after the change; `None` if it does not.

        Args:
            token: The token as it is listed now.
        """
        if token.status != "inactive":
            return Obstacle.ACTIVE
        if token.name != self.name:
            return Obstacle.RENAMED
        if self.changed is None:
            return Obstacle.NO_TIME
        if token.last_updated is None:
            return Obstacle.UNREADABLE
        if not is_same_time(token.last_updated, self.changed):
            return Obstacle.CHANGED
        return None


def is_same_time(one: datetime, other: datetime) -> bool:
    """Return whether two times are the same. Either may lack the fraction of a second."""
    if one == other:
        return True
    has_no_fraction = not one.microsecond or not other.microsecond
    return has_no_fraction and one.replace(microsecond=0) == other.replace(microsecond=0)


def key_of(owner: Owner, token_id: str) -> Key:
    """Return the key of a token. Two owners may have the same id. Case does not matter."""
    return str(owner).lower(), token_id.lower()
