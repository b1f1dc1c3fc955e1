"""Reports as JSON and CSV, and how reports are saved."""

import csv
import json
import os
import stat
import tracemalloc
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from losant_tokens import Owner, jobs
from losant_tokens.errors import ValidationError
from losant_tokens.jobs import JobError, Outcome, PaceSample
from losant_tokens.jobs._report.csv import harmless_cell
from tests.support.reports import ERROR, NOW, entry, report

ALL = [*Outcome, None]
KNOWN: dict[str, Any] = {
    "scope": ("all.User", "userApiTokens.*"),
    "creator_id": "c" * 24,
    "creator_name": "grace",
    "description": "for CI",
}
SUFFIXES = (".json", ".csv", ".html")


def test_json(tmp_path: Path) -> None:
    """The JSON has the plan, the run, the totals, the rate, and each token with its outcome."""
    made = report(
        tmp_path,
        ALL,
        pace=[PaceSample(at=1.00049, per_second=7.0, concurrency=3, refused=2)],
        changed={0: NOW},
        settings={"rate": None},
        gave_up="the API does not respond",
        header={"protected": ("x",), "token_in_use": "f" * 24, "drifted": True},
    )

    data = json.loads(made.save(tmp_path / "r.json").read_text())

    row = {
        "owner": "user",
        "id": "0" * 24,
        "name": "ci-0",
        "status": "active",
        "outcome": "done",
        "error": None,
        "reason": "expired on 2025-01-02",
        "protected": None,
        "lastUpdated": "2025-01-02T00:00:00+00:00",
        "creationDate": "2025-01-02T00:00:00+00:00",
        "expirationDate": None,
        "changed": "2026-03-01T12:00:00+00:00",
        "scope": None,
        "creatorId": None,
        "creatorName": None,
        "description": None,
    }
    tokens = data.pop("tokens")
    assert row == tokens[0]
    assert [outcome and outcome.value for outcome in ALL] == [token["outcome"] for token in tokens]
    assert ERROR == tokens[ALL.index(Outcome.FAILED)]["error"]
    assert {
        "format": "losant-tokens report",
        "version": 1,
        "plan": {
            "path": str(made.plan.path),
            "digest": made.plan.digest,
            "created": "2026-03-01T12:00:00+00:00",
            "baseUrl": "https://api.losant.com",
            "action": "delete",
            "rule": "expired",
            "owners": {"user": {"listed": 14, "selected": 6, "protected": 1}},
            "protected": ["x"],
            "tokenInUse": "f" * 24,
            "moved": True,
            "ownerIds": {},
            "account": None,
            "clockSkew": None,
            "incomplete": [],
            "cannotApply": [],
            "tokenExpires": None,
            "refused": [],
        },
        "settings": {"rate": None},
        "run": {
            "begun": "2026-03-01T12:00:20+00:00",
            "ended": "2026-03-01T12:00:30+00:00",
            "journal": str(made.journal),
            "seconds": 10.0,
            "requests": 20,
            "retries": 2,
            "refused": 2,
            "settledBefore": 0,
            "gaveUp": "the API does not respond",
            "complete": False,
        },
        "totals": {
            "tokens": 7,
            "done": 1,
            "gone": 1,
            "changed": 1,
            "protected": 1,
            "failed": 1,
            "unknown": 1,
            "left": 1,
        },
        "pace": [{"at": 1.0, "perSecond": 7.0, "concurrency": 3, "refused": 2}],
    } == data


def test_scopes_and_creator_as_json(tmp_path: Path) -> None:
    """The JSON has the scopes of a token as a list, its creator and its description."""
    made = report(tmp_path, [Outcome.DONE], entries=[entry(1, **KNOWN)])

    (token,) = json.loads(made.save(tmp_path / "r.json").read_text())["tokens"]

    assert (["all.User", "userApiTokens.*"], "c" * 24) == (token["scope"], token["creatorId"])
    assert ("grace", "for CI") == (token["creatorName"], token["description"])


def test_scopes_and_creator_as_csv(tmp_path: Path) -> None:
    """The CSV has the scopes of a token in one cell, its creator and its description."""
    made = report(tmp_path, [Outcome.DONE] * 2, entries=[entry(1, **KNOWN), entry(2)])

    with made.save(tmp_path / "r.csv").open(newline="", encoding="utf-8-sig") as file:
        known, unknown = csv.DictReader(file)

    assert ("all.User userApiTokens.*", "grace") == (known["scope"], known["creatorName"])
    assert ("\t" + "c" * 24, "for CI") == (known["creatorId"], known["description"])
    assert ("", "") == (unknown["scope"], unknown["creatorName"])


def test_summary(tmp_path: Path) -> None:
    """`summary` returns the members of the JSON report except the tokens."""
    made = report(tmp_path, ALL)

    data = json.loads(made.save(tmp_path / "r.json").read_text())

    del data["tokens"]
    assert data == made.summary()


def test_json_without_tokens(tmp_path: Path) -> None:
    """The report of an empty plan is valid JSON."""
    data = json.loads(report(tmp_path, []).save(tmp_path / "r.json").read_text())

    assert ([], 0, True) == (data["tokens"], data["totals"]["tokens"], data["run"]["complete"])


def test_start_of_a_resumed_job(tmp_path: Path) -> None:
    """A job started at the time in its journal; without a journal, when this run started."""
    made = report(tmp_path, [Outcome.DONE], journal=tmp_path / "journal")
    assert NOW + timedelta(seconds=20) == made.started_at

    made.journal.write_text(json.dumps({"begun": "2026-02-01T00:00:00+00:00"}) + "\n")
    assert "2026-02-01T00:00:00+00:00" == made.started_at.isoformat()

    made.journal.write_text("{}")
    assert NOW + timedelta(seconds=20) == made.started_at


def test_csv(tmp_path: Path) -> None:
    """The CSV has a header, and a line for each token."""
    names = ["a,b", 'c"d', "e\nf"]
    made = report(tmp_path, [Outcome.DONE, Outcome.FAILED, None], names)

    with made.save(tmp_path / "r.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))

    assert [("a,b", "done", ""), ('c"d', "failed", ERROR), ("e\nf", "", "")] == [
        (row["name"], row["outcome"], row["error"]) for row in rows
    ]
    assert "owner id name status outcome error reason protected" == " ".join(list(rows[0])[:8])


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("ci-1", "ci-1"),
        ("a = b", "a = b"),
        ("a@example.com", "a@example.com"),
        ("", ""),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "\t'=1"),
        ("  =1", "  '=1"),
        ("\r\n=1", "\r\n'=1"),
        ("\uff1d1", "'\uff1d1"),
        ("x;=1", "x;'=1"),
        ('x"=1', "x\"'=1"),
        ("x\n=1", "x\n'=1"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\u202ecod", "\\u202ecod"),
        ("0012", "\t0012"),
        ("5750000000000000000e0012", "\t5750000000000000000e0012"),
        ("12.5", "\t12.5"),
        ("1-2", "\t1-2"),
        ("2025-03-01", "\t2025-03-01"),
        ("12:30", "\t12:30"),
        ("12e", "12e"),
        ("12E5", "\t12E5"),
        ("5%", "\t5%"),
        ("(5)", "\t(5)"),
        ("$5", "\t$5"),
        ("12:30 PM", "\t12:30 PM"),
        ("mar-1", "\tmar-1"),
        ("SEPT2", "\tSEPT2"),
        ("1 May 2025", "\t1 May 2025"),
        ("May 1, 2025", "\tMay 1, 2025"),
        ("may", "may"),
        ("marble-1", "marble-1"),
        ("mar-1-a", "mar-1-a"),
        ("TRUE", "\tTRUE"),
        ("v1.2", "v1.2"),
    ],
)
def test_no_cell_is_a_formula(tmp_path: Path, cell: str, expected: str) -> None:
    """No spreadsheet takes a cell for a formula, a number or a date."""
    assert expected == harmless_cell(cell)

    made = report(tmp_path, [Outcome.DONE], entries=[entry(1, reason=cell)])
    with made.save(tmp_path / "r.csv").open(newline="") as file:
        assert expected == next(csv.DictReader(file))["reason"]


def test_csv_for_spreadsheets(tmp_path: Path) -> None:
    """Excel reads the CSV as UTF-8, and no id as a number."""
    one = entry(0, "Köln", creator_id="123456789012345678901234")
    made = report(tmp_path, [Outcome.DONE], entries=[one])

    data = made.save(tmp_path / "r.csv").read_bytes()

    assert data.startswith(b"\xef\xbb\xbf")
    assert b'"\t000000000000000000000000"' in data
    assert b'"\t123456789012345678901234"' in data
    assert "Köln".encode() in data


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".JSON"])
def test_report_is_private(tmp_path: Path, suffix: str) -> None:
    """Only the user can read a report. It replaces an older one, and leaves no other file."""
    folder = tmp_path / "reports"
    folder.mkdir()
    path = report(tmp_path, []).save(folder / f"r{suffix}")
    path.chmod(0o644)
    old = path.read_text()

    assert path == report(tmp_path, ALL).save(str(path))
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == list(folder.iterdir())
    assert old != path.read_text()


@pytest.mark.parametrize("name", ["r", "r.txt", "json"])
def test_unknown_suffix(tmp_path: Path, name: str) -> None:
    """An unknown suffix is refused. The message has the known ones."""
    with pytest.raises(ValidationError, match=r"must end in \.json, \.csv, \.html: "):
        report(tmp_path, []).save(tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_full_disk(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed write raises one error, and the old report stays."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    made = report(tmp_path, ALL)
    path = report(tmp_path, []).save(tmp_path / f"r{suffix}")
    old = path.read_text()
    monkeypatch.setattr(os, "fsync", full)
    before = sorted(tmp_path.iterdir())

    with pytest.raises(JobError) as caught:
        made.save(path)

    assert f"{path} cannot be written: No space left on device" == str(caught.value)
    assert (before, old) == (sorted(tmp_path.iterdir()), path.read_text())


def test_missing_folder(tmp_path: Path) -> None:
    """The error for a missing folder has the path."""
    path = tmp_path / "none" / "r.csv"

    with pytest.raises(JobError) as caught:
        report(tmp_path, []).save(path)

    assert f"{path} cannot be written: No such file or directory" == str(caught.value)


def test_missing_plan(tmp_path: Path) -> None:
    """The error for a missing plan has its path."""
    made = report(tmp_path, [Outcome.DONE])
    made.plan.path.unlink()

    with pytest.raises(JobError, match=rf"{made.plan.path} cannot be read: No such"):
        made.save(tmp_path / "r.csv")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.slow
def test_memory_stays_flat(tmp_path: Path, suffix: str) -> None:
    """The memory to save a report does not grow with the number of tokens."""
    made = report(tmp_path, [Outcome.DONE] * 4000)
    made.save(tmp_path / f"warm{suffix}")
    tracemalloc.start()
    try:
        made.save(tmp_path / f"r{suffix}")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 400_000 < (tmp_path / f"r{suffix}").stat().st_size * 2


def test_owners(tmp_path: Path) -> None:
    """Each token has its owner."""
    other = Owner.application("a" * 24)
    made = report(tmp_path, [Outcome.DONE, Outcome.DONE], entries=[entry(1), entry(2, owner=other)])

    data = json.loads(made.save(tmp_path / "r.json").read_text())

    assert ["user", str(other)] == [token["owner"] for token in data["tokens"]]
    assert {"user", str(other)} == set(data["plan"]["owners"])


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_times_at_the_edges(tmp_path: Path, suffix: str) -> None:
    """A time whose year in UTC is not from 1 to 9999 is written with its own offset."""
    time = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
    made = report(tmp_path, [Outcome.DONE], entries=[entry(1, last_updated=time)])

    text = made.save(tmp_path / f"r.{suffix}").read_text(encoding="utf-8-sig")

    assert "0001-01-01T00:00:00+14:00" in text


@pytest.mark.parametrize("items", [[], [1], [{"a": "ä"}, None]], ids=str)
def test_json_in_parts(items: list[object]) -> None:
    """JSON that is made in parts is one document, with a line for each item."""
    text = "".join(jobs.json_document({"total": 2}, "items", items))

    assert json.loads(text) == {"total": 2, "items": items}
    assert text.count("\n    ") == len(items)
