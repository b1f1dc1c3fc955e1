"""A fleet with one worker on SQLite, from the plan to the sweep."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest

from losant_tokens import RetryPolicy, Secret
from losant_tokens.fleet import (
    DecisionRefused,
    Fleet,
    FleetError,
    StoreError,
    _automatic_approval,
    _transitions,
)
from losant_tokens.jobs import PlanRefused
from losant_tokens.policy import Approval, Step
from tests.support.fleet_accounts import FleetAccount, fleet_accounts, problems
from tests.support.fleets import make_fleet, working
from tests.support.wire import Peer, response, serve

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
        latest = await client.plan("acme", "old-ci", by="ada", key="tuesday")
        await client.wait(latest.id)
        with anyio.fail_after(10):
            # The queue records the end of a task after the run has its state.
            while not (pruned := (await client.prune(older_than=timedelta(0))).runs):  # noqa: ASYNC110
                await anyio.sleep(0.1)
        kept = [run.id async for run in client.runs()]

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
    assert (pruned, kept) == ((swept,), [latest.id, second.id])
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


async def test_failures_and_decisions(
    pair: tuple[FleetAccount, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing token is retried, an altered or expired plan refused, and a retry continues."""
    acme, globex = pair
    app = make_fleet(pair, tmp_path, monkeypatch, grace=None, approve_within=timedelta(hours=1))
    app.retry_for = timedelta(0)
    async with working(app) as client:
        # Nobody has put the token of the account where the configuration says.
        monkeypatch.delenv(acme.variable)
        run = await client.plan("acme", "old-ci", by="ada")
        failed = await client.wait(run.id)
        monkeypatch.setenv(acme.variable, acme.token)
        await client.retry(run.id, by="ada")
        waiting = await client.wait(run.id, state="waiting")
        with pytest.raises(DecisionRefused, match="its plan is"):
            await client.approve(run.id, by="ada", digest="sha256:" + "0" * 64)

        # The tokens of the other account are deactivated, because its plan is not altered.
        other = await client.plan("globex", "old-ci", by="ada")
        await client.wait(other.id, state="waiting")
        assert app.path is not None
        with closing(sqlite3.connect(app.path)) as connection, connection:
            connection.execute(
                "update fleet_plans set document = replace(document, '-00003', '-00004') "
                "where run = ?",
                (run.id,),
            )
        await client.approve(run.id, by="ada")
        await client.approve(other.id, by="ada")
        altered = await client.wait(run.id, state="failed")
        done = await client.wait(other.id, state="done")
        with pytest.raises(PlanRefused, match="altered"):
            await client.document(run.id)
        cancelled = await client.cancel(run.id, by="ada", reason="somebody edited the store")
        await client.restore(other.id, by="ada")
        restored = await client.wait(other.id, state="restored")

    assert (failed.state, failed.phase) == ("failed", "plan")
    assert "acme" in failed.reason
    assert acme.token not in failed.reason
    assert waiting.work["plan"].attempts == 2
    assert "altered" in altered.reason
    assert [one.kind for one in cancelled.decisions] == ["retry", "approve", "cancel"]
    assert (done.plan.grace, done.sweep_due_at) == (None, None)
    assert restored.outcomes("restore") == {"done": 12}
    assert problems(acme, []) == []
    assert problems(globex, ["deactivate", "activate"]) == []


async def test_worker_that_stops_and_cancelled_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that stops gives its run back, the next one continues it until it is cancelled."""
    with fleet_accounts("acme", stale=250, latency=0.02) as found:
        (acme,) = found
        app = make_fleet(found, tmp_path, monkeypatch)
        async with working(app, "w1") as client:
            run = await client.plan("acme", "old-ci", by="ada")
            await client.wait(run.id, state="waiting")
            await client.approve(run.id, by="ada")
            await anyio.to_thread.run_sync(acme.app.wait_for, "PATCH", 20)
        count = len(acme.changes)
        async with working(app, "w2") as client:
            await anyio.to_thread.run_sync(acme.app.wait_for, "PATCH", 120)
            await client.cancel(run.id, by="ada")
            await client.restore(run.id, by="ada")
            restored = await client.wait(run.id, state="restored")
            report = await client.report(run.id)

    deactivated = {one.id for one in report.results if one.phase == "apply"}
    expected = {token: ["deactivate", "activate"] for token in acme.changes}
    assert 20 <= count < 100
    assert restored.work["apply"].worker == "w2"
    assert restored.work["apply"].attempts == 2
    assert deactivated == set(acme.changes)
    assert problems(acme, expected) == []


async def test_rules_approve_and_guards_refuse(
    pair: tuple[FleetAccount, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule of the policy approves a small plan, and a guard refuses a large one."""
    app = make_fleet(pair, tmp_path, monkeypatch, approval=Approval(auto_below=20))
    async with working(app) as client:
        run = await client.plan("acme", "old-ci", by="nightly")
        approved = await client.wait(run.id, state="quarantined")
    app = make_fleet(pair, tmp_path, monkeypatch, max_changes=5)
    async with working(app) as client:
        run = await client.plan("globex", "old-ci", by="nightly")
        with pytest.raises(FleetError, match="is refused, and not waiting"):
            await client.wait(run.id, state="waiting")
        refused = await client.run(run.id[:6])

    assert [one.by for one in approved.decisions] == ["policy: auto_below = 20"]
    assert "max_changes" in refused.reason
    assert problems(pair[1], []) == []


async def test_webhook_that_is_down_at_first(
    pair: tuple[FleetAccount, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    store_url: str,
) -> None:
    """A webhook that is down when a plan is made decides about the plan as soon as it is up."""
    monkeypatch.setattr(_automatic_approval, "RETRY", RetryPolicy(attempts=1))
    monkeypatch.setattr(_transitions, "_FIRST_QUESTION", timedelta(seconds=0.5))

    def play(peer: Peer) -> None:
        while request := peer.request():
            is_up = len(server.seen) > 2
            digest = json.loads(request.content)["digest"]
            decision = json.dumps({"decision": "approve", "digest": digest}).encode()
            peer.send(response(decision, "200 OK" if is_up else "503 Service Unavailable"))

    with serve(play) as server:
        approval = Approval(webhook=Secret(f"{server.url}/hook"))
        app = make_fleet(pair, tmp_path, monkeypatch, store=store_url, approval=approval)
        async with working(app) as client:
            started = await client.plan("acme", "old-ci", by="ada")
            approved = await client.wait(started.id, state="quarantined")

    assert [one.by for one in approved.decisions] == ["webhook 127.0.0.1"]
    assert (approved.webhook_failures, approved.reason, approved.retry_at) == (2, "", None)
    assert [one.headers["losant-tokens-attempt"] for one in server.seen] == ["1", "2", "3"]
    assert len({one.content for one in server.seen}) == 1


async def test_warning_before_a_plan(
    pair: tuple[FleetAccount, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    store_url: str,
) -> None:
    """A ladder warns once about each token, waits, and then deactivates and deletes them."""

    def play(peer: Peer) -> None:
        while peer.request():
            peer.send(response(b""))

    with serve(play) as server:
        steps = (
            Step(action="warn", webhook=Secret(f"{server.url}/hook")),
            Step(action="deactivate", after=timedelta(seconds=1)),
            Step(action="delete", after=timedelta(0)),
        )
        app = make_fleet(
            pair, tmp_path, monkeypatch, store=store_url, action=None, grace=None, steps=steps
        )
        async with working(app) as client:
            started = await client.plan("acme", "old-ci", by="ada")
            first = run = await client.wait(started.id)
            with anyio.fail_after(30):
                while run.state == "empty":
                    started = await client.plan("acme", "old-ci", by="ada")
                    run = await client.wait(started.id)
            await client.approve(run.id, by="ada")
            done = await client.wait(run.id, state="done")

    (message,) = [json.loads(one.content) for one in server.seen]
    assert (first.state, first.warned_tokens, done.warned_tokens) == ("empty", 12, 0)
    assert {one["id"] for one in message["tokens"]} == pair[0].stale
    assert message["account"] == "acme"
    assert done.outcomes("sweep") == {"done": 12}
    assert problems(pair[0], ["deactivate", "delete"]) == []


async def test_unreachable_database() -> None:
    """The error for a database that cannot be reached says what to do, without the password."""
    app = Fleet("postgresql://ada:hunter2@127.0.0.1:1/fleet")
    with pytest.raises(StoreError, match="Check that the database runs") as caught:
        async with app.client():
            pass

    assert "postgresql://ada@127.0.0.1:1/fleet" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


async def test_worker_whose_start_is_not_awaited(
    pair: tuple[FleetAccount, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs may be planned before a worker is ready, and `work` reports its start only if asked."""
    app = make_fleet(pair, tmp_path, monkeypatch)
    async with app.client() as client, anyio.create_task_group() as group:
        run = await client.plan("acme", "old-ci", by="ada")
        group.start_soon(partial(app.work, name="w1"))
        waiting = await client.wait(run.id)
        group.cancel_scope.cancel()

    assert (waiting.state, waiting.work["plan"].worker) == ("waiting", "w1")
