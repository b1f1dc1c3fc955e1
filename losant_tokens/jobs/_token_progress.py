"""The state of each token of a plan: untouched, intended, or finished with an outcome."""

from datetime import datetime
from typing import Self

import attrs

from losant_tokens.jobs._types import Outcome

UNTOUCHED, INTENDED = "untouched", "intended"
"""The states of a token without an outcome: no request was sent, or one may have been."""

_STATES = (UNTOUCHED, INTENDED, *(outcome.value for outcome in Outcome))
_CODES = {state: code for code, state in enumerate(_STATES)}

# Whether a token in an unfinished state is in doubt. A token in any other state is finished.
_IN_DOUBT = {
    _CODES[UNTOUCHED]: False,
    _CODES[INTENDED]: True,
    _CODES[Outcome.UNKNOWN.value]: True,
}
_IN_DOUBT_TO_RETRY = {**_IN_DOUBT, _CODES[Outcome.FAILED.value]: False}


@attrs.define(eq=False)
class States:
    """The states of all tokens of a plan. Each takes one byte.

    Attributes:
        errors: The errors of tokens, by their number in the plan.
        changed_at: The times of change that the API stated for tokens, by their number in the plan.
    """

    _codes: bytearray
    errors: dict[int, str] = attrs.field(factory=dict)
    changed_at: dict[int, datetime] = attrs.field(factory=dict)

    @classmethod
    def of(cls, size: int, *, in_doubt: bool = False) -> Self:
        """Return the states of tokens, all untouched, or all intended.

        Args:
            size: The number of tokens.
            in_doubt: Whether each of them may have been changed.
        """
        return cls(bytearray([_CODES[INTENDED if in_doubt else UNTOUCHED]]) * size)

    def record(
        self,
        number: int,
        state: str,
        error: str | None = None,
        changed_at: datetime | None = None,
    ) -> None:
        """Record the state of a token.

        Args:
            number: The number of the token in the plan, from 0.
            state: `untouched`, `intended`, or the value of an outcome.
            error: The error; `None` if there was none.
            changed_at: The time of change that the API stated; `None` if it is unknown.

        Raises:
            IndexError: The plan has no token of this number.
            KeyError: There is no such state.
        """
        if number < 0:
            raise IndexError(number)
        self._codes[number] = _CODES[state]
        self.errors.pop(number, None)
        if error is not None:
            self.errors[number] = error
        self.changed_at.pop(number, None)
        if changed_at is not None:
            self.changed_at[number] = changed_at

    def outcome(self, number: int) -> Outcome | None:
        """Return the outcome of a token. An intended token has the outcome `UNKNOWN`.

        Args:
            number: The number of the token in the plan.
        """
        state = _STATES[self._codes[number]]
        if state == UNTOUCHED:
            return None
        return Outcome.UNKNOWN if state == INTENDED else Outcome(state)

    def __len__(self) -> int:
        return len(self._codes)

    def in_doubt(self, first: int, count: int, *, retry_failed: bool = False) -> list[bool | None]:
        """Return for each token of a range whether it is in doubt; `None` for a finished token.

        Args:
            first: The number of the first token.
            count: The number of tokens. Fewer are returned at the end of the plan.
            retry_failed: Whether a failed token counts as unfinished.
        """
        in_doubt = _IN_DOUBT_TO_RETRY if retry_failed else _IN_DOUBT
        return [in_doubt.get(code) for code in self._codes[first : first + count]]

    def has_unfinished(self, *, retry_failed: bool = False) -> bool:
        """Return whether any token is unfinished.

        Args:
            retry_failed: Whether a failed token counts as unfinished.
        """
        unfinished = _IN_DOUBT_TO_RETRY if retry_failed else _IN_DOUBT
        return any(code in self._codes for code in unfinished)

    def has_doubt(self) -> bool:
        """Return whether any token is in doubt."""
        return any(code in self._codes for code, in_doubt in _IN_DOUBT.items() if in_doubt)

    def counts(self) -> dict[Outcome, int]:
        """Return the number of tokens for each outcome."""
        counts = {outcome: self._codes.count(_CODES[outcome.value]) for outcome in Outcome}
        counts[Outcome.UNKNOWN] += self._codes.count(_CODES[INTENDED])
        return counts
