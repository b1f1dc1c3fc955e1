"""Save an audit to a file, completely or not at all."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from losant_tokens._utils.private_files import make_private, open_private, part_of, reason
from losant_tokens.jobs import GuardRefused, JobError, check_report_path

_HEAD = 4096  # bytes at the start of a file, which show its format
_OURS: Mapping[str, re.Pattern[bytes]] = MappingProxyType(
    {
        "json": re.compile(rb'\s*\{\s*"format": "losant-tokens audit"'),
        "csv": re.compile(rb"severity,rule,message,account,"),
        "sarif": re.compile(rb'\s*\{\s*"\$schema".{0,400}"name": "losant-tokens"', re.DOTALL),
        "prometheus": re.compile(rb"# HELP losant_tokens_audit_"),
    }
)
_PUBLIC_MODE = 0o644


def save_parts(path: Path, parts: Iterable[str], kind: str) -> Path:
    """Write the parts of a format to a file. Return the path.

    Args:
        path: The file.
        parts: The parts of the content.
        kind: The format. A file for Prometheus is readable for everyone, because the collector is
            another user.

    Raises:
        GuardRefused: The file exists, and is not empty and not an audit in this format.
        JobError: The file cannot be written.
    """
    check_path(path, kind)
    try:
        with part_of(path) as (descriptor, part):
            with os.fdopen(os.dup(descriptor), "w", encoding="utf-8", newline="") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            make_private(descriptor)
            if kind == "prometheus":
                part.chmod(_PUBLIC_MODE)
            part.replace(path)
    except OSError as error:
        raise JobError(f"{path} cannot be written: {reason(error)}") from None
    return path


def check_path(path: str | os.PathLike[str], kind: str) -> None:
    """Check, before an audit is made, that it can be saved to a path.

    Args:
        path: The file.
        kind: The format: `json`, `csv`, `sarif`, `prometheus` or `html`.

    Raises:
        ValidationError: The format is `html`, and the suffix is not `.html`.
        GuardRefused: The file exists, and is not empty and not an audit in this format.
        JobError: The file cannot be read.
    """
    path = Path(path)
    if kind == "html":
        check_report_path(path)
        return
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    except OSError as error:
        raise JobError(f"{path} cannot be written: {reason(error)}") from None
    with os.fdopen(descriptor, "rb") as file:
        head = file.read(_HEAD)
    if head and not _OURS[kind].match(head):
        raise GuardRefused(
            f"{path} exists, and is not an audit in this format. Give the audit another name, or "
            f"remove the file."
        )
