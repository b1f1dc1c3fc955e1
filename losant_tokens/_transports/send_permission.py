"""The permission to send a request, which is asked directly before its bytes are written.

The problem: a worker of a fleet may change a token only while it has its lease. A process can be
suspended for any time, even between that question and the request: in between, the event loop runs
other tasks, and a connection is opened. After it wakes up, another worker may have changed the
token.

The approach: a job asks once before it records its intent. The pools ask again, in the same task,
directly before each write. A write can wait inside a library, for the lock of a TLS connection or
for space in a buffer, so `ask_at_each_step` asks again whenever the write continues. Nothing else
of this process runs between the last question and the system call, except other threads. If the
permission is gone, the write fails as if the network had failed, so the job reads the token and
asks again. Of a request with a body, the body is the last write, and a server ignores a request
without its body.

The kernel is the second place in which a request can wait: if the network is down, it sends the
bytes again for up to 15 minutes, even after the process has closed the connection. So a connection
that carries such a request gives up after `MAX_SECONDS_IN_KERNEL` (RFC 5482; Linux only).

What is left: the process can be suspended in the microseconds between the last question and the
system call. With uvloop, which writes at the end of an iteration, it is an iteration; a fleet runs
its tasks on the event loop of asyncio. A machine can be suspended with bytes in its kernel. And a
router can delay a packet.

Source: "How to do distributed locking" by Martin Kleppmann (2016), which shows that a lease cannot
exclude that time. Only the server could, with a fencing token, and the API has none.

Rejected: an argument through all layers of a call, because only one kind of job needs it.
"""

import socket
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

_MAY_SEND: ContextVar[Callable[[], bool] | None] = ContextVar("losant_tokens_may_send")

WITHDRAWN = "the permission to change tokens was withdrawn before the request was sent"
"""The message of the failed write."""

MAX_SECONDS_IN_KERNEL: Final = 3.0
"""How long the kernel may try to send a request, in seconds.

It is less than the margin between the lease of a worker and the time at which others take over.
"""

_TCP_USER_TIMEOUT: Final[int | None] = getattr(socket, "TCP_USER_TIMEOUT", None)


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


def is_asked() -> bool:
    """Return whether the requests of this task need a permission."""
    return _MAY_SEND.get(None) is not None


def is_withdrawn() -> bool:
    """Return whether this task has lost the permission to send."""
    may_send = _MAY_SEND.get(None)
    return may_send is not None and not may_send()


def limit_time_in_kernel(connection: Any) -> None:
    """Let the kernel give up on a connection whose data does not arrive in time.

    Args:
        connection: The socket, or the object that an event loop provides in its place.
    """
    if _TCP_USER_TIMEOUT is not None:
        # A connection that is closed already, or that is not a TCP connection, refuses the option.
        with suppress(OSError):
            milliseconds = int(MAX_SECONDS_IN_KERNEL * 1000)
            connection.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, milliseconds)


class AskAtEachStep(Awaitable[None]):
    """A write that asks for the permission again whenever it continues after a wait.

    Args:
        write: The write, which has not begun. The caller has just asked for the permission.
        refusal: Returns the error to raise in the write if the permission is gone.
    """

    def __init__(self, write: Coroutine[Any, Any, None], refusal: Callable[[], Exception]) -> None:
        self._write = write
        self._refusal = refusal

    def __await__(self) -> Generator[Any, Any, None]:
        """Run the write step by step, as the event loop would."""
        proceed: Callable[[], Any] = partial(self._write.send, None)
        while True:
            try:
                awaited = proceed()
            except StopIteration:
                return
            try:
                value = yield awaited
            except BaseException as error:  # noqa: BLE001 -- the write handles a cancellation
                proceed = partial(self._write.throw, error)
            else:
                if is_withdrawn():
                    proceed = partial(self._write.throw, self._refusal())
                else:
                    proceed = partial(self._write.send, value)
