"""The pages with the runs of a fleet."""

import base64
import hashlib
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import cast

import attrs
import pytest

from losant_tokens import Owner, fleet, jobs
from losant_tokens.fleet import Decision, RunResult, RunState, Work
from losant_tokens.fleet._page import page as pages
from tests.support.fleet_runs import NOW, approved, run
from tests.support.reports import entry

EVIL = "<script>alert(1)</script>\"'\u202e"
APPLIED = Work(
    worker="alpha",
    version="1.0",
    started_at=NOW - timedelta(minutes=3),
    finished_at=NOW - timedelta(minutes=2),
    attempts=2,
    outcomes={"done": 11, "changed": 1, "failed": 0},
)


class Parsed(HTMLParser):
    """The tags and the texts of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.source = source
        self.feed(source)
        self.text = " ".join(self.texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def links(self) -> list[str | None]:
        return [attributes["href"] for tag, attributes in self.tags if tag == "a"]


def list_page(*runs: fleet.Run, **options: object) -> Parsed:
    return Parsed(fleet.runs_page(runs, now=NOW, **options))  # type: ignore[arg-type]


def plan_of(count: int) -> jobs.PlanDocument:
    """Return a plan of tokens, of which a page reads the entries alone."""
    document = object.__new__(jobs.PlanDocument)
    object.__setattr__(
        document,
        "entries",
        tuple(entry(number, f"ci-{number}", reason="old") for number in range(count)),
    )
    return document


def test_list() -> None:
    """The list has the numbers of each state, the outcomes, and a link to each run."""
    quarantined = run(
        id="7b0c11aa",
        state="quarantined",
        decisions=approved(),
        work={"apply": APPLIED},
        sweep_due_at=NOW + timedelta(hours=5),
    )
    failed = run(id="c", state="failed", reason="401 Unauthorized", plan_digest="")

    page = list_page(run(), quarantined, failed, store="postgresql://db/fleet", has_more=True)

    assert "1 run waits for an approval" in page.texts
    assert "Fleet at postgresql://db/fleet" in page.texts
    assert "11 deactivated, 1 changed, sweep due in 5 hours" in page.texts
    assert "approved by grace@example.com" in page.texts
    assert "expires in 7 days" in page.texts
    assert "401 Unauthorized" in page.texts
    assert "Older runs are not shown." in page.texts
    assert {"runs/1f3a9c20", "runs/7b0c11aa", "runs/c", "./?state=failed"} <= set(page.links)
    assert "12 of 400" in page.texts


def test_failed_tokens() -> None:
    """Tokens that failed are counted on both pages, with the command that repeats them."""
    work = attrs.evolve(APPLIED, outcomes={"done": 11, "failed": 3})
    done = run(state="done", phase="apply", work={"apply": work})

    page = list_page(run(id="a"), done, attrs.evolve(done, id="b"))
    assert {"Failed tokens", "6", "in 2 runs", "3 tokens failed", "11 deactivated"} <= set(
        page.texts
    )
    assert "Failed tokens" not in list_page(run()).texts

    page = Parsed(fleet.run_page(done, now=NOW))
    assert {"3 tokens failed.", "losant-tokens fleet retry 1f3a9c20"} <= set(page.texts)


def test_warned_tokens() -> None:
    """Both pages have the number of tokens that a run warned about."""
    warned = run(state="empty", warned_tokens=5)
    assert "5 tokens warned about" in list_page(warned).texts
    page = Parsed(fleet.run_page(warned, now=NOW))
    assert page.texts[page.texts.index("Warned about") + 1] == "5 tokens"


def test_webhook_that_cannot_be_reached() -> None:
    """The page of a run has the number of failed attempts to reach the webhook."""
    page = Parsed(fleet.run_page(run(webhook_failures=3), now=NOW))
    number = page.texts.index("Failed attempts to reach the webhook") + 1
    assert page.texts[number] == "3"


def test_filters() -> None:
    """The list shows the runs of a state and an account, and links that change the filters."""
    runs = [run(id="a", account="x y"), run(id="b", state="done"), run(id="c", state="done")]

    page = list_page(*runs, state="done")
    assert [link for link in page.links if str(link).startswith("runs/")] == ["runs/b", "runs/c"]
    assert ("a", {"href": "./?state=done", "aria-current": "page"}) in page.tags

    page = list_page(*runs, account="x y", state="done")
    assert "No run matches." in page.texts
    assert {"./?account=x+y&state=waiting", "./?state=done", "./?account=x+y"} <= set(page.links)

    page = list_page(*runs, account="x y")
    assert {"./", "./?account=x+y"} <= set(page.links)


def test_empty_list() -> None:
    """A fleet without runs has a page, too."""
    page = list_page()
    assert {"Runs", "0 runs", "No run matches."} <= set(page.texts)


def test_run() -> None:
    """The page of a run has its plan, its history in the order of time, and its tokens."""
    one = run(
        state="quarantined",
        plan_warnings=("The clock differs.",),
        decisions=(
            *approved(),
            Decision(kind="retry", by="ada", at=NOW - timedelta(minutes=1), reason="new token"),
        ),
        work={
            "apply": APPLIED,
            "plan": Work(worker="beta", version="1.0", started_at=NOW - timedelta(hours=2)),
        },
        sweep_due_at=NOW - timedelta(seconds=1),
    )
    results = [
        RunResult(
            phase="apply",
            owner=Owner.user(),
            id=f"{number:024x}",
            name="ci",
            outcome=outcome,
            error=error,
        )
        for number, outcome, error in (
            (0, jobs.Outcome.DONE, None),
            (1, jobs.Outcome.FAILED, "500"),
            (2, None, None),
        )
    ]

    page = Parsed(fleet.run_page(one, now=NOW, plan=plan_of(4), results=results))

    assert "The clock differs." in page.texts
    assert "old-ci for prod: quarantined" in page.text
    assert "2026-03-01 11:59 UTC, due" in page.texts
    assert "losant-tokens fleet restore 1f3a9c20" in page.texts
    events = re.findall(r"<li><time.*?</time><span>(.*?)</span>", page.source)
    assert events == [
        "Started by ada@example.com",
        "Being planned by worker beta, version 1.0",
        "Approved by grace@example.com",
        "Applied by worker alpha, version 1.0, 2 attempts",
        "Retried by ada: new token",
    ]
    assert [word for word in page.texts if word.startswith("apply:")] == [
        "apply: done",
        "apply: failed",
    ]
    assert "4 tokens of the plan" in page.texts
    assert "../" in page.links


def test_run_before_the_plan() -> None:
    """A run without a plan shows none of its numbers, and when a worker tries again."""
    one = run(
        state="planning",
        plan_digest="",
        plan_grace=None,
        reason="503",
        retry_at=NOW + timedelta(seconds=30),
    )

    page = Parsed(fleet.run_page(one, now=NOW))

    assert "503 Next attempt in less than a minute." in page.texts
    assert not {"Action", "Digest", "Grace period", "Next"} & set(page.texts)


def test_long_plan() -> None:
    """A page lists the first 500 tokens, and says so."""
    page = Parsed(fleet.run_page(run(), now=NOW, plan=plan_of(501)))

    assert "These are 500 of 501 tokens." in page.texts
    assert "Approve by" in page.texts


def test_strings_are_escaped() -> None:
    """No string from a store is markup, and invisible characters become escapes."""
    evil = run(
        account=EVIL,
        cleanup=EVIL,
        requested_by=EVIL,
        reason=EVIL,
        decisions=(Decision(kind="reject", by=EVIL, at=NOW, reason=EVIL),),
        plan_rule=EVIL,
        plan_warnings=(EVIL,),
    )
    document = plan_of(1)
    changed = attrs.evolve(document.entries[0], name=EVIL, reason=EVIL)
    object.__setattr__(document, "entries", (changed,))

    altered = attrs.evolve(evil, state=cast("RunState", EVIL))
    for page in (
        list_page(evil, altered, store=EVIL, account=EVIL),
        Parsed(fleet.run_page(altered, now=NOW)),
        Parsed(fleet.run_page(evil, now=NOW, plan=document)),
    ):
        assert [tag for tag, _ in page.tags].count("script") == 1
        assert "\u202e" not in page.source
        assert "alert(1)</script>" not in page.source


@pytest.mark.parametrize("source", [fleet.runs_page([], now=NOW), fleet.run_page(run(), now=NOW)])
def test_content_security_policy(source: str) -> None:
    """The policy allows this style and this script only, and no form."""
    policy = re.findall(r'Content-Security-Policy" content="(.*?)"', source)[0]
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        content = re.findall(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)[-1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy

    assert "default-src 'none'" in policy
    assert "form-action 'none'" in policy
    assert not re.findall(r"<(form|button|input)\b|\sstyle=|\son\w+=", source)


@pytest.mark.parametrize(
    ("offset", "words"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=-59), "just now"),
        (timedelta(seconds=59), "in less than a minute"),
        (timedelta(minutes=1), "in 1 minute"),
        (timedelta(hours=-25), "1 day ago"),
        (timedelta(hours=-23), "23 hours ago"),
    ],
)
def test_relative_times(offset: timedelta, words: str) -> None:
    """A time is shown in its largest unit."""
    assert pages._relative(NOW + offset, NOW) == words
