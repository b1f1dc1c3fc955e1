"""Severities."""

import pytest

from losant_tokens.policy import Severity


def test_order() -> None:
    """Severities are ordered from info to critical."""
    assert sorted(Severity, key=str) != sorted(Severity) == list(Severity)
    assert Severity.LOW < Severity.MEDIUM <= Severity.HIGH < Severity.CRITICAL
    assert str(max(Severity)) == "critical"


def test_other_values() -> None:
    """A severity cannot be compared with a string."""
    with pytest.raises(TypeError):
        _ = Severity.LOW < "high"
