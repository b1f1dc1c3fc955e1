"""An audit as CSV: one line for each finding, with cells that are harmless in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Iterator

from losant_tokens.audit._audit_data import AuditData
from losant_tokens.audit._finding import AuditedToken
from losant_tokens.audit._formats.json import wire_time
from losant_tokens.jobs import harmless_cell

COLUMNS = (
    *("severity", "rule", "message", "account", "owner", "id", "name", "status", "scope"),
    *("creationDate", "lastUpdated", "expirationDate", "lastSeen", "creatorId", "creatorName"),
    *("description", "fingerprint"),
)


def csv_parts(audit: AuditData) -> Iterator[str]:
    """Return an audit as CSV, a line for each finding."""
    yield _line(COLUMNS)
    for one in audit.tokens():
        if one.findings:
            # A token has many findings, and its cells take most of the time.
            cells = [harmless_cell(cell or "") for cell in _token_cells(one.token)]
            for finding in one.findings:
                start = (finding.severity.value, finding.rule, harmless_cell(finding.message))
                yield _line([*start, *cells, harmless_cell(finding.fingerprint)])


def _line(cells: Iterable[str]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow(cells)
    # Half of a surrogate pair cannot be encoded.
    return file.getvalue().encode("utf-8", "backslashreplace").decode()


def _token_cells(token: AuditedToken) -> tuple[str | None, ...]:
    return (
        token.account,
        str(token.owner),
        token.id,
        token.name,
        token.status,
        " ".join(token.scope),
        wire_time(token.creation_date),
        wire_time(token.last_updated),
        wire_time(token.expiration_date),
        wire_time(token.last_seen),
        token.creator_id,
        token.creator_name,
        token.description,
    )
