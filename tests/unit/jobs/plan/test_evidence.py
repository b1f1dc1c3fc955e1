"""Plans that protect the tokens that an audit log shows in use."""

import random
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from losant_tokens import ApiTokenPatch, AsyncClient, Owner, jobs
from losant_tokens.errors import ValidationError
from losant_tokens.jobs import EvidenceError, Outcome, Plan, PlanRefused
from losant_tokens.jobs._execution.journal import Journal
from losant_tokens.jobs._plan.format import header_json, parse_header
from losant_tokens.jobs._plan.reader import refusing_unreadable
from losant_tokens.testing import FakeLosant
from tests.support.jobs import USER, client_of, fake_with, planned

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SPAN = timedelta(days=90)
INSTANCE = Owner.instance("59f0b3a27e1c4d0006aa41d8")


def fake_at(now: datetime, doomed: int = 4) -> FakeLosant:
    """Return a fake whose audit log begins a year ago."""
    fake = FakeLosant(now=lambda: now)
    for number in range(doomed):
        fake.add_token(f"ci-{number}", creation_date=now - timedelta(days=900))
    fake.add_audit_log(fake.user_id, actor_type="User", creation_date=now - timedelta(days=365))
    return fake


def org_of(fake: FakeLosant) -> str:
    return f"org:{fake.organization_id}"


async def plan_of(fake: FakeLosant, folder: Path, **options: Any) -> Plan:
    async with client_of(fake) as client:
        return await planned(
            client, folder, allow_majority=True, **{"seen_in": org_of(fake), **options}
        )


async def test_seen_tokens_are_protected(tmp_path: Path) -> None:
    """A token that was seen within the span is not selected, and the plan states why."""
    fake = fake_at(NOW)
    one, edge, before, _ = fake.tokens()
    fake.add_audit_log(one.id.upper(), creation_date=NOW - timedelta(days=5))
    fake.add_audit_log(edge.id, creation_date=NOW - SPAN)
    fake.add_audit_log(before.id, creation_date=NOW - SPAN - timedelta(minutes=2))

    plan = await plan_of(fake, tmp_path)

    assert [entry.protected for entry in plan.entries()] == [
        "seen changing something on 2026-05-27",
        "seen changing something on 2026-03-03",
        None,
        None,
    ]
    seen = plan.header.seen
    assert seen is not None
    assert (seen.span, seen.sources, seen.protected) == (SPAN, (org_of(fake),), 2)
    assert abs(seen.until - NOW) < timedelta(seconds=5)
    assert str(seen) == "2 protected: seen changing something within 90 days"
    assert seen.gaps == ()
    assert plan == Plan.read(plan.path)


async def test_patterns_protect_first(tmp_path: Path) -> None:
    """A token that a pattern protects does not count as protected by the audit log."""
    fake = fake_at(NOW)
    fake.add_audit_log(fake.tokens()[0].id)
    plan = await plan_of(fake, tmp_path, protect=["ci-0"])
    assert plan.header.seen is not None
    assert plan.header.seen.protected == 0
    assert plan.header.total.protected == 1


@pytest.mark.parametrize("offset", [timedelta(days=30), timedelta(days=-200)])
async def test_clock_of_the_server(tmp_path: Path, offset: timedelta) -> None:
    """The span is counted back from the server's clock, although this machine's is wrong."""
    fake = fake_at(datetime.now(UTC))
    fake.clock_offset = offset
    now = datetime.now(UTC) + offset
    one, other, *_ = fake.tokens()
    fake.add_audit_log(one.id, creation_date=now - timedelta(days=89))
    fake.add_audit_log(other.id, creation_date=now - timedelta(days=91))
    plan = await plan_of(fake, tmp_path)
    assert [entry.id for entry in plan.entries() if entry.protected] == [one.id]


@pytest.mark.parametrize("seed", range(6))
async def test_no_seen_token_is_selected(tmp_path: Path, seed: int) -> None:
    """No token that is seen within the span is selected, although both lists change meanwhile."""
    rng = random.Random(seed)
    fake = fake_at(NOW, doomed=12)
    fake.page_cap = rng.choice([2, 5, 100])
    for token in fake.tokens():
        for _ in range(rng.randrange(3)):
            age = rng.choice([SPAN, timedelta(), SPAN * rng.random() * 2])
            fake.add_audit_log(token.id, creation_date=NOW - age)
    seen = {entry.actor_id for entry in fake.audit_logs() if NOW - entry.creation_date <= SPAN} - {
        fake.user_id
    }

    class Growing(AsyncClient):
        def server_time(self) -> datetime | None:
            for _ in range(rng.randrange(3)):
                fake.add_audit_log("f" * 24, creation_date=NOW)
            return super().server_time()

    async with Growing(
        fake.admin_token, base_url="https://fake.example", transport=fake.transport()
    ) as client:
        plan = await planned(client, tmp_path, allow_majority=True, seen_in=org_of(fake))

    selected = {entry.id for entry in plan.entries() if entry.protected is None}
    assert not selected & seen
    assert len(selected) + len(seen) <= 12


async def test_log_that_cannot_be_read(tmp_path: Path) -> None:
    """Without the audit log, no plan is made, and no file is left."""
    fake = fake_at(NOW)
    with pytest.raises(EvidenceError, match=r"org:a+ cannot be read.*404 NotFound"):
        await plan_of(fake, tmp_path, seen_in="org:" + "a" * 24)
    fake.fail("garbage", path="/orgs/*", times=None)
    with pytest.raises(EvidenceError, match="not JSON"):
        await plan_of(fake, tmp_path, patience=0)
    fake.clear_faults()
    fake.add_audit_log(None)
    with pytest.raises(EvidenceError, match="does not name who changed something"):
        await plan_of(fake, tmp_path)
    assert not (tmp_path / "plan.jsonl").exists()


async def test_scope_is_missing(tmp_path: Path) -> None:
    """A token that may list tokens, but no audit log, makes no plan."""
    fake = fake_at(NOW)
    token = fake.access_token(["userApiTokens.get"])
    async with AsyncClient(token, transport=fake.transport()) as client:
        with pytest.raises(EvidenceError, match="needs a token with one of the scopes"):
            await planned(client, tmp_path, seen_in=org_of(fake))
    assert fake.requests == ()


async def test_span_of_zero(tmp_path: Path) -> None:
    """With a span of zero, no audit log is read, and no token is protected."""
    fake = fake_at(NOW)
    fake.add_audit_log(fake.tokens()[0].id)
    plan = await plan_of(fake, tmp_path, protect_seen=timedelta(0))
    assert plan.header.seen is None
    assert plan.header.total.protected == 0
    assert not any("audit-logs" in request.path for request in fake.requests)


async def test_log_that_is_too_short(tmp_path: Path) -> None:
    """If the log begins after the span, a warning and the plan say so."""
    fake = fake_with(2)
    fake.add_audit_log(fake.user_id, actor_type="User")
    progress: list[jobs.LogProgress] = []
    async with client_of(fake) as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            plan = await jobs.plan(
                client,
                USER,
                select=jobs.named("ci-*"),
                path=tmp_path / "plan",
                allow_majority=True,
                seen_in=[org_of(fake)],
                on_log=progress.append,
            )
    assert plan.header.seen is not None
    (gap,) = plan.header.seen.gaps
    assert gap in [str(warning.message) for warning in caught]
    assert gap.startswith(f"The audit log of {org_of(fake)} begins on")
    assert len(progress) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"seen_in": "user"}, "An audit log must be org:ID or instance:ID"),
        ({"seen_in": 5}, "plan.seen_in must be a list of audit logs"),
        ({"protect_seen": 90}, "plan.protect_seen must be a timedelta"),
        ({"protect_seen": timedelta(-1)}, "plan.protect_seen must be a timedelta"),
        ({"protect_seen": None}, "plan.protect_seen must be a timedelta"),
    ],
)
async def test_wrong_arguments(tmp_path: Path, options: Any, expected: str) -> None:
    """A wrong argument is refused before anything is sent."""
    fake = fake_at(NOW)
    with pytest.raises(ValidationError, match=expected):
        await plan_of(fake, tmp_path, **options)
    assert fake.requests == ()


@pytest.mark.parametrize(
    "change",
    [
        {"span": -1},
        {"span": "90d"},
        {"sources": ["user"]},
        {"sources": "org"},
        {"until": None},
        {"protected": -1},
        {"protected": "2"},
        {"gaps": [1]},
    ],
)
async def test_malformed_evidence_in_a_file(tmp_path: Path, change: Any) -> None:
    """A plan file with evidence that no release writes is not read."""
    plan = await plan_of(fake_at(NOW), tmp_path)
    path = tmp_path / "other.jsonl"
    values = header_json(plan.header)
    assert parse_header(values).seen == plan.header.seen
    assert "seen" not in header_json(attrs.evolve(plan.header, seen=None))
    with pytest.raises(PlanRefused), refusing_unreadable(path):
        parse_header({**values, "seen": {**values["seen"], **change}})


# --- The log of an instance --------------------------------------------------------------------


def fake_instance() -> FakeLosant:
    """Return a fake with an instance that has two tokens, of which its log shows the first."""
    fake = FakeLosant(now=lambda: NOW)
    seen, _ = (fake.add_token(f"ci-{number}", owner=str(INSTANCE)) for number in range(2))
    fake.add_audit_log(
        fake.user_id,
        source=str(INSTANCE),
        actor_type="User",
        creation_date=NOW - timedelta(days=365),
    )
    fake.add_audit_log(seen.id, source=str(INSTANCE), creation_date=NOW - timedelta(days=5))
    return fake


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 1),
        ({"action": "deactivate"}, 1),
        ({"action": "rotate"}, 0),
        ({"action": "rotate", "seen_in": str(INSTANCE)}, 1),
        ({"protect_seen": timedelta(0)}, 0),
        ({"seen_in": str(INSTANCE), "protect_seen": timedelta(0)}, 0),
    ],
)
async def test_log_of_an_instance(tmp_path: Path, options: Any, expected: int) -> None:
    """The log of an instance protects its tokens from being removed, unless that is turned off."""
    async with client_of(fake_instance()) as client:
        plan = await planned(client, tmp_path, owners=INSTANCE, allow_majority=True, **options)
    assert plan.header.total.protected == expected


@pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning")
async def test_sweep_of_an_instance(tmp_path: Path) -> None:
    """A sweep reads the log of an instance by default, too; a restore does not."""
    fake = fake_instance()
    async with client_of(fake) as client:
        plan = await planned(
            client,
            tmp_path,
            owners=INSTANCE,
            action="deactivate",
            allow_majority=True,
            protect_seen=timedelta(0),
        )
        report = await jobs.apply(client, plan)
        swept = await jobs.sweep(client, report, after=timedelta(0), allow_majority=True)
        assert (swept.header.total.selected, swept.header.total.protected) == (1, 1)
        fake.clear_requests()
        await jobs.restore(client, report)
    assert not any("audit-logs" in request.path for request in fake.requests)


@pytest.mark.parametrize("status", [403, 404])
async def test_instance_without_a_log(tmp_path: Path, status: int) -> None:
    """If the log of an instance cannot be read, the error says how to plan without it."""
    fake = fake_instance()
    fake.fail(status=status, path="/instance/*/audit-logs", times=None)
    async with client_of(fake) as client:
        with pytest.raises(EvidenceError, match=r"pass protect_seen=timedelta\(0\)\.$") as caught:
            await planned(client, tmp_path, owners=INSTANCE, allow_majority=True)
    assert str(status) in str(caught.value.__cause__)


# --- Applying --------------------------------------------------------------------------------


async def test_token_that_was_used_since_the_plan(tmp_path: Path) -> None:
    """A token that changed something after the plan was made is left alone by apply."""
    now = datetime.now(UTC)
    fake = fake_at(now)
    used, *others = fake.tokens()
    plan = await plan_of(fake, tmp_path)
    fake.add_audit_log(used.id, creation_date=now + timedelta(hours=1))
    async with client_of(fake) as client:
        report = await jobs.apply(client, plan)

    assert fake.tokens() == (used,)
    assert report.counts[Outcome.DONE] == len(others)
    results = {result.entry.id: result for result in report.results()}
    assert results[used.id].outcome is Outcome.PROTECTED
    assert str(results[used.id].error).startswith("seen changing something on")


async def test_token_in_doubt_that_was_used(tmp_path: Path) -> None:
    """A change whose outcome a killed job left unknown is found, although the token was used."""
    fake = fake_at(datetime.now(UTC), doomed=2)
    changed, unchanged = fake.tokens()
    plan = await plan_of(fake, tmp_path, action="deactivate")
    with Journal.open(plan, jobs.journal_path(plan), resume=False) as journal:
        journal.record_intent(0)
        journal.record_intent(1)
    async with client_of(fake) as client:
        await client.tokens(USER).patch(changed.id, ApiTokenPatch(status="inactive"))
        fake.add_audit_log(changed.id)
        fake.add_audit_log(unchanged.id)
        report = await jobs.apply(client, plan, verify=False, resume=True)
    results = {result.entry.id: result.outcome for result in report.results()}
    assert results == {changed.id: Outcome.DONE, unchanged.id: Outcome.PROTECTED}


async def test_log_that_cannot_be_read_before_a_job(tmp_path: Path) -> None:
    """A job does not start if its audit log can no longer be read."""
    fake = fake_at(datetime.now(UTC))
    plan = await plan_of(fake, tmp_path)
    fake.fail(status=403, path="/orgs/*", times=None)
    async with client_of(fake) as client:
        with pytest.raises(jobs.JobFailed, match="cannot be read") as caught:
            await jobs.apply(client, plan)
    assert isinstance(caught.value.__cause__, EvidenceError)
    assert caught.value.report.pending == 4
    assert len(fake.tokens()) == 4


async def test_nothing_to_apply(tmp_path: Path) -> None:
    """A plan that selects nothing needs no audit log to be applied."""
    fake = fake_at(datetime.now(UTC), doomed=0)
    plan = await plan_of(fake, tmp_path)
    fake.clear_requests()
    async with client_of(fake) as client:
        await jobs.apply(client, plan)
    assert not any("audit-logs" in request.path for request in fake.requests)


async def test_sweep(tmp_path: Path) -> None:
    """A sweep protects the tokens that were seen within the span, too."""
    now = datetime.now(UTC)
    fake = fake_at(now)
    used = fake.tokens()[0]
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, allow_majority=True, action="deactivate")
        report = await jobs.apply(client, plan)
        fake.add_audit_log(used.id, creation_date=now - timedelta(days=20))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jobs.PlanWarning)
            swept = await jobs.sweep(
                client,
                report,
                after=timedelta(0),
                allow_majority=True,
                seen_in=[org_of(fake)],
                protect_seen=timedelta(days=30),
            )
    assert swept.header.seen is not None
    assert swept.header.seen.protected == 1
    assert [entry.id for entry in swept.entries() if entry.protected] == [used.id]
