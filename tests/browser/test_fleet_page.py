"""The pages with the runs of a fleet in Chromium."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs
import pytest
from anyio.from_thread import start_blocking_portal

from losant_tokens import fleet
from losant_tokens.cli._fleet.page_server import RunsApp, serving
from losant_tokens.fleet import Work
from tests.browser.conftest import WATCH_POLICY
from tests.support.fake_fleet import FakeFleet
from tests.support.fleet_runs import approved, run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVIL = "<img src=x onerror=alert(1)>"


def runs() -> list[fleet.Run]:
    """Return a run in each state, with the strings of an attacker among them."""
    now = datetime.now(UTC)
    work = Work(worker="alpha", version="1.0", started_at=now, outcomes={"done": 11, "failed": 1})
    return [
        run(
            id=f"{number:012x}",
            state=state,
            account=EVIL if state == "rejected" else "prod",
            reason="401 Unauthorized" if state == "failed" else "",
            decisions=approved(),
            work={"apply": work},
            requested_at=now,
            sweep_due_at=now,
        )
        for number, state in enumerate(fleet.RUN_STATES)
    ]


@pytest.fixture
def fake() -> FakeFleet:
    return FakeFleet(*runs())


@pytest.fixture
def url(fake: FakeFleet) -> Iterator[str]:
    """The URL of the pages."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(
            portal.call(serving, RunsApp(fake, "postgresql://db.example.com/fleet"), 0)
        ) as served,
    ):
        yield served


def opened(browser: "Browser", url: str, width: int = 1200, scheme: str = "light") -> "Page":
    """Return a page that collects the violations of its policy in `window.violations`."""
    page = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page.add_init_script(WATCH_POLICY)
    page.goto(url)
    return page


@pytest.mark.parametrize("path", ["", "runs/000000000004"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_accessibility(browser: "Browser", url: str, path: str, scheme: str, width: int) -> None:
    """axe finds no violation, nothing is wider than the window, and the policy is kept."""
    from axe_playwright_python.sync_playwright import Axe

    page = opened(browser, url + path, width, scheme)

    results = Axe().run(page)

    assert [] == [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in results.response["violations"]
    ]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [] == page.evaluate("window.violations")
    page.close()


def test_refresh(browser: "Browser", url: str, fake: FakeFleet) -> None:
    """The page shows a new state by itself, keeps the focus, and reports an outage."""
    page = opened(browser, url)
    link = page.locator("a[href='runs/000000000001']")
    link.focus()
    assert "1 run waits for an approval" == page.inner_text("h1")

    fake.stored["000000000001"] = attrs.evolve(fake.stored["000000000001"], state="approved")
    page.wait_for_selector("h1:text-is('Runs')", timeout=15_000)

    assert page.evaluate("document.activeElement.getAttribute('href')") == "runs/000000000001"
    assert "Runs - losant-tokens" == page.title()

    page.route("**/*", lambda route: route.abort())
    page.wait_for_selector("body.stale", timeout=15_000)
    assert "the server does not respond" in page.inner_text("#status")
    page.close()


def test_links(browser: "Browser", url: str) -> None:
    """The links lead from the list to a run and back, and filter the list."""
    page = opened(browser, url)

    page.click(".filters a[href='./?state=waiting']")
    page.wait_for_url("**/?state=waiting")
    assert page.locator("table.runs tbody tr").count() == 1
    page.click("a[href='runs/000000000001']")
    assert "13 tokens of the plan" in page.inner_text("#content")
    page.click(".back a")
    assert page.locator("table.runs tbody tr").count() == len(fleet.RUN_STATES)
    page.close()


def test_without_script(browser: "Browser", url: str) -> None:
    """Without JavaScript, the page is complete."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url)

    assert page.locator("table.runs tbody tr").count() == len(fleet.RUN_STATES)
    context.close()
