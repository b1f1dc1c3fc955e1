"""The diagnosis of a fleet: from its store, its policy and the tokens of this machine."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from losant_tokens import accounts, fleet
from losant_tokens.errors import ClientStateError
from losant_tokens.policy import Severity
from tests.support.fleet_accounts import fleet_accounts
from tests.support.fleets import make_fleet, working


def _found(diagnosis: fleet.Diagnosis) -> list[tuple[str, str]]:
    return [(one.check, one.subject) for one in diagnosis.problems]


@pytest.mark.slow
async def test_diagnosis_with_and_without_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet is healthy while a worker is alive, and its worker is part of the diagnosis."""
    with fleet_accounts("acme", stale=2) as found:
        app = make_fleet(found, tmp_path, monkeypatch)
        before = await app.diagnose()
        async with working(app) as client:
            while_alive = await app.diagnose()
            pending = await client.pending()
    assert _found(before) == [("no-worker", "")]
    assert before.is_healthy
    assert _found(while_alive) == []
    assert while_alive.is_healthy
    assert [(one.id, one.state) for one in while_alive.workers] == [("w1", "live")]
    assert pending == {}


async def test_accounts_and_store_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Problems of accounts are found although the store cannot be reached, and no token shows."""
    with fleet_accounts("acme", stale=2) as found:
        app = make_fleet(found, tmp_path, monkeypatch, accounts=("a-*", "b-*", "c-*"))
        other = make_fleet(found, tmp_path, monkeypatch, accounts=("nobody",))
    blocker = tmp_path / "file"
    blocker.touch()
    expired = jwt.encode({"exp": datetime.now(UTC) - timedelta(days=1)}, "x" * 32)
    monkeypatch.setenv("EXPIRED", expired)
    monkeypatch.setenv("UNFIT", "hunter2\nhunter2")
    broken = fleet.Fleet(blocker / "fleet.sqlite")
    broken.accounts = {
        name: accounts.Account(name=name, token=accounts.EnvironmentToken(variable))
        for name, variable in (("a-1", "MISSING"), ("b-1", "EXPIRED"), ("c-1", "UNFIT"))
    }
    broken.policies = app.policies
    diagnosis = await broken.diagnose()
    assert diagnosis.problems[0].severity is Severity.CRITICAL
    assert _found(diagnosis) == [
        ("store", ""),
        ("credential", "a-1"),
        ("credential", "b-1"),
        ("credential", "c-1"),
    ]
    assert expired not in repr(diagnosis)
    assert "hunter2" not in repr(diagnosis)
    broken.policies = other.policies
    assert _found(await broken.diagnose()) == [("store", ""), ("accounts", "old-ci")]
    broken.policies = None
    assert _found(await broken.diagnose()) == [("store", "")]


async def test_client_that_is_not_open(tmp_path: Path) -> None:
    """The phases in progress need an open client."""
    with pytest.raises(ClientStateError, match="not open"):
        await fleet.Fleet(tmp_path / "x").client().pending()
