"""The plans of clean-ups."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from losant_tokens import AsyncClient, Owner, jobs, policy
from losant_tokens.errors import ValidationError
from losant_tokens.jobs import GuardRefused
from losant_tokens.testing import FakeLosant
from tests.support.policies import CLEANUP, LADDER, load_policy

DAY = timedelta(days=1)
USER = Owner.user()
CI = CLEANUP.replace(', older_than = "90d"', "")
DELETE = CI.replace('"deactivate"', '"delete"\nprotect = ["ci-1"]')
STEPS = LADDER.replace('  { action = "warn" },\n', "").replace(', after = "14d"', "")
STALE = LADDER.replace('not_updated_for = "1y"', 'named = ["ci-*"]').replace('"svc-*"', '"prod-1"')
SWEEPING = STEPS.replace('not_updated_for = "1y"', 'named = ["ci-*"]').replace(
    '"svc-*"', '"prod-1"'
)

pytestmark = pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning")


@pytest.fixture
def fake() -> FakeLosant:
    fake = FakeLosant()
    for number in range(4):
        fake.add_token(f"ci-{number}")
        fake.add_token(f"prod-{number}")
    return fake


@pytest.fixture
async def client(fake: FakeLosant) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(fake.admin_token, transport=fake.transport()) as client:
        yield client


def names(plan: jobs.Plan) -> list[str]:
    return sorted(entry.name for entry in plan.entries() if entry.protected is None)


def cleanup(folder: Path, text: str) -> policy.Cleanup:
    return load_policy(folder, text).cleanups[0]


async def test_plan(client: AsyncClient, tmp_path: Path) -> None:
    """A plan has the selection, the action and the guards of the file, and names the file."""
    loaded = load_policy(tmp_path, DELETE)

    plan = await policy.plan(client, USER, loaded.cleanup("old-ci"))

    assert names(plan) == ["ci-0", "ci-2", "ci-3"]
    assert (plan.header.action, plan.header.protected) == ("delete", ("ci-1",))
    assert plan.header.policy == jobs.PolicyReference("old-ci", loaded.digest)


async def test_grace(client: AsyncClient, tmp_path: Path) -> None:
    """The plan of a deactivation has the grace period of the file."""
    one = cleanup(tmp_path, CI + 'grace = "30d"')
    plan = await policy.plan(client, [USER], one)
    assert (plan.header.action, plan.header.grace) == ("deactivate", 30 * DAY)


async def test_narrowed_plan(client: AsyncClient, tmp_path: Path) -> None:
    """Arguments narrow the selection, and protect more tokens."""
    one = cleanup(tmp_path, DELETE)
    narrow = jobs.named("*-1") | jobs.named("*-2") | jobs.named("*-3")
    plan = await policy.plan(client, USER, one, select=narrow, protect=["ci-2"], max_changes=1)
    assert names(plan) == ["ci-3"]


async def test_log_of_an_instance_only(client: AsyncClient, tmp_path: Path) -> None:
    """A clean-up that protects tokens in use needs a log for the tokens of each owner."""
    one = cleanup(tmp_path, CI + 'protect_seen = "30d"')
    owners = [USER, Owner.instance("59f0b3a27e1c4d0006aa41d8")]
    with pytest.raises(ValidationError, match="needs an audit log"):
        await policy.plan(client, owners, one)


@pytest.mark.parametrize(
    ("text", "arguments", "error", "message"),
    [
        (CI, {"max_changes": 51}, ValidationError, "must be at most 50, the limit of 'old-ci'"),
        (CI + 'protect_seen = "30d"', {}, ValidationError, "needs an audit log: pass seen_in"),
        (CI, {"step": "delete"}, ValidationError, "'old-ci', which are deactivate, but it is"),
        (STALE, {"step": "delete", "select": jobs.expired()}, ValidationError, "must be None"),
        (CI.replace("50", "3"), {}, GuardRefused, "4 tokens were selected, which is more than 3"),
        (
            CI,
            {"max_changes": 2},
            GuardRefused,
            "is more than 2. Select fewer, or pass a larger max",
        ),
        (CI.replace("50", "3"), {}, GuardRefused, "change 'max_changes' in the policy file"),
        (CI + 'protect = ["x"]', {}, GuardRefused, "change 'allow_unmatched' in the policy"),
        (
            CI.replace("ci-*", "*-*"),
            {},
            GuardRefused,
            "change 'allow_majority' in the policy",
        ),
    ],
)
async def test_guards(
    client: AsyncClient, tmp_path: Path, text: str, arguments: Any, error: Any, message: str
) -> None:
    """A plan has the guards of any other, and an argument that would weaken one is refused."""
    one = cleanup(tmp_path, text)
    with pytest.raises(error, match=message):
        await policy.plan(client, USER, one, **arguments)


@pytest.mark.parametrize(
    ("text", "span", "days"),
    [
        ("", 90, 90),
        ("", 1, 90),
        ("", 180, 180),
        ('protect_seen = "30d"', 90, 90),
        ('protect_seen = "30d"', 1, 30),
        ('protect_seen = "1y"', 90, 365),
        ("allow_seen = true", 1, 1),
    ],
)
async def test_seen_tokens(
    fake: FakeLosant, client: AsyncClient, tmp_path: Path, text: str, span: int, days: int
) -> None:
    """Tokens that an audit log shows in use are protected, for the longer of two spans."""
    log = f"org:{'c' * 24}"
    (seen,) = (token for token in fake.tokens() if token.name == "ci-1")
    fake.add_audit_log(seen.id, source=log)
    one = cleanup(tmp_path, CI + text)

    plan = await policy.plan(client, USER, one, seen_in=[log], protect_seen=span * DAY)

    assert names(plan) == ["ci-0", "ci-2", "ci-3"]
    assert plan.header.seen is not None
    assert plan.header.seen.span == days * DAY


async def test_allowed_guards(client: AsyncClient, tmp_path: Path) -> None:
    """The file can allow a majority, and patterns without a match."""
    text = CI.replace("ci-*", "*-*") + 'protect = ["x"]\nallow_majority = true\n'
    plan = await policy.plan(client, USER, cleanup(tmp_path, text + "allow_unmatched = true"))
    assert len(names(plan)) == 8


async def test_warned_tokens(fake: FakeLosant, client: AsyncClient, tmp_path: Path) -> None:
    """A ladder deactivates only tokens that were warned long enough ago, and not changed since."""
    one = cleanup(tmp_path, STALE)
    now = datetime.now(UTC)
    tokens = {token.name: token for token in fake.tokens()}

    def record(at: datetime, promised: datetime, name: str) -> policy.WarningRecord:
        return policy.WarningRecord(at, promised, tokens[name].last_updated)

    due, early = now - 14 * DAY, now - 13 * DAY
    warned = {
        tokens["ci-0"].id: record(due, due, "ci-0"),
        tokens["ci-1"].id: record(early, early, "ci-1"),
        tokens["ci-2"].id: record(due, now + DAY, "ci-2"),
        tokens["ci-3"].id: policy.WarningRecord(due, due, due),
        tokens["prod-2"].id: record(due, due, "prod-2"),
    }

    plan = await policy.plan(client, USER, one, warned=warned, now=now)

    assert names(plan) == ["ci-0"]
    assert plan.header.rule == "named 'ci-*' and warned 14 days ago"
    (entry,) = plan.entries()
    assert entry.reason.endswith(f", warned on {(now - 14 * DAY).date()}")
    assert (plan.header.action, plan.header.grace) == ("deactivate", 30 * DAY)


async def test_no_warnings(client: AsyncClient, tmp_path: Path) -> None:
    """Without a record of warnings, a ladder that warns deactivates nothing."""
    plan = await policy.plan(client, USER, cleanup(tmp_path, STALE))
    assert (names(plan), plan.header.action) == ([], "deactivate")


async def quarantined(client: AsyncClient, one: policy.Cleanup) -> jobs.Quarantine:
    """Deactivate the tokens of a ladder, and return the quarantine."""
    plan = await policy.plan(client, USER, one)
    return jobs.Quarantine.of(await jobs.apply(client, plan, rate=1000))


async def test_ladder(fake: FakeLosant, client: AsyncClient, tmp_path: Path) -> None:
    """A ladder deactivates until its quarantine is due, and then deletes."""
    one = cleanup(tmp_path, SWEEPING)
    quarantine = await quarantined(client, one)
    assert quarantine.policy == one.reference
    later = datetime.now(UTC) + 31 * DAY

    early = await policy.plan(client, USER, one, quarantines=[quarantine])
    path = tmp_path / "plan.jsonl"
    due = await policy.plan(client, USER, one, quarantines=[quarantine], now=later, path=path)

    assert (names(early), early.header.action) == ([], "deactivate")
    assert (names(due), due.header.action) == (["ci-0", "ci-1", "ci-2", "ci-3"], "delete")
    assert due.header.policy == one.reference


async def test_quarantine_that_never_settles(
    fake: FakeLosant, client: AsyncClient, tmp_path: Path
) -> None:
    """A quarantine whose tokens somebody has deleted does not keep a ladder from going on."""
    one = cleanup(tmp_path, SWEEPING)
    quarantine = await quarantined(client, one)
    for token in fake.tokens():
        if token.name.startswith("ci-"):
            await client.user_api_token.delete(token.id)
    fake.add_token("ci-9")
    later = datetime.now(UTC) + 31 * DAY

    for path in (None, tmp_path / "plan.jsonl"):
        plan = await policy.plan(client, USER, one, quarantines=[quarantine], now=later, path=path)
        assert (names(plan), plan.header.action) == (["ci-9"], "deactivate")
        assert path is None or plan.path == path


async def test_other_quarantines(client: AsyncClient, tmp_path: Path) -> None:
    """The step delete leaves quarantines of other clean-ups and owners alone."""
    one = cleanup(tmp_path, SWEEPING)
    quarantine = await quarantined(client, one)
    later = datetime.now(UTC) + 31 * DAY
    other = cleanup(tmp_path, SWEEPING.replace("stale", "other"))
    oauth = Owner.parse("oauth")

    for owners, ladder in ((USER, other), (oauth, one)):
        plan = await policy.plan(
            client, owners, ladder, step="delete", quarantines=[quarantine], now=later
        )
        assert (names(plan), plan.header.action) == ([], "delete")


async def test_narrower_file(fake: FakeLosant, client: AsyncClient, tmp_path: Path) -> None:
    """A token is deleted only if the file would still have deactivated it at that time."""
    created = datetime.now(UTC) - 2 * DAY
    fake.add_token("old-0", creation_date=created, expiration_date=created + 10 * DAY)
    fake.add_token("old-1", creation_date=created)
    text = SWEEPING.replace("ci-*", "old-*")
    quarantine = await quarantined(client, cleanup(tmp_path, text))
    cases = {
        'active = true, not_updated_for = "1h"': ["old-0", "old-1"],
        'except_named = ["old-1"]': ["old-0"],
        'older_than = "9d"': [],
        'expires_within = "10d"': ["old-0"],
    }

    for conditions, expected in cases.items():
        one = cleanup(tmp_path, text.replace('["old-*"]', f'["old-*"], {conditions}'))
        plan = await policy.plan(
            client,
            USER,
            one,
            step="delete",
            quarantines=[quarantine],
            now=datetime.now(UTC) + 31 * DAY,
        )
        assert (names(plan), plan.header.action) == (expected, "delete")


async def test_grace_of_quarantines(client: AsyncClient, tmp_path: Path) -> None:
    """The longer grace period counts: that of the file, or the one that was promised."""
    quarantine = await quarantined(client, cleanup(tmp_path, SWEEPING))
    later = datetime.now(UTC) + 31 * DAY

    for after, expected in (("60d", 0), ("1d", 4)):
        one = cleanup(tmp_path, SWEEPING.replace("30d", after))
        plan = await policy.plan(
            client, USER, one, step="delete", quarantines=[quarantine], now=later
        )
        assert len(names(plan)) == expected


async def test_ladder_without_delete(client: AsyncClient, tmp_path: Path) -> None:
    """A ladder that only warns and deactivates sweeps nothing."""
    text = STALE.replace('  { action = "delete", after = "30d" },\n', "")
    one = cleanup(tmp_path, text)
    assert (one.grace, one.warns) == (None, True)
    plan = await policy.plan(client, USER, one)
    assert plan.header.action == "deactivate"


async def test_cleanup_by_its_name(client: AsyncClient) -> None:
    """The name in place of a clean-up is an error, because a name alone has no file."""
    with pytest.raises(ValidationError, match=r"plan\.cleanup must be of type Cleanup"):
        await policy.plan(client, USER, "old-ci")  # type: ignore[arg-type]


def test_unknown_cleanups(tmp_path: Path) -> None:
    """A name that the file does not have is an error with a suggestion."""
    loaded = load_policy(tmp_path, CI)
    with pytest.raises(ValidationError, match="no clean-up 'old-c': did you mean 'old-ci'"):
        loaded.cleanup("old-c")
    with pytest.raises(ValidationError, match="no clean-up 'x': its clean-ups are old-ci"):
        loaded.cleanup("x")


def test_reference_is_no_key(tmp_path: Path) -> None:
    """A file cannot set the reference of a clean-up."""
    with pytest.raises(policy.PolicyError, match="reference: is not a key: the keys are name, "):
        load_policy(tmp_path, CI + "reference = 1")
