"""The states of the tokens of a plan."""

from datetime import UTC, datetime

import pytest

from losant_tokens.jobs import Outcome
from losant_tokens.jobs._token_progress import INTENDED, UNTOUCHED, States

CHANGED_AT = datetime(2026, 3, 1, tzinfo=UTC)


def states_of(*states: str) -> States:
    """The states of a plan with these states."""
    all_states = States.of(len(states))
    for number, state in enumerate(states):
        all_states.record(number, state)
    return all_states


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (UNTOUCHED, None),
        (INTENDED, Outcome.UNKNOWN),
        *((outcome.value, outcome) for outcome in Outcome),
    ],
)
def test_outcome(state: str, outcome: Outcome | None) -> None:
    """Each state has its outcome, and an intended token an unknown one."""
    assert states_of(state).outcome(0) is outcome


def test_counts() -> None:
    """Intended tokens are counted as unknown, and untouched ones are not counted."""
    counts = states_of(UNTOUCHED, INTENDED, "unknown", "done", "done").counts()

    assert counts == dict.fromkeys(Outcome, 0) | {Outcome.UNKNOWN: 2, Outcome.DONE: 2}


@pytest.mark.parametrize("attribute", ["errors", "changed_at"])
def test_record_replaces_the_earlier_details(attribute: str) -> None:
    """A new state of a token replaces its error and its time of change, and no others."""
    states = States.of(3)
    for number in (0, 1):
        states.record(number, "failed", "no response", CHANGED_AT)

    states.record(0, "done")

    assert list(getattr(states, attribute)) == [1]


@pytest.mark.parametrize("number", [-1, 3])
def test_record_of_another_number(number: int) -> None:
    """A number that the plan does not have raises an error."""
    with pytest.raises(IndexError):
        States.of(3).record(number, "done")


def test_record_of_another_state() -> None:
    """A state that does not exist raises an error."""
    with pytest.raises(KeyError):
        States.of(3).record(0, "gnoe")


@pytest.mark.parametrize(
    ("state", "is_unfinished", "is_unfinished_to_retry"),
    [
        (UNTOUCHED, True, True),
        (INTENDED, True, True),
        ("unknown", True, True),
        ("failed", False, True),
        ("done", False, False),
        ("gone", False, False),
        ("changed", False, False),
        ("protected", False, False),
    ],
)
def test_has_unfinished(state: str, is_unfinished: bool, is_unfinished_to_retry: bool) -> None:
    """A failed token is unfinished only if failed tokens are retried."""
    states = states_of("done", state, "done")

    assert states.has_unfinished() is is_unfinished
    assert states.has_unfinished(retry_failed=True) is is_unfinished_to_retry


@pytest.mark.parametrize(
    ("first", "count", "expected"),
    [(0, 2, [None, True]), (1, 2, [True, False]), (2, 9, [False, None])],
)
def test_in_doubt(first: int, count: int, expected: list[bool | None]) -> None:
    """Intended tokens are in doubt, untouched ones are not, and finished ones are `None`."""
    assert states_of("done", INTENDED, UNTOUCHED, "failed").in_doubt(first, count) == expected


def test_failed_tokens_to_retry_are_not_in_doubt() -> None:
    """A failed token that is retried is not in doubt."""
    assert states_of("failed").in_doubt(0, 1, retry_failed=True) == [False]
