"""The circuit breaker: outages, probes and the retry budget."""

import pytest

from losant_tokens.jobs._throttle.circuit_breaker import CircuitBreaker


def test_budget_in_an_outage() -> None:
    """In an outage, the budget is ten retries, and one more for every ten failures."""
    circuit = CircuitBreaker(patience=300)
    for number in range(100):
        circuit.record_failure(number)

    taken = sum(circuit.take_retry() for _ in range(1000))

    assert 19 <= taken <= 20


def test_responses_earn_retries() -> None:
    """If one request in five fails, every failure can be retried."""
    circuit = CircuitBreaker(patience=300)
    for number in range(10_000):
        if number % 5:
            circuit.record_response()
        else:
            circuit.record_failure(number)
            assert circuit.take_retry()


def test_budget_has_a_maximum() -> None:
    """The budget never exceeds 50 retries."""
    circuit = CircuitBreaker(patience=300)
    for _ in range(100_000):
        circuit.record_response()

    assert sum(circuit.take_retry() for _ in range(1000)) == 50


def test_ten_failures_in_a_row_open_the_circuit() -> None:
    """Ten failures in a row open the circuit, and a response between them resets the count."""
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


def test_probe_intervals_grow() -> None:
    """Probes are 1, 2, 4 ... 30 seconds apart, and the last one is when patience ends."""
    circuit = CircuitBreaker(patience=100)
    now = 0.0
    circuit.open(now)
    waits = []
    while not circuit.is_out_of_patience(now):
        waits.append(circuit.next_probe(now))
        now += waits[-1]

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 9.0]
    assert now == 100.0


def test_response_closes_the_circuit() -> None:
    """A response closes the circuit, and the next outage starts with short intervals."""
    circuit = CircuitBreaker(patience=100)
    circuit.open(0.0)
    circuit.next_probe(0.0)
    circuit.record_response()
    assert (circuit.open_since, circuit.is_out_of_patience(1000.0)) == (None, False)

    circuit.open(2000.0)

    assert circuit.next_probe(2000.0) == 1.0


def test_six_foreign_responses_in_a_row_open_the_circuit() -> None:
    """Six responses in a row that are not from the API open the circuit."""
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
def test_patience_is_short_if_the_api_never_responded(
    has_answered: bool, is_foreign: bool, patience: float, expected: float
) -> None:
    """If another service has responded, but never the API, patience is up to 15 seconds."""
    circuit = CircuitBreaker(patience=patience)
    if has_answered:
        circuit.record_response()
    for _ in range(10):
        circuit.record_failure(0.0, is_foreign=is_foreign)

    assert [circuit.is_out_of_patience(now) for now in (expected - 0.1, expected)] == [False, True]


def test_patience_with_a_rate_limit_ends() -> None:
    """If every request gets a 429 for as long as `patience`, patience is over."""
    circuit = CircuitBreaker(patience=100)
    circuit.record_rate_limit(10.0)
    circuit.record_rate_limit(60.0)

    assert [circuit.is_out_of_patience(now) for now in (109.0, 110.0)] == [False, True]

    circuit.record_response()
    assert circuit.is_out_of_patience(1000.0) is False
