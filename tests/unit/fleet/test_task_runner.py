"""The work of a worker, task by task, on a fake in memory and a store on SQLite."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import attrs
import pytest

from losant_tokens import AsyncClient, Owner, RetryPolicy, Secret, jobs, policy
from losant_tokens import fleet as fleets
from losant_tokens._limits.adaptive_rate import AdaptiveRate
from losant_tokens.accounts import Account
from losant_tokens.errors import TransportError, ValidationError
from losant_tokens.fleet import Decision, DecisionKind, FleetError, Run, StoreError
from losant_tokens.fleet import _run_planner as plans
from losant_tokens.fleet import _task_runner as runners
from losant_tokens.fleet import _transitions as transitions
from losant_tokens.fleet._automatic_approval import Verdict, decide
from losant_tokens.fleet._store.database import Database, StoreUrl
from losant_tokens.fleet._store.run_table import Store, Task
from losant_tokens.fleet._task_runner import Runner
from losant_tokens.fleet._transitions import Next
from losant_tokens.sinks import SinkError
from losant_tokens.sinks._http import Webhook
from losant_tokens.testing import FakeLosant
from tests.support.fleet_runs import run
from tests.support.fleets import POLICY

OLD = datetime(2024, 1, 1, tzinfo=UTC)


@attrs.define
class Fleet:
    """A fleet whose tasks the test runs one by one."""

    fake: FakeLosant
    store: Store
    tasks: list[Task]
    runner: Runner

    def start(self, **members: Any) -> str:
        """Start a run, and return its id."""
        now = datetime.now(UTC)
        members = {"id": "run", "state": "planning", "phase": "plan", **members}
        empty = {"plan_digest": "", "planned_at": None, "approve_by": None}
        started = run(**{**empty, "requested_at": now, "changed_at": now, **members})
        self.store.add(transitions.start(started), None)
        return started.id

    async def drain(self, *, limit: int = 10) -> Run:
        """Run the tasks, also those for later, and return the run."""
        for _ in range(limit):
            if self.tasks:
                await self.one()
        return self.run

    async def one(self) -> None:
        """Run the next task."""
        task = self.tasks.pop(0)
        await self.runner.run(task.run, task.phase, task.attempt)

    @property
    def run(self) -> Run:
        """The run."""
        return self.store.find("run").record.run

    def decide(self, kind: DecisionKind) -> None:
        """Decide about the run."""
        decision = Decision(kind=kind, by="ada", at=datetime.now(UTC))
        self.store.change("run", lambda record: transitions.decide(record, decision))

    async def approved(self) -> None:
        """Plan a run, approve it, and leave its task in the queue."""
        self.start()
        await self.drain()
        self.decide("approve")

    def take_over(self, owner: str = "other") -> None:
        """Let another worker begin the task of the run."""

        def begin(record: Any) -> Next:
            return Next(record=attrs.evolve(record, owner=owner))

        self.store.change("run", begin)

    def change_policy(self, **members: Any) -> None:
        """Give the clean-up other members."""
        policies = self.runner.policy
        changed = tuple(attrs.evolve(one, **members) for one in policies.cleanups)
        self.runner.policy = attrs.evolve(policies, cleanups=changed)

    def statuses(self) -> list[str]:
        """Return the statuses of the tokens that the policy selects."""
        return [one.status for one in self.fake.tokens() if one.name.startswith("ci-")]


@pytest.fixture(name="fleet")
def _fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    fake = FakeLosant()
    for number in range(4):
        fake.add_token(f"ci-{number}", creation_date=OLD, last_updated=OLD)
    monkeypatch.setattr(runners, "CHUNK", 2)
    fast = AdaptiveRate(initial=1000.0)
    monkeypatch.setattr(jobs.Pace, "rate", lambda *_: fast)
    (tmp_path / "policy.toml").write_text(POLICY)
    loaded = policy.load(tmp_path / "policy.toml")

    @asynccontextmanager
    async def client(self: Runner, job: Any, account: Account) -> AsyncIterator[AsyncClient]:
        async with AsyncClient(fake.admin_token, transport=fake.transport()) as opened:
            yield opened

    monkeypatch.setattr(Runner, "_client", client)
    tasks: list[Task] = []
    database = Database(StoreUrl.of(tmp_path / "fleet.sqlite"))
    database.open()
    store = Store(database, lambda _, task: tasks.append(task))
    store.create_tables()
    source: Any = None
    runner = Runner(
        store=store,
        worker="w1",
        accounts={"prod": Account(name="prod", token=source)},
        policy=loaded,
        may_change=lambda: True,
        holding=lambda _: nullcontext(),
        watch_loop=lambda _: None,
        retry_for=timedelta(hours=1),
    )
    fleet = Fleet(fake, store, tasks, runner)
    fleet.change_policy(grace=timedelta(0))
    yield fleet
    database.close()


pytestmark = pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning")


async def test_all_phases(fleet: Fleet) -> None:
    """A run is planned in the partition of its credential, applied chunk by chunk, and swept."""
    fleet.start()
    first = fleet.tasks[0].partition
    await fleet.one()
    moved = fleet.tasks[0].partition
    waiting = await fleet.drain()
    fleet.decide("approve")
    await fleet.one()
    quarantined = fleet.run
    delay = fleet.tasks[0].delay
    done = await fleet.drain()

    assert first == "account prod"
    assert len(moved) == 32
    assert (waiting.state, waiting.plan.selected, waiting.work["plan"].attempts) == (
        "waiting",
        4,
        1,
    )
    assert (quarantined.state, quarantined.outcomes("apply")) == ("quarantined", {"done": 4})
    assert timedelta(0) < delay < timedelta(seconds=10)
    assert (done.state, done.outcomes("sweep"), fleet.statuses()) == ("done", {"done": 4}, [])


async def test_empty_plan_and_stale_task(fleet: Fleet) -> None:
    """A plan without tokens needs no approval, and a task that is stale does nothing."""
    fleet.start()
    stale = fleet.tasks[0]
    fleet.change_policy(protect=("ci-*",))
    empty = await fleet.drain()
    await fleet.runner.run(stale.run, stale.phase, stale.attempt)

    assert (empty.state, empty.plan.selected, empty.plan.protected) == ("empty", 0, 4)
    assert fleet.run == empty


@pytest.mark.parametrize(
    ("members", "state", "reason"),
    [
        ({"account": "other"}, "planning", "The worker w1 has no account 'other'. Add it"),
        ({"cleanup": "other"}, "failed", "has no clean-up 'other'"),
    ],
)
async def test_unknown_names(
    fleet: Fleet, members: dict[str, Any], state: str, reason: str
) -> None:
    """An unknown account is retried, because workers may get it; an unknown clean-up is not."""
    fleet.start(**members)
    await fleet.one()

    assert (fleet.run.state, reason in fleet.run.reason) == (state, True)
    assert [task.delay for task in fleet.tasks] == [timedelta(seconds=15)] * (state == "planning")


async def test_account_of_another_clean_up(fleet: Fleet) -> None:
    """A clean-up is refused for an account that it does not apply to, although someone asked."""
    fleet.change_policy(accounts=("staging-*",))
    fleet.start()
    refused = await fleet.drain()

    assert refused.state == "refused"
    assert "does not apply to the account 'prod', but to 'staging-*'." in refused.reason


async def test_accounts_that_do_not_exist(tmp_path: Path) -> None:
    """A worker does not start if a pattern of the accounts of a clean-up matches none."""
    (tmp_path / "policy.toml").write_text(POLICY)
    app = fleets.Fleet(tmp_path / "fleet.sqlite")
    app.policies = policy.load(tmp_path / "policy.toml")

    with pytest.raises(ValidationError, match="is the name of no account"):
        await app.work()
    assert not (tmp_path / "fleet.sqlite").exists()


DAY = timedelta(days=1)
STEPS = (
    policy.Step(action="warn", webhook_env="WARNINGS_URL", secret_env="WARNINGS_KEY"),
    policy.Step(action="deactivate", after=DAY),
    policy.Step(action="delete", after=timedelta(0)),
)


@pytest.fixture(name="posted")
def _posted(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Webhook, dict[str, Any]]]:
    """The warnings of a ladder, each with its webhook."""
    posted: list[tuple[Webhook, dict[str, Any]]] = []

    async def post(self: Webhook, document: dict[str, Any]) -> str:
        posted.append((self, document))
        return ""

    monkeypatch.setattr(Webhook, "post", post)
    monkeypatch.setenv("WARNINGS_URL", "https://example.com/s3cret")
    monkeypatch.setenv("WARNINGS_KEY", "hunter2")
    fleet.change_policy(action=None, steps=STEPS)
    return posted


def a_day_passes(fleet: Fleet) -> None:
    """Let each warning be a day older."""
    with fleet.store._database.begin() as connection:
        for row in connection.exec_driver_sql("select token, at from fleet_warnings").all():
            at = (datetime.fromisoformat(row.at) - DAY - timedelta(minutes=1)).isoformat()
            update = "update fleet_warnings set at = ?, promised = ? where token = ?"
            connection.exec_driver_sql(update, (at, at, row.token))


async def test_ladder(
    fleet: Fleet, posted: list[tuple[Webhook, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens are warned about once, deactivated when the time is over, and deleted."""
    fleet.start()
    warned = await fleet.drain()
    fleet.fake.add_token("ci-new", creation_date=OLD, last_updated=OLD)
    fleet.start(id="second")
    await fleet.drain()
    second = fleet.store.find("second").record.run
    a_day_passes(fleet)
    changed = next(one for one in fleet.fake.tokens() if one.name == "ci-0")
    with monkeypatch.context() as patch:
        patch.setattr(fleet.fake._store, "now", lambda: OLD + DAY)
        fleet.fake._store.replace(changed, description="in use")
    fleet.start(id="third")
    await fleet.drain()
    third = fleet.store.find("third").record.run
    approval = Decision(kind="approve", by="ada", at=datetime.now(UTC))
    fleet.store.change("third", lambda record: transitions.decide(record, approval))
    await fleet.drain()
    left = [one.name for one in fleet.fake.tokens() if one.name.startswith("ci-")]

    (webhook, first), (_, again), (_, changed_again) = posted
    assert (warned.state, warned.warned_tokens) == ("empty", 4)
    assert (second.state, second.warned_tokens) == ("empty", 1)
    assert (third.state, third.plan.selected, third.warned_tokens) == ("waiting", 4, 1)
    assert left == ["ci-0"]
    assert first["title"] == "4 Losant API tokens will be deactivated in 1 day: old-ci in prod"
    assert (first["account"], first["kind"]) == ("prod", "policy-warning")
    assert [one["name"] for one in again["tokens"]] == ["ci-new"]
    assert [one["name"] for one in changed_again["tokens"]] == ["ci-0"]
    assert webhook.url == Secret("https://example.com/s3cret")
    assert webhook.signing_secret == Secret("hunter2")
    assert webhook.public_headers == {"Idempotency-Key": first["id"]}


async def test_long_warning(
    fleet: Fleet, posted: list[tuple[Webhook, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens for which a message has no room are named by the next one of the same run."""
    monkeypatch.setattr("losant_tokens.policy._warnings.MAX_SHOWN", 3)
    fleet.start()
    warned = await fleet.drain()

    assert warned.warned_tokens == 4
    assert [len(document["tokens"]) for _, document in posted] == [3, 1]


async def test_warnings_without_a_new_token(
    fleet: Fleet, posted: list[tuple[Webhook, dict[str, Any]]]
) -> None:
    """Nobody is warned twice, and a token that is no longer selected is forgotten."""
    fleet.start()
    await fleet.drain()
    fleet.start(id="second")
    await fleet.drain()
    before = fleet.store.warnings("prod", "old-ci")
    fleet.change_policy(protect=("ci-*",))
    fleet.start(id="third")
    await fleet.drain()

    assert (len(posted), len(before)) == (1, 4)
    assert fleet.store.find("second").record.run.warned_tokens == 0
    assert fleet.store.warnings("prod", "old-ci") == {}


async def test_warning_without_a_place(
    fleet: Fleet, posted: list[tuple[Webhook, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a webhook a ladder fails, and a missing variable is retried."""
    monkeypatch.delenv("WARNINGS_URL")
    fleet.start()
    await fleet.one()
    await fleet.one()
    retried = fleet.run
    fleet.change_policy(steps=(policy.Step(action="warn"), *STEPS[1:]))
    failed = await fleet.drain()

    assert (retried.state, retried.retry_at is not None) == ("planning", True)
    assert "warns with the environment variable WARNINGS_URL, which is not set" in retried.reason
    assert failed.state == "failed"
    assert "begins with the step 'warn', and a fleet needs a place" in failed.reason
    assert posted == []


async def test_warning_of_a_replaced_worker(
    fleet: Fleet, posted: list[tuple[Webhook, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose lease is late sends no warning, and one that was replaced records none."""
    fleet.runner.may_change = lambda: False
    fleet.start()
    await fleet.one()
    await fleet.one()
    late = fleet.run
    fleet.runner.may_change = lambda: True

    async def post(self: Webhook, document: dict[str, Any]) -> str:
        fleet.take_over()
        return ""

    assert (late.state, late.reason) == (
        "planning",
        "The lease of the worker is late, so it sent no warning.",
    )
    assert posted == []
    monkeypatch.setattr(Webhook, "post", post)
    await fleet.one()
    assert fleet.store.warnings("prod", "old-ci") == {}
    assert fleet.run.warned_tokens == 0


async def test_refused_warning(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the webhook does not accept a warning, no token counts as warned about."""

    async def post(self: Webhook, document: dict[str, Any]) -> str:
        raise SinkError("The webhook did not accept the message.")

    monkeypatch.setattr(Webhook, "post", post)
    steps = (policy.Step(action="warn", webhook=Secret("https://example.com/x")), *STEPS[1:])
    fleet.change_policy(action=None, steps=steps)
    fleet.start()
    await fleet.one()
    await fleet.one()

    assert fleet.run.reason == "The webhook did not accept the message."
    assert fleet.store.warnings("prod", "old-ci") == {}


async def test_unexpected_error(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect fails the run with the kind of the error and the worker whose log has the rest."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("hunter2")

    monkeypatch.setattr(plans, "summary_of", fail)
    fleet.start()
    failed = await fleet.drain()

    assert failed.state == "failed"
    assert failed.reason == "Unexpected error: ZeroDivisionError. See the log of w1."
    assert "ZeroDivisionError" in caplog.text


async def test_task_that_ends_all_workers(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that ends one worker after the other fails its run. Progress counts from zero."""
    await fleet.approved()
    task = fleet.tasks.pop()
    lives: list[int] = []

    async def die(*_: object) -> None:
        lives.append(1)
        raise runners._AbandonedError

    async def die_after_a_chunk(runner: Runner, job: Any, *_: object) -> None:
        now = runner.now()
        counted = {"done": 2}
        await runner._change(
            job, lambda record: Next(record=transitions.progressed(record, counted, now=now))
        )
        raise runners._AbandonedError

    monkeypatch.setattr(Runner, "_work", die)
    for _ in range(15):
        await fleet.runner.run(task.run, task.phase, task.attempt)
    with monkeypatch.context() as patch:
        patch.setattr(Runner, "_work", die_after_a_chunk)
        await fleet.runner.run(task.run, task.phase, task.attempt)
    lives.clear()
    for _ in range(30):
        await fleet.runner.run(task.run, task.phase, task.attempt)
    failed = fleet.run
    monkeypatch.undo()
    fleet.decide("retry")

    assert (failed.state, len(lives)) == ("failed", 19)
    assert failed.reason.startswith("20 workers in a row ended while they worked on it.")
    assert (fleet.run.state, fleet.store.find("run").record.deaths) == ("applying", 0)


async def test_outage_while_a_plan_is_made(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute of an outage, a run shows why it has no plan, and is planned again later."""

    async def fail(*_: object, patience: float, **__: object) -> jobs.Plan:
        raise TransportError(f"The API did not respond for {patience:.0f} seconds.")

    fleet.start()
    await fleet.one()
    with monkeypatch.context() as patch:
        patch.setattr(plans, "plan_cleanup", fail)
        await fleet.one()
    troubled = fleet.run
    await fleet.one()

    assert (troubled.state, troubled.retry_at is not None) == ("planning", True)
    assert troubled.reason == "The API did not respond for 60 seconds."
    assert (fleet.run.state, fleet.run.reason) == ("waiting", "")


async def test_refused_credential(fleet: Fleet) -> None:
    """A token that the API refuses in the middle is retried for a bounded time, then it failed."""
    await fleet.approved()
    fleet.fake.fail("status", method="PATCH", status=401, times=None)
    fleet.runner.retry_for = timedelta(0)
    failed = await fleet.drain()
    fleet.fake.clear_faults()
    fleet.decide("retry")
    await fleet.one()

    assert (failed.state, failed.phase) == ("failed", "apply")
    assert fleet.run.outcomes("apply") == {"done": 4}


async def test_late_lease(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose lease is late waits, and continues the chunk when it has its lease again."""
    monkeypatch.setattr(runners, "_LEASE_INTERVAL", 0.0)
    await fleet.approved()
    answers = [True, False, False, False]
    fleet.runner.may_change = lambda: answers.pop(0) if answers else True
    await fleet.one()

    assert fleet.run.outcomes("apply") == {"done": 4}
    assert fleet.statuses() == ["inactive"] * 4
    assert answers == []


async def test_lost_lease(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another worker took over while the lease was late, the first one writes nothing more."""
    monkeypatch.setattr(runners, "_LEASE_INTERVAL", 0.0)
    await fleet.approved()
    calls: list[int] = []

    def may_change() -> bool:
        calls.append(1)
        if len(calls) == 3:
            fleet.take_over()
        return len(calls) > 3

    fleet.runner.may_change = may_change
    await fleet.one()

    assert (fleet.run.state, fleet.store.find("run").record.owner) == ("applying", "other")
    assert fleet.statuses() == ["active"] * 4
    assert fleet.tasks == []


async def test_stop_while_the_lease_is_late(fleet: Fleet) -> None:
    """A worker that stops while its lease is late gives its run back."""
    await fleet.approved()

    def may_change() -> bool:
        fleet.runner.stop()
        return False

    fleet.runner.may_change = may_change
    await fleet.one()

    assert (fleet.run.state, len(fleet.tasks)) == ("applying", 1)


@pytest.mark.parametrize("method", ["begin_chunk", "end_chunk", "change"])
async def test_takeover(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """A worker that was replaced writes nothing, wherever it notices that."""
    await fleet.approved()
    call = getattr(fleet.store, method)
    begin = fleet.store.begin_chunk
    calls: list[int] = []

    def call_late(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == (2 if method == "change" else 1):
            fleet.take_over()
            if method == "end_chunk":
                begin("run", "apply", 0, "other", None)
        return call(*args, **kwargs)

    monkeypatch.setattr(fleet.store, method, call_late)
    await fleet.one()
    monkeypatch.undo()

    assert fleet.store.find("run").record.owner == "other"
    assert fleet.run.state == "applying"
    assert fleet.tasks == []


def second_runner(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, **others: Any) -> Runner:
    """Return the runner of another process, which looks often at the owner of a run."""
    monkeypatch.setattr(runners, "_OWNER_INTERVAL", 0.01)
    fleet.runner.process = "a"
    first = fleet.runner
    return Runner(
        store=first.store,
        worker="w2",
        accounts=first.accounts,
        policy=first.policy,
        may_change=lambda: True,
        holding=lambda _: nullcontext(),
        watch_loop=lambda _: None,
        retry_for=first.retry_for,
        **{"process": "b", "is_live": lambda process: process == "a", **others},
    )


@pytest.mark.parametrize("process", ["a", "b"])
async def test_task_of_a_live_worker(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, process: str
) -> None:
    """A task that is given away although its worker lives waits for it, and changes nothing."""
    await fleet.approved()
    task = fleet.tasks.pop()
    other = second_runner(fleet, monkeypatch)
    second = fleet.runner if process == "a" else other
    waiting = anyio.Event()
    monkeypatch.setattr(runners.logger, "warning", lambda *_: waiting.set())
    begin, begun = fleet.store.begin_chunk, anyio.Event()

    def begin_chunk(*args: Any, **options: Any) -> Any:
        anyio.from_thread.run_sync(begun.set)
        anyio.from_thread.run(waiting.wait)
        return begin(*args, **options)

    monkeypatch.setattr(fleet.store, "begin_chunk", begin_chunk)
    async with anyio.create_task_group() as group:
        group.start_soon(fleet.runner.run, task.run, task.phase, task.attempt)
        await begun.wait()
        group.start_soon(second.run, task.run, task.phase, task.attempt)

    assert (fleet.run.state, fleet.run.outcomes("apply")) == ("quarantined", {"done": 4})
    assert fleet.run.work["apply"].attempts == 1
    assert sum(one.method == "PATCH" for one in fleet.fake.requests) == 4


async def test_live_worker_that_dies_later(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that waits for a live worker continues the run once that worker has lost its lease."""
    await fleet.approved()
    looks = [True, True, False]
    second = second_runner(fleet, monkeypatch, is_live=lambda _: looks.pop(0))
    fleet.take_over("a.1")
    task = fleet.tasks.pop()
    await second.run(task.run, task.phase, task.attempt)

    assert (looks, fleet.run.state) == ([], "quarantined")
    assert fleet.run.work["apply"].worker == "w2"


async def test_stop_while_a_live_worker_works(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that stops while it waits for another one leaves the run to that one."""
    await fleet.approved()
    second = second_runner(fleet, monkeypatch)
    fleet.take_over("a.1")
    task = fleet.tasks.pop()
    monkeypatch.setattr(runners.logger, "warning", lambda *_: second.stop())
    await second.run(task.run, task.phase, task.attempt)

    assert (fleet.store.find("run").record.owner, fleet.run.state) == ("a.1", "approved")
    assert fleet.tasks == []


async def test_cancel_between_chunks(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """No chunk begins after a run was cancelled, even if the worker has not noticed it yet."""
    await fleet.approved()
    begin = fleet.store.begin_chunk

    def begin_late(*args: Any, **options: Any) -> Any:
        if args[2] == 1:
            fleet.decide("cancel")
        return begin(*args, **options)

    monkeypatch.setattr(fleet.store, "begin_chunk", begin_late)
    await fleet.one()

    assert fleet.run.state == "cancelled"
    assert fleet.statuses() == ["inactive", "inactive", "active", "active"]


async def test_stop(fleet: Fleet) -> None:
    """A worker that stops gives a plan back at once, and an apply after the requests in flight."""
    fleet.start()
    await fleet.one()
    fleet.runner.stop()
    await fleet.one()
    planning = fleet.run
    fleet.runner._is_stopping = False
    await fleet.one()
    fleet.decide("approve")

    def may_change() -> bool:
        fleet.runner.stop()
        return True

    fleet.runner.may_change = may_change
    await fleet.one()
    applying = fleet.run
    fleet.runner._is_stopping, fleet.runner.may_change = False, lambda: True
    await fleet.one()

    assert planning.state == "planning"
    assert applying.state == "applying"
    assert fleet.run.outcomes("apply") == {"done": 4}


async def test_store_that_is_down(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A task waits for the store, because the outcomes of its chunk exist nowhere else.

    The log has one warning, and not one for each attempt.
    """
    monkeypatch.setattr(runners, "_STORE_INTERVAL", 0.0)
    await fleet.approved()
    end = fleet.store.end_chunk
    failures = [1, 2]

    def end_chunk(*args: Any, **kwargs: Any) -> bool:
        if failures:
            failures.pop()
            raise StoreError("the store is down")
        return end(*args, **kwargs)

    monkeypatch.setattr(fleet.store, "end_chunk", end_chunk)
    await fleet.one()

    assert fleet.run.outcomes("apply") == {"done": 4}
    assert caplog.text.count("the store is down") == 1


async def test_lost_response_of_the_store(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write whose response is lost is not mistaken for the write of another worker."""
    monkeypatch.setattr(runners, "_STORE_INTERVAL", 0.0)
    await fleet.approved()
    change = fleet.store.change
    calls: list[int] = []

    def change_and_fail(*args: Any) -> Any:
        calls.append(1)
        changed = change(*args)
        if len(calls) == 2:
            raise StoreError("the response is lost")
        return changed

    monkeypatch.setattr(fleet.store, "change", change_and_fail)
    await fleet.one()

    assert fleet.run.outcomes("apply") == {"done": 4}
    assert fleet.run.state == "quarantined"


async def test_stop_while_the_store_is_down(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that stops does not wait for the store."""

    def change(*_: object) -> None:
        fleet.runner.stop()
        raise StoreError("the store is down")

    fleet.start()
    monkeypatch.setattr(fleet.store, "change", change)
    await fleet.one()

    assert fleet.run.work == {}


async def test_plan_that_nobody_applied(fleet: Fleet) -> None:
    """A plan that was approved in time is refused if no worker applied it for long."""
    await fleet.approved()
    fleet.runner.now = lambda: datetime.now(UTC) + timedelta(days=9)
    await fleet.one()

    assert fleet.run.state == "failed"
    assert "so it is too old. Start a new run." in fleet.run.reason
    assert fleet.statuses() == ["active"] * 4


async def test_plan_that_nobody_applied_after_a_failure(fleet: Fleet) -> None:
    """A plan is too old as well if its first attempt changed nothing, unless somebody retries."""
    await fleet.approved()
    accounts, fleet.runner.accounts = fleet.runner.accounts, {}
    await fleet.one()
    fleet.runner.accounts = accounts
    fleet.runner.now = lambda: datetime.now(UTC) + timedelta(days=9)
    await fleet.one()
    failed = fleet.run
    decision = Decision(kind="retry", by="ada", at=fleet.runner.now())
    fleet.store.change("run", lambda record: transitions.decide(record, decision))
    await fleet.one()

    assert (failed.state, "so it is too old" in failed.reason) == ("failed", True)
    assert fleet.run.outcomes("apply") == {"done": 4}


@pytest.mark.parametrize(
    ("phase", "change", "problem"),
    [
        ("apply", {"accounts": ("staging-*",)}, "does not apply to the account 'prod'"),
        ("apply", {"max_changes": 1}, "now allows at most 1."),
        ("apply", {"protect": ("ci-3",)}, "now protects 1 token that the plan changes, for"),
        ("apply", {"protect": ("*-[01]",)}, "now protects 2 tokens that the plan changes, for"),
        ("sweep", {"accounts": ("staging-*",)}, "does not apply to the account 'prod'"),
        ("sweep", {"grace": None}, "no longer deletes tokens after a grace period"),
    ],
)
async def test_policy_that_became_stricter(
    fleet: Fleet, phase: str, change: dict[str, Any], problem: str
) -> None:
    """An approved plan, or its sweep, is refused if the policy file no longer allows it."""
    await fleet.approved()
    if phase == "sweep":
        await fleet.one()
    before = fleet.statuses()
    fleet.change_policy(**change)
    failed = await fleet.drain()

    assert (failed.state, failed.phase, problem in failed.reason) == ("failed", phase, True)
    assert fleet.statuses() == before


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"grace": None}, "no longer deletes tokens after a grace period"),
        ({"grace": timedelta(days=2)}, "is longer now, and ends at"),
        ({"max_changes": 1}, "now allows at most 1."),
        ({"protect": ("ci-*",)}, "now protects 3 tokens that the plan changes, for"),
    ],
)
async def test_policy_that_became_stricter_during_a_sweep(
    fleet: Fleet, change: dict[str, Any], problem: str
) -> None:
    """A retry deletes no token of a sweep that the policy file no longer allows."""
    await fleet.approved()
    await fleet.one()
    fleet.fake.fail(status=400, method="DELETE", times=3)
    await fleet.drain()
    fleet.change_policy(**change)
    fleet.decide("retry")
    failed = await fleet.drain()
    before = fleet.statuses()
    fleet.decide("restore")
    restored = await fleet.drain()

    assert (failed.state, failed.phase, problem in failed.reason) == ("failed", "sweep", True)
    assert before == ["inactive"] * 3
    assert (restored.state, fleet.statuses()) == ("restored", ["active"] * 3)


async def test_protection_of_a_finished_token(fleet: Fleet) -> None:
    """A retry repeats failed tokens, although the policy file now protects another token."""
    await fleet.approved()
    fleet.fake.fail(status=400, method="PATCH", times=1)
    await fleet.one()
    failed, done = (
        [one.name for one in fleet.fake.tokens() if one.name[:3] == "ci-" and one.status == status]
        for status in ("active", "inactive")
    )
    fleet.change_policy(protect=(done[0],), allow_unmatched=True)
    fleet.decide("retry")
    ended = await fleet.drain()

    assert len(failed) == 1
    assert (ended.state, ended.outcomes("apply")) == ("done", {"done": 4})
    assert [one.name for one in fleet.fake.tokens() if one.name.startswith("ci-")] == [done[0]]


async def test_policy_that_no_longer_deletes(fleet: Fleet) -> None:
    """An approved plan to delete tokens is refused if the policy file only deactivates them now."""
    fleet.change_policy(action="delete", grace=None)
    await fleet.approved()
    fleet.change_policy(action="deactivate")
    failed = await fleet.drain()

    assert (failed.state, "now deactivates them" in failed.reason) == ("failed", True)
    assert fleet.statuses() == ["active"] * 4


@pytest.mark.parametrize("phase", ["apply", "sweep", "restore"])
async def test_account_that_was_replaced(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    """If the name of an account means another account now, nothing is changed there.

    That happens if somebody edits the configuration, or uses the store for a second fleet.
    """
    await fleet.approved()
    if phase != "apply":
        await fleet.one()
    if phase == "restore":
        fleet.decide("restore")
    other = FakeLosant()
    for number in range(4):
        other.add_token(f"ci-{number}", creation_date=OLD, last_updated=OLD)

    @asynccontextmanager
    async def client(self: Runner, job: Any, account: Account) -> AsyncIterator[AsyncClient]:
        async with AsyncClient(other.admin_token, transport=other.transport()) as opened:
            yield opened

    monkeypatch.setattr(Runner, "_client", client)
    failed = await fleet.drain()

    assert (failed.state, failed.phase) == ("failed", phase)
    assert "account" in failed.reason
    assert {one.method for one in other.requests} <= {"GET"}


async def test_restore_without_the_clean_up(fleet: Fleet) -> None:
    """The tokens of a run can be restored after its clean-up is gone from the policy file."""
    await fleet.approved()
    await fleet.one()
    fleet.runner.policy = attrs.evolve(fleet.runner.policy, cleanups=())
    fleet.decide("restore")
    restored = await fleet.drain()

    assert (restored.state, fleet.statuses()) == ("restored", ["active"] * 4)


@pytest.mark.parametrize("digest", [None, "sha256:other"])
async def test_altered_approval(fleet: Fleet, digest: str | None) -> None:
    """A run that nobody approved, or with another plan than the approved one, is not applied."""
    await fleet.approved()

    def alter(record: Any) -> Next:
        made = [attrs.evolve(one, digest=digest) for one in record.run.decisions if digest]
        return Next(record=record.evolve(now=datetime.now(UTC), decisions=tuple(made)))

    fleet.store.change("run", alter)
    await fleet.one()

    assert (fleet.run.state, "so the store was altered" in fleet.run.reason) == ("failed", True)
    assert fleet.statuses() == ["active"] * 4


@pytest.mark.parametrize("phase", ["apply", "sweep"])
async def test_altered_store(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, phase: Any) -> None:
    """A plan that replaced the approved one, or of its sweep, is refused."""
    await fleet.approved()
    task = fleet.tasks.pop(0)
    fleet.start(id="other")
    await fleet.drain()
    other = fleet.store.get_plan("other", "apply")
    fleet.tasks.append(task)
    if phase == "sweep":
        await fleet.one()
    get_plan = fleet.store.get_plan
    monkeypatch.setattr(
        fleet.store,
        "get_plan",
        lambda run_id, wanted: other if wanted == phase else get_plan(run_id, wanted),
    )
    await fleet.one()

    assert fleet.run.state == "failed"
    assert "so the store was altered" in fleet.run.reason
    assert fleet.statuses() == ["active" if phase == "apply" else "inactive"] * 4


@pytest.mark.parametrize("phase", ["sweep", "restore"])
async def test_continued_phase(fleet: Fleet, phase: str) -> None:
    """A sweep or a restore that a worker gives back continues with its own plan."""
    await fleet.approved()
    await fleet.one()
    if phase == "restore":
        fleet.decide("restore")
        del fleet.tasks[0]

    def may_change() -> bool:
        fleet.runner.stop()
        return True

    fleet.runner.may_change = may_change
    await fleet.one()
    stopped = fleet.run
    fleet.runner._is_stopping, fleet.runner.may_change = False, lambda: True
    ended = await fleet.drain()

    assert (stopped.state, stopped.phase) == (transitions.STATE_OF_PHASE[stopped.phase], phase)
    assert ended.outcomes(stopped.phase) == {"done": 4}
    assert ended.work[stopped.phase].attempts == 2


async def test_deletion_without_a_quarantine(fleet: Fleet) -> None:
    """A clean-up that deletes is done at once."""
    fleet.change_policy(action="delete", grace=None)
    await fleet.approved()
    done = await fleet.drain()

    assert (done.state, done.sweep_due_at, fleet.statuses()) == ("done", None, [])


async def test_stop_while_a_list_is_read(fleet: Fleet) -> None:
    """A worker that stops does not wait for the list of the tokens."""
    fleet.start()
    await fleet.one()
    fleet.fake.fail("latency", seconds=60, times=None)
    async with anyio.create_task_group() as group:
        group.start_soon(fleet.one)
        while not fleet.fake.requests:
            await anyio.lowlevel.checkpoint()
        fleet.runner.stop()

    assert (fleet.run.state, len(fleet.tasks)) == ("planning", 1)


def test_warnings_of_a_plan() -> None:
    """The summary of a plan says what a person should know before an approval."""
    header = jobs.Header(
        created_at=OLD,
        base_url="https://api.losant.com",
        action="delete",
        rule="expired",
        counts={Owner.user(): jobs.Counts(listed=3, selected=2, protected=1)},
        incomplete=("tokens kept moving",),
        cannot_apply=("its scopes allow no delete",),
        seen=jobs.Evidence(span=timedelta(1), sources=(), until=OLD, gaps=("The log is short.",)),
    )
    summary = plans.summary_of(jobs.PlanDocument(header, (), "sha256:ab", {}))

    assert (summary.selected, summary.listed, summary.protected) == (2, 3, 1)
    assert summary.warnings == (
        "Tokens may be missing from the plan: tokens kept moving.",
        "The API is certain to refuse the plan: its scopes allow no delete.",
        "The log is short.",
    )


async def test_sweep_that_is_not_due(fleet: Fleet) -> None:
    """A sweep that comes too early, by the policy as it is now, is postponed."""
    await fleet.approved()
    await fleet.one()
    fleet.change_policy(grace=timedelta(days=2))
    await fleet.one()

    assert fleet.run.state == "quarantined"
    assert timedelta(days=1) < fleet.tasks[0].delay < timedelta(days=3)
    assert fleet.statuses() == ["inactive"] * 4


async def test_guard_of_a_sweep(fleet: Fleet) -> None:
    """A sweep that a guard refuses has failed, and the tokens can be restored."""
    await fleet.approved()
    await fleet.one()
    fleet.change_policy(max_changes=1, protect_seen=timedelta(days=1))
    failed = await fleet.drain()
    fleet.decide("restore")
    restored = await fleet.drain()

    assert (failed.state, failed.phase) == ("failed", "sweep")
    assert (restored.state, restored.outcomes("restore")) == ("restored", {"done": 4})
    assert fleet.statuses() == ["active"] * 4


async def test_restore_after_a_crash(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restore finds the changes of a worker that died before it stored the result of a chunk."""
    await fleet.approved()

    def die(*_: object, **__: object) -> bool:
        raise runners._AbandonedError

    with monkeypatch.context() as patch:
        patch.setattr(fleet.store, "end_chunk", die)
        await fleet.one()
    changed = fleet.statuses()
    fleet.decide("cancel")
    fleet.decide("restore")
    restored = await fleet.drain()
    results = [phase for phase, _ in fleet.store.results("run", ("apply", "restore"))]

    assert changed == ["inactive", "inactive", "active", "active"]
    assert (restored.state, restored.outcomes("restore")) == ("restored", {"done": 2})
    assert fleet.statuses() == ["active"] * 4
    assert results == ["apply", "restore"]


async def test_change_of_somebody_else_before_a_crash(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that somebody changed before its chunk began is not taken for a change of the run."""
    await fleet.approved()
    theirs = next(one for one in fleet.fake.tokens() if one.name == "ci-0")
    earlier = datetime.now(UTC) - timedelta(minutes=5)
    with monkeypatch.context() as patch:
        patch.setattr(fleet.fake._store, "now", lambda: earlier)
        fleet.fake._store.replace(theirs, status="inactive")

    def die(*_: object, **__: object) -> bool:
        raise runners._AbandonedError

    task = fleet.tasks[0]
    with monkeypatch.context() as patch:
        patch.setattr(fleet.store, "end_chunk", die)
        await fleet.one()
    await fleet.runner.run(task.run, task.phase, task.attempt)

    assert fleet.run.outcomes("apply") == {"done": 3, "changed": 1}


async def test_change_of_somebody_else_long_after_a_crash(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that somebody changed while no worker ran does not count as changed by the run."""
    await fleet.approved()
    task = fleet.tasks[0]

    def die(*_: object, **__: object) -> bool:
        raise runners._AbandonedError

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "apply_chunk", die)
        await fleet.one()
    theirs = next(one for one in fleet.fake.tokens() if one.name == "ci-0")
    later = datetime.now(UTC) + timedelta(minutes=4)
    monkeypatch.setattr(fleet.fake._store, "now", lambda: later)
    fleet.fake._store.replace(theirs, status="inactive")
    await fleet.runner.run(task.run, task.phase, task.attempt)

    assert fleet.run.outcomes("apply") == {"done": 3, "changed": 1}


async def test_slow_chunk(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk that takes longer than its claim is claimed again, and each token changed once."""
    await fleet.approved()
    seconds = [0.0]
    begin, begun = fleet.store.begin_chunk, list[int]()

    def clock() -> float:
        seconds[0] += 70.0
        return seconds[0]

    def begin_chunk(*args: Any, **options: Any) -> Any:
        begun.append(args[2])
        return begin(*args, **options)

    fleet.runner.clock = clock
    monkeypatch.setattr(fleet.store, "begin_chunk", begin_chunk)
    await fleet.one()

    assert fleet.run.outcomes("apply") == {"done": 4}
    assert sum(one.method == "PATCH" for one in fleet.fake.requests) == 4
    assert len(begun) > len(set(begun)) == 2


@pytest.mark.parametrize("goes_on", [True, False])
async def test_change_of_somebody_else_during_a_pause(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, *, goes_on: bool
) -> None:
    """A token that a stopped worker has not reached does not count as changed by the run."""
    await fleet.approved()
    chunk = jobs.PlanDocument.from_json(fleet.store.get_plan("run", "apply")).chunks(2)[1]
    begin = fleet.store.begin_chunk

    def stop(*args: Any, **options: Any) -> Any:
        if args[2] == chunk.first // 2:
            fleet.runner.stop()
        return begin(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(fleet.store, "begin_chunk", stop)
        await fleet.one()
    stopped = fleet.run
    fleet.runner._is_stopping = False
    theirs = next(one for one in fleet.fake.tokens() if one.id == chunk.entries[0].id)
    fleet.fake._store.replace(theirs, status="inactive")
    if goes_on:
        await fleet.one()
        assert fleet.run.outcomes("apply") == {"done": 3, "changed": 1}
    else:
        fleet.decide("cancel")
        fleet.decide("restore")
        assert (await fleet.drain()).outcomes("restore") == {"done": 2}
        assert sorted(fleet.statuses()) == ["active", "active", "active", "inactive"]
    assert (stopped.state, stopped.outcomes("apply")) == ("applying", {"done": 2})


async def test_known_outcomes_of_half_a_chunk(fleet: Fleet) -> None:
    """The outcomes that a worker stored when it stopped count for the next one."""
    await fleet.approved()
    chunk = jobs.PlanDocument.from_json(fleet.store.get_plan("run", "apply")).chunks(2)[0]
    known = jobs.ChunkResult(
        digest=chunk.digest,
        first=0,
        results=tuple(
            jobs.TokenOutcome(owner=one.owner, id=one.id, name=one.name, outcome=outcome)
            for one, outcome in zip(chunk.entries, (jobs.Outcome.CHANGED, None), strict=True)
        ),
    )
    fleet.take_over()
    begun = datetime.now(UTC) - timedelta(minutes=1)
    fleet.store.begin_chunk("run", "apply", 0, "other", begun)
    fleet.store.end_chunk("run", "apply", 0, "other", known.to_json(), is_complete=False)
    token = next(one for one in fleet.fake.tokens() if one.id == chunk.entries[0].id)
    fleet.fake._store.replace(token, status="inactive")
    await fleet.one()

    assert fleet.run.outcomes("apply") == {"done": 3, "changed": 1}


@pytest.mark.parametrize("gave_up", [None, "The API was unavailable."])
async def test_restore_of_half_a_chunk(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, gave_up: str | None
) -> None:
    """A restore waits until the changes of a worker that died are known, and changes no other."""
    await fleet.approved()

    def die(*_: object, **__: object) -> bool:
        raise runners._AbandonedError

    answers = [True]
    fleet.runner.may_change = lambda: bool(answers and answers.pop())
    with monkeypatch.context() as patch:
        patch.setattr(fleet.store, "end_chunk", die)
        await fleet.one()
    changed = sorted(fleet.statuses())
    fleet.decide("cancel")
    fleet.decide("restore")
    fleet.runner.may_change = lambda: True
    apply_chunk = jobs.apply_chunk

    async def give_up(*args: Any, **options: Any) -> jobs.ChunkResult:
        chunk = args[1]
        return jobs.ChunkResult(
            digest=chunk.digest,
            first=chunk.first,
            results=tuple(
                jobs.TokenOutcome(owner=one.owner, id=one.id, name=one.name, outcome=None)
                for one in chunk.entries
            ),
            gave_up=gave_up,
        )

    if gave_up:
        monkeypatch.setattr(jobs, "apply_chunk", give_up)
        await fleet.one()
        assert (fleet.run.state, fleet.run.reason) == ("restoring", gave_up)
        monkeypatch.setattr(jobs, "apply_chunk", apply_chunk)
    restored = await fleet.drain()

    assert changed == ["active", "active", "active", "inactive"]
    assert (restored.state, restored.outcomes("restore")) == ("restored", {"done": 1})
    assert fleet.statuses() == ["active"] * 4


@pytest.mark.parametrize("event", ["take over", "stop", "fail", "fail at a token"])
async def test_restore_that_is_interrupted(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    """A restore that is interrupted while it looks at a chunk in doubt changes nothing."""
    await fleet.approved()

    def die(*_: object, **__: object) -> bool:
        raise runners._AbandonedError

    with monkeypatch.context() as patch:
        patch.setattr(fleet.store, "end_chunk", die)
        await fleet.one()
    fleet.decide("cancel")
    fleet.decide("restore")
    unfinished = fleet.store.unfinished_chunks

    def interrupt(*args: Any) -> list[int]:
        if event == "take over":
            fleet.take_over()
        elif event == "stop":
            fleet.runner._jobs.copy().pop().stop.set()
        else:
            path = "*/tokens/*" if event == "fail at a token" else "*"
            fleet.fake.fail("status", method="GET", path=path, status=401, times=None)
        return unfinished(*args)

    monkeypatch.setattr(fleet.store, "unfinished_chunks", interrupt)
    await fleet.one()

    assert fleet.run.state == "restoring"
    assert fleet.statuses() == ["inactive", "inactive", "active", "active"]
    assert len(fleet.tasks) == (event != "take over")


async def test_rules(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules decide about a plan, even after the worker died before they did."""
    verdicts = [Verdict(kind="approve", by="rule")]

    async def ask(*_: object) -> Verdict:
        if verdicts:
            raise runners._AbandonedError
        return Verdict(kind="approve", by="rule")

    monkeypatch.setattr(runners, "decide_or_ask", ask)
    fleet.start()
    await fleet.one()
    task = fleet.tasks[0]
    await fleet.one()
    waiting = fleet.run
    verdicts.clear()
    await fleet.runner.run(task.run, task.phase, task.attempt)

    assert (waiting.state, waiting.decisions) == ("waiting", ())
    assert [(one.kind, one.by) for one in fleet.run.decisions] == [("approve", "rule")]
    assert fleet.tasks[0].phase == "apply"


async def test_rules_that_do_not_decide(fleet: Fleet) -> None:
    """A run that a rule does not approve says why, until a person decides."""
    fleet.change_policy(approval=policy.Approval(auto_below=2))
    fleet.start()
    waiting = await fleet.drain()
    fleet.decide("approve")
    await fleet.one()

    assert waiting.state == "waiting"
    assert waiting.reason == "A person must decide: the plan has 4 changes, and auto_below is 2"
    assert (fleet.run.state, fleet.run.reason) == ("quarantined", "")


async def test_person_before_a_webhook(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a person decides before a webhook fails, the run keeps no reason of the webhook."""

    async def ask(*_: object) -> Verdict:
        fleet.decide("approve")
        return Verdict(kind="wait", reason="no response")

    monkeypatch.setattr(runners, "decide_or_ask", ask)
    fleet.change_policy(approval=policy.Approval(auto_below=2))
    fleet.start()
    await fleet.one()
    await fleet.one()

    assert (fleet.run.state, fleet.run.reason) == ("approved", "")


async def test_webhook_that_is_asked_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A webhook that cannot be reached is asked again by a delayed task, until it decides."""
    seen: list[int] = []

    async def ask(run: Run, _: object) -> Verdict:
        seen.append(run.webhook_failures)
        if len(seen) < 3:
            return Verdict(kind="wait", reason="no response", can_ask_again=True)
        return Verdict(kind="approve", by="webhook")

    monkeypatch.setattr(runners, "decide_or_ask", ask)
    fleet.change_policy(approval=policy.Approval(auto_below=2))
    fleet.start()
    await fleet.one()
    await fleet.one()
    asked = fleet.run
    task = fleet.tasks[0]
    await fleet.one()
    await fleet.one()

    assert (asked.state, asked.reason, asked.webhook_failures) == ("waiting", "no response", 1)
    assert (task.phase, task.delay) == ("plan", timedelta(minutes=1))
    assert (fleet.run.state, seen, fleet.run.webhook_failures) == ("approved", [0, 1, 2], 2)
    assert "the webhook is asked again in 60 s: no response" in caplog.text


async def test_webhook_after_a_retry(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook is asked again about the plan of a run that was retried before it was planned."""
    verdicts = [
        Verdict(kind="wait", reason="no response", can_ask_again=True),
        Verdict(kind="approve", by="webhook"),
    ]

    async def ask(*_: object) -> Verdict:
        return verdicts.pop(0)

    monkeypatch.setattr(runners, "decide_or_ask", ask)
    name = fleet.runner.policy.cleanups[0].name
    fleet.change_policy(name="other", approval=policy.Approval(auto_below=2))
    fleet.start()
    await fleet.drain()
    fleet.change_policy(name=name)
    fleet.decide("retry")
    approved = await fleet.drain(limit=3)

    assert ([one.kind for one in approved.decisions], verdicts) == (["retry", "approve"], [])


async def test_stop_while_a_webhook_is_asked_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that stops gives the question to another one."""

    async def ask(*_: object) -> Verdict:
        if fleet.run.webhook_failures:
            fleet.runner.stop()
            await anyio.sleep_forever()
        return Verdict(kind="wait", reason="no response", can_ask_again=True)

    monkeypatch.setattr(runners, "decide_or_ask", ask)
    fleet.change_policy(approval=policy.Approval(auto_below=2))
    fleet.start()
    for _ in range(3):
        await fleet.one()

    assert [(task.phase, task.delay) for task in fleet.tasks] == [("plan", timedelta(0))]
    assert (fleet.run.state, fleet.run.webhook_failures) == ("waiting", 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "other"}, "no clean-up 'old-ci'"),
        ({"approval": policy.Approval()}, "the policy has no rule that approves it"),
    ],
)
async def test_webhook_that_is_gone(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], reason: str
) -> None:
    """If the policy file no longer has the clean-up or its webhook, a person must decide."""

    async def ask(run: Run, approval: policy.Approval) -> Verdict:
        if approval.is_manual:
            return decide(run.plan, approval)
        return Verdict(kind="wait", reason="no response", can_ask_again=True)

    monkeypatch.setattr(runners, "decide_or_ask", ask)
    fleet.change_policy(approval=policy.Approval(auto_below=2))
    fleet.start()
    await fleet.one()
    await fleet.one()
    fleet.change_policy(**change)
    await fleet.one()

    assert (fleet.run.state, fleet.tasks, fleet.run.retry_at) == ("waiting", [], None)
    assert "A person must decide: " in fleet.run.reason
    assert reason in fleet.run.reason


async def test_person_before_the_rules(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a person decides while a webhook is asked, that decision counts."""

    async def ask(*_: object) -> Verdict:
        fleet.decide("reject")
        return Verdict(kind="approve", by="webhook")

    monkeypatch.setattr(runners, "decide_or_ask", ask)
    fleet.start()
    rejected = await fleet.drain()

    assert [(one.kind, one.by) for one in rejected.decisions] == [("reject", "ada")]


@pytest.mark.parametrize("gave_up", ["The API was unavailable for 120 s.", None])
async def test_unfinished_chunk(
    fleet: Fleet,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    gave_up: str | None,
) -> None:
    """A chunk that gave up, or does not know all outcomes, is retried, and no token is lost."""
    await fleet.approved()
    apply_chunk = jobs.apply_chunk

    async def apply(*args: Any, **options: Any) -> jobs.ChunkResult:
        result = await apply_chunk(*args, **options)
        unknown = attrs.evolve(result.results[0], outcome=jobs.Outcome.UNKNOWN)
        results = (unknown, *result.results[1:])
        return attrs.evolve(result, results=results, gave_up=gave_up)

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "apply_chunk", apply)
        await fleet.one()
    troubled = fleet.run
    await fleet.one()
    (warning,) = (one for one in caplog.records if one.levelname == "WARNING")

    assert (troubled.state, troubled.reason) == (
        "applying",
        gave_up or "Some tokens have no known outcome.",
    )
    assert "apply failed, next attempt in 15 s: " in warning.getMessage()
    assert (vars(warning)["account"], vars(warning)["state"]) == (troubled.account, "applying")
    assert troubled.retry_at is not None
    assert (fleet.run.reason, fleet.run.retry_at) == ("", None)
    assert fleet.run.outcomes("apply") == {"done": 4}


async def test_time_of_the_server(fleet: Fleet) -> None:
    """A refused request shows the time of the server, too; without a response, nothing begins."""
    header = jobs.Header(
        created_at=OLD,
        base_url="https://api.losant.com",
        action="deactivate",
        rule="expired",
        counts={Owner.user(): jobs.Counts()},
    )
    once = RetryPolicy(attempts=1)
    transport = fleet.fake.transport()
    async with AsyncClient(fleet.fake.admin_token, transport=transport, retry=once) as client:
        fleet.fake.fail("drop", times=1)
        with pytest.raises(TransportError):
            await plans.learn_time(client, header)
        fleet.fake.fail("status", status=403, times=1)
        await plans.learn_time(client, header)
        requests = len(fleet.fake.requests)
        await plans.learn_time(client, header)

        assert client.server_time() is not None
        assert len(fleet.fake.requests) == requests


async def test_discovered_owners(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owners that the API lists are added, and a list that fails is an error."""
    application = "575ec8687ae143cd83dc4a97"
    fleet.fake.add_owner(f"application:{application}", "app")
    account = Account(name="prod", token=None, discover=("applications",))  # type: ignore[arg-type]
    async with AsyncClient(fleet.fake.admin_token, transport=fleet.fake.transport()) as client:
        found = await plans.owners_of(client, account)
        fleet.fake.fail("status", status=401, times=None)
        with pytest.raises(FleetError, match="'prod' cannot be listed: applications:"):
            await plans.owners_of(client, account)

    assert found == (Owner.user(), Owner.application(application))


async def test_removed_run(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    """A late task of a run that a prune has removed does nothing, and is not an error."""
    caplog.set_level("INFO", "losant_tokens.fleet")
    fleet.start()
    assert fleet.store.remove("run", 0)
    await fleet.one()

    assert caplog.messages == ["Run run was removed, so its phase plan does nothing"]


async def test_retry_of_failed_tokens(fleet: Fleet) -> None:
    """A retry changes the tokens that failed, and no other, before their sweep."""
    await fleet.approved()
    fleet.fake.fail(status=400, method="PATCH", times=3)
    await fleet.one()
    failed = fleet.run
    stale = fleet.tasks.pop()
    fleet.decide("retry")
    again = fleet.run
    fleet.fake.clear_requests()
    await fleet.one()
    applied = fleet.run
    changes = [one for one in fleet.fake.requests if one.method == "PATCH"]
    await fleet.runner.run(stale.run, stale.phase, stale.attempt)
    done = await fleet.drain()
    errors = [
        one["error"]
        for _, chunk in fleet.store.results("run", ["apply"])
        for one in chunk["results"]
    ]

    assert (failed.state, failed.outcomes("apply"), failed.can_retry) == (
        "quarantined",
        {"done": 1, "failed": 3},
        True,
    )
    assert (again.state, again.outcomes("apply")) == ("applying", {"done": 1})
    assert (applied.state, applied.outcomes("apply"), len(changes)) == (
        "quarantined",
        {"done": 4},
        3,
    )
    assert (done.state, done.outcomes("sweep"), fleet.statuses()) == ("done", {"done": 4}, [])
    assert errors == [None] * 4


@pytest.mark.parametrize("phase", ["sweep", "restore"])
async def test_retry_of_a_sweep_or_a_restore(fleet: Fleet, phase: str) -> None:
    """Tokens that could not be deleted or activated are repeated by a retry of the run."""
    await fleet.approved()
    await fleet.one()
    if phase == "restore":
        fleet.decide("restore")
        del fleet.tasks[0]
    fleet.fake.fail(status=400, method="PATCH" if phase == "restore" else "DELETE", times=1)
    failed = await fleet.drain()
    fleet.decide("retry")
    ended = await fleet.drain()

    assert (failed.failed_tokens, failed.can_retry) == (1, True)
    assert (ended.state, ended.failed_tokens) == (failed.state, 0)
    assert ended.outcomes(ended.phase) == {"done": 4}


async def test_retry_keeps_a_chunk_in_doubt(fleet: Fleet) -> None:
    """If the worker of a chunk died, its failed tokens keep their outcomes."""
    await fleet.approved()
    fleet.fake.fail(status=400, method="PATCH", times=1)
    await fleet.one()
    with fleet.store._database.begin() as connection:
        connection.exec_driver_sql("update fleet_chunks set is_complete = 0, owner = 'dead'")
    del fleet.tasks[0]
    fleet.decide("retry")
    await fleet.one()

    assert fleet.run.outcomes("apply") == {"done": 3, "failed": 1}
