"""The stored form of a run."""

import json
from datetime import timedelta
from typing import Any

import attrs
import pytest

from losant_tokens.fleet import FleetError, Work
from losant_tokens.fleet import _run_codec as records
from losant_tokens.fleet._run_codec import Record
from tests.support.fleet_runs import NOW, approved, run

DONE = Work(worker="w1", version="1", started_at=NOW, finished_at=NOW, outcomes={"done": 2})
RECORD = Record(
    run=run(
        decisions=approved(),
        work={"plan": attrs.evolve(DONE, finished_at=None), "apply": DONE},
        sweep_due_at=NOW,
        retry_at=NOW,
        reason="half a pair: \ud800",
        webhook_failures=2,
        warned_tokens=3,
        plan_warnings=("one",),
    ),
    partition="key",
    attempt=3,
    owner="me",
    failing_since=NOW,
    deaths=2,
    digests={"sweep": "sha256:cd"},
)

VERSION_1 = """{"version":1,"id":"1f3a9c20","state":"waiting","account":"prod","cleanup":"old-ci",
"requestedBy":"ada","requestedAt":"2026-03-01T09:00:00+00:00",
"changedAt":"2026-03-01T10:00:00+00:00","plan":{"digest":"sha256:ab","action":"deactivate",
"rule":"expired","selected":2,"listed":4,"protected":0,"owners":["user"],"grace":86400.0,
"warnings":[]},"plannedAt":"2026-03-01T10:00:00+00:00","approveBy":"2026-03-08T10:00:00+00:00",
"decisions":[],"work":{"plan":{"worker":"w1","version":"0.1.0",
"startedAt":"2026-03-01T09:00:01+00:00","finishedAt":"2026-03-01T10:00:00+00:00","attempts":1,
"outcomes":{}}},"sweepDueAt":null,"phase":"plan","reason":"","retryAt":null,"partition":"k",
"attempt":2,"owner":"o","failingSince":null,"digests":{"sweep":"sha256:cd"}}"""
PLAN = json.loads(VERSION_1)["plan"]


@pytest.mark.parametrize("record", [RECORD, Record(run=run(plan_grace=None, approve_by=None))])
def test_round_trip(record: Record) -> None:
    """A record is read as it was written, and its text is plain ASCII."""
    text = records.to_json(record)

    assert text.isascii()
    assert records.from_json(text) == record


def test_version_1() -> None:
    """A run that the first version wrote can be read."""
    found = records.from_json(VERSION_1)

    assert (found.run.id, found.run.state, found.attempt) == ("1f3a9c20", "waiting", 2)
    assert found.run.plan.grace == timedelta(days=1)
    assert found.run.work["plan"].worker == "w1"


def test_unknown_members() -> None:
    """Members that a later release of the same version writes are left out."""
    data = json.loads(VERSION_1) | {"more": 1}
    assert records.from_json(json.dumps(data)) == records.from_json(VERSION_1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "written by a newer release: its version is 2, .* up to 1"),
        ({"requestedAt": "2026-03-01T09:00:00"}, "cannot be read \\(ValueError\\)"),
        ({"requestedAt": None}, "cannot be read \\(TypeError\\)"),
        ({"state": "paused"}, "cannot be read \\(ValueError\\)"),
        ({"attempt": "2"}, "cannot be read \\(ValueError\\)"),
        ({"work": []}, "cannot be read \\(AttributeError\\)"),
        ({"plan": PLAN | {"grace": 1e300}}, "cannot be read \\(OverflowError\\)"),
        ({"plan": {}}, "cannot be read \\(KeyError\\)"),
    ],
)
def test_unreadable(change: dict[str, Any], message: str) -> None:
    """A record of a newer version, or an altered one, is refused with the reason."""
    with pytest.raises(FleetError, match=message):
        records.from_json(json.dumps(json.loads(VERSION_1) | change))


def test_task_id() -> None:
    """The id of a task names the run, the phase and the attempt."""
    assert records.task_id("1f3a9c20", "sweep", 3) == "1f3a9c20-sweep-3"
