"""Checks, before anything is changed, that a job can write its files and replaces none."""

import os
from collections.abc import Sequence
from pathlib import Path

from losant_tokens.cli._errors import CommandError, RefusedError, UsageError
from losant_tokens.jobs._report.save import ENDINGS
from losant_tokens.jobs._report.target import is_same_file, target_problem

Named = tuple[str, Path]


def check_outputs(
    reports: Sequence[Path],
    *,
    inputs: Sequence[Named] = (),
    out: Path | None = None,
    journal: Path | None = None,
    digest: str | None = None,
) -> None:
    """Check the files that a job is going to write.

    Args:
        reports: The reports.
        inputs: The files that it reads, each with what it is.
        out: The new plan.
        journal: The journal.
        digest: The digest of the plan, if there is one.

    Raises:
        UsageError: A report has an ending that says nothing.
        CommandError: A report cannot be written.
        RefusedError: A file would be replaced that this or another step needs.
    """
    for file in reports:
        if file.suffix.lower() not in ENDINGS:
            raise UsageError(f"a report ends in {', '.join(ENDINGS)}, but this does not: {file}")
        if not os.access(file.parent, os.W_OK):
            raise CommandError(f"{file} cannot be written: its folder is missing or read-only")
    taken = [
        *inputs,
        *([("the plan", out)] if out is not None else []),
        *([("the journal", journal)] if journal is not None else []),
        *(("another report", file) for file in reports),
    ]
    for place, (what, file) in enumerate(taken):
        for other_what, other in taken[:place]:
            if is_same_file(file, other):
                raise RefusedError(
                    f"{file} would be {what} and {other_what} at once. No token was changed",
                    "give each file a name of its own",
                )
    for file in reports:
        if problem := target_problem(file, digest):
            raise RefusedError(f"{problem.rstrip('.')}. No token was changed.")
