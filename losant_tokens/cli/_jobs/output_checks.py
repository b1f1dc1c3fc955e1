"""Checks, before anything is changed, that a job can write its files and replaces none."""

import os
from collections.abc import Sequence
from pathlib import Path

from losant_tokens import jobs
from losant_tokens.cli._errors import BlockedError, CommandError, UsageError
from losant_tokens.cli._state.files import LEDGER, existing_state_folder

NamedFile = tuple[str, Path]


def check_outputs(
    reports: Sequence[Path],
    *,
    inputs: Sequence[NamedFile] = (),
    out: Path | None = None,
    journal: Path | None = None,
    plan: jobs.Plan | None = None,
) -> None:
    """Check the files that a job is going to write.

    Args:
        reports: The reports.
        inputs: The files that the job reads, each with its purpose.
        out: The new plan.
        journal: The journal.
        plan: The plan, if it has been made.

    Raises:
        UsageError: The name of a report does not end in a known format.
        CommandError: A report cannot be written.
        BlockedError: A file would be replaced that this or another step needs.
    """
    for file in reports:
        _check_report(file)
    _check_distinct(
        [
            *inputs,
            *([("the plan", out)] if out is not None else []),
            *([("the journal", journal)] if journal is not None else []),
            *(("another report", file) for file in reports),
        ]
    )
    for file in reports:
        _check_replaceable(file, plan)


def _check_report(file: Path) -> None:
    if file.suffix.lower() not in jobs.REPORT_SUFFIXES:
        suffixes = ", ".join(jobs.REPORT_SUFFIXES)
        raise UsageError(f"the name of a report must end in {suffixes}: {file}")
    if not os.access(file.parent, os.W_OK):
        raise CommandError(f"{file} cannot be written: its folder is missing or read-only")
    state = existing_state_folder()
    if state is not None and file.parent.resolve() == (state / LEDGER).resolve():
        raise BlockedError(
            f"{file.parent} is for the records of quarantines", "write the report elsewhere"
        )


def _check_distinct(files: Sequence[NamedFile]) -> None:
    """Check that no two of the files are the same."""
    for index, (purpose, file) in enumerate(files):
        for other_purpose, other in files[:index]:
            if is_same_file(file, other):
                raise BlockedError(
                    f"{file} would be {purpose} and {other_purpose} at once. No token was changed",
                    "give each file its own name",
                )


def _check_replaceable(file: Path, plan: jobs.Plan | None) -> None:
    try:
        jobs.check_report_path(file, plan)
    except jobs.GuardRefused as problem:
        raise BlockedError(f"{str(problem).rstrip('.')}. No token was changed.") from None


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file, or would if the file existed.

    Links and relative paths are followed. Names that differ only in case are the same, because
    some file systems ignore case.
    """
    try:
        if one.samefile(other):
            return True
    except OSError:
        pass
    return str(one.resolve()).casefold() == str(other.resolve()).casefold()
