"""Reports to look at."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
import pytest

from losant_tokens import Owner
from losant_tokens.jobs import Outcome, PaceSample, Report
from losant_tokens.jobs._report.html import _span, _tick, _ticks
from tests.support.reports import ERROR, entry, report

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&'\" \u202e\ud800"


class Page(HTMLParser):
    """What a browser would see: the tags with their attributes, and the texts in them."""

    def __init__(self, report_: Report, folder: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.source = report_.save(folder / "page.html").read_text()
        self.feed(self.source)
        self.text = " ".join(self.texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)
        elif data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def rows(self) -> Any:
        """The tokens, as the script gets them."""
        return json.loads(self.scripts[1])


def pace(*samples: tuple[float, float, int, int]) -> list[PaceSample]:
    return [
        PaceSample(at=at, per_second=rate, concurrency=most, refused=refused)
        for at, rate, most, refused in samples
    ]


def test_page(tmp_path: Path) -> None:
    """The page has the outcome as its title, totals as tiles, and what the plan and run were."""
    made = report(
        tmp_path,
        [Outcome.DONE] * 1000 + [Outcome.FAILED, Outcome.CHANGED, Outcome.GONE, Outcome.PROTECTED],
        pace=pace((0, 50, 8, 0), (1, 1234.6, 20, 3)),
        settings={"Rate": None, "At once": 50},
        header={"token_in_use": "f" * 24, "protected": ("prod-*", "x")},
    )

    page = Page(made, tmp_path)

    for said in (
        "1,000 of 1,003 tokens deleted",
        "https://api.losant.com",
        "Deleted 1,000 of 2,008 listed",
        "Left alone 3 1 changed, 1 gone, 1 protected",
        "Failed 1 see the list for why",
        "Open 0 each has come to an end",
        "Time 10.0 s 2 requests per second",
        "Requests 20 2 were further tries",
        "Refusals 3 answered with 429: too fast",
        "Fastest 1,235/s 20 at once, at the most",
        "Tokens of user 2,008 listed, 1,003 selected, 1 protected",
        "Protected by request prod-*, x",
        f"Token in use {'f' * 24}",
        "Rate as found At once 50",
    ):
        assert said in page.text
    assert "--resume" not in page.text
    assert "kept changing" not in page.text


def test_rows(tmp_path: Path) -> None:
    """Each token is a row of data: its outcome, and why it was selected or left alone."""
    made = report(tmp_path, [Outcome.DONE, Outcome.FAILED, Outcome.PROTECTED, None])

    reason = "expired on 2025-01-02"
    assert [
        [0, "ci-0", f"{0:024x}", "user", reason, ""],
        [4, "ci-1", f"{1:024x}", "user", reason, ERROR],
        [3, "ci-2", f"{2:024x}", "user", reason, "protected by 'x'"],
        [6, "ci-3", f"{3:024x}", "user", reason, ""],
    ] == Page(made, tmp_path).rows


def test_the_script_knows_the_outcomes(tmp_path: Path) -> None:
    """The numbers of the outcomes mean the same to the script."""
    page = Page(report(tmp_path, []), tmp_path)

    found = re.search(r"OUTCOMES = (\[.*?\]);", page.scripts[2])
    assert found is not None
    assert [outcome.value for outcome in Outcome] + ["left"] == json.loads(found[1])


def test_hostile_texts(tmp_path: Path) -> None:
    """No name, reason, error, rule or path gets out of where it stands."""
    plain = Page(report(tmp_path, [Outcome.FAILED]), tmp_path)
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

    tags = [tag for tag, _ in page.tags if tag not in {"p", "dt", "dd"}]
    assert [tag for tag, _ in plain.tags if tag not in {"p", "dt", "dd"}] == tags
    assert [[4, EVIL[:-1], f"{1:024x}", "user", EVIL[:-1], EVIL]] == page.rows
    assert "<img" not in page.source
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_no_network(tmp_path: Path) -> None:
    """The page is one file that asks for nothing, and its policy runs one script alone."""
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
    hashed = base64.b64encode(hashlib.sha256(page.scripts[2].encode()).digest()).decode()
    assert ["data:,"] == addresses
    assert "url(" not in page.source
    assert "@import" not in page.source
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hashed}';" in policy
    assert "innerHTML" not in page.scripts[2]


def test_charts(tmp_path: Path) -> None:
    """Requests per second, concurrency and refusals are drawn over one axis of time."""
    made = report(tmp_path, [], pace=pace((0, 0, 5, 0), (5, 50, 10, 4), (10, 100, 5, 0)))

    page = Page(made, tmp_path)

    labels = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"]
    paths = {attributes["class"]: attributes["d"] for tag, attributes in page.tags if tag == "path"}
    assert [
        "Requests answered per second over 10.0 s: at most 100",
        "Concurrency over 10.0 s: at most 10",
        "Refusals (429) over 10.0 s: 4 in all",
    ] == labels
    assert 'd="M0.0 100.0L500.0 50.0L1000.0 0.0"' in page.source
    assert "M500.0 100V0.0h200.0V100Z" == paths["bars"]
    assert "0 s 2 s 4 s 6 s 8 s" in page.text
    assert [[0, 0, 5, 0], [5, 50, 10, 4], [10, 100, 5, 0]] == json.loads(page.scripts[0])


@pytest.mark.parametrize("samples", [[], [(0, 5, 1, 0)], [(0, 5, 1, 0), (0, 6, 1, 0)]])
def test_too_short_for_charts(tmp_path: Path, samples: list[tuple[float, float, int, int]]) -> None:
    """A run that was over at once has no charts."""
    page = Page(report(tmp_path, [], pace=pace(*samples)), tmp_path)

    assert "The run was too short for a chart." in page.text
    assert "svg" not in {tag for tag, _ in page.tags}


def test_nothing_happened(tmp_path: Path) -> None:
    """Charts and rates of nothing are drawn as nothing."""
    made = report(tmp_path, [], pace=pace((0, 0, 0, 0), (9, 0, 0, 0)), seconds=0.0)

    page = Page(made, tmp_path)

    assert "0 tokens deleted" in page.text
    assert "0 requests per second" in page.text
    assert 'd="M0.0 100.0L1000.0 100.0"' in page.source


@pytest.mark.parametrize(
    ("outcomes", "gave_up", "said"),
    [
        ([Outcome.DONE, None], None, "The run was stopped before all was done. To carry it on:"),
        ([Outcome.DONE, None], "out", "The run gave up: out. To carry it on:"),
        ([Outcome.DONE, Outcome.UNKNOWN], None, "To carry it on: losant-tokens apply '"),
    ],
)
def test_incomplete(
    tmp_path: Path, outcomes: list[Outcome | None], gave_up: str | None, said: str
) -> None:
    """A run that is not done says so, and how it is carried on."""
    page = Page(report(tmp_path, outcomes, gave_up=gave_up), tmp_path)

    assert said in page.text
    assert "--resume" in page.text
    assert "Open 1 1 " in page.text


@pytest.mark.parametrize(
    ("name", "expected"), [("j", " --resume --journal "), (None, " --resume ")]
)
def test_journal_in_the_advice(tmp_path: Path, name: str | None, expected: str) -> None:
    """The advice to carry on names the journal, unless it lies beside the plan."""
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
def test_actions(tmp_path: Path, action: Any, headline: str) -> None:
    """The title says what was done."""
    assert headline in Page(report(tmp_path, [Outcome.DONE], action=action), tmp_path).text


def test_what_one_should_know(tmp_path: Path) -> None:
    """Warnings of the plan are in the page; so are all owners."""
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
    assert "Token in use could not be told" in page.text
    assert "the tokens kept changing" in page.text


def test_plan_that_may_be_incomplete(tmp_path: Path) -> None:
    """Why tokens may be missing from the plan is in the page."""
    header = {"drifted": True, "incomplete": ("user: the API lists 1 token twice", "<b>")}

    page = Page(report(tmp_path, [Outcome.DONE], header=header), tmp_path)

    words = "tokens may be missing: user: the API lists 1 token twice; <b>"
    assert words in page.text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 01 s"), (3599.6, "1 h 00 min")],
)
def test_span(seconds: float, said: str) -> None:
    """A length of time is told as people say it."""
    assert said == _span(seconds)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (0.4, ["0 s", "0.1 s", "0.2 s", "0.3 s"]),
        (61, ["0 s", "15 s", "30 s", "45 s"]),
        (200, ["0 s", "1:00", "2:00", "3:00"]),
        (48 * 3600, ["0 s", "8 h", "16 h", "24 h", "32 h", "40 h"]),
    ],
)
def test_ticks(end: float, said: list[str]) -> None:
    """The axis of time has a few round moments, and none where its end is."""
    assert said == [_tick(at) for at in _ticks(end)]


@pytest.mark.parametrize("before", [0, 3])
def test_earlier_runs(tmp_path: Path, before: int) -> None:
    """Where a job was carried on, the page says which of its figures are of the last run alone."""
    made = report(tmp_path, [Outcome.DONE] * 5, finished_before=before)

    page = made.save(tmp_path / "r.html").read_text()

    assert ("3 tokens were finished in earlier runs; the time" in page) is (before == 3)
