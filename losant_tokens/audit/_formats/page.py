"""An audit as a page for a browser."""

from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path
from types import MappingProxyType

from losant_tokens.audit._audit_data import AuditData
from losant_tokens.audit._finding import AuditedToken, TokenFindings
from losant_tokens.jobs import Entry, TokenPage, TokenPageRow, save_token_page
from losant_tokens.policy import Severity

# The names of colors of the page.
_COLORS: Mapping[Severity, str] = MappingProxyType(
    {
        Severity.CRITICAL: "delete",
        Severity.HIGH: "changed",
        Severity.MEDIUM: "protected",
        Severity.LOW: "gone",
        Severity.INFO: "pending",
    }
)
_SEVERITIES = tuple(reversed(Severity))


def save_page(audit: AuditData, path: Path) -> Path:
    """Save an audit as a page. Return the path.

    Raises:
        ValidationError: The suffix is not `.html`.
        GuardRefused: The file is not a page by this package, and not empty.
        JobError: The file cannot be written.
    """
    by_severity = audit.tokens_by_severity
    by_rule = audit.findings_by_rule
    found, total = sum(by_severity.values()), audit.token_count
    made = f"{audit.created_at.astimezone(UTC):%Y-%m-%d %H:%M}"
    page = TokenPage(
        headline=f"{_tokens(found)} with findings",
        where=f"{_accounts(audit)}, {_tokens(total)}, audited {made} UTC",
        notices=tuple(
            f"Not audited completely: {account.name}: {problem}"
            for account in audit.accounts
            for problem in account.problems
        ),
        tiles=tuple(
            (severity.value.capitalize(), count, "tokens by their worst finding", _COLORS[severity])
            for severity, count in by_severity.items()
            if count
        ),
        facts_title="Findings by rule",
        facts=tuple(
            (f"{rule.severity}: {rule.id}", f"{_tokens(by_rule[rule.id])}. {rule.help}")
            for rule in sorted(audit.rules, key=lambda rule: rule.severity, reverse=True)
            if by_rule[rule.id]
        ),
        state_name="Severity",
        states=tuple((_COLORS[one], one.value) for one in _SEVERITIES),
        full_list="Save the audit as CSV to see all of them.",
    )
    return save_token_page(page, _rows(audit), path)


def _rows(audit: AuditData) -> Iterator[TokenPageRow]:
    names_account = len(audit.accounts) > 1
    for one in audit.tokens():
        if one.severity is not None:
            yield _row(one, one.severity, names_account=names_account)


def _row(one: TokenFindings, severity: Severity, *, names_account: bool) -> TokenPageRow:
    token = one.token
    entry = Entry(
        owner=token.owner,
        id=token.id,
        name=token.name,
        status=token.status,
        last_updated=token.last_updated,
        creation_date=token.creation_date,
        expiration_date=token.expiration_date,
        reason=", ".join(_facts(token, names_account=names_account)),
        scope=token.scope,
        creator_id=token.creator_id,
        creator_name=token.creator_name,
        description=token.description,
    )
    # Sentences would not fit the column. The facts above the list explain the rules.
    note = ", ".join(finding.rule for finding in one.findings)
    return TokenPageRow(entry=entry, state=_SEVERITIES.index(severity), note=note)


def _facts(token: AuditedToken, *, names_account: bool) -> Iterator[str]:
    """Yield the facts about a token that have no column of their own."""
    if token.status == "inactive":
        yield "inactive"
    if token.last_seen is not None:
        yield f"seen on {token.last_seen.date().isoformat()}"
    if names_account:
        yield f"account {token.account}"


def _tokens(count: int) -> str:
    return f"{count:,} token{'' if count == 1 else 's'}"


def _accounts(audit: AuditData) -> str:
    count = len(audit.accounts)
    return audit.accounts[0].name if count == 1 else f"{count} accounts"
