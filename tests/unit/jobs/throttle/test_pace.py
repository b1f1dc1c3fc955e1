"""The pace that one part of a plan hands on to the next."""

from pathlib import Path

import pytest

from losant_tokens import jobs
from losant_tokens._limits.adaptive_rate import INITIAL_RATE
from losant_tokens.jobs import Pace
from tests.support.chunks import chunks_of
from tests.support.jobs import client_of, fake_with


async def test_a_chunk_continues_at_the_pace_of_the_one_before(tmp_path: Path) -> None:
    """With a pace, the second chunk starts at the rate that the first one has found."""
    fake, pace = fake_with(4), Pace()
    async with client_of(fake) as client:
        first, second = await chunks_of(client, tmp_path, 2)
        await jobs.apply_chunk(client, first, pace=pace)
        found = pace.rate(None)
        responses = found.responses.total
        found.per_second = 1000.0
        await jobs.apply_chunk(client, second, pace=pace)

    assert responses >= 4
    assert found.responses.total >= responses + 4
    assert found.per_second >= 1000.0 > INITIAL_RATE
    assert pace.rate(None) is found


@pytest.mark.parametrize(("maximum", "is_same"), [(None, True), (5.0, False)])
def test_another_maximum_starts_again(maximum: float | None, is_same: bool) -> None:
    """A rate or a concurrency that was found below one maximum says nothing about another."""
    pace = Pace()

    assert (pace.rate(None) is pace.rate(maximum)) == is_same
    assert (pace.concurrency(8) is pace.concurrency(8 if is_same else 4)) == is_same
