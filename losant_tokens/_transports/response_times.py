"""Whether a response comes too soon to be the response to its request.

The problem: a second response to a request may come late, while the next request on the same
connection is in flight. If that one is a DELETE, or the response is an error, nothing in it shows
which request it belongs to. The approach: a server needs some time to respond. Each pool remembers
the shortest time of a response after which its connection stayed quiet. A response that comes
sooner, on a connection that was used before, is held back until its own one would have come. If
none comes, it was the own one, and its time is the new shortest. So few are held back: each sets a
record, five of the first hundred if times vary at random. The wait is short, because it delays the
caller: up to twice the shortest time, and at most a quarter of a second. The alternative, a
connection for each deletion, costs a TLS handshake each time.
"""

import math

import attrs

_WATCHED = 2.0  # times the shortest time, since the request
_LEAST_WATCHED, _LONGEST_WATCHED = 0.01, 0.25  # seconds, since the response


@attrs.define
class ResponseTimes:
    """Knows how soon a server responds, over all connections of a pool.

    Attributes:
        shortest: The shortest time of a response, in seconds; infinite before the first one.
    """

    shortest: float = math.inf

    def proven(self, seconds: float) -> None:
        """Note the time of a response whose connection is used again, so nothing came after it."""
        self.shortest = min(self.shortest, seconds)

    def hold(self, seconds: float) -> float:
        """Return for how long to hold back a response that came after `seconds`; mostly 0."""
        if seconds >= self.shortest:
            return 0.0
        return min(max(self.shortest * _WATCHED - seconds, _LEAST_WATCHED), _LONGEST_WATCHED)
