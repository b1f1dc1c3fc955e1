"""Count the attempts for one token."""

import attrs

from losant_tokens.errors import LosantError

MAX_ATTEMPTS = 5
"""The maximum number of attempts for one token, not counting those during an outage."""


@attrs.define(eq=False)
class Attempts:
    """The attempts for one token in this run.

    Attributes:
        failures: The number of failed attempts since the last outage.
        error: The error of the last failed attempt.
    """

    failures: int = attrs.field(default=0, kw_only=True)
    error: LosantError | None = attrs.field(default=None, kw_only=True)

    @property
    def is_exhausted(self) -> bool:
        """Whether no attempt is left."""
        return self.failures >= MAX_ATTEMPTS

    def exhaust(self, error: LosantError) -> None:
        """Allow no further attempt because of an error."""
        self.failures, self.error = MAX_ATTEMPTS, error
