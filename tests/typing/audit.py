"""The types of audits."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import assert_type

from losant_tokens import ApiToken, AsyncClient, Owner, accounts, audit
from losant_tokens.policy import Severity


async def audits() -> None:
    target = audit.Target(name="prod", client=AsyncClient(), owners=[Owner.user()])

    targets = [audit.Target.for_account(account) for account in accounts.load().values()]
    assert_type(targets, list[audit.Target])

    def report_progress(progress: audit.AuditProgress) -> None:
        assert_type(progress.tokens, int)

    with await audit.run([target], on_progress=report_progress) as result:
        assert_type(result, audit.Audit)
        assert_type(result.findings(), Iterator[audit.Finding])
        assert_type(result.tokens(), Iterator[audit.TokenFindings])
        assert_type(result.worst, Severity | None)
        assert_type(result.findings_by_rule, Mapping[str, int])
        assert_type(result.tokens_by_severity, Mapping[Severity, int])
        assert_type(result.accounts[0].problems, tuple[str, ...])
        assert_type(result.accounts[0].owners, tuple[audit.AuditedOwner, ...])
        assert_type(result.parts("csv"), Iterator[str])
        assert_type(result.save("audit.sarif", "sarif"), Path)
        result.save("audit.pdf", "pdf")  # type: ignore[arg-type]


def findings(token: ApiToken, now: datetime) -> None:
    context = audit.AuditContext(account="prod", owner=Owner.user(), now=now)
    (finding,) = audit.findings_of(token, context)
    assert_type(finding, audit.Finding)
    assert_type(finding.severity, Severity)
    assert_type(finding.token, audit.AuditedToken)
    assert_type(finding.fingerprint, str)
    assert_type(audit.RULES, tuple[audit.AuditRule, ...])


def differences() -> None:
    old = audit.read(Path("monday.json"))
    assert_type(old, audit.Snapshot)
    diff = audit.compare(old, audit.read("tuesday.json"))
    assert_type(diff, audit.AuditDiff)
    assert_type(diff.changes, tuple[audit.Difference, ...])
    assert_type(diff.json_parts(), Iterator[str])
    audit.check_path("audit.sarif", "sarif")
