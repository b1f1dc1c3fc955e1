"""A fleet with one worker on SQLite, from the plan to the sweep."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from losant_tokens.fleet import DecisionRefused
from tests.support.fleet_accounts import FleetAccount, fleet_accounts, problems
from tests.support.fleets import make_fleet, working

pytestmark = pytest.mark.slow


@pytest.fixture(name="pair")
def _pair() -> Iterator[tuple[FleetAccount, ...]]:
    with fleet_accounts("acme", "globex", stale=12) as found:
        yield found


async def test_plan_to_sweep_and_restore(
    pair: tuple[FleetAccount, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    store_url: str,
) -> None:
    """An approved plan is applied and swept, a restored one is undone, and nothing is twice."""
    app = make_fleet(pair, tmp_path, monkeypatch, store=store_url, grace=timedelta(seconds=3))
    async with working(app) as client:
        first = await client.plan("acme", "old-ci", by="ada", key="monday")
        again = await client.plan("acme", "old-ci", by="bob", key="monday")
        second = await client.plan("globex", "old-ci", by="ada")
        for run in (first, second):
            waiting = await client.wait(run.id)
            assert (waiting.state, waiting.plan.selected, waiting.plan.listed) == (
                "waiting",
                12,
                25,
            )
            await client.approve(run.id, by="ada", digest=waiting.plan.id)
            await client.approve(run.id, by="bob")
        quarantined = await client.wait(second.id)
        await client.restore(second.id, by="ada")
        restored = await client.wait(second.id, state="restored")
        swept = await client.wait(first.id, state="done")
        report = await client.report(first.id)
        document = await client.document(first.id)
        with pytest.raises(DecisionRefused, match="its tokens were deleted"):
            await client.restore(first.id, by="ada")
        listed = [run.id async for run in client.runs()]
        done = [run.id async for run in client.runs(state="done", account="acme")]

    assert again.id == first.id
    assert quarantined.state == "quarantined"
    assert quarantined.sweep_due_at is not None
    assert restored.outcomes("restore") == {"done": 12}
    assert [one.by for one in swept.decisions] == ["ada"]
    assert {phase: work.worker for phase, work in swept.work.items()} == {
        "plan": "w1",
        "apply": "w1",
        "sweep": "w1",
    }
    assert {(one.phase, one.id) for one in report.results} == {
        (phase, token) for phase in ("apply", "sweep") for token in pair[0].stale
    }
    assert {entry.id for entry in document.entries} == pair[0].stale
    assert (listed, done) == ([second.id, first.id], [first.id])
    assert problems(pair[0], ["deactivate", "delete"]) == []
    assert problems(pair[1], ["deactivate", "activate"]) == []
    if app.path is not None:
        _check_file(app.path, pair)


def _check_file(path: Path, pair: tuple[FleetAccount, ...]) -> None:
    """Check that the file is private, and holds no secret."""
    assert path.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(path)) as connection:
        dump = "\n".join(connection.iterdump())
    secrets = [account.token for account in pair]
    assert "acme" in dump
    assert [secret for secret in secrets if secret in dump] == []
