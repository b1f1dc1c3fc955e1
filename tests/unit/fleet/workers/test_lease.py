"""The lease: a worker that another one may have replaced changes nothing."""

import time

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens.fleet._workers.lease import (
    Heartbeat,
    Lease,
    LeaseState,
    Reading,
    SilenceObserver,
    Timing,
    read_clocks,
)
from tests.support.fleet_workers import MemoryStore, SimulatedWorker

TIMING = Timing(heartbeat=1, lease=5, dead_after=10, watch=2, scan=10)
STEP = 0.5  # seconds
WORKERS = 3
DURATION = st.floats(1, 40)

EVENT = st.tuples(
    st.integers(0, 120),  # the time, in seconds
    st.sampled_from(["stop", "suspend", "cut off", "delay", "outage", "restart", "clock", "scan"]),
    st.integers(0, WORKERS - 1),
    DURATION,
)


def _happen(event: str, one: SimulatedWorker, seconds: float, now: float) -> None:
    if event == "stop":
        one.stopped_until = max(one.stopped_until, now + seconds)
    elif event == "suspend":
        # Some machines do not count this time on the steady clock.
        one.stopped_until = max(one.stopped_until, now + seconds)
        one.clocks.steady_lag += seconds * one.clocks.rate
    elif event == "cut off":
        one.cut_off_until = now + seconds
    elif event == "delay":
        one.delay = seconds / 4
    elif event == "clock":
        one.clocks.wall_error += seconds if one.stopped_until <= now else 0
    elif event == "restart" and not one.store.is_down and now >= one.cut_off_until:
        one.stopped_until = 0
        one.start()


@given(
    events=st.lists(EVENT, max_size=25),
    rates=st.lists(st.floats(0.95, 1.05), min_size=WORKERS, max_size=WORKERS),
)
def test_two_workers_never_change_the_same_tokens(
    events: list[tuple[int, str, int, float]], rates: list[float]
) -> None:
    """With stops, outages, slow networks and wrong clocks, one worker at most may do each work."""
    store = MemoryStore()
    store.owners = dict.fromkeys(["v", "w", "x", "y"])
    workers = [
        SimulatedWorker(name, store, TIMING, rate) for name, rate in zip("abc", rates, strict=True)
    ]
    outage_until = 0.0
    for number in range(int(160 / STEP)):
        now = number * STEP
        for _, event, index, seconds in (one for one in events if one[0] == now):
            if event == "outage":
                outage_until = now + seconds
            _happen(event, workers[index], seconds, now)
        store.is_down = now < outage_until
        for one in workers[number % WORKERS :] + workers[: number % WORKERS]:
            one.step(now)
        for workflow in store.owners:
            able = [one.id for one in workers if workflow in one.work and one.lease.may_change()]
            owner = store.owners[workflow]
            assert able in ([], [owner]), f"{able} may work on {workflow} of {owner} at {now}"


@pytest.mark.parametrize(
    ("steady", "wall", "state"),
    [
        (4.9, 4.9, "held"),
        (5.0, 4.0, "late"),
        (1.0, 5.0, "late"),  # A suspended machine, whose steady clock does not count.
        (1.0, -60.0, "held"),  # The time of day was corrected.
    ],
)
def test_state_of_a_lease(steady: float, wall: float, state: LeaseState) -> None:
    """A lease is late if one of the two clocks says so, and only a held one allows a change."""
    lease = Lease(Reading(100, 2000), TIMING, lambda: Reading(100 + steady, 2000 + wall))
    assert (lease.state, lease.may_change()) == (state, state == "held")


def test_late_lease_and_lost_lease() -> None:
    """A heartbeat makes a late lease valid again, from the time it was sent. A lost one is lost."""
    now = Reading(10, 10)
    lease = Lease(Reading(0, 0), TIMING, lambda: now)
    assert not lease.may_change()
    lease.confirm(Reading(8, 8))
    assert (lease.state, lease.seconds_since_heartbeat) == ("held", 2)
    lease.lose()
    lease.confirm(Reading(10, 10))
    assert not lease.may_change()
    assert (lease.state,) == ("lost",)


def test_silence_counts_only_while_we_look() -> None:
    """A watchdog that was stopped, or had no store, gives the others their time to show up."""
    observer, beat = SilenceObserver(longest_gap=4), Heartbeat(boot="1", beats=3)
    for steady in (0.0, 2.0, 60.0):
        observer.look({"a": beat, "b": Heartbeat(boot="1", beats=int(steady))}, steady)
    assert observer.seconds_silent("a") == 6
    assert observer.silent_for(6) == {"a": beat}
    observer.look({"a": attrs.evolve(beat, boot="2")}, 61.0)
    assert (observer.seconds_silent("a"), observer.seconds_silent("b")) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heartbeat": 3.0}, "lease must be at least 2 times heartbeat, but lease is 5 s"),
        ({"heartbeat": 0.0}, "heartbeat is 0 s"),
        ({"lease": 9.0}, "dead_after must be at least 1.2 times lease, but dead_after is 10 s"),
    ],
)
def test_unsafe_timing(changes: dict[str, float], message: str) -> None:
    """A lease that is not clearly shorter than the wait of the watchdog is refused."""
    with pytest.raises(ValueError, match="must be at least") as caught:
        Timing(**changes)
    assert message in str(caught.value)


def test_clocks_of_this_machine() -> None:
    """The clocks are a steady one and the time of day."""
    before, wall = read_clocks(), time.time()
    after = read_clocks()
    assert before.steady <= after.steady
    assert before.wall <= wall <= after.wall
