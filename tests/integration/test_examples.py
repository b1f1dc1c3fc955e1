"""The examples work as described, against the fake over real sockets."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx
import pytest

from losant_tokens import AsyncClient, jobs
from losant_tokens.testing import FakeLosant

EXAMPLES = Path(__file__).parents[2] / "examples"
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=200)


@pytest.fixture
def fake(fake_losant: FakeLosant, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLosant]:
    """Return a fake in the environment variables, with tokens to keep and to clean up."""
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
    """Return the output of an example."""
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
    """The clean-up lists the leftovers first, and then deletes them and nothing else."""
    everything = names(fake)
    assert "2 tokens would be deleted" in run("bulk_cleanup.py")
    assert everything == names(fake)
    assert "2 of 2 tokens are gone" in run("bulk_cleanup.py", "--delete")
    assert everything - {"ci-expired", "ci-forgotten"} == names(fake)


@pytest.mark.slow
def test_bot(fake: FakeLosant) -> None:
    """The bot finds, shows and disables tokens, and replies to invalid commands."""
    token = next(token for token in fake.tokens() if token.name == "ci-in-use")
    assert "ci-in-use (active)" in run("bot.py", says="find ci-in*\n")
    assert "ci-in-use: active, expires never" in run("bot.py", says=f"show {token.id}\n")
    assert "is inactive; to undo this" in run("bot.py", says=f"disable {token.id}\n")
    assert "no such token" in run("bot.py", says=f"show {'f' * 24}\n")
    assert "must be 24 hexadecimal digits" in run("bot.py", says="show ../..\n")
    assert 2 == run("bot.py", says="dance\n").count("commands: find")
    assert "inactive" == next(t.status for t in fake.tokens() if t.id == token.id)


async def test_rotate_nightly(
    fake: FakeLosant,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Tokens that expire soon are rotated, and the old ones are deactivated on the next night."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from rotate_nightly import main

    old = fake.add_token("ci-soon", expiration_date=NOW + timedelta(days=3))
    secret = tmp_path / "secret"
    await main(tmp_path, ["sh", "-c", f"cat > {secret}"])
    fake.clock_offset = timedelta(days=1)
    await main(tmp_path, ["false"])

    printed = capsys.readouterr().out.splitlines()
    assert printed == ["ci-soon: delivered", "ci-soon: retired", "No token expires soon."]
    statuses = {token.secret: token.status for token in fake.tokens()}
    assert (statuses[old.secret], statuses[secret.read_text()]) == ("inactive", "active")


async def test_web_app(fake: FakeLosant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The web app lists and deactivates tokens with one client, and responds to errors."""
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


@pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning")
async def test_sse_cleanup(
    fake: FakeLosant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The app makes a plan, applies it on request, and streams the progress to the end."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import sse_cleanup

    monkeypatch.setattr(sse_cleanup, "FOLDER", tmp_path)
    monkeypatch.setattr(sse_cleanup, "INTERVAL", 0.01)
    everything = names(fake)
    async with (
        sse_cleanup.lifespan(sse_cleanup.app) as state,
        browsing(sse_cleanup.app, dict(state)) as browser,
    ):
        planned = await browser.post("/plans", params={"named": "ci-*"})
        unchanged = names(fake)
        plan = planned.json().pop("plan")
        refused = await browser.post("/plans", params={"named": "[!x]*"})
        unknown = await browser.get("/plans/none/progress")
        fake.fail("latency", seconds=0.1, method="DELETE")
        begun = [await browser.post(f"/plans/{plan}/apply") for _ in range(2)]
        stream = (await browser.get(begun[0].json()["progress"])).text
        fake.fail(status=401, times=None)
        failed = await browser.post("/plans")

    assert (201, everything) == (planned.status_code, unchanged)
    assert (5, ["ci-expired"]) == (
        planned.json()["listed"],
        [token["name"] for token in planned.json()["tokens"]],
    )
    assert [201, 404, 502] == [answer.status_code for answer in (refused, unknown, failed)]
    assert [202, 202] == [answer.status_code for answer in begun]
    *before, last = [event.split("\n") for event in stream.strip().split("\n\n")]
    assert {"event: progress"} == {kind for kind, _ in before}
    assert {"total": 1} == {
        name: value for name, value in event_data(before[0]).items() if name == "total"
    }
    assert "event: done" == last[0]
    assert (1, 0) == (event_data(last)["done"], event_data(last)["pending"])
    assert everything - {"ci-expired"} == names(fake)


@pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning")
async def test_sse_cleanup_shuts_down(
    fake: FakeLosant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """When the app shuts down, its jobs stop, lose no outcome, and can be resumed."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import sse_cleanup

    monkeypatch.setattr(sse_cleanup, "FOLDER", tmp_path)
    for number in range(50):
        fake.add_token(f"old-{number}", expiration_date=LONG_AGO)
        fake.add_token(f"new-{number}")
    fake.fail("latency", seconds=0.2, method="DELETE", times=None)
    async with (
        sse_cleanup.lifespan(sse_cleanup.app) as state,
        browsing(sse_cleanup.app, dict(state)) as browser,
    ):
        plan = (await browser.post("/plans")).json()["plan"]
        await browser.post(f"/plans/{plan}/apply")
        while not any(  # noqa: ASYNC110 -- the fake is served by another thread
            request.method == "DELETE" for request in fake.requests
        ):
            await anyio.sleep(0.01)
    outcome = state["jobs"].by_id[plan].outcome
    assert outcome is not None

    gone = 105 - len(fake.tokens())
    assert (gone, 52 - gone) == (outcome["done"], outcome["pending"])
    assert 0 < gone < 52

    fake.clear_faults()
    async with AsyncClient() as client:
        carried_on = await jobs.apply(client, state["jobs"].by_id[plan].plan, resume=True)
    assert (True, 53) == (carried_on.is_complete, len(fake.tokens()))


@asynccontextmanager
async def browsing(app: object, state: dict[str, object]) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of an app whose lifespan the test has opened."""

    async def with_state(scope: dict[str, object], receive: object, send: object) -> None:
        scope["state"] = dict(state)
        await app(scope, receive, send)  # type: ignore[operator]

    transport = httpx.ASGITransport(with_state, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as browser:
        yield browser


def event_data(event: list[str]) -> dict[str, int]:
    """Return the data of a server-sent event."""
    data: dict[str, int] = json.loads(event[1].removeprefix("data: "))
    return data
