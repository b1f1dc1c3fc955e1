"""The rate limit of the fake, which responds with 429 to the requests above it."""

import math
import time
from collections import deque
from collections.abc import Callable

from attrs import define, field


@define(eq=False)
class RateLimit:
    """A sliding window: it admits a number of requests in any period of one length.

    Refused requests do not count. The caller holds the lock.
    """

    per_second: float
    retry_after: float | None = None
    clock: Callable[[], float] = time.monotonic
    _seen: deque[float] = field(factory=deque, init=False)

    @property
    def max_requests(self) -> int:
        """The maximum number of requests in a window.

        A rate below one request per second makes the window longer than one second.
        """
        return max(1, math.floor(self.per_second))

    def admits(self) -> bool:
        """Return whether a request is within the limit, and count it if so."""
        now = self.clock()
        window = self.max_requests / self.per_second
        while self._seen and self._seen[0] <= now - window:
            self._seen.popleft()
        if len(self._seen) >= self.max_requests:
            return False
        self._seen.append(now)
        return True
