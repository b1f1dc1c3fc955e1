"""The time of a plan, and what to do if the clock of this machine differs from the server's."""

from datetime import UTC, datetime, timedelta

import attrs

from losant_tokens import AsyncClient
from losant_tokens.jobs._plan.guard_refused import GuardRefused
from losant_tokens.jobs._plan.settings import ClockCheck
from losant_tokens.jobs._token_rules import Rule, Token
from losant_tokens.jobs._types import counted

MAX_SKEW = timedelta(minutes=5)
"""The maximum difference between the clocks of this machine and the server for rules about time."""

_UNITS = (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0))  # with their seconds


def _local_time() -> datetime:
    return datetime.now(UTC)


@attrs.define
class PlanClock:
    """The time of a plan.

    Attributes:
        client: The client, which knows the server's time after the first response.
        check: What to do if the clocks differ.
        uses_time: Whether a rule of the plan depends on the time.
        given: The time that the caller gave instead of the server's.
        now: The time for rules about time.
        local: This machine's time.
        created_at: The time of the plan.
    """

    client: AsyncClient
    check: ClockCheck
    uses_time: bool
    given: datetime | None
    now: datetime = attrs.field(factory=_local_time, init=False)
    local: datetime = attrs.field(factory=_local_time, init=False)
    created_at: datetime = attrs.field(init=False)
    _is_set: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.created_at = self.local

    def set(self) -> None:
        """Set the time from the server's clock, once. Call this after a response.

        Raises:
            GuardRefused: The clocks differ, the rule depends on the time, and `check` is `enforce`.
        """
        if self._is_set:
            return
        self._is_set = True
        self.local = _local_time()
        self.created_at = self.client.server_time() or self.local
        self.now = self.given or self.created_at
        if self.check == "enforce" and self.given is None and self.uses_time and self._is_skewed:
            raise GuardRefused(
                f"This machine's clock is {describe_skew(self.client.clock_skew)} the server's, "
                f"and the rule depends on the time. Set the clock, or pass clock_check='warn' to "
                f"select only tokens that the rule selects by both clocks, or clock_check='off' to "
                f"use the server's."
            )

    def is_doubtful(self, rule: Rule, token: Token, *, is_selected: bool) -> bool:
        """Return whether a rule selects a token by only one of the two times.

        Args:
            rule: The rule.
            token: The token.
            is_selected: Whether the rule selects the token by `now`.
        """
        if self.given is not None or self.check == "off":
            return False
        if not rule.uses_time or not self._is_skewed:
            return False
        return (rule.matches(token, self.local) is True) != is_selected

    def warning(self, left_out: int) -> str | None:
        """Return a warning about the clocks; `None` if none is needed.

        Args:
            left_out: The number of tokens that were left out because they are doubtful.
        """
        if not self.uses_time or self.check == "off":
            return None
        skew = self.client.clock_skew
        if skew is None and self.given is None:
            return (
                "The server does not state its time, so rules about time rely on this machine's "
                "clock alone. Check that it is right."
            )
        if not self._is_skewed:
            return None
        consequence = (
            f"{counted(left_out, 'token')} {'was' if left_out == 1 else 'were'} left out, because "
            f"the rule selects {'it' if left_out == 1 else 'them'} by only one of the two times."
            if self.given is None
            else "The time passed as now was used."
        )
        return (
            f"This machine's clock is {describe_skew(skew)} the server's. {consequence} Set the "
            f"clock, or use only the server's time with clock_check='off'."
        )

    @property
    def _is_skewed(self) -> bool:
        skew = self.client.clock_skew
        return skew is not None and abs(skew) > MAX_SKEW


def describe_skew(skew: timedelta | None) -> str:
    """Return how far a clock is ahead of another one, or behind it: `10 minutes ahead of`."""
    seconds = 0.0 if skew is None else skew.total_seconds()
    side = "ahead of" if seconds > 0 else "behind"
    for unit, size in _UNITS:
        if abs(seconds) >= 2 * size:
            return f"{abs(seconds) / size:.3g} {unit} {side}"
    return f"{abs(seconds):.3g} seconds {side}"
