"""The interface of a job's journal, and a journal in memory for a chunk of a plan."""

from datetime import datetime
from typing import Protocol

import attrs

from losant_tokens.jobs._token_progress import INTENDED, UNTOUCHED, States
from losant_tokens.jobs._types import Outcome


class JobJournal(Protocol):
    """Records every intent and every outcome of a job. See `Journal` for the methods."""

    @property
    def states(self) -> States:
        """The state of each token."""

    def record_intent(self, number: int) -> None:
        """Record that a token is about to be changed."""

    def revert_intent(self, number: int, error: str | None = None) -> None:
        """Record that a token was certainly not changed."""

    def record_outcome(
        self,
        number: int,
        outcome: Outcome,
        error: str | None = None,
        changed_at: datetime | None = None,
    ) -> None:
        """Record the outcome of a token."""

    async def checkpoint(self) -> None:
        """Flush and fsync."""

    def flush(self) -> None:
        """Write all pending records."""


@attrs.define(eq=False)
class MemoryJournal:
    """A journal without a file. The caller of the job stores its results.

    Attributes:
        states: The state of each token.
    """

    states: States

    def record_intent(self, number: int) -> None:
        """Record that a token is about to be changed."""
        self.states.record(number, INTENDED)

    def revert_intent(self, number: int, error: str | None = None) -> None:
        """Record that a token was certainly not changed."""
        self.states.record(number, UNTOUCHED, error)

    def record_outcome(
        self,
        number: int,
        outcome: Outcome,
        error: str | None = None,
        changed_at: datetime | None = None,
    ) -> None:
        """Record the outcome of a token."""
        self.states.record(number, outcome.value, error, changed_at)

    async def checkpoint(self) -> None:
        """Do nothing: there is no file."""

    def flush(self) -> None:
        """Do nothing: there is no file."""
