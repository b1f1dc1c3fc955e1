"""Write the reports of a job, and print its totals and failures."""

from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from shlex import quote

from losant_tokens import jobs
from losant_tokens.cli._console import is_quiet, print_error, print_status, write_result
from losant_tokens.cli._errors import CommandError, explain
from losant_tokens.cli._json import as_json
from losant_tokens.cli._plan_view import totals_line

_MAX_SHOWN_FAILURES = 5


def write_reports(
    report: jobs.Report, files: Sequence[Path], resume: str
) -> tuple[list[Path], list[Path]]:
    """Write the reports of a job; return their files, and the files that were written.

    Args:
        report: The report.
        files: The files that the user named.
        resume: The command that resumes the job, and so writes the reports again.
    """
    files = [*files, *_default_report(report, files)]
    return files, [file for file in files if _is_written(report, file, resume)]


def _default_report(report: jobs.Report, files: Sequence[Path]) -> list[Path]:
    """Return the file of the JSON report that `sweep` and `restore` need after a quarantine."""
    has_json = any(file.suffix.lower() == ".json" for file in files)
    if report.plan.header.action != "deactivate" or has_json or not len(report.plan):
        return []
    stem = report.plan.path.stem
    numbers = (f"-{number}" for number in count(2))
    names = (f"{stem}.report{number}.json" for number in chain([""], numbers))
    paths = (report.journal.with_name(name) for name in names)
    return [next(path for path in paths if _is_free(path, report.plan))]


def _is_free(path: Path, plan: jobs.Plan) -> bool:
    """Return whether a report can be written to a path without replacing another file."""
    try:
        jobs.check_report_path(path, plan)
    except jobs.GuardRefused:
        return False
    return True


def _is_written(report: jobs.Report, file: Path, resume: str) -> bool:
    """Write a report, and return whether that worked."""
    try:
        report.save(file)
    except jobs.JobError as error:
        problem = explain(error)
        problem.hint = (
            "the journal has all outcomes. To write the report again, with another --report: "
            + resume
        )
        print_error(problem)
        return False
    return True


def print_totals(report: jobs.Report, saved: Sequence[Path], *, json: bool) -> None:
    """Print the totals of a job, its failures, and the files of its reports.

    Args:
        report: The report.
        saved: The files that it was written to.
        json: Whether to write JSON to stdout.
    """
    if json:
        summary = report.summary()
        del summary["pace"]
        write_result(as_json({**summary, "reports": list(map(str, saved))}))
    elif not is_quiet() and report.plan.header.total.selected:
        write_result(f"{totals_line(report)}\n")
    print_failures(report)
    for file in saved:
        print_status(f"Report: {file}")
        if report.plan.header.action == "deactivate" and file.suffix.lower() == ".json":
            name = quote(str(file))
            print_status(f"To activate the tokens again: losant-tokens restore {name}")
            print_status(f"To delete them later: losant-tokens sweep {name} --after 30d")


def print_failures(report: jobs.Report) -> None:
    """Print the first failed tokens, and why the job gave up."""
    shown = 0
    for one in report.results() if report.counts[jobs.Outcome.FAILED] else ():
        if one.outcome is jobs.Outcome.FAILED:
            shown += 1
            if shown <= _MAX_SHOWN_FAILURES:
                print_error(CommandError(f"{one.entry.name} ({one.entry.id}): {one.error}"))
    if report.gave_up is not None:
        print_error(CommandError(f"gave up: {report.gave_up}"))
