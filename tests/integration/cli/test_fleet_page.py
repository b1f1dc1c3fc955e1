"""The pages of a fleet over real sockets."""

import re
import signal
from typing import Self

import anyio
import httpx
import pytest

from losant_tokens.cli._errors import CommandError
from losant_tokens.cli._fleet import page_server as fleet_page
from losant_tokens.cli._fleet.worker import Worker
from losant_tokens.cli.commands.fleet import serve_runs
from tests.support.fake_fleet import FakeFleet, WorkingFleet
from tests.support.fleet_runs import run


def test_headers() -> None:
    """A browser gets the page with headers that forbid framing, caching and sharing it."""

    async def work() -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        app = fleet_page.RunsApp(FakeFleet(run()), "fleet.sqlite")
        async with (
            fleet_page.serving(app, 0) as url,
            httpx.AsyncClient(base_url=url, trust_env=False) as browser,
        ):
            return (
                await browser.get("/"),
                await browser.head("/runs/1f3a"),
                await browser.post("/", headers={"Host": "evil.example.com"}),
            )

    listed, head, refused = anyio.run(work)

    assert (listed.status_code, "1f3a9c20" in listed.text) == (200, True)
    assert listed.headers["content-type"] == "text/html; charset=utf-8"
    assert listed.headers["x-frame-options"] == "DENY"
    assert listed.headers["cache-control"] == "no-store"
    assert "server" not in listed.headers
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 1000
    assert (refused.status_code, refused.headers["content-type"]) == (
        421,
        "text/plain; charset=utf-8",
    )


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`fleet page` writes the URL to stdout, and ends with 0 at a signal."""

    class Interrupted(FakeFleet):
        async def __aenter__(self) -> Self:
            signal.raise_signal(signal.SIGTERM)
            return self

    Interrupted().install(monkeypatch)

    assert serve_runs() == 0
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")


def test_page_of_a_worker(capsys: pytest.CaptureFixture[str]) -> None:
    """A worker with a port serves the page, and both end at a signal."""
    app = WorkingFleet(during=lambda: signal.raise_signal(signal.SIGTERM))

    Worker(
        app=app,  # type: ignore[arg-type]  # a fleet in memory
        name=None,
        concurrency=1,
        fleet_concurrency=None,
        port=0,
        until_idle=False,
        is_json=False,
    ).run()

    assert "The page with the runs: http://127.0.0.1:" in capsys.readouterr().err
    assert app.has_stopped


def test_port_in_use() -> None:
    """A port that another program uses is an error with a hint."""

    async def work() -> None:
        app = fleet_page.RunsApp(FakeFleet(), "")
        async with fleet_page.serving(app, 0) as url, fleet_page.serving(app, _port(url)):
            pass

    with pytest.raises(ExceptionGroup) as caught:
        anyio.run(work)

    (error,) = caught.value.exceptions
    assert isinstance(error, CommandError)
    assert re.fullmatch(r"cannot listen on port \d+: [A-Z][a-z ]+", str(error))


def _port(url: str) -> int:
    return httpx.URL(url).port or 0
