"""`plan show` and `plan diff`, which read plan files and send nothing."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from losant_tokens import jobs
from losant_tokens.jobs._execution.journal import Journal
from tests.support import plans
from tests.support.command import Command
from tests.support.documentation import ROOT
from tests.support.reports import entry, report

TOKEN = entry(
    1, "ci-1", scope=("all.User.read",), creator_id="c" * 24, creator_name="grace", description="d"
)


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def plan(tmp_path: Path) -> jobs.Plan:
    """A plan of two tokens, one of them protected."""
    tokens = [TOKEN, entry(2, "prod", protected="protected by 'prod'")]
    made = report(tmp_path, [None, None], entries=tokens).plan
    made.path.rename("p.jsonl")
    return jobs.Plan.read("p.jsonl")


def test_groups(plan: jobs.Plan, command: Command) -> None:
    """By default, `plan show` shows groups, and names the option for each token."""
    code, out, err = command("plan", "show", "p.jsonl")

    assert code == 0
    assert out.startswith("Delete 1 of 4 tokens at https://api.losant.com\n")
    assert "\n- delete 1 token of user: expired on 2025-01-02\n" in out
    assert "\nPlan: 1 to delete, 3 to keep. It cannot create tokens. 1 creator. Made " in out
    assert err == "Show each token: losant-tokens plan show p.jsonl --full\n"


def test_each_token(plan: jobs.Plan, command: Command) -> None:
    """With --full, `plan show` shows each token."""
    code, out, err = command("plan", "show", "p.jsonl", "--full")

    assert (code, err) == (0, "")
    assert f"\n- delete  ci-1  {TOKEN.id}  expired on 2025-01-02  all.User.read  created by " in out
    assert "\n= keep    prod  " in out


def test_empty_plan(tmp_path: Path, command: Command) -> None:
    """An empty plan has no tokens to show."""
    report(tmp_path, []).plan.path.rename("p.jsonl")

    assert command("plan", "show", "p.jsonl")[::2] == (0, "")


def test_json(plan: jobs.Plan, command: Command) -> None:
    """With --json, `plan show` writes the header, the totals and each token."""
    code, out, err = command("plan", "show", "p.jsonl", "--json")

    data = json.loads(out)
    assert (code, err) == (0, "")
    assert (data["plan"], data["digest"]) == ("p.jsonl", plan.digest)
    assert data["created"] == "2026-03-01T12:00:00.000Z"
    assert data["validUntil"] == "2026-03-02T12:00:00.000Z"
    assert data["totals"] == {
        "listed": 4,
        "selected": 1,
        "kept": 3,
        "protected": 1,
        "canCreateTokens": 0,
        "mayCreateTokens": 0,
        "creators": 1,
    }
    first, second = data["tokens"]
    assert first == {
        "action": "delete",
        "owner": "user",
        "id": TOKEN.id,
        "name": "ci-1",
        "status": "active",
        "reason": "expired on 2025-01-02",
        "protected": None,
        "creationDate": "2025-01-02T00:00:00.000Z",
        "expirationDate": None,
        "lastUpdated": "2025-01-02T00:00:00.000Z",
        "scope": ["all.User.read"],
        "canCreateTokens": False,
        "creatorId": "c" * 24,
        "creatorName": "grace",
        "description": "d",
    }
    assert (second["action"], second["protected"]) == ("keep", "protected by 'prod'")
    assert (second["scope"], second["canCreateTokens"]) == (None, None)


@pytest.mark.parametrize(("title", "is_token"), [("member", False), ("member of a token", True)])
def test_documented_members(plan: jobs.Plan, command: Command, title: str, is_token: bool) -> None:
    """The reference describes each member of the JSON, and no others."""
    page = (ROOT / "docs" / "reference" / "command.md").read_text()
    table = page.partition(f"| {title} | value |\n| --- | --- |\n")[2].partition("\n\n")[0]
    documented = [
        name for row in table.splitlines() for name in re.findall("`(\\w+)`", row.split("|")[1])
    ]

    data = json.loads(command("plan", "show", "p.jsonl", "--json")[1])

    assert sorted(documented) == sorted(data["tokens"][0] if is_token else data)


def test_json_without_tokens(tmp_path: Path, command: Command) -> None:
    """The JSON of an empty plan has no tokens."""
    report(tmp_path, []).plan.path.rename("p.jsonl")

    assert json.loads(command("plan", "show", "p.jsonl", "--json")[1])["tokens"] == []


@pytest.mark.parametrize(
    ("members", "state"), [({"created_at": plans.NOW}, "expired"), ({"refused": ("x",)}, "refused")]
)
def test_state_of_a_plan(
    tmp_path: Path, command: Command, members: dict[str, object], state: str
) -> None:
    """The JSON states whether a plan can be applied."""
    report(tmp_path, [None], header=members).plan.path.rename("p.jsonl")

    assert json.loads(command("plan", "show", "p.jsonl", "--json")[1])["state"] == state


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [([], "started"), ([jobs.Outcome.DONE, jobs.Outcome.PROTECTED], "complete")],
)
def test_state_of_a_job(
    plan: jobs.Plan, command: Command, outcomes: list[jobs.Outcome], state: str
) -> None:
    """The JSON states whether a plan was started, or is complete."""
    with Journal.open(plan, jobs.journal_path(plan), resume=False) as journal:
        for number, outcome in enumerate(outcomes):
            journal.record_outcome(number, outcome)

        shown = json.loads(command("plan", "show", "p.jsonl", "--json")[1])["state"]
        assert shown == "running"

    assert json.loads(command("plan", "show", "p.jsonl", "--json")[1])["state"] == state


def test_journal_in_the_state_folder(tmp_path: Path, plan: jobs.Plan, command: Command) -> None:
    """The journal of a plan in a read-only folder is in the state folder, and is found there."""
    name = f"{plan.digest.replace(':', '')[:40]}.journal"
    folder = tmp_path / "state" / "losant-tokens"
    folder.mkdir(parents=True)
    with Journal.open(plan, folder / name, resume=False) as journal:
        journal.record_outcome(0, jobs.Outcome.DONE)
        journal.record_outcome(1, jobs.Outcome.PROTECTED)

    assert ", and applied: complete.\n" in command("plan", "show", "p.jsonl")[1]


def test_version_1(command: Command) -> None:
    """A plan file of version 1 is shown, and what it does not state is unknown."""
    Path("p.jsonl").write_bytes(plans.VERSION_1)

    _, groups, _ = command("plan", "show", "p.jsonl")
    _, full, _ = command("plan", "show", "p.jsonl", "--full")
    data = json.loads(command("plan", "show", "p.jsonl", "--json")[1])

    assert (
        "\nPlan: 2 to delete, 6 to keep. It is unknown whether they can create tokens. " in groups
    )
    assert full.count("- delete  ") == 2
    assert data["totals"]["mayCreateTokens"] == 2


def test_terminal(plan: jobs.Plan, command: Command, terminal: Callable[..., None]) -> None:
    """On a terminal, the view has colors."""
    terminal(columns=100)

    _, out, _ = command("plan", "show", "p.jsonl", "--full")

    assert f"\x1b[31m- delete\x1b[0m  ci-1  {TOKEN.id[:8]}…  " in out


def test_long_plan(tmp_path: Path, command: Command) -> None:
    """Without a terminal, a long plan is written in parts, and each of its tokens is there."""
    tokens = [entry(number) for number in range(1200)]
    report(tmp_path, [None] * 1200, entries=tokens).plan.path.rename("p.jsonl")

    _, out, _ = command("plan", "show", "p.jsonl", "--full")

    assert out.count("- delete  ci-") == 1200


def test_page(plan: jobs.Plan, command: Command) -> None:
    """With --html, `plan show` writes a page for a browser."""
    code, out, err = command("plan", "show", "p.jsonl", "--html", "p.html")

    assert (code, out, err) == (0, "", "Open it in a browser: p.html\n")
    assert "<h1>1 token to delete</h1>" in Path("p.html").read_text()


def test_name_of_a_page(plan: jobs.Plan, command: Command) -> None:
    """The name of a page must end in .html."""
    code, out, err = command("plan", "show", "p.jsonl", "--html", "p.jsonl")

    assert (code, out) == (2, "")
    assert "the name of the page must end in .html: p.jsonl" in err
    assert len(jobs.Plan.read("p.jsonl")) == 2


def test_page_that_replaces_another_file(plan: jobs.Plan, command: Command) -> None:
    """A page replaces no file that is not a page of this command."""
    Path("p.html").write_text("mine")

    assert command("plan", "show", "p.jsonl", "--html", "p.html")[:2] == (4, "")
    assert Path("p.html").read_text() == "mine"


@pytest.mark.parametrize(
    "options",
    [["--full", "--json"], ["--json", "--html", "p.html"], ["--full", "--html", "p.html"]],
)
def test_exclusive_options(plan: jobs.Plan, command: Command, options: list[str]) -> None:
    """--full, --json and --html cannot be combined."""
    code, out, err = command("plan", "show", "p.jsonl", *options)

    assert (code, out) == (2, "")
    assert err.startswith("losant-tokens: error: --full, --json and --html cannot be combined\n")


@pytest.mark.parametrize(
    "arguments", [("show", "x"), ("diff", "x", "p.jsonl"), ("diff", "p.jsonl", "x")]
)
def test_missing_file(plan: jobs.Plan, command: Command, arguments: tuple[str, ...]) -> None:
    """A missing file is a usage error."""
    code, out, err = command("plan", *arguments)

    assert (code, out) == (2, "")
    assert err.startswith("losant-tokens: error: x does not exist\n")


def test_altered_file(plan: jobs.Plan, command: Command) -> None:
    """An altered plan is not shown."""
    Path("p.jsonl").write_bytes(Path("p.jsonl").read_bytes().replace(b"ci-1", b"ci-2"))

    code, out, err = command("plan", "show", "p.jsonl")

    assert (code, out) == (4, "")
    assert err.startswith("losant-tokens: error: p.jsonl was altered since it was made")


@pytest.fixture
def other(tmp_path: Path, plan: jobs.Plan) -> jobs.Plan:
    """Another plan, q.jsonl, without the protected token."""
    made = report(tmp_path, [None], entries=[attrs.evolve(TOKEN)]).plan
    made.path.rename("q.jsonl")
    return jobs.Plan.read("q.jsonl")


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--exit-code"], 5)])
def test_diff(other: jobs.Plan, command: Command, options: list[str], code: int) -> None:
    """`plan diff` shows the differences, and exits with 5 if that is asked for."""
    exit_code, out, err = command("plan", "diff", "p.jsonl", "q.jsonl", *options)

    assert (exit_code, err) == (code, "")
    assert "\nremoved  = keep    prod  " in out
    assert out.endswith("\n\nPlans: 0 added, 1 removed, 0 changed, 1 same.\n")


def test_diff_of_the_same_plan(plan: jobs.Plan, command: Command) -> None:
    """`plan diff --exit-code` exits with 0 if the plans do not differ."""
    assert command("plan", "diff", "p.jsonl", "p.jsonl", "--exit-code")[0] == 0


def test_diff_as_json(other: jobs.Plan, command: Command) -> None:
    """`plan diff --json` writes the differences as JSON."""
    _, out, _ = command("plan", "diff", "p.jsonl", "q.jsonl", "--json")

    assert [one["change"] for one in json.loads(out)["tokens"]] == ["removed"]
