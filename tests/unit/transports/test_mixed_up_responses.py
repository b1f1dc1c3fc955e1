"""The response times of a server, and how long an early response is held back."""

import math

import pytest

from losant_tokens._transports.mixed_up_responses import ResponseTimes


def test_the_shortest_time_counts() -> None:
    """A response is held back only if it is faster than all responses before it."""
    times = ResponseTimes()
    times.add(0.1)
    times.add(0.3)
    assert (0.0, 0.0) == (times.hold(0.1), times.hold(0.25))
    assert times.hold(0.04) == pytest.approx(0.16)


@pytest.mark.parametrize(("shortest", "held"), [(0.001, 0.01), (5.0, 0.25), (math.inf, 0.25)])
def test_the_time_is_bounded(shortest: float, held: float) -> None:
    """A response is held back for at least 10 and at most 250 ms."""
    assert held == ResponseTimes(shortest).hold(0.0)
