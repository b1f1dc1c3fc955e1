"""Faults on demand, as networks, proxies and failing servers cause them."""

import random
import threading
from collections.abc import Mapping
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any, Literal, Self, get_args

from attrs import define, field, frozen
from attrs.validators import ge, in_

from losant_tokens.testing._fault_strings import read_fault, read_latency

FaultKind = Literal["status", "latency", "hang", "drop", "truncate", "html", "garbage"]


def _to_pairs(headers: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple((headers or {}).items())


@frozen(kw_only=True)
class Fault:
    """A fault, the requests that it affects, and how many of them.

    The kinds:

    - `status`: The response is `status` (500 by default) with `headers` and `body`.
    - `latency`: The response is delayed by `seconds`. Another fault may apply as well.
    - `hang`: There is no response, and the connection stays open.
    - `drop`: The connection is closed without a response.
    - `truncate`: The operation is performed, and the connection is closed after half of the body
      of the response.
    - `html`: The response is the HTML page of a proxy, 502 by default.
    - `garbage`: The response is a 200 whose content type is JSON, but whose body is not.
    """

    kind: FaultKind = field(default="status", validator=in_(get_args(FaultKind)))
    """The kind of the fault. See the list above. Default: `status`."""
    times: int | None = field(default=1)
    """The number of requests that it affects; None: all."""
    skip: int = field(default=0, validator=ge(0))
    """The number of matching requests that are unaffected before the first affected one."""
    method: str | None = None
    """The HTTP method of the affected requests; None: any method."""
    path: str = "*"
    """A glob that the path of a request must match; `*` also matches slashes."""
    after_acting: bool = False
    """Whether the operation is performed before the fault, as if its response was lost."""
    status: int | None = field(default=None)
    """The status of the response, 200 to 599; None: the default of the kind."""
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=_to_pairs)
    """The names and values of headers of the response."""
    body: Any = None
    """A string, bytes, or a value that is sent as JSON; None: the default of the kind."""
    seconds: float = field(default=0.0, validator=ge(0))
    """The delay of `latency`, in seconds."""
    max_seconds: float | None = field(default=None)
    """The maximum delay of `latency`, if it is random; None: the delay is always `seconds`."""
    share: float = field(default=1.0)
    """The share of the matching requests that it affects, at random: 0.02 is one in 50."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the fault that a string such as `503:2%` describes, for any number of requests.

        Args:
            text: A kind and a share of the requests. The kind is a status from 400 to 599 or one of
                these words. `timeout`: there is no response. `reset`: the connection is closed
                without a response. `lost`: the operation is performed, and then the connection is
                closed. `truncate`, `html` and `garbage` are the kinds of that name.

        Raises:
            ValueError: The string has another form.
        """
        return cls(**read_fault(text), times=None)

    @classmethod
    def parse_latency(cls, text: str) -> Self:
        """Return the delay of all requests that a string describes: `50ms` or `20ms-200ms`.

        Raises:
            ValueError: The string has another form.
        """
        seconds, max_seconds = read_latency(text)
        return cls(kind="latency", seconds=seconds, max_seconds=max_seconds, times=None)

    @share.validator
    def _is_a_share(self, _: object, share: float) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share must be more than 0 and at most 1, not {share}")

    @max_seconds.validator
    def _is_a_range(self, _: object, max_seconds: float | None) -> None:
        if max_seconds is not None and max_seconds < self.seconds:
            raise ValueError(f"max_seconds must be at least seconds, not {max_seconds}")

    @times.validator
    def _affects_a_request(self, _: object, times: int | None) -> None:
        if times is not None and times < 1:
            raise ValueError(f"times must be at least 1, or None, not {times}")

    @status.validator
    def _is_final(self, _: object, status: int | None) -> None:
        if status is not None and status not in range(200, 600):
            raise ValueError(f"status must be 200 to 599, not {status}")

    def matches(self, method: str, path: str) -> bool:
        """Return whether the fault can affect a request."""
        return self.method in {None, method} and fnmatchcase(path, self.path)


def phrase(status: int) -> str:
    """Return the reason phrase of a status, for example `Too Many Requests`."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def error_type(status: int) -> str:
    """Return the `type` of the error with a status, for example `TooManyRequests`."""
    return phrase(status).title().replace(" ", "").replace("-", "")


@define
class _PendingFault:
    fault: Fault
    skip: int
    remaining: int | None

    def take(self, rng: random.Random) -> bool:
        """Count a matching request, and return whether the fault affects it."""
        if self.skip:
            self.skip -= 1
            return False
        if self.fault.share < 1 and rng.random() >= self.fault.share:
            return False
        if self.remaining is not None:
            self.remaining -= 1
        return True


@define(eq=False)
class Faults:
    """The faults that will affect future requests."""

    lock: threading.RLock
    _pending: list[_PendingFault] = field(factory=list, init=False)
    # The same requests in the same order have the same faults in each run.
    _rng: random.Random = field(factory=lambda: random.Random(0), init=False)  # noqa: S311

    def delay(self, fault: Fault) -> float:
        """Return the delay of a latency in seconds, which is random if the fault has a range."""
        if fault.max_seconds is None:
            return fault.seconds
        with self.lock:
            return self._rng.uniform(fault.seconds, fault.max_seconds)

    def add(self, fault: Fault) -> None:
        """Add a fault, which applies after the faults that were added before it."""
        with self.lock:
            self._pending.append(_PendingFault(fault, fault.skip, fault.times))

    def clear(self) -> None:
        """Remove all faults."""
        with self.lock:
            self._pending.clear()

    def take(self, method: str, path: str) -> tuple[Fault, ...]:
        """Return the faults that affect a request: latencies, then at most one of another kind.

        Later faults are not used up, so several faults in a row affect one request each.
        """
        taken: list[Fault] = []
        with self.lock:
            for pending in self._pending:
                if pending.fault.matches(method, path) and pending.take(self._rng):
                    taken.append(pending.fault)
                    if pending.fault.kind != "latency":
                        break
            self._pending = [pending for pending in self._pending if pending.remaining != 0]
        return tuple(taken)
