"""An audit as JSON, which `read` reads again. The reference documents its members."""

from collections.abc import Iterator
from datetime import UTC, datetime

from losant_tokens import __version__
from losant_tokens.audit._audit_data import AuditData, AuditedAccount, AuditedOwner
from losant_tokens.audit._finding import AuditedToken, Finding, TokenFindings
from losant_tokens.jobs import json_document

FORMAT = "losant-tokens audit"
VERSION = 1


def json_parts(audit: AuditData) -> Iterator[str]:
    """Return an audit as a JSON document, with one line for each token."""
    return json_document(_members(audit), "tokens", map(token_members, audit.tokens()))


def _members(audit: AuditData) -> dict[str, object]:
    by_severity = audit.tokens_by_severity
    return {
        "format": FORMAT,
        "version": VERSION,
        "program": f"losant-tokens {__version__}",
        "created": wire_time(audit.created_at),
        "complete": audit.is_complete,
        "accounts": [_account(account) for account in audit.accounts],
        "rules": [
            {
                "id": rule.id,
                "severity": rule.severity.value,
                "title": rule.title,
                "help": rule.help,
            }
            for rule in audit.rules
        ],
        "totals": {
            "tokens": audit.token_count,
            "tokensWithFindings": sum(by_severity.values()),
            "tokensBySeverity": {one.value: count for one, count in by_severity.items()},
            "findings": dict(audit.findings_by_rule),
        },
    }


def _account(account: AuditedAccount) -> dict[str, object]:
    return {
        "name": account.name,
        "baseUrl": account.base_url,
        "problem": account.problem,
        "auditLogs": list(account.audit_logs),
        "auditLogProblem": account.audit_log_problem,
        "auditLogGaps": list(account.audit_log_gaps),
        "deletedBy": dict(account.deleted_by),
        "owners": [_owner(owner) for owner in account.owners],
    }


def _owner(owner: AuditedOwner) -> dict[str, object]:
    return {
        "owner": str(owner.owner),
        "tokens": owner.tokens,
        "problem": owner.problem,
        "incomplete": list(owner.incomplete),
    }


def token_members(one: TokenFindings) -> dict[str, object]:
    """Return a token with its findings as JSON values. The names are those of the API."""
    severity = one.severity
    return {
        **fact_members(one.token),
        "severity": None if severity is None else severity.value,
        "findings": [finding_members(finding) for finding in one.findings],
    }


def fact_members(token: AuditedToken) -> dict[str, object]:
    """Return the facts about a token as JSON values. The names are those of the API."""
    return {
        "account": token.account,
        "owner": str(token.owner),
        "id": token.id,
        "name": token.name,
        "status": token.status,
        "scope": list(token.scope),
        "creationDate": wire_time(token.creation_date),
        "lastUpdated": wire_time(token.last_updated),
        "expirationDate": wire_time(token.expiration_date),
        "creatorId": token.creator_id,
        "creatorName": token.creator_name,
        "description": token.description,
        "lastSeen": wire_time(token.last_seen),
        "changedBy": token.changed_by,
    }


def finding_members(finding: Finding) -> dict[str, object]:
    """Return a finding as JSON values, without its token."""
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "message": finding.message,
        "evidence": dict(finding.evidence),
        "fingerprint": finding.fingerprint,
    }


def wire_time(time: datetime | None) -> str | None:
    """Return a time in UTC, to the millisecond."""
    if time is None:
        return None
    try:
        utc = time.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:  # In UTC, it is outside the years 1 to 9999.
        return time.isoformat(timespec="milliseconds")
    return f"{utc.isoformat(timespec='milliseconds')}Z"
