"""Checks that no job replaces a file that it or a later step reads."""

import json
import os
from pathlib import Path

import pytest

from losant_tokens.cli._jobs.output_checks import is_same_file
from losant_tokens.testing import FakeLosant
from tests.support.clean_ups import fake_with_tokens
from tests.support.command import Command

CI = ("--named", "ci-*", "--yes")

pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture
def fake() -> FakeLosant:
    return fake_with_tokens()


def changes(fake: FakeLosant) -> int:
    return sum(request.method in {"PATCH", "DELETE"} for request in fake.requests)


def test_second_quarantine(fake: FakeLosant, service: str, command: Command) -> None:
    """A second quarantine does not replace the report of the first, and changes nothing."""
    command("quarantine", *CI, "--report", "q.json")
    before = Path("q.json").read_bytes()
    fake.clear_requests()

    code, out, err = command("quarantine", "--named", "keep-1", "--yes", "--report", "q.json")

    assert (code, out, fake.requests) == (4, "", ())
    assert "q.json is the report of a quarantine: restore and sweep need it." in err
    assert ". No token was changed." in err
    assert before == Path("q.json").read_bytes()


@pytest.mark.parametrize("name", ["q.json", "./q.json", "link.json", "hard.json"])
@pytest.mark.parametrize("step", [("sweep", "--after", "0h"), ("restore",)])
@pytest.mark.sweep(sample=2)
def test_report_replaces_its_input(
    fake: FakeLosant, service: str, command: Command, name: str, step: tuple[str, ...]
) -> None:
    """A sweep or restore does not replace the report that it reads."""
    command("quarantine", *CI, "--report", "q.json")
    Path("link.json").symlink_to("q.json")
    os.link("q.json", "hard.json")
    before, seen = Path("q.json").read_bytes(), changes(fake)

    code, _, err = command(step[0], "q.json", *step[1:], "--yes", "--report", name)

    assert (code, changes(fake)) == (4, seen)
    assert "the report of the quarantine at once. No token was changed" in err
    assert before == Path("q.json").read_bytes()


def test_report_replaces_the_plan(fake: FakeLosant, service: str, command: Command) -> None:
    """A plan and a report cannot have the same name; the plan is kept, and nothing is changed."""
    code, _, err = command("cleanup", *CI, "--out", "x.json", "--report", "x.json")

    assert (code, changes(fake)) == (4, 0)
    assert "x.json would be another report and the plan at once. No token was changed" in err
    assert "plan" in Path("x.json").read_text().splitlines()[0]


@pytest.mark.parametrize(
    "options",
    [
        ("--report", "p.json"),
        ("--journal", "p.json"),
        ("--journal", "j.json", "--report", "j.json"),
        ("--report", "a.csv", "--report", "./a.csv"),
    ],
)
def test_files_have_distinct_names(
    fake: FakeLosant, service: str, command: Command, options: tuple[str, ...]
) -> None:
    """A plan is applied only if each of its files has its own name."""
    command("plan", "--named", "ci-*", "--out", "p.json")

    code, _, err = command("apply", "p.json", "--yes", *options)

    assert (code, changes(fake)) == (4, 0)
    assert "hint: give each file its own name\n" in err


def test_report_replaces_a_journal(fake: FakeLosant, service: str, command: Command) -> None:
    """A report does not replace the journal of an earlier job."""
    command("cleanup", *CI, "--out", "p.jsonl", "--journal", "j.json")

    code, _, err = command("cleanup", "--named", "keep-0", "--yes", "--report", "j.json")

    assert (code, "j.json is a journal. Give the report another name" in err) == (4, True)


def test_resumed_quarantine(fake: FakeLosant, service: str, command: Command) -> None:
    """A resumed quarantine writes its report again."""
    command("plan", "--named", "ci-*", "--action", "deactivate", "--out", "p.jsonl")
    fake.fail(status=401, method="PATCH", skip=2, times=None)
    command("apply", "p.jsonl", "--yes", "--report", "q.json", "--max-concurrency", "1")
    fake.clear_faults()

    code, _, _ = command("apply", "p.jsonl", "--yes", "--resume", "--report", "q.json")

    assert (code, json.loads(Path("q.json").read_text())["totals"]["done"]) == (0, 4)


@pytest.mark.parametrize("name", ["r.json", "./r.json", "link.json", "hard.json", "R.json"])
def test_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Links, relative paths and the case of letters do not make a different file."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "r.json"
    path.write_text("")
    (tmp_path / "link.json").symlink_to(path)
    os.link(path, tmp_path / "hard.json")

    assert is_same_file(Path(name), path)
    assert not is_same_file(Path("other.json"), path)
