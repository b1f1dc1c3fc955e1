"""The tables of runs, plans and results, on SQLite."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlalchemy as sa

from losant_tokens.fleet import (
    Decision,
    DecisionRefused,
    FleetError,
    RunNotFound,
    RunState,
    StoreError,
    Work,
)
from losant_tokens.fleet import _transitions as transitions
from losant_tokens.fleet._run_codec import Record
from losant_tokens.fleet._store.database import Database, StoreUrl
from losant_tokens.fleet._store.run_table import Query, Store, Task, claim, metadata
from losant_tokens.fleet._transitions import Next
from losant_tokens.fleet._workers.orphaned_runs import Rescue
from tests.support.fleet_runs import NOW, run

HOUR = timedelta(hours=1)


@pytest.fixture(name="tasks")
def _tasks() -> list[Task]:
    return []


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Iterator[Database]:
    database = Database(StoreUrl.of(tmp_path / "fleet.sqlite"))
    database.open()
    yield database
    database.close()


@pytest.fixture(name="store")
def _store(database: Database, tasks: list[Task]) -> Store:
    store = Store(database, lambda _, task: tasks.append(task))
    store.create_tables()
    return store


def add(
    store: Store, name: str = "1f3a9c20", occasion: str | None = None, **members: Any
) -> Record:
    """Add a run, and return its record."""
    return store.add(
        transitions.start(run(**{"id": name, "state": "planning", "phase": "plan", **members})),
        occasion,
    )


def ids(store: Store, **query: Any) -> list[str]:
    """Return the ids of runs."""
    return [record.run.id for record in store.each(Query(**query), now=NOW)]


def test_run_of_an_occasion(store: Store, tasks: list[Task]) -> None:
    """A run is started once for an occasion, and gets one task in the partition of its account."""
    first = add(store, "a", "monday")
    again = add(store, "b", "monday")
    other = add(store, "c", "tuesday")

    assert (again, other.run.id) == (first, "c")
    assert [(task.id, task.partition) for task in tasks] == [
        ("a-plan-1", "account prod"),
        ("c-plan-1", "account prod"),
    ]


def test_two_processes_start_a_run(
    store: Store, monkeypatch: pytest.MonkeyPatch, tasks: list[Task]
) -> None:
    """If another process starts the run at the same time, its run is returned."""
    first = add(store, "a", "monday")
    found = Store._of_occasion
    looks: list[str] = []

    def look(self: Store, connection: Any, occasion: str) -> Record | None:
        looks.append(occasion)
        return None if len(looks) == 1 else found(self, connection, occasion)

    monkeypatch.setattr(Store, "_of_occasion", look)

    assert add(store, "b", "monday") == first
    assert len(tasks) == 1


def test_find(store: Store) -> None:
    """A run is found by its id, or by the beginning if no other id has it."""
    for name in ("abc", "abcd", "abce", "x%y"):
        add(store, name)

    assert store.find("abc").record.run.id == "abc"
    assert store.find("abcd").record.run.id == "abcd"
    assert store.find("x").record.run.id == "x%y"
    with pytest.raises(RunNotFound, match="'ab' matches several ids: abc, abcd, abce"):
        store.find("ab")
    for unknown in ("%", "z", "", "\udcff", "a\0"):
        with pytest.raises(RunNotFound, match=re.escape(f"There is no run {unknown!r}")):
            store.find(unknown)


def test_many_similar_ids(store: Store) -> None:
    """The error of an ambiguous id names five of the others."""
    for number in range(7):
        add(store, f"a{number}")
    with pytest.raises(RunNotFound, match=r"a0, a1, a2, a3, a4, "):
        store.find("a")


def test_pages_and_filters(store: Store) -> None:
    """Runs are returned page by page, the newest first, and the store selects them."""
    days: tuple[tuple[str, RunState, dict[str, Any]], ...] = (
        ("a", "waiting", {"approve_by": NOW + HOUR}),
        ("b", "waiting", {"approve_by": NOW - HOUR}),
        ("c", "quarantined", {"account": "other", "sweep_due_at": NOW + HOUR}),
        ("d", "quarantined", {"cleanup": "other", "sweep_due_at": NOW - HOUR}),
        ("e", "done", {}),
    )
    for number, (name, state, members) in enumerate(days):
        add(store, name, state=state, requested_at=NOW - number // 2 * HOUR, **members)
    first, position = store.page(Query(), None, now=NOW, size=3)
    second, end = store.page(Query(), position, now=NOW, size=3)

    assert [record.run.id for record in first] == ["b", "a", "d"]
    assert [record.run.id for record in second] == ["c", "e"]
    assert end is None
    assert ids(store) == ["b", "a", "d", "c", "e"]
    assert ids(store, states=("waiting",)) == ["a"]
    assert ids(store, states=("expired",)) == ["b"]
    assert ids(store, states=("done", "waiting", "expired")) == ["b", "a", "e"]
    assert ids(store, account="other") == ["c"]
    assert ids(store, cleanup="other") == ["d"]
    assert ids(store, since=NOW) == ["b", "a"]
    assert ids(store, states=("quarantined",), due_before=NOW) == ["d"]


@pytest.mark.parametrize(
    ("state", "is_unfinished"),
    [
        ("planning", True),
        ("waiting", True),
        ("approved", True),
        ("applying", True),
        ("quarantined", False),
        ("failed", False),
    ],
)
def test_unfinished(store: Store, state: RunState, is_unfinished: bool) -> None:
    """A run is unfinished until its plan is applied, or nobody can apply it any more."""
    add(store, "a", state=state, approve_by=NOW + HOUR)
    other = store.unfinished("other", "old-ci", now=NOW) or store.unfinished("prod", "x", now=NOW)

    assert store.unfinished("prod", "old-ci", now=NOW) == ("a" if is_unfinished else None)
    assert other is None


def test_expired_plan_is_finished(store: Store) -> None:
    """A plan that nobody approved in time does not count as unfinished."""
    add(store, "a", state="waiting", approve_by=NOW)
    assert store.unfinished("prod", "old-ci", now=NOW) is None


def test_unreadable_run(store: Store, database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """A run that cannot be read does not hide the others, and is logged once."""
    for name in ("a", "b", "c"):
        add(store, name)
    newer = sa.text("update fleet_runs set record = '{\"version\": 99}' where id = 'b'")
    with database.begin() as connection:
        connection.execute(newer)
    groups: list[list[str]] = []

    def ended(found: Any) -> set[str]:
        groups.append(sorted(found))
        return set()

    assert ids(store) == ids(store) == ["c", "a"]
    assert Rescue(store, ended, lambda _: None, now=lambda: NOW).look() == 0
    assert groups == [["a-plan-1", "c-plan-1"]]
    assert [record.getMessage().partition(": its")[0] for record in caplog.records] == [
        "Run 'b' is left out: A run in the store was written by a newer release"
    ]
    with pytest.raises(FleetError, match="written by a newer release"):
        store.find("b")


def test_several_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """`each` continues after a full page."""
    page = store.page
    monkeypatch.setattr(store, "page", lambda *args, now: page(*args, now=now, size=2))
    for name in ("a", "b", "c", "d"):
        add(store, name)
    assert ids(store) == ["d", "c", "b", "a"]


def test_change(store: Store, tasks: list[Task]) -> None:
    """A change is written with its task; a decision that changes nothing is not."""
    before = add(store)
    changed = store.change("1f3a9c20", lambda one: transitions.released(one, now=NOW))
    same = store.change("1f3a9c20", lambda one: Next(record=one, is_changed=False))
    none = store.change("1f3a9c20", lambda _: None)

    assert changed is not None
    assert (changed.attempt, same, none) == (before.attempt + 1, changed, None)
    assert store.find("1f3a9c20").revision == 1
    assert [task.id for task in tasks] == ["1f3a9c20-plan-1", "1f3a9c20-plan-2"]


def test_change_at_the_same_time(store: Store) -> None:
    """If somebody else changes a run meanwhile, the decision is made again about the new run."""
    add(store)
    seen: list[str] = []

    def decide(record: Record) -> Next:
        seen.append(record.owner)
        if len(seen) == 1:
            other = attrs.evolve(record, owner="other")
            store.change("1f3a9c20", lambda _: Next(record=other))
        return Next(record=attrs.evolve(record, owner=f"{record.owner}+me"))

    changed = store.change("1f3a9c20", decide)

    assert changed is not None
    assert (seen, changed.owner) == (["", "other"], "other+me")


@pytest.mark.parametrize("first", ["restore", "sweep"])
def test_restore_and_sweep_at_the_same_time(store: Store, first: str) -> None:
    """Of a restore and a sweep at the same time, the first one wins, and the other does nothing."""
    work = {"apply": Work(worker="w1", version="1", started_at=NOW)}
    add(store, state="quarantined", phase="apply", work=work)
    interrupted: list[str] = []

    def restore(record: Record) -> Next:
        if first == "sweep" and not interrupted:
            interrupted.append("restore")
            store.change("1f3a9c20", sweep)
        return transitions.decide(record, Decision(kind="restore", by="ada", at=NOW))

    def sweep(record: Record) -> Next | None:
        if first == "restore" and not interrupted:
            interrupted.append("sweep")
            store.change("1f3a9c20", restore)
        begun = transitions.begin(record, "sweep", 1, worker="w1", version="1", owner="me", now=NOW)
        return None if begun is None else Next(record=begun)

    if first == "sweep":
        with pytest.raises(DecisionRefused, match="its sweep has begun"):
            store.change("1f3a9c20", restore)
    else:
        assert store.change("1f3a9c20", sweep) is None

    expected = {"sweep": "sweeping", "restore": "restoring"}[first]
    assert store.find("1f3a9c20").record.run.state == expected


def test_run_that_keeps_changing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that others keep changing is an error, not an endless loop."""
    add(store)
    monkeypatch.setattr(store, "_write", lambda *_: False)
    with pytest.raises(FleetError, match="Run 1f3a9c20 keeps changing"):
        store.change("1f3a9c20", lambda one: transitions.released(one, now=NOW))


def test_task_and_change_are_one_transaction(database: Database) -> None:
    """If the task cannot be enqueued, the run is not changed."""

    def fail(*_: object) -> None:
        raise RuntimeError

    store = Store(database, fail)
    store.create_tables()
    with pytest.raises(RuntimeError):
        add(store)
    assert ids(store) == []


def test_plans(store: Store) -> None:
    """A plan is stored with its change, replaced by a later one, and cleared."""
    add(store)
    plan = Next(record=store.find("1f3a9c20").record, stores=("restore", {"name": "\ud800"}))
    store.change("1f3a9c20", lambda _: plan)
    stored = store.get_plan("1f3a9c20", "restore")
    cleared = attrs.evolve(plan, stores=None, clears="restore")
    store.change("1f3a9c20", lambda _: cleared)

    assert stored == {"name": "\ud800"}
    assert store.get_plan("1f3a9c20", "restore") is None


def test_altered_plan(store: Store, database: Database) -> None:
    """A plan in the store that is not JSON is an error with the run."""
    add(store)
    plan = Next(record=store.find("1f3a9c20").record, stores=("apply", {}))
    store.change("1f3a9c20", lambda _: plan)
    with database.begin() as connection:
        connection.execute(sa.text("update fleet_plans set document = '{'"))
    with pytest.raises(FleetError, match="of run 1f3a9c20 in the store were altered"):
        store.get_plan("1f3a9c20", "apply")


def own(store: Store, owner: str) -> None:
    """Let a process take over the run."""
    store.change("1f3a9c20", lambda one: Next(record=attrs.evolve(one, owner=owner)))


def test_chunks(store: Store) -> None:
    """A chunk without a complete result is in doubt for the next process, and then has a result."""
    add(store)
    own(store, "a")
    first = store.begin_chunk("1f3a9c20", "apply", 0, "a", NOW)
    unknown = store.begin_chunk("1f3a9c20", "apply", 1, "a", None)
    own(store, "b")
    late = store.begin_chunk("1f3a9c20", "apply", 2, "a", NOW)
    second = store.begin_chunk("1f3a9c20", "apply", 0, "b", NOW + HOUR)
    doubt = store.begin_chunk("1f3a9c20", "apply", 1, "b", NOW)
    lost = store.end_chunk("1f3a9c20", "apply", 0, "a", {"a": 1}, is_complete=True)
    partial = store.end_chunk("1f3a9c20", "apply", 0, "b", {"a": 2}, is_complete=False)
    unfinished = store.unfinished_chunks("1f3a9c20", "apply")
    third = store.begin_chunk("1f3a9c20", "apply", 0, "b", NOW)
    store.end_chunk("1f3a9c20", "apply", 0, "b", {"a": 3}, is_complete=True)
    done = store.begin_chunk("1f3a9c20", "apply", 0, "b", NOW)

    assert first is not None
    assert unknown is not None
    assert second is not None
    assert doubt is not None
    assert third is not None
    assert done is not None
    assert (first.in_doubt, unknown.in_doubt, late) == (False, False, None)
    assert (second.in_doubt, doubt.in_doubt, third.in_doubt) == (NOW, True, NOW)
    assert (lost, partial, unfinished) == (False, True, [0, 1])
    assert (third.result, third.is_complete) == ({"a": 2}, False)
    assert (done.in_doubt, done.result, done.is_complete) == (False, {"a": 3}, True)
    assert list(store.results("1f3a9c20", ["apply", "sweep"])) == [("apply", {"a": 3})]


@pytest.mark.parametrize(
    ("owner", "until"),
    [
        (claim("a", NOW + HOUR), NOW + HOUR),
        (claim("a", None), None),
        ("a", None),
        ("a@2026-03-01T12:00:00", None),
        ("a@never", None),
    ],
)
def test_end_of_a_claim(
    store: Store, database: Database, owner: str, until: datetime | None
) -> None:
    """The time after which a lost process changed nothing is that of its claim, if it made one."""
    add(store)
    own(store, "a")
    store.begin_chunk("1f3a9c20", "apply", 0, "a", NOW, NOW + HOUR)
    own(store, "b")
    with database.begin() as connection:
        connection.execute(sa.text("update fleet_chunks set owner = :owner"), {"owner": owner})
    state = store.begin_chunk("1f3a9c20", "apply", 0, "b", NOW)

    assert state is not None
    assert (state.in_doubt, state.until) == (NOW, until)


def test_chunk_that_ended_in_order(store: Store) -> None:
    """A chunk that ended cleanly is not in doubt until the next process has begun it."""
    add(store)
    states = []
    for number, (owner, time) in enumerate(
        [("a", NOW), ("b", NOW + HOUR), ("c", NOW + 2 * HOUR), ("d", None), ("e", NOW)]
    ):
        own(store, owner)
        states.append(store.begin_chunk("1f3a9c20", "apply", 0, owner, time))
        if number in {0, 2}:
            store.end_chunk(
                "1f3a9c20", "apply", 0, owner, {"a": 1}, is_complete=False, is_clean=True
            )

    assert [state and state.in_doubt for state in states] == [
        False,
        False,
        NOW + HOUR,
        False,
        NOW + HOUR,
    ]


def test_rescue(store: Store, tasks: list[Task]) -> None:
    """A run whose task is gone gets another one, unless a worker has changed it meanwhile."""
    add(store, "a")
    add(store, "b")
    add(store, "c", state="quarantined", sweep_due_at=NOW + HOUR)
    add(store, "d", state="done")
    now = [NOW]

    def ended(found: Any) -> set[str]:
        names = set(found)
        assert names == {"a-plan-1", "b-plan-1"}
        own_b = attrs.evolve(store.find("b").record, attempt=2)
        store.change("b", lambda _: Next(record=own_b))
        return names

    forgotten: list[datetime] = []
    rescue = Rescue(store, ended, forgotten.append, now=lambda: now[0])

    assert rescue.look_if_due() == 1
    assert rescue.look_if_due() == 0
    assert [task.id for task in tasks[4:]] == ["a-plan-2"]
    now[0] += timedelta(minutes=1)
    with pytest.raises(AssertionError):
        rescue.look_if_due()
    assert forgotten == [NOW - timedelta(days=7)]


def test_no_rescue_of_a_run_in_progress(store: Store, tasks: list[Task]) -> None:
    """A run that a live worker works on keeps its task, although that has ended."""
    for name in ("a", "b"):
        add(store, name)
    own = attrs.evolve(store.find("b").record, owner="live.1")
    store.change("b", lambda _: Next(record=own))
    rescue = Rescue(store, set, lambda _: None, lambda one: one.owner == "live.1", lambda: NOW)

    assert rescue.look() == 1
    assert [task.id for task in tasks[2:]] == ["a-plan-2"]


def test_rescue_of_many(store: Store, tasks: list[Task], monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks are looked up in groups."""
    monkeypatch.setattr("losant_tokens.fleet._workers.orphaned_runs._PAGE", 2)
    groups: list[list[str]] = []

    def ended(found: Any) -> set[str]:
        groups.append(sorted(found))
        return {"a-plan-1", "c-plan-1"} & set(found)

    for name in ("a", "b", "c"):
        add(store, name)

    assert Rescue(store, ended, lambda _: None, now=lambda: NOW).look() == 2
    assert groups == [["b-plan-1", "c-plan-1"], ["a-plan-1"]]


def test_old_tasks(store: Store) -> None:
    """Ended tasks are removed once an hour."""
    now, forgotten = [NOW], list[datetime]()
    rescue = Rescue(store, lambda _: set(), forgotten.append, now=lambda: now[0])
    for _ in range(130):
        rescue.look_if_due()
        now[0] += timedelta(minutes=1)

    assert [one - NOW + timedelta(days=7) for one in forgotten] == [
        hours * HOUR for hours in (0, 1, 2)
    ]


@pytest.mark.parametrize("step", [timedelta(hours=-5), timedelta(hours=5)])
def test_clock_that_steps_by_hours(store: Store, step: timedelta) -> None:
    """A clock that is set back or forward delays no look for runs that no task continues."""
    now, looks = [NOW], list[str]()
    rescue = Rescue(store, lambda _: set(), lambda _: looks.append("look"), now=lambda: now[0])
    rescue.look_if_due()
    now[0] += step
    rescue.look_if_due()

    assert looks == ["look", "look"]


def test_error_of_the_database(store: Store, database: Database) -> None:
    """An error of the database names the store."""
    problem = r"The store .*fleet.sqlite cannot be used: no such table"
    with pytest.raises(StoreError, match=problem), database.begin() as connection:
        connection.execute(sa.text("select * from missing"))


def test_two_processes_create_the_tables(database: Database) -> None:
    """Tables that another process has just created are left alone."""
    database.create_tables(metadata)
    database.create_tables(metadata)
    assert database.has_table("fleet_runs", "losant_fleet")
