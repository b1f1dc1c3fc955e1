"""Rotate the tokens that expire soon, every night, and store their secrets with a command.

pip install /path/to/losant-tokens
LOSANT_API_TOKEN=... python examples/rotate_nightly.py FOLDER COMMAND [ARGUMENT ...]

FOLDER keeps the journals of unfinished rotations. COMMAND reads each secret from its standard input
and must exit with 0 only if it has stored it; LOSANT_TOKEN_NAME and LOSANT_TOKEN_REPLACES, the id
of the old token, are set for it. The old tokens are deactivated on the next night.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from losant_tokens import AsyncClient, jobs
from losant_tokens.sinks import CommandSink

LIFETIME = timedelta(days=90)
SOON = timedelta(days=14)
OVERLAP = timedelta(hours=23)


def unfinished(folder: Path) -> list[Path]:
    """Return the journals of unfinished rotations."""
    journals = sorted(folder.glob("*.rotation"))
    return [path for path in journals if not jobs.read_rotation(path).is_complete]


async def continue_rotations(client: AsyncClient, folder: Path, sink: CommandSink) -> set[str]:
    """Continue unfinished rotations, and return the ids of their tokens and successors."""
    ledger, busy = jobs.Ledger(folder / "quarantines"), set()
    for journal in unfinished(folder):
        rotation = await jobs.resume_rotation(client, journal, sink=sink, ledger=ledger)
        report(rotation)
        for token in rotation.tokens:
            busy |= {token.id, *token.successor_ids}
    return busy


async def rotate_expiring(client: AsyncClient, folder: Path, sink: CommandSink) -> None:
    """Rotate the active tokens that expire soon."""
    now = datetime.now(UTC)
    busy = await continue_rotations(client, folder, sink)
    expiring = [
        ("user", token.id)
        async for token in client.user_api_tokens.iter()
        if token.status == "active"
        and token.expiration_date is not None
        and now < token.expiration_date < now + SOON
        and token.id not in busy
    ]
    if not expiring:
        print("No token expires soon.")
        return
    rotation = await jobs.rotate(
        client,
        expiring,
        sink=sink,
        expires=LIFETIME,
        overlap=OVERLAP,
        journal=folder / f"{now:%Y%m%dT%H%M%S.%f}.rotation",
        ledger=jobs.Ledger(folder / "quarantines"),
    )
    report(rotation)


def report(rotation: jobs.Rotation) -> None:
    """Print what became of each token."""
    for token in rotation.tokens:
        print(f"{token.name}: {token.stage.value}{f', {token.error}' if token.error else ''}")


async def main(folder: Path, command: list[str]) -> None:
    """Rotate with the token of the environment."""
    async with AsyncClient() as client:
        await rotate_expiring(client, folder, CommandSink(command))


if __name__ == "__main__":
    path, *arguments = sys.argv[1:] or [""]
    if not arguments:
        sys.exit("usage: rotate_nightly.py FOLDER COMMAND [ARGUMENT ...]")
    Path(path).mkdir(mode=0o700, exist_ok=True)
    asyncio.run(main(Path(path), arguments))
