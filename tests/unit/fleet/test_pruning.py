"""Which runs a prune removes from the store of a fleet, on SQLite."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from losant_tokens.fleet import _run_codec as records
from losant_tokens.fleet import _transitions as transitions
from losant_tokens.fleet._pruning import Pruner
from losant_tokens.fleet._store.database import Database, StoreUrl
from losant_tokens.fleet._store.run_table import Query, Store
from losant_tokens.fleet._transitions import Next
from losant_tokens.fleet._types import Work
from tests.support.fleet_runs import NOW, run

DAY = timedelta(days=1)
OLD = NOW - 2 * DAY


class Tasks:
    """The tasks of runs, in memory."""

    def __init__(self) -> None:
        self.working: set[str] = set()
        self.forgotten: list[str] = []

    def busy(self, run_ids: Iterable[str]) -> set[str]:
        return self.working & set(run_ids)

    def forget_runs(self, run_ids: Iterable[str]) -> None:
        self.forgotten.extend(run_ids)


@pytest.fixture(name="tasks")
def _tasks() -> Tasks:
    return Tasks()


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[Store]:
    database = Database(StoreUrl.of(tmp_path / "fleet.sqlite"))
    database.open()
    store = Store(database, lambda *_: None)
    store.create_tables()
    yield store
    database.close()


def add(store: Store, name: str, occasion: str | None = None, **members: Any) -> None:
    """Add a run that ended two days ago."""
    values = {"id": name, "state": "done", "changed_at": OLD, "requested_at": OLD - DAY, **members}
    store.add(transitions.start(run(**values)), occasion)


def prune(store: Store, tasks: Tasks, **members: Any) -> list[str]:
    """Remove the runs that ended a day ago, and return their ids."""
    pruner = Pruner(store=store, tasks=tasks, query=Query(), ended_before=NOW - DAY, now=NOW)
    found, position = attrs.evolve(pruner, **members).prune(None)
    assert position is None
    return [one.id for one, _ in found]


def left(store: Store) -> list[str]:
    """Return the ids of the runs in the store."""
    return sorted(record.run.id for record in store.each(Query(), now=NOW))


def work(*, is_finished: bool = True, **outcomes: int) -> Work:
    """Return the work of a phase."""
    finished_at = OLD if is_finished else None
    return Work(
        worker="w1", version="1", started_at=OLD, finished_at=finished_at, outcomes=outcomes
    )


def test_removable() -> None:
    """A finished run is removable, unless its tokens can be restored."""
    applied = {"apply": work(done=3)}
    left_alone = {"apply": work(changed=3)}
    interrupted = {"apply": work(is_finished=False)}
    rows: tuple[tuple[str, dict[str, Any], bool], ...] = (
        ("waiting", {}, False),
        ("planning", {}, False),
        ("quarantined", {"work": applied}, False),
        ("empty", {}, True),
        ("rejected", {}, True),
        ("expired", {}, True),
        ("refused", {}, True),
        ("failed", {}, True),
        ("failed", {"work": applied}, False),
        ("failed", {"work": left_alone}, True),
        ("failed", {"work": interrupted}, False),
        ("failed", {"work": interrupted, "plan_action": "delete"}, True),
        ("cancelled", {"work": applied}, False),
        ("cancelled", {"work": {**applied, "restore": work(done=1)}}, False),
        ("restored", {"work": {**applied, "restore": work(done=3)}}, True),
        ("restored", {"phase": "restore", "work": {**applied, "restore": work(failed=1)}}, False),
        ("done", {"work": applied}, False),
        ("done", {"work": applied, "plan_action": "delete"}, True),
        ("done", {"work": {**applied, "sweep": work(done=3)}}, True),
        ("done", {"work": {**applied, "sweep": work(done=2, failed=1)}}, False),
    )
    for state, members, expected in rows:
        found = transitions.is_removable(run(state=state, **members), has_begun=True)
        assert found is expected, (state, members)
    failed = run(state="failed", work=interrupted)
    assert transitions.is_removable(failed, has_begun=False)


def test_latest_runs_are_kept(store: Store, tasks: Tasks) -> None:
    """The latest run of an account and a clean-up is kept, and the latest one of a schedule."""
    for number, occasion in enumerate((None, "monday", None, "tuesday", None, None)):
        add(store, f"a{number}", occasion, state="empty", requested_at=OLD - (9 - number) * DAY)
    add(store, "b", state="empty", account="other")
    add(store, "c", state="empty", cleanup="other")

    assert prune(store, tasks, is_dry_run=True) == ["a4", "a2", "a1", "a0"]
    assert tasks.forgotten == []
    assert prune(store, tasks) == tasks.forgotten == ["a4", "a2", "a1", "a0"]
    assert left(store) == ["a3", "a5", "b", "c"]
    assert prune(store, tasks) == []


def test_age_counts_from_the_end(store: Store, tasks: Tasks) -> None:
    """The age of a run counts from its end; a plan ends when nobody has approved it in time."""
    members: dict[str, dict[str, Any]] = {
        "a": {"state": "empty", "changed_at": NOW - DAY / 2},
        "b": {"state": "waiting", "approve_by": NOW - DAY / 2},
        "c": {"state": "waiting", "approve_by": OLD},
        "d": {"state": "waiting", "approve_by": NOW + DAY},
        "z": {"state": "empty", "requested_at": NOW},
    }
    for name, values in members.items():
        add(store, name, **values)

    assert prune(store, tasks) == ["c"]


def test_everything_of_a_run_is_removed(store: Store, tasks: Tasks) -> None:
    """The plans and results of a run are removed with it, and their size is counted."""
    for name in ("a", "b"):
        add(store, name, state="applying", plan_action="delete")
        document = Next(record=store.find(name).record, stores=("apply", {"a": 1}))
        store.change(name, lambda _, document=document: document)  # type: ignore[misc]
        store.change(name, lambda one: Next(record=attrs.evolve(one, owner="me")))
        store.begin_chunk(name, "apply", 0, "me", None)
        store.end_chunk(name, "apply", 0, "me", {"b": 22}, is_complete=True)
        done = store.find(name).record.evolve(now=OLD, state="done")
        store.change(name, lambda _, done=done: Next(record=done))  # type: ignore[misc]
    pruner = Pruner(store=store, tasks=tasks, query=Query(), ended_before=NOW - DAY, now=NOW)
    (only,) = store.superseded(Query(until=NOW), None, now=NOW)[0]
    ((_, size),) = pruner.prune(None)[0]

    assert size == only.size == len('{"a":1}') + len('{"b":22}') + _record_length(store)
    assert store.get_plan("a", "apply") is None
    assert list(store.results("a", ["apply"])) == []
    assert list(store.results("b", ["apply"])) == [("apply", {"b": 22})]


def _record_length(store: Store) -> int:
    return len(records.to_json(store.find("b").record))


def test_run_with_a_task_is_kept(store: Store, tasks: Tasks) -> None:
    """A run whose task a worker still has is kept, although it was cancelled."""
    for name in ("a", "b", "c"):
        add(store, name, state="cancelled")
    tasks.working = {"a"}

    assert prune(store, tasks) == ["b"]
    assert left(store) == ["a", "c"]


def test_run_that_changes_meanwhile_is_kept(
    store: Store, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision while the prune runs keeps the run, and of two prunes, one removes it."""
    for name in ("a", "b", "c"):
        add(store, name, state="failed")

    def look(_: object) -> set[str]:
        monkeypatch.undo()
        store.change("a", lambda one: transitions.released(one, now=NOW))
        assert prune(store, tasks) == ["b"]
        return set()

    monkeypatch.setattr(tasks, "busy", look)

    assert prune(store, tasks) == []
    assert left(store) == ["a", "c"]


def test_pages_of_superseded_runs(store: Store) -> None:
    """Runs are read in pages, even if some started at the same time."""
    for name in ("a", "b", "c", "d"):
        add(store, name)
    first, position = store.superseded(Query(), None, now=NOW, size=2)
    second, end = store.superseded(Query(), position, now=NOW, size=2)

    assert [one.record.run.id for one in (*first, *second)] == ["c", "b", "a"]
    assert end is None
