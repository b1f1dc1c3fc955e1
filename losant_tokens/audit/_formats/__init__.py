"""The formats of an audit: JSON, CSV, SARIF, Prometheus and a page."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from losant_tokens.audit._audit_data import AuditData
from losant_tokens.audit._formats.csv import csv_parts
from losant_tokens.audit._formats.json import json_parts
from losant_tokens.audit._formats.page import save_page
from losant_tokens.audit._formats.prometheus import prometheus_parts
from losant_tokens.audit._formats.sarif import sarif_parts
from losant_tokens.audit._formats.save import save_parts

_PARTS: Mapping[str, Callable[[AuditData], Iterator[str]]] = MappingProxyType(
    {"json": json_parts, "csv": csv_parts, "sarif": sarif_parts, "prometheus": prometheus_parts}
)


def audit_parts(audit: AuditData, kind: str) -> Iterator[str]:
    """Yield the document of an audit in parts, so that no format needs all findings in memory.

    Args:
        audit: The audit.
        kind: The format: `json`, `csv`, `sarif` or `prometheus`.
    """
    return _PARTS[kind](audit)


def save_audit(audit: AuditData, path: Path, kind: str) -> Path:
    """Save an audit to a file in a format. Return the path."""
    if kind == "html":
        return save_page(audit, path)
    return save_parts(path, audit_parts(audit, kind), kind)
