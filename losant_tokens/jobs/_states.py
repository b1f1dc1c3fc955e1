"""The state of each token of a plan: untouched, intended, or finished with an outcome."""

from datetime import datetime
from typing import Self

import attrs

from losant_tokens.jobs._types import Outcome

UNTOUCHED, INTENDED = 0, 1
_OUTCOMES = tuple(Outcome)
_FIRST_OUTCOME = 2
CODES = {outcome.value: code for code, outcome in enumerate(_OUTCOMES, _FIRST_OUTCOME)}
CODES["intended"] = INTENDED
CODES["untouched"] = UNTOUCHED
_IN_DOUBT = {UNTOUCHED: False, INTENDED: True, CODES["unknown"]: True}  # others are finished
_IN_DOUBT_TO_RETRY = {**_IN_DOUBT, CODES["failed"]: False}


@attrs.define(eq=False)
class States:
    """How far each token of a plan has come: one byte a token.

    Attributes:
        errors: What went wrong with a token, by its number.
        changed: When the API says that a token was changed, by its number, if that is known.
    """

    _codes: bytearray
    errors: dict[int, str] = attrs.field(factory=dict)
    changed: dict[int, datetime] = attrs.field(factory=dict)

    @classmethod
    def of(cls, size: int) -> Self:
        """Return the states of `size` tokens, all untouched."""
        return cls(bytearray(size))

    def note(
        self, number: int, code: int, error: str | None = None, changed: datetime | None = None
    ) -> None:
        """Note how far a token has come.

        Args:
            number: Its number in the plan.
            code: How far it has come.
            error: What went wrong, if anything did.
            changed: When the API says that it was changed, if that is known.

        Raises:
            IndexError: There is no token of this number.
        """
        if number < 0:
            raise IndexError(number)
        self._codes[number] = code
        if error is not None:
            self.errors[number] = error
        elif self.errors:
            self.errors.pop(number, None)
        if changed is not None:
            self.changed[number] = changed
        elif self.changed:
            self.changed.pop(number, None)

    def outcome(self, number: int) -> Outcome | None:
        """Return the outcome of a token. One that was intended, and no more, is unknown."""
        code = self._codes[number]
        if code == INTENDED:
            return Outcome.UNKNOWN
        return None if code == UNTOUCHED else _OUTCOMES[code - _FIRST_OUTCOME]

    def __len__(self) -> int:
        return len(self._codes)

    def open_ones(self, first: int, count: int, *, retry_failed: bool = False) -> list[bool | None]:
        """Return of `count` tokens whether each is in doubt: it may have been changed.

        `None` is returned for those that are finished.

        Args:
            first: The number of the first of them.
            count: How many. Fewer are returned if the plan ends before.
            retry_failed: Whether a token that has failed is not finished.
        """
        in_doubt = _IN_DOUBT_TO_RETRY if retry_failed else _IN_DOUBT
        return [in_doubt.get(code) for code in self._codes[first : first + count]]

    def has_open(self, *, retry_failed: bool = False) -> bool:
        """Return whether any token is not finished.

        Args:
            retry_failed: Whether a token that has failed is not finished.
        """
        states = self.open_ones(0, len(self), retry_failed=retry_failed)
        return any(in_doubt is not None for in_doubt in states)

    def counts(self) -> dict[Outcome, int]:
        """Return how many tokens have each outcome."""
        counts = {
            outcome: self._codes.count(code)
            for code, outcome in enumerate(_OUTCOMES, _FIRST_OUTCOME)
        }
        counts[Outcome.UNKNOWN] += self._codes.count(INTENDED)
        return counts
