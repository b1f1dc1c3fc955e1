"""`Pace`: the request rate and the concurrency that one part of a plan passes on to the next.

A job starts at a few requests per second, and doubles its rate until the server refuses a request.
A plan that is applied in parts would do so in each part. With parts of 100 tokens, it would never
reach the rate of a fast server, and would exceed the limit of a slow one again and again.
"""

import attrs

from losant_tokens._limits.adaptive_rate import AdaptiveRate
from losant_tokens.jobs._throttle.adaptive_concurrency import AdaptiveConcurrency


@attrs.define(eq=False)
class Pace:
    """The request rate and the number of requests in flight that parts of a plan have found.

    Pass the same one to `apply_chunk` for all parts that are applied in one event loop with the
    same account, one after the other. Then each part continues at the rate of the part before.
    """

    _rate: AdaptiveRate | None = attrs.field(default=None, init=False)
    _maximum: float | None = attrs.field(default=None, init=False)
    _concurrency: AdaptiveConcurrency | None = attrs.field(default=None, init=False)

    def rate(self, maximum: float | None) -> AdaptiveRate:
        """Return the rate, which starts again if there is another maximum.

        The rate itself has no maximum, because all calls of a client may share it.

        Args:
            maximum: The maximum number of requests per second, or `None`.
        """
        if self._rate is None or self._maximum != maximum:
            self._rate = AdaptiveRate() if maximum is None else AdaptiveRate(initial=maximum)
            self._maximum = maximum
        return self._rate

    def concurrency(self, maximum: int) -> AdaptiveConcurrency:
        """Return the limit on the requests in flight, which starts again with another maximum.

        Args:
            maximum: The highest value of the limit.
        """
        if self._concurrency is None or self._concurrency.max_limit != maximum:
            self._concurrency = AdaptiveConcurrency(maximum)
        return self._concurrency
