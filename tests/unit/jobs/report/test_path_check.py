"""Checks of the path of a report."""

import json
import os
import stat
from pathlib import Path

import pytest

from losant_tokens.errors import ValidationError
from losant_tokens.jobs import GuardRefused, Outcome
from losant_tokens.jobs._report.path_check import check_report_path, target_problem
from losant_tokens.jobs._report.save import remove_leftovers
from tests.support.reports import NOW, report

SUFFIXES = (".json", ".csv", ".html")


def quarantine(folder: Path, name: str = "q.json") -> Path:
    """Save the report of a quarantine with one token."""
    made = report(folder, [Outcome.DONE], action="deactivate", changed={0: NOW})
    return made.save(folder / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_report_replaces_report(tmp_path: Path, suffix: str) -> None:
    """A report replaces an empty file, and a report in the same format."""
    path = report(tmp_path, [Outcome.DONE]).save(tmp_path / f"r{suffix}")
    assert target_problem(path) is None
    path.write_text("")
    assert target_problem(path) is None


@pytest.mark.parametrize("action", ["delete", "deactivate"])
def test_report_of_quarantine_is_kept(tmp_path: Path, action: str) -> None:
    """The report of another job does not replace the report of a quarantine."""
    path = quarantine(tmp_path)
    before = path.read_bytes()

    with pytest.raises(GuardRefused, match="is the report of a quarantine: restore and sweep"):
        report(tmp_path, [Outcome.DONE], ["other"], action=action).save(path)  # type: ignore[arg-type]

    assert before == path.read_bytes()


def test_resumed_quarantine_replaces_its_report(tmp_path: Path) -> None:
    """A report of the same plan replaces the report of a quarantine."""
    made = report(tmp_path, [Outcome.DONE], action="deactivate")
    path = made.save(tmp_path / "q.json")

    assert path == made.save(path)


def test_report_of_empty_quarantine_is_replaced(tmp_path: Path) -> None:
    """The report of a quarantine that deactivated nothing can be replaced."""
    path = report(tmp_path, [Outcome.GONE], action="deactivate").save(tmp_path / "q.json")

    assert target_problem(path) is None


def test_report_of_quarantine_in_doubt_is_kept(tmp_path: Path) -> None:
    """The report of a quarantine that may have deactivated a token is kept."""
    path = report(tmp_path, [Outcome.UNKNOWN], action="deactivate").save(tmp_path / "q.json")

    assert "quarantine" in str(target_problem(path))


def test_links_are_followed(tmp_path: Path) -> None:
    """The report of a quarantine is kept, even if the path is a link to it."""
    path = quarantine(tmp_path)
    (tmp_path / "link.json").symlink_to(path)
    os.link(path, tmp_path / "hard.json")

    for name in ("link.json", "hard.json"):
        assert "quarantine" in str(target_problem(tmp_path / name))


def test_plan_and_journal_are_kept(tmp_path: Path) -> None:
    """A plan or a journal is kept, even if its name has the suffix of a report."""
    made = report(tmp_path, [Outcome.DONE])
    plan, journal = tmp_path / "plan.json", tmp_path / "journal.csv"
    plan.write_bytes(made.plan.path.read_bytes())
    journal.write_text('{"format":"losant-tokens journal","version":1}\n')

    assert f"{plan} is a plan. Give the report another name" in str(target_problem(plan))
    assert f"{journal} is a journal. Give the report another name" in str(target_problem(journal))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_files_are_kept(tmp_path: Path, suffix: str) -> None:
    """A file that is not a report in the same format is kept."""
    path = tmp_path / f"notes{suffix}"
    path.write_text("[1, 2]")

    assert f"is not a {suffix} report of losant-tokens" in str(target_problem(path))


def test_reformatted_report_of_quarantine_is_kept(tmp_path: Path) -> None:
    """The report of a quarantine is kept, even if its JSON was reformatted."""
    path = quarantine(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text())))

    assert "quarantine" in str(target_problem(path))


@pytest.mark.parametrize(
    "text", ['{"format": "losant-tokens report"', '{"format": "losant-tokens report"}']
)
def test_unreadable_report_is_kept(tmp_path: Path, text: str) -> None:
    """A report that cannot be read is kept, because it may be that of a quarantine."""
    path = tmp_path / "r.json"
    path.write_text(text)

    assert "is a report that cannot be read" in str(target_problem(path))


def test_pipes_folders_and_devices_are_refused(tmp_path: Path) -> None:
    """A path that is not a regular file is refused, and its mode stays."""
    os.mkfifo(tmp_path / "pipe.json", 0o644)
    (tmp_path / "folder.json").mkdir()

    assert str(target_problem(tmp_path / "pipe.json")).endswith("cannot be written: it is a pipe")
    assert str(target_problem(tmp_path / "folder.json")).endswith("it is a folder")
    assert str(target_problem(Path(os.devnull))).endswith("it is not a regular file")
    assert 0o644 == stat.S_IMODE((tmp_path / "pipe.json").stat().st_mode)


def test_file_of_another_user_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of another user is kept, even if its folder would allow a replacement."""
    path = report(tmp_path, []).save(tmp_path / "r.json")
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)

    assert "belongs to another user" in str(target_problem(path))


def test_impossible_path_is_refused(tmp_path: Path) -> None:
    """A path below a file is refused."""
    (tmp_path / "file").write_text("")

    expected = "/file/r.json cannot be written: Not a directory"
    assert str(target_problem(tmp_path / "file" / "r.json")).endswith(expected)


def test_partial_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    """A partial report is removed, unless a process is writing it."""
    from losant_tokens._utils.private_files import lock

    left, used = tmp_path / ".r.json.0123abcd.part", tmp_path / ".r.json.4567abcd.part"
    other, link = tmp_path / ".other.json.0123abcd.part", tmp_path / ".r.json.89ababcd.part"
    for path in (left, used, other):
        path.write_text("{")
    link.symlink_to(other)
    descriptor = os.open(used, os.O_RDWR)
    assert lock(descriptor)

    remove_leftovers(tmp_path / "r.json")
    os.close(descriptor)

    assert [False, True, True, True] == [path.exists() for path in (left, used, other, link)]


def test_inaccessible_leftover_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partial file or a folder that cannot be opened is ignored."""
    left = tmp_path / ".r.json.0123abcd.part"
    left.write_text("{")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        remove_leftovers(tmp_path / "r.json")
    remove_leftovers(tmp_path / "none" / "r.json")

    assert left.exists()


def test_check_report_path(tmp_path: Path) -> None:
    """A path is accepted if its suffix is known and it replaces no other file."""
    check_report_path(str(tmp_path / "r.CSV"))

    with pytest.raises(ValidationError, match=r"must end in \.json, \.csv, \.html: .*r\.txt"):
        check_report_path(tmp_path / "r.txt")
    (tmp_path / "r.html").write_text("mine")
    with pytest.raises(GuardRefused, match=r"is not a \.html report"):
        check_report_path(tmp_path / "r.html")
