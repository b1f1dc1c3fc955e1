"""Rules about time, if the clocks of this machine and the server differ."""

import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from losant_tokens import AsyncClient, errors, jobs
from losant_tokens.jobs._plan.clock import describe_skew
from losant_tokens.testing import FakeLosant
from tests.support.jobs import LONG_AGO, USER, client_of
from tests.support.list_server import Server, honest

DAY = timedelta(days=1)


def fake_at(ahead: timedelta) -> tuple[FakeLosant, datetime]:
    """A fake whose clock is behind this machine's by `ahead`, and its time."""
    fake = FakeLosant(now=lambda: datetime.now(UTC) - ahead)
    now = datetime.now(UTC) - ahead
    fake.add_token("expired", expiration_date=now - 30 * DAY, creation_date=LONG_AGO)
    fake.add_token("today", expiration_date=now - timedelta(hours=1), creation_date=now - DAY)
    fake.add_token("soon", expiration_date=now + 5 * DAY, creation_date=now - 20 * DAY)
    fake.add_token("later", expiration_date=now + 50 * DAY, creation_date=now)
    return fake, now


async def plan_of(fake: FakeLosant, folder: Path, **options: Any) -> tuple[jobs.Plan, list[str]]:
    async with client_of(fake) as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            plan = await jobs.plan(
                client,
                USER,
                **{
                    "select": jobs.expired(),
                    "path": folder / "plan",
                    "allow_majority": True,
                    **options,
                },
            )
    return plan, [str(one.message) for one in caught if "clock" in str(one.message)]


def names(plan: jobs.Plan) -> list[str]:
    return [entry.name for entry in plan.entries()]


@pytest.mark.parametrize(
    ("ahead", "rule", "selected", "left_out"),
    [
        (10 * DAY, jobs.expired, ["expired", "today"], 1),
        (-10 * DAY, jobs.expired, ["expired"], 1),
        (10 * DAY, lambda: ~jobs.expired(), ["later"], 1),
        (10 * DAY, lambda: jobs.older_than(25 * DAY), ["expired"], 1),
        (10 * DAY, lambda: jobs.not_updated_for(25 * DAY), ["expired"], 1),
        (10 * DAY, lambda: jobs.expires_within(7 * DAY), [], 1),
        (10 * DAY, lambda: jobs.expires_within(70 * DAY), ["later"], 1),
        (10 * DAY, lambda: jobs.expired() | jobs.named("soon"), ["expired", "today", "soon"], 0),
    ],
)
async def test_wrong_clock(
    tmp_path: Path,
    ahead: timedelta,
    rule: Callable[[], jobs.Rule],
    selected: list[str],
    left_out: int,
) -> None:
    """A token is selected only if the rule selects it by both times, and a warning is issued."""
    fake, _ = fake_at(ahead)
    plan, warned = await plan_of(fake, tmp_path, select=rule())

    side = "ahead of" if ahead > timedelta(0) else "behind"
    assert names(plan) == selected
    assert len(warned) == 1
    number = "1 token was" if left_out == 1 else "0 tokens were"
    assert warned[0].startswith(
        f"This machine's clock is 10 days {side} the server's. {number} left out, because "
    )
    assert plan.header.clock_skew is not None
    assert abs(plan.header.clock_skew - ahead) < timedelta(minutes=1)
    assert abs(plan.header.created_at - (datetime.now(UTC) - ahead)) < timedelta(minutes=1)


async def test_wrong_clock_is_refused(tmp_path: Path) -> None:
    """With `enforce`, a wrong clock refuses a rule about time, and no other rule."""
    fake, _ = fake_at(10 * DAY)
    with pytest.raises(jobs.GuardRefused, match=r"10 days ahead of .*clock_check='warn'"):
        await plan_of(fake, tmp_path, clock_check="enforce")
    plan, warned = await plan_of(
        fake, tmp_path, clock_check="enforce", select=jobs.named("soon") & jobs.never_expires()
    )

    assert (len(plan), warned) == (0, [])


async def test_clock_check_off(tmp_path: Path) -> None:
    """With `off`, only the server's time counts, and there is no warning."""
    fake, _ = fake_at(10 * DAY)
    plan, warned = await plan_of(fake, tmp_path, clock_check="off")

    assert (names(plan), warned) == (["expired", "today"], [])


async def test_given_time(tmp_path: Path) -> None:
    """The argument `now` is used as it is, and a wrong clock is still reported."""
    fake, now = fake_at(10 * DAY)
    plan, warned = await plan_of(fake, tmp_path, now=now - 10 * DAY, clock_check="enforce")

    assert names(plan) == ["expired"]
    assert "The time passed as now was used." in warned[0]


@pytest.mark.parametrize("ahead", [timedelta(minutes=4), -timedelta(minutes=4)])
async def test_small_difference(tmp_path: Path, ahead: timedelta) -> None:
    """If the difference is small, only the server's time counts, and there is no warning."""
    fake, now = fake_at(ahead)
    fake.add_token("between", expiration_date=now + ahead / 2)
    plan, warned = await plan_of(fake, tmp_path, clock_check="enforce")

    between = ["between"] if ahead < timedelta(0) else []
    assert (names(plan), warned) == (["expired", "today", *between], [])


@pytest.mark.parametrize(
    ("rule", "is_warned"), [(jobs.older_than(DAY), True), (jobs.named("x"), False)], ids=str
)
async def test_server_without_a_clock(tmp_path: Path, rule: jobs.Rule, is_warned: bool) -> None:
    """Without the server's time, only a rule about time issues a warning."""
    transport = httpx.MockTransport(Server(honest, date=None))
    async with AsyncClient("x", base_url="https://x.example", transport=transport) as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            plan = await jobs.plan(
                client,
                USER,
                select=rule,
                path=tmp_path / "plan",
                allow_majority=True,
                clock_check="enforce",
            )

    warned = [one for one in caught if "rely on this machine's clock" in str(one.message)]
    assert (plan.header.clock_skew, len(warned)) == (None, is_warned)


@pytest.mark.parametrize("name", ["clock_check", "unmatched", "incomplete"])
async def test_wrong_words(tmp_path: Path, name: str) -> None:
    """Each argument about a check must be one of its words."""
    fake, _ = fake_at(timedelta())
    with pytest.raises(errors.ValidationError, match=f"{name} must be one of"):
        await plan_of(fake, tmp_path, **{name: "maybe"})

    assert fake.requests == ()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (864_000, "10 days ahead of"),
        (172_800, "2 days ahead of"),
        (172_000, "47.8 hours ahead of"),
        (-7200, "2 hours behind"),
        (7199, "120 minutes ahead of"),
        (120, "2 minutes ahead of"),
        (119, "119 seconds ahead of"),
        (1, "1 seconds ahead of"),
        (0, "0 seconds behind"),
        (600, "10 minutes ahead of"),
        (-90, "90 seconds behind"),
    ],
)
def test_describe_skew(seconds: float, words: str) -> None:
    """A difference is described in the largest unit of which it has at least two."""
    assert describe_skew(timedelta(seconds=seconds)) == words
