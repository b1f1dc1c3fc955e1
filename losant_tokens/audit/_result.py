"""`Audit`: the result of an audit, which can be read and saved."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import attrs

from losant_tokens.audit._audit_data import AuditData
from losant_tokens.audit._formats import audit_parts, save_audit

Format = Literal["json", "csv", "sarif", "prometheus"]


@attrs.frozen(kw_only=True, eq=False)
class Audit(AuditData):
    """An audit. Close it, because its tokens are in a temporary file, or use a `with` block."""

    def parts(self, kind: Format) -> Iterator[str]:
        """Return the audit in a format, in parts, so that memory does not grow with the tokens.

        Args:
            kind: `json`, `csv`, `sarif` or `prometheus`.
        """
        return audit_parts(self, kind)

    def save(self, path: str | os.PathLike[str], kind: Format | Literal["html"]) -> Path:
        """Save the audit to a file, completely or not at all.

        Only you can read the file, except that of the format `prometheus`, which has no tokens.

        Args:
            path: The file. An existing file is replaced only if it is empty, or an audit in the
                same format.
            kind: `json`, `csv`, `sarif`, `prometheus` or `html`.

        Returns:
            The path.

        Raises:
            JobError: The file cannot be written, or must not be replaced.
        """
        return save_audit(self, Path(path), kind)
