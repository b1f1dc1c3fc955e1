"""Faults on demand: what a network, a proxy or a server in trouble does to a request."""

import threading
from collections.abc import Mapping
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any, Literal, get_args

from attrs import define, field, frozen
from attrs.validators import ge, in_

FaultKind = Literal["status", "latency", "hang", "drop", "truncate", "html", "garbage"]


def _to_pairs(headers: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple((headers or {}).items())


@frozen(kw_only=True)
class Fault:
    """One thing that goes wrong, how often, and for which requests.

    The kinds:

    - `status`: the answer is `status` (500 by default) with `headers` and `body`.
    - `latency`: the answer is `seconds` late, and otherwise as it should be. Another fault may
      follow it.
    - `hang`: there never is an answer.
    - `drop`: the connection is closed before any answer.
    - `truncate`: the request is carried out, and the connection closed halfway through the body of
      its answer.
    - `html`: the answer is a proxy's page, 502 by default.
    - `garbage`: the answer is 200, says that it is JSON, and is not.
    """

    kind: FaultKind = field(default="status", validator=in_(get_args(FaultKind)))
    times: int | None = field(default=1)
    """How many requests it hits; None: all."""
    skip: int = field(default=0, validator=ge(0))
    """How many requests that match it lets through first."""
    method: str | None = None
    """None: any method."""
    path: str = "*"
    """A glob over the path, where `*` spans slashes as well."""
    after_acting: bool = False
    """Whether the request is carried out before things go wrong, as when its answer is lost."""
    status: int | None = field(default=None)
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=_to_pairs)
    body: Any = None
    """Text and bytes are sent as they are, anything else as JSON; None: the kind's own."""
    seconds: float = field(default=0.0, validator=ge(0))
    """How late, for `latency`."""

    @times.validator
    def _hits_something(self, _: object, times: int | None) -> None:
        if times is not None and times < 1:
            raise ValueError(f"a fault hits one request or more, not {times}")

    @status.validator
    def _is_final(self, _: object, status: int | None) -> None:
        if status is not None and status not in range(200, 600):
            raise ValueError(f"a status is 200 to 599, not {status}")

    def matches(self, method: str, path: str) -> bool:
        """Return whether the fault is meant for a request."""
        return self.method in {None, method} and fnmatchcase(path, self.path)


def phrase(status: int) -> str:
    """Give the words that go with a status: `Too Many Requests`."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def error_type(status: int) -> str:
    """Name a status as the `type` of an error does: `TooManyRequests`."""
    return phrase(status).title().replace(" ", "").replace("-", "")


@define
class _Armed:
    fault: Fault
    skip: int
    left: int | None

    def take(self) -> bool:
        """Count a request that matches, and return whether it is hit."""
        if self.skip:
            self.skip -= 1
            return False
        if self.left is not None:
            self.left -= 1
        return True


@define(eq=False)
class Faults:
    """The faults that wait for their requests."""

    lock: threading.RLock
    _armed: list[_Armed] = field(factory=list, init=False)

    def add(self, fault: Fault) -> None:
        """Have a fault wait behind those that wait already."""
        with self.lock:
            self._armed.append(_Armed(fault, fault.skip, fault.times))

    def clear(self) -> None:
        """Forget all faults."""
        with self.lock:
            self._armed.clear()

    def take(self, method: str, path: str) -> tuple[Fault, ...]:
        """Take the faults that hit a request: latencies, and at last the one that decides.

        Faults behind the deciding one are not used up, so that several in a row hit one request
        each.
        """
        hits: list[Fault] = []
        with self.lock:
            for armed in self._armed:
                if armed.fault.matches(method, path) and armed.take():
                    hits.append(armed.fault)
                    if armed.fault.kind != "latency":
                        break
            self._armed = [armed for armed in self._armed if armed.left != 0]
        return tuple(hits)
