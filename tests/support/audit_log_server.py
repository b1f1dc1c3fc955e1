"""A server with one audit log that changes while it is read, for an httpx transport."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import attrs
import httpx

ORG = "58c9e0d5f2b6740001de93b7"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def milliseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(milliseconds=1)


@attrs.define(eq=False)
class AuditLogServer:
    """A server with one audit log.

    Attributes:
        now: The time of the server; `None` if it states no time.
        cap: The largest page.
        is_end_inclusive: Whether the window includes entries at exactly its end.
        states_total: Whether pages state the number of entries.
        before_response: Called with the number of the request before each response.
        change: Changes each page before it is sent.
        entries: The time and the actor of each entry.
        queries: The query of each request.
        added: The number of entries that were added.
    """

    now: datetime | None = NOW
    cap: int = 1000
    is_end_inclusive: bool = True
    states_total: bool = True
    before_response: Callable[[int], object] = lambda _: None
    change: Callable[[dict[str, Any]], object] = lambda _: None
    entries: list[dict[str, Any]] = attrs.field(factory=list)
    queries: list[dict[str, str]] = attrs.field(factory=list)
    added: int = 0

    def add(self, actor: str, time: datetime, actor_type: str = "ApiToken") -> None:
        """Add an entry."""
        self.added += 1
        self.entries.append(
            {
                "id": f"{self.added:024x}",
                "creationDate": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "actorId": actor,
                "actorType": actor_type,
                "requestBody": {"password": "hunter2"},
            }
        )

    def page(self, query: dict[str, str]) -> dict[str, Any]:
        """Return a page, as the API does."""
        self.before_response(len(self.queries))
        self.queries.append(query)
        found = [entry for entry in self.entries if self._matches(entry, query)]
        found.sort(key=_time_of, reverse=query["sortDirection"] == "desc")
        size = min(int(query["perPage"]), self.cap)
        first = int(query.get("page", 0)) * size
        page = {
            "items": found[first : first + size],
            "totalCount": len(found) if self.states_total else None,
            "perPage": size,
            "page": int(query.get("page", 0)),
            "sortField": "creationDate",
            "sortDirection": query["sortDirection"],
        }
        self.change(page)
        return page

    def _matches(self, entry: dict[str, Any], query: dict[str, str]) -> bool:
        time = milliseconds(_time_of(entry))
        end = int(query.get("end", 10**15)) + self.is_end_inclusive
        wanted = {value for name, value in query.items() if name.endswith("[id]")}
        types = {value for name, value in query.items() if name.endswith("[type]")}
        return (
            int(query.get("start", 0)) <= time < end
            and (not wanted or entry["actorId"] in wanted)
            and (not types or entry["actorType"] in types)
        )

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return a transport of httpx that responds with pages."""

        def respond(request: httpx.Request) -> httpx.Response:
            page = self.page(dict(request.url.params))
            headers = {} if self.now is None else {"Date": format_datetime(self.now, usegmt=True)}
            return httpx.Response(200, headers=headers, content=json.dumps(page))

        return httpx.MockTransport(respond)


def _time_of(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["creationDate"])
