"""A quarantine is compared with the tokens that the API lists now."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import jwt
import pytest

from losant_tokens import ApiTokenPatch, AsyncClient, Owner, jobs
from losant_tokens.errors import ValidationError
from losant_tokens.jobs import GuardRefused, PlanRefused, Quarantine
from losant_tokens.testing import FakeLosant
from tests.support.quarantines import APPLICATION, Clock, by_name, quarantined

pytestmark = pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning")

DAY = timedelta(days=1)


async def test_numbers_of_a_review(
    fake: FakeLosant, client: AsyncClient, tmp_path: Path, clock: Clock
) -> None:
    """A review counts the tokens that wait, are active again, were changed, or are gone."""
    quarantine = Quarantine.of(await quarantined(client, tmp_path, grace=DAY))
    clock.ahead = timedelta(hours=1)
    mine, theirs = client.tokens(Owner.user()), client.tokens(APPLICATION)
    await mine.patch(by_name(fake, "ci-1").id, ApiTokenPatch(status="active"))
    await mine.patch(by_name(fake, "ci-3").id, ApiTokenPatch(name="KEEP"))
    await theirs.delete(by_name(fake, "ci-0").id)

    (early,) = await jobs.review_quarantines(client, [quarantine])
    clock.ahead = timedelta(days=2)
    async with AsyncClient(fake.admin_token, transport=fake.transport()) as later:
        (late,) = await jobs.review_quarantines(later, [quarantine])

    assert (7, 1, 1, 1) == (early.waiting, early.reactivated, early.changed, early.gone)
    assert (0, 0, 0) == (early.swept, early.restored, early.unknown)
    assert (0, 7) == (early.due, late.due)
    assert quarantine.due_at is not None
    assert early.next_due_at is not None
    assert quarantine.due_at <= early.next_due_at
    assert quarantine.all_due_at == early.all_due_at
    assert (None, None) == (late.next_due_at, late.all_due_at)


async def test_review_without_a_grace_period(client: AsyncClient, tmp_path: Path) -> None:
    """Without a grace period, no token is due."""
    quarantine = Quarantine.of(await quarantined(client, tmp_path))

    (review,) = await jobs.review_quarantines(client, [quarantine])

    assert (10, 0, None) == (review.waiting, review.due, review.next_due_at)
    assert (None, None) == (quarantine.due_at, quarantine.all_due_at)


async def test_owner_that_cannot_be_listed(
    fake: FakeLosant, client: AsyncClient, tmp_path: Path
) -> None:
    """The state of tokens is unknown if their owner cannot be listed."""
    quarantine = Quarantine.of(await quarantined(client, tmp_path))
    fake.fail(status=403, path=f"/applications/{APPLICATION.id}/tokens", times=None)

    (review,) = await jobs.review_quarantines(client, [quarantine])

    assert (5, 5, 0) == (review.waiting, review.unknown, review.gone)


async def test_quarantines_of_others(fake: FakeLosant, client: AsyncClient, tmp_path: Path) -> None:
    """Quarantines for another base URL or account are left out, by claims or by listed ids."""
    mine = Quarantine.of(await quarantined(client, tmp_path))
    elsewhere = attrs.evolve(mine, base_url="https://x.example")
    theirs = attrs.evolve(mine, account=None, owner_ids={Owner.user(): ("b" * 24,)})
    claimed = attrs.evolve(mine, account="userId " + "b" * 24)
    token = jwt.encode({"userId": "c" * 24, "scope": ["all.User"]}, "k" * 32)

    assert (mine,) == await jobs.quarantines_of(client, [elsewhere, mine, theirs])
    async with AsyncClient(token, transport=fake.transport()) as other:
        assert () == await jobs.quarantines_of(other, [claimed])


async def test_account_by_claims(fake: FakeLosant, client: AsyncClient, tmp_path: Path) -> None:
    """If the claims of the token name the account, no token is listed to find out."""
    mine = Quarantine.of(await quarantined(client, tmp_path))
    mine = attrs.evolve(mine, account="userId " + "c" * 24)
    token = jwt.encode({"userId": "c" * 24, "scope": ["all.User"]}, "k" * 32)
    fake.clear_requests()

    async with AsyncClient(token, transport=fake.transport()) as same:
        assert (mine,) == await jobs.quarantines_of(same, [mine])

    assert () == fake.requests


async def test_account_that_cannot_be_listed(
    fake: FakeLosant, client: AsyncClient, tmp_path: Path
) -> None:
    """A quarantine is kept if nothing shows that it belongs to another account."""
    mine = attrs.evolve(Quarantine.of(await quarantined(client, tmp_path)), account=None)
    fake.fail(status=403, path="/me/tokens", times=None)

    assert (mine,) == await jobs.quarantines_of(client, [mine])


# --- Choosing tokens to restore --------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"named": "ci-[13]"}, ["ci-1", "ci-3"]),
        ({"named": ["ci-1", "ci-2"]}, ["ci-1", "ci-2"]),
        ({"named": ["ci-1"], "ids": "ci-5"}, ["ci-1", "ci-5"]),
        ({"ids": ["ci-1", "ci-5"]}, ["ci-1", "ci-5"]),
    ],
)
async def test_restore_of_chosen_tokens(
    fake: FakeLosant,
    client: AsyncClient,
    tmp_path: Path,
    choice: dict[str, Any],
    expected: list[str],
) -> None:
    """Only tokens with a chosen name or id are restored, and no warning is about the others."""
    made = await quarantined(client, tmp_path)
    if "ids" in choice:
        names = [choice["ids"]] if isinstance(choice["ids"], str) else choice["ids"]
        choice = {**choice, "ids": [by_name(fake, name).id.upper() for name in names]}

    plan = await jobs.restore(client, made, path=tmp_path / "restore", **choice)

    assert expected == sorted(entry.name for entry in plan.entries())
    assert plan.header.rule.startswith("quarantined and unchanged, ")
    assert (made.plan.id,) == plan.header.quarantines


async def test_choice_without_a_token(
    client: AsyncClient, fake: FakeLosant, tmp_path: Path
) -> None:
    """A pattern or an id that is not in the quarantine is a warning, or refused."""
    made = await quarantined(client, tmp_path)
    fake.clear_requests()
    unknown = {"named": ["ci-1", "dev-*"], "ids": ["f" * 24]}

    with pytest.raises(GuardRefused, match=r"'dev-\*'\. No token .* has the id f{24}\. Correct it"):
        await jobs.restore(client, made, unmatched="refuse", **unknown)  # type: ignore[arg-type]
    assert () == fake.requests
    with pytest.warns(jobs.PlanWarning, match="No token in quarantine has the id"):
        plan = await jobs.restore(client, made, path=tmp_path / "restore", **unknown)  # type: ignore[arg-type]
    assert ["ci-1"] == [entry.name for entry in plan.entries()]
    ignored = await jobs.restore(client, made, ids="f" * 24, unmatched="ignore")
    assert 0 == len(ignored)


@pytest.mark.parametrize("choice", [{"named": " "}, {"named": [7]}, {"ids": [7]}, {"ids": ""}])
async def test_wrong_choice(client: AsyncClient, tmp_path: Path, choice: dict[str, Any]) -> None:
    """A pattern or an id that is not a string, or is blank, is refused."""
    with pytest.raises(ValidationError, match=r"restore\.(named|ids) must"):
        await jobs.restore(client, tmp_path / "none.json", **choice)


# --- Grace periods ---------------------------------------------------------------------------


async def test_sweep_after_the_grace_period(
    client: AsyncClient, fake: FakeLosant, tmp_path: Path, clock: Clock
) -> None:
    """Without `after`, a token is swept after the grace period that its report records."""
    path = (await quarantined(client, tmp_path, grace=30 * DAY)).save(tmp_path / "q.json")
    seen: list[jobs.QuarantineReview] = []

    early = await jobs.sweep(client, path, path=tmp_path / "early", on_review=seen.extend)
    clock.ahead = 31 * DAY
    async with AsyncClient(fake.admin_token, transport=fake.transport()) as later:
        late = await jobs.sweep(
            later, path, path=tmp_path / "late", clock_check="off", on_review=seen.extend
        )

    assert (0, 10) == (len(early), len(late))
    assert [(10, 0), (10, 10)] == [(review.waiting, review.due) for review in seen]
    assert 30 * DAY == Quarantine.read(path).grace


async def test_sweep_without_a_grace_period(client: AsyncClient, tmp_path: Path) -> None:
    """Without `after` and a recorded grace period, a sweep is refused."""
    made = await quarantined(client, tmp_path)

    with pytest.raises(ValidationError, match=r"sweep\.after must be a timedelta, because"):
        await jobs.sweep(client, made)


@pytest.mark.parametrize(
    ("grace", "action"), [(-DAY, "deactivate"), (30, "deactivate"), (DAY, "delete")]
)
async def test_wrong_grace(client: AsyncClient, grace: Any, action: Any) -> None:
    """A grace period is a timedelta that is not negative, and only for deactivated tokens."""
    with pytest.raises(ValidationError, match=r"plan\.grace must be"):
        await jobs.plan(client, Owner.user(), select=jobs.expired(), action=action, grace=grace)


async def test_sweep_of_several_quarantines(
    client: AsyncClient, fake: FakeLosant, tmp_path: Path, clock: Clock
) -> None:
    """One plan sweeps several quarantines, each after its own grace period."""
    short = await quarantined(client, tmp_path, "ci-[0-4]", grace=DAY)
    (tmp_path / "b").mkdir()
    long = await quarantined(client, tmp_path / "b", "ci-[5-9]", grace=9 * DAY)
    clock.ahead = 2 * DAY
    async with AsyncClient(fake.admin_token, transport=fake.transport()) as later:
        plan = await jobs.sweep(later, [short, long], path=tmp_path / "sweep", clock_check="off")

    assert [f"ci-{number}" for number in range(5)] == sorted(one.name for one in plan.entries())
    assert "quarantined for longer than the grace period and unchanged" == plan.header.rule
    assert (short.plan.id, long.plan.id) == jobs.Plan.read(plan.path).header.quarantines


async def test_sweep_of_two_accounts(client: AsyncClient, tmp_path: Path) -> None:
    """Quarantines of different accounts cannot be swept together."""
    mine = Quarantine.of(await quarantined(client, tmp_path, grace=DAY))
    theirs = attrs.evolve(mine, owner_ids={Owner.user(): ("b" * 24,)}, source="b.json")

    with pytest.raises(PlanRefused, match=r"and b\.json are of different accounts \(user\)"):
        await jobs.sweep(client, [mine, theirs])
    with pytest.raises(ValidationError, match=r"sweep\.report must name at least one"):
        await jobs.sweep(client, [])
