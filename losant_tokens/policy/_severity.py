"""`Severity`: how serious a finding is."""

from functools import total_ordering

from losant_tokens._utils.readable_enum import ReadableEnum


@total_ordering
class Severity(ReadableEnum):
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


# An audit of many tokens compares millions of severities.
_RANKS = {one.value: rank for rank, one in enumerate(Severity)}
