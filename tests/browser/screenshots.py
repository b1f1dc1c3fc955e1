"""Write screenshots of the pages: `python -m tests.browser.screenshots [FOLDER]`.

The default folder is that of the documentation, which shows wide windows only. In another folder,
there is a screenshot of each page and of its list, at each width, light and dark.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import attrs

from losant_tokens.jobs import Plan, Report, save_plan_page
from tests.browser.conftest import FLAGS, chromium
from tests.browser.samples import sample_report

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "_static" / "screenshots"
WINDOWS = ((1280, 1480), (390, 1500))


def main() -> None:
    """Write the screenshots."""
    from playwright.sync_api import sync_playwright

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else DOCUMENTATION).absolute()
    is_complete = folder != DOCUMENTATION
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as temporary,
        contextlib.chdir(temporary),
        sync_playwright() as playwright,
    ):
        report = report_of_named_plan()
        pages = (report.save("report.html"), save_plan_page(report.plan, "plan.html"))
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        for path in pages:
            for width, height in WINDOWS if is_complete else WINDOWS[:1]:
                for scheme in ("light", "dark"):
                    page = browser.new_page(
                        viewport={"width": width, "height": height}, color_scheme=scheme
                    )
                    page.goto(path.absolute().as_uri())
                    stem = f"{path.stem}-{width}-{scheme}"
                    page.screenshot(path=folder / f"{stem}.png")
                    if is_complete:
                        page.evaluate("document.querySelector('#tokens').scrollIntoView()")
                        page.screenshot(path=folder / f"{stem}-list.png")
                    page.close()
        browser.close()


def report_of_named_plan() -> Report:
    """Return a report whose plan and journal have short paths."""
    made = sample_report(Path(), 22_000)
    path = made.plan.path.rename("expired.jsonl")
    journal = path.with_name("expired.jsonl.journal")
    return attrs.evolve(made, plan=Plan.read(path), journal=journal)


if __name__ == "__main__":
    main()
