"""`last_seen`, with a server whose audit log changes, and `seen_within`."""

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from losant_tokens import ApiToken, AsyncClient, jobs
from losant_tokens.errors import ClientStateError, ValidationError
from losant_tokens.jobs import EvidenceError, LastSeen, LogSource
from tests.support.audit_log_server import NOW, ORG, AuditLogServer

SOURCE = f"org:{ORG}"
INSTANCE = "59f0b3a27e1c4d0006aa41d8"
ONE, OTHER = "a" * 24, "b" * 24
SPAN = timedelta(days=90)


def client_of(server: AuditLogServer) -> AsyncClient:
    return AsyncClient("a-token", base_url="https://fake.example", transport=server.transport())


async def read(server: AuditLogServer, **options: Any) -> LastSeen:
    async with client_of(server) as client:
        return await jobs.last_seen(client, SOURCE, **options)


async def test_last_seen() -> None:
    """The newest entry of each token is its last use, and the period is the server's."""
    server = AuditLogServer()
    server.add(ONE, NOW - timedelta(days=200))
    server.add(ONE, NOW - timedelta(days=9))
    server.add(ONE.upper(), NOW - timedelta(days=1))
    server.add(OTHER, NOW - timedelta(days=91))
    server.add("c" * 24, NOW, "User")
    progress: list[jobs.LogProgress] = []

    seen = await read(server, since=SPAN, on_progress=progress.append)

    assert {ONE: NOW - timedelta(days=1)} == dict(seen)
    assert seen[ONE.upper()] == NOW - timedelta(days=1)
    assert (1, 2) == (len(seen), seen.entries)
    assert OTHER not in seen
    assert seen.since is not None
    assert seen.until is not None
    assert abs(seen.until - NOW) < timedelta(seconds=5)
    assert seen.until - seen.since == SPAN + timedelta(minutes=1)
    assert seen.gaps == ()
    assert (2, LogSource.parse(SOURCE)) == (progress[-1].entries, progress[-1].source)
    assert "hunter2" not in repr(seen)
    assert dict(pickle.loads(pickle.dumps(seen))) == dict(seen)
    assert server.queries[1]["auditLogFilter[actor][0][type]"] == "ApiToken"


async def test_instance() -> None:
    """The audit log of an instance has a path in the singular."""
    paths = []

    def respond(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return httpx.Response(200, json={"items": []})

    async with AsyncClient("t", transport=httpx.MockTransport(respond)) as client:
        seen = await jobs.last_seen(client, [LogSource("instance", INSTANCE)])
    assert paths == [f"/instance/{INSTANCE}/audit-logs"] * 2
    assert seen.gaps == (
        f"The audit log of instance:{INSTANCE} has no entries, so it cannot show any token in use.",
    )


async def test_several_logs() -> None:
    """The newest entry of all logs counts, and all logs are read from the same time on."""
    server = AuditLogServer()
    server.add(ONE, NOW - timedelta(days=5))
    async with client_of(server) as client:

        def add_newer(number: int) -> None:
            if number == 2:
                server.entries.clear()
                server.add(ONE, NOW - timedelta(days=4))
                server.add(OTHER, NOW - timedelta(days=6))

        server.before_response = add_newer
        seen = await jobs.last_seen(client, [SOURCE, f"instance:{INSTANCE}"], since=SPAN)
    assert dict(seen) == {ONE: NOW - timedelta(days=4), OTHER: NOW - timedelta(days=6)}
    assert {query["start"] for query in server.queries} == {"0", server.queries[1]["start"]}


async def test_chosen_tokens() -> None:
    """For a few tokens, only their entries are requested, and reading stops when all were seen."""
    server = AuditLogServer(cap=2)
    for days in range(50):
        server.add(ONE, NOW - timedelta(days=days))
        server.add(OTHER, NOW - timedelta(days=days))

    seen = await read(server, tokens=[ONE.upper()])

    assert {ONE: NOW} == dict(seen)
    assert len(server.queries) == 2
    assert server.queries[1]["auditLogFilter[actor][0][id]"] == ONE


async def test_many_chosen_tokens() -> None:
    """For many tokens, the entries of all tokens are requested, and the others are left out."""
    server = AuditLogServer()
    server.add(ONE, NOW)
    server.add(OTHER, NOW)

    seen = await read(server, tokens=[ONE, *(f"{number:024x}" for number in range(50))])

    assert {ONE: NOW} == dict(seen)
    assert "auditLogFilter[actor][0][id]" not in server.queries[1]


async def test_log_that_is_too_short() -> None:
    """A log that begins after the span is a gap."""
    server = AuditLogServer()
    server.add(ONE, NOW - timedelta(days=30))
    seen = await read(server, since=SPAN)
    (gap,) = seen.gaps
    assert gap == (
        f"The audit log of {SOURCE} begins on 2026-05-02, so it cannot show tokens that were in "
        f"use only before."
    )
    assert seen.begins == NOW - timedelta(days=30)
    assert (await read(server)).gaps == ()
    assert (await read(server, since=NOW - timedelta(days=30))).gaps == ()
    assert (await read(server, since=timedelta.max)).since is None


async def test_clock_of_the_server_is_unknown() -> None:
    """Without the server's time, a span cannot be read; a given time can."""
    server = AuditLogServer(now=None)
    server.add(ONE, NOW)
    with pytest.raises(EvidenceError, match="The server does not state its time"):
        await read(server, since=SPAN)
    assert {ONE: NOW} == dict(await read(server, since=NOW))


async def test_entry_that_is_removed_is_noticed() -> None:
    """A log with a wrong number of entries is read again, and an error if it stays wrong."""
    server = AuditLogServer(cap=1)
    for days in range(3):
        server.add(f"{days:024x}", NOW - timedelta(days=days))
    removed = server.entries[1]

    def remove(number: int) -> None:
        if number == 2:
            server.entries.remove(removed)

    server.before_response = remove
    seen = await read(server)
    assert len(seen) == 2

    server.change = lambda page: page.update(totalCount=9)
    with pytest.raises(EvidenceError, match="states a total of 9 entries and lists 2"):
        await read(server)


@pytest.mark.parametrize(("size", "is_read"), [(2000, True), (700, False), (100, False)])
async def test_large_pages(size: int, is_read: bool) -> None:
    """A page that is too large is requested again at half the size; a single entry is an error."""
    server = AuditLogServer()
    for days in range(8):
        server.add(f"{days:024x}", NOW - timedelta(days=days))
        server.entries[-1]["requestBody"] = "x" * 800 if days < 7 else ""
    client = AsyncClient(
        "t",
        base_url="https://fake.example",
        transport=server.transport(),
        max_response_size=size,
    )
    async with client:
        if is_read:
            assert len(await jobs.last_seen(client, SOURCE)) == 8
        else:
            with pytest.raises(EvidenceError, match=f"larger than {size} bytes"):
                await jobs.last_seen(client, SOURCE)


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_log_that_cannot_be_read(status: int) -> None:
    """A log that the token may not read, or that does not exist, is an error."""
    body = {"type": "Problem", "message": "no"}
    transport = httpx.MockTransport(lambda _: httpx.Response(status, json=body))
    async with AsyncClient("t", transport=transport) as client:
        with pytest.raises(EvidenceError, match=f"{SOURCE} cannot be read.*{status} Problem"):
            await jobs.last_seen(client, SOURCE)


async def test_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage that outlasts the patience is an error."""
    monkeypatch.setattr("random.random", lambda: 0.0)
    transport = httpx.MockTransport(lambda _: httpx.Response(503))
    async with AsyncClient("t", transport=transport) as client:
        with pytest.raises(EvidenceError, match="503"):
            await jobs.last_seen(client, SOURCE, patience=0)


async def test_oldest_entry_that_cannot_be_read() -> None:
    """If the beginning of a log is unknown, that is an error."""
    body = {"items": [{"id": None}]}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
    async with AsyncClient("t", transport=transport) as client:
        with pytest.raises(EvidenceError, match="The oldest entry"):
            await jobs.last_seen(client, SOURCE)


@pytest.mark.parametrize(
    "options",
    [
        {"since": 5},
        {"since": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"since": timedelta(-1)},
        {"page_size": 0},
        {"patience": -1},
        {"tokens": ["ci"]},
    ],
)
async def test_wrong_arguments(options: Any) -> None:
    """A wrong argument is refused."""
    server = AuditLogServer()
    server.add(ONE, NOW)
    with pytest.raises(ValidationError):
        await read(server, **options)


@pytest.mark.parametrize("sources", ["user", "org:1", 5, [5], "org", f"application:{ONE}"])
async def test_wrong_sources(sources: Any) -> None:
    """Only an organization or an instance has an audit log."""
    async with client_of(AuditLogServer()) as client:
        with pytest.raises(ValidationError, match="audit log"):
            await jobs.last_seen(client, sources)


async def test_sources_are_distinct() -> None:
    """A log that is given twice is read once."""
    server = AuditLogServer()
    async with client_of(server) as client:
        seen = await jobs.last_seen(client, [SOURCE, f"org:{ORG.upper()}"])
    assert seen.sources == (LogSource("org", ORG),)
    assert str(seen.sources[0]) == SOURCE


async def test_closed_client() -> None:
    """A client that is not open is reported as such, not as a log that cannot be read."""
    with pytest.raises(ClientStateError):
        await jobs.last_seen(client_of(AuditLogServer()), SOURCE)


# --- The rule --------------------------------------------------------------------------------

EVIDENCE = LastSeen(
    (LogSource("org", ORG),),
    NOW - SPAN - timedelta(minutes=1),
    NOW,
    3,
    (),
    {ONE: NOW - SPAN},
    begins=NOW - 2 * SPAN,
)


def test_seen_within() -> None:
    """The rule matches a token that was seen within the span, to the edge of it."""
    rule = jobs.seen_within(SPAN, EVIDENCE)
    token = ApiToken(id=ONE.upper())
    assert rule.reason(token, NOW) == "seen changing something on 2026-03-03"
    assert rule.matches(token, NOW + timedelta(milliseconds=1)) is False
    assert rule.matches(ApiToken(id=OTHER), NOW) is False
    assert (~rule).reason(ApiToken(id=OTHER), NOW) == "not seen within 90 days"


@pytest.mark.parametrize(
    ("span", "now"),
    [(SPAN + timedelta(days=1), NOW), (SPAN, NOW + timedelta(hours=2))],
)
def test_evidence_that_proves_nothing(span: timedelta, now: datetime) -> None:
    """If evidence is old or too short, a token that was not seen is unknown, and not selected."""
    rule = jobs.seen_within(span, EVIDENCE)
    assert rule.matches(ApiToken(id=OTHER), now) is None
    assert (~rule).matches(ApiToken(id=OTHER), now) is None


def test_evidence_of_a_whole_log() -> None:
    """A log that was read to its beginning covers what came after, and the tokens created since."""
    seen = LastSeen(EVIDENCE.sources, None, NOW, 0, begins=NOW - SPAN)
    old, new = ApiToken(id=OTHER), ApiToken(id=OTHER, creation_date=NOW - SPAN)
    assert jobs.seen_within(SPAN, seen).matches(old, NOW) is False
    assert jobs.seen_within(2 * SPAN, seen).matches(old, NOW) is None
    assert jobs.seen_within(timedelta.max, seen).matches(new, NOW) is False
    empty = LastSeen(EVIDENCE.sources, None, NOW, 0)
    assert jobs.seen_within(SPAN, empty).matches(new, NOW) is None
    unknown = LastSeen(EVIDENCE.sources, None, None, 0)
    assert jobs.seen_within(SPAN, unknown).matches(ApiToken(id=OTHER), datetime.now(UTC)) is None


def test_rule_refuses() -> None:
    """The rule needs a span and the result of `last_seen`."""
    with pytest.raises(ValidationError, match="seen_within takes a timedelta"):
        jobs.seen_within(90, EVIDENCE)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="must be the result of last_seen, not dict"):
        jobs.seen_within(SPAN, {})  # type: ignore[arg-type]
