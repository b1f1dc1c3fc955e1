"""The tokens that a job is about: those of a plan, or of a part of a plan."""

from collections.abc import Callable, Iterator

import attrs

from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._types import Entry, Header


@attrs.frozen
class PlannedTokens:
    """The tokens of a plan or of a part of it, for the checks before a job.

    Attributes:
        source: The plan or the part, for messages.
        header: The header, with the counts of these tokens.
        entries: Returns the tokens.
        has_account_check: Whether the function that the tokens are for has this argument.
    """

    source: str
    header: Header
    entries: Callable[[], Iterator[Entry]]
    has_account_check: bool = True

    @classmethod
    def of(cls, plan: Plan) -> "PlannedTokens":
        """Return the tokens of a plan."""
        return cls(str(plan.path), plan.header, plan.entries)
