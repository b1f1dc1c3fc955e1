"""Start jobs at a high rate."""

import inspect
from functools import partial

import pytest

from losant_tokens._limits.adaptive_rate import AdaptiveRate

RATE = 1000.0  # requests per second


@pytest.fixture(autouse=True)
def fast_start(
    request: pytest.FixtureRequest, thorough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start jobs that take real time at a high rate, unless --run-slow is given.

    A job starts with few requests per second, so even a small one takes two seconds. Tests under
    trio are left alone, because their time is virtual, and some of them assert the rate.
    """
    in_real_time = (
        inspect.iscoroutinefunction(request.function) or "service" in request.fixturenames
    )
    if in_real_time and not thorough:
        start_fast(monkeypatch)


def start_fast(patch: pytest.MonkeyPatch) -> None:
    """Let jobs of this process start at a high rate."""
    fast_rate = partial(AdaptiveRate, initial=RATE)
    patch.setattr("losant_tokens.jobs._throttle.pace.AdaptiveRate", fast_rate)
