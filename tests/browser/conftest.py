"""Fixtures that open pages in Chromium; `nox -s browser` installs the packages and runs the tests.

Without the environment variable, as in a plain run of pytest, nothing in this folder is collected.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from losant_tokens.jobs import save_plan_page
from tests.browser.samples import EQUALLY_OFTEN, sample_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

collect_ignore_glob = [] if os.environ.get("BROWSER_TESTS") else ["test_*.py"]

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",  # It does not start as root, as in a container.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WATCH_POLICY = """
    window.violations = [];
    addEventListener("securitypolicyviolation",
        (event) => violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""


def chromium() -> str:
    """Return the path of the installed Chromium or Chrome.

    Raises:
        LookupError: There is none.
    """
    if path := os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None):
        return path
    raise LookupError("Chromium is not installed: install it, or set CHROMIUM to its path")


# The package scope ends before a test of another folder begins. The synchronous interface of
# Playwright runs an event loop, beside which no other can run.
@pytest.fixture(scope="package")
def browser() -> Iterator["Browser"]:
    """Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield browser
        browser.close()


@attrs.define
class Pages:
    """Opens pages, and collects what is wrong with them."""

    browser: "Browser"
    problems: list[str] = attrs.field(factory=list)
    opened: list["Page"] = attrs.field(factory=list)

    def open(self, path: Path, *, width: int = 1280, height: int = 900, **options: Any) -> "Page":
        """Open a file in a page of its own.

        Args:
            path: The file.
            width: The width of the window, in CSS pixels.
            height: The height of the window, in CSS pixels.
            options: Other options of the page, such as `color_scheme`.
        """
        page = self.browser.new_page(viewport={"width": width, "height": height}, **options)
        self.opened.append(page)
        page.on("console", lambda message: self.problems.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self._check_request(request.url, path))
        page.add_init_script(WATCH_POLICY)
        page.goto(path.as_uri())
        return page

    def _check_request(self, url: str, path: Path) -> None:
        if url.partition("#")[0] != path.as_uri() and not url.startswith("data:"):
            self.problems.append(f"request: {url}")

    def violations(self) -> list[str]:
        """Return the violations of the content security policy in all pages."""
        return [one for page in self.opened for one in page.evaluate("window.violations || []")]


@pytest.fixture
def pages(browser: "Browser") -> Iterator[Pages]:
    """Pages, none of which may write to the console, load anything or violate its policy."""
    pages = Pages(browser)
    yield pages
    problems = pages.problems + pages.violations()
    for page in pages.opened:
        page.close()
    assert [] == problems


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files that several tests open."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="package")
def small(folder: Path) -> Path:
    """The page of a report of 60 tokens, with each outcome."""
    return sample_report(folder, 60, EQUALLY_OFTEN).save(folder / "small.html")


@pytest.fixture(scope="package")
def large(folder: Path) -> Path:
    """The page of a report of 20,000 tokens."""
    return sample_report(folder, 20_000).save(folder / "large.html")


@pytest.fixture(scope="package")
def plan_page(folder: Path) -> Path:
    """The page of a plan of 60 tokens."""
    return save_plan_page(sample_report(folder, 60).plan, folder / "plan.html")
