"""The store of a fleet as a release has written it, to test that later releases can read it.

    python -m tests.support.old_store > tests/data/fleet_store_1.sql

writes the store of the current release: an SQLite file as SQL, with the tables of the engine. Keep
the files of earlier releases.
"""

import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs

from losant_tokens import AsyncClient, policy
from losant_tokens.accounts import Account
from losant_tokens.fleet import Fleet
from losant_tokens.fleet._task_runner import Runner
from losant_tokens.testing import FakeLosant
from tests.support.fleets import POLICY, working

FILES = sorted((Path(__file__).parents[1] / "data").glob("fleet_store_*.sql"))
QUARANTINED, WAITING = "acme", "bolt"
"""The accounts of the two runs."""

COUNT = 3
"""The number of tokens of each run."""

_OLD = datetime(2024, 1, 1, tzinfo=UTC)
_FOREVER = timedelta(days=36_500)


def token_ids(account: str) -> list[str]:
    """Return the ids of the tokens that the run of an account selects."""
    start = 0x100 if account == QUARANTINED else 0x200
    return [f"{start + number:024x}" for number in range(COUNT)]


def fakes(deactivated: Mapping[str, datetime | None] | None = None) -> dict[str, FakeLosant]:
    """Return the accounts.

    Args:
        deactivated: When tokens were deactivated, by their ids. Default: none was.
    """
    changed = deactivated or {}
    found = {}
    for name in (QUARANTINED, WAITING):
        found[name] = fake = FakeLosant()
        fake._store.user_id = f"{len(found):024x}"  # A plan is for the account that has it.
        for id_ in token_ids(name):
            fake.add_token(
                f"ci-{id_[-3:]}",
                id=id_,
                creation_date=_OLD,
                last_updated=changed.get(id_, _OLD),
                status="inactive" if id_ in changed else "active",
            )
    return found


def fleet_of(
    path: Path, accounts: dict[str, FakeLosant], patch: Callable[[Any, str, Any], None]
) -> Fleet:
    """Return a fleet of fake accounts in memory.

    Args:
        path: The store.
        accounts: The accounts.
        patch: Sets an attribute, as `monkeypatch.setattr` does.
    """

    @asynccontextmanager
    async def client(self: Runner, job: Any, account: Account) -> AsyncIterator[AsyncClient]:
        fake = accounts[account.name]
        async with AsyncClient(fake.admin_token, transport=fake.transport()) as opened:
            yield opened

    patch(Runner, "_client", client)
    source: Any = None
    policy_file = path.with_suffix(".toml")
    policy_file.write_text(POLICY)
    loaded = policy.load(policy_file)
    app = Fleet(path)
    app._interval = 0.05
    app.accounts = {name: Account(name=name, token=source) for name in accounts}
    second = timedelta(seconds=1)
    cleanups = [attrs.evolve(one, grace=second, approve_within=_FOREVER) for one in loaded.cleanups]
    app.policies = attrs.evolve(loaded, cleanups=tuple(cleanups))
    return app


def load(file: Path, path: Path) -> None:
    """Create the store of an earlier release.

    Args:
        file: The store as SQL.
        path: The SQLite file to create.
    """
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(file.read_text())


async def write() -> None:
    """Write a store with two runs: one is quarantined, and the other one waits."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fleet.sqlite"
        app = fleet_of(path, fakes(), setattr)
        async with working(app) as client:
            first = await client.plan(QUARANTINED, "old-ci", by="ada", key="monday")
            await client.wait(first.id, state="waiting")
            await client.plan(WAITING, "old-ci", by="ada")
            await client.approve(first.id, by="bob", reason="reviewed")
            await client.wait(first.id, state="quarantined")
            async for run in client.runs():
                await client.wait(run.id, state=("waiting", "quarantined"))
        with closing(sqlite3.connect(path)) as connection:
            sys.stdout.write("\n".join(connection.iterdump()) + "\n")


if __name__ == "__main__":
    anyio.run(write)
