"""The set of ids that were listed: exact, and small for a sorted list."""

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from losant_tokens._complete_listing.seen_ids import SeenIds

IDS = st.one_of(
    st.integers(0, 300).map(lambda number: f"{number:024x}"),
    st.integers(0, 300).map(lambda number: f"{number << 80:024X}"),
    st.text(max_size=2),
    st.just("\ud800"),
)


@given(st.lists(IDS, max_size=400))
def test_same_results_as_a_set(ids: list[str]) -> None:
    """`add` returns the same as for a set of strings in lower case."""
    seen, expected = SeenIds(), set[str]()
    for one in ids:
        assert seen.add(one) is (one.lower() not in expected)
        expected.add(one.lower())

    assert len(seen) == len(expected)


@given(st.lists(IDS, unique_by=str.lower), st.randoms())
def test_fingerprint_ignores_the_order(ids: list[str], order: random.Random) -> None:
    """Sets of the same ids have the same fingerprint."""
    one, other = SeenIds(), SeenIds()
    for token_id in ids:
        one.add(token_id)
    shuffled = ids[:]
    order.shuffle(shuffled)
    for token_id in shuffled:
        other.add(token_id)

    assert one.fingerprint == other.fingerprint


@given(st.lists(IDS))
def test_fingerprint_of_different_sets(ids: list[str]) -> None:
    """A set with one more id has another fingerprint."""
    one, other = SeenIds(), SeenIds()
    for token_id in ids:
        one.add(token_id)
        other.add(token_id)
    other.add("another")

    assert one.fingerprint != other.fingerprint


def test_ids_in_any_order() -> None:
    """Thirty thousand ids in random order are found again."""
    ids = [f"{number * 7919:024x}" for number in range(30_000)]
    random.Random(1).shuffle(ids)
    seen = SeenIds()

    assert all(map(seen.add, ids))
    assert not any(map(seen.add, ids))


def test_memory_of_sorted_ids() -> None:
    """Thirty thousand sorted ids take less than 15 bytes each."""
    ids = [f"{number * 7919:024x}" for number in range(30_000)]
    tracemalloc.start()
    try:
        seen = SeenIds()
        assert all(map(seen.add, ids))
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert size < 15 * len(ids)
