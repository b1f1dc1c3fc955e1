"""Applying chunks of plans."""

import pickle
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from losant_tokens import ApiTokenPatch, jobs
from losant_tokens.errors import Unauthorized, ValidationError
from losant_tokens.jobs import ChunkResult, Outcome, PlanDocument, PlanRefused
from tests.support.chunks import chunk_counts, chunks_of, stored
from tests.support.jobs import (
    LONG_AGO,
    client_of,
    counts,
    fake_with,
    job_fails_with,
    on_virtual_time,
    planned,
    sent,
)


async def test_chunks_are_the_whole_plan(tmp_path: Path) -> None:
    """All chunks together change each token of the plan once, and no other token."""
    fake = fake_with(25, kept=5)
    async with client_of(fake) as client:
        chunks = await chunks_of(client, tmp_path, 10)
        fake.clear_requests()
        results = [await jobs.apply_chunk(client, chunk) for chunk in chunks]

    assert [chunk_counts(result) for result in results] == [{"done": 10}, {"done": 10}, {"done": 5}]
    assert all(result.is_complete for result in results)
    assert {token.name for token in fake.tokens()} == {f"keep-{n}" for n in range(5)}
    assert len(sent(fake, "DELETE")) == 25
    for result in results:
        assert ChunkResult.from_json(stored(result.to_json())) == result


async def test_in_doubt_chunk_recognizes_its_changes(tmp_path: Path) -> None:
    """A chunk that is run again changes nothing twice, and reports the time of its changes."""
    fake = fake_with(6, kept=6)
    async with client_of(fake) as client:
        (chunk,) = await chunks_of(client, tmp_path, action="deactivate")
        first = await jobs.apply_chunk(client, chunk)
        fake.clear_requests()
        again = await jobs.apply_chunk(client, chunk, in_doubt=True)

    assert again.results == first.results
    assert chunk_counts(again) == {"done": 6}
    assert all(result.changed_at is not None for result in again.results)
    assert sent(fake, "PATCH") == []


async def test_may_change_says_no(tmp_path: Path) -> None:
    """If `may_change` returns False, the chunk sends no further change."""
    fake = fake_with(6)
    answers = [True, True, False]
    async with client_of(fake, max_connections=1) as client:
        (chunk,) = await chunks_of(client, tmp_path)
        with pytest.raises(jobs.ChunkFailed, match="may_change returned False") as caught:
            await jobs.apply_chunk(client, chunk, may_change=lambda: answers.pop(0))

    assert isinstance(caught.value.__cause__, jobs.ChangeRefused)
    assert chunk_counts(caught.value.result) == {"done": 2}
    assert caught.value.result.pending == 4
    assert len(sent(fake, "DELETE")) == 2
    assert pickle.loads(pickle.dumps(caught.value)).result == caught.value.result


# --- Earlier runs --------------------------------------------------------------------------------


async def test_half_done_chunk_runs_again(tmp_path: Path) -> None:
    """Tokens that a lost run has not changed are changed, and the result has all times."""
    fake = fake_with(6)
    async with client_of(fake) as client:
        (chunk,) = await chunks_of(client, tmp_path, action="deactivate")
        for entry in chunk.entries[:3]:
            await client.user_api_token.patch(entry.id, ApiTokenPatch(status="inactive"))
        fake.clear_requests()
        result = await jobs.apply_chunk(client, chunk, in_doubt=True)

    assert sent(fake, "PATCH") == [entry.id for entry in chunk.entries[3:]]
    assert [(token.outcome, token.changed_at) for token in result.results] == [
        (Outcome.DONE, token.last_updated) for token in fake.tokens()
    ]


@pytest.mark.parametrize(
    ("change", "in_doubt", "expected"),
    [
        ({"status": "inactive"}, True, (Outcome.DONE, True)),
        ({"status": "inactive"}, timedelta(0), (Outcome.DONE, True)),
        ({"status": "inactive"}, timedelta(seconds=2), (Outcome.DONE, True)),
        ({"status": "inactive"}, timedelta(seconds=2.001), (Outcome.CHANGED, False)),
        ({"status": "inactive", "name": "x"}, True, (Outcome.DONE, False)),
        ({"status": "inactive", "description": "x"}, True, (Outcome.DONE, False)),
        ({"name": "x"}, True, (Outcome.CHANGED, False)),
    ],
)
async def test_whose_change_it_is(
    tmp_path: Path,
    change: dict[str, Any],
    in_doubt: bool | timedelta,
    expected: tuple[Outcome, bool],
) -> None:
    """A change belongs to the lost run by the status and the time.

    Its time is known only if the token is otherwise as planned.
    """
    fake = fake_with(1, kept=1)
    async with client_of(fake) as client:
        (chunk,) = await chunks_of(client, tmp_path, action="deactivate")
        changed = await client.user_api_token.patch(chunk.entries[0].id, ApiTokenPatch(**change))
        assert changed.last_updated is not None
        since = in_doubt if isinstance(in_doubt, bool) else changed.last_updated + in_doubt
        fake.clear_requests()
        result = await jobs.apply_chunk(client, chunk, in_doubt=since)

    (token,) = result.results
    assert (token.outcome, token.changed_at is not None) == expected
    assert token.changed_at in {None, changed.last_updated}
    assert sent(fake, "PATCH") == []


@pytest.mark.parametrize(
    ("offset", "outcome"),
    [
        (timedelta(0), Outcome.DONE),
        (timedelta(seconds=-2), Outcome.DONE),
        (timedelta(seconds=-2.001), Outcome.CHANGED),
    ],
)
async def test_change_after_the_lost_run(
    tmp_path: Path, offset: timedelta, outcome: Outcome
) -> None:
    """A change after the time at which the lost run had ended is that of somebody else."""
    fake = fake_with(1, kept=1)
    inactive = ApiTokenPatch(status="inactive")
    async with client_of(fake) as client:
        (chunk,) = await chunks_of(client, tmp_path, action="deactivate")
        changed = await client.user_api_token.patch(chunk.entries[0].id, inactive)
        assert changed.last_updated is not None
        until = changed.last_updated + offset
        result = await jobs.apply_chunk(client, chunk, in_doubt=True, in_doubt_until=until)

    assert [token.outcome for token in result.results] == [outcome]


@pytest.mark.parametrize("argument", ["in_doubt", "in_doubt_until"])
async def test_times_of_the_first_run_have_a_time_zone(tmp_path: Path, argument: str) -> None:
    """A time without a time zone is refused."""
    naive: dict[str, Any] = {argument: datetime(2026, 3, 1)}  # noqa: DTZ001
    async with client_of(fake_with(1)) as client:
        (chunk,) = await chunks_of(client, tmp_path)
        with pytest.raises(ValidationError, match=f"{argument} must"):
            await jobs.apply_chunk(client, chunk, **naive)


async def test_missing_tokens_of_a_lost_run_are_confirmed(tmp_path: Path) -> None:
    """If all tokens of a lost run are missing, a list must confirm that it has deleted them."""
    fake = fake_with(25, kept=1)
    async with client_of(fake) as client:
        (chunk,) = await chunks_of(client, tmp_path)
        await jobs.apply_chunk(client, chunk)
        fake.clear_requests()
        again = await jobs.apply_chunk(client, chunk, in_doubt=True)
        lists = [request for request in fake.requests if request.path.endswith("/tokens")]
        fake.fail(status=404, times=None, path="*/me/tokens/*")
        fake.fail(status=403, times=None, skip=1, path="*/me/tokens")  # after the account check
        doubtful = await jobs.apply_chunk(client, chunk, in_doubt=True)

    assert chunk_counts(again) == {"done": 25}
    assert len(lists) >= 1
    assert (chunk_counts(doubtful), doubtful.is_complete) == ({"unknown": 25}, False)
    assert doubtful.gave_up is not None


async def test_earlier_result_is_continued(tmp_path: Path) -> None:
    """A result that is not complete is continued, and its outcomes are kept."""
    fake = fake_with(6)
    answers = [True, True, False]
    async with client_of(fake, max_connections=1) as client:
        (chunk, other) = await chunks_of(client, tmp_path, 5)
        with pytest.raises(jobs.ChunkFailed) as caught:
            await jobs.apply_chunk(client, chunk, may_change=lambda: answers.pop(0))
        earlier = ChunkResult.from_json(stored(caught.value.result.to_json()))
        fake.clear_requests()
        result = await jobs.apply_chunk(client, chunk, earlier=earlier)
        requests = len(fake.requests)
        finished = await jobs.apply_chunk(client, chunk, earlier=result)
        with pytest.raises(PlanRefused, match=r"chunk of token 6 of plan .* has another result"):
            await jobs.apply_chunk(client, other, earlier=result)

    assert chunk_counts(result) == {"done": 5}
    assert len(sent(fake, "DELETE")) == 3
    assert finished == result
    assert len(fake.requests) == requests


# --- Refusals ------------------------------------------------------------------------------------


def test_late_approval(tmp_path: Path) -> None:
    """A plan may be a week old, or as old as `max_age` allows. Then nothing is changed."""
    fake = fake_with(1, kept=1)

    async def job() -> None:
        async with client_of(fake) as client:
            (chunk,) = await chunks_of(client, tmp_path)
            fake.clock_offset = timedelta(days=8)
            for max_age in (jobs.MAX_CHUNK_AGE, timedelta(days=7.9)):
                with pytest.raises(PlanRefused, match=r"plan .* was made 192 hours ago"):
                    await jobs.apply_chunk(client, chunk, max_age=max_age)
            assert sent(fake, "DELETE") == []

            fake.clock_offset = timedelta(days=6)
            assert (await jobs.apply_chunk(client, chunk)).is_complete

    on_virtual_time(job)
    assert len(sent(fake, "DELETE")) == 1


def test_lost_run_of_an_old_plan(tmp_path: Path) -> None:
    """If the plan is too old by now, the changes of a lost run are found, and no other is made."""
    fake = fake_with(4)

    async def job() -> None:
        async with client_of(fake) as client:
            (chunk,) = await chunks_of(client, tmp_path, action="deactivate")
            for entry in chunk.entries[:2]:
                await client.user_api_token.patch(entry.id, ApiTokenPatch(status="inactive"))
            fake.clear_requests()
            fake.clock_offset = timedelta(days=8)
            with pytest.raises(jobs.ChunkFailed, match="was made 192 hours ago") as caught:
                await jobs.apply_chunk(client, chunk, in_doubt=True)
            assert isinstance(caught.value.__cause__, PlanRefused)
            found = [token.outcome for token in caught.value.result.results]
            assert found == [Outcome.DONE, Outcome.DONE, None, None]
            assert sent(fake, "PATCH") == []

            finished = await jobs.apply_chunk(client, chunk, in_doubt=True, max_age=None)
            assert chunk_counts(finished) == {"done": 4}
            again = await jobs.apply_chunk(client, chunk, in_doubt=True)
            assert again.results == finished.results

    on_virtual_time(job)


async def test_refused_chunks(tmp_path: Path) -> None:
    """A chunk of a rotation, of another base URL, or of a plan that a guard refused is refused."""
    fake = fake_with(2)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, action="rotate")
        (rotation,) = PlanDocument.of(plan).chunks()
        (chunk,) = await chunks_of(client, tmp_path, path=tmp_path / "other.jsonl")
        refused = attrs.evolve(chunk, header=attrs.evolve(chunk.header, refused=("Too many.",)))
        elsewhere = attrs.evolve(chunk, header=attrs.evolve(chunk.header, base_url="https://x"))
        fake.clear_requests()
        for one, problem in (
            (rotation, "is part of a plan to rotate tokens"),
            (refused, "a guard refused it: Too many"),
            (elsewhere, "was made for https://x"),
        ):
            with pytest.raises(PlanRefused, match=f"The chunk of tokens 1 to 2 of .* {problem}"):
                await jobs.apply_chunk(client, one)

    assert fake.requests == ()


async def test_chunk_of_another_account(tmp_path: Path) -> None:
    """A chunk of another account's plan is refused before anything is changed."""
    fake, other = fake_with(2), fake_with(2)
    async with client_of(fake) as client:
        (chunk,) = await chunks_of(client, tmp_path)
    async with client_of(other) as client:
        with pytest.raises(PlanRefused, match="account"):
            await jobs.apply_chunk(client, chunk, in_doubt=True)

    assert [request.method for request in other.requests if request.method != "GET"] == []


async def test_account_that_cannot_be_confirmed(tmp_path: Path) -> None:
    """The refusal names no argument that `apply_chunk` does not have."""
    fake = fake_with(2)
    async with client_of(fake) as client:
        (chunk,) = await chunks_of(client, tmp_path)
        fake.fail(status=403, times=None)
        with pytest.raises(PlanRefused, match=r"made with, or make the plan again\.$"):
            await jobs.apply_chunk(client, chunk)


async def test_token_used_since_the_plan(tmp_path: Path) -> None:
    """A token that an audit log shows in use since the plan was made is left alone."""
    fake = fake_with(2)
    fake.add_audit_log(fake.user_id, actor_type="User", creation_date=LONG_AGO)
    async with client_of(fake) as client:
        (chunk,) = await chunks_of(client, tmp_path, seen_in=f"org:{fake.organization_id}")
        fake.add_audit_log(chunk.entries[0].id)
        result = await jobs.apply_chunk(client, chunk, in_doubt=True)

    assert [token.outcome for token in result.results] == [Outcome.PROTECTED, Outcome.DONE]


async def test_evidence_that_was_read_before(tmp_path: Path) -> None:
    """Evidence that is passed is used, and no log is read. It must be that of the plan."""
    fake = fake_with(2)
    fake.add_audit_log(fake.user_id, actor_type="User", creation_date=LONG_AGO)
    source = f"org:{fake.organization_id}"
    async with client_of(fake) as client:
        (chunk,) = await chunks_of(client, tmp_path, seen_in=source)
        fake.add_audit_log(chunk.entries[0].id)
        seen = await jobs.seen_since_plan(client, chunk.header)
        assert seen is not None
        assert chunk.header.seen is not None
        late = attrs.evolve(seen, since=chunk.header.seen.until + timedelta(seconds=1))
        other = attrs.evolve(seen, sources=(jobs.LogSource.parse("org:" + "f" * 24),))
        requests = len(fake.requests)
        for wrong in (late, other):
            with pytest.raises(jobs.EvidenceError, match="the argument seen does not cover"):
                await jobs.apply_chunk(client, chunk, seen=wrong)
        assert len(fake.requests) == requests
        result = await jobs.apply_chunk(client, chunk, seen=seen)
        paths = {request.path for request in fake.requests[requests:]}

    assert [token.outcome for token in result.results] == [Outcome.PROTECTED, Outcome.DONE]
    assert not [path for path in paths if "audit-logs" in path]


async def test_evidence_of_a_plan_without_logs(tmp_path: Path) -> None:
    """A plan without audit logs has no evidence, and evidence that is passed still protects."""
    fake = fake_with(2)
    async with client_of(fake) as client:
        (chunk,) = await chunks_of(client, tmp_path)
        assert await jobs.seen_since_plan(client, chunk.header) is None
        seen = jobs.LastSeen((), None, None, 0, times={chunk.entries[0].id: LONG_AGO})
        result = await jobs.apply_chunk(client, chunk, seen=seen)

    assert [token.outcome for token in result.results] == [Outcome.PROTECTED, Outcome.DONE]


async def test_credential_is_refused(tmp_path: Path) -> None:
    """If the API refuses the credential in the middle, the error has the result so far."""
    fake = fake_with(4)
    async with client_of(fake, max_connections=1) as client:
        (chunk,) = await chunks_of(client, tmp_path)
        fake.fail(status=401, skip=2, times=None, method="DELETE")
        with pytest.raises(jobs.ChunkFailed) as caught:
            await jobs.apply_chunk(client, chunk)

    assert isinstance(caught.value.__cause__, Unauthorized)
    assert chunk_counts(caught.value.result) == {"done": 2}


async def test_may_change_of_a_whole_job(tmp_path: Path) -> None:
    """`jobs.apply` asks `may_change` as well, and can be resumed."""
    fake = fake_with(4)
    answers = [True, False]
    async with client_of(fake, max_connections=1) as client:
        plan = await planned(client, tmp_path)
        with job_fails_with(jobs.ChangeRefused):
            await jobs.apply(client, plan, may_change=lambda: answers.pop(0))
        assert len(sent(fake, "DELETE")) == 1
        report = await jobs.apply(client, plan, resume=True)

    assert counts(report) == {"done": 4}
    assert len(sent(fake, "DELETE")) == 4


@pytest.mark.parametrize(
    "altered",
    [
        None,
        [],
        {"format": "losant-tokens report"},
        {"version": 2},
        {"version": True},
        {"requests": -1},
        {"requests": None},
        {"results": {}},
        {"results": [7]},
        {"results": [{"id": "1"}]},
        {"seconds": "x"},
    ],
)
def test_values_that_are_no_result(altered: Any) -> None:
    """Values that are not the result of a chunk, or are of another version, are refused."""
    data = ChunkResult(digest="sha256:0", first=0, results=()).to_json()
    assert ChunkResult.from_json({**data, "new": 1}).is_complete
    with pytest.raises(PlanRefused, match="The values are "):
        ChunkResult.from_json({**data, **altered} if isinstance(altered, dict) else altered)
