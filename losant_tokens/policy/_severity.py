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
        order = list(Severity)
        return order.index(self) < order.index(other)

    def __str__(self) -> str:
        return self.value
