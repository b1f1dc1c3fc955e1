"""Deactivated tokens are deleted later or activated again, unless somebody has changed them."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jwt
import pytest

from losant_tokens import ApiToken, ApiTokenPatch, AsyncClient, Owner, jobs
from losant_tokens.errors import ValidationError
from losant_tokens.jobs import GuardRefused, Outcome, PlanRefused
from losant_tokens.jobs._quarantine.obstacles import Change, Obstacle, is_same_time, key_of
from losant_tokens.jobs._quarantine.quarantine import load
from losant_tokens.testing import FakeLosant
from tests.support.quarantines import APPLICATION, Clock, by_name, quarantined
from tests.support.reports import NOW, entry, report

A_MONTH = timedelta(days=30)


pytestmark = pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning")


def names(plan: jobs.Plan) -> list[str]:
    return sorted(entry.name for entry in plan.entries())


def on_disk(made: jobs.Report, folder: Path) -> Path:
    return made.save(folder / "quarantine.json")


def in_memory(made: jobs.Report, _: Path) -> jobs.Report:
    return made


@pytest.mark.parametrize("kept", [on_disk, in_memory])
async def test_sweep(fake: FakeLosant, client: AsyncClient, tmp_path: Path, kept: Any) -> None:
    """A sweep deletes the deactivated tokens once `after` has passed, and no others."""
    made = await quarantined(client, tmp_path)
    source = kept(made, tmp_path)
    later = datetime.now(UTC) + timedelta(days=31)

    early = await jobs.sweep(client, source, after=A_MONTH, path=tmp_path / "early")
    plan = await jobs.sweep(client, source, after=A_MONTH, path=tmp_path / "sweep", now=later)

    assert ([], "delete") == (names(early), early.header.action)
    assert [f"ci-{number}" for number in range(10)] == names(plan)
    assert "quarantined more than 30 days ago and unchanged" == plan.header.rule
    today = datetime.now(UTC).date()
    assert {f"quarantined on {today}"} == {entry.reason for entry in plan.entries()}
    await jobs.apply(client, plan, max_age=timedelta(days=40))
    left = {token.name for token in (*fake.tokens(), *fake.tokens(str(APPLICATION)))}
    assert {"ci-off", *(f"prod-{number}" for number in range(9))} == left


async def test_changed_tokens_are_left_alone(
    fake: FakeLosant, client: AsyncClient, tmp_path: Path, clock: Clock
) -> None:
    """A token that is active again, renamed, updated or gone is neither swept nor restored."""
    made = await quarantined(client, tmp_path)
    source = made.save(tmp_path / "quarantine.json")
    clock.ahead = timedelta(hours=1)
    mine, theirs = client.tokens(Owner.user()), client.tokens(APPLICATION)
    await mine.patch(by_name(fake, "ci-1").id, ApiTokenPatch(status="active"))
    await mine.patch(by_name(fake, "ci-3").id, ApiTokenPatch(name="KEEP"))
    await mine.patch(by_name(fake, "ci-5").id, ApiTokenPatch(description="still needed"))
    await theirs.delete(by_name(fake, "ci-0").id)
    await theirs.patch(by_name(fake, "ci-2").id, ApiTokenPatch(status="active"))
    await theirs.patch(by_name(fake, "ci-2").id, ApiTokenPatch(status="inactive"))
    left = ["ci-4", "ci-6", "ci-7", "ci-8", "ci-9"]

    later = datetime.now(UTC) + timedelta(days=31)
    with pytest.warns(jobs.PlanWarning) as caught:
        sweep = await jobs.sweep(client, source, after=A_MONTH, path=tmp_path / "sweep", now=later)
    restore = await jobs.restore(client, source, path=tmp_path / "restore")

    why = next(str(one.message) for one in caught if "left alone" in str(one.message))
    assert why.startswith("Of the 10 tokens in quarantine, 5 are left alone: ")
    assert set(why.removesuffix(".").split(": ")[1].split("; ")) == {
        "1 is active again",
        "1 has another name",
        "2 were last changed by something other than the quarantine",
        "1 is no longer listed",
    }
    assert (left, left) == (names(sweep), names(restore))


async def test_restore(fake: FakeLosant, client: AsyncClient, tmp_path: Path) -> None:
    """All deactivated tokens are activated again, even if they are the majority."""
    for token in fake.tokens():
        if token.name.startswith("prod-"):
            await client.user_api_token.delete(token.id)
    made = await jobs.apply(
        client,
        await jobs.plan(
            client,
            Owner.user(),
            select=jobs.named("ci-*"),
            action="deactivate",
            allow_majority=True,
            path=tmp_path / "plan",
        ),
    )

    plan = await jobs.restore(client, made, path=tmp_path / "restore", protect=["ci-1"])
    done = await jobs.apply(client, plan, verify=True)

    assert ("activate", "quarantined and unchanged") == (plan.header.action, plan.header.rule)
    assert (4, 1) == (done.counts[Outcome.DONE], done.counts[Outcome.PROTECTED])
    inactive = {token.name for token in fake.tokens() if token.status == "inactive"}
    assert {"ci-1", "ci-off"} == inactive


async def test_guards(client: AsyncClient, tmp_path: Path) -> None:
    """The guards of plans apply to `sweep` and `restore`."""
    made = await quarantined(client, tmp_path)
    later = datetime.now(UTC) + timedelta(days=31)

    with pytest.raises(GuardRefused, match="10 tokens were selected, which is more than 3"):
        await jobs.sweep(client, made, after=A_MONTH, now=later, max_changes=3)
    with pytest.raises(GuardRefused, match="10 tokens were selected, which is more than 3"):
        await jobs.restore(client, made, max_changes=3)
    plan = await jobs.sweep(
        client, made, after=A_MONTH, now=later, protect=["ci-?"], path=tmp_path / "sweep"
    )
    assert (0, 10) == (plan.header.total.selected, plan.header.total.protected)


async def test_report_has_the_times_of_change(
    fake: FakeLosant, client: AsyncClient, tmp_path: Path
) -> None:
    """The report has the time of change that the API stated for each deactivated token."""
    made = await quarantined(client, tmp_path)

    expected = {
        number: by_name(fake, result.entry.name).last_updated
        for number, result in enumerate(made.results())
    }
    assert expected == made.changed_at


@pytest.mark.parametrize("skew", [timedelta(hours=-9), timedelta(), timedelta(hours=9)])
async def test_wrong_local_clock(
    client: AsyncClient, clock: Clock, tmp_path: Path, skew: timedelta
) -> None:
    """Only the times of the API count, so this machine's clock may be wrong."""
    clock.ahead = skew
    made = await quarantined(client, tmp_path)

    assert 10 == len(await jobs.restore(client, made, path=tmp_path / "restore"))
    early = await jobs.sweep(client, made, after=timedelta(hours=5), path=tmp_path / "early")
    assert 0 == len(early)


async def test_unknown_times_of_change(client: AsyncClient, tmp_path: Path) -> None:
    """A token without a time of change in the report is left alone."""
    made = await quarantined(client, tmp_path)
    made.states.changed_at.clear()

    with pytest.warns(jobs.PlanWarning, match="10 have no time of change in the report"):
        plan = await jobs.restore(client, made, path=tmp_path / "restore")

    assert 0 == len(plan)


async def test_extreme_time_of_change(client: AsyncClient, tmp_path: Path) -> None:
    """A time of change before year 1 or after 9999 in UTC excludes only its own token."""
    made = await quarantined(client, tmp_path)
    made.states.changed_at[0] = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
    made.save(tmp_path / "r.json")

    with pytest.warns(jobs.PlanWarning, match="1 has no time of change in the report"):
        plan = await jobs.restore(client, tmp_path / "r.json", path=tmp_path / "restore")

    assert 9 == len(plan)


@pytest.mark.parametrize(
    ("listed", "is_same"),
    [
        ("12:00:05.678", True),
        ("12:00:05", True),
        ("12:00:05.677", False),
        ("12:00:06", False),
    ],
)
def test_times_without_fractions(listed: str, is_same: bool) -> None:
    """Two times are the same if one of them only lacks the fraction of a second."""
    one = datetime.fromisoformat("2026-03-01T12:00:05.678+00:00")
    other = datetime.fromisoformat(f"2026-03-01T{listed}+00:00")

    assert is_same is is_same_time(one, other) is is_same_time(other, one)


async def test_upper_case_ids(client: AsyncClient, tmp_path: Path) -> None:
    """The case of the ids in a report does not matter."""
    path = (await quarantined(client, tmp_path)).save(tmp_path / "r.json")
    data = json.loads(path.read_text())
    for token in data["tokens"]:
        token["id"] = token["id"].upper()
    path.write_text(json.dumps(data))

    assert 10 == len(await jobs.restore(client, path, path=tmp_path / "restore"))


async def test_same_id_of_two_owners(fake: FakeLosant, tmp_path: Path) -> None:
    """Tokens of two owners with the same id are different tokens."""
    owners = [Owner.user(), APPLICATION]
    changed = NOW - timedelta(days=60)
    made = report(
        tmp_path,
        [Outcome.DONE, Outcome.DONE],
        action="deactivate",
        entries=[entry(1, "ci-user"), entry(1, "ci-app", owner=APPLICATION)],
        changed={0: changed, 1: changed + timedelta(days=1)},
    )
    changes = (await load(made)).changes
    kept = (await load(made.save(tmp_path / "r.json"))).changes

    assert changes == kept
    assert [changes[key_of(owner, f"{1:024X}")].name for owner in owners] == ["ci-user", "ci-app"]


def obstacle(**members: Any) -> Obstacle | None:
    token = ApiToken(
        **{"id": "1" * 24, "name": "ci", "status": "inactive", "last_updated": NOW, **members}
    )
    return Change("ci", NOW).obstacle(token)


def test_unreadable_time_of_change() -> None:
    """A token is left alone if its time of change cannot be read."""
    assert obstacle() is None
    assert obstacle(last_updated=None) is Obstacle.UNREADABLE


async def test_other_account(client: AsyncClient, fake: FakeLosant, tmp_path: Path) -> None:
    """The report of another account is refused, by its claims or by the listed tokens."""
    path = (await quarantined(client, tmp_path)).save(tmp_path / "r.json")
    data = json.loads(path.read_text())
    data["plan"]["ownerIds"]["user"] = ["b" * 24]
    path.write_text(json.dumps(data))
    with pytest.raises(PlanRefused, match=r"r\.json is for the account b{24} \(user\)"):
        await jobs.restore(client, path)
    data["plan"]["account"] = "userId " + "b" * 24
    path.write_text(json.dumps(data))
    token = jwt.encode({"userId": "c" * 24, "scope": ["all.User"]}, "k" * 32)
    before = len(fake.requests)
    async with AsyncClient(token, transport=fake.transport()) as other:
        with pytest.raises(PlanRefused, match="was made with a token of another account"):
            await jobs.sweep(other, path, after=A_MONTH)
    assert before == len(fake.requests)


@pytest.mark.parametrize("action", ["delete", "activate"])
async def test_reports_of_other_actions(client: AsyncClient, tmp_path: Path, action: Any) -> None:
    """The report of another action is refused, in memory or as a file."""
    made = report(tmp_path, [Outcome.DONE], action=action)

    for source in (made, made.save(tmp_path / "r.json")):
        with pytest.raises(PlanRefused, match=f"is from a job to {action} tokens"):
            await jobs.restore(client, source)


async def test_another_address(client: AsyncClient, tmp_path: Path) -> None:
    """The report of a job for another base URL is refused."""
    made = report(
        tmp_path, [Outcome.DONE], action="deactivate", header={"base_url": "https://x.example"}
    )

    expected = "is for https://x.example, but the client uses https://api.losant.com"
    with pytest.raises(PlanRefused, match=expected):
        await jobs.sweep(client, made, after=A_MONTH)


@pytest.mark.parametrize("after", [-A_MONTH, 30])
async def test_wrong_after(client: AsyncClient, tmp_path: Path, after: Any) -> None:
    """`after` must be a timedelta that is not negative."""
    with pytest.raises(ValidationError, match=r"sweep\.after must be a timedelta"):
        await jobs.sweep(client, report(tmp_path, []), after=after)


@pytest.mark.parametrize("name", ["max_changes", "page_size", "patience"])
async def test_wrong_arguments(client: AsyncClient, tmp_path: Path, name: str) -> None:
    """The message about a wrong argument names the function and the argument."""
    source, wrong = report(tmp_path, []), {name: -1}

    with pytest.raises(ValidationError, match=rf"sweep\.{name} must be"):
        await jobs.sweep(client, source, after=A_MONTH, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=rf"restore\.{name} must be"):
        await jobs.restore(client, source, **wrong)  # type: ignore[arg-type]


GOOD: dict[str, Any] = {
    "format": "losant-tokens report",
    "version": 1,
    "plan": {"action": "deactivate", "owners": {"user": {}}, "baseUrl": "https://api.losant.com"},
    "run": {"begun": NOW.isoformat(), "ended": NOW.isoformat()},
    "tokens": [{"owner": "user", "id": "1" * 24, "name": "ci", "outcome": "done", "changed": None}],
}


@pytest.mark.parametrize(
    "change",
    [
        {"format": "losant-tokens plan"},
        {"plan": None},
        {"plan": GOOD["plan"] | {"owners": {"nobody": {}}}},
        {"plan": GOOD["plan"] | {"owners": 7}},
        {"plan": GOOD["plan"] | {"ownerIds": {"user": "x"}}},
        {"plan": GOOD["plan"] | {"account": 7}},
        {"tokens": None},
        {"tokens": [7]},
        {"tokens": [GOOD["tokens"][0] | {"id": []}]},
        {"tokens": [GOOD["tokens"][0] | {"owner": "nobody"}]},
        {"tokens": [GOOD["tokens"][0] | {"name": None}]},
        {"tokens": [GOOD["tokens"][0] | {"changed": "yesterday"}]},
    ],
)
async def test_malformed_report(
    client: AsyncClient, tmp_path: Path, change: dict[str, Any]
) -> None:
    """A JSON file with a wrong member is refused."""
    path = tmp_path / "r.json"
    path.write_text(json.dumps(GOOD | change))

    with pytest.raises(PlanRefused, match=r"r\.json is not a JSON report of losant-tokens"):
        await jobs.restore(client, path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "\xff", "[" * 100_000])
async def test_malformed_json(client: AsyncClient, tmp_path: Path, text: str) -> None:
    """A file that is not JSON, or not an object, is refused."""
    path = tmp_path / "r.json"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(PlanRefused, match=r"r\.json is not a JSON report of losant-tokens"):
        await jobs.restore(client, path)


async def test_another_version(client: AsyncClient, tmp_path: Path) -> None:
    """A report of another version is refused, and the message names both versions."""
    path = tmp_path / "r.json"
    path.write_text(json.dumps(GOOD | {"version": 2}))

    with pytest.raises(PlanRefused, match="is a report of version 2, but this release can"):
        await jobs.restore(client, path)


async def test_missing_file(client: AsyncClient, tmp_path: Path) -> None:
    """A missing report is refused with the reason."""
    with pytest.raises(PlanRefused, match=r"r\.json cannot be read: No such file or directory"):
        await jobs.restore(client, tmp_path / "r.json")


async def test_valid_report(client: AsyncClient, tmp_path: Path) -> None:
    """The report that the malformed ones are made from is accepted."""
    path = tmp_path / "r.json"
    path.write_text(json.dumps(GOOD))

    assert 0 == len(await jobs.restore(client, path, path=tmp_path / "plan"))


@pytest.mark.parametrize("action", [jobs.sweep, jobs.restore])
async def test_altered_report(
    fake: FakeLosant, client: AsyncClient, tmp_path: Path, action: Any
) -> None:
    """A report with a token that is not in its plan is refused, as long as the plan exists."""
    made = await quarantined(client, tmp_path, grace=timedelta())
    source = made.save(tmp_path / "quarantine.json")
    data = json.loads(source.read_text())
    off = await client.tokens(Owner.user()).get(by_name(fake, "ci-off").id)
    assert off.last_updated is not None
    changed = off.last_updated.isoformat()
    added = {"owner": "user", "id": off.id, "name": off.name, "changed": changed}
    data["tokens"].append({**data["tokens"][0], **added})
    source.write_text(json.dumps(data))
    kept = made.plan.path.rename(tmp_path / "kept.jsonl")
    unchecked = await action(client, source, path=tmp_path / "unchecked")
    kept.rename(made.plan.path)

    with pytest.raises(PlanRefused, match="was altered: 1 of its tokens is not in its plan"):
        await action(client, source)
    assert off.id in {one.id for one in unchecked.entries()}


async def test_report_that_is_too_large(
    fake: FakeLosant, client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that does not fit into memory is refused."""

    def fail(_: bytes) -> Any:
        raise MemoryError

    source = (await quarantined(client, tmp_path)).save(tmp_path / "quarantine.json")
    monkeypatch.setattr("losant_tokens.jobs._quarantine.quarantine.json.loads", fail)

    with pytest.raises(PlanRefused, match="cannot be read: it is too large"):
        await jobs.restore(client, source)


async def test_another_plan_in_place_of_the_plan(
    fake: FakeLosant, client: AsyncClient, tmp_path: Path
) -> None:
    """A report is not compared with another plan that has the path of its plan."""
    made = await quarantined(client, tmp_path)
    source = made.save(tmp_path / "quarantine.json")
    made.plan.path.unlink()
    await jobs.plan(client, Owner.user(), select=jobs.no_tokens(), path=made.plan.path)

    assert len(await jobs.restore(client, source, path=tmp_path / "restore")) == len(made.plan)


@pytest.mark.parametrize("days", [-40, 40])
async def test_sweep_with_a_wrong_clock(
    fake: FakeLosant, clock: Clock, tmp_path: Path, days: int
) -> None:
    """With a wrong clock, a sweep needs both times to be late enough, or refuses."""
    async with AsyncClient(fake.admin_token, transport=fake.transport()) as client:
        made = await quarantined(client, tmp_path)
    # The server is ahead of this machine, or behind it: one of the two says that it is too early.
    clock.ahead = timedelta(days=days)
    later = datetime.now(UTC) + timedelta(days=31)
    async with AsyncClient(fake.admin_token, transport=fake.transport()) as client:
        with pytest.raises(GuardRefused, match=r"clock is 40 days .*clock_check='warn'"):
            await jobs.sweep(client, made, after=A_MONTH, clock_check="enforce")
        plan = await jobs.sweep(client, made, after=A_MONTH, path=tmp_path / "sweep")
        given = await jobs.sweep(client, made, after=A_MONTH, path=tmp_path / "given", now=later)

    assert (0, 10) == (len(plan), len(given))
