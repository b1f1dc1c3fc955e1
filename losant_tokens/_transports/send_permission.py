"""The permission to send a request, which is asked directly before its bytes are written.

The problem: a worker of a fleet may change a token only while it has its lease. A process can be
suspended for any time, also between that question and the request: in between, the event loop runs
other tasks, and a connection is opened. After it wakes up, another worker may have changed the
token.

The approach: a job asks once before it records its intent. The pools ask again, in the same task,
directly before each write. If the permission is gone, the write fails as if the network had failed,
so the job reads the token and asks again. What is left is the time in which the operating system
takes the bytes.

Source: "How to do distributed locking" by Martin Kleppmann (2016), which shows that a lease cannot
exclude that time. Only the server could, with a fencing token, and the API has none.

Rejected: an argument through all layers of a call, because only one kind of job needs it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_MAY_SEND: ContextVar[Callable[[], bool] | None] = ContextVar("losant_tokens_may_send")

WITHDRAWN = "the permission to change tokens was withdrawn before the request was sent"
"""The message of the failed write."""


@contextmanager
def ask_before_sending(may_send: Callable[[], bool]) -> Iterator[None]:
    """Ask before each write of the requests that this task sends.

    Args:
        may_send: Returns whether the request may be sent.
    """
    token = _MAY_SEND.set(may_send)
    try:
        yield
    finally:
        _MAY_SEND.reset(token)


def is_withdrawn() -> bool:
    """Return whether this task has lost the permission to send."""
    may_send = _MAY_SEND.get(None)
    return may_send is not None and not may_send()
