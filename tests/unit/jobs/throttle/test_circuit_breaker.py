"""When to try again, when to wait, and when to give up."""

import pytest

from losant_tokens.jobs._throttle.circuit_breaker import CircuitBreaker


def test_further_tries_are_a_tenth_of_what_is_not_answered() -> None:
    """Further tries are ten, and one for every ten requests that are not answered."""
    circuit = CircuitBreaker(patience=300)
    for number in range(100):
        circuit.record_failure(number)

    taken = sum(circuit.take_retry() for _ in range(1000))

    assert 19 <= taken <= 20


def test_answers_earn_further_tries() -> None:
    """While most is answered, one in five may fail, and be tried again, for as long as it goes."""
    circuit = CircuitBreaker(patience=300)
    for number in range(10_000):
        if number % 5:
            circuit.record_response()
        else:
            circuit.record_failure(number)
            assert circuit.take_retry()


def test_further_tries_are_not_hoarded() -> None:
    """A day without trouble does not earn a storm at its end."""
    circuit = CircuitBreaker(patience=300)
    for _ in range(100_000):
        circuit.record_response()

    assert sum(circuit.take_retry() for _ in range(1000)) == 50


def test_ten_troubles_in_a_row_are_an_outage() -> None:
    """Ten troubles in a row, and not nine, are an outage; an answer between them is none."""
    circuit = CircuitBreaker(patience=300)
    for _ in range(9):
        circuit.record_failure(1.0)
    circuit.record_response()
    for _ in range(9):
        circuit.record_failure(2.0)
    assert circuit.open_since is None

    circuit.record_failure(3.0)
    circuit.record_failure(4.0)

    assert circuit.open_since == 3.0


def test_probes_come_at_growing_intervals_within_patience() -> None:
    """Probes are 1, 2, 4 ... 30 seconds apart, and the last is when patience ends."""
    circuit = CircuitBreaker(patience=100)
    now = 0.0
    circuit.open(now)
    waits = []
    while not circuit.is_out_of_patience(now):
        waits.append(circuit.next_probe(now))
        now += waits[-1]

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 9.0]
    assert now == 100.0


def test_answer_ends_an_outage() -> None:
    """An answer ends the outage, and the next one begins with short intervals."""
    circuit = CircuitBreaker(patience=100)
    circuit.open(0.0)
    circuit.next_probe(0.0)
    circuit.record_response()
    assert (circuit.open_since, circuit.is_out_of_patience(1000.0)) == (None, False)

    circuit.open(2000.0)

    assert circuit.next_probe(2000.0) == 1.0


def test_six_foreign_responses_in_a_row_are_an_outage() -> None:
    """Six responses in a row that are not from the API are an outage, and not five."""
    circuit = CircuitBreaker(patience=300)
    circuit.record_response()
    for _ in range(5):
        circuit.record_failure(1.0, is_foreign=True)
    circuit.record_response()
    for _ in range(5):
        circuit.record_failure(2.0, is_foreign=True)
    assert circuit.open_since is None

    circuit.record_failure(3.0, is_foreign=True)

    assert circuit.open_since == 3.0


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
    circuit = CircuitBreaker(patience=patience)
    if has_answered:
        circuit.record_response()
    for _ in range(10):
        circuit.record_failure(0.0, is_foreign=is_foreign)

    assert [circuit.is_out_of_patience(now) for now in (expected - 0.1, expected)] == [False, True]


def test_refusals_alone_are_hopeless_in_the_end() -> None:
    """A service that refuses all there is for as long as one waits is given up, too."""
    circuit = CircuitBreaker(patience=100)
    circuit.record_rate_limit(10.0)
    circuit.record_rate_limit(60.0)

    assert [circuit.is_out_of_patience(now) for now in (109.0, 110.0)] == [False, True]

    circuit.record_response()
    assert circuit.is_out_of_patience(1000.0) is False
