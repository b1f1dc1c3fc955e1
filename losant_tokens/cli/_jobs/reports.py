"""Write the reports of a job, and print its totals and failures."""

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from losant_tokens import jobs
from losant_tokens.cli._errors import CommandError, explain
from losant_tokens.cli._jobs.quarantine_view import next_steps
from losant_tokens.cli._plans.view import totals_line
from losant_tokens.cli._state.quarantine_ledger import record
from losant_tokens.cli._terminal.console import (
    is_quiet,
    print_error,
    print_status,
    write_result,
    write_summary,
)
from losant_tokens.cli._terminal.format import format_number
from losant_tokens.cli._tokens.json import as_json

_MAX_SHOWN_FAILURES = 5


def write_reports(report: jobs.Report, files: Sequence[Path], resume: str) -> list[Path]:
    """Write the reports of a job; return the files that were written.

    Args:
        report: The report.
        files: The files that the user named.
        resume: The command that resumes the job, and so writes the reports again.
    """
    return [file for file in files if _is_written(report, file, resume)]


def is_recorded_at_end(report: jobs.Report, resume: str) -> bool:
    """Record a job that concerns a quarantine at its end, and return whether that worked.

    Args:
        report: The report.
        resume: The command that resumes the job, and so records it again.
    """
    try:
        record(report)
    except (jobs.JobError, CommandError) as error:
        problem = explain(error) if isinstance(error, jobs.JobError) else error
        problem.hint = f"the journal has all outcomes. To record them again: {resume}"
        print_error(problem)
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


def print_totals(
    report: jobs.Report, saved: Sequence[Path], account: Sequence[str] = (), *, json: bool
) -> None:
    """Print the totals of a job, its failures, and the files of its reports.

    Args:
        report: The report.
        saved: The files that it was written to.
        account: The options that select the account.
        json: Whether to write JSON to stdout.
    """
    if json:
        summary = report.summary()
        del summary["pace"]
        write_result(as_json({**summary, "reports": list(map(str, saved))}))
    elif not is_quiet() and report.plan.header.total.selected:
        write_summary(totals_line(report))
    shown_by = f"losant-tokens runs show {quote(str(report.plan.path))} --json"
    print_failures(report, f"to see all failures: {shown_by}")
    for file in saved:
        print_status(f"Report: {file}")
    if report.plan.header.action == "deactivate" and report.counts[jobs.Outcome.DONE]:
        for line in next_steps(report, account):
            print_status(line)


def print_failures(report: jobs.Report, hint: str = "") -> None:
    """Print the first failed tokens, the number of the others, and why the job gave up.

    Args:
        report: The report of the job.
        hint: How to see the failed tokens that are not printed.
    """
    shown = 0
    for one in report.results() if report.counts[jobs.Outcome.FAILED] else ():
        if one.outcome is jobs.Outcome.FAILED:
            shown += 1
            if shown <= _MAX_SHOWN_FAILURES:
                print_error(CommandError(f"{one.entry.name} ({one.entry.id}): {one.error}"))
    if shown > _MAX_SHOWN_FAILURES:
        more = format_number(shown - _MAX_SHOWN_FAILURES, "more token")
        print_error(CommandError(f"{more} failed", hint))
    if report.gave_up is not None:
        print_error(CommandError(f"gave up: {report.gave_up}"))
