"""The server's time, estimated from the `Date` header of its responses.

The problem: the clock of this machine may be wrong. Rules such as "expired" would then select the
wrong tokens.

The approach: the `Date` header of a response says when the server made it, with a resolution of one
second (RFC 9110, 6.6.1). A response that arrives at local time `t` after a round trip of `r`
seconds was made between `t - r` and `t`. So each response gives a lower and an upper bound of the
difference between the two clocks. Bounds that overlap are intersected. Bounds that do not overlap
replace the earlier ones, because one of the clocks was set in between. Cristian's algorithm
(F. Cristian, "Probabilistic clock synchronization", 1989) bounds a remote clock in the same way.

Rejected: NTP, which is more accurate, but needs a server and a port of its own. Only differences of
minutes matter here.
"""

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import attrs
import httpx

_RESOLUTION = 1.0  # seconds, the resolution of a Date header
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def parse_http_date(text: str) -> datetime | None:
    """Parse an HTTP date; return `None` if it is not valid.

    All three forms of RFC 9110, 5.6.7 are accepted. The oldest has no time zone and means UTC.
    """
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


@attrs.define(eq=False)
class ServerClock:
    """Estimates the difference between the clock of this machine and the clock of the server.

    Attributes:
        has_response: Whether a response was observed, with a usable `Date` or without one.
    """

    has_response: bool = False
    # The latest `Date` header. The server chose its text, so no repr shows it.
    _date: str | None = attrs.field(default=None, init=False, repr=False)
    # The bounds of local time minus server time, in seconds. `None` means that nothing is known.
    _lower: float | None = attrs.field(default=None, init=False)
    _upper: float = attrs.field(default=0.0, init=False)

    @property
    def skew(self) -> timedelta | None:
        """Local time minus server time; `None` until a response had a usable `Date` header."""
        if self._lower is None:
            return None
        return timedelta(seconds=(self._lower + self._upper) / 2)

    @property
    def error(self) -> timedelta | None:
        """The maximum error of `skew` in either direction; `None` if there is no skew."""
        if self._lower is None:
            return None
        return timedelta(seconds=(self._upper - self._lower) / 2)

    def now(self) -> datetime:
        """Return the server's time, or the local time if the server's time is not known."""
        skew = self.skew
        local = datetime.now(UTC)
        return local if skew is None else local - skew

    def observe(self, headers: httpx.Headers, round_trip: float) -> None:
        """Narrow the estimate with the headers of a response that was just received.

        A response from a cache is ignored, because its `Date` is that of an earlier response. A
        date before 2000 or after 2200 is ignored as well. So is a repeated date: most responses
        arrive in the same second as the one before, and a `Date` that never changes must not move
        the estimate.

        Args:
            headers: The headers of the response.
            round_trip: The time since the request was sent, in seconds.
        """
        self.has_response = True
        text = headers.get("date")
        if text is None or text == self._date:
            return
        self._date = text
        date = parse_http_date(text)
        if date is None or not _EARLIEST <= date <= _LATEST or "age" in headers:
            return
        self._narrow(time.time() - date.timestamp(), max(0.0, round_trip))

    def _narrow(self, difference: float, round_trip: float) -> None:
        """Intersect the bounds with those of one response, or replace them if they conflict."""
        lower, upper = difference - round_trip - _RESOLUTION, difference
        if self._lower is None or lower > self._upper or upper < self._lower:
            self._lower, self._upper = lower, upper
        else:
            self._lower = max(lower, self._lower)
            self._upper = min(upper, self._upper)
