"""`Severity`: how serious a finding is."""

from enum import Enum
from functools import total_ordering


@total_ordering
class Severity(Enum):
    """How serious a finding is. Severities can be compared: `Severity.LOW < Severity.HIGH`."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Severity):
            return NotImplemented
        return _RANKS[self._value_] < _RANKS[other._value_]

    def __str__(self) -> str:
        return self.value


# An audit of many tokens compares millions of severities.
_RANKS = {one.value: rank for rank, one in enumerate(Severity)}
