"""A fleet with one worker in the process of the test, on fake accounts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from losant_tokens import accounts, fleet, policy
from tests.support.fleet_accounts import FleetAccount, write_config

POLICY = """
[[cleanups]]
name = "old-ci"
action = "deactivate"
grace = "1h"
max_changes = 10000
allow_majority = true
select = { named = ["ci-*"], not_updated_for = "180d" }
"""


def make_fleet(
    found: tuple[FleetAccount, ...],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    store: str | Path | None = None,
    **cleanup: Any,
) -> fleet.Fleet:
    """Return a fleet whose clean-up "old-ci" has other members, such as a short grace period."""
    for variable, token in write_config(found, folder / "config.toml").items():
        monkeypatch.setenv(variable, token)
    path = folder / "policy.toml"
    path.write_text(POLICY)
    loaded = policy.load(path)
    app = fleet.Fleet(folder / "fleet.sqlite" if store is None else store)
    app._interval = 0.05
    app.accounts = accounts.load(folder / "config.toml")
    app.policies = attrs.evolve(
        loaded, cleanups=tuple(attrs.evolve(one, **cleanup) for one in loaded.cleanups)
    )
    return app


@asynccontextmanager
async def working(app: fleet.Fleet, name: str = "w1") -> AsyncIterator[fleet.FleetClient]:
    """Run a worker during the block, and yield a client."""
    ready = anyio.Event()
    async with anyio.create_task_group() as group:

        async def work() -> None:
            await app.work(name=name, on_ready=lambda _: ready.set())

        group.start_soon(work)
        await ready.wait()
        async with app.client() as client:
            yield client
        group.cancel_scope.cancel()


SHORT = timedelta(seconds=1)
