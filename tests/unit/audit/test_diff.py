"""Audits from files, and the differences between two of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from losant_tokens import audit
from losant_tokens.audit import AuditFileError, Snapshot
from losant_tokens.policy import Severity

OWNER = "user"


def token(id_: str, name: str = "ci", *findings: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a token of an audit file."""
    return {
        "account": "prod",
        "owner": OWNER,
        "id": id_,
        "name": name,
        "status": "active",
        "scope": ["me"],
        "creationDate": "2026-01-01T00:00:00.000Z",
        "lastUpdated": None,
        "expirationDate": None,
        "creatorId": None,
        "creatorName": "ada",
        "description": None,
        "lastSeen": None,
        "changedBy": None,
        "severity": None,
        "findings": list(findings),
        **members,
    }


def finding(rule: str, severity: str = "low", message: str = "m") -> dict[str, Any]:
    return {
        "rule": rule,
        "severity": severity,
        "message": message,
        "evidence": {"a": 1, "b": "x"},
        "fingerprint": "0" * 32,
    }


def account(
    name: str = "prod", owner: str = OWNER, url: str = "api.losant.com", **members: Any
) -> dict[str, Any]:
    return {
        "name": name,
        "baseUrl": f"https://{url}",
        "owners": [{"owner": owner, "tokens": 1, "problem": None, "incomplete": [], **members}],
        "deletedBy": {},
    }


def document(*tokens: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return an audit file as values."""
    return {
        "format": "losant-tokens audit",
        "version": 1,
        "created": "2026-03-01T12:00:00.000Z",
        "accounts": [account()],
        "tokens": list(tokens),
        **members,
    }


@pytest.fixture
def read(tmp_path: Path) -> Callable[[dict[str, Any]], Snapshot]:
    def write_and_read(data: dict[str, Any]) -> Snapshot:
        path = tmp_path / "audit.json"
        path.write_text(json.dumps(data))
        return audit.read(path)

    return write_and_read


Read = Callable[[dict[str, Any]], Snapshot]


def test_differences(read: Read) -> None:
    """New, changed and gone tokens are found, with who did it, and equal ones are counted."""
    old = read(
        document(
            token("AA", "same", finding("expired")),
            token("bb", "patched", finding("expired"), finding("inactive"), status="inactive"),
            token("cc", "gone", finding("expired")),
        )
    )
    patched = token(
        "bb",
        "patched",
        finding("expired", "high"),
        finding("all-scopes", "medium"),
        changedBy="linus",
        scope=["me", "orgs"],
    )
    new = read(
        document(
            token("aa", "same", finding("expired"), lastSeen="2026-01-01T00:00:00Z"),
            patched,
            token("dd", "new", finding("never-expires", "critical")),
            accounts=[{**account(), "deletedBy": {"CC": "grace"}}],
        )
    )

    diff = audit.compare(old, new)

    assert [(one.kind, one.token.name, one.by) for one in diff.changes] == [
        ("new", "new", "ada"),
        ("changed", "patched", "linus"),
        ("gone", "gone", "grace"),
    ]
    changed = diff.changes[1]
    assert dict(changed.facts) == {
        "status": ("inactive", "active"),
        "scope": (["me"], ["me", "orgs"]),
    }
    assert [one.rule for one in changed.new_findings] == ["all-scopes"]
    assert [one.rule for one in changed.changed_findings] == ["expired"]
    assert [one.rule for one in changed.gone_findings] == ["inactive"]
    assert (diff.same, diff.not_compared, diff.worst_new) == (1, (), Severity.CRITICAL)
    data = json.loads("".join(diff.json_parts()))
    assert data["totals"] == {"new": 1, "gone": 1, "changed": 1, "same": 1}
    assert data["tokens"][1]["facts"]["status"] == {"old": "inactive", "new": "active"}
    assert data["tokens"][0]["newFindings"][0]["rule"] == "never-expires"


def test_only_findings_differ(read: Read) -> None:
    """A token with other findings is changed, although nobody has changed it."""
    old = read(document(token("aa", changedBy="linus")))
    new = read(document(token("aa", "ci", finding("expired"), changedBy="linus")))

    (change,) = audit.compare(old, new).changes

    assert (change.kind, change.facts, change.by) == ("changed", {}, None)
    assert audit.compare(new, new).worst_new is None
    assert audit.compare(new, new).changes == ()


@pytest.mark.parametrize(
    ("severity", "message", "changed", "worst"),
    [
        ("high", "m", ["expired"], Severity.HIGH),
        ("info", "m", ["expired"], None),
        ("low", "other", [], None),
    ],
)
def test_findings_that_changed(
    read: Read, severity: str, message: str, changed: list[str], worst: Severity | None
) -> None:
    """A finding that became worse counts as new, and one with other words does not."""
    old = read(document(token("aa", "ci", finding("expired"))))
    new = read(document(token("aa", "ci", finding("expired", severity, message))))

    diff = audit.compare(old, new)

    assert [one.rule for change in diff.changes for one in change.changed_findings] == changed
    assert diff.worst_new is worst


def test_dates_differ(read: Read) -> None:
    """A date that differs is shown as in the file."""
    old = read(document(token("aa")))
    new = read(document(token("aa", expirationDate="2027-01-01T00:00:00+00:00")))

    (change,) = audit.compare(old, new).changes

    assert change.facts == {"expirationDate": (None, "2027-01-01T00:00:00.000Z")}


@pytest.mark.parametrize(
    "members", [{"problem": "403"}, {"incomplete": ["moved"]}, {"owner": "oauth"}]
)
def test_owners_that_one_audit_lacks(read: Read, members: dict[str, Any]) -> None:
    """A token of an owner that one audit did not list completely is neither new nor gone."""
    full = read(document(token("aa")))
    part = read(document(accounts=[account(**members)]))

    assert (audit.compare(full, part).changes, audit.compare(part, full).changes) == ((), ())
    assert ("prod", OWNER) in audit.compare(full, part).not_compared


def test_same_id_of_two_apis(read: Read) -> None:
    """Tokens of two APIs that have the same id are two tokens."""
    accounts = [account(), account("staging", url="api.staging.example.com")]
    both = (token("aa"), token("aa", account="staging"))
    old = read(document(*both, accounts=accounts))
    new = read(document(both[0], accounts=accounts))

    assert [len(old.tokens), len(new.tokens)] == [2, 1]
    assert [(one.kind, one.token.account) for one in audit.compare(old, new).changes] == [
        ("gone", "staging")
    ]


def test_renamed_account(read: Read) -> None:
    """A token that exists under another account name is not new."""
    old = read(document(token("aa", account="staging"), accounts=[account("staging"), account()]))
    new = read(document(token("aa"), accounts=[account("staging"), account()]))

    assert audit.compare(old, new).changes == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": "x"}, '"format" is not "losant-tokens audit"'),
        ({"version": 2}, "is an audit of version 2, but this release can only read version 1"),
        ({"version": "\x1b[2J"}, "version is not an integer"),
        ({"tokens": {}}, "tokens is not a list"),
        ({"tokens": [1]}, "tokens[0] is not an object"),
        ({"tokens": [token("aa") | {"id": 1}]}, "tokens[0].id is not a string"),
        ({"tokens": [token("aa", owner="nobody")]}, "tokens[0].owner is not an owner"),
        ({"tokens": [token("aa", scope=[1])]}, "tokens[0].scope[0] is not a string"),
        ({"tokens": [token("aa", lastSeen="noon")]}, "tokens[0].lastSeen is not a time"),
        (
            {"tokens": [token("aa", lastSeen="2026-01-01T00:00:00")]},
            "tokens[0].lastSeen is a time without a time zone",
        ),
        (
            {"tokens": [token("aa", "ci", finding("expired", "huge"))]},
            "tokens[0].findings[0].severity is not a severity",
        ),
        (
            {"tokens": [token("aa", "ci", finding("expired") | {"evidence": {"a": []}})]},
            "tokens[0].findings[0].evidence.a is not a string",
        ),
        ({"tokens": [{"account": "prod"}]}, "tokens[0].owner is missing"),
        ({"accounts": [{"name": "x", "baseUrl": "x"}]}, "accounts[0].owners is missing"),
        ({"accounts": [account() | {"deletedBy": {"a": 1}}]}, "accounts[0].deletedBy.a is not a"),
        ({"created": None}, "created is not a string"),
    ],
)
def test_files_with_mistakes(read: Read, change: dict[str, Any], problem: str) -> None:
    """A file that is not an audit is refused, and the error names the place."""
    with pytest.raises(AuditFileError) as caught:
        read(document() | change)

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"1", b'{"format": 1, "format": 2}', b"\xff", b"NaN", b"[" * 100_000],
)
def test_files_that_are_no_json(tmp_path: Path, content: bytes) -> None:
    """A file that is not a JSON object is refused without a traceback."""
    path = tmp_path / "x.json"
    path.write_bytes(content)

    with pytest.raises(AuditFileError, match="is not an audit"):
        audit.read(path)


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a missing file and a file that is too large are refused."""
    with pytest.raises(AuditFileError, match="cannot be read: it is a folder"):
        audit.read(tmp_path)
    with pytest.raises(AuditFileError, match="No such file"):
        audit.read(tmp_path / "missing.json")
    path = tmp_path / "x.json"
    path.write_text("{}")
    monkeypatch.setattr("losant_tokens.audit._snapshot_reader._MAX_SIZE", 1)
    with pytest.raises(AuditFileError, match="too large"):
        audit.read(path)
    monkeypatch.undo()

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("losant_tokens.audit._snapshot_reader.json.loads", fail)
    with pytest.raises(AuditFileError, match="too large"):
        audit.read(path)
