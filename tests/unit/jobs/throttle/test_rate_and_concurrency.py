"""The adaptive rate and concurrency, against simulated servers."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from losant_tokens._limits.adaptive_rate import AdaptiveRate, Curve, Meter
from tests.support.simulation import (
    FixedWindow,
    Limit,
    Response,
    SlidingLog,
    Switch,
    TokenBucket,
    Unlimited,
    goodput,
    refusals,
    simulate,
)

LIMITS = (SlidingLog, FixedWindow, TokenBucket)


@pytest.mark.sweep(sample=7)
@pytest.mark.parametrize("latency", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("per_second", [10, 50, 200])
@pytest.mark.parametrize("limit", LIMITS)
def test_limit_is_found(limit: Callable[[int], Limit], per_second: int, latency: float) -> None:
    """A job uses nine tenths of an unknown limit, and is seldom refused."""
    responses = simulate(limit(per_second), 60, latency=latency, max_concurrency=50)

    assert goodput(responses, 10, 60) >= 0.9 * per_second
    assert refusals(responses) <= 0.05


@pytest.mark.parametrize("limit", LIMITS)
def test_short_job_is_seldom_refused(limit: Callable[[int], Limit]) -> None:
    """A job of 30 seconds is seldom refused, even if the limit is low."""
    responses = simulate(limit(10), 30, latency=0.1, max_concurrency=50)

    assert goodput(responses, 5, 30) >= 9.0
    assert refusals(responses) <= 0.05


@pytest.mark.parametrize("per_second", [10, 50])
def test_first_request_is_refused(per_second: int) -> None:
    """A 429 for the first request does not set the rate."""
    bucket = TokenBucket(per_second, burst=5, level=0.0)
    responses = simulate(bucket, 60, latency=0.01)

    assert not responses[0].is_good
    assert goodput(responses, 10, 60) >= 0.9 * per_second
    assert refusals(responses) <= 0.05


def test_single_refusals_are_tolerated() -> None:
    """A token bucket that holds three requests is used to nine tenths."""
    responses = simulate(
        TokenBucket(200, burst=3, level=0.0), 60, latency=0.002, max_concurrency=50
    )

    assert goodput(responses, 10, 60) >= 180
    assert refusals(responses) <= 0.05


@pytest.mark.sweep(sample=4)
@pytest.mark.parametrize("per_second", [10, 50, 200])
@pytest.mark.parametrize("limit", LIMITS)
def test_retry_after_is_respected(limit: Callable[[int], Limit], per_second: int) -> None:
    """All requests wait for `Retry-After`, and nine tenths of the limit are used."""
    responses = simulate(limit(per_second), 120, retry_after=1.0)

    assert goodput(responses, 10, 120) >= 0.9 * per_second
    assert refusals(responses) <= 0.05
    refused_at = [response.at for response in responses if not response.is_good]
    first = refused_at[0]
    # Requests in flight at the first refusal still arrive. After them, there are none.
    assert [a.at for a in responses if first + 0.05 < a.at < first + 1.0] == []


@pytest.mark.parametrize(("latency", "maximum"), [(0.01, 20), (0.1, 50), (0.1, 100), (0.05, 20)])
def test_no_limit(latency: float, maximum: int) -> None:
    """Without a limit, a job uses all connections after three seconds."""
    responses = simulate(Unlimited(), 6, latency=latency, max_concurrency=maximum)

    assert goodput(responses, 3, 6) >= 0.95 * maximum / (latency * 1.1)


def test_one_connection() -> None:
    """With one connection, one request is in flight at a time."""
    responses = simulate(Unlimited(), 4, latency=0.05, max_concurrency=1)

    assert {response.concurrency for response in responses} == {1}
    assert goodput(responses, 2, 4) >= 0.95 / 0.055


def test_limit_that_falls_and_rises() -> None:
    """A job follows a limit that falls to a twentieth and rises again."""
    limit = Switch(20, SlidingLog(200), Switch(60, SlidingLog(10), SlidingLog(200)))

    responses = simulate(limit, 140)

    assert goodput(responses, 10, 20) >= 180
    assert goodput(responses, 30, 60) >= 9
    assert goodput(responses, 100, 140) >= 180
    assert refusals(responses) <= 0.05


def test_limit_is_lifted() -> None:
    """A job notices soon that a limit was lifted."""
    responses = simulate(Switch(20, SlidingLog(50), Unlimited()), 60, latency=0.02)

    assert goodput(responses, 50, 60) >= 800


def test_maximum_rate_is_not_exceeded() -> None:
    """A job uses its maximum rate from the first second, and never exceeds it."""
    responses = simulate(Unlimited(), 20, rate=30)

    assert [round(goodput(responses, at, at + 5)) for at in (0, 5, 10, 15)] == [30] * 4


def test_maximum_rate_above_the_limit() -> None:
    """A maximum rate above the limit is lowered."""
    responses = simulate(SlidingLog(50), 60, rate=200)

    assert goodput(responses, 10, 60) >= 45
    assert refusals(responses, since=10) <= 0.05


def concurrency_at(responses: list[Response], at: float) -> int:
    """Return the concurrency at a time, in seconds since the start."""
    return next(response.concurrency for response in responses if response.at >= at)


@pytest.mark.slow
def test_concurrency_follows_a_busy_server() -> None:
    """Concurrency shrinks while latency grows with it, and recovers soon."""

    def latency(at: float, in_flight: int) -> float:
        return 0.02 + in_flight / 50 if 10 < at < 20 else 0.02

    responses = simulate(Unlimited(), 40, latency=latency, max_concurrency=50)

    assert concurrency_at(responses, 9) == 50
    assert concurrency_at(responses, 19) <= 25
    assert concurrency_at(responses, 30) == 50


@pytest.mark.slow
@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("slow", [0.07, 0.14, 0.5])
def test_concurrency_stays_if_it_is_not_the_cause(slow: float) -> None:
    """Concurrency stays or recovers if latency does not depend on it."""
    responses = simulate(
        Unlimited(), 60, latency=lambda at, _: slow if at > 5 else 0.005, max_concurrency=100
    )

    assert goodput(responses, 40, 60) >= 0.9 * 100 / (slow * 1.1)


@pytest.mark.slow
@pytest.mark.parametrize("slow", [0.1, 0.3, 1.0])
def test_slow_server_gets_full_concurrency(slow: float) -> None:
    """A server that is slow from the start gets full concurrency."""
    responses = simulate(Unlimited(), 60, latency=slow, max_concurrency=100)

    assert goodput(responses, 20, 60) >= 0.95 * 100 / (slow * 1.1)


@pytest.mark.slow
@pytest.mark.sweep(sample=2)
@pytest.mark.parametrize("share", [0.1, 0.3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_outliers_do_not_shrink_concurrency(share: float, seed: int) -> None:
    """Some responses that are 25 times as slow do not shrink concurrency."""
    chance = random.Random(seed)

    responses = simulate(
        Unlimited(),
        60,
        latency=lambda *_: 0.5 if chance.random() < share else 0.02,
        max_concurrency=50,
    )

    mean = 1.1 * (share * 0.5 + (1 - share) * 0.02)
    assert goodput(responses, 20, 60) >= 0.85 * 50 / mean


def test_exponential_latency_does_not_shrink_concurrency() -> None:
    """Latency with an exponential distribution does not shrink concurrency."""
    chance = random.Random(1)

    responses = simulate(
        Unlimited(), 60, latency=lambda *_: chance.expovariate(10.0), max_concurrency=50
    )

    assert goodput(responses, 20, 60) >= 0.75 * 50 / 0.11


def test_queueing_server_is_not_flooded() -> None:
    """A server that handles one request at a time does not get a long queue."""
    responses = simulate(
        Unlimited(), 30, latency=lambda _, queue: 0.005 + queue / 200, max_concurrency=200
    )

    assert goodput(responses, 5, 30) >= 170
    assert responses[-1].concurrency <= 80


@pytest.mark.slow
def test_timeouts_shrink_concurrency() -> None:
    """Timeouts shrink concurrency, and it recovers after them."""
    responses = simulate(
        Unlimited(),
        60,
        latency=lambda at, _: 9.0 if 5 < at < 12 else 0.02,
        max_concurrency=40,
        timeout=1.0,
    )

    assert concurrency_at(responses, 4) == 40
    assert concurrency_at(responses, 12) <= 2
    assert concurrency_at(responses, 40) == 40


def test_latencies_of_reads_and_changes_may_differ() -> None:
    """Changes that take ten times as long as reads do not shrink concurrency."""
    responses = simulate(Unlimited(), 20, latency=0.03, change_takes=10.0, max_concurrency=30)

    assert responses[-1].concurrency == 30


def test_limit_by_the_minute_is_used() -> None:
    """A limit by the minute is used fully, with pauses of seconds."""
    responses = simulate(SlidingLog(600, window=60.0), 300)

    assert goodput(responses, 60, 300) >= 9.0
    assert refusals(responses, since=60) <= 0.1


# --- The parts of the rate -------------------------------------------------------------------


def test_refusals_in_flight_count_once() -> None:
    """A 429 for a request that was in flight at an earlier 429 changes nothing."""
    rate = AdaptiveRate()
    for step in range(100):
        rate.record_response(step / 100, step / 100 - 0.01)
    rate.record_rate_limit(1.0, 0.99, None)
    before = rate.per_second, rate.pause_left(1.0)

    rate.record_rate_limit(1.01, 0.995, None)

    assert before == (rate.per_second, rate.pause_left(1.0))


def test_pauses_double_with_each_refusal() -> None:
    """Each 429 in a row doubles the pause, up to five seconds."""
    rate = AdaptiveRate(maximum=50.0)
    pauses = []
    now = 10.0
    for _ in range(12):
        rate.record_rate_limit(now, now - 0.001, None)
        pauses.append(rate.pause_left(now))
        now += pauses[-1]

    ratios = [later / earlier for earlier, later in pairwise(pauses[1:])]
    assert ratios[:4] == pytest.approx([2.0] * 4)
    assert pauses[-1] == 5.0


@pytest.mark.parametrize("retry_after", [0.0, 0.02])
def test_retry_after_never_shortens_the_backoff(retry_after: float) -> None:
    """A short `Retry-After` does not shorten the pauses."""
    rate = AdaptiveRate(maximum=50.0)
    pauses = []
    now = 10.0
    for _ in range(12):
        rate.record_rate_limit(now, now - 0.001, retry_after)
        pauses.append(rate.pause_left(now))
        now += pauses[-1]

    assert pauses[-3:] == [5.0] * 3
    assert pauses[1:] == sorted(pauses[1:])  # the first refusal has its own pause


def test_retry_after_is_a_lower_bound() -> None:
    """A pause is at least as long as `Retry-After`."""
    rate = AdaptiveRate(maximum=50.0)

    rate.record_rate_limit(10.0, 9.99, 30.0)

    assert rate.pause_left(10.0) == 30.0


@pytest.mark.parametrize("retry_after", [None, 0.0, 1.0])
def test_server_that_refuses_everything_gets_few_requests(retry_after: float | None) -> None:
    """A job sends less than one request a second to a server that refuses all."""
    limit = Switch(5, SlidingLog(200), SlidingLog(0))

    responses = simulate(limit, 60, retry_after=retry_after)

    assert sum(response.at > 20 for response in responses) <= 40


def test_returned_place_is_free() -> None:
    """A place that was returned is free for the next request."""
    rates = AdaptiveRate(maximum=1.0), AdaptiveRate(maximum=1.0)
    for rate in rates:
        rate.try_acquire(10.0, 2)
    rates[1].release(1)

    assert [rate.wait_time(10.0) for rate in rates] == pytest.approx([2.0, 1.0])


def test_nothing_is_sent_during_a_pause() -> None:
    """No place is free during a pause."""
    rate = AdaptiveRate(maximum=50.0)
    for _ in range(4):
        rate.try_acquire(1.0)
    assert 0.0 < rate.wait_time(1.0) < 0.1

    rate.pause(1.0, 3.0)

    assert [rate.wait_time(now) for now in (1.0, 3.5, 4.0)] == [3.0, 0.5, 0.0]


def test_unused_places_are_lost() -> None:
    """There is no burst after an hour without requests."""
    rate = AdaptiveRate(maximum=10)
    rate.try_acquire(0.0)

    taken = _taken(rate, 3600.0, 4)

    assert taken == pytest.approx([3600.0, 3600.05, 3600.15, 3600.25])


def test_close_places_are_granted_together() -> None:
    """Above 500 requests a second, the queue wakes up 200 times a second."""
    taken = _taken(AdaptiveRate(maximum=1000.0), 10.0, 1000)

    assert len(set(taken)) == pytest.approx(200, abs=2)
    assert taken[-1] - taken[0] == pytest.approx(1.0, abs=0.01)


def _taken(rate: AdaptiveRate, now: float, count: int) -> list[float]:
    """Return the times at which a number of places were taken."""
    taken: list[float] = []
    while len(taken) < count:
        if rate.try_acquire(now):
            taken.append(now)
        else:
            now += rate.wait_time(now)
    return taken


def test_curve_is_flat_at_the_limit() -> None:
    """The curve starts below the limit, is flat at it, and then rises."""
    curve = Curve(100.0, 5.0)

    rates = [curve.at(seconds) for seconds in (0, 5, 10, 13, 16, 10_000)]

    assert rates == pytest.approx([92, 100, 108, 216, 432, 108 * 2**20])


def test_meter_measures_a_second() -> None:
    """The meter measures the last second."""
    meter = Meter()
    for step in range(500):
        meter.count(step / 100)

    assert meter.per_second(4.99) == pytest.approx(100, rel=0.02)
    assert meter.per_second(60.0) == 0.0
