"""Detect responses that arrive too soon to belong to their request.

The problem: a server may send two responses to a request, and the second one may arrive while the
next request on the same connection is in flight. If that request is a DELETE, or if the response is
an error, nothing in the response shows to which of the two requests it belongs. A deletion would
then look successful although it is not.

The approach: a server needs some time to respond. A pool remembers the shortest response time
after which no further data arrived on the connection. A response that arrives sooner, on a
connection that was used before, is held back until twice the shortest time has passed. If a second
response arrives in that time, the first one belongs to the earlier request. If not, the response is
delivered, and its time becomes the shortest time. So few responses are held back: if the times are
random, the first 100 responses set about five records. The wait delays the caller by at most 0.25
seconds.

Source: RFC 9112, 6.3 forbids using data after a response for the next request, but says nothing
about data that arrives during the next request. The approach is our own. It is tested with
a server that sends second responses late (`tests/integration/test_unread_data.py`).

Rejected: a new connection for each deletion, because each costs a TLS handshake.
"""

import math

import attrs

# A response is held back until twice the shortest time after the request, within these bounds.
_FACTOR = 2.0
_MIN_HOLD, _MAX_HOLD = 0.01, 0.25  # seconds


@attrs.define
class ResponseTimes:
    """The response times of a server, over all connections of a pool.

    Attributes:
        shortest: The shortest response time, in seconds. It is infinite before the first response.
    """

    shortest: float = math.inf

    def add(self, seconds: float) -> None:
        """Add the time of a response after which no further data arrived."""
        self.shortest = min(self.shortest, seconds)

    def hold(self, seconds: float) -> float:
        """Return the seconds for which to hold back a response; 0 for most responses.

        Args:
            seconds: The response time.
        """
        if seconds >= self.shortest:
            return 0.0
        return min(max(self.shortest * _FACTOR - seconds, _MIN_HOLD), _MAX_HOLD)
