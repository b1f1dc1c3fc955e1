"""The formats of an audit."""

import csv
import io
import json
import os
import stat
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from losant_tokens import AsyncClient, audit
from losant_tokens.errors import ValidationError
from losant_tokens.jobs import GuardRefused, JobError
from losant_tokens.policy import Severity
from losant_tokens.testing import FakeLosant
from tests.support.audits import (
    APPLICATION,
    DAY,
    NOW,
    USER,
    add,
    audit_of,
    client_of,
    fake_at_now,
)
from tests.support.policies import RULE, load_policy

SCHEMA = Path(__file__).parents[2] / "data" / "sarif-schema-2.1.0.json"
HOSTILE = '=1+1 <b>[x](http://evil) {0} "\\\x1b[2J\n\ud800'


@pytest.fixture
def fake() -> FakeLosant:
    fake = fake_at_now()
    add(fake, HOSTILE, expiration_date=None, scope=["me"], description="-2+3", creator_name="@x")
    add(fake, "mint", APPLICATION, scope=["all.Application"])
    add(fake, "fine")
    return fake


async def partial_audit(fake: FakeLosant) -> audit.Audit:
    """Return an audit of two accounts, one of which cannot be used."""
    bad = AsyncClient("nope", transport=fake.transport(), base_url="https://fake.example")
    return await audit.run(
        [
            audit.Target(name="prod", client=client_of(fake), owners=[USER, APPLICATION]),
            audit.Target(name='b"\\\na', client=bad, owners=[USER]),
        ]
    )


def text(result: audit.Audit, kind: Any) -> str:
    return "".join(result.parts(kind))


# --- JSON ------------------------------------------------------------------------------------


async def test_json(fake: FakeLosant) -> None:
    """The JSON has the accounts, the rules, the totals, and all tokens with their findings."""
    with await partial_audit(fake) as result:
        data = json.loads(text(result, "json"))

    assert (data["format"], data["version"], data["complete"]) == ("losant-tokens audit", 1, False)
    assert [one["name"] for one in data["accounts"]] == ["prod", 'b"\\\na']
    assert data["accounts"][0]["owners"][1] == {
        "owner": str(APPLICATION),
        "tokens": 1,
        "problem": None,
        "incomplete": [],
    }
    assert data["totals"]["tokens"] == 3
    assert data["totals"]["tokensBySeverity"]["high"] == 1
    assert data["totals"]["findings"]["never-expires"] == 1
    assert [one["severity"] for one in data["tokens"]] == ["high", "medium", None]
    mint, hostile, _ = data["tokens"]
    assert (mint["owner"], hostile["name"]) == (str(APPLICATION), HOSTILE)
    assert hostile["creationDate"] == "2026-02-19T12:00:00.000Z"
    assert hostile["findings"][1] == {
        "rule": "deprecated-scope",
        "severity": "low",
        "message": "It has the deprecated scope me.",
        "evidence": {"scope": "me"},
        "fingerprint": hostile["findings"][1]["fingerprint"],
    }


def test_times_out_of_range() -> None:
    """A time that leaves the years 1 to 9999 in UTC is written with its own offset."""
    from datetime import datetime, timedelta, timezone

    from losant_tokens.audit._formats.json import wire_time

    last = datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=5)))

    assert wire_time(last) == "9999-12-31T23:00:00.000-05:00"


# --- CSV -------------------------------------------------------------------------------------


async def test_csv(fake: FakeLosant) -> None:
    """The CSV has a line for each finding, and no cell that a spreadsheet runs."""
    with await audit_of(fake, [USER, APPLICATION]) as result:
        content = text(result, "csv")
        found = len(list(result.findings()))

    rows = list(csv.DictReader(io.StringIO(content)))
    assert len(rows) == found == 4
    assert rows[0]["rule"] == "can-create-tokens"
    hostile = rows[2]
    assert hostile["name"].startswith("'=1+1")
    assert (hostile["description"], hostile["creatorName"]) == ("'-2+3", "'@x")
    assert "\x1b" not in content


# --- SARIF -----------------------------------------------------------------------------------


async def test_sarif_follows_the_schema(fake: FakeLosant, tmp_path: Path) -> None:
    """The published schema accepts the SARIF log, with the rules of a policy as well."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)

    with await audit_of(fake, [USER, APPLICATION], policy=load_policy(tmp_path, RULE)) as whole:
        validator.validate(json.loads(text(whole, "sarif")))
    with await partial_audit(fake) as part:
        log = json.loads(text(part, "sarif"))
    validator.validate(log)
    (run,) = log["runs"]
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "Invalid access token" in str(invocation["toolExecutionNotifications"])
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**log, "version": "2.0.0"})


async def test_sarif_results(fake: FakeLosant) -> None:
    """A result has a level, a stable fingerprint, and text in which nothing is a link."""
    with await audit_of(fake, [USER, APPLICATION]) as result:
        (run,) = json.loads(text(result, "sarif"))["runs"]
        fingerprints = [one.fingerprint for one in result.findings()]

    results, rules = run["results"], run["tool"]["driver"]["rules"]
    assert [one["partialFingerprints"]["losantTokens/v1"] for one in results] == fingerprints
    # Half of a surrogate pair would be `\ud800`, which not every parser reads.
    json.dumps(run, ensure_ascii=False).encode()
    assert [one["level"] for one in results] == ["error", "warning", "warning", "note"]
    assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in results)
    message = results[2]["message"]["text"]
    assert r"<b>\[x\](http://evil) {{0}}" in message
    assert message.endswith("It never expires.")
    (location,) = results[2]["locations"]
    uri = location["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.startswith("losant/prod/user/")


@pytest.mark.parametrize(
    ("part", "expected"), [("..", "%2E%2E"), ("a/b", "a%2Fb"), ("a.b", "a.b"), ("\ud800", "%3F")]
)
def test_paths_of_sarif(part: str, expected: str) -> None:
    """A part of a path leads to no other folder."""
    from losant_tokens.audit._formats.sarif import _segment

    assert _segment(part) == expected


# --- Prometheus ------------------------------------------------------------------------------


async def test_prometheus(fake: FakeLosant) -> None:
    """The metrics have counts for each account and rule, zeros too, and no token."""
    with await partial_audit(fake) as result:
        content = text(result, "prometheus")

    rule = "losant_tokens_audit_findings"
    assert f'{rule}{{account="prod",rule="all-scopes",severity="medium"}} 1\n' in content
    assert f'{rule}{{account="prod",rule="expired",severity="low"}} 0\n' in content
    assert 'losant_tokens_audit_tokens{account="prod"} 3\n' in content
    assert 'losant_tokens_audit_complete{account="prod"} 1\n' in content
    assert 'losant_tokens_audit_complete{account="b\\"\\\\\\na"} 0\n' in content
    assert "losant_tokens_audit_timestamp_seconds 1" in content
    assert "mint" not in content
    lines = content.splitlines()
    assert len(lines) == len(set(lines))
    assert content.endswith("\n")


# --- Files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("json", 0o600), ("csv", 0o600), ("sarif", 0o600), ("prometheus", 0o644), ("html", 0o600)],
)
async def test_save(fake: FakeLosant, tmp_path: Path, kind: Any, mode: int) -> None:
    """An audit replaces an earlier one in the same format, and no other file."""
    path = tmp_path / f"audit.{kind}"
    with await audit_of(fake, [USER, APPLICATION]) as result:
        path.touch()
        assert result.save(path, kind) == path
        first = path.read_bytes()
        result.save(path, kind)
        assert path.read_bytes() == first
        assert stat.S_IMODE(path.stat().st_mode) == mode
        path.write_text("precious")
        with pytest.raises(GuardRefused, match="exists, and is not a"):
            result.save(path, kind)
        assert path.read_text() == "precious"
        with pytest.raises(JobError, match="cannot be written"):
            result.save(tmp_path / "missing" / path.name, kind)
        if kind != "html":
            with pytest.raises(JobError, match="cannot be written: it is a folder"):
                result.save(tmp_path, kind)
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208 -- nothing waits for it


async def test_page(fake: FakeLosant, tmp_path: Path) -> None:
    """The page has the worst tokens first, and server text only as text."""
    with await partial_audit(fake) as result:
        content = result.save(tmp_path / "audit.html", "html").read_text(encoding="utf-8")
        with pytest.raises(ValidationError, match=r"must end in \.html"):
            result.save(tmp_path / "audit.txt", "html")

    assert "<h1>2 tokens with findings</h1>" in content
    assert "<b>[x]" not in content
    assert "<div>account prod</div>" in content
    assert "Not audited completely" in content
    assert "Content-Security-Policy" in content
    rows = content[content.index("<tbody") :]
    assert rows.index("can-create-tokens, all-scopes") < rows.index("never-expires")


async def test_facts_of_the_page(tmp_path: Path) -> None:
    """The page shows the facts about a token that have no column, and text of a policy."""
    fake = fake_at_now()
    add(fake, "ci", id="1" * 24, status="inactive", expiration_date=None)
    fake.add_audit_log("1" * 24, creation_date=NOW - DAY)
    target = audit.Target(
        name="prod",
        client=client_of(fake),
        owners=[USER],
        audit_logs=["org:58c9e0d5f2b6740001de93b7"],
    )

    with await audit.run([target], policy=load_policy(tmp_path, RULE)) as result:
        content = result.save(tmp_path / "audit.html", "html").read_text(encoding="utf-8")

    assert "<div>inactive, seen on 2026-02-28</div>" in content
    assert "high: policy/never-expires" in content


async def test_empty_page(tmp_path: Path) -> None:
    """An account without tokens has a page, too."""
    with await audit_of(fake_at_now()) as result:
        content = result.save(tmp_path / "audit.html", "html").read_text(encoding="utf-8")

    assert "0 tokens with findings" in content


async def test_counts(fake: FakeLosant) -> None:
    """The counts of findings and tokens are by account."""
    with await partial_audit(fake) as result:
        counts = [(one.name, rule, count) for one, rule, _, count in result.counts()]
        tokens = [(one.name, severity, count) for one, severity, count in result.counts_of_tokens()]

    assert ("prod", "can-create-tokens", 1) in counts
    assert set(tokens) == {
        ("prod", None, 1),
        ("prod", Severity.MEDIUM, 1),
        ("prod", Severity.HIGH, 1),
    }
