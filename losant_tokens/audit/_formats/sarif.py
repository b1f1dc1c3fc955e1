"""An audit as SARIF 2.1.0, for code scanning services.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html. Section 3.11.5 reserves
braces in messages for placeholders, and section 3.11.6 square brackets for links, so both are
escaped. RFC 8259, section 8.2, warns that many parsers refuse half of a surrogate pair, so it is
replaced.

A token is not a file. Its logical location is the token, and its physical one is a path made
up from the account, the owner and the id, because GitHub shows only results with a path.
"""

import json
from collections.abc import Iterator
from types import MappingProxyType
from urllib.parse import quote

from losant_tokens import __version__
from losant_tokens.audit._audit_data import AuditData
from losant_tokens.audit._finding import Finding
from losant_tokens.audit._formats.json import wire_time
from losant_tokens.audit._rules import AuditRule
from losant_tokens.policy import Severity

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_FINGERPRINT = "losantTokens/v1"
_LEVELS = MappingProxyType(
    {
        Severity.CRITICAL: "error",
        Severity.HIGH: "error",
        Severity.MEDIUM: "warning",
        Severity.LOW: "note",
        Severity.INFO: "note",
    }
)
# GitHub shows a score above 9.0 as critical, from 7.0 as high, and from 4.0 as medium.
_SCORES = MappingProxyType(
    {
        Severity.CRITICAL: "9.5",
        Severity.HIGH: "8.0",
        Severity.MEDIUM: "5.0",
        Severity.LOW: "2.0",
        Severity.INFO: "0.0",
    }
)


def sarif_parts(audit: AuditData) -> Iterator[str]:
    """Return an audit as a SARIF log, with one line for each finding."""
    run = {
        "tool": {"driver": _driver(audit)},
        "invocations": [_invocation(audit)],
        "columnKind": "unicodeCodePoints",
    }
    head = json.dumps({"$schema": _SCHEMA, "version": "2.1.0"}, indent=2).removesuffix("\n}")
    yield f'{head},\n  "runs": [\n{json.dumps(run, indent=2).removesuffix(chr(10) + "}")}'
    yield ',\n  "results": ['
    places = {rule.id: place for place, rule in enumerate(audit.rules)}
    separator = "\n"
    for finding in audit.findings():
        yield f"{separator}{json.dumps(_result(finding, places[finding.rule]))}"
        separator = ",\n"
    yield "\n]}]}\n"


def _driver(audit: AuditData) -> dict[str, object]:
    return {
        "name": "losant-tokens",
        "version": __version__,
        "informationUri": "https://github.com/losant-tokens/losant-tokens",
        "rules": [_rule(rule) for rule in audit.rules],
    }


def _rule(rule: AuditRule) -> dict[str, object]:
    return {
        "id": rule.id,
        "shortDescription": {"text": _escaped(rule.summary)},
        "help": {"text": _escaped(rule.help)},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"security-severity": _SCORES[rule.severity], "tags": ["security"]},
    }


def _invocation(audit: AuditData) -> dict[str, object]:
    problems = [
        f"{account.name}: {problem}" for account in audit.accounts for problem in account.problems
    ]
    return {
        "executionSuccessful": audit.is_complete,
        "endTimeUtc": wire_time(audit.created_at),
        "toolExecutionNotifications": [
            {"level": "error", "message": {"text": _escaped(f"Not audited completely: {problem}")}}
            for problem in problems
        ],
    }


def _result(finding: Finding, place: int) -> dict[str, object]:
    token = finding.token
    account, token_id = _unicode(finding.account), _unicode(token.id)
    parts = (*([account] if account else []), str(finding.owner), token_id)
    name = json.dumps(token.name, ensure_ascii=False)
    return {
        "ruleId": finding.rule,
        "ruleIndex": place,
        "level": _LEVELS[finding.severity],
        "message": {"text": _escaped(f"Token {name}: {finding.message}")},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "losant/" + "/".join(map(_segment, parts))},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [
                    {
                        "name": _unicode(token.name),
                        "fullyQualifiedName": "/".join(parts),
                        "kind": "resource",
                    }
                ],
            }
        ],
        "partialFingerprints": {_FINGERPRINT: finding.fingerprint},
        "properties": {
            "severity": finding.severity.value,
            "account": account,
            "owner": str(finding.owner),
            "tokenId": token_id,
            "evidence": {
                key: _unicode(value) if isinstance(value, str) else value
                for key, value in finding.evidence.items()
            },
        },
    }


def _segment(text: str) -> str:
    """Return a part of a path; `.` and `..` must not lead to another folder."""
    encoded = quote(text, safe="", errors="replace")
    return encoded.replace(".", "%2E") if not encoded.strip(".") else encoded


def _unicode(text: str) -> str:
    """Return a string without half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def _escaped(text: str) -> str:
    text = _unicode(text)
    for char in "\\[]":
        text = text.replace(char, f"\\{char}")
    return text.replace("{", "{{").replace("}", "}}")
