"""When to try again, when to wait, and when to give up."""

from collections.abc import Callable
from copy import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens.jobs._throttle.circuit_breaker import Health

HAPPENINGS: list[Callable[[Health, float], object]] = [
    lambda health, _: health.answered(),
    lambda health, now: health.troubled(now),
    lambda health, now: health.refused(now),
    lambda health, now: health.out(now),
    lambda health, _: health.may_try_again(),
]


def test_further_tries_are_a_tenth_of_what_is_not_answered() -> None:
    """Further tries are ten, and one for every ten requests that are not answered."""
    health = Health(patience=300)
    for number in range(100):
        health.troubled(number)

    taken = sum(health.may_try_again() for _ in range(1000))

    assert 19 <= taken <= 20


def test_answers_earn_further_tries() -> None:
    """While most is answered, one in five may fail, and be tried again, for as long as it goes."""
    health = Health(patience=300)
    for number in range(10_000):
        if number % 5:
            health.answered()
        else:
            health.troubled(number)
            assert health.may_try_again()


def test_further_tries_are_not_hoarded() -> None:
    """A day without trouble does not earn a storm at its end."""
    health = Health(patience=300)
    for _ in range(100_000):
        health.answered()
    assert health.is_at_its_best

    assert sum(health.may_try_again() for _ in range(1000)) == 50
    assert not health.is_at_its_best


def test_ten_troubles_in_a_row_are_an_outage() -> None:
    """Ten troubles in a row, and not nine, are an outage; an answer between them is none."""
    health = Health(patience=300)
    for _ in range(9):
        health.troubled(1.0)
    health.answered()
    for _ in range(9):
        health.troubled(2.0)
    assert health.down_since is None

    health.troubled(3.0)
    health.troubled(4.0)

    assert health.down_since == 3.0


def test_probes_come_at_growing_intervals_within_patience() -> None:
    """Probes are 1, 2, 4 ... 30 seconds apart, and the last is when patience ends."""
    health = Health(patience=100)
    now = 0.0
    health.out(now)
    waits = []
    while not health.is_hopeless(now):
        waits.append(health.next_probe(now))
        now += waits[-1]

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 9.0]
    assert now == 100.0


def test_answer_ends_an_outage() -> None:
    """An answer ends the outage, and the next one begins with short intervals."""
    health = Health(patience=100)
    health.out(0.0)
    health.next_probe(0.0)
    health.answered()
    assert (health.down_since, health.is_hopeless(1000.0)) == (None, False)

    health.out(2000.0)

    assert health.next_probe(2000.0) == 1.0


def test_six_foreign_responses_in_a_row_are_an_outage() -> None:
    """Six responses in a row that are not from the API are an outage, and not five."""
    health = Health(patience=300)
    health.answered()
    for _ in range(5):
        health.troubled(1.0, is_foreign=True)
    health.answered()
    for _ in range(5):
        health.troubled(2.0, is_foreign=True)
    assert health.down_since is None

    health.troubled(3.0, is_foreign=True)

    assert health.down_since == 3.0


@pytest.mark.parametrize(
    ("has_answered", "is_foreign", "patience", "expected"),
    [
        (False, True, 300.0, 15.0),
        (True, True, 300.0, 300.0),
        (False, False, 300.0, 300.0),
        (False, True, 10.0, 10.0),
    ],
)
def test_another_service_from_the_beginning_is_not_waited_out_for_long(
    has_answered: bool, is_foreign: bool, patience: float, expected: float
) -> None:
    """If the API never answered but something else did, patience is 15 seconds at most."""
    health = Health(patience=patience)
    if has_answered:
        health.answered()
    for _ in range(10):
        health.troubled(0.0, is_foreign=is_foreign)

    assert [health.is_hopeless(now) for now in (expected - 0.1, expected)] == [False, True]


def test_refusals_alone_are_hopeless_in_the_end() -> None:
    """A service that refuses all there is for as long as one waits is given up, too."""
    health = Health(patience=100)
    health.refused(10.0)
    health.refused(60.0)

    assert [health.is_hopeless(now) for now in (109.0, 110.0)] == [False, True]

    health.answered()
    assert health.is_hopeless(1000.0) is False


@given(st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(1, 200)), max_size=10))
def test_at_its_best_an_answer_changes_nothing(
    happenings: list[tuple[Callable[[Health, float], object], int]],
) -> None:
    """Whatever happened before, where it is at its best nobody needs to tell it of an answer."""
    health = Health(patience=300)
    for now, (happen, times) in enumerate(happenings, 1):
        for _ in range(times):
            happen(health, now)
        after = copy(health)
        after.answered()
        assert health == after or not health.is_at_its_best
