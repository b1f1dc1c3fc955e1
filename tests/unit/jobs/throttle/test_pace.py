"""The pace, against simulated servers."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from losant_tokens._adaptive_rate import AdaptiveRate, Curve, Meter
from tests.support.simulation import (
    Answer,
    FixedWindow,
    Limit,
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
def test_limit_is_found_and_kept_to(
    limit: Callable[[int], Limit], per_second: int, latency: float
) -> None:
    """Without being told, a job uses nine tenths of a limit, and is seldom refused."""
    answers = simulate(limit(per_second), 60, latency=latency, max_concurrency=50)

    assert goodput(answers, 10, 60) >= 0.9 * per_second
    assert refusals(answers) <= 0.05


@pytest.mark.parametrize("limit", LIMITS)
def test_short_job_is_seldom_refused_too(limit: Callable[[int], Limit]) -> None:
    """A job begins modestly: to find the limit costs few refusals, even where it is low."""
    answers = simulate(limit(10), 30, latency=0.1, max_concurrency=50)

    assert goodput(answers, 5, 30) >= 9.0
    assert refusals(answers) <= 0.05


@pytest.mark.parametrize("per_second", [10, 50])
def test_refusal_at_the_very_beginning(per_second: int) -> None:
    """A first request that is refused, since others have used up the limit, is not the limit."""
    bucket = TokenBucket(per_second, burst=5, level=0.0)
    answers = simulate(bucket, 60, latency=0.01)

    assert not answers[0].is_good
    assert goodput(answers, 10, 60) >= 0.9 * per_second
    assert refusals(answers) <= 0.05


def test_single_refusals_are_tolerated() -> None:
    """A bucket that holds no more than three, of a fast server, is used to nine tenths, too."""
    answers = simulate(TokenBucket(200, burst=3, level=0.0), 60, latency=0.002, max_concurrency=50)

    assert goodput(answers, 10, 60) >= 180
    assert refusals(answers) <= 0.05


@pytest.mark.sweep(sample=4)
@pytest.mark.parametrize("per_second", [10, 50, 200])
@pytest.mark.parametrize("limit", LIMITS)
def test_retry_after_is_honoured(limit: Callable[[int], Limit], per_second: int) -> None:
    """Where refusals say how long to wait, all wait, and little is lost by it."""
    answers = simulate(limit(per_second), 120, retry_after=1.0)

    assert goodput(answers, 10, 120) >= 0.9 * per_second
    assert refusals(answers) <= 0.05
    refused_at = [answer.at for answer in answers if not answer.is_good]
    first = refused_at[0]
    # What was in flight when the first was refused still comes in; then nothing does.
    assert [a.at for a in answers if first + 0.05 < a.at < first + 1.0] == []


@pytest.mark.parametrize(("latency", "most"), [(0.01, 20), (0.1, 50), (0.1, 100), (0.05, 20)])
def test_no_limit(latency: float, most: int) -> None:
    """Where there is no limit, a job is as fast as its connections after three seconds."""
    answers = simulate(Unlimited(), 6, latency=latency, max_concurrency=most)

    assert goodput(answers, 3, 6) >= 0.95 * most / (latency * 1.1)


def test_one_connection() -> None:
    """With one connection, one request is in flight at a time."""
    answers = simulate(Unlimited(), 4, latency=0.05, max_concurrency=1)

    assert {answer.concurrency for answer in answers} == {1}
    assert goodput(answers, 2, 4) >= 0.95 / 0.055


def test_limit_that_falls_and_rises() -> None:
    """A limit that becomes a twentieth, and later is what it was, is followed both times."""
    limit = Switch(20, SlidingLog(200), Switch(60, SlidingLog(10), SlidingLog(200)))

    answers = simulate(limit, 140)

    assert goodput(answers, 10, 20) >= 180
    assert goodput(answers, 30, 60) >= 9
    assert goodput(answers, 100, 140) >= 180
    assert refusals(answers) <= 0.05


def test_limit_that_goes() -> None:
    """A limit that is lifted is soon seen to be gone."""
    answers = simulate(Switch(20, SlidingLog(50), Unlimited()), 60, latency=0.02)

    assert goodput(answers, 50, 60) >= 800


def test_fixed_rate_is_not_exceeded() -> None:
    """A rate that was fixed is kept to from the first second, and never exceeded."""
    answers = simulate(Unlimited(), 20, rate=30)

    assert [round(goodput(answers, at, at + 5)) for at in (0, 5, 10, 15)] == [30] * 4


def test_fixed_rate_above_the_limit() -> None:
    """A fixed rate that turns out to be too high is lowered like any other."""
    answers = simulate(SlidingLog(50), 60, rate=200)

    assert goodput(answers, 10, 60) >= 45
    assert refusals(answers, since=10) <= 0.05


def concurrency_at(answers: list[Answer], at: float) -> int:
    """How many requests were in flight at most, this many seconds after the beginning."""
    return next(answer.concurrency for answer in answers if answer.at >= at)


def test_busy_server_gets_fewer_at_once_and_more_when_it_recovers() -> None:
    """Concurrency shrinks while latency grows with it, and is back soon after."""

    def latency(at: float, in_flight: int) -> float:
        return 0.02 + in_flight / 50 if 10 < at < 20 else 0.02

    answers = simulate(Unlimited(), 40, latency=latency, max_concurrency=50)

    assert concurrency_at(answers, 9) == 50
    assert concurrency_at(answers, 19) <= 25
    assert concurrency_at(answers, 30) == 50


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("slow", [0.07, 0.14, 0.5])
def test_latency_that_does_not_depend_on_concurrency_costs_none(slow: float) -> None:
    """If responses become slow whatever the job does, it keeps or regains its concurrency."""
    answers = simulate(
        Unlimited(), 60, latency=lambda at, _: slow if at > 5 else 0.005, max_concurrency=100
    )

    assert goodput(answers, 40, 60) >= 0.9 * 100 / (slow * 1.1)


@pytest.mark.parametrize("slow", [0.1, 0.3, 1.0])
def test_slow_responses_from_the_beginning_cost_no_concurrency(slow: float) -> None:
    """Responses that are slow from the beginning are answered by more requests in flight."""
    answers = simulate(Unlimited(), 60, latency=slow, max_concurrency=100)

    assert goodput(answers, 20, 60) >= 0.95 * 100 / (slow * 1.1)


@pytest.mark.sweep(sample=2)
@pytest.mark.parametrize("share", [0.1, 0.3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_jittery_latency_does_not_collapse_concurrency(share: float, seed: int) -> None:
    """If some responses are 25 times as slow as the others, nearly all connections are used."""
    chance = random.Random(seed)

    answers = simulate(
        Unlimited(),
        60,
        latency=lambda *_: 0.5 if chance.random() < share else 0.02,
        max_concurrency=50,
    )

    mean = 1.1 * (share * 0.5 + (1 - share) * 0.02)
    assert goodput(answers, 20, 60) >= 0.85 * 50 / mean


def test_exponential_latency_does_not_collapse_concurrency() -> None:
    """Latency that is spread widely around its mean is no queue."""
    chance = random.Random(1)

    answers = simulate(
        Unlimited(), 60, latency=lambda *_: chance.expovariate(10.0), max_concurrency=50
    )

    assert goodput(answers, 20, 60) >= 0.75 * 50 / 0.11


def test_queueing_server_is_not_flooded() -> None:
    """A server that answers one after the other does not get a queue of all there is."""
    answers = simulate(
        Unlimited(), 30, latency=lambda _, queue: 0.005 + queue / 200, max_concurrency=200
    )

    assert goodput(answers, 5, 30) >= 170
    assert answers[-1].concurrency <= 80


def test_timeouts_shrink_concurrency() -> None:
    """Requests that time out halve the concurrency; when they pass again, it comes back."""
    answers = simulate(
        Unlimited(),
        60,
        latency=lambda at, _: 9.0 if 5 < at < 12 else 0.02,
        max_concurrency=40,
        timeout=1.0,
    )

    assert concurrency_at(answers, 4) == 40
    assert concurrency_at(answers, 12) <= 2
    assert concurrency_at(answers, 40) == 40


def test_reading_and_deleting_may_differ() -> None:
    """That it takes ten times as long to delete as to read is no sign of trouble."""
    answers = simulate(Unlimited(), 20, latency=0.03, act_takes=10.0, max_concurrency=30)

    assert answers[-1].concurrency == 30


def test_long_window_is_used_up() -> None:
    """A limit by the minute is used to the full, with pauses of seconds when it is used up."""
    answers = simulate(SlidingLog(600, window=60.0), 300)

    assert goodput(answers, 60, 300) >= 9.0
    assert refusals(answers, since=60) <= 0.1


# --- Its parts -------------------------------------------------------------------------------


def test_refusals_in_flight_count_once() -> None:
    """Requests that were on their way when one was refused say nothing new."""
    rate = AdaptiveRate()
    for step in range(100):
        rate.record_response(step / 100, step / 100 - 0.01)
    rate.record_rate_limit(1.0, 0.99, None)
    before = rate.per_second, rate.pause_left(1.0)

    rate.record_rate_limit(1.01, 0.995, None)

    assert before == (rate.per_second, rate.pause_left(1.0))


def test_pauses_double_while_refusals_go_on() -> None:
    """Each further refusal without an answer doubles the pause, up to five seconds."""
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
    """The pauses double up to five seconds, also if the server asks for shorter ones."""
    rate = AdaptiveRate(maximum=50.0)
    pauses = []
    now = 10.0
    for _ in range(12):
        rate.record_rate_limit(now, now - 0.001, retry_after)
        pauses.append(rate.pause_left(now))
        now += pauses[-1]

    assert pauses[-3:] == [5.0] * 3
    assert pauses[1:] == sorted(pauses[1:])  # the first refusal has a pause of its own


def test_retry_after_is_a_lower_bound() -> None:
    """A wait that the server asks for is kept, however short the backoff is."""
    rate = AdaptiveRate(maximum=50.0)

    rate.record_rate_limit(10.0, 9.99, 30.0)

    assert rate.pause_left(10.0) == 30.0


@pytest.mark.parametrize("retry_after", [None, 0.0, 1.0])
def test_a_server_that_refuses_everything_gets_few_requests(retry_after: float | None) -> None:
    """Whatever the refusals say, a job sends less than one request a second in the end."""
    limit = Switch(5, SlidingLog(200), SlidingLog(0))

    answers = simulate(limit, 60, retry_after=retry_after)

    assert sum(answer.at > 20 for answer in answers) <= 40


def test_places_can_be_given_back() -> None:
    """A place of two that was not used is free for the next request."""
    rates = AdaptiveRate(maximum=1.0), AdaptiveRate(maximum=1.0)
    for rate in rates:
        rate.try_acquire(10.0, 2)
    rates[1].release(1)

    assert [rate.wait_time(10.0) for rate in rates] == pytest.approx([2.0, 1.0])


def test_nothing_is_sent_during_a_pause() -> None:
    """During a pause nothing may be sent, whoever was next."""
    rate = AdaptiveRate(maximum=50.0)
    for _ in range(4):
        rate.try_acquire(1.0)
    assert 0.0 < rate.wait_time(1.0) < 0.1

    rate.pause(1.0, 3.0)

    assert [rate.wait_time(moment) for moment in (1.0, 3.5, 4.0)] == [3.0, 0.5, 0.0]


def test_places_that_nobody_took_are_lost() -> None:
    """After an hour of silence there is no burst."""
    rate = AdaptiveRate(maximum=10)
    rate.try_acquire(0.0)

    taken = _taken(rate, 3600.0, 4)

    assert taken == pytest.approx([3600.0, 3600.05, 3600.15, 3600.25])


def test_places_close_together_are_given_away_in_beats() -> None:
    """Beyond 500 a second, whoever waits is woken 200 times a second, for some places at once."""
    taken = _taken(AdaptiveRate(maximum=1000.0), 10.0, 1000)

    assert len(set(taken)) == pytest.approx(200, abs=2)
    assert taken[-1] - taken[0] == pytest.approx(1.0, abs=0.01)


def _taken(rate: AdaptiveRate, now: float, count: int) -> list[float]:
    """When so many places in a row were taken, by somebody who waits as long as told."""
    taken: list[float] = []
    while len(taken) < count:
        if rate.try_acquire(now):
            taken.append(now)
        else:
            now += rate.wait_time(now)
    return taken


def test_curve_is_flat_at_the_limit() -> None:
    """The curve begins below the limit, meets it, goes beyond slowly, and then doubles."""
    curve = Curve(100.0, 5.0)

    rates = [curve.at(seconds) for seconds in (0, 5, 10, 13, 16, 10_000)]

    assert rates == pytest.approx([92, 100, 108, 216, 432, 108 * 2**20])


def test_meter_measures_a_second() -> None:
    """What is measured is the last second, not all that was."""
    meter = Meter()
    for step in range(500):
        meter.count(step / 100)

    assert meter.per_second(4.99) == pytest.approx(100, rel=0.02)
    assert meter.per_second(60.0) == 0.0
