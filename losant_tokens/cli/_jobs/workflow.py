"""The steps that the job commands share: plan, confirm, apply, report."""

import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from shlex import quote

import attrs

from losant_tokens import jobs
from losant_tokens.cli._connections.clients import job_client_factory
from losant_tokens.cli._errors import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    explain,
)
from losant_tokens.cli._jobs.output_checks import check_outputs
from losant_tokens.cli._jobs.reports import is_recorded_at_end, print_totals, write_reports
from losant_tokens.cli._jobs.runner import JobRunner
from losant_tokens.cli._jobs.state_view import has_work, outcome_counts, question
from losant_tokens.cli._options.common import ConnectionOptions
from losant_tokens.cli._options.jobs import DEFAULT_MAX_AGE, RunOptions, SafetyOptions
from losant_tokens.cli._options.parse import format_age
from losant_tokens.cli._plans.action_words import PROGRESS_LABELS
from losant_tokens.cli._plans.planning import Planner, make_plan
from losant_tokens.cli._plans.view import nothing_to_do, show_plan
from losant_tokens.cli._state.files import journal_path, new_plan_path
from losant_tokens.cli._state.quarantine_ledger import record_start
from losant_tokens.cli._terminal.console import (
    confirm,
    is_quiet,
    notice_if_interrupted,
    print_advice,
    print_after_signal,
    print_error,
    print_status,
    quiet_output,
    require_terminal_or_yes,
)
from losant_tokens.errors import LosantError


def plan_and_apply(  # noqa: PLR0913 -- the parts of a job command
    command: str,
    planner: Planner,
    out: Path | None,
    options: RunOptions,
    safety: SafetyOptions,
    connection: ConnectionOptions,
    *,
    quarantine: Path | None = None,
    explain_nothing: Callable[[jobs.Plan], str] = nothing_to_do,
    ignored: Sequence[type[jobs.PlanWarning]] = (),
) -> int:
    """Make a plan, ask for confirmation, apply the plan, and return the exit code.

    Args:
        command: The name of the command.
        planner: Makes the plan.
        out: The file of the plan. Default: a new file in the state folder.
        options: How to apply the plan.
        safety: The safety checks of the plan.
        connection: How to connect.
        quarantine: The report of a quarantine, if the command reads one.
        explain_nothing: Returns one line about a plan that selects no token.
        ignored: Warnings about the plan that are not printed.
    """
    require_terminal_or_yes(command, yes=options.yes)
    inputs = [] if quarantine is None else [("the report of the quarantine", quarantine)]
    with quiet_output(options.quiet):
        check_outputs(options.report, inputs=inputs, journal=options.journal)
        path = out or new_plan_path(command)
        plan = make_plan(
            planner,
            path,
            job_client_factory(connection),
            protects=bool(safety.protect),
            ignored=ignored,
        )
        job = JobWorkflow(plan, options, connection, journal_path(plan, options.journal))
        check_outputs(options.report, inputs=inputs, out=plan.path, journal=job.journal, plan=plan)
        kept = f"The plan is kept. To apply it: {job.command()}"
        with notice_if_interrupted(kept):
            is_confirmed = confirm_plan(plan, options, explain_nothing=explain_nothing)
        if not is_confirmed:
            print_status(kept)
            return EXIT_ERROR
        code = job.run()
        if out is None and plan.header.total.selected == 0:
            plan.path.unlink(missing_ok=True)
            if options.journal is None:
                job.journal.unlink(missing_ok=True)
        return code


def confirm_plan(
    plan: jobs.Plan,
    options: RunOptions,
    *,
    state: jobs.JobState | None = None,
    retry_failed: bool = False,
    explain_nothing: Callable[[jobs.Plan], str] = nothing_to_do,
) -> bool:
    """Show a plan, ask for confirmation, and return whether to apply it.

    Args:
        plan: The plan.
        options: How to apply it.
        state: The state of the job, if it may have been started before.
        retry_failed: Whether the job retries failed tokens.
        explain_nothing: Returns one line about a plan that selects no token.
    """
    if plan.header.total.selected == 0:
        print_status(explain_nothing(plan))
        return True
    if state is not None and not has_work(state, retry_failed=retry_failed):
        counts = ", ".join(outcome_counts(plan, state))
        print_status(f"Nothing is left to do for {plan.path}: {counts}.")
        return True
    if not is_quiet() or not options.yes:
        show_plan(plan, sys.stderr, None if state is None else state.journal)
    if options.yes:
        return True
    with notice_if_interrupted("Nothing was changed."):
        if confirm(question(plan, state, retry_failed=retry_failed)):
            return True
    print_status("Nothing was changed.")
    return False


@attrs.frozen
class JobWorkflow:
    """Apply a plan, write its reports, and determine the exit code.

    Attributes:
        plan: The plan.
        options: How to apply it.
        connection: How to connect.
        journal: The file of the journal.
        resume: Whether to resume a job that was started before.
        retry_failed: Whether to retry failed tokens.
        max_age: The maximum age of the plan.
    """

    plan: jobs.Plan
    options: RunOptions
    connection: ConnectionOptions
    journal: Path
    resume: bool = False
    retry_failed: bool = False
    max_age: timedelta = DEFAULT_MAX_AGE

    def arguments(self) -> tuple[str, ...]:
        """Return the options to resume the job with."""
        return (
            *self.options.arguments(),
            *([] if self.max_age == DEFAULT_MAX_AGE else ["--max-age", format_age(self.max_age)]),
            *self.connection.arguments(),
        )

    def command(self, *options: str) -> str:
        """Return the command that applies the plan, with the options of this one and others."""
        words = ("losant-tokens", "apply", str(self.plan.path), *options, *self.arguments())
        return " ".join(map(quote, words))

    def run(self, *, has_work: bool = True) -> int:
        """Apply the plan, write the reports, and return the exit code.

        Args:
            has_work: Whether tokens are left, so that there is progress to show.
        """
        record_start(self.plan, self.journal)
        runner = self._runner(has_work=has_work)
        # A signal while the report is written must not lose the report or the totals.
        with runner.signals.postponed():
            failure: LosantError | None = None
            try:
                report = runner.run()
            except jobs.JobFailed as error:
                cause = error.__cause__
                report, failure = error.report, cause if isinstance(cause, LosantError) else error
            are_saved = self._report(report)
            if failure is not None:
                problem = explain(failure)
                print_error(problem)
                if isinstance(failure, jobs.EvidenceError | jobs.PlanRefused):
                    return problem.exit_code
            self._print_next_step(report)
            return exit_code(report, runner, is_failed=failure is not None or not are_saved)

    def _runner(self, *, has_work: bool) -> JobRunner:
        settings = {
            **self.options.settings(),
            "resume": self.resume,
            "retry_failed": self.retry_failed,
            "max_age": self.max_age,
            "journal": self.journal,
        }
        return JobRunner(
            self.plan,
            PROGRESS_LABELS[self.plan.header.action],
            job_client_factory(self.connection),
            max_concurrency=self.options.max_concurrency,
            settings=settings,
            has_work=has_work,
        )

    def _report(self, report: jobs.Report) -> bool:
        """Write the reports and print the totals; return whether all reports were written."""
        resume = self.command("--resume")
        is_recorded = is_recorded_at_end(report, resume)
        saved = write_reports(report, self.options.report, resume)
        account = self.connection.account_arguments()
        print_totals(report, saved, account, json=self.options.json)
        return is_recorded and len(saved) == len(self.options.report)

    def _print_next_step(self, report: jobs.Report) -> None:
        if not report.is_complete:
            print_after_signal(f"To resume: {self.command('--resume')}")
        elif report.counts[jobs.Outcome.FAILED]:
            command = self.command("--resume", "--retry-failed")
            print_advice(f"To retry the failed tokens: {command}")


def exit_code(report: jobs.Report, runner: JobRunner, *, is_failed: bool = False) -> int:
    """Return the exit code of a job.

    Args:
        report: The report of the job.
        runner: The runner of the job.
        is_failed: Whether the job failed, or one of its reports could not be written.
    """
    if runner.is_stopped and not report.is_complete:
        return EXIT_INTERRUPTED
    if is_failed:
        return EXIT_ERROR
    has_failures = report.counts[jobs.Outcome.FAILED] or not report.is_complete
    return EXIT_SOME_FAILED if has_failures else 0
