"""Decide whether a report may be written to a path.

Later steps read plans, journals and the reports of quarantines, so a report never replaces them.
"""

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from losant_tokens._utils.private_files import reason
from losant_tokens.errors import ValidationError
from losant_tokens.jobs._plan.guard_refused import GuardRefused
from losant_tokens.jobs._plan.plan import Plan

REPORT_SUFFIXES = (".json", ".csv", ".html")
"""The suffixes of report files, one for each format."""

_HEAD = 4096  # bytes at the start of a file, which show its format
_OURS = re.compile(rb'\s*\{\s*"format"\s*:\s*"losant-tokens (plan|journal|report)"')
_CSV = re.compile(rb'(?:\xef\xbb\xbf)?"owner","id","name",')
_HTML = b" - losant-tokens</title>"
_TOKENS = '  "tokens": ['
_ANOTHER_NAME = "Give the report another name, for example one with the date."


def check_report_path(path: str | os.PathLike[str], plan: Plan | None = None) -> None:
    """Check, before a job starts, that its report can be saved to a path.

    Args:
        path: The file of the report.
        plan: The plan of the job, if there is one yet. A report of the same plan can be replaced.

    Raises:
        ValidationError: The name of the file does not end in one of `REPORT_SUFFIXES`.
        GuardRefused: The file is a plan, a journal, the report of a quarantine of another plan, or
            not a report, or its folder cannot be read.
    """
    check_target(Path(path), None if plan is None else plan.digest)


def check_target(path: Path, digest: str | None) -> None:
    """Check that a report can be saved to a path.

    Args:
        path: The file of the report.
        digest: The digest of the report's plan, if there is one yet.

    Raises:
        ValidationError: There is no format for the suffix.
        GuardRefused: The file must not be replaced.
    """
    if path.suffix.lower() not in REPORT_SUFFIXES:
        suffixes = ", ".join(REPORT_SUFFIXES)
        raise ValidationError(f"The name of a report must end in {suffixes}: {path}")
    if problem := target_problem(path, digest):
        raise GuardRefused(problem)


def check_page_target(path: Path, digest: str | None) -> None:
    """Check that a page may be written to a path.

    Args:
        path: The path.
        digest: The digest of the plan that the page is about; `None` if it is about none.

    Raises:
        ValidationError: The suffix is not `.html`.
        GuardRefused: The file must not be replaced.
    """
    if path.suffix.lower() != ".html":
        raise ValidationError(f"The name of a page must end in .html: {path}")
    check_target(path, digest)


def target_problem(path: Path, digest: str | None = None) -> str | None:
    """Return why a report must not be written to a path, or `None`.

    An existing file is replaced only if it is empty, or a report in the same format. The report of
    a quarantine is replaced only by a report of the same plan.

    Args:
        path: The file of the report.
        digest: The digest of the report's plan, if there is one yet.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return f"{path} cannot be written: it is {_kind(status.st_mode)}"
        if status.st_size == 0:
            return None
        if _belongs_to_another_user(status.st_uid):
            return f"{path} belongs to another user. {_ANOTHER_NAME}"
        return _content_problem(path, digest)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{path} cannot be written: {reason(error)}"


def _content_problem(path: Path, digest: str | None) -> str | None:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    match = _OURS.match(head)
    kind = match[1].decode() if match else ""
    if kind in {"plan", "journal"}:
        return f"{path} is a {kind}. {_ANOTHER_NAME}"
    suffix = path.suffix.lower()
    if kind == "report" and suffix == ".json":
        return _report_problem(path, digest)
    if (suffix == ".csv" and _CSV.match(head)) or (suffix == ".html" and _HTML in head):
        return None
    return (
        f"{path} exists, and is not a {suffix} report of losant-tokens. {_ANOTHER_NAME} Or remove "
        f"the file."
    )


def _report_problem(path: Path, digest: str | None) -> str | None:
    try:
        data = _read_summary(path)
        plan, totals = data["plan"], data["totals"]
        is_needed = plan["action"] == "deactivate" and totals["done"] + totals["unknown"] > 0
        is_same_plan = digest is not None and plan["digest"] == digest
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"{path} is a report that cannot be read. {_ANOTHER_NAME}"
    if is_needed and not is_same_plan:
        return f"{path} is the report of a quarantine: restore and sweep need it. {_ANOTHER_NAME}"
    return None


def _read_summary(path: Path) -> dict[str, Any]:
    """Return the members of a JSON report before its tokens."""
    lines: list[str] = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.startswith(_TOKENS):
                head = "".join(lines).rstrip().removesuffix(",")
                data: dict[str, Any] = json.loads(head + "}")
                return data
            lines.append(line)
    report: dict[str, Any] = json.loads("".join(lines))
    return report


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "not a regular file"


def _belongs_to_another_user(uid: int) -> bool:
    getuid = getattr(os, "geteuid", None)
    return getuid is not None and getuid() not in {0, uid}
