"""Reports as HTML pages."""

import base64
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from losant_tokens import Owner
from losant_tokens.jobs import Outcome, PaceSample, Report
from losant_tokens.jobs._report.charts import format_duration, format_tick, ticks
from tests.support.pages import ParsedPage
from tests.support.reports import ERROR, LAST, NOW, entry, report

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&'\" \u202e\ud800"


class Page(ParsedPage):
    """The page of a report."""

    def __init__(self, report_: Report, folder: Path) -> None:
        super().__init__(report_.save(folder / "page.html"))


def pace(*samples: tuple[float, float, int, int]) -> list[PaceSample]:
    return [
        PaceSample(at=at, per_second=rate, concurrency=concurrency, refused=refused)
        for at, rate, concurrency, refused in samples
    ]


def test_page(tmp_path: Path) -> None:
    """The page shows the outcome, the totals, the plan and the run."""
    made = report(
        tmp_path,
        [Outcome.DONE] * 1000 + [Outcome.FAILED, Outcome.CHANGED, Outcome.GONE, Outcome.PROTECTED],
        pace=pace((0, 50, 8, 0), (1, 1234.6, 20, 3)),
        settings={"Rate": None, "At once": 50},
        header={"token_in_use": "f" * 24, "protected": ("prod-*", "x")},
    )

    page = Page(made, tmp_path)

    for text in (
        "1,000 of 1,003 tokens deleted",
        "https://api.losant.com",
        "Deleted 1,000 of 2,008 listed",
        "Left alone 3 1 changed, 1 gone, 1 protected",
        "Failed 1 see the reasons below",
        "Open 0 every token has an outcome",
        "Time 10.0 s 2 requests per second",
        "Requests 20 2 retries",
        "Rate limited 3 requests refused with 429",
        "Peak rate 1,235/s up to 20 in flight",
        "Tokens of user 2,008 listed, 1,003 selected, 1 protected",
        "Protected tokens prod-*, x",
        f"Token in use {'f' * 24}",
        "Started 2026-03-01 12:00:20 UTC Ended 2026-03-01 12:00:30 UTC Duration 10.0 s",
        "Rate automatic At once 50",
    ):
        assert text in page.text
    assert "--resume" not in page.text
    assert "kept changing" not in page.text


def test_rows(tmp_path: Path) -> None:
    """A row has the outcome of a token, and why it was selected or left alone."""
    made = report(tmp_path, [Outcome.DONE, Outcome.FAILED, Outcome.PROTECTED, None])

    page = Page(made, tmp_path)

    reason = "expired on 2025-01-02"
    states = [page.meta["states"][row[0]][1] for row in page.rows]
    assert ["done", "failed", "protected", "not started"] == states
    assert [
        ["ci-0", f"{0:024x}", reason, ""],
        ["ci-1", f"{1:024x}", reason, ERROR],
        ["ci-2", f"{2:024x}", reason, "protected by 'x'"],
        ["ci-3", f"{3:024x}", reason, ""],
    ] == [row[1:5] for row in page.rows]


def test_failures_come_first(tmp_path: Path) -> None:
    """The list begins with the tokens that need attention, and every outcome has a place in it."""
    made = report(tmp_path, [*Outcome, None])

    page = Page(made, tmp_path)

    expected = ["failed", "unknown", "not started", "changed", "protected", "gone", "done"]
    assert expected == [label for _, label in page.meta["states"]]
    assert sorted(row[0] for row in page.rows) == list(range(7))


def test_members_of_rows(tmp_path: Path) -> None:
    """A row has the creator, the scopes, the dates and the description of a token."""
    one = entry(
        1,
        creator_name="grace",
        creator_id="c" * 24,
        scope=("all.User", "x"),
        description="for CI",
        creation_date=LAST + timedelta(milliseconds=678),
        expiration_date=NOW,
        last_updated=None,
    )
    made = report(tmp_path, [Outcome.DONE], entries=[one])

    (row,) = Page(made, tmp_path).rows

    dates = ["2025-01-02T00:00:00Z", "2026-03-01T12:00:00Z", ""]
    assert ["grace", ["all.User", "x"], *dates, "user", "for CI", 1] == row[5:]


@pytest.mark.parametrize(("members", "creator"), [({}, ""), ({"creator_id": "c" * 24}, "c" * 24)])
def test_unknown_members_of_rows(tmp_path: Path, members: dict[str, Any], creator: str) -> None:
    """A token of an old plan has no creator and no scopes; a creator without a name has an id."""
    made = report(tmp_path, [Outcome.DONE], entries=[entry(1, **members)])

    (row,) = Page(made, tmp_path).rows

    assert [creator, [], "", 0] == [row[5], row[6], row[11], row[12]]


def test_columns(tmp_path: Path) -> None:
    """The list has every column for which any token has a value."""
    one = entry(1, creator_name="grace", scope=("all.User",))
    other = entry(2, owner=Owner.application("a" * 24))
    made = report(tmp_path, [Outcome.DONE] * 2, entries=[one, other])

    page = Page(made, tmp_path)

    labels = "Name Id Outcome Detail Creator Scopes Created Expires|Last updated|Owner"
    assert labels.replace("|", " ") == " ".join(label for _, label in page.meta["columns"])
    headers = [
        attributes["data-column"] for tag, attributes in page.tags if _is_header(tag, attributes)
    ]
    assert [key for key, _ in page.meta["columns"]] == headers


def _is_header(tag: str, attributes: dict[str, str | None]) -> bool:
    return tag == "th" and "data-column" in attributes


def test_empty_columns_are_left_out(tmp_path: Path) -> None:
    """The list has no column for a member that no token has, and none for a single owner."""
    made = report(tmp_path, [Outcome.DONE], entries=[entry(1, creation_date=None)])

    page = Page(made, tmp_path)

    keys = ["name", "id", "state", "detail", "expires", "updated"]
    assert keys == [key for key, _ in page.meta["columns"]]


def test_failures_by_reason(tmp_path: Path) -> None:
    """The page counts the failures for each reason, whichever token an error names."""
    made = report(tmp_path, [Outcome.FAILED] * 3 + [Outcome.UNKNOWN])
    made.states.errors.update(
        {0: f"404 for {0:024x}", 1: "500 Internal", 2: f"404 for {2:024x}", 3: "lost"}
    )

    page = Page(made, tmp_path)

    assert "Failures by reason 2 404 for … 1 500 Internal Tokens" in page.text


def test_many_reasons(tmp_path: Path) -> None:
    """The page shows the most frequent reasons, and counts the others."""
    made = report(tmp_path, [Outcome.FAILED] * 15)
    made.states.errors.update({number: f"error {number}" for number in range(15)})

    page = Page(made, tmp_path)

    assert "1 error 11 3 3 other reasons: see the list Tokens" in page.text


def test_page_without_javascript(tmp_path: Path) -> None:
    """Without JavaScript, the page shows the first tokens, and how many it does not show."""
    names = ["n-0", *(f"n-{number}" for number in range(1, 60)), "bad"]
    made = report(tmp_path, [Outcome.DONE] * 60 + [Outcome.FAILED], names)

    page = Page(made, tmp_path)

    assert "Without JavaScript, this page shows 50 of 61 tokens. The .csv and .json" in page.text
    assert "bad" == page.texts[page.texts.index("Last updated") + 1]
    assert "n-48" in page.texts
    assert "n-49" not in page.texts


def test_short_list_without_javascript(tmp_path: Path) -> None:
    """Without JavaScript, a short list is complete, with all members of its tokens."""
    one = entry(
        1, scope=("all.User", "x"), creator_name="grace", description="for\nCI", last_updated=None
    )
    made = report(tmp_path, [Outcome.FAILED], entries=[one])

    page = Page(made, tmp_path)

    assert "To sort and filter the tokens, allow JavaScript." in page.text
    start = page.texts.index("Last updated") + 1
    cells = [
        *("ci-1", "for CI", f"{1:024x}", "failed", ERROR, "expired on 2025-01-02", "grace"),
        *("all.User", "x", "can create tokens", "2025-01-02", "never"),
    ]
    assert cells == page.texts[start : start + len(cells)]


def test_invisible_characters_become_escapes(tmp_path: Path) -> None:
    """Characters that could hide or reverse other text are shown as escapes."""
    made = report(
        tmp_path, [Outcome.DONE], ["a\u202eb\x1bc\ud800 \xa0d"], header={"rule": "named '\u200b'"}
    )

    page = Page(made, tmp_path)

    assert r"a\u{202e}b\u{1b}c\u{d800} " in page.text
    assert r"named '\u{200b}'" in page.text


def test_hostile_strings_add_no_tags(tmp_path: Path) -> None:
    """No name, reason, error, rule or setting can add a tag to the page."""
    plain = Page(report(tmp_path, [Outcome.FAILED], header={"token_in_use": "f" * 24}), tmp_path)
    made = report(
        tmp_path,
        [Outcome.FAILED],
        entries=[entry(1, EVIL[:-1], reason=EVIL[:-1])],
        header={"rule": EVIL[:-1], "protected": (EVIL[:-1],), "token_in_use": EVIL[:-1]},
        settings={EVIL: EVIL},
        gave_up=EVIL,
    )
    made.states.errors[0] = EVIL

    page = Page(made, tmp_path)

    own = {"p", "div", "dt", "dd"}
    tags = [tag for tag, _ in page.tags if tag not in own]
    assert [tag for tag, _ in plain.tags if tag not in own] == tags
    assert [[0, EVIL[:-1], f"{1:024x}", EVIL[:-1], EVIL]] == [row[:5] for row in page.rows]
    assert "<img" not in page.source
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_page_needs_no_network(tmp_path: Path) -> None:
    """The page loads nothing, and its policy allows one script."""
    page = Page(report(tmp_path, [Outcome.DONE]), tmp_path)

    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in {"src", "href", "action", "srcset"}
    ]
    policy = next(
        str(attributes["content"])
        for _, attributes in page.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    script_hash = base64.b64encode(hashlib.sha256(page.scripts[2].encode()).digest()).decode()
    assert ["data:,", "#tokens"] == addresses
    assert "url(" not in page.source
    assert "@import" not in page.source
    assert (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script_hash}';"
        in policy
    )
    assert "innerHTML" not in page.scripts[2]


def test_charts(tmp_path: Path) -> None:
    """The charts show the rate, the concurrency and the 429 responses over time."""
    made = report(tmp_path, [], pace=pace((0, 0, 5, 0), (5, 50, 10, 4), (10, 100, 5, 0)))

    page = Page(made, tmp_path)

    labels = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"]
    paths = {attributes["class"]: attributes["d"] for tag, attributes in page.tags if tag == "path"}
    assert [
        "Requests per second over 10.0 s: up to 100",
        "Concurrency over 10.0 s: up to 10",
        "429 responses over 10.0 s: 4 in total",
    ] == labels
    assert 'd="M0.0 100.0L500.0 50.0L1000.0 0.0"' in page.source
    assert "M500.0 100V0.0h200.0V100Z" == paths["bars"]
    assert "0 s 2 s 4 s 6 s 8 s" in page.text
    assert [[0, 0, 5, 0], [5, 50, 10, 4], [10, 100, 5, 0]] == page.meta["pace"]


@pytest.mark.parametrize("samples", [[], [(0, 5, 1, 0)], [(0, 5, 1, 0), (0, 6, 1, 0)]])
def test_short_run_has_no_charts(
    tmp_path: Path, samples: list[tuple[float, float, int, int]]
) -> None:
    """A run with fewer than two samples has no charts."""
    page = Page(report(tmp_path, [], pace=pace(*samples)), tmp_path)

    assert "The run was too short for a chart." in page.text
    assert "svg" not in {tag for tag, _ in page.tags}


def test_empty_run(tmp_path: Path) -> None:
    """A run without requests has charts and rates of zero."""
    made = report(tmp_path, [], pace=pace((0, 0, 0, 0), (9, 0, 0, 0)), seconds=0.0)

    page = Page(made, tmp_path)

    assert "0 tokens deleted" in page.text
    assert "0 requests per second" in page.text
    assert 'd="M0.0 100.0L1000.0 100.0"' in page.source


@pytest.mark.parametrize(
    ("outcomes", "gave_up", "expected"),
    [
        ([Outcome.DONE, None], None, "The job was stopped before it was complete. To continue:"),
        ([Outcome.DONE, None], "out", "The job gave up: out. To continue:"),
        ([Outcome.DONE, Outcome.UNKNOWN], None, "To continue: losant-tokens apply '"),
    ],
)
def test_incomplete_job_shows_how_to_resume(
    tmp_path: Path, outcomes: list[Outcome | None], gave_up: str | None, expected: str
) -> None:
    """The page of an incomplete job says why it ended, and how to resume it."""
    page = Page(report(tmp_path, outcomes, gave_up=gave_up), tmp_path)

    assert expected in page.text
    assert "--resume" in page.text
    assert "Open 1 1 " in page.text


@pytest.mark.parametrize(
    ("name", "expected"), [("j", " --resume --journal "), (None, " --resume ")]
)
def test_resume_command_names_the_journal(tmp_path: Path, name: str | None, expected: str) -> None:
    """The command to resume names the journal, unless it has the default path."""
    made = report(tmp_path, [Outcome.UNKNOWN])
    plan = made.plan.path
    journal = plan.with_name(name or f"{plan.name}.journal")

    page = Page(attrs.evolve(made, journal=journal), tmp_path)

    assert expected in f"{page.text} "
    assert ("--journal" in page.text) is (name is not None)


@pytest.mark.parametrize(
    ("action", "headline"),
    [
        ("delete", "1 token deleted"),
        ("deactivate", "1 token deactivated"),
        ("activate", "1 token activated"),
    ],
)
def test_title_names_the_action(tmp_path: Path, action: Any, headline: str) -> None:
    """The title names the action."""
    assert headline in Page(report(tmp_path, [Outcome.DONE], action=action), tmp_path).text


def test_owners_and_warnings_of_the_plan(tmp_path: Path) -> None:
    """The page shows all owners, and the warnings of the plan."""
    other = Owner.application("a" * 24)
    made = report(
        tmp_path,
        [Outcome.DONE] * 2,
        entries=[entry(1), entry(2, owner=other)],
        header={"drifted": True},
    )

    page = Page(made, tmp_path)

    assert f"user, {other}" in page.text
    assert f"Tokens of {other} 2 listed" in page.text
    assert "Token in use unknown" in page.text
    assert "the tokens kept changing" in page.text


def test_plan_that_may_be_incomplete(tmp_path: Path) -> None:
    """The page shows why tokens may be missing from the plan."""
    header = {"drifted": True, "incomplete": ("user: the API lists 1 token twice", "<b>")}

    page = Page(report(tmp_path, [Outcome.DONE], header=header), tmp_path)

    assert "tokens may be missing: user: the API lists 1 token twice; <b>" in page.text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 01 s"), (3599.6, "1 h 00 min")],
)
def test_format_duration(seconds: float, expected: str) -> None:
    """A duration is shown in seconds, minutes or hours."""
    assert expected == format_duration(seconds)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (0.4, ["0 s", "0.1 s", "0.2 s", "0.3 s"]),
        (61, ["0 s", "15 s", "30 s", "45 s"]),
        (200, ["0 s", "1:00", "2:00", "3:00"]),
        (48 * 3600, ["0 s", "8 h", "16 h", "24 h", "32 h", "40 h"]),
    ],
)
def test_ticks(end: float, expected: list[str]) -> None:
    """The time axis has a few round times, and none close to its end."""
    assert expected == [format_tick(at) for at in ticks(end)]


@pytest.mark.parametrize("before", [0, 3])
def test_earlier_runs(tmp_path: Path, before: int) -> None:
    """The page of a resumed job says which figures are those of the last run."""
    made = report(tmp_path, [Outcome.DONE] * 5, finished_before=before)

    page = made.save(tmp_path / "r.html").read_text()

    assert ("3 tokens were finished in earlier runs; the time" in page) is (before == 3)
