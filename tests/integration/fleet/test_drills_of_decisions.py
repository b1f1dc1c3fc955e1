"""Drills: decisions that come late or at once, tokens that change, and secrets in the store."""

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from losant_tokens import Secret
from losant_tokens.fleet import DecisionRefused, FleetClient, Run
from losant_tokens.policy import Approval
from tests.support.fleet_accounts import FleetAccount, fleet_accounts, problems
from tests.support.fleets import make_fleet, working

pytestmark = pytest.mark.slow

SECOND = timedelta(seconds=1)
WEBHOOK = "https://127.0.0.1:9/hooks/5f2d0c9b1e7a4d33"
SIGNING_KEY = "signing-key-9d1e0f"


async def approved(client: FleetClient, account: FleetAccount) -> Run:
    """Start a run, and approve it."""
    run = await client.plan(account.name, "old-ci", by="drill")
    await client.wait(run.id, state="waiting")
    return await client.approve(run.id, by="drill")


async def with_reason(client: FleetClient, run: Run) -> Run:
    """Wait until a run says why it does not continue."""
    for _ in range(300):
        if run.reason:
            break
        await asyncio.sleep(0.1)
        run = await client.run(run.id)
    return run


async def test_a_restore_races_a_sweep(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a restore comes when the sweep is due, all tokens are restored, or all are deleted."""
    names = [f"account-{number}" for number in range(6)]
    with fleet_accounts(*names, stale=5) as found:
        app = make_fleet(found, tmp_path, monkeypatch, store=store_url, grace=SECOND)
        async with working(app) as client:

            async def race(account: FleetAccount, offset: float) -> Run:
                run = await approved(client, account)
                run = await client.wait(run.id, state="quarantined")
                assert run.sweep_due_at is not None
                wait = (run.sweep_due_at - datetime.now(UTC)).total_seconds() + offset
                await asyncio.sleep(max(wait, 0))
                with suppress(DecisionRefused):
                    await client.restore(run.id, by="drill")
                return await client.wait(run.id, state=("done", "restored"))

            offsets = [0.3 * number - 0.6 for number in range(len(found))]
            runs = await asyncio.gather(*map(race, found, offsets))

    ends = {"done": ["deactivate", "delete"], "restored": ["deactivate", "activate"]}
    for account, run in zip(found, runs, strict=True):
        assert problems(account, ends[run.state]) == [], run


async def test_decisions_after_the_end(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An approval after a restore, of an expired plan or of a rejected one changes nothing."""
    with fleet_accounts("acme", "bolt", "corp", stale=4) as found:
        acme, bolt, corp = found
        app = make_fleet(found, tmp_path, monkeypatch, store=store_url)
        async with working(app) as client:
            restored = await approved(client, acme)
            await client.wait(restored.id, state="quarantined")
            await asyncio.gather(*(client.restore(restored.id, by="drill") for _ in range(3)))
            await client.wait(restored.id, state="restored")
            again = await client.approve(restored.id, by="late")
            rejected = await client.plan("bolt", "old-ci", by="drill")
            await client.wait(rejected.id, state="waiting")
            await client.reject(rejected.id, by="drill")
            with pytest.raises(DecisionRefused, match="rejected"):
                await client.approve(rejected.id, by="late")
        app = make_fleet(
            found, tmp_path, monkeypatch, store=store_url, approve_within=timedelta(seconds=0.5)
        )
        async with working(app) as client:
            late = await client.plan("corp", "old-ci", by="drill")
            await client.wait(late.id, state="expired")
            with pytest.raises(DecisionRefused, match="expired"):
                await client.approve(late.id, by="late")
            await asyncio.sleep(1)
            states = {run.account: run.state async for run in client.runs()}

    assert again.state == "restored"
    assert [one.by for one in again.decisions] == ["drill", "drill"]
    assert states == {"acme": "restored", "bolt": "rejected", "corp": "expired"}
    assert problems(acme, ["deactivate", "activate"]) == []
    assert problems(bolt, []) == problems(corp, []) == []


async def test_a_token_is_rotated_and_missing_in_the_middle(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run continues with the new token of its account, and waits while there is none."""
    with fleet_accounts("acme", stale=6) as found:
        (acme,) = found
        app = make_fleet(found, tmp_path, monkeypatch, store=store_url, grace=SECOND)
        async with working(app) as client:
            run = await client.plan("acme", "old-ci", by="drill")
            await client.wait(run.id, state="waiting")
            # The old token is revoked, and the new one is not there yet.
            monkeypatch.setenv(acme.variable, acme.fake.add_token("old", status="inactive").secret)
            await client.approve(run.id, by="drill")
            waiting = await with_reason(client, run)
            assert problems(acme, []) == []
            rotated = acme.fake.access_token()
            monkeypatch.setenv(acme.variable, rotated)
            # A worker that starts again does not wait for the next attempt of the one before.
            done = await client.wait(run.id, state="done")

    assert waiting.retry_at is not None
    assert acme.token not in waiting.reason
    assert done.outcomes("sweep") == {"done": 6}
    assert problems(acme, ["deactivate", "delete"]) == []


# --- Secrets ---------------------------------------------------------------------------------


async def test_the_store_holds_no_secret(
    store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No column of any table holds a secret, plain or encoded, and neither does a log."""
    with fleet_accounts("acme", "bolt", "corp", stale=4) as found:
        acme, bolt, corp = found
        approval = Approval(webhook=Secret(WEBHOOK), secret_env="DRILL_KEY")
        monkeypatch.setenv("DRILL_KEY", SIGNING_KEY)
        app = make_fleet(
            found, tmp_path, monkeypatch, store=store_url, grace=SECOND, approval=approval
        )
        app.retry_for = timedelta(0)
        revoked = acme.fake.add_token("revoked", status="inactive").secret
        monkeypatch.setenv(corp.variable, revoked)
        async with working(app) as client:
            swept = await approved(client, acme)
            restored = await approved(client, bolt)
            failed = await client.plan("corp", "old-ci", by="drill")
            await client.wait(restored.id, state="quarantined")
            await client.restore(restored.id, by="drill", reason="misses them")
            await client.wait(restored.id, state="restored")
            await client.wait(swept.id, state="done")
            await client.wait(failed.id, state="failed")
            dump = list(_values(store_url))
        own = [token.secret for one in found for token in one.fake.tokens()]
        secrets = [*own, *(one.token for one in found), revoked, WEBHOOK, SIGNING_KEY]
        if match := re.search(r"//\w+:(\w+)@", store_url):
            secrets.append(match[1])

    texts = [text for value in dump for text in _readings(value)]
    parts = {part for secret in secrets for part in (secret, secret.rpartition(".")[2])}
    printed = "".join(capfd.readouterr()) + caplog.text
    assert len(dump) > 200
    assert any(acme.name in text for text in texts)
    assert [part for part in parts if any(part in text for text in (*texts, printed))] == []
    assert [value for value in dump if _is_pickle(value)] == []


def _values(store: str) -> Iterator[Any]:
    """Yield all values of all tables of a store."""
    engine = sa.create_engine(store.replace("postgresql://", "postgresql+psycopg://"))
    with _connected(engine) as connection:
        inspector = sa.inspect(connection)
        for schema in inspector.get_schema_names():
            for table in inspector.get_table_names(schema):
                found = sa.table(table, schema=schema)
                statement = sa.select(sa.text("*")).select_from(found)
                for row in connection.execute(statement):
                    yield from (value for value in row if value is not None)


@contextmanager
def _connected(engine: sa.Engine) -> Iterator[sa.Connection]:
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _readings(value: object) -> Iterator[str]:
    """Yield a value as text, and decoded from base64, hexadecimal digits and nested JSON."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    yield text
    for word in re.findall(r"[A-Za-z0-9+/_=-]{16,}", text):
        padded = word.replace("-", "+").replace("_", "/").rstrip("=") + "=="
        try:
            yield base64.b64decode(padded).decode("latin-1")
        except ValueError:
            continue
    if text[:1] in {"{", "["}:
        for inner in _strings(json.loads(text)):
            if inner[:1] in {"{", "["}:
                yield from _readings(inner)


def _strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for inner in data.values() if isinstance(data, dict) else data:
            yield from _strings(inner)


def _is_pickle(value: object) -> bool:
    """Return whether a value looks like a pickle, plain or in base64."""
    if isinstance(value, bytes):
        return value.startswith(b"\x80")
    return isinstance(value, str) and value.startswith("gAS")
