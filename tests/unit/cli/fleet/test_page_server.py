"""The requests to which the pages of a fleet respond."""

import pytest

from losant_tokens import fleet
from losant_tokens.cli._fleet.page_server import RunsApp
from tests.support.fake_fleet import FakeFleet
from tests.support.fleet_runs import run

LOCAL = {"host": "127.0.0.1:8787"}


def app(*runs: fleet.Run) -> RunsApp:
    return RunsApp(FakeFleet(*runs), "fleet.sqlite")


async def test_pages() -> None:
    """The list and each run have a page."""
    found = await app(run()).respond("GET", "/", "state=waiting&account=prod", LOCAL)
    assert (found.status, found.is_page, "1f3a9c20" in found.body) == (200, True, True)

    found = await app(run()).respond("HEAD", "/runs/1f3a9c20", "", LOCAL)
    assert (found.status, "old-ci for prod" in found.body) == (200, True)
    assert "13 tokens of the plan" in found.body

    found = await app(run(plan_selected=0)).respond("GET", "/runs/1f3a9c20", "", LOCAL)
    assert (found.status, "of the plan" in found.body) == (200, False)


async def test_many_runs() -> None:
    """The list has the newest 500 runs, and says that there are more."""
    runs = [run(id=f"{number:x}") for number in range(501)]

    found = await app(*runs).respond("GET", "/", "", LOCAL)

    assert found.body.count('href="runs/') == 500
    assert "Older runs are not shown." in found.body


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("[::1]:8787", 200),
        ("evil.example.com", 421),
        ("evil.example.com:8787", 421),
        ("127.0.0.1.example.com", 421),
        ("", 421),
    ],
)
async def test_host(host: str, status: int) -> None:
    """A request for another host gets nothing, as after DNS rebinding."""
    found = await app().respond("GET", "/", "", {"host": host})
    assert found.status == status


async def test_other_requests() -> None:
    """Other methods and paths are refused."""
    assert (await app().respond("GET", "/", "", {})).status == 421
    refused = await app().respond("POST", "/", "", LOCAL)
    assert (refused.status, refused.headers) == (405, ((b"allow", b"GET, HEAD"),))
    for path in ("/favicon.ico", "/runs/", "/runs/ffff", "/runs/<b>"):
        found = await app(run()).respond("GET", path, "", LOCAL)
        assert (found.status, found.is_page) == (404, False), path


async def test_store_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the store cannot be read, the response says why."""

    async def fail(*_: object) -> None:
        raise fleet.StoreError("The store cannot be reached.")

    monkeypatch.setattr(FakeFleet, "report", fail)

    found = await app().respond("GET", "/runs/1f3a9c20", "", LOCAL)

    assert (found.status, found.body) == (503, "The store cannot be reached.\n")
