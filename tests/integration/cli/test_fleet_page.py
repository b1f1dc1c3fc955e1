"""The pages of a fleet over real sockets."""

import anyio
import httpx
import pytest

from losant_tokens.cli import _fleet_page
from losant_tokens.cli._errors import CommandError
from tests.support.fake_fleet import FakeFleet
from tests.support.fleet_runs import run


def test_headers() -> None:
    """A browser gets the page with headers that forbid to frame, cache and share it."""

    async def work() -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        app = _fleet_page.RunsApp(FakeFleet(run()), "fleet.sqlite")
        async with (
            _fleet_page.serving(app, 0) as url,
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


def test_port_in_use() -> None:
    """A port that another program uses is an error with a hint."""

    async def work() -> None:
        app = _fleet_page.RunsApp(FakeFleet(), "")
        async with _fleet_page.serving(app, 0) as url, _fleet_page.serving(app, _port(url)):
            pass

    with pytest.raises(ExceptionGroup) as caught:
        anyio.run(work)

    (error,) = caught.value.exceptions
    assert isinstance(error, CommandError)
    assert str(error).startswith("cannot listen on port ")


def _port(url: str) -> int:
    return httpx.URL(url).port or 0
