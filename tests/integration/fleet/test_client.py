"""A client of a fleet without a worker, on SQLite."""

import hashlib
import pickle
import re
import sys
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from sqlalchemy import update

from losant_tokens import Owner, jobs
from losant_tokens.errors import ClientStateError, ValidationError
from losant_tokens.fleet import (
    DecisionRefused,
    Fleet,
    FleetClient,
    FleetError,
    PlanSummary,
    RunNotFound,
    StoreError,
    Work,
    WorkerRefused,
    _pruning,
    recent_runs,
)
from losant_tokens.fleet._engine import Engine, EngineClient, translated
from losant_tokens.fleet._run_codec import Record
from losant_tokens.fleet._store.database import Database, StoreUrl
from losant_tokens.fleet._store.run_table import _RUNS, Task
from losant_tokens.fleet._transitions import Next
from losant_tokens.jobs import ChunkResult, Outcome, TokenOutcome
from losant_tokens.jobs._plan.format import digest_of, header_json
from tests.support.fleet_runs import NOW, run

DAY = timedelta(days=1)
NAIVE = NOW.replace(tzinfo=None)


@pytest.fixture(name="client")
async def _client(tmp_path: Path) -> AsyncIterator[FleetClient]:
    async with Fleet(tmp_path / "fleet.sqlite").client() as client:
        yield client


async def test_runs_without_a_worker(client: FleetClient) -> None:
    """Runs can be started, listed and cancelled before the first worker starts."""
    first = await client.plan("prod", "old-ci", by="ada")
    second = await client.plan("stage", "old-ci", by="ada")
    cancelled = await client.cancel(first.id, by="ada", reason="a mistake")
    again = await client.cancel(first.id, by="bob")
    report = await client.report(first.id)

    assert [one.id async for one in client.runs()] == [second.id, first.id]
    assert [one.id async for one in client.runs(limit=1)] == [second.id]
    assert [one.id async for one in client.runs(limit=0)] == []
    assert [one.id async for one in client.runs(state=["planning", "done"])] == [second.id]
    assert [one.id async for one in client.runs(since=second.requested_at)] == [second.id]
    assert (cancelled.state, again) == ("cancelled", cancelled)
    assert cancelled.decisions[0].reason == "a mistake"
    assert (report.run, report.results) == (cancelled, ())
    with pytest.raises(FleetError, match=f"Run {first.id} is cancelled, and has no plan"):
        await client.document(first.id)
    with pytest.raises(FleetError, match="has no plan for the phase 'sweep'"):
        await client.document(first.id, phase="sweep")
    with pytest.raises(FleetError, match=f"Run {first.id} is cancelled, and not done"):
        await client.wait(first.id, state="done")
    with pytest.raises(FleetError, match=f"Run {second.id} is still planning, and not waiting or"):
        await client.wait(second.id, timeout=timedelta(0))
    with pytest.raises(RunNotFound, match="There is no run 'zzz'"):
        await client.run("zzz")


async def test_reading_without_the_engine(
    client: FleetClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading runs does not import the engine, which takes long."""
    started = await client.plan("prod", "old-ci", by="ada")
    monkeypatch.setitem(sys.modules, "dbos", None)

    async with Fleet(tmp_path / "fleet.sqlite").client() as reader:
        found = [one.id async for one in reader.runs()]
        report = await reader.report(started.id)
        with pytest.raises(ImportError):
            await reader.plan("prod", "old-ci", by="ada")

    assert (found, report.run) == ([started.id], started)


async def test_waiting_run(client: FleetClient) -> None:
    """A waiting plan can be rejected, and a document that was put in its place is refused."""
    started = await client.plan("prod", "old-ci", by="ada")
    header = jobs.Header(
        created_at=NOW,
        base_url="https://api.losant.com",
        action="delete",
        rule="expired",
        counts={Owner.user(): jobs.Counts()},
    )
    other = empty_plan(header)
    summary = PlanSummary(digest="sha256:" + "ab" * 32, selected=1)

    def make_wait(record: Record) -> Next:
        waiting = record.evolve(now=NOW, state="waiting", plan=summary)
        return Next(record=waiting, stores=("apply", other))

    client._store.change(started.id, make_wait)
    with pytest.raises(FleetError, match="so the store was altered"):
        await client.document(started.id)
    rejected = await client.reject(started.id, by="ada")

    assert rejected.state == "rejected"
    assert await client.pending() == {}


async def test_sweep_that_begins_before_a_decision(
    client: FleetClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep that a worker began stays in the queue, so that no other task runs beside it."""
    started = await client.plan("prod", "old-ci", by="ada")
    store, cancelled = client._store, list[str]()
    monkeypatch.setattr(client._engine, "cancel", cancelled.append)

    def become(state: Any) -> None:
        store.change(started.id, lambda record: Next(record=record.evolve(now=NOW, state=state)))

    change = store.change

    def change_late(*args: Any) -> Record | None:
        monkeypatch.setattr(store, "change", change)
        become("sweeping")
        return change(*args)

    become("quarantined")
    monkeypatch.setattr(store, "change", change_late)
    first = await client.cancel(started.id, by="ada")
    become("quarantined")
    await client.cancel(started.id, by="ada")

    assert first.state == "cancelled"
    assert cancelled == [f"{started.id}-sweep-2"]


async def test_approval_with_a_slow_clock(
    client: FleetClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that has expired by the clock of the store is not approved by a slow machine."""
    started = await client.plan("prod", "old-ci", by="ada")
    in_a_day = datetime.now(UTC) + timedelta(days=1)

    def make_wait(record: Record) -> Next:
        return Next(record=record.evolve(now=NOW, state="waiting", approve_by=in_a_day))

    client._store.change(started.id, make_wait)
    monkeypatch.setattr(client._database, "time", lambda: in_a_day)
    with pytest.raises(DecisionRefused, match="its plan expired"):
        await client.approve(started.id, by="ada")


def test_time(store_url: str) -> None:
    """The time of the database has a time zone, and is that of a machine with a right clock."""
    database = Database(StoreUrl.of(store_url))
    database.open()
    try:
        assert abs(database.time() - datetime.now(UTC)) < timedelta(minutes=1)
    finally:
        database.close()


def empty_plan(header: jobs.Header) -> dict[str, Any]:
    """Return a plan without tokens as JSON values."""
    values = header_json(header)
    digest = digest_of(values, hashlib.sha256().hexdigest())
    return jobs.PlanDocument(header, (), digest, values).to_json()


async def test_invalid_arguments(client: FleetClient) -> None:
    """An invalid argument is named, with its value."""
    calls: tuple[tuple[Awaitable[Any], str], ...] = (
        (client.plan("../x", "a", by="ada"), "The name of an account must be"),
        (client.plan("prod", "", by="ada"), "plan.cleanup must"),
        (client.plan("prod", "a", by=""), "plan.by must"),
        (anext(client.runs(account="\udcff")), "runs.account has half of a surrogate pair"),
        (client.approve("a", by=""), "approve.by must"),
        (anext(client.runs(state="done?")), "runs.state must be one of planning,"),  # type: ignore[arg-type]
        (anext(client.runs(since=NAIVE)), "runs.since must have a time zone"),
        (client.wait("a", state=["done?"]), "wait.state must be one of planning,"),  # type: ignore[list-item]
    )
    for call, message in calls:
        with pytest.raises(ValidationError, match=re.escape(message)):
            await call


async def test_not_open(tmp_path: Path) -> None:
    """A client that is not open says how to open it."""
    client = FleetClient(tmp_path / "fleet.sqlite")
    for call in (client.run("a"), client.pending()):
        with pytest.raises(ClientStateError, match="Open it with `async with`"):
            await call
    client._close()


async def test_store_of_another_program(tmp_path: Path) -> None:
    """A file that is no SQLite database is an error with its path."""
    (tmp_path / "fleet.sqlite").write_text("no database, but a text of some length")
    with pytest.raises(StoreError, match=r"fleet\.sqlite cannot be used: file is not a database"):
        async with Fleet(tmp_path / "fleet.sqlite").client():
            pass


async def test_worker_without_a_policy(tmp_path: Path) -> None:
    """A worker needs a policy, and valid limits."""
    app = Fleet(tmp_path / "fleet.sqlite")
    with pytest.raises(FleetError, match="The fleet has no policy"):
        await app.work()
    with pytest.raises(ValidationError, match=r"work\.concurrency must"):
        await app.work(concurrency=0)
    with pytest.raises(ValidationError, match=r"work\.fleet_concurrency must"):
        await app.work(fleet_concurrency=0)


def test_pickled_error() -> None:
    """A refused decision keeps its run when it is pickled."""
    error = pickle.loads(pickle.dumps(DecisionRefused("no", run=run())))
    assert (str(error), error.run) == ("no", run())


@pytest.mark.slow
def test_engine(tmp_path: Path) -> None:
    """The engine runs once in a process, and its errors name the store."""

    async def handle(*_: object) -> None:
        """Do nothing."""

    database = Database(StoreUrl.of(tmp_path / "fleet.sqlite"))
    database.open()
    client = EngineClient(database)
    client.open()
    engine = Engine(database, "w1", handle, concurrency=1)
    engine.launch()
    try:
        with pytest.raises(WorkerRefused, match="Another worker runs in this process"):
            Engine(database, "w2", handle, concurrency=1).launch()
        with pytest.raises(StoreError, match=r"fleet.sqlite cannot be used: .*missing"):
            client.resume("missing")
        assert client.ended([]) == set()
        assert client.ended(["missing"]) == {"missing"}
        assert client.pending() == {}
        tasks = [
            Task(run="a", phase="plan", attempt=one, partition="p", delay=DAY) for one in (1, 2)
        ]
        with database.begin() as connection:
            for task in tasks:
                client.enqueue(connection, task)
        client.cancel(tasks[0].id)
        soon = datetime.now(UTC) + timedelta(minutes=1)
        assert (client.forget(soon - 2 * DAY), client.forget(soon), client.forget(soon)) == (
            0,
            1,
            0,
        )
        assert client.ended([task.id for task in tasks]) == {tasks[0].id}
    finally:
        engine.stop()
        client.close()
        client.close()
        database.close()
    broken = Engine(Database(StoreUrl.of(tmp_path / "other.sqlite")), "w1", handle, concurrency=1)
    for _ in range(2):
        with pytest.raises(AssertionError):
            broken.launch()
    with pytest.raises(ZeroDivisionError), translated(database):
        raise ZeroDivisionError


async def test_prune(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prune reads the store page by page, and removes runs with their tasks."""
    monkeypatch.setattr(_pruning, "_PAGE", 2)
    async with Fleet(store_url).client() as client:
        started = [await client.plan("prod", "old-ci", by="ada") for _ in range(5)]
        ids = [one.id for one in started]
        for one in ids[:3]:
            await client.cancel(one, by="ada")
        for one in ids[:2]:
            client._engine.cancel(f"{one}-plan-1")
        too_young = await client.prune(older_than=DAY)
        found = await client.prune(older_than=timedelta(0), dry_run=True)
        removed = await client.prune(older_than=timedelta(0))
        tasks = {task for _, task, _ in client._engine._tasks_of(ids)}
        for argument, message in (
            ({"older_than": -DAY}, "prune.older_than must not be negative, but it is -1 day"),
            ({"older_than": DAY, "account": "\udcff"}, "prune.account has half of a surrogate"),
        ):
            with pytest.raises(ValidationError, match=re.escape(message)):
                await client.prune(**argument)
        with pytest.raises(RunNotFound):
            await client.cancel(ids[0], by="ada")
        listed = [one.id async for one in client.runs()]

    assert (too_young.runs, too_young.size) == ((), 0)
    assert removed == found
    assert [one.id for one in removed.runs] == [ids[1], ids[0]]
    assert removed.size > 2 * 500
    assert listed == [ids[4], ids[3], ids[2]]
    assert tasks == {f"{one}-plan-1" for one in ids[2:]}


async def test_failed_tokens(store_url: str) -> None:
    """Runs with failed tokens are found, and a retry removes the outcomes of these tokens alone."""
    outcomes = (Outcome.DONE, Outcome.FAILED)
    names = ("ci", '"outcome":"failed"')
    tokens = tuple(
        TokenOutcome(owner=Owner.user(), id=f"{n:024x}", name=names[n], outcome=outcome, error="e")
        for n, outcome in enumerate(outcomes)
    )
    chunk = ChunkResult(digest="sha256:1", first=0, results=tokens).to_json()
    other = ChunkResult(digest="sha256:1", first=2, results=tokens[:1]).to_json()
    async with Fleet(store_url).client() as client:
        started = [await client.plan("prod", "old-ci", by="ada") for _ in range(3)][-1]
        store = client._store

        def become(**members: Any) -> None:
            store.change(
                started.id,
                lambda one: Next(
                    record=attrs.evolve(one.evolve(now=NOW, phase="apply", **members), owner="me")
                ),
            )

        become(state="applying")
        for number, result in enumerate((chunk, other)):
            store.begin_chunk(started.id, "apply", number, "me", NOW)
            store.end_chunk(started.id, "apply", number, "me", result, is_complete=True)
        work = Work(worker="w", version="1", started_at=NOW, outcomes={"done": 2, "failed": 1})
        become(state="done", work={"apply": work})
        found = client.runs(with_failed_tokens=True, limit=1)
        before = [(run.id, run.failed_tokens) async for run in found]
        retried = await client.retry(started.id, by="ada")
        after = [run.id async for run in client.runs(with_failed_tokens=True)]
        report = await client.report(started.id)

    assert (before, after) == ([(started.id, 1)], [])
    assert retried.state == "applying"
    assert [(one.outcome, one.error) for one in report.results] == [
        (Outcome.DONE, "e"),
        (None, None),
        (Outcome.DONE, "e"),
    ]


async def test_recent_runs(store_url: str) -> None:
    """The newest runs are read without a client, and only those that a decision fits."""
    with pytest.raises(StoreError, match="cannot be read"):
        recent_runs(f"{store_url}x")
    async with Fleet(store_url).client() as client:
        started = [await client.plan("prod", "old-ci", by="ada") for _ in range(4)]
        ids = [one.id for one in started]
        await client.cancel(ids[3], by="ada")
        found = recent_runs(store_url, limit=3)
        waiting = recent_runs(store_url, decision="approve")
        cancellable = recent_runs(store_url, decision="cancel")
        for run_id, state in ((ids[2], "done"), (ids[1], "failed")):
            ended = Next(record=client._store.find(run_id).record.evolve(now=NOW, state=state))
            client._store.change(run_id, lambda _, ended=ended: ended)  # type: ignore[misc]
        failed = recent_runs(store_url, decision="retry", limit=1)
        with client._database.begin() as connection:
            connection.execute(update(_RUNS).where(_RUNS.c.id != ids[0]).values(record="{}"))
        readable = recent_runs(store_url)

    assert [one.id for one in found] == [ids[3], ids[2], ids[1]]
    assert found[1] == started[2]
    assert waiting == ()
    assert [one.id for one in cancellable] == [ids[2], ids[1], ids[0]]
    assert [one.id for one in failed] == [ids[1]]
    assert readable == (started[0],)
