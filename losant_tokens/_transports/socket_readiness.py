"""Whether the kernel has data for a socket, asked without reading it.

A look takes a microsecond, where one through anyio's attributes takes ten. It is made up to three
times for each request.
"""

import select
import sys
from collections.abc import Callable
from typing import Any


def readiness(socket: Any) -> Callable[[], bool]:
    """Return a function that says whether a socket has data, has ended, or is closed.

    Args:
        socket: One of Python's sockets, or what an event loop gives out for it.
    """
    number = socket.fileno
    descriptor = number()
    if sys.platform == "win32":  # which has no poll
        return lambda: number() != descriptor or bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    look = poll.poll
    return lambda: number() != descriptor or bool(look(0))
