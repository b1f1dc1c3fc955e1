"""The result of executing an action on one token, before it is recorded."""

from datetime import datetime

import attrs

from losant_tokens.errors import Forbidden
from losant_tokens.jobs._execution.journal_interface import JobJournal
from losant_tokens.jobs._types import Outcome


@attrs.frozen
class TokenResult:
    """The result for one token.

    Attributes:
        outcome: The outcome. `None` if nothing was done, so that a resumed job tries again.
        error: The error message, if something failed.
        changed_at: The time of the change by the API, if the response to the change states it. A
            later read does not show it, because somebody else may have changed the token since.
        forbidden: The error, if the API responded with 403.
        is_deferrable: Whether to try again after all other tokens.
        is_missing: Whether the API responded with 404.
    """

    outcome: Outcome | None
    error: str | None = None
    changed_at: datetime | None = None
    forbidden: Forbidden | None = None
    is_deferrable: bool = False
    is_missing: bool = False

    def record(self, journal: JobJournal, number: int) -> None:
        """Record the result in a journal.

        Args:
            journal: The journal.
            number: The number of the token in the plan.
        """
        if self.outcome is None:
            journal.revert_intent(number, self.error)
        else:
            journal.record_outcome(number, self.outcome, self.error, self.changed_at)
