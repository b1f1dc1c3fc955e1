"""The command `apply`."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from losant_tokens.cli.commands.apply import _estimated_now

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("skew", "expected"),
    [
        (None, NOW),
        (timedelta(hours=-2), NOW),
        (timedelta(hours=2), NOW - timedelta(hours=2)),
    ],
)
def test_time_of_a_clock_that_was_ahead(skew: timedelta | None, expected: datetime) -> None:
    """The first check of a plan's age assumes that a clock that was ahead is still ahead."""
    plan: Any = SimpleNamespace(header=SimpleNamespace(clock_skew=skew))

    with time_machine.travel(NOW, tick=False):
        assert _estimated_now(plan) == expected
