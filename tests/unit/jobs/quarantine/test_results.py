"""Quarantines from the results of chunks."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from losant_tokens import ApiTokenPatch, AsyncClient, Owner, jobs
from losant_tokens.jobs import ChunkResult, Outcome, Plan, PlanDocument, PlanRefused, Quarantine
from losant_tokens.testing import FakeLosant
from tests.support.chunks import stored
from tests.support.quarantines import APPLICATION, by_name

pytestmark = pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning")

GRACE = timedelta(days=30)


async def plan_of(client: AsyncClient, folder: Path) -> Plan:
    """Plan a quarantine with a grace period."""
    return await jobs.plan(
        client,
        [Owner.user(), APPLICATION],
        select=jobs.named("ci-*"),
        action="deactivate",
        path=folder / "quarantine.jsonl",
        protect="ci-5",
        grace=GRACE,
    )


async def applied(client: AsyncClient, document: PlanDocument) -> list[ChunkResult]:
    """Apply all chunks of a plan, and return the results after a way through a database.

    It reports the changes of an earlier run as its own.
    """
    chunks = document.chunks(3)
    results = [await jobs.apply_chunk(client, chunk, in_doubt=True) for chunk in chunks]
    return [ChunkResult.from_json(stored(result.to_json())) for result in results]


async def test_same_as_from_a_report(client: AsyncClient, fake: FakeLosant, tmp_path: Path) -> None:
    """The results of all chunks make the same quarantine as the report of `jobs.apply`."""
    plan = await plan_of(client, tmp_path)
    await client.user_api_token.patch(by_name(fake, "ci-1").id, ApiTokenPatch(name="x"))
    await client.user_api_token.delete(by_name(fake, "ci-3").id)
    fake.fail(status=400, times=None, method="PATCH", path=f"*/{by_name(fake, 'ci-0').id}")
    report = await jobs.apply(client, plan)
    document = PlanDocument.of(plan)
    results = await applied(client, document)

    quarantine = Quarantine.of_results(document, results)
    assert quarantine == attrs.evolve(Quarantine.of(report), plan=None, journal=None)
    assert quarantine == Quarantine.of_results(document.header, reversed(results))
    assert dict(quarantine.changes) == dict(Quarantine.of(report).changes)
    assert (quarantine.total, quarantine.failed, quarantine.unfinished) == (6, 1, 0)
    assert None not in {change.changed for change in quarantine.changes.values()}


async def test_sweep_and_restore(client: AsyncClient, fake: FakeLosant, tmp_path: Path) -> None:
    """A quarantine from results is swept after the grace period of the plan, or restored."""
    document = PlanDocument.of(await plan_of(client, tmp_path))
    quarantine = Quarantine.of_results(document, await applied(client, document))
    restored = await jobs.restore(client, quarantine, named="ci-1")
    await jobs.apply(client, restored)
    now = datetime.now(UTC)
    early = await jobs.sweep(client, quarantine, now=now + GRACE - timedelta(minutes=1))
    late = now + GRACE + timedelta(minutes=1)
    plan = await jobs.sweep(client, quarantine, now=late, allow_majority=True)
    sweep = PlanDocument.of(plan)
    (chunk,) = sweep.chunks()
    swept = await jobs.apply_chunk(client, chunk)

    assert early.header.total.selected == 0
    assert sweep.header.quarantines == (document.id,)
    assert {token.name for token in swept.results} == {f"ci-{n}" for n in (0, 2, 3, 4, 6, 7, 8, 9)}
    left = {token.name for owner in ("user", str(APPLICATION)) for token in fake.tokens(owner)}
    assert {name for name in left if name.startswith("ci-")} == {"ci-1", "ci-5", "ci-off"}
    assert by_name(fake, "ci-1").status == "active"


async def test_results_that_are_not_complete(client: AsyncClient, tmp_path: Path) -> None:
    """Tokens without a known outcome, and chunks without a result, are unfinished."""
    document = PlanDocument.of(await plan_of(client, tmp_path))
    first, *others = await applied(client, document)
    unknown = attrs.evolve(first.results[0], outcome=Outcome.UNKNOWN)
    none = attrs.evolve(first.results[1], outcome=None)
    partly = attrs.evolve(first, results=(unknown, none, *first.results[2:]))

    assert Quarantine.of_results(document, [partly, *others]).unfinished == 2
    assert Quarantine.of_results(document, others).unfinished == 3
    assert Quarantine.of_results(document, []).unfinished == len(document)
    assert not Quarantine.of_results(document, others).is_settled


async def test_results_that_do_not_fit(client: AsyncClient, tmp_path: Path) -> None:
    """Results of another plan, of a chunk twice, or of tokens that are not planned are refused."""
    document = PlanDocument.of(await plan_of(client, tmp_path))
    results = await applied(client, document)
    deleting = attrs.evolve(document.header, action="delete")
    other = attrs.evolve(results[0], digest="sha256:" + "0" * 64)
    foreign = attrs.evolve(results[0].results[0], id="f" * 24)
    added = attrs.evolve(results[0], results=(foreign,))
    for plan, given, problem in (
        (document, [other], "of different plans"),
        (document.header, [other, results[1]], "of different plans"),
        (document, [*results, results[0]], "have a token twice"),
        (document, [added], "does not have 1 token of the results"),
        (deleting, results, "is from a job to delete tokens"),
    ):
        with pytest.raises(PlanRefused, match=problem):
            Quarantine.of_results(plan, given)
