"""The command `apply`."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from losant_tokens.cli.commands.apply import _estimated_now

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("skew", "made", "expected"),
    [
        (None, NOW, NOW),
        (2 * HOUR, NOW, NOW - 2 * HOUR),  # The clock was ahead.
        (-2 * HOUR, NOW + 2 * HOUR, NOW + 2 * HOUR),  # It was behind, and still is.
        (-2 * HOUR, NOW - 24 * HOUR, NOW),  # It may have been set since.
        (-2 * HOUR, NOW + 5 * HOUR, NOW + 2 * HOUR),  # The plan is from the future.
    ],
)
def test_estimated_time(skew: timedelta | None, made: datetime, expected: datetime) -> None:
    """The first check of a plan's age allows for a clock that is still as wrong as it was."""
    plan: Any = SimpleNamespace(header=SimpleNamespace(clock_skew=skew, created_at=made))

    with time_machine.travel(NOW, tick=False):
        assert _estimated_now(plan) == expected
