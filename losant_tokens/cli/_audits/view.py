"""An audit, and the differences between two audits, for people."""

from collections.abc import Iterable, Iterator
from itertools import islice

from losant_tokens.audit import Audit, AuditDiff, Difference, Finding, TokenFindings
from losant_tokens.cli._plans.token_line import Page
from losant_tokens.cli._terminal.format import escaped, format_count, format_datetime, format_number
from losant_tokens.cli._terminal.tables import Cell, format_table

_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}
_CHANGE_STYLES = {"new": "green", "gone": "red", "changed": "yellow"}
_LABEL_WIDTH = len("changed  ")
_SHORT_ID = 8  # characters
# The least important columns shrink first.
_STEPS = (
    *(("OWNER", 12), ("ID", 9), ("NAME", 16), ("ACCOUNT", 8), ("FINDINGS", 19)),
    *(("OWNER", 5), ("NAME", 10), ("ACCOUNT", 6)),
)


def audit_text(result: Audit, limit: int, page: Page) -> str:
    """Return an audit as text: its totals, its rules, and the worst tokens.

    Args:
        result: The audit.
        limit: The maximum number of tokens to show.
        page: The width and the colors of the output.
    """
    by_severity = result.tokens_by_severity
    found = sum(by_severity.values())
    owners = sum(one.problem is None for account in result.accounts for one in account.owners)
    accounts = sum(account.is_audited for account in result.accounts)
    scope = f"{format_count(result.token_count)} of {format_number(owners, 'owner')}"
    if len(result.accounts) > 1:
        scope = f"{scope} in {format_number(accounts, 'account')}"
    parts = [page.wrapped(f"Audited {scope}.") + "\n"]
    if not found:
        return f"{parts[0]}{page.wrapped('No token has a finding.')}\n"
    counts = ", ".join(f"{count:,} {one}" for one, count in by_severity.items() if count)
    worst = f"{format_count(found)} {'has' if found == 1 else 'have'} findings, by the worst one"
    parts.append(page.wrapped(f"{worst}: {counts}.") + "\n\n")
    parts += [_rules_table(result), "\n"]
    shown = [one for one in islice(result.tokens(), limit) if one.findings]
    title = "The tokens with findings, the worst first:"
    if len(shown) < found:
        title = f"The worst {len(shown):,} of {format_count(found)} with findings:"
    parts += [page.wrapped(title) + "\n\n", _tokens_table(result, shown)]
    return "".join(parts)


def _severity(severity: object) -> Cell:
    return Cell(str(severity), _STYLES[str(severity)])


def _rules_table(result: Audit) -> str:
    counts = result.findings_by_rule
    return format_table(
        ["SEVERITY", "RULE", "TOKENS", "A TOKEN THAT"],
        [
            (_severity(rule.severity), rule.id, f"{counts[rule.id]:,}", rule.title)
            for rule in sorted(result.rules, key=lambda rule: rule.severity, reverse=True)
            if counts[rule.id]
        ],
        wrap="A TOKEN THAT",
        numbers=["TOKENS"],
    )


def _tokens_table(result: Audit, tokens: Iterable[TokenFindings]) -> str:
    owners = {one.owner for account in result.accounts for one in account.owners}
    has_account, has_owner = len(result.accounts) > 1, len(owners) > 1
    headers = ["SEVERITY", "NAME", "ID"]
    headers += [*(["ACCOUNT"] if has_account else []), *(["OWNER"] if has_owner else [])]
    rows = []
    for one in tokens:
        token = one.token
        row = [_severity(one.severity), Cell(token.name), _id(token.id)]
        if has_account:
            row.append(Cell(token.account))
        if has_owner:
            row.append(_owner(str(token.owner)))
        rules = ", ".join(finding.rule for finding in one.findings)
        rows.append([*row, Cell(rules)])
    return format_table([*headers, "FINDINGS"], rows, steps=_STEPS, wrap="FINDINGS")


def _id(text: str) -> Cell:
    return Cell(text, shorter=(f"{text[:_SHORT_ID]}…",) if len(text) > _SHORT_ID else ())


def _owner(text: str) -> Cell:
    kind, _, id_ = text.partition(":")
    if not id_:
        return Cell(text)
    return Cell(text, shorter=(f"{kind}:{id_[:4]}…", f"{kind[:3]}:{id_[:4]}…", f"{kind[:4]}…"))


# --- Differences -----------------------------------------------------------------------------


def diff_lines(diff: AuditDiff, page: Page) -> Iterator[str]:
    """Return the differences between two audits as text, with a last line about all of them."""
    for label, one in (("Old", diff.old), ("New", diff.new)):
        made = format_datetime(one.created_at, "")
        text = f"{label}: {one.path}: {format_count(len(one.tokens))}, audited {made}"
        yield f"{page.wrapped(escaped(text), '     ')}\n"
    yield "\n"
    for change in diff.changes:
        yield from _change_lines(change, page)
    if diff.changes:
        yield "\n"
    kinds = [change.kind for change in diff.changes]
    tokens = ", ".join(f"{kinds.count(kind):,} {kind}" for kind in ("new", "gone", "changed"))
    findings = ", ".join(
        f"{sum(len(getattr(change, name)) for change in diff.changes):,} {kind}"
        for kind, name in (
            ("new", "new_findings"),
            ("gone", "gone_findings"),
            ("changed", "changed_findings"),
        )
    )
    yield f"{page.wrapped(f'Tokens: {tokens}, {diff.same:,} same. Findings: {findings}.')}\n"


def _change_lines(change: Difference, page: Page) -> Iterator[str]:
    token = change.token
    label = page.styled(f"{change.kind:<{_LABEL_WIDTH}}", _CHANGE_STYLES[change.kind])
    verb = {"new": "created", "gone": "deleted", "changed": "changed"}[change.kind]
    by = "" if change.by is None else f", {verb} by {change.by}"
    account = f"{token.account}, " if token.account else ""
    text = escaped(f"{token.name} ({account}{token.owner}, {token.id}){by}")
    indent = " " * _LABEL_WIDTH
    lines = page.narrower(_LABEL_WIDTH).wrapped(text).splitlines()
    yield label + f"\n{indent}".join(lines) + "\n"
    for name, (old, new) in change.facts.items():
        yield _detail(f"{name}: {_value(old)} -> {_value(new)}", page)
    for sign, findings in (
        ("+", change.new_findings),
        ("~", change.changed_findings),
        ("-", change.gone_findings),
    ):
        for finding in findings:
            yield _detail(f"{sign} {_finding(finding)}", page)


def _detail(text: str, page: Page) -> str:
    indent = " " * _LABEL_WIDTH
    return f"{page.wrapped(indent + escaped(text), indent + '  ')}\n"


def _finding(finding: Finding) -> str:
    return f"{finding.severity} {finding.rule}: {finding.message}"


def _value(value: object) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
