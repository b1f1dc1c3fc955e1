"""The pages of reports and plans in Chromium."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from losant_tokens import Owner
from losant_tokens.jobs import Outcome
from tests.browser.conftest import Pages
from tests.browser.samples import EQUALLY_OFTEN, sample_report
from tests.support.pages import ParsedPage
from tests.support.reports import entry, report

if TYPE_CHECKING:
    from playwright.sync_api import Page

RANK = ("failed", "unknown", "not started", "changed", "protected", "gone", "done")
DIALOG = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def column(page: "Page", name: str) -> list[str]:
    """Return the text of a column, row by row, without the label that narrow windows show."""
    texts: list[str] = page.eval_on_selector_all(
        f"#rows .{name}",
        """cells => cells.map(cell => [...cell.childNodes]
            .filter(node => node.className !== "label")
            .map(node => node.textContent).join("|"))""",
    )
    return texts


def ranges(page: "Page") -> str:
    """Return the numbers of the rows that are shown."""
    text: str = page.inner_text("nav.pager >> nth=0 >> .range")
    return text


def turn(page: "Page", name: str) -> None:
    page.click(f'nav.pager >> nth=0 >> button:text-is("{name}")')


def choose_size(page: "Page", size: int) -> None:
    page.select_option("nav.pager select", str(size))


def filter_by(page: "Page", text: str) -> None:
    """Type a text into the filter, and wait for the list."""
    page.fill("#text", text)
    page.wait_for_timeout(200)


# --- Sorting ---------------------------------------------------------------------------------

MEMBERS: dict[str, Callable[[list[Any]], Any]] = {
    "id": lambda row: row[2],
    "state": lambda row: row[0],
    "detail": lambda row: row[4] or row[3],
    "creator": lambda row: row[5].lower(),
    "scopes": lambda row: " ".join(row[6]),
    "created": lambda row: row[7],
    "expires": lambda row: row[8] or "~",
    "updated": lambda row: row[9],
    "owner": lambda row: row[10],
    "name": lambda row: (row[1].rpartition("-")[0], int(row[1].rpartition("-")[2])),
}


@pytest.fixture(scope="package")
def several_owners(folder: Path) -> Path:
    """The page of a report about tokens of several owners, so with each column."""
    owners = [Owner.user(), Owner.application("b" * 24), Owner.application("a" * 24)]
    source = sample_report(folder, 60, EQUALLY_OFTEN)
    entries = [
        entry(
            int(one.id, 16),
            one.name,
            owner=owners[number % 3],
            scope=one.scope,
            creator_name=one.creator_name,
            creation_date=one.creation_date,
            expiration_date=one.expiration_date,
            last_updated=one.last_updated,
            reason=one.reason,
            protected=one.protected,
        )
        for number, one in enumerate(source.plan.entries())
    ]
    outcomes = [result.outcome for result in source.results()]
    made = report(folder, outcomes, entries=entries)
    made.states.errors.update(source.states.errors)
    return made.save(folder / "owners.html")


@pytest.mark.parametrize("name", MEMBERS)
def test_sorting(pages: Pages, several_owners: Path, name: str) -> None:
    """A click on a header sorts by its column, and a second click reverses the order."""
    page = pages.open(several_owners)
    rows = ParsedPage(several_owners).rows
    in_plan_order = sorted(rows, key=MEMBERS[name])
    reversed_ = sorted(rows, key=MEMBERS[name], reverse=True)
    header = page.locator(f'thead [data-column="{name}"]')
    first, second = (in_plan_order, reversed_)
    if name == "state":  # The list is sorted by it already.
        first, second = second, first

    header.locator("button").click()
    direction, ids = header.get_attribute("aria-sort"), column(page, "id")
    assert [row[2] for row in first] == ids
    assert direction == ("descending" if name == "state" else "ascending")

    header.locator("button").click()
    assert [row[2] for row in second] == column(page, "id")
    assert 1 == page.locator("thead [aria-sort]").count()


def test_failures_come_first(pages: Pages, small: Path) -> None:
    """At first, the list is sorted by outcome, and failures come first."""
    page = pages.open(small)

    outcomes = [text.strip("|") for text in column(page, "state")]
    assert sorted(outcomes, key=RANK.index) == outcomes
    assert "failed" == outcomes[0]
    assert "ascending" == page.get_attribute('[data-column="state"]', "aria-sort")


def test_sorting_with_the_keyboard(pages: Pages, small: Path) -> None:
    """The keyboard reaches the headers and sorts."""
    page = pages.open(small)

    page.focus('thead [data-column="name"] button')
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    assert "ascending" == page.get_attribute('[data-column="id"]', "aria-sort")
    assert sorted(column(page, "id")) == column(page, "id")


def test_sorting_in_a_narrow_window(pages: Pages, small: Path) -> None:
    """In a narrow window, a menu and a button sort."""
    page = pages.open(small, width=390)

    page.select_option("#sort", "id")
    ascending = column(page, "id")
    page.click("#direction")

    assert sorted(ascending) == ascending
    assert ascending[::-1] == column(page, "id")
    assert "Descending" in page.inner_text("#direction")


# --- Filters ---------------------------------------------------------------------------------


def test_filter_by_text(pages: Pages, large: Path) -> None:
    """The filter finds text of each member, in upper and lower case."""
    page = pages.open(large)
    rows = ParsedPage(large).rows

    for text, expected in (
        ("LINE-7-sensor", sum("line-7-sensor" in row[1] for row in rows)),
        ("hamilton", sum("Hamilton" in row[5] for row in rows)),
        ("devices.state", sum("devices.state" in row[6] for row in rows)),
        ("too many requests", sum("Too Many" in row[4] for row in rows)),
        (rows[77][2], 1),
    ):
        filter_by(page, text)
        assert ranges(page).endswith(f"of {expected:,} (20,000 tokens without filters)")

    page.click("#clear")
    assert "1\u2013200 of 20,000" == ranges(page)


def test_filter_by_outcome(pages: Pages, large: Path) -> None:
    """Outcomes can be chosen, several at once and together with a text."""
    page = pages.open(large)
    rows = ParsedPage(large).rows

    page.click("#chips >> text=failed")
    page.click("#chips >> text=unknown")
    filter_by(page, "deploy")

    expected = [row[2] for row in rows if row[0] < 2 and "deploy" in row[1]]
    assert sorted(expected) == sorted(column(page, "id"))
    assert "true" == page.get_attribute("#chips >> button >> nth=0", "aria-pressed")


def test_filter_by_tokens_that_can_create_tokens(pages: Pages, plan_page: Path) -> None:
    """A button shows only the tokens that can create tokens, and another shows all again."""
    page = pages.open(plan_page)
    expected = [row[2] for row in ParsedPage(plan_page).rows if row[12]]

    page.click("#chips >> text=can create tokens")

    assert sorted(expected) == sorted(column(page, "id"))
    page.evaluate(RECORD_PRINT)
    page.evaluate("print()")
    statement = f"All {len(expected)} tokens that match can create tokens."
    assert [[len(expected), statement]] == page.evaluate("printed")
    page.click("#clear")
    assert "1\u201360 of 60" == ranges(page)
    assert "false" == page.get_attribute("#chips >> text=can create tokens", "aria-pressed")


def test_filter_without_a_match(pages: Pages, small: Path) -> None:
    """If no token matches, the list says so."""
    page = pages.open(small)

    filter_by(page, "no such token")

    assert "No token matches." == page.inner_text("#rows")
    assert "0 of 0 (60 tokens without filters)" == ranges(page)


def test_order_of_a_plan(pages: Pages, plan_page: Path) -> None:
    """On a phone, the list of one action starts in the order of the plan, and returns to it."""
    page = pages.open(plan_page, width=390)
    in_plan_order = [row[2] for row in ParsedPage(plan_page).rows]
    assert "Order of the plan" == page.inner_text("#sort option:checked")

    page.select_option("#sort", "name")
    page.select_option("#sort", label="Order of the plan")

    assert in_plan_order == column(page, "id")


def test_dates_do_not_wrap(pages: Pages, folder: Path) -> None:
    """A date in a reason stays on one line in a narrow window."""
    entries = [entry(1, reason="expired on 2022-12-04, created on 2022-11-27")]
    path = report(folder, [Outcome.DONE], entries=entries).save(folder / "dates.html")

    dates = pages.open(path, width=330).locator("#rows .detail .date")

    assert ["2022-12-04", "2022-11-27"] == dates.all_inner_texts()
    assert [1, 1] == dates.evaluate_all("dates => dates.map(one => one.getClientRects().length)")


# --- Pages -----------------------------------------------------------------------------------


def test_each_row_is_on_one_page(pages: Pages, large: Path) -> None:
    """The pages of 20,000 tokens end, and each token is on one of them."""
    page = pages.open(large)
    choose_size(page, 1000)
    seen = column(page, "id")

    for number in range(1, 20):
        turn(page, "Next")
        assert f"{number * 1000 + 1:,}\u2013{number * 1000 + 1000:,} of 20,000" == ranges(page)
        seen += column(page, "id")

    assert "true" == page.get_attribute('[data-to="Next"]', "aria-disabled")
    assert sorted(row[2] for row in ParsedPage(large).rows) == sorted(seen)


def test_first_and_last_page(pages: Pages, large: Path) -> None:
    """The buttons lead to the first, the previous, the next and the last page."""
    page = pages.open(large)

    assert "1\u2013200 of 20,000" == ranges(page)
    for name, expected in (
        ("Last", "19,801\u201320,000 of 20,000"),
        ("Previous", "19,601\u201319,800 of 20,000"),
        ("First", "1\u2013200 of 20,000"),
        ("Next", "201\u2013400 of 20,000"),
    ):
        turn(page, name)
        assert expected == ranges(page)
        assert 200 == len(column(page, "id"))
    assert "Tokens 201\u2013400 of 20,000" == page.inner_text("#status")


def test_disabled_button_does_nothing(pages: Pages, large: Path) -> None:
    """A button that leads nowhere keeps the focus and does nothing."""
    page = pages.open(large)

    page.focus('[data-to="Previous"] >> nth=0')
    page.keyboard.press("Enter")

    assert "1\u2013200 of 20,000" == ranges(page)


def test_page_size_keeps_the_place(pages: Pages, large: Path) -> None:
    """Another number of rows for each page keeps the first row on the page."""
    page = pages.open(large)
    turn(page, "Last")
    first = column(page, "id")[0]

    choose_size(page, 50)

    assert "19,801\u201319,850 of 20,000" == ranges(page)
    assert first == column(page, "id")[0]


def test_buttons_below_the_list(pages: Pages, large: Path) -> None:
    """The buttons below the list lead to the top of the next page, where the focus follows."""
    page = pages.open(large)

    page.click('#pages-below [data-to="Next"]')

    assert "201\u2013400 of 20,000" == ranges(page)
    assert page.evaluate("document.querySelector('#tokens').getBoundingClientRect().top") >= 0
    assert page.evaluate("document.activeElement === document.querySelector('[data-to=Next]')")


def test_paging_of_a_sorted_and_filtered_list(pages: Pages, large: Path) -> None:
    """Pages follow the order and the filter, which lead back to the first page."""
    page = pages.open(large)
    turn(page, "Last")

    filter_by(page, "deploy")
    page.click('thead [data-column="id"] button')
    seen = column(page, "id")
    while page.get_attribute('[data-to="Next"]', "aria-disabled") == "false":
        turn(page, "Next")
        seen += column(page, "id")

    assert sorted(row[2] for row in ParsedPage(large).rows if "deploy" in row[1]) == seen


def test_short_list_has_no_buttons_below(pages: Pages, small: Path) -> None:
    """A list of one page has no buttons below it."""
    assert not pages.open(small).is_visible("#pages-below")


def test_list_that_fits_the_smallest_page(pages: Pages, plan_page: Path) -> None:
    """If at most 50 tokens match, no buttons and no size of a page are offered."""
    page = pages.open(plan_page)
    assert page.is_visible("nav.pager select")

    filter_by(page, "deploy")

    assert not page.is_visible("nav.pager select")
    assert not page.is_visible("nav.pager button")
    assert page.is_visible("nav.pager .range")


@pytest.mark.slow
def test_very_long_list(pages: Pages, folder: Path) -> None:
    """A page of 100,000 tokens opens, sorts and shows its end."""
    page = pages.open(sample_report(folder, 100_000).save(folder / "very-long.html"))

    page.click('thead [data-column="name"] button')
    turn(page, "Last")

    assert "99,801\u2013100,000 of 100,000" == ranges(page)


# --- Paper -----------------------------------------------------------------------------------

RECORD_PRINT = """
    window.printed = [];
    window.print = () => {
        dispatchEvent(new Event("beforeprint"));
        dispatchEvent(new Event("afterprint"));
    };
    addEventListener("beforeprint", () => printed.push([
        document.querySelectorAll("#rows tr").length,
        document.querySelector("#on-paper").textContent]));
"""


def test_print_of_a_short_list(pages: Pages, folder: Path) -> None:
    """A list of up to 2,000 tokens is printed completely, whichever page is shown."""
    path = sample_report(folder, 1500).save(folder / "print.html")
    page = pages.open(path)
    page.evaluate(RECORD_PRINT)

    pdf = page.pdf(prefer_css_page_size=True)

    assert pdf.startswith(b"%PDF")
    assert [[1500, "All 1,500 tokens."]] == page.evaluate("printed")
    assert 200 == page.locator("#rows tr").count()


def test_print_of_a_long_list_states_its_rows(pages: Pages, large: Path) -> None:
    """The print of a part of a long list says which part it is, and how to print the others."""
    page = pages.open(large)
    turn(page, "Next")
    page.evaluate(RECORD_PRINT)

    page.pdf(prefer_css_page_size=True)

    advice = "To print others, show their page, or filter the list to 5,000 tokens."
    assert [[200, f"Tokens 201\u2013400 of 20,000. {advice}"]] == page.evaluate("printed")
    assert "Print 201\u2013400 of 20,000" == page.inner_text("#print")
    page.emulate_media(media="print")
    assert page.is_visible("#on-paper")
    assert not page.is_visible("#controls button")


def test_print_offers_all_tokens(pages: Pages, large: Path) -> None:
    """The print of a part of a list of up to 5,000 tokens says how to print all of them."""
    page = pages.open(large)
    filter_by(page, "deploy")
    page.evaluate(RECORD_PRINT)

    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    advice = "To print all of them, choose \u201cPrint all\u201d on the page."
    ((count, statement),) = page.evaluate("printed")
    assert 200 == count
    assert statement.endswith(f"that match \u201cdeploy\u201d. {advice}")


def test_print_has_all_scopes(pages: Pages, small: Path) -> None:
    """A row on paper has all scopes of its token, also those that the page folds."""
    page = pages.open(small)
    filter_by(page, "applications.post")
    assert "and 2 more" in column(page, "scopes")[0]

    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    names = ("get", "patch", "export", "debug", "import", "post")
    assert ", ".join(f"applications.{name}" for name in names) in column(page, "scopes")[0]


def test_print_all(pages: Pages, large: Path) -> None:
    """The button prints all tokens that match, and then shows the same page as before."""
    page = pages.open(large)
    filter_by(page, "deploy")
    page.click("#chips >> text=done")
    turn(page, "Next")
    page.evaluate(RECORD_PRINT)
    count = sum("deploy" in row[1] and row[0] == 6 for row in ParsedPage(large).rows)

    assert f"Print all {count:,}" == page.inner_text("#print")
    page.click("#print")

    statement = f"All {count:,} tokens that match done and \u201cdeploy\u201d."
    assert [[count, statement]] == page.evaluate("printed")
    assert ranges(page).startswith("201\u2013400 of ")
    assert 200 == page.locator("#rows tr").count()


# --- Safety ----------------------------------------------------------------------------------


def test_strings_of_the_server_are_text(pages: Pages, folder: Path) -> None:
    """No string of the server runs as a script or adds an element."""
    made = report(
        folder,
        [Outcome.FAILED],
        entries=[
            entry(
                1,
                DIALOG + "\u202e",
                reason=DIALOG,
                creator_name=DIALOG,
                scope=(DIALOG,),
                description=DIALOG,
            )
        ],
        header={"rule": DIALOG},
        gave_up=DIALOG,
    )
    made.states.errors[0] = DIALOG

    page = pages.open(made.save(folder / "evil.html"))

    assert [f"{DIALOG}\\u{{202e}}|{DIALOG}"] == column(page, "name")
    assert [f"{DIALOG}|{DIALOG}"] == column(page, "detail")
    assert 0 == page.locator("img").count()


def test_policy_allows_no_other_script(browser: Any, small: Path) -> None:
    """The content security policy blocks every script except the page's own."""
    page = browser.new_page()
    page.goto(small.as_uri())

    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
        }"""
    )

    assert page.evaluate("window.ran") is None
    page.close()


def test_page_without_javascript(pages: Pages, large: Path, browser: Any) -> None:
    """Without JavaScript, the page has the facts and the first tokens, as they are with it."""
    with_script = pages.open(large)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(large.as_uri())

    assert "shows 50 of 20,000 tokens" in page.inner_text("#tokens")
    assert page.is_visible("text=Failures by reason")
    assert not page.is_visible("#text")
    rows = page.locator("#rows tr")
    assert 50 == rows.count()
    for number in (0, 17, 49):
        expected = with_script.locator("#rows tr").nth(number).inner_text().split()
        assert expected[:6] == rows.nth(number).inner_text().split()[:6]
    context.close()


# --- Appearance ------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [390, 800, 1280, 1900])
@pytest.mark.parametrize("name", ["small", "large", "several_owners", "plan_page"])
def test_page_fits_the_window(
    pages: Pages, request: pytest.FixtureRequest, name: str, width: int
) -> None:
    """The page is never wider than the window. Only the list may scroll sideways."""
    page = pages.open(request.getfixturevalue(name), width=width)

    assert [width, width] == page.evaluate("[document.documentElement.scrollWidth, innerWidth]")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["small", "several_owners", "plan_page"])
def test_accessibility(
    pages: Pages, request: pytest.FixtureRequest, name: str, scheme: str, width: int
) -> None:
    """axe finds no violation."""
    from axe_playwright_python.sync_playwright import Axe

    page = pages.open(request.getfixturevalue(name), width=width, color_scheme=scheme)

    results = Axe().run(page)

    assert [] == [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in results.response["violations"]
    ]


def test_keyboard_reaches_the_list_first(pages: Pages, small: Path) -> None:
    """The first press of the tabulator key offers a link to the list."""
    page = pages.open(small)

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    assert "tokens" == page.evaluate("document.activeElement.id")


def test_chart_shows_the_sample_under_the_pointer(pages: Pages, small: Path) -> None:
    """The charts show the values under the pointer."""
    page = pages.open(small)
    plot = page.locator(".plot").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None

    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 5)

    assert page.inner_text(".panel output >> nth=0").endswith(" at 118.0 s")
    page.mouse.move(1, 1)
    assert page.inner_text(".panel output >> nth=0").startswith("up to ")
