"""A worker and its state in the store."""

from datetime import datetime
from typing import Literal

from attrs import field, frozen

from losant_tokens.fleet._workers.lease import Heartbeat

WorkerState = Literal["live", "released", "fenced"]
"""The state of a worker.

live: It sends heartbeats, or nobody has found yet that it does not.
released: It stopped, and gave its work back.
fenced: Another worker saw no heartbeat, and took its work over.
"""


@frozen(kw_only=True)
class Worker:
    """A worker in the store."""

    id: str
    """The id, which is the same after each start."""
    state: WorkerState
    """`live`, `released` or `fenced`."""
    host: str
    """The name of its machine."""
    process: int
    """The id of its process."""
    version: str
    """The version of losant-tokens."""
    started_at: datetime
    """When the worker was started, by the clock of the database."""
    heartbeat_at: datetime
    """When its last heartbeat arrived, by the clock of the database."""
    ended_at: datetime | None = None
    """When the worker was released or fenced; `None` if it is live."""
    orphans: tuple[str, ...] = ()
    """The work that the worker still held when it found that it was fenced."""
    heartbeat: Heartbeat = field(repr=False)
    """The last heartbeat: the boot of the worker, and the number of its heartbeats."""
    place: str = field(default="", repr=False)
    """The lock file of the worker on its machine."""


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
