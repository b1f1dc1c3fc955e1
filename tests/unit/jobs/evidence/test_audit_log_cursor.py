"""Reading an audit log backwards in time while it changes."""

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import AuditLog, AuditLogs
from losant_tokens._api.codec import codec
from losant_tokens.jobs import EvidenceError
from losant_tokens.jobs._evidence.audit_log_cursor import LogCursor
from tests.support.audit_log_server import NOW, AuditLogServer, milliseconds
from tests.support.helpers import result_of

TOKENS = [f"{number:024x}" for number in range(12)]
START = NOW - timedelta(days=90)


def read(server: AuditLogServer, size: int = 1000, start: Any = START) -> LogCursor:
    """Read a log as `last_seen` does, without a network."""
    cursor = LogCursor("org:1", start, size)
    while not cursor.is_done:
        query = {"page": str(cursor.page), "perPage": str(cursor.size), "sortDirection": "desc"}
        if start is not None:
            query["start"] = str(milliseconds(start))
        if cursor.end is not None:
            query["end"] = str(milliseconds(cursor.end))
        cursor.advance(page_of(server.page(query)))
        assert len(server.queries) < 500
    return cursor


def page_of(value: dict[str, Any]) -> AuditLogs:
    page = result_of(codec().decode(json.dumps(value).encode(), AuditLogs))
    assert isinstance(page, AuditLogs)
    return page


@given(
    st.integers(0, 2**32),
    st.integers(1, 7),
    st.integers(1, 7),
    st.booleans(),
    st.booleans(),
)
def test_no_seen_token_is_missed(
    seed: int, size: int, cap: int, is_end_inclusive: bool, states_total: bool
) -> None:
    """No token of a log is missed, with any page size, ties, and entries that are added."""
    rng = random.Random(seed)
    server = AuditLogServer(cap=cap, is_end_inclusive=is_end_inclusive, states_total=states_total)
    # Few different times, of which one is at the edge of the span.
    times = [START, *(NOW - timedelta(milliseconds=rng.randrange(5)) for _ in range(4))]
    times += [NOW - timedelta(days=rng.randrange(90)) for _ in range(4)]
    for _ in range(rng.randrange(60)):
        server.add(rng.choice(TOKENS), rng.choice(times))
    expected: dict[str, str] = {}
    for entry in server.entries:
        date = entry["creationDate"]
        expected[entry["actorId"]] = max(date, expected.get(entry["actorId"], date))

    def grow(_: int) -> None:
        for _ in range(rng.randrange(4)):
            server.add("f" * 24, NOW + timedelta(seconds=len(server.entries)))

    server.before_response = grow
    cursor = read(server, size)

    found = {
        token: time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for token, time in cursor.last_seen.items()
    }
    assert expected == {token: found.get(token) for token in expected}
    assert found.keys() <= {*expected, "f" * 24}


@given(st.integers(0, 2**32), st.integers(2, 7))
def test_log_that_loses_entries(seed: int, cap: int) -> None:
    """If entries are removed while a log is read, no token that is still in it is missed."""
    rng = random.Random(seed)
    server = AuditLogServer(cap=cap)
    for number in range(rng.randrange(1, 40)):
        server.add(rng.choice(TOKENS), NOW - timedelta(hours=number))

    def disturb(_: int) -> None:
        for _ in range(rng.randrange(3)):
            if server.entries:
                server.entries.pop(rng.randrange(len(server.entries)))
            server.add(rng.choice(TOKENS), NOW + timedelta(seconds=1))

    server.before_response = disturb
    before = list(server.entries)
    try:
        seen = read(server).last_seen
    except EvidenceError:
        return
    assert {one["actorId"] for one in before if one in server.entries} <= seen.keys()


def test_entries_of_the_same_millisecond() -> None:
    """More entries of one millisecond than fit on a page are all read."""
    server = AuditLogServer()
    for number in range(10):
        server.add(f"{number:024x}", NOW)
    server.add("a" * 24, NOW - timedelta(days=1))
    assert len(read(server, 3).last_seen) == 11


def test_memory() -> None:
    """Of a long log, only the tokens and the entries at the edge of the window are kept."""
    server = AuditLogServer()
    for number in range(1000):
        server.add(TOKENS[number % 3], NOW - timedelta(seconds=number))
    cursor = read(server, 100)
    assert (1000, 3) == (cursor.entries, len(cursor.last_seen))
    assert len(cursor._recent) == 3
    assert len(server.queries) == 13


def test_start_is_ignored() -> None:
    """Reading stops at the start even if the server returns older entries."""
    server = AuditLogServer()
    for days in range(0, 1000, 10):
        server.add(TOKENS[0], NOW - timedelta(days=days))
    cursor = LogCursor("org:1", START, 20)
    query = {"page": "0", "perPage": "20", "sortDirection": "desc"}
    cursor.advance(page_of(server.page(query)))
    assert cursor.is_done


@pytest.mark.parametrize("actor_type", ["ApiToken", "apiToken", "Robot", None])
def test_unknown_actor_type(actor_type: Any) -> None:
    """An actor of an unknown type may be a token, so it counts as one; others do not."""
    server = AuditLogServer()
    server.add(TOKENS[0].upper(), NOW, actor_type)
    server.add(TOKENS[1], NOW, "User")
    assert {TOKENS[0].lower(): NOW} == read(server).last_seen


def test_other_actors_need_no_id() -> None:
    """An entry of a workflow without an id is not a problem."""
    server = AuditLogServer()
    server.add("", NOW, "Flow")
    assert {} == read(server).last_seen


def _set(name: str, value: Any, index: int = 0) -> Any:
    def change(page: dict[str, Any]) -> None:
        if page["items"]:
            page["items"][index] = {**page["items"][index], name: value}

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_set("id", None), "it has entries that cannot be read"),
        (_set("creationDate", None), "has no date"),
        (_set("creationDate", "yesterday"), "has no date"),
        (_set("actorId", None), "does not name who changed something"),
        (_set("actorId", 5), "does not name who changed something"),
        (_set("creationDate", "2030-01-01T00:00:00Z", 1), "not sorted by time as requested"),
        (lambda page: page.update(sortDirection="asc"), "not sorted by time as requested"),
        (lambda page: page.update(sortField="actorName"), "not sorted by time as requested"),
        (lambda page: page.update(totalCount=50), "states a total of 50 entries and lists 3"),
        (
            lambda page: page["items"].__delitem__(slice(1, 2)),
            "states a total of 3 entries and lists 2",
        ),
        (lambda page: page["items"].clear(), "states a total of 3 entries and lists 0"),
    ],
)
def test_incomplete_log(change: Any, expected: str) -> None:
    """A log that is not complete, or that cannot be read, is an error and not a shorter log."""
    server = AuditLogServer(change=change)
    for number in range(3):
        server.add(TOKENS[number], NOW - timedelta(days=number))
    with pytest.raises(EvidenceError, match=expected):
        read(server)


def test_window_is_ignored() -> None:
    """A server that ignores the end of the window is an error, not an endless loop."""
    cursor = LogCursor("org:1", None, 2)
    entries = [
        AuditLog(id=f"{days}", creation_date=NOW - timedelta(days=days), actor_id=TOKENS[0])
        for days in range(2)
    ]
    page = AuditLogs(items=tuple(entries))
    cursor.advance(page)
    with pytest.raises(EvidenceError, match="not sorted by time as requested"):
        cursor.advance(page)


def test_total_that_is_too_small() -> None:
    """If the server states the number of entries of the page as the total, none is missed."""
    server = AuditLogServer(change=lambda page: page.update(totalCount=len(page["items"])), cap=1)
    for number in range(5):
        server.add(TOKENS[number], NOW - timedelta(days=number // 2))
    assert read(server).last_seen.keys() == set(TOKENS[:5])


def test_end_that_is_rounded_up() -> None:
    """Entries that are returned again after the end of the window do not hide a missing one."""

    class Rounding(AuditLogServer):
        def page(self, query: dict[str, str]) -> dict[str, Any]:
            end = int(query.get("end", milliseconds(NOW)))
            return super().page({**query, "end": str(-(-end // 1000) * 1000)})

    server = Rounding(cap=3, change=lambda page: page.update(totalCount=6))
    for number in range(5):
        server.add(TOKENS[number], NOW - timedelta(milliseconds=400 * number))
    with pytest.raises(EvidenceError, match="states a total of 6 entries and lists 5"):
        read(server)


def test_end_that_is_rounded_down() -> None:
    """A server that compares times in seconds hides no entry, although it states no total."""

    class Rounding(AuditLogServer):
        def page(self, query: dict[str, str]) -> dict[str, Any]:
            end = int(query.get("end", milliseconds(NOW)))
            return super().page({**query, "end": str(end // 1000 * 1000)})

    server = Rounding(cap=2, states_total=False)
    for number in range(6):
        server.add(TOKENS[number], NOW - timedelta(milliseconds=400 * number))
    assert read(server).last_seen.keys() == set(TOKENS[:6])


def test_page_is_ignored() -> None:
    """A server that ignores the number of the page is an error, not an endless loop."""
    server = AuditLogServer(change=lambda page: page.update(totalCount=None))
    for number in range(5):
        server.add(TOKENS[number], NOW)
    server.cap = 2
    page = server.page({"page": "0", "perPage": "2", "sortDirection": "desc"})
    cursor = LogCursor("org:1", None, 2)
    for _ in range(5):
        cursor.advance(page_of(page))
    with pytest.raises(EvidenceError, match="same entries are returned for different pages"):
        cursor.advance(page_of(page))


def test_halve() -> None:
    """A smaller page begins at the same entry or before, and a page of one cannot be halved."""
    cursor = LogCursor("org:1", None, 5, page=2)
    assert cursor.halve()
    assert (2, 4) == (cursor.size, cursor.page)
    assert cursor.halve()
    assert not cursor.halve()
