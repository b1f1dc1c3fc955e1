"""The warnings of ladders, and the record of them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from attrs import define, field

from losant_tokens import ApiTokenPatch, AsyncClient, Owner, jobs, policy
from losant_tokens.errors import ValidationError
from losant_tokens.jobs import GuardRefused
from losant_tokens.sinks import Message, SinkError
from losant_tokens.testing import FakeLosant
from tests.support.policies import CLEANUP, LADDER, load_policy

USER = Owner.user()
NOW = datetime(2026, 3, 1, tzinfo=UTC)
DUE = NOW + timedelta(days=14)
RECORD = (
    '{"version": 1, "warnings": [{"cleanup": "", "token": "", "at": %s, '
    '"promised": "2026-03-01T00:00:00+00:00", "lastUpdated": null}]}'
)

pytestmark = pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning")
STALE = LADDER.replace('not_updated_for = "1y"', 'named = ["ci-*"]').replace('"svc-*"', '"ci-3"')


@define
class Inbox:
    """Keeps messages, or fails."""

    fails: bool = False
    messages: list[Message] = field(factory=list)

    async def deliver(self, delivery: Message) -> None:
        if self.fails:
            raise SinkError("it is full")
        self.messages.append(delivery)


@pytest.fixture
def fake() -> FakeLosant:
    fake = FakeLosant()
    for number in range(4):
        fake.add_token(f"ci-{number}")
        fake.add_token(f"prod-{number}")
    fake.add_token("ci-off", status="inactive")
    return fake


@pytest.fixture
async def client(fake: FakeLosant) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(fake.admin_token, transport=fake.transport()) as client:
        yield client


@pytest.fixture
def ledger(tmp_path: Path) -> policy.WarningLedger:
    return policy.WarningLedger(tmp_path / "state" / "warnings.json")


@pytest.fixture
def cleanup(tmp_path: Path) -> policy.Cleanup:
    return load_policy(tmp_path, STALE).cleanups[0]


def warned_tokens(ids: str, updated: datetime | None = None) -> list[policy.WarnedToken]:
    """Return a token for each letter."""
    return [policy.WarnedToken(USER, one, "ci", None, "expired", updated) for one in ids]


async def test_warning(
    client: AsyncClient, ledger: policy.WarningLedger, cleanup: policy.Cleanup
) -> None:
    """A message names the active tokens that are selected and not protected, once."""
    inbox = Inbox()

    first = await policy.warn(client, USER, cleanup, inbox, ledger)
    second = await policy.warn(client, [USER], cleanup, inbox, ledger)

    (message,) = inbox.messages
    assert message.title == "3 Losant API tokens will be deactivated in 14 days: stale"
    assert [one.name for one in first.tokens] == ["ci-0", "ci-1", "ci-2"]
    assert message.lines[0] == "user (https://api.losant.com):"
    token = first.tokens[0]
    assert message.lines[1] == f"- ci-0 ({token.id}), created by {token.creator}: named 'ci-*'"
    assert (message.data["cleanup"], message.data["count"]) == ("stale", 3)
    assert [one["name"] for one in message.data["tokens"]] == ["ci-0", "ci-1", "ci-2"]
    assert (first.warned_before, second.warned_before) == (0, 3)
    assert (second.message, second.tokens) == (None, ())
    assert ledger.path.stat().st_mode & 0o777 == 0o600


async def test_warned(
    client: AsyncClient, ledger: policy.WarningLedger, cleanup: policy.Cleanup
) -> None:
    """The ledger has the time of each warning, which the plan of the ladder reads."""
    await policy.warn(client, USER, cleanup, Inbox(), ledger)

    warned = ledger.warned(cleanup)
    later = max(one.promised for one in warned.values())
    plan = await policy.plan(client, USER, cleanup, warned=warned, now=later, step="deactivate")

    assert plan.header.total.selected == 3


async def test_one_new_token(
    fake: FakeLosant, client: AsyncClient, ledger: policy.WarningLedger, cleanup: policy.Cleanup
) -> None:
    """A token that matches later is in a new message, and a token that does not is forgotten."""
    inbox = Inbox()
    first = await policy.warn(client, USER, cleanup, inbox, ledger)
    await client.user_api_token.patch(first.tokens[0].id, ApiTokenPatch(name="other"))
    fake.add_token("ci-new")

    second = await policy.warn(client, USER, cleanup, inbox, ledger)

    assert second.message is not None
    assert second.message.title == "1 Losant API token will be deactivated in 14 days: stale"
    warned = ledger.warned(cleanup)
    assert set(warned) == {first.tokens[1].id, first.tokens[2].id, second.tokens[0].id}


async def test_restored_token(
    client: AsyncClient, ledger: policy.WarningLedger, cleanup: policy.Cleanup
) -> None:
    """A token that somebody activated again is deactivated only after another warning."""
    inbox = Inbox()
    (restored, *_) = (await policy.warn(client, USER, cleanup, inbox, ledger)).tokens
    for status in ("inactive", "active"):
        await client.user_api_token.patch(restored.id, ApiTokenPatch(status=status))
    later = datetime.now(UTC) + timedelta(days=15)
    records = ledger.warned(cleanup)

    plan = await policy.plan(client, USER, cleanup, warned=records, now=later, step="deactivate")
    again = await policy.warn(client, USER, cleanup, inbox, ledger)

    assert restored.id in records
    assert sorted(one.name for one in plan.entries()) == ["ci-1", "ci-2"]
    assert [one.id for one in again.tokens] == [restored.id]
    assert ledger.warned(cleanup)[restored.id] != records[restored.id]


async def test_shorter_wait(
    client: AsyncClient, ledger: policy.WarningLedger, cleanup: policy.Cleanup, tmp_path: Path
) -> None:
    """If the file shortens the wait later, the one that the message promised still counts."""
    await policy.warn(client, USER, cleanup, Inbox(), ledger)
    one = load_policy(tmp_path, STALE.replace("14d", "1d")).cleanups[0]

    for days, expected in ((13, 0), (15, 3)):
        plan = await policy.plan(
            client,
            USER,
            one,
            warned=ledger.warned(one),
            now=datetime.now(UTC) + timedelta(days=days),
            step="deactivate",
        )
        assert plan.header.total.selected == expected


async def test_listing_that_starts_again(
    client: AsyncClient,
    ledger: policy.WarningLedger,
    cleanup: policy.Cleanup,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the tokens are listed again, each token is in the message once."""
    list_once = jobs.list_tokens

    async def list_twice(*arguments: Any, restart: Any, **settings: Any) -> None:
        await list_once(*arguments, restart=restart, **settings)
        await restart()
        await list_once(*arguments, restart=restart, **settings)

    monkeypatch.setattr(jobs, "list_tokens", list_twice)
    result = await policy.warn(client, USER, cleanup, Inbox(), ledger)
    assert [one.name for one in result.tokens] == ["ci-0", "ci-1", "ci-2"]


async def test_dry_run(
    client: AsyncClient, ledger: policy.WarningLedger, cleanup: policy.Cleanup
) -> None:
    """A dry run delivers the message, and records nothing."""
    inbox = Inbox()
    await policy.warn(client, USER, cleanup, inbox, ledger, dry_run=True)
    assert (len(inbox.messages), ledger.warned(cleanup)) == (1, {})


async def test_failed_delivery(
    client: AsyncClient, ledger: policy.WarningLedger, cleanup: policy.Cleanup
) -> None:
    """If the message cannot be delivered, nothing is recorded."""
    with pytest.raises(SinkError):
        await policy.warn(client, USER, cleanup, Inbox(fails=True), ledger)
    assert ledger.warned(cleanup) == {}


async def test_too_many_tokens(
    client: AsyncClient, ledger: policy.WarningLedger, tmp_path: Path
) -> None:
    """More tokens than the limit of the file are not warned about."""
    one = load_policy(tmp_path, STALE.replace("10", "2")).cleanups[0]
    inbox = Inbox()
    with pytest.raises(GuardRefused, match="3 tokens are selected, which is more than the limit"):
        await policy.warn(client, USER, one, inbox, ledger)
    assert inbox.messages == []


async def test_no_step(client: AsyncClient, ledger: policy.WarningLedger, tmp_path: Path) -> None:
    """A clean-up without the step warn is refused."""
    one = load_policy(tmp_path, CLEANUP).cleanups[0]
    with pytest.raises(ValidationError, match="'old-ci' has no step 'warn'"):
        await policy.warn(client, USER, one, Inbox(), ledger)


async def test_long_message(
    fake: FakeLosant, client: AsyncClient, ledger: policy.WarningLedger, tmp_path: Path
) -> None:
    """A message names 500 tokens, and the next one the others: only then they were warned about."""
    for number in range(600):
        fake.add_token(f"x-{number}")
    one = load_policy(tmp_path, STALE.replace("ci-*", "x-*").replace("10", "600")).cleanups[0]
    inbox = Inbox()

    first = await policy.warn(client, USER, one, inbox, ledger)
    named = {token["id"] for token in inbox.messages[0].data["tokens"]}
    recorded = set(ledger.warned(one))
    second = await policy.warn(client, USER, one, inbox, ledger)

    assert inbox.messages[0].lines[-1] == "... and 100 more, which the next message names"
    assert recorded == named == {token.id for token in first.tokens}
    assert (first.left_out, len(second.tokens), second.left_out) == (100, 100, 0)
    assert len(ledger.warned(one)) == 600


async def test_unknown_creators(
    fake: FakeLosant, client: AsyncClient, ledger: policy.WarningLedger, cleanup: policy.Cleanup
) -> None:
    """OAuth tokens have no creator, so their lines name none."""
    fake.add_token("ci-oauth", owner="oauth")
    inbox = Inbox()

    await policy.warn(client, Owner.parse("oauth"), cleanup, inbox, ledger)

    assert inbox.messages[0].lines[1].endswith("): named 'ci-*'")


def test_records_of_others(
    ledger: policy.WarningLedger, cleanup: policy.Cleanup, tmp_path: Path
) -> None:
    """A record keeps the first time, and the tokens of other owners, accounts and clean-ups."""
    other = load_policy(tmp_path, STALE.replace("stale", "other")).cleanups[0]
    ledger.path.parent.mkdir()
    ledger.record(cleanup, warned_tokens("125"), {"1", "2", "5"}, NOW)
    ledger.record(other, warned_tokens("3"), {"3"}, NOW)

    ledger.record(cleanup, warned_tokens("14"), {"1", "3", "4", "5"}, NOW + timedelta(days=1))

    old = policy.WarningRecord(NOW, DUE, None)
    new = policy.WarningRecord(NOW + timedelta(days=1), DUE + timedelta(days=1), None)
    assert ledger.warned(cleanup) == {"1": old, "2": old, "4": new}
    assert ledger.warned(other) == {"3": old}


def test_old_records(ledger: policy.WarningLedger, cleanup: policy.Cleanup) -> None:
    """A record of a token that is not listed for two years is dropped, so the file stays small."""
    ledger.path.parent.mkdir()
    other = attrs.evolve(cleanup, name="other")
    ledger.record(other, warned_tokens("12", NOW), {"1", "2"}, NOW)
    ledger.record(cleanup, warned_tokens("12", NOW), {"1", "2"}, NOW)

    ledger.record(cleanup, warned_tokens("2", NOW), {"2"}, NOW + timedelta(days=731))

    assert ledger.warned(cleanup) == {"2": policy.WarningRecord(NOW, DUE, NOW)}
    assert ledger.warned(other) == {}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "it is not a ledger of warnings, or it is damaged"),
        ("[" * 100_000, "it is not a ledger of warnings, or it is damaged"),
        ('{"version": 2}', "it has version 2, which is unknown"),
        ('{"version": 1, "warnings": [{}]}', "it is not a ledger of warnings"),
        ('{"version": 1, "warnings": [{"cleanup": 1, "token": 1}]}', "it is not a ledger of"),
        (RECORD % 1, "it is not a ledger of warnings"),
        (RECORD % '"2026-03-01T00:00:00"', "it is not a ledger of warnings"),
    ],
)
def test_damaged_ledgers(
    ledger: policy.WarningLedger, cleanup: policy.Cleanup, content: str, problem: str
) -> None:
    """A damaged ledger is an error, because without it nobody knows who was warned."""
    ledger.path.parent.mkdir()
    ledger.path.write_text(content)
    with pytest.raises(policy.WarningError, match=problem):
        ledger.warned(cleanup)


def test_folders(ledger: policy.WarningLedger, cleanup: policy.Cleanup) -> None:
    """A ledger that is a folder cannot be read, and one in a missing folder cannot be written."""
    with pytest.raises(policy.WarningError, match="cannot be written: No such file"):
        ledger.record(cleanup, warned_tokens("1"), {"1"}, NOW)
    ledger.path.mkdir(parents=True)
    with pytest.raises(policy.WarningError, match="cannot be read: "):
        ledger.warned(cleanup)


async def test_lock(ledger: policy.WarningLedger) -> None:
    """Two processes do not warn at the same time."""
    async with ledger.locked():
        with pytest.raises(policy.WarningError, match="another process uses it"):
            async with ledger.locked():
                pass
    async with ledger.locked():
        pass


async def test_no_lock(tmp_path: Path) -> None:
    """A lock file that cannot be created is an error."""
    (tmp_path / "file").touch()
    with pytest.raises(policy.WarningError, match="cannot be locked: "):
        async with policy.WarningLedger(tmp_path / "file" / "warnings.json").locked():
            pass
