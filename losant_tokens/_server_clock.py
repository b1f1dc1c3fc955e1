"""The server's time, learned from the `Date` header of its responses.

The clock of this machine may be wrong, and rules about time would then act on the wrong tokens.
Every HTTP response says when the server made it (RFC 9110, 6.6.1), in whole seconds. A response
that was received at local time `t` after a round trip of `r` seconds was made between `t - r` and
`t`, so each one bounds the difference between the two clocks from both sides. Bounds that agree
are intersected. Bounds that contradict the earlier ones replace them, because then one of the two
clocks was set. NTP would be more exact, but needs a protocol and a server of its own; a difference
of minutes is all that matters here.

Pure but for its memory and for reading the local clock.
"""

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import attrs
import httpx

_RESOLUTION = 1.0  # second, the resolution of a Date header
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def parse_http_date(text: str) -> datetime | None:
    """Return the time that an HTTP date names, or `None` if it names none.

    Reads the three forms of RFC 9110, 5.6.7. The oldest of them has no time zone and means UTC.
    """
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


@attrs.define(eq=False)
class ServerClock:
    """Knows how far the clock of this machine is from that of the server.

    Attributes:
        has_response: Whether a response was observed, with a usable `Date` or without one.
    """

    has_response: bool = False
    # The server chose it, so no repr shows it.
    _latest: str = attrs.field(default="", init=False, repr=False)
    # The bounds of local time minus server time, in seconds.
    _lowest: float | None = attrs.field(default=None, init=False)
    _highest: float = attrs.field(default=0.0, init=False)

    @property
    def skew(self) -> timedelta | None:
        """Local time minus server time; `None` until a response had a usable `Date` header."""
        if self._lowest is None:
            return None
        return timedelta(seconds=(self._lowest + self._highest) / 2)

    @property
    def error(self) -> timedelta | None:
        """How far `skew` may be off in either direction; `None` if there is no skew."""
        if self._lowest is None:
            return None
        return timedelta(seconds=(self._highest - self._lowest) / 2)

    def now(self) -> datetime:
        """Return the server's time, or the local time if the server's is not known."""
        skew = self.skew
        local = datetime.now(UTC)
        return local if skew is None else local - skew

    def observe(self, headers: httpx.Headers, round_trip: float) -> None:
        """Learn from the headers of a response that has just been received.

        A response of a cache is ignored: its `Date` is that of an earlier response. So is a date
        that no server of today could mean.

        Args:
            headers: The headers of the response.
            round_trip: The time since the request was sent, in seconds.
        """
        self.has_response = True
        text = headers.get("date")
        if text is None or text == self._latest:
            return  # mostly the same second as before, and nothing new
        self._latest = text
        date = parse_http_date(text)
        if date is None or not _EARLIEST <= date <= _LATEST or "age" in headers:
            return
        self._narrow(time.time() - date.timestamp(), max(0.0, round_trip))

    def _narrow(self, difference: float, round_trip: float) -> None:
        lowest, highest = difference - round_trip - _RESOLUTION, difference
        if self._lowest is None or lowest > self._highest or highest < self._lowest:
            self._lowest, self._highest = lowest, highest
        else:
            self._lowest = max(lowest, self._lowest)
            self._highest = min(highest, self._highest)
