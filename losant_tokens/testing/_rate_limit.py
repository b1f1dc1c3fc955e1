"""The pace that the fake bears before it answers 429."""

import math
import time
from collections import deque
from collections.abc import Callable

from attrs import define, field


@define(eq=False)
class RateLimit:
    """A sliding window: it admits a number of requests in any span of time of one length.

    Refused requests do not count. The caller holds the lock.
    """

    per_second: float
    retry_after: float | None = None
    clock: Callable[[], float] = time.monotonic
    _seen: deque[float] = field(factory=deque, init=False)

    @property
    def most(self) -> int:
        """How many requests the window takes; for less than one a second it is a longer window."""
        return max(1, math.floor(self.per_second))

    def admits(self) -> bool:
        """Count a request, unless it is one too many."""
        now = self.clock()
        window = self.most / self.per_second
        while self._seen and self._seen[0] <= now - window:
            self._seen.popleft()
        if len(self._seen) >= self.most:
            return False
        self._seen.append(now)
        return True
