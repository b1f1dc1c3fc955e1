"""The examples do what they say, against the fake over real sockets."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from losant_tokens.testing import FakeLosant

EXAMPLES = Path(__file__).parent.parent / "examples"
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=200)


@pytest.fixture
def fake(fake_losant: FakeLosant, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLosant]:
    """A fake that the environment points to, with tokens to keep and tokens to clean up."""
    fake_losant.add_token("ci-expired", expiration_date=LONG_AGO)
    fake_losant.add_token("ci-forgotten", status="inactive", last_updated=LONG_AGO)
    fake_losant.add_token("ci-paused", status="inactive", last_updated=NOW)
    fake_losant.add_token("ci-in-use")
    fake_losant.add_token("prod-expired", expiration_date=LONG_AGO)
    with fake_losant.serve() as base_url:
        monkeypatch.setenv("LOSANT_API_URL", base_url)
        monkeypatch.setenv("LOSANT_API_TOKEN", fake_losant.admin_token)
        yield fake_losant


def run(example: str, *arguments: str, says: str = "") -> str:
    """What an example prints."""
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / example), *arguments],
        input=says,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=dict(os.environ),
    )
    assert ("", 0) == (result.stderr, result.returncode)
    return result.stdout


def names(fake: FakeLosant) -> set[str]:
    return {token.name for token in fake.tokens()}


def test_bulk_cleanup(fake: FakeLosant) -> None:
    """The clean-up shows first, and then deletes what was left over and nothing else."""
    everything = names(fake)
    assert "2 tokens would be deleted" in run("bulk_cleanup.py")
    assert everything == names(fake)
    assert "2 of 2 tokens are gone" in run("bulk_cleanup.py", "--delete")
    assert everything - {"ci-expired", "ci-forgotten"} == names(fake)


def test_bot(fake: FakeLosant) -> None:
    """The bot finds, shows and disables tokens, and survives what makes no sense."""
    token = next(token for token in fake.tokens() if token.name == "ci-in-use")
    assert "ci-in-use (active)" in run("bot.py", says="find ci-in*\n")
    assert "ci-in-use: active, expires never" in run("bot.py", says=f"show {token.id}\n")
    assert "is inactive now" in run("bot.py", says=f"disable {token.id}\n")
    assert "no such token" in run("bot.py", says=f"show {'f' * 24}\n")
    assert "must be 24 hexadecimal digits" in run("bot.py", says="show ../..\n")
    assert 2 == run("bot.py", says="dance\n").count("I know: find")
    assert "inactive" == next(t.status for t in fake.tokens() if t.id == token.id)


async def test_web_app(fake: FakeLosant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The web app lists and deactivates over one client, and turns errors into answers."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from web_app import app, lifespan

    token = next(token for token in fake.tokens() if token.name == "ci-in-use")
    async with lifespan(app) as state:

        async def with_state(scope: dict[str, object], receive: object, send: object) -> None:
            scope["state"] = dict(state)
            await app(scope, receive, send)  # type: ignore[arg-type]

        transport = httpx.ASGITransport(with_state)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as browser:
            listed = (await browser.get("/tokens")).json()
            done = await browser.post(f"/tokens/{token.id}/deactivate")
            statuses = [
                (await browser.post(f"/tokens/{wrong}/deactivate")).status_code
                for wrong in ("f" * 24, "nonsense")
            ]
            fake.fail(status=401, times=None)
            statuses.append((await browser.get("/tokens")).status_code)
    assert {"ci-in-use", "ci-paused", "ci-forgotten"} == {token["name"] for token in listed}
    assert {"id": token.id, "status": "inactive"} == done.json()
    assert [404, 400, 502] == statuses
