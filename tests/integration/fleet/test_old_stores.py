"""Stores that earlier releases have written."""

from pathlib import Path

import pytest

from losant_tokens.fleet import DecisionRefused
from tests.support import old_store
from tests.support.fleets import working

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("file", old_store.FILES, ids=lambda file: file.stem)
async def test_runs_of_an_earlier_release_continue(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan of an earlier release is applied, and the tokens that it deactivated are swept."""
    path = tmp_path / "fleet.sqlite"
    old_store.load(file, path)
    app = old_store.fleet_of(path, {}, monkeypatch.setattr)
    async with app.client() as client:
        swept, waiting = sorted([run async for run in client.runs()], key=lambda run: run.account)
        report = await client.report(swept.id)
        document = await client.document(waiting.id)
    changed_at = {result.id: result.changed_at for result in report.results}
    accounts = old_store.fakes(changed_at)
    app = old_store.fleet_of(path, accounts, monkeypatch.setattr)

    assert (swept.account, swept.state, swept.decisions[0].by) == ("acme", "quarantined", "bob")
    assert (waiting.account, waiting.state, waiting.plan.selected) == ("bolt", "waiting", 3)
    assert sorted(changed_at) == old_store.token_ids("acme")
    assert [entry.id for entry in document.entries] == old_store.token_ids("bolt")
    async with working(app) as client:
        done = await client.wait(swept.id, state="done")
        again = await client.plan("acme", "old-ci", by="ada", key="monday")
        with pytest.raises(DecisionRefused, match="its plan is"):
            await client.approve(waiting.id, by="ada", digest="sha256:00000000")
        await client.approve(waiting.id, by="ada", digest=waiting.plan.digest)
        applied = await client.wait(waiting.id, state=("quarantined", "done"))

    assert done.outcomes("sweep") == {"done": 3}
    assert again.id == swept.id
    assert applied.outcomes("apply") == {"done": 3}
    assert accounts["acme"].tokens() == ()
