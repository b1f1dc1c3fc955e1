"""The lease: whether this worker may still change tokens.

The problem. A worker that is stopped, suspended or cut off from the store looks dead, so another
one takes its work over. If the first one wakes up, it would change tokens a second time. It cannot
ask the store before each change: that costs a query for each token, and the response is old when
it arrives.

The approach is the lease of Gray and Cheriton (1989), as in Chubby (Burrows, 2006), with fencing:

- A heartbeat is confirmed by the store. The lease counts from the time at which it was *sent*, by
  the clock of this process. `may_change` is false once that was `Timing.lease` ago. The check costs
  a reading of the clock.
- Another worker takes over only after it has seen no new heartbeat for `Timing.dead_after`, by its
  own clock. It saw the last one after it was sent, so the two spans need no common clock. Only the
  rate of the two clocks matters, and `Timing` requires a margin that is far larger than any drift.
- The one that takes over first *fences* the worker: it marks the row of that boot, if no heartbeat
  has arrived since. The store decides whether the heartbeat or the fence came first. A heartbeat of
  a fenced boot fails, and the lease of that boot is lost for good. A lease that is only late, as
  after an outage of the store, is held again after the next heartbeat: nobody has taken over.

Clocks. `time.monotonic` does not count the time that a machine is suspended, on Linux and macOS.
So the steady clock here is CLOCK_BOOTTIME, or on macOS CLOCK_MONOTONIC, which count it. A paused
virtual machine may not count the pause on any of them, but corrects the time of day later. So the
lease is late as soon as one of the two clocks says it: a wrong clock costs time, never safety.

Heartbeats come from a thread of their own, because a busy event loop is no reason to lose a lease.
A thread alone would keep the lease of a process whose event loop hangs. So it asks the event loops
for a sign of life, and stops the heartbeats if one shows none for `Timing.hung_after`. That span is
longer than the lease, because a slow event loop has not failed.

What cannot be guaranteed. A worker can be stopped between the check and the request, or the request
can be delayed in the network. Such a request arrives after another worker took over. Only the API
could refuse it, with a fencing token (Kleppmann, 2016), and it has none. Three things limit the
damage: the pools check again directly before the system call, and limit the time that a request
spends in the kernel (`send_permission`); the margin between `lease` and `dead_after`; and the work
that is taken over counts as in doubt. So each token is read and compared with the plan before it is
changed again.

Rejected: asking the store before each change (a query for each token, and the same gap); the
expiry time of a row by the clock of the database (a step of that clock ends valid leases); a lock
that a connection holds (a stopped process keeps its connection, and a proxy can keep it, too);
heartbeats in the event loop (a long computation loses the lease).
"""

import time
from collections.abc import Callable
from typing import Literal

from attrs import frozen

from losant_tokens.fleet._errors import FleetError

LeaseState = Literal["held", "late", "lost"]
"""The state of a lease.

held: Tokens may be changed.
late: No heartbeat was confirmed in time. Nothing may be changed until one is.
lost: Another worker takes over, or the lease was released. Only a new registration gets a lease.
"""

_MIN_HEARTBEATS = 2  # in the span of a lease. One may fail without consequences.
_MIN_MARGIN = 1.2  # A clock that is wrong by 20% is broken.


class LeaseLost(FleetError):  # noqa: N818 -- "Lost" is the point of the name
    """Another worker has taken over the work of this one, so this one may change nothing."""


@frozen(kw_only=True)
class Timing:
    """The time spans of leases, in seconds. All workers of a fleet must use the same ones.

    Attributes:
        heartbeat: The time between two heartbeats.
        lease: How long a worker may change tokens after it sent the last confirmed heartbeat.
        dead_after: How long another worker sees no heartbeat before it takes over.
        watch: The time between two rounds of the watchdog.
        scan: The time between two searches for work that belongs to no live worker.
        hung_after: How long an event loop may show no sign of life before the heartbeats stop.
    """

    heartbeat: float = 1.0
    lease: float = 5.0
    dead_after: float = 10.0
    watch: float = 2.0
    scan: float = 10.0
    hung_after: float = 60.0

    def __attrs_post_init__(self) -> None:
        if not 0 < self.heartbeat * _MIN_HEARTBEATS <= self.lease:
            raise ValueError(
                f"lease must be at least {_MIN_HEARTBEATS} times heartbeat, but lease is "
                f"{self.lease:g} s and heartbeat is {self.heartbeat:g} s"
            )
        if self.dead_after < self.lease * _MIN_MARGIN:
            raise ValueError(
                f"dead_after must be at least {_MIN_MARGIN:g} times lease, but dead_after is "
                f"{self.dead_after:g} s and lease is {self.lease:g} s"
            )


@frozen
class Reading:
    """A reading of two clocks, in seconds.

    Attributes:
        steady: A clock that never steps back, and counts the time that the machine is suspended.
        wall: The time of day since 1970.
    """

    steady: float
    wall: float

    def seconds_since(self, earlier: "Reading") -> float:
        """Return the elapsed time, by the clock that shows more."""
        return max(self.steady - earlier.steady, self.wall - earlier.wall)


Clock = Callable[[], Reading]

# macOS has no CLOCK_BOOTTIME, and its CLOCK_MONOTONIC counts the time that it sleeps.
_STEADY: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def read_clocks() -> Reading:
    """Return a reading of the clocks of this machine."""
    steady = time.monotonic() if _STEADY is None else time.clock_gettime(_STEADY)
    return Reading(steady, time.time())


class Lease:
    """The lease of one boot of a worker. All methods may be called from any thread.

    Args:
        sent: The time before the registration was sent. It counts as the first heartbeat.
        timing: The time spans.
        clock: The clocks. Default: those of this machine.
    """

    def __init__(self, sent: Reading, timing: Timing, clock: Clock = read_clocks) -> None:
        self._sent = sent
        self._timing = timing
        self._clock = clock
        self._is_lost = False

    def confirm(self, sent: Reading) -> None:
        """Extend the lease after a confirmed heartbeat. A lost lease stays lost.

        Args:
            sent: The time before the heartbeat was sent.
        """
        self._sent = sent

    def lose(self) -> None:
        """End the lease for good."""
        self._is_lost = True

    @property
    def state(self) -> LeaseState:
        """The state of the lease now."""
        if self._is_lost:
            return "lost"
        return "held" if self.seconds_since_heartbeat < self._timing.lease else "late"

    @property
    def seconds_since_heartbeat(self) -> float:
        """The time since the last confirmed heartbeat was sent."""
        return self._clock().seconds_since(self._sent)

    def may_change(self) -> bool:
        """Return whether this worker may send a change now. It never waits."""
        return self.state == "held"


@frozen(kw_only=True)
class Heartbeat:
    """The last heartbeat of a worker that a watchdog has seen."""

    boot: str
    """The boot of the worker, which is different after each start."""
    beats: int
    """The number of its heartbeats."""


@frozen
class _Silence:
    heartbeat: Heartbeat
    seconds: float


class SilenceObserver:
    """Measure by our own clock how long each worker has sent no heartbeat.

    The clock of the database plays no part, because it can step. A span counts only if we looked
    at its start and at its end: if we were stopped, or the store could not be reached, the workers
    could not show that they are alive. So each look counts at most `longest_gap`.

    Args:
        longest_gap: The longest span between two looks that counts, in seconds.
    """

    def __init__(self, longest_gap: float) -> None:
        self._longest_gap = longest_gap
        self._looked_at: float | None = None
        self._silences: dict[str, _Silence] = {}

    def look(self, heartbeats: dict[str, Heartbeat], steady: float) -> None:
        """Compare the heartbeats with those of the look before.

        Args:
            heartbeats: The last heartbeat of each live worker, by its id.
            steady: The steady clock, read after the store has sent the heartbeats.
        """
        gap = 0.0 if self._looked_at is None else steady - self._looked_at
        counted = min(gap, self._longest_gap)
        self._looked_at = steady
        self._silences = {
            worker: _Silence(heartbeat, self._silence_of(worker, heartbeat, counted))
            for worker, heartbeat in heartbeats.items()
        }

    def _silence_of(self, worker: str, heartbeat: Heartbeat, gap: float) -> float:
        before = self._silences.get(worker)
        same = before is not None and before.heartbeat == heartbeat
        return before.seconds + gap if before is not None and same else 0.0

    def seconds_silent(self, worker: str) -> float:
        """Return how long a worker was seen to send no heartbeat, in seconds."""
        silence = self._silences.get(worker)
        return silence.seconds if silence is not None else 0.0

    def silent_for(self, seconds: float) -> dict[str, Heartbeat]:
        """Return the workers that were silent for some time, with their last heartbeats."""
        return {
            worker: silence.heartbeat
            for worker, silence in self._silences.items()
            if silence.seconds >= seconds
        }
