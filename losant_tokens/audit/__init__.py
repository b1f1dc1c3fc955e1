"""Audit tokens of many accounts: risky, forgotten and not seen in use, ranked by severity.

`run` lists the tokens and returns an `Audit`. Its findings can be read, and saved as JSON, CSV,
SARIF, Prometheus metrics or a page. `compare` compares two audits that were saved as JSON.
`findings_of` decides the findings about one token, without any request.
"""

from losant_tokens.audit._audit import AuditProgress, Target, run
from losant_tokens.audit._audit_data import AuditedAccount, AuditedOwner
from losant_tokens.audit._checks import AuditContext, findings_of
from losant_tokens.audit._diff import AuditDiff, Difference, compare
from losant_tokens.audit._finding import AuditedToken, Finding, TokenFindings
from losant_tokens.audit._formats.save import check_path
from losant_tokens.audit._result import Audit
from losant_tokens.audit._rules import RULES, AuditRule
from losant_tokens.audit._snapshot_reader import AuditFileError, Snapshot, read

__all__ = [
    "RULES",
    "Audit",
    "AuditContext",
    "AuditDiff",
    "AuditFileError",
    "AuditProgress",
    "AuditRule",
    "AuditedAccount",
    "AuditedOwner",
    "AuditedToken",
    "Difference",
    "Finding",
    "Snapshot",
    "Target",
    "TokenFindings",
    "check_path",
    "compare",
    "findings_of",
    "read",
    "run",
]
