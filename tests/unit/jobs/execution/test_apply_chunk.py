"""Applying chunks of plans."""

import pickle
from pathlib import Path

import pytest

from losant_tokens import jobs
from losant_tokens.jobs import ChunkResult
from tests.support.chunks import chunk_counts, chunks_of, stored
from tests.support.jobs import client_of, fake_with, sent


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
