"""A worker, as the store knows it."""

from datetime import datetime
from typing import Literal

from attrs import field, frozen

from losant_tokens.fleet._lease import Heartbeat

WorkerState = Literal["live", "released", "fenced"]
"""The state of a worker.

live: It sends heartbeats, or nobody has found yet that it does not.
released: It stopped, and gave its work back.
fenced: Another worker saw no heartbeat, and took its work over.
"""


@frozen(kw_only=True)
class Worker:
    """A worker in the store.

    Attributes:
        id: The id, which is the same after each start.
        state: `live`, `released` or `fenced`.
        host: The name of its machine.
        process: The id of its process.
        version: The version of losant-tokens.
        started_at: When it was started, by the clock of the database.
        heartbeat_at: When its last heartbeat arrived, by the clock of the database.
        ended_at: When it was released or fenced; `None` if it is live.
        orphans: The work that it still held when it found that it was fenced.
        heartbeat: The boot, and the number of heartbeats.
        place: The lock file of the worker on its machine.
    """

    id: str
    state: WorkerState
    host: str
    process: int
    version: str
    started_at: datetime
    heartbeat_at: datetime
    ended_at: datetime | None = None
    orphans: tuple[str, ...] = ()
    heartbeat: Heartbeat = field(repr=False)
    place: str = field(default="", repr=False)


@frozen(kw_only=True)
class Boot:
    """A start of a worker, to be registered.

    Attributes:
        id: The id of the worker.
        nonce: A random string for this start.
        place: The lock file that the process holds.
        host: The name of the machine.
        process: The id of the process.
        version: The version of losant-tokens.
    """

    id: str
    nonce: str
    place: str
    host: str
    process: int
    version: str
