"""An audit as CSV: one line for each finding, with cells that are harmless in a spreadsheet."""

import csv
import io
from collections.abc import Iterator

from losant_tokens.audit._finding import Finding
from losant_tokens.audit._formats.json import wire_time
from losant_tokens.audit._result import Audit
from losant_tokens.jobs import harmless_cell

COLUMNS = (
    *("severity", "rule", "message", "account", "owner", "id", "name", "status", "scope"),
    *("creationDate", "lastUpdated", "expirationDate", "lastSeen", "creatorId", "creatorName"),
    *("description", "fingerprint"),
)


def csv_parts(audit: Audit) -> Iterator[str]:
    """Return an audit as CSV, a line for each finding."""
    yield _line(COLUMNS)
    for finding in audit.findings():
        yield _line([harmless_cell(cell) for cell in _cells(finding)])


def _line(cells: tuple[str, ...] | list[str]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow(cells)
    # Half of a surrogate pair cannot be encoded.
    return file.getvalue().encode("utf-8", "backslashreplace").decode()


def _cells(finding: Finding) -> Iterator[str]:
    token = finding.token
    values = (
        finding.severity.value,
        finding.rule,
        finding.message,
        finding.account,
        str(finding.owner),
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
        finding.fingerprint,
    )
    return (value or "" for value in values)
