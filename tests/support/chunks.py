"""Plans as values, and their way through a database."""

import json
from pathlib import Path
from typing import Any

from losant_tokens import AsyncClient
from losant_tokens.jobs import ChunkResult, PlanChunk, PlanDocument
from tests.support.jobs import planned


def stored(data: object) -> Any:
    """Return JSON values as a database returns them. Some do not keep the order of members."""
    return json.loads(json.dumps(data, sort_keys=True))


async def chunks_of(
    client: AsyncClient, folder: Path, size: int = 100, **options: Any
) -> tuple[PlanChunk, ...]:
    """Plan a job for the tokens named `ci-…`, and return its chunks."""
    document = PlanDocument.of(await planned(client, folder, **options))
    return document.chunks(size)


def chunk_counts(result: ChunkResult) -> dict[str, int]:
    """Return the number of tokens with each outcome, without zeros."""
    return {outcome.value: count for outcome, count in result.counts.items() if count}
