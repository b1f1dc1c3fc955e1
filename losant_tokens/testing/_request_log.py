"""The log of received requests, for tests that assert which requests were sent."""

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl

from attrs import define, evolve, field, frozen

_KEPT = 100_000


@frozen(kw_only=True)
class RecordedRequest:
    """A request as it arrived."""

    method: str
    """The HTTP method."""
    path: str
    """The path, without the query."""
    query: Mapping[str, str]
    """The parameters of the query, by their names in the URL."""
    headers: Mapping[str, str]
    """Names in lower case. The secret in `authorization` is masked."""
    status: int | None = None
    """The status of the response; None: no response was sent, or none yet."""


@define(eq=False)
class Entry:
    """An entry of the request log, whose status is recorded later."""

    request: RecordedRequest

    def record_status(self, status: int) -> None:
        """Record the status of the response."""
        self.request = evolve(self.request, status=status)


@define(eq=False)
class RequestLog:
    """The latest requests, in the order of their arrival."""

    lock: threading.RLock
    _entries: deque[Entry] = field(factory=lambda: deque(maxlen=_KEPT), init=False)

    def record(
        self, method: str, path: str, query: bytes, headers: Iterable[tuple[bytes, bytes]]
    ) -> Entry:
        """Add a request that has arrived, and return its entry for the status."""
        entry = Entry(
            RecordedRequest(
                method=method,
                path=path,
                query=MappingProxyType(
                    dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
                ),
                headers=MappingProxyType(dict(_readable(headers))),
            )
        )
        with self.lock:
            self._entries.append(entry)
        return entry

    def clear(self) -> None:
        """Remove all requests."""
        with self.lock:
            self._entries.clear()

    def snapshot(self) -> tuple[RecordedRequest, ...]:
        """Return the requests as they are now."""
        with self.lock:
            return tuple(entry.request for entry in self._entries)


def _readable(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, str]]:
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "authorization":
            scheme, space, _ = value.partition(" ")
            value = f"{scheme} ****" if space else "****"
        yield name, value
